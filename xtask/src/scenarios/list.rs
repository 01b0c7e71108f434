//! The list of scenarios, `xtask/scenarios.txt`: what is in it and how it is read. The format is
//! described at the top of the list itself.

use std::collections::BTreeMap;
use std::fmt;

use crate::repo::File;

/// Where the list is.
pub(crate) const LIST: &str = "xtask/scenarios.txt";

/// A part of the project whose code could break a property, and which owes a test then.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Part {
    Engine,
    Log,
    Host,
    Simulator,
}

impl Part {
    /// In the order of the columns.
    pub(crate) const ALL: [Self; 4] = [Self::Engine, Self::Log, Self::Host, Self::Simulator];

    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Engine => "engine",
            Self::Log => "log",
            Self::Host => "host",
            Self::Simulator => "simulator",
        }
    }

    /// The part that a test at `path` belongs to.
    pub(crate) fn of(path: &str) -> Option<Self> {
        const FOLDERS: [(&str, Part); 6] = [
            ("crates/core/", Part::Engine),
            ("crates/log/", Part::Log),
            ("crates/quorate/", Part::Host),
            ("crates/kv/", Part::Host),
            ("e2e/", Part::Host),
            ("crates/sim/", Part::Simulator),
        ];
        let owner = FOLDERS
            .iter()
            .find(|(folder, _)| path.starts_with(folder))?;
        Some(owner.1)
    }
}

impl fmt::Display for Part {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// Whether a part has to have its test now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Debt {
    Due,
    Later,
}

/// A way to get it wrong.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Scenario {
    pub(crate) id: String,
    /// Where it stands in the list.
    pub(crate) line: usize,
    /// Never empty: what no part can break is no scenario.
    pub(crate) debts: BTreeMap<Part, Debt>,
    pub(crate) summary: String,
}

/// The scenarios of the list, none if it is missing or cannot be read.
pub(crate) fn known(files: &[File]) -> Vec<Scenario> {
    let list = files.iter().find(|file| file.path == LIST);
    list.and_then(|list| parse(list).ok()).unwrap_or_default()
}

/// Reads the list.
///
/// # Errors
/// The first line that is no scenario and no comment, and what is wrong with it.
pub(crate) fn parse(list: &File) -> Result<Vec<Scenario>, (usize, String)> {
    let mut scenarios: Vec<Scenario> = Vec::new();
    for (line, text) in list.lines() {
        if text.is_empty() || text.starts_with('#') {
            continue;
        }
        let scenario = row(line, text).map_err(|what| (line, what))?;
        if scenarios.iter().any(|above| above.id == scenario.id) {
            return Err((line, format!("{} is there already", scenario.id)));
        }
        scenarios.push(scenario);
    }
    if scenarios.is_empty() {
        return Err((1, "the list has no scenario".to_owned()));
    }
    Ok(scenarios)
}

fn row(line: usize, text: &str) -> Result<Scenario, String> {
    let mut words = text.split_whitespace();
    let id = words.next().unwrap_or_default();
    if !is_id(id) {
        return Err(format!("'{id}' is no id: a capital letter and two digits"));
    }
    let mut debts = BTreeMap::new();
    for part in Part::ALL {
        match words.next() {
            Some("due") => debts.insert(part, Debt::Due),
            Some("later") => debts.insert(part, Debt::Later),
            Some("-") => None,
            other => {
                let found = other.unwrap_or("nothing");
                return Err(format!("{id}, {part}: due, later or -, but not '{found}'"));
            }
        };
    }
    if debts.is_empty() {
        return Err(format!("{id} is owed by nobody"));
    }
    let summary: Vec<&str> = words.collect();
    if summary.is_empty() {
        return Err(format!("{id} does not say what goes wrong"));
    }
    Ok(Scenario {
        id: id.to_owned(),
        line,
        debts,
        summary: summary.join(" "),
    })
}

/// A capital letter and two digits.
pub(super) fn is_id(word: &str) -> bool {
    matches!(word.as_bytes(), [b'A'..=b'Z', b'0'..=b'9', b'0'..=b'9'])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::repo;
    use crate::tidy::file;

    fn parsed(text: &str) -> Result<Vec<Scenario>, (usize, String)> {
        parse(&file(LIST, text))
    }

    #[test]
    fn line_says_who_owes_a_test_and_when() {
        let read = parsed("# A\n\nA01  due  -  later  -  vote is durable first\n").unwrap();
        let expected = Scenario {
            id: "A01".to_owned(),
            line: 3,
            debts: [(Part::Engine, Debt::Due), (Part::Host, Debt::Later)].into(),
            summary: "vote is durable first".to_owned(),
        };
        assert_eq!(read, [expected]);
    }

    #[test]
    fn line_that_is_no_scenario_is_found() {
        for (wrong, says) in [
            ("Elections", "is no id"),
            ("A1 due - - - x", "is no id"),
            ("A01 due - soon - x", "host: due, later or -"),
            ("A01 due - -", "simulator: due, later or -"),
            ("A01 vote is durable first", "engine: due, later or -"),
            ("A01 - - - - x", "owed by nobody"),
            ("A01 due - - -", "does not say"),
            ("A00 due - - - y", "already"),
        ] {
            let text = format!("A00 due - - - x\n{wrong}\n");
            let (line, what) = parsed(&text).unwrap_err();
            assert_eq!(line, 2, "{wrong}");
            assert!(what.contains(says), "{wrong}: {what}");
        }
        assert!(
            parsed("# nothing\n").is_err(),
            "an empty list proves nothing"
        );
    }

    #[test]
    fn test_belongs_to_the_part_in_whose_crate_it_is() {
        for (path, part) in [
            ("crates/core/tests/interaction/a.txt", Some(Part::Engine)),
            ("crates/log/tests/log/a.rs", Some(Part::Log)),
            ("crates/quorate/src/node/a.rs", Some(Part::Host)),
            ("crates/kv/tests/a.rs", Some(Part::Host)),
            ("e2e/a.py", Some(Part::Host)),
            ("crates/sim/src/check/a.rs", Some(Part::Simulator)),
            ("mutants/engine.txt", None),
        ] {
            assert_eq!(Part::of(path), part, "{path}");
        }
    }

    #[test]
    fn list_of_this_repository_can_be_read() {
        let files = repo::files(&repo::root()).unwrap();
        assert!(known(&files).len() >= 100, "{LIST} has lost scenarios");
    }
}
