//! Rules about text of any kind: prose, scripts, configuration and code.

use super::Finding;
use super::mask::mask;
use crate::repo::{File, numbered};

/// Put together here, so that this file does not find itself.
const LEFTOVERS: [&str; 4] = [
    concat!("TO", "DO"),
    concat!("FIX", "ME"),
    concat!("XX", "X"),
    concat!("HA", "CK"),
];

/// Folders that exist on one machine only.
const MACHINE_FOLDERS: [&str; 4] = [
    concat!("/ro", "ot/"),
    concat!("/ho", "me/"),
    concat!("/Use", "rs/"),
    concat!("/us", "r/local/"),
];

/// What is not finished stands in the tracker, with somebody's name on it. The contents of Rust
/// strings are data and may say what they like.
pub(crate) fn no_leftovers(file: &File) -> Vec<Finding> {
    if !file.is_rust() {
        return leftovers(file, &file.text);
    }
    let masked = mask(&file.text);
    let mut findings = leftovers(file, &masked.code);
    findings.extend(leftovers(file, &masked.comments));
    findings
}

fn leftovers(file: &File, text: &str) -> Vec<Finding> {
    numbered(text)
        .filter_map(|(number, line)| {
            let mut words = line.split(|c: char| !c.is_alphanumeric() && c != '_');
            words
                .find(|word| LEFTOVERS.contains(word))
                .map(|word| Finding::new(file, number, format!("{word} was left behind")))
        })
        .collect()
}

/// A path into one person's machine works nowhere else.
pub(crate) fn no_absolute_paths(file: &File) -> Vec<Finding> {
    file.lines()
        .filter_map(|(number, line)| {
            let folder = MACHINE_FOLDERS.iter().find(|folder| names(line, folder))?;
            Some(Finding::new(
                file,
                number,
                format!("{folder} exists on one machine only"),
            ))
        })
        .collect()
}

/// Whether `line` holds `folder` at the start of a path, and not inside a relative one.
fn names(line: &str, folder: &str) -> bool {
    line.match_indices(folder).any(|(at, _)| {
        let before = line.get(..at).and_then(|before| before.chars().next_back());
        !before.is_some_and(|c| c.is_alphanumeric() || matches!(c, '.' | '_' | '-' | '}' | '*'))
    })
}

/// One page, one title.
pub(crate) fn one_title_per_markdown(file: &File) -> Vec<Finding> {
    if !file.is_markdown() {
        return Vec::new();
    }
    let mut in_code = false;
    let mut titles = Vec::new();
    for (number, line) in file.lines() {
        if line.trim_start().starts_with("```") {
            in_code = !in_code;
        } else if !in_code && line.starts_with("# ") {
            titles.push(number);
        }
    }
    match titles.as_slice() {
        [_] => Vec::new(),
        [] => vec![Finding::new(
            file,
            1,
            "a page has one # title, this has none",
        )],
        [_, second, ..] => vec![Finding::new(file, *second, "a second # title")],
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tidy::file;

    fn lines(findings: Vec<Finding>) -> Vec<usize> {
        findings.into_iter().map(|finding| finding.line).collect()
    }

    #[test]
    fn leftovers_are_found_as_whole_words() {
        for word in LEFTOVERS {
            let rust = file("a.rs", &format!("//! A.\n// {word}: later\n"));
            assert_eq!(lines(no_leftovers(&rust)), [2], "{word}");
            let script = file("run", &format!("# {word}\n"));
            assert_eq!(lines(no_leftovers(&script)), [1], "{word}");
            let longer = file("run", &format!("# MKS{word}\n"));
            assert_eq!(
                lines(no_leftovers(&longer)),
                [0; 0],
                "{word} is part of another word"
            );
        }
    }

    #[test]
    fn folders_of_one_machine_are_found() {
        for folder in MACHINE_FOLDERS {
            assert_eq!(
                lines(no_absolute_paths(&file("a", &format!("\ncd {folder}x")))),
                [2]
            );
            assert_eq!(
                lines(no_absolute_paths(&file("a", &format!("a{folder}x")))),
                [0; 0]
            );
        }
    }

    #[test]
    fn page_without_exactly_one_title_is_found() {
        let titled = |text: &str| lines(one_title_per_markdown(&file("a.md", text)));
        assert_eq!(titled("# A\n\n```sh\n# comment\n```\n## B\n"), [0; 0]);
        assert_eq!(titled("# A\n# B\n"), [2]);
        assert_eq!(titled("text\n"), [1]);
    }
}
