//! Rules that need more than one file: what one file says of another has to be true.

use super::Finding;
use crate::repo::File;
use crate::{mutants, scenarios};

fn named<'a>(files: &'a [File], path: &str) -> Option<&'a File> {
    files.iter().find(|file| file.path == path)
}

/// The oldest compiler that builds the project stands in `Cargo.toml`; the README repeats it.
pub(crate) fn readme_quotes_the_msrv(files: &[File]) -> Vec<Finding> {
    let (Some(readme), Some(manifest)) = (named(files, "README.md"), named(files, "Cargo.toml"))
    else {
        return Vec::new();
    };
    let Some(msrv) = manifest.text.lines().find_map(|line| {
        line.strip_prefix("rust-version = ")
            .map(|version| version.trim_matches('"'))
    }) else {
        return vec![Finding::new(manifest, 1, "no rust-version")];
    };
    let mut quoted = false;
    let mut findings = Vec::new();
    for (number, line) in readme.lines().filter(|(_, line)| line.contains("Rust")) {
        let words = line.split(|c: char| !c.is_ascii_digit() && c != '.');
        for version in words
            .map(|word| word.trim_matches('.'))
            .filter(|w| w.starts_with("1."))
        {
            if version == msrv {
                quoted = true;
            } else {
                findings.push(Finding::new(readme, number, format!("the MSRV is {msrv}")));
            }
        }
    }
    if !quoted && findings.is_empty() {
        findings.push(Finding::new(
            readme,
            1,
            format!("say that Rust {msrv} is needed"),
        ));
    }
    findings
}

/// A test that cites a scenario nobody wrote down proves nothing.
pub(crate) fn cited_scenarios_exist(files: &[File]) -> Vec<Finding> {
    let known = scenarios::known(files);
    scenarios::unknown(files, &known)
        .into_iter()
        .map(|(file, citation)| {
            let what = format!("{} is not in {}", citation.id, scenarios::LIST);
            Finding::new(file, citation.line, what)
        })
        .collect()
}

/// A list that cannot be read would leave every scenario without an owner.
pub(crate) fn scenarios_are_readable(files: &[File]) -> Vec<Finding> {
    let list = named(files, scenarios::LIST);
    let fault = |list| {
        let (line, what) = scenarios::parse(list).err()?;
        Some(Finding::new(list, line, what))
    };
    list.and_then(fault).into_iter().collect()
}

/// A test that the list says is there must not be lost, nor one that is due be forgotten.
pub(crate) fn due_scenarios_are_tested(files: &[File]) -> Vec<Finding> {
    let Some(list) = named(files, scenarios::LIST) else {
        return Vec::new();
    };
    let known = scenarios::known(files);
    let missing = scenarios::missing(&known, &scenarios::Tests::of(files));
    missing
        .into_iter()
        .map(|(scenario, part)| {
            let what = format!("{} is due and has no test of the {part}", scenario.id);
            Finding::new(list, scenario.line, what)
        })
        .collect()
}

/// A mutant whose text is gone would be reported as a mistake that nobody can make any more, and an
/// id that two have would say of both what is true of one.
pub(crate) fn mutants_apply(files: &[File]) -> Vec<Finding> {
    let (mut findings, mut all) = (Vec::new(), Vec::new());
    for list in files.iter().filter(|file| mutants::is_list(&file.path)) {
        match mutants::parse(list) {
            Ok(mutants) => all.extend(mutants),
            Err((line, what)) => findings.push(Finding::new(list, line, what)),
        }
    }
    let unfit = all.iter().filter_map(|mutant| {
        let text = named(files, &mutant.file).map(|file| file.text.as_str());
        let fault = mutant.apply(text.unwrap_or_default()).err()?;
        Some((mutant, fault.to_string()))
    });
    let faults = unfit.chain(mutants::repetitions(&all));
    findings.extend(faults.filter_map(|(mutant, what)| {
        let list = named(files, &mutant.list)?;
        Some(Finding::new(list, mutant.line, what))
    }));
    findings
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tidy::file;

    #[test]
    fn readme_with_another_msrv_or_none_is_found() {
        let manifest = || {
            file(
                "Cargo.toml",
                "[workspace.package]\nrust-version = \"1.95\"\n",
            )
        };
        let found =
            |readme: &str| readme_quotes_the_msrv(&[manifest(), file("README.md", readme)]).len();
        assert_eq!(found("# Q\nNeeds Rust 1.95.\n"), 0);
        assert_eq!(
            found("# Q\nA Rust toolchain (1.95 or newer).\nFor 1.2 users.\n"),
            0
        );
        assert_eq!(found("# Q\nNeeds Rust 1.94.\n"), 1);
        assert_eq!(found("# Q\nNeeds Rust 1.95, or Rust 1.9.\n"), 1);
        assert_eq!(found("# Q\n"), 1);
    }

    #[test]
    fn scenario_that_is_not_listed_is_found() {
        let list = file(scenarios::LIST, "A01 due - - - vote durable first\n");
        let fine = file("a.rs", "//! scenario A01\n");
        let wrong = file("b.rs", "//! scenario A02\n");
        let findings = cited_scenarios_exist(&[list, fine, wrong]);
        assert_eq!(findings.len(), 1, "{findings:?}");
    }

    #[test]
    fn scenario_that_nobody_owes_is_found() {
        let found = |text| scenarios_are_readable(&[file(scenarios::LIST, text)]);
        assert_eq!(found("A01 due - - - vote durable first\n"), []);
        let findings = found("A01 due - - - vote durable first\nA02 own vote too\n");
        assert_eq!(findings.len(), 1, "{findings:?}");
        assert_eq!(findings[0].line, 2);
    }

    #[test]
    fn scenario_that_is_due_and_not_tested_is_found() {
        let list = "A01 due - later - vote durable first\n";
        let found = |path| {
            let cites = file(path, "//! scenario A01\n");
            due_scenarios_are_tested(&[file(scenarios::LIST, list), cites]).len()
        };
        assert_eq!(found("crates/core/tests/a.rs"), 0);
        assert_eq!(found("crates/core/src/a.rs"), 1);
        assert_eq!(found("crates/log/tests/a.rs"), 1);
    }

    #[test]
    fn mutant_whose_text_is_gone_or_doubled_is_found() {
        let list = "[m]\nid = P1\nfile = a.rs\nwhy = w\n--- find\nx\n--- replace\ny\n--- end\n";
        let found =
            |text: &str| mutants_apply(&[file("mutants/p.txt", list), file("a.rs", text)]).len();
        assert_eq!(found("a\nx\n"), 0);
        assert_eq!(found("a\n"), 1);
        assert_eq!(found("x\nx\n"), 1);
    }

    #[test]
    fn mutant_with_the_id_of_another_is_found() {
        let list = |path, name: &str, id: &str| {
            let head = format!("[{name}]\nid = {id}\nfile = a.rs\nwhy = w\n");
            file(
                path,
                &format!("{head}--- find\nx\n--- replace\ny\n--- end\n"),
            )
        };
        let found = |id| {
            let lists = [
                list("mutants/p.txt", "m", "P1"),
                list("mutants/q.txt", "n", id),
            ];
            let [p, q] = lists;
            mutants_apply(&[p, q, file("a.rs", "x\n")])
        };
        assert_eq!(found("P2"), []);
        let findings = found("P1");
        assert_eq!(findings.len(), 1, "{findings:?}");
        assert!(findings[0].to_string().starts_with("mutants/q.txt:1: "));
    }
}
