//! Rules about the shape of Rust files: purpose, length, and what must not be left in code.

use super::Finding;
use super::functions::functions;
use super::mask::Masked;
use crate::repo::{File, numbered};

const FILE_LINES_MAX: usize = 500;
const FUNCTION_LINES_MAX: usize = 70;
const COLUMNS_MAX: usize = 100;

/// A reader learns what a file holds before reading it.
pub(crate) fn opens_with_its_purpose(file: &File, _: &Masked) -> Vec<Finding> {
    if file.text.starts_with("//!") {
        return Vec::new();
    }
    vec![Finding::new(
        file,
        1,
        "a file opens with //! and what it holds",
    )]
}

/// A file holds one concept.
pub(crate) fn file_is_short(file: &File, _: &Masked) -> Vec<Finding> {
    let lines = file.text.lines().count();
    if lines <= FILE_LINES_MAX {
        return Vec::new();
    }
    vec![Finding::new(
        file,
        lines,
        format!("{lines} lines, the limit is {FILE_LINES_MAX}"),
    )]
}

/// A function fits on a screen.
pub(crate) fn functions_are_short(file: &File, masked: &Masked) -> Vec<Finding> {
    functions(&masked.code)
        .into_iter()
        .filter(|function| function.lines > FUNCTION_LINES_MAX)
        .map(|function| {
            let what = format!(
                "fn {} has {} lines, the limit is {FUNCTION_LINES_MAX}",
                function.name, function.lines
            );
            Finding::new(file, function.line, what)
        })
        .collect()
}

/// Two files fit side by side. rustfmt leaves comments and strings alone; this does not.
pub(crate) fn lines_are_short(file: &File, _: &Masked) -> Vec<Finding> {
    file.lines()
        .filter(|(_, line)| !line.contains("://"))
        .map(|(number, line)| (number, line.chars().count()))
        .filter(|(_, columns)| *columns > COLUMNS_MAX)
        .map(|(number, columns)| Finding::new(file, number, format!("{columns} columns")))
        .collect()
}

/// `expect` complains when its reason is gone; `allow` stays for ever.
pub(crate) fn no_bare_allow(file: &File, masked: &Masked) -> Vec<Finding> {
    lines_with(
        file,
        masked,
        &["#[allow(", "#![allow("],
        "use #[expect(.., reason = \"..\")]",
    )
}

/// Code that says it is not finished is not finished.
pub(crate) fn no_unfinished_code(file: &File, masked: &Masked) -> Vec<Finding> {
    lines_with(
        file,
        masked,
        &["todo!(", "unimplemented!("],
        "unfinished code",
    )
}

fn lines_with(file: &File, masked: &Masked, wanted: &[&str], what: &str) -> Vec<Finding> {
    numbered(&masked.code)
        .filter(|(_, line)| {
            let dense: String = line.chars().filter(|c| !c.is_whitespace()).collect();
            wanted.iter().any(|text| dense.contains(text))
        })
        .map(|(number, _)| Finding::new(file, number, what))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tidy::file;
    use crate::tidy::mask::mask;

    type Rule = fn(&File, &Masked) -> Vec<Finding>;

    fn found(rule: Rule, text: &str) -> Vec<usize> {
        let file = file("a.rs", text);
        rule(&file, &mask(&file.text))
            .into_iter()
            .map(|finding| finding.line)
            .collect()
    }

    #[test]
    fn file_without_a_purpose_is_found() {
        assert_eq!(found(opens_with_its_purpose, "// no\n"), [1]);
        assert_eq!(found(opens_with_its_purpose, "//! Holds a test.\n"), [0; 0]);
    }

    #[test]
    fn file_of_501_lines_is_found() {
        assert_eq!(found(file_is_short, &"x\n".repeat(501)), [501]);
        assert_eq!(found(file_is_short, &"x\n".repeat(500)), [0; 0]);
    }

    #[test]
    fn function_of_71_lines_is_found() {
        let long = format!("\nfn f() {{\n{}}}\n", "x;\n".repeat(69));
        assert_eq!(found(functions_are_short, &long), [2]);
        let short = format!("\nfn f() {{\n{}}}\n", "x;\n".repeat(68));
        assert_eq!(found(functions_are_short, &short), [0; 0]);
    }

    #[test]
    fn line_of_101_columns_is_found_unless_it_holds_an_address() {
        assert_eq!(
            found(lines_are_short, &format!("a\n{}\n", "\u{e9}".repeat(101))),
            [2]
        );
        assert_eq!(found(lines_are_short, &"\u{e9}".repeat(100)), [0; 0]);
        let address = format!("// https://example.org/{}", "a".repeat(100));
        assert_eq!(found(lines_are_short, &address), [0; 0]);
    }

    #[test]
    fn allow_is_found_in_code_only() {
        assert_eq!(
            found(no_bare_allow, "\n#[ allow(x)]\n#![allow(y)]\n"),
            [2, 3]
        );
        assert_eq!(
            found(
                no_bare_allow,
                "// #[allow(x)]\n\"#[allow(x)]\";\n#[expect(x)]\n"
            ),
            [0; 0]
        );
    }

    #[test]
    fn unfinished_code_is_found() {
        assert_eq!(
            found(no_unfinished_code, "a;\ntodo!();\nunimplemented!(\"x\");\n"),
            [2, 3]
        );
    }
}
