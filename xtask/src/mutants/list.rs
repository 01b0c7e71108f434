//! The format of the files under `mutants/`: plain text, several mutants a file.
//!
//! ```text
//! # A comment, before or between mutants.
//! [name-of-the-mutant]
//! id = P13
//! file = crates/core/src/outbox.rs
//! why = what a programmer could have thought
//! kill = explore 0..400
//! --- find
//!     the text, which must be there exactly once
//! --- replace
//!     what the mistaken programmer wrote instead
//! --- end
//! ```
//!
//! `kill` says what must find the mistake: `explore [WORLD] A..B [events N]` is the simulator on
//! these seeds, in the world of engines if none is named; `test PACKAGE [FILTER]` is a package's
//! tests. It may be repeated, and the first to find it counts. Without it the simulator is tried
//! first, in the world that the file is part of, then the tests of the file's crate. Neither a name
//! nor an id stands for two mutants.

use std::collections::BTreeMap;
use std::iter::Peekable;

use super::trial::Trial;
use crate::failure::{Failure, Result};
use crate::repo::{File, numbered};

/// One mistake.
#[derive(Debug)]
pub(crate) struct Mutant {
    pub(crate) name: String,
    /// Kind and number: B birth, P protocol, M membership, R reads, C clients, D host, S storage.
    pub(crate) id: String,
    /// What the mistaken programmer had in mind.
    pub(crate) why: String,
    /// The file it changes, below the root.
    pub(crate) file: String,
    /// The file that lists it.
    pub(crate) list: String,
    /// Where in its list it starts.
    pub(crate) line: usize,
    pub(super) trials: Vec<Trial>,
    find: String,
    replace: String,
}

impl Mutant {
    /// The mistaken version of `text`.
    ///
    /// # Errors
    /// When the text to find is not there exactly once.
    pub(crate) fn apply(&self, text: &str) -> Result<String> {
        let count = text.matches(&self.find).count();
        if count != 1 {
            let what = format!("{}: its text is {count} times in {}", self.name, self.file);
            return Err(Failure::new(what));
        }
        Ok(text.replacen(&self.find, &self.replace, 1))
    }

    /// All that decides its outcome, apart from the tree.
    pub(super) fn definition(&self) -> String {
        let trials: Vec<String> = self.trials.iter().map(ToString::to_string).collect();
        [&self.file, &self.find, &self.replace, &trials.join("\n")]
            .map(String::as_str)
            .join("\n")
    }
}

/// Whether the file at `path` lists mutants.
pub(crate) fn is_list(path: &str) -> bool {
    path.starts_with("mutants/") && path.ends_with(".txt")
}

/// The line of a fault, and the fault.
type Fault = (usize, String);

/// Every mutant of a list.
///
/// # Errors
/// The first line that does not keep to the format.
pub(crate) fn parse(file: &File) -> std::result::Result<Vec<Mutant>, Fault> {
    let mut lines = numbered(&file.text).peekable();
    let mut mutants = Vec::new();
    while let Some((number, line)) = lines.next() {
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        let name = line
            .strip_prefix('[')
            .and_then(|rest| rest.strip_suffix(']'));
        let Some(name) = name.filter(|name| !name.is_empty()) else {
            return Err((number, format!("expected [name], found '{line}'")));
        };
        let mut mutant = mutant(name, number, &mut lines)?;
        mutant.list.clone_from(&file.path);
        mutants.push(mutant);
    }
    Ok(mutants)
}

/// Each of these mutants, of all lists, whose name or id an earlier one has, and what to say of it:
/// results are kept by name, and people speak of mutants by id.
pub(crate) fn repetitions(mutants: &[Mutant]) -> Vec<(&Mutant, String)> {
    let (mut names, mut ids) = (BTreeMap::new(), BTreeMap::new());
    let mut found = Vec::new();
    for mutant in mutants {
        let place = (&mutant.list, mutant.line);
        if let Some((list, line)) = names.insert(&mutant.name, place) {
            found.push((
                mutant,
                format!("{} is the name of {list}:{line} too", mutant.name),
            ));
        }
        if let Some((list, line)) = ids.insert(&mutant.id, place) {
            found.push((
                mutant,
                format!("{} is the id of {list}:{line} too", mutant.id),
            ));
        }
    }
    found
}

