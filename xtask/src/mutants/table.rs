//! What killed each mutant, as a table: for the terminal, and as the page that is kept. How the
//! verdicts come about is not here.

use std::fmt::Write;

use super::list::Mutant;
use super::results::Found;
use super::trial::{Killer, Outcome};

/// A mutant and what became of it.
pub(super) struct Row<'a> {
    pub(super) mutant: &'a Mutant,
    pub(super) found: Found,
}

/// Prints the table for people at a terminal.
pub(super) fn print(rows: &[Row<'_>]) {
    println!(
        "\n{:<5} {:<44} {:>5} {:>8} {:>7}  killed by",
        "id", "mutant", "seed", "events", "time"
    );
    for Row { mutant, found } in rows {
        let columns = match &found.outcome {
            Outcome::Killed {
                trial,
                killer,
                seconds,
            } => {
                let Killer {
                    name, seed, events, ..
                } = killer;
                format!("{seed:>5} {events:>8} {seconds:>5.1} s  {name} ({trial})")
            }
            Outcome::Survived { tried } => format!("SURVIVED {tried}"),
            Outcome::NotBuilt { log } => format!("DOES NOT BUILD, see {log}"),
        };
        println!("{:<5} {:<44} {columns}", mutant.id, mutant.name);
    }
    println!();
}

/// The table as a page, made at `commit`, of what was tried of `listed` mutants.
pub(super) fn markdown(rows: &[Row<'_>], listed: usize, commit: &str) -> String {
    let kills = rows.iter().filter(|row| row.found.outcome.is_kill());
    let mut page = format!(
        "# What kills the mutants\n\n\
         A mutant is a plausible one-line mistake, kept as data under `mutants/`. Each is \
         planted in a copy of\nthe tree, built, and tried against seeds of the simulator or the \
         tests of its crate, for up to 60\nseconds a trial; every trial passes without a \
         mutant.\n\n\
         Written by `cargo xtask mutants --table docs/mutants.md` at commit `{commit}`: of \
         {listed} mutants,\n{} were tried and {} killed. Seconds are those of the trial that \
         killed, without the build, on two\ncores that others used too. Events are those of \
         the seed, up to the violation. The last column is the\ncommit of the tree that was \
         tried, where it is an earlier one.\n\n\
         | id | mutant | killed by | in | seed | events | seconds | commit |\n\
         |---|---|---|---|--:|--:|--:|---|\n",
        rows.len(),
        kills.count(),
    );
    for Row { mutant, found } in rows {
        let (id, name) = (&mutant.id, &mutant.name);
        let tree = if found.commit == commit {
            ""
        } else {
            &found.commit
        };
        let columns = match &found.outcome {
            Outcome::Killed {
                trial,
                killer,
                seconds,
            } => {
                let Killer {
                    name, seed, events, ..
                } = killer;
                format!("`{name}` | `{trial}` | {seed} | {events} | {seconds:.1}")
            }
            Outcome::Survived { tried } => format!("**survived** | {tried} | - | - | -"),
            Outcome::NotBuilt { log: _ } => "**does not build** | - | - | - | -".to_owned(),
        };
        // Writing to a string cannot fail.
        let _ = writeln!(page, "| {id} | {name} | {columns} | {tree} |");
    }
    page
}

#[cfg(test)]
mod tests {
    use super::super::list::parse;
    use super::*;
    use crate::tidy::file;

    #[test]
    fn page_tells_who_was_killed_and_who_was_not() {
        let list = "[one]\nid = P1\nfile = a.rs\nwhy = w\n--- find\nx\n--- replace\n--- end\n";
        let mutants = parse(&file("mutants/a.txt", list)).unwrap();
        let row = |outcome, commit: &str| Row {
            mutant: &mutants[0],
            found: Found {
                outcome,
                commit: commit.to_owned(),
            },
        };
        let killer = Killer {
            name: "VoteOnce".to_owned(),
            seed: "7".to_owned(),
            events: "12".to_owned(),
            replay: String::new(),
        };
        let killed = Outcome::Killed {
            trial: "explore systems 0..9".to_owned(),
            killer,
            seconds: 1.25,
        };
        let survived = Outcome::Survived {
            tried: "test quorate, 3 s".to_owned(),
        };
        let page = markdown(&[row(killed, "abc"), row(survived, "abd")], 3, "abd");
        assert!(
            page.contains("of 3 mutants,\n2 were tried and 1 killed"),
            "{page}"
        );
        let wanted = "| P1 | one | `VoteOnce` | `explore systems 0..9` | 7 | 12 | 1.2 | abc |";
        assert!(page.lines().any(|line| line == wanted), "{page}");
        assert!(page.contains("**survived** | test quorate, 3 s"), "{page}");
    }
}
