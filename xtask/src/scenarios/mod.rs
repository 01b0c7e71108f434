//! Which of the known ways to get Raft wrong is tested where, and who owes the rest. Puts the list
//! (`list.rs`) and the tests that cite it (`citations.rs`) side by side, and reports.

mod citations;
mod list;

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

pub(crate) use self::citations::{Citation, citations};
pub(crate) use self::list::{Debt, LIST, Part, Scenario, known, parse};
use crate::failure::{Failure, Result};
use crate::repo::{self, File};

/// Prints scenario by scenario where each part tests it or that it owes a test, and then what is
/// due. Fails if something is.
pub(crate) fn run(root: &Path) -> Result<()> {
    let files = repo::files(root)?;
    let scenarios = readable(&files)?;
    let tests = Tests::of(&files);
    for scenario in &scenarios {
        for line in lines(scenario, &tests) {
            println!("{line}");
        }
    }
    println!();
    judge(&files, &scenarios, &tests)
}

fn readable(files: &[File]) -> Result<Vec<Scenario>> {
    let missing = || Failure::new(format!("{LIST} is missing"));
    let list = files.iter().find(|file| file.path == LIST);
    parse(list.ok_or_else(missing)?)
        .map_err(|(line, what)| Failure::new(format!("{LIST}:{line}: {what}")))
}

fn judge(files: &[File], scenarios: &[Scenario], tests: &Tests) -> Result<()> {
    let unknown = unknown(files, scenarios);
    for (file, citation) in &unknown {
        let (path, line) = (&file.path, citation.line);
        println!("{path}:{line}: {} is not in {LIST}", citation.id);
    }
    for (scenario, part) in unlisted(scenarios, tests) {
        println!("{scenario} has a test of the {part}: write 'due' in {LIST}, or it can be lost");
    }
    let missing = missing(scenarios, tests);
    for (scenario, part) in &missing {
        let summary = &scenario.summary;
        println!(
            "{} is due and has no test of the {part}: {summary}",
            scenario.id
        );
    }
    let count = |debt| {
        let debts = scenarios
            .iter()
            .flat_map(|scenario| scenario.debts.values());
        debts.filter(|owed| **owed == debt).count()
    };
    let due = count(Debt::Due);
    println!(
        "{} scenarios: {} of {due} due tests are there, {} more are owed for later",
        scenarios.len(),
        due - missing.len(),
        count(Debt::Later)
    );
    if missing.is_empty() && unknown.is_empty() {
        return Ok(());
    }
    Err(Failure::new(format!(
        "{} due tests are missing, {} citations are of nothing",
        missing.len(),
        unknown.len()
    )))
}

/// The tests that cite a scenario, by its id and by the part whose crate they are in.
#[derive(Debug, Default)]
pub(crate) struct Tests(BTreeMap<(String, Part), Vec<String>>);

impl Tests {
    pub(crate) fn of(files: &[File]) -> Self {
        let mut tests = Self::default();
        for file in files {
            let Some(part) = Part::of(&file.path) else {
                continue;
            };
            for citation in citations(file).into_iter().filter(|found| found.in_test) {
                let place = format!("{}:{} {}", file.path, citation.line, citation.name);
                let places = tests.0.entry((citation.id, part)).or_default();
                places.push(place);
            }
        }
        tests
    }

    fn places(&self, id: &str, part: Part) -> &[String] {
        self.0
            .get(&(id.to_owned(), part))
            .map_or(&[], Vec::as_slice)
    }
}

/// What is due and has no test.
pub(crate) fn missing<'a>(scenarios: &'a [Scenario], tests: &Tests) -> Vec<(&'a Scenario, Part)> {
    let mut missing = Vec::new();
    for scenario in scenarios {
        let due = scenario
            .debts
            .iter()
            .filter(|(_, debt)| **debt == Debt::Due);
        let untested = due.filter(|(part, _)| tests.places(&scenario.id, **part).is_empty());
        missing.extend(untested.map(|(part, _)| (scenario, *part)));
    }
    missing
}

/// Tests that nobody would miss if they went: the list does not say that they are due.
fn unlisted<'a>(scenarios: &'a [Scenario], tests: &Tests) -> Vec<(&'a str, Part)> {
    let mut unlisted = Vec::new();
    for scenario in scenarios {
        let free = Part::ALL
            .into_iter()
            .filter(|part| scenario.debts.get(part) != Some(&Debt::Due));
        let tested = free.filter(|part| !tests.places(&scenario.id, *part).is_empty());
        unlisted.extend(tested.map(|part| (scenario.id.as_str(), part)));
    }
    unlisted
}

