//! Finds where scenarios are cited, and the name of the test that does. Knows how citations look
//! and where tests are; knows nothing of the list.

use super::list::is_id;
use crate::repo::File;
use crate::tidy::functions::functions;
use crate::tidy::mask::mask;

/// A place that names a scenario.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Citation {
    pub(crate) id: String,
    pub(crate) line: usize,
    /// Of the test, or whatever else the citation is about: a script, a check, a file.
    pub(crate) name: String,
    /// Whether it stands in a test, and not only in the code that the test is about.
    pub(crate) in_test: bool,
}

/// Every mention of the form "scenario A16" or "scenarios A16, B02 and C01".
pub(crate) fn citations(file: &File) -> Vec<Citation> {
    let mut found = Vec::new();
    // The chores cite examples.
    if file.path.starts_with("xtask/") {
        return found;
    }
    let mut in_test = is_test(&file.path);
    let mut in_list = false;
    for (line, text) in file.lines() {
        in_test |= file.is_rust() && text.trim_start().starts_with("#[cfg(test)]");
        for id in cited(text, &mut in_list) {
            found.push(Citation {
                id: id.to_owned(),
                line,
                name: String::new(),
                in_test,
            });
        }
    }
    name(file, &mut found);
    found
}

/// Whether all of the file is test: what the simulator checks on every seed counts as tested.
fn is_test(path: &str) -> bool {
    path.contains("/tests/")
        || path.starts_with("e2e/")
        || path.starts_with("crates/sim/")
        || stem(path) == "tests"
}

/// The name of the file without folder and ending.
fn stem(path: &str) -> &str {
    let name = path.rsplit('/').next().unwrap_or(path);
    name.split('.').next().unwrap_or(name)
}

/// The ids cited in a line. A list that a line leaves open with a comma or "and" goes on in the
/// next one, which `in_list` tells.
fn cited<'a>(line: &'a str, in_list: &mut bool) -> Vec<&'a str> {
    let mut ids = Vec::new();
    let mut is_open = false;
    for word in line.split_whitespace() {
        let bare = word.trim_matches(|c: char| !c.is_ascii_alphanumeric());
        let is_cited = is_id(bare) && *in_list;
        if is_cited {
            ids.push(bare);
        // Comment marks are no words.
        } else if bare != "and" && !bare.is_empty() {
            *in_list = matches!(bare, "scenario" | "Scenario" | "scenarios" | "Scenarios");
        }
        is_open = *in_list && (!is_cited || word.ends_with(','));
    }
    *in_list &= is_open;
    ids
}

/// Names what each citation is about: in Rust the function it stands in or the item below it,
/// elsewhere the file.
fn name(file: &File, citations: &mut [Citation]) {
    if citations.is_empty() {
        return;
    }
    let code = if file.is_rust() {
        mask(&file.text).code
    } else {
        String::new()
    };
    let functions = functions(&code);
    for citation in citations {
        let line = citation.line;
        let around = functions
            .iter()
            .rfind(|function| (function.line..function.line + function.lines).contains(&line));
        let name = around
            .map(|function| function.name)
            .or_else(|| below(file, line))
            .unwrap_or_else(|| stem(&file.path));
        citation.name = name.to_owned();
    }
}

/// The name of the item that the comment in `line` of a Rust file is about.
fn below(file: &File, line: usize) -> Option<&str> {
    let mut lines = file.text.lines().skip(line - 1).map(str::trim_start);
    if !file.is_rust() || lines.next()?.starts_with("//!") {
        return None;
    }
    let is_item = |line: &&str| !line.starts_with("//") && !line.starts_with("#[");
    let item = lines.find(is_item)?;
    item.split(|c: char| !c.is_alphanumeric() && c != '_')
        .find(|word| !word.is_empty() && !KEYWORDS.contains(word))
}

/// What may stand before the name of an item.
const KEYWORDS: [&str; 12] = [
    "pub", "crate", "super", "async", "const", "fn", "struct", "enum", "mod", "static", "trait",
    "type",
];

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tidy::file;

    fn ids(path: &str, text: &str) -> Vec<String> {
        let found = citations(&file(path, text));
        found.into_iter().map(|citation| citation.id).collect()
    }

    #[test]
    fn ids_are_cited_alone_and_in_lists() {
        let ids = |text| ids("a.rs", text);
        assert_eq!(ids("/// [Raft 5.4.2] scenario B01"), ["B01"]);
        assert_eq!(
            ids("# (scenarios A16, B02 and C01), not D04"),
            ["A16", "B02", "C01"]
        );
        assert_eq!(
            ids("the scenario of B01; A16"),
            [""; 0],
            "an id alone may be anything"
        );
    }

    #[test]
    fn list_that_a_line_leaves_open_goes_on_in_the_next() {
        let ids = |text| ids("a.rs", text);
        assert_eq!(
            ids("//! x (scenarios E01,\n//! E02, E15).\n"),
            ["E01", "E02", "E15"]
        );
        assert_eq!(ids("// a scenario\n// B01 is one\n"), ["B01"]);
        assert_eq!(ids("// scenarios A01 and\n// A02\n"), ["A01", "A02"]);
        assert_eq!(
            ids("// scenario A01\n// A02 is no list\n// scenario A03, but\n// A04 is not\n"),
            ["A01", "A03"]
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
    fn citation_is_named_after_the_test_it_is_about() {
        for (path, text, name) in [
            ("a/b.txt", "# scenario A01\n", "b"),
            ("e2e/b.py", "# scenario A01\n", "b"),
            ("b.rs", "//! scenario A01\nfn f() {}\n", "b"),
            (
                "b.rs",
                "/// Scenario A01\n/// more\n#[test]\nfn f() {}\n",
                "f",
            ),
            ("b.rs", "// scenario A01\npub(crate) async fn f() {}\n", "f"),
            ("b.rs", "fn f() {\n    // scenario A01\n    g();\n}\n", "f"),
            ("b.rs", "enum A {\n    /// Scenario A01\n    B,\n}\n", "B"),
            ("b.rs", "// scenario A01\n", "b"),
        ] {
            let found = citations(&file(path, text));
            let names: Vec<&str> = found.iter().map(|cited| cited.name.as_str()).collect();
            assert_eq!(names, [name], "{text}");
        }
    }
}
