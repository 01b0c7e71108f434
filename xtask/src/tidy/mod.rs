//! House rules that no compiler checks. Holds the list of rules and runs it, as a chore and as a
//! test; a rule is a small function in one of the files beside this one.

mod citations;
pub(crate) mod functions;
pub(crate) mod mask;
mod project;
mod rust;
mod text;

use std::fmt;
use std::path::Path;

use self::mask::Masked;
use crate::failure::{Failure, Result};
use crate::repo::{self, File};

/// A place where a rule is broken.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Finding {
    path: String,
    line: usize,
    what: String,
}

impl Finding {
    pub(crate) fn new(file: &File, line: usize, what: impl Into<String>) -> Self {
        Self {
            path: file.path.clone(),
            line,
            what: what.into(),
        }
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}: {}", self.path, self.line, self.what)
    }
}

type TextRule = fn(&File) -> Vec<Finding>;
type RustRule = fn(&File, &Masked) -> Vec<Finding>;
type ProjectRule = fn(&[File]) -> Vec<Finding>;

const TEXT_RULES: [TextRule; 3] = [
    text::no_leftovers,
    text::no_absolute_paths,
    text::one_title_per_markdown,
];

const RUST_RULES: [RustRule; 7] = [
    rust::opens_with_its_purpose,
    rust::file_is_short,
    rust::functions_are_short,
    rust::lines_are_short,
    rust::no_bare_allow,
    rust::no_unfinished_code,
    citations::citations_are_real,
];

const PROJECT_RULES: [ProjectRule; 5] = [
    project::readme_quotes_the_msrv,
    project::cited_scenarios_exist,
    project::scenarios_are_readable,
    project::due_scenarios_are_tested,
    project::mutants_apply,
];

/// Prints every finding; fails if there is one.
pub(crate) fn run(root: &Path) -> Result<()> {
    let files = repo::files(root)?;
    let findings = findings(&files);
    for finding in &findings {
        println!("{finding}");
    }
    if findings.is_empty() {
        println!("{} files are tidy", files.len());
        return Ok(());
    }
    Err(Failure::new(format!("{} findings", findings.len())))
}

fn findings(files: &[File]) -> Vec<Finding> {
    let mut findings = Vec::new();
    for file in files {
        findings.extend(TEXT_RULES.iter().flat_map(|rule| rule(file)));
        if file.is_rust() {
            let masked = mask::mask(&file.text);
            findings.extend(RUST_RULES.iter().flat_map(|rule| rule(file, &masked)));
        }
    }
    findings.extend(PROJECT_RULES.iter().flat_map(|rule| rule(files)));
    findings.sort_by(|a, b| (&a.path, a.line).cmp(&(&b.path, b.line)));
    findings
}

#[cfg(test)]
pub(crate) fn file(path: &str, text: &str) -> File {
    File {
        path: path.to_owned(),
        text: text.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn repository_keeps_the_house_rules() {
        let findings = findings(&repo::files(&repo::root()).unwrap());
        let list: Vec<String> = findings.iter().map(ToString::to_string).collect();
        assert!(
            list.is_empty(),
            "house rules are broken:\n{}",
            list.join("\n")
        );
    }

    #[test]
    fn every_kind_of_rule_is_run() {
        let bad = [
            file("src/a.rs", "fn f() {}\n"),
            file("a.md", "# One\n# Two\n"),
            file("tests/b.rs", "//! Holds a test. scenario Z99\n"),
        ];
        let paths: Vec<String> = findings(&bad).into_iter().map(|found| found.path).collect();
        for path in ["src/a.rs", "a.md", "tests/b.rs"] {
            assert!(
                paths.iter().any(|found| found == path),
                "{path} went unnoticed: {paths:?}"
            );
        }
    }
}
