//! Citations in comments have one form and name a section that exists. The lists of sections are
//! the tables of contents of the two texts.

use super::Finding;
use super::mask::Masked;
use crate::repo::{File, numbered};

/// "In Search of an Understandable Consensus Algorithm", extended version.
const RAFT: [&str; 24] = [
    "1", "2", "3", "4", "5", "5.1", "5.2", "5.3", "5.4", "5.4.1", "5.4.2", "5.4.3", "5.5", "5.6",
    "6", "7", "8", "9", "9.1", "9.2", "9.3", "10", "11", "12",
];

/// "Consensus: Bridging Theory and Practice".
const THESIS: [&str; 75] = [
    "1", "2", "2.1", "2.2", "2.3", "3", "3.1", "3.2", "3.3", "3.4", "3.5", "3.6", "3.6.1", "3.6.2",
    "3.6.3", "3.7", "3.8", "3.9", "3.10", "3.11", "4", "4.1", "4.2", "4.2.1", "4.2.2", "4.2.3",
    "4.2.4", "4.3", "4.4", "4.5", "5", "5.1", "5.1.1", "5.1.2", "5.1.3", "5.2", "5.3", "5.3.1",
    "5.3.2", "5.3.3", "5.4", "5.4.1", "5.4.2", "5.5", "6", "6.1", "6.2", "6.3", "6.4", "6.4.1",
    "6.5", "7", "8", "8.1", "8.2", "8.3", "8.4", "9", "9.1", "9.2", "9.3", "9.4", "9.5", "9.6",
    "9.7", "10", "10.1", "10.1.1", "10.2", "10.2.1", "10.2.2", "10.3", "10.4", "11", "12",
];

/// `[Raft 5.4.2]` or `[Thesis 4.2.1]`, and nothing else that looks like a citation.
pub(crate) fn citations_are_real(file: &File, masked: &Masked) -> Vec<Finding> {
    numbered(&masked.comments)
        .flat_map(|(line, text)| {
            faults(text)
                .into_iter()
                .map(move |what| Finding::new(file, line, what))
        })
        .collect()
}

fn faults(line: &str) -> Vec<String> {
    let mut faults = Vec::new();
    if line.contains('\u{a7}') {
        faults.push("cite as [Raft 5.4.2] or [Thesis 4.2.1], without a section sign".to_owned());
    }
    for (work, sections) in [("Raft", RAFT.as_slice()), ("Thesis", THESIS.as_slice())] {
        for (at, _) in line.match_indices(work) {
            let before = line.get(..at).unwrap_or_default();
            let after = line.get(at + work.len()..).unwrap_or_default();
            faults.extend(fault(work, sections, before, after));
        }
    }
    faults
}

/// What is wrong with the citation of `work` between `before` and `after`, if it is one and
/// something is.
fn fault(work: &str, sections: &[&str], before: &str, after: &str) -> Option<String> {
    let bracketed = before.ends_with('[') && after.starts_with(' ');
    let numbered = after
        .strip_prefix(' ')?
        .starts_with(|c: char| c.is_ascii_digit());
    if !bracketed && !numbered {
        return None;
    }
    let section = after.trim_start().split(']').next().unwrap_or_default();
    if bracketed && after.contains(']') && sections.contains(&section) {
        return None;
    }
    let section: String = section.chars().take_while(|c| !c.is_whitespace()).collect();
    Some(format!(
        "'{work} {section}' is no citation of a section that exists: [{work} n.n]"
    ))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tidy::file;
    use crate::tidy::mask::mask;

    fn found(comment: &str) -> usize {
        let file = file("a.rs", comment);
        citations_are_real(&file, &mask(&file.text)).len()
    }

    #[test]
    fn real_sections_in_brackets_pass() {
        for fine in [
            "// [Raft 5.4.2] and [Thesis 3.10]",
            "//! Raft consensus as a state machine; Raft's terms",
            "// the [Raft] paper",
            "let x = \"[Raft 99]\";",
        ] {
            assert_eq!(found(fine), 0, "{fine}");
        }
    }

    #[test]
    fn sections_that_do_not_exist_and_other_forms_are_found() {
        for wrong in [
            "// [Raft 5.4.9]",
            "// [Thesis 13]",
            "// [Raft figure 8]",
            "// [Raft 5.4.2, 5.4.3]",
            "// see Raft 5.4",
            "// Thesis 4.2.1",
            "// [Thesis 4.2.1",
            "// \u{a7}5.4.2",
        ] {
            assert_eq!(found(wrong), 1, "{wrong}");
        }
    }
}
