//! Plants one mistake at a time in a copy of the tree and sees that the tests find it. Holds the
//! chore; the mistakes are data under `mutants/`, in the format that `list.rs` describes.

mod list;
mod results;
mod scratch;
mod table;
mod trial;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Instant;

use self::results::Results;
use self::scratch::Scratch;
use self::table::Row;
use self::trial::Outcome;
use crate::failure::{Failure, Result};
use crate::repo;

pub(crate) use self::list::{Mutant, is_list, parse, repetitions};

const USAGE: &str = "usage: cargo xtask mutants [--only NAME]... [--list] [--fresh] \
[--keep-kills] [--known] [--table FILE]";

#[derive(Default)]
struct Options {
    only: Vec<String>,
    list: bool,
    fresh: bool,
    keep_kills: bool,
    known: bool,
    table: Option<PathBuf>,
}

/// Tries the mutants and prints what killed each. A mutant that survives, or that does not even
/// compile, is a failure.
pub(crate) fn run(root: &Path, args: &[String]) -> Result<()> {
    let options = options(args)?;
    let mutants = select(all(root)?, &options.only)?;
    if options.list {
        for mutant in &mutants {
            println!("{:<4} {:<44} {}", mutant.id, mutant.name, mutant.why);
        }
        println!("{} mutants", mutants.len());
        return Ok(());
    }
    let folder = repo::target(root).join("mutants");
    let scratch = Scratch::of(root, &folder)?;
    let folder = folder.join("results");
    if options.fresh {
        results::forget(&folder)?;
    }
    let commit = commit(root)?;
    let results = Results::at(&folder, scratch.fingerprint(), commit, options.keep_kills)?;
    let mut rows = Vec::with_capacity(mutants.len());
    for mutant in &mutants {
        let found = match results.load(mutant) {
            Some(found) => found,
            None if options.known => continue,
            None => {
                println!("trying {} ({})", mutant.name, mutant.id);
                results.save(mutant, outcome(&scratch, &results, mutant)?)?
            }
        };
        rows.push(Row { mutant, found });
    }
    table::print(&rows);
    if let Some(path) = &options.table {
        let text = table::markdown(&rows, mutants.len(), results.commit());
        fs::write(path, text).map_err(Failure::at(path))?;
    }
    let is_alive = |row: &&Row<'_>| !row.found.outcome.is_kill();
    let alive = rows.iter().filter(is_alive).count();
    if alive > 0 {
        return Err(Failure::new(format!(
            "{alive} of {} mutants were not killed",
            rows.len()
        )));
    }
    match mutants.len() - rows.len() {
        0 => println!("all {} mutants were killed", rows.len()),
        untried => println!("{} mutants were killed, {untried} not tried", rows.len()),
    }
    Ok(())
}

/// The commit that is checked out, with a plus if the product or its tests differ from it.
fn commit(root: &Path) -> Result<String> {
    let git = |args: &[&str]| {
        let output = Command::new("git").args(args).current_dir(root).output();
        let output = output.map_err(|error| Failure::new(format!("git: {error}")))?;
        Ok::<_, Failure>(String::from_utf8_lossy(&output.stdout).trim().to_owned())
    };
    let commit = git(&["rev-parse", "--short", "HEAD"])?;
    let changed = git(&["status", "--porcelain", "--", "crates", "Cargo.lock"])?;
    let plus = if changed.is_empty() { "" } else { "+" };
    Ok(format!("{commit}{plus}"))
}

/// Tries the mutant's trials in order, until one kills it. Each trial has to pass without the
/// mutant first, or its verdict would mean nothing.
fn outcome(scratch: &Scratch, results: &Results, mutant: &Mutant) -> Result<Outcome> {
    let mut last = Outcome::Survived {
        tried: String::new(),
    };
    for trial in &mutant.trials {
        if !results.is_sound(trial) {
            println!("  first without a mutant: {trial}");
            scratch.restore()?;
            let unharmed = trial.run(scratch, "unharmed")?;
            if !matches!(unharmed, Outcome::Survived { .. }) {
                return Err(Failure::new(format!(
                    "'{trial}' fails without any mutant: {unharmed}"
                )));
            }
            results.mark_sound(trial)?;
        }
        scratch.plant(mutant)?;
        let start = Instant::now();
        last = trial.run(scratch, &mutant.name)?;
        println!(
            "  {last} ({:.0} s with the build)",
            start.elapsed().as_secs_f64()
        );
        if !matches!(last, Outcome::Survived { .. }) {
            break;
        }
    }
    scratch.restore()?;
    Ok(last)
}

fn options(args: &[String]) -> Result<Options> {
    let mut options = Options::default();
    let mut args = args.iter();
    while let Some(arg) = args.next() {
        match (arg.as_str(), args.as_slice().first()) {
            ("--list", _) => options.list = true,
            ("--fresh", _) => options.fresh = true,
            ("--keep-kills", _) => options.keep_kills = true,
            ("--known", _) => options.known = true,
            ("--table", Some(file)) => {
                options.table = Some(PathBuf::from(file));
                args.next();
            }
            ("--only", Some(name)) => {
                options.only.push(name.clone());
                args.next();
            }
            _ => return Err(Failure::new(USAGE)),
        }
    }
    Ok(options)
}

fn all(root: &Path) -> Result<Vec<Mutant>> {
    let mut mutants = Vec::new();
    for file in repo::files(root)?.iter().filter(|file| is_list(&file.path)) {
        let found = parse(file)
            .map_err(|(line, what)| Failure::new(format!("{}:{line}: {what}", file.path)))?;
        mutants.extend(found);
    }
    if let Some((mutant, what)) = list::repetitions(&mutants).first() {
        let place = format!("{}:{}", mutant.list, mutant.line);
        return Err(Failure::new(format!("{place}: {what}")));
    }
    Ok(mutants)
}

fn select(mutants: Vec<Mutant>, only: &[String]) -> Result<Vec<Mutant>> {
    if let Some(unknown) = only
        .iter()
        .find(|name| mutants.iter().all(|m| m.name != **name))
    {
        return Err(Failure::new(format!(
            "no mutant is named {unknown}; see --list"
        )));
    }
    let wanted = |mutant: &Mutant| only.is_empty() || only.contains(&mutant.name);
    Ok(mutants.into_iter().filter(wanted).collect())
}