/// Citations of scenarios that nobody wrote down, with the file they are in.
pub(crate) fn unknown<'a>(files: &'a [File], scenarios: &[Scenario]) -> Vec<(&'a File, Citation)> {
    let known: BTreeSet<&str> = scenarios.iter().map(|known| known.id.as_str()).collect();
    let mut unknown = Vec::new();
    for file in files {
        let strange = citations(file)
            .into_iter()
            .filter(|citation| !known.contains(citation.id.as_str()));
        unknown.extend(strange.map(|citation| (file, citation)));
    }
    unknown
}

/// What is printed of one scenario.
fn lines(scenario: &Scenario, tests: &Tests) -> Vec<String> {
    let mut lines = vec![format!("{} {}", scenario.id, scenario.summary)];
    for part in Part::ALL {
        let places = tests.places(&scenario.id, part);
        // The name stands on the first line of a part only.
        let names = std::iter::once(part.name()).chain(std::iter::repeat(""));
        let tested = places.iter().zip(names);
        lines.extend(tested.map(|(place, name)| format!("    {name:<9}  {place}")));
        if places.is_empty() {
            lines.extend(scenario.debts.get(&part).map(|debt| match debt {
                Debt::Due => format!("    owed by {part}: due, and there is no test"),
                Debt::Later => format!("    owed by {part}"),
            }));
        }
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tidy::file;

    const TEXT: &str = "\
A01  due  -      due  later  vote is durable first
A02  due  later  -    -      own vote is durable first
";

    fn scenarios() -> Vec<Scenario> {
        parse(&file(LIST, TEXT)).unwrap()
    }

    fn ids(missing: &[(&Scenario, Part)]) -> Vec<(String, Part)> {
        let id = |(scenario, part): &(&Scenario, Part)| (scenario.id.clone(), *part);
        missing.iter().map(id).collect()
    }

    #[test]
    fn due_test_is_missing_until_one_of_its_part_cites_the_scenario() {
        let scenarios = scenarios();
        let elsewhere = [
            file("crates/core/tests/a.txt", "# scenario A02\n"),
            file("crates/core/src/a.rs", "//! scenario A01\n"),
            file("crates/log/tests/a.rs", "//! scenario A01\n"),
            file("e2e/a.py", "# scenario A01\n"),
        ];
        let found = missing(&scenarios, &Tests::of(&elsewhere));
        assert_eq!(
            ids(&found),
            [("A01".to_owned(), Part::Engine)],
            "the code under test and the log's test do not count for the engine"
        );
    }

    #[test]
    fn test_that_is_not_due_is_pointed_out_and_fails_nothing() {
        let scenarios = scenarios();
        let early = [
            file("crates/log/tests/a.rs", "//! scenario A02\n"),
            file("crates/sim/src/a.rs", "//! scenario A02\n"),
        ];
        let tests = Tests::of(&early);
        assert_eq!(
            unlisted(&scenarios, &tests),
            [("A02", Part::Log), ("A02", Part::Simulator)]
        );
        assert_eq!(missing(&scenarios, &tests).len(), 3, "only what is due");
    }

    #[test]
    fn citation_of_what_is_not_listed_is_unknown() {
        let files = [file("crates/kv/tests/a.rs", "//! scenarios A01, A03\n")];
        let scenarios = scenarios();
        let found = unknown(&files, &scenarios);
        let ids: Vec<&str> = found.iter().map(|(_, cited)| cited.id.as_str()).collect();
        assert_eq!(ids, ["A03"]);
    }

    #[test]
    fn report_names_the_tests_and_who_owes_the_rest() {
        let text = "#[test]\nfn f() {\n    // scenario A01\n}\n/// Scenario A01\nfn g() {}\n";
        let tests = Tests::of(&[file("crates/core/tests/a.rs", text)]);
        let scenarios = scenarios();
        assert_eq!(
            lines(&scenarios[0], &tests),
            [
                "A01 vote is durable first",
                "    engine     crates/core/tests/a.rs:3 f",
                "               crates/core/tests/a.rs:5 g",
                "    owed by host: due, and there is no test",
                "    owed by simulator",
            ]
        );
    }
}