fn mutant<'a>(
    name: &str,
    line: usize,
    lines: &mut Peekable<impl Iterator<Item = (usize, &'a str)>>,
) -> std::result::Result<Mutant, Fault> {
    let mut mutant = Mutant {
        name: name.to_owned(),
        id: String::new(),
        why: String::new(),
        file: String::new(),
        list: String::new(),
        line,
        trials: Vec::new(),
        find: String::new(),
        replace: String::new(),
    };
    while let Some((number, field)) = lines.next_if(|(_, line)| *line != "--- find") {
        let Some((key, value)) = field.split_once(" = ") else {
            return Err((number, format!("expected 'key = value', found '{field}'")));
        };
        match key {
            "id" => mutant.id = value.to_owned(),
            "why" => mutant.why = value.to_owned(),
            "file" => mutant.file = value.to_owned(),
            "kill" => {
                let trial = Trial::parse(value)
                    .ok_or_else(|| (number, format!("'{value}' is no trial")))?;
                mutant.trials.push(trial);
            }
            _ => return Err((number, format!("no field is named '{key}'"))),
        }
    }
    lines.next();
    mutant.find = text_until("--- replace", line, lines)?;
    mutant.replace = text_until("--- end", line, lines)?;
    if mutant.trials.is_empty() {
        mutant.trials = Trial::usual(&mutant.file);
    }
    for (key, value) in [
        ("id", &mutant.id),
        ("why", &mutant.why),
        ("file", &mutant.file),
    ] {
        if value.is_empty() {
            return Err((line, format!("{name} has no '{key}'")));
        }
    }
    if mutant.find.is_empty() || mutant.find == mutant.replace {
        return Err((line, format!("{name} changes nothing")));
    }
    Ok(mutant)
}

/// The lines before `end`, joined; the last line break belongs to the format, not to the text.
fn text_until<'a>(
    end: &str,
    start: usize,
    lines: &mut impl Iterator<Item = (usize, &'a str)>,
) -> std::result::Result<String, Fault> {
    let mut text = Vec::new();
    for (_, line) in lines {
        if line == end {
            return Ok(text.join("\n"));
        }
        text.push(line);
    }
    Err((start, format!("'{end}' is missing")))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tidy::file;

    const LIST: &str = "# why\n\n[one]\nid = P1\nfile = a.rs\nwhy = w\nkill = explore 1..2\n\
        kill = test quorate-log torn\n--- find\n  a\n  b\n--- replace\n  c\n--- end\n\n\
        [two]\nid = P2\nfile = a.rs\nwhy = w\n--- find\nx\n--- replace\n--- end\n";

    #[test]
    fn list_gives_its_mutants() {
        let mutants = parse(&file("mutants/a.txt", LIST)).unwrap();
        let [one, two] = mutants.as_slice() else {
            panic!("{mutants:?}")
        };
        assert_eq!(
            (one.name.as_str(), one.line, one.trials.len()),
            ("one", 3, 2)
        );
        assert_eq!(one.apply("0\n  a\n  b\n1\n").unwrap(), "0\n  c\n1\n");
        assert_eq!(two.apply("axb").unwrap(), "ab");
        assert!(matches!(
            two.trials[..],
            [Trial::Explore { .. }, Trial::Test { .. }]
        ));
    }

    #[test]
    fn text_that_is_missing_or_doubled_is_refused() {
        let mutants = parse(&file("mutants/a.txt", LIST)).unwrap();
        for text in ["", "xx"] {
            assert!(
                mutants[1].apply(text).is_err(),
                "{text:?} would be changed in some way"
            );
        }
    }

    #[test]
    fn id_or_name_of_another_mutant_is_refused() {
        let found = |id: &str, name: &str| {
            let other = format!(
                "[{name}]\nid = {id}\nfile = a.rs\nwhy = w\n--- find\ny\n--- replace\n--- end\n"
            );
            let lists = [file("mutants/a.txt", LIST), file("mutants/b.txt", &other)];
            let mutants: Vec<Mutant> = lists.iter().flat_map(|list| parse(list).unwrap()).collect();
            let found = repetitions(&mutants).into_iter();
            let found = found.map(|(mutant, what)| (mutant.list.clone(), mutant.line, what));
            found.collect::<Vec<_>>()
        };
        assert_eq!(found("P3", "three"), []);
        let of_b = |what: &str| ("mutants/b.txt".to_owned(), 1, what.to_owned());
        let id = of_b("P2 is the id of mutants/a.txt:16 too");
        assert_eq!(found("P2", "three"), std::slice::from_ref(&id));
        let name = of_b("two is the name of mutants/a.txt:16 too");
        assert_eq!(found("P3", "two"), std::slice::from_ref(&name));
        assert_eq!(found("P2", "two"), [name, id]);
    }

    #[test]
    fn line_that_breaks_the_format_is_named() {
        for (text, line) in [
            ("oops\n", 1),
            ("[a]\nid: P1\n", 2),
            ("[a]\nsize = 1\n", 2),
            ("[a]\nkill = hope\n", 2),
            ("[a]\nid = P1\nwhy = w\nfile = f\n--- find\nx\n", 1),
            (
                "[a]\nid = P1\nwhy = w\nfile = f\n--- find\nx\n--- replace\nx\n--- end\n",
                1,
            ),
            (
                "\n[a]\nid = P1\nfile = f\n--- find\nx\n--- replace\n--- end\n",
                2,
            ),
        ] {
            let found = parse(&file("mutants/a.txt", text)).unwrap_err();
            assert_eq!(found.0, line, "{text:?} gave {found:?}");
        }
    }
}
