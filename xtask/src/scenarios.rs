//! Which of the known ways to get Raft wrong is tested where. The list is data in
//! `xtask/scenarios.txt`; a test or script covers a scenario by citing its id.

use std::collections::BTreeMap;
use std::path::Path;

use crate::failure::{Failure, Result};
use crate::repo::{self, File};

/// Where the list is.
pub(crate) const LIST: &str = "xtask/scenarios.txt";

/// A way to get it wrong.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Scenario {
    pub(crate) id: String,
    summary: String,
}

/// A place that names a scenario.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Citation {
    pub(crate) id: String,
    pub(crate) line: usize,
    /// Whether it stands in a test, and not only in the code that the test is about.
    in_test: bool,
}

/// Prints scenario by scenario where it is tested, and then which are not.
pub(crate) fn run(root: &Path) -> Result<()> {
    let files = repo::files(root)?;
    let scenarios = known(&files);
    if scenarios.is_empty() {
        return Err(Failure::new(format!("{LIST} is missing or empty")));
    }
    let mut tests: BTreeMap<&str, Vec<String>> = BTreeMap::new();
    let cited: Vec<(&File, Citation)> = files
        .iter()
        .flat_map(|file| {
            citations(file)
                .into_iter()
                .map(move |citation| (file, citation))
        })
        .collect();
    for (file, citation) in cited.iter().filter(|(_, citation)| citation.in_test) {
        let place = format!("{}:{}", file.path, citation.line);
        tests.entry(&citation.id).or_default().push(place);
    }
    let (covered, open): (Vec<_>, Vec<_>) = scenarios
        .iter()
        .partition(|scenario| tests.contains_key(scenario.id.as_str()));
    for scenario in &covered {
        println!("{} {}", scenario.id, scenario.summary);
        for place in tests.get(scenario.id.as_str()).into_iter().flatten() {
            println!("      {place}");
        }
    }
    println!("\nwithout a test:");
    for scenario in &open {
        println!("{} {}", scenario.id, scenario.summary);
    }
    println!(
        "\n{} of {} scenarios have a test",
        covered.len(),
        scenarios.len()
    );
    Ok(())
}

/// The list: one scenario a line, id and summary.
pub(crate) fn known(files: &[File]) -> Vec<Scenario> {
    let Some(list) = files.iter().find(|file| file.path == LIST) else {
        return Vec::new();
    };
    list.text
        .lines()
        .filter_map(|line| line.split_once(' '))
        .filter(|(id, _)| is_id(id))
        .map(|(id, summary)| Scenario {
            id: id.to_owned(),
            summary: summary.to_owned(),
        })
        .collect()
}

/// Every mention of the form "scenario A16" or "scenarios A16, B02 and C01".
pub(crate) fn citations(file: &File) -> Vec<Citation> {
    let mut found = Vec::new();
    // This file and the rules cite examples.
    if file.path.starts_with("xtask/") {
        return found;
    }
    let mut in_test = is_test(&file.path);
    for (line, text) in file.lines() {
        in_test |= file.is_rust() && text.trim_start().starts_with("#[cfg(test)]");
        for id in cited(text) {
            found.push(Citation {
                id: id.to_owned(),
                line,
                in_test,
            });
        }
    }
    found
}

/// Whether all of the file is test: what the simulator checks on every seed counts as tested.
fn is_test(path: &str) -> bool {
    let stem = path
        .rsplit('/')
        .next()
        .and_then(|name| name.split('.').next());
    path.contains("/tests/")
        || path.starts_with("e2e/")
        || path.starts_with("crates/sim/")
        || stem == Some("tests")
}

fn cited(line: &str) -> Vec<&str> {
    let mut ids = Vec::new();
    let mut in_list = false;
    for word in line.split_whitespace() {
        let bare = word.trim_matches(|c: char| !c.is_ascii_alphanumeric());
        if is_id(bare) && in_list {
            ids.push(bare);
        } else if bare != "and" {
            in_list = matches!(bare, "scenario" | "Scenario" | "scenarios" | "Scenarios");
        }
    }
    ids
}

/// A capital letter and two digits.
fn is_id(word: &str) -> bool {
    matches!(word.as_bytes(), [b'A'..=b'Z', b'0'..=b'9', b'0'..=b'9'])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tidy::file;

    #[test]
    fn ids_are_cited_alone_and_in_lists() {
        assert_eq!(cited("/// [Raft 5.4.2] scenario B01"), ["B01"]);
        assert_eq!(
            cited("# (scenarios A16, B02 and C01), not D04"),
            ["A16", "B02", "C01"]
        );
        assert_eq!(
            cited("the scenario of B01; A16"),
            [""; 0],
            "an id alone may be anything"
        );
    }

    #[test]
    fn citation_in_the_code_under_test_is_no_test() {
        let text = "//! scenario A01\n#[cfg(test)]\nmod tests {\n// scenario A02\n}\n";
        let found = citations(&file("crates/core/src/a.rs", text));
        let in_test: Vec<bool> = found.iter().map(|citation| citation.in_test).collect();
        assert_eq!(in_test, [false, true], "{found:?}");
        let script = citations(&file("crates/core/tests/a/b.txt", "# scenario A01\n"));
        assert!(script.iter().all(|citation| citation.in_test), "{script:?}");
    }

    #[test]
    fn list_has_no_id_twice() {
        let files = repo::files(&repo::root()).unwrap();
        let mut ids: Vec<String> = known(&files).into_iter().map(|known| known.id).collect();
        assert!(!ids.is_empty(), "{LIST} is missing");
        let count = ids.len();
        ids.sort();
        ids.dedup();
        assert_eq!(ids.len(), count, "an id names two scenarios");
    }
}
