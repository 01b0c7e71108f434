//! Runs the scripts of `tests/interaction`: commands, and the history they are expected to cause.
//! `UPDATE=1` writes down what happens instead; the difference is then reviewed. What the
//! commands mean is in `script.rs`.

use std::fs;
use std::path::{Path, PathBuf};

use super::script::Script;

/// Stands between the commands of a block and what they cause.
const DIVIDER: &str = "----";

/// Every script says what happens, to the letter.
#[test]
fn interaction_scripts_cause_what_they_say() {
    let is_update = std::env::var_os("UPDATE").is_some();
    let mut wrong = Vec::new();
    let paths = scripts();
    assert!(!paths.is_empty(), "a runner without scripts proves nothing");
    for path in paths {
        let expected = fs::read_to_string(&path).unwrap();
        let actual = run(&expected, &path);
        if is_update {
            fs::write(&path, &actual).unwrap();
        } else if actual != expected {
            wrong.push(format!(
                "{}:\n{}",
                path.display(),
                first_difference(&expected, &actual)
            ));
        }
    }
    assert!(
        wrong.is_empty(),
        "{}\nReview with UPDATE=1 and a diff.",
        wrong.join("\n")
    );
}

/// Every script opens with what it shows, and names the rule it is there for.
#[test]
fn interaction_scripts_say_what_they_show() {
    for path in scripts() {
        let text = fs::read_to_string(&path).unwrap();
        let opening: Vec<&str> = text
            .lines()
            .take_while(|line| line.starts_with('#'))
            .collect();
        let names_a_rule = |line: &&str| {
            ["Scenario", "[Raft ", "[Thesis "]
                .iter()
                .any(|rule| line.contains(rule))
        };
        assert!(
            opening.len() >= 2,
            "{} does not say what it shows",
            path.display()
        );
        assert!(
            opening.iter().any(names_a_rule),
            "{} cites no rule",
            path.display()
        );
    }
}

fn scripts() -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/interaction");
    let files = fs::read_dir(folder)
        .unwrap()
        .map(|file| file.unwrap().path());
    let mut scripts: Vec<PathBuf> = files
        .filter(|path| path.extension().is_some_and(|extension| extension == "txt"))
        .collect();
    scripts.sort();
    scripts
}

/// Runs one script; the same script with what actually happened.
fn run(text: &str, path: &Path) -> String {
    let mut script = Script::default();
    let mut blocks = Vec::new();
    for block in text
        .split("\n\n")
        .map(str::trim)
        .filter(|block| !block.is_empty())
    {
        let commands = block.lines().take_while(|line| *line != DIVIDER);
        let mut actual: Vec<String> = commands.map(str::to_owned).collect();
        if actual.iter().any(|line| !line.starts_with('#')) {
            let mut caused = Vec::new();
            for command in actual.iter().filter(|line| !line.starts_with('#')) {
                let lines = script.run(command);
                let lines = lines.unwrap_or_else(|| panic!("{}: {command}?", path.display()));
                caused.extend(lines);
            }
            if caused.is_empty() {
                caused.push("ok".to_owned());
            }
            actual.push(DIVIDER.to_owned());
            actual.extend(caused);
        }
        blocks.push(actual.join("\n"));
    }
    blocks.join("\n\n") + "\n"
}

fn first_difference(expected: &str, actual: &str) -> String {
    let line = expected
        .lines()
        .zip(actual.lines())
        .position(|(a, b)| a != b);
    let line = line.unwrap_or_else(|| expected.lines().count().min(actual.lines().count()));
    let at = |text: &str| {
        text.lines()
            .nth(line)
            .unwrap_or("(the end)")
            .trim_end()
            .to_owned()
    };
    format!(
        "  line {}\n  expected  {}\n  actual    {}",
        line + 1,
        at(expected),
        at(actual)
    )
}
