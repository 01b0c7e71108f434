//! What the project depends on: licences, sources and crates that must not come in. The same
//! lists stand in `deny.toml` for those who run cargo-deny; here they need nothing installed.

use std::path::Path;
use std::process::Command;

use crate::command::{cargo, output_of};
use crate::failure::{Failure, Result};

const LICENCES: [&str; 10] = [
    "0BSD",
    "Apache-2.0",
    "BSD-2-Clause",
    "BSD-3-Clause",
    "BSL-1.0",
    "ISC",
    "MIT",
    "Unicode-3.0",
    "Unlicense",
    "Zlib",
];

/// With why: a build that needs more than a Rust toolchain and a C compiler fails on somebody's
/// machine, and the rest are decisions of the design.
const BANNED: [(&str, &str); 8] = [
    ("bindgen", "needs libclang to build"),
    ("cmake", "needs cmake to build"),
    ("native-tls", "ties the build to the system's OpenSSL"),
    ("openssl-sys", "ties the build to the system's OpenSSL"),
    (
        "opentelemetry",
        "the library emits tracing events; exporters are the user's",
    ),
    ("prost-build", "needs protoc to build"),
    ("rand", "one source of randomness is enough: fastrand"),
    ("async-std", "one runtime is enough: tokio"),
];

/// All that the engine may be built from at run time: nothing here does I/O, reads a clock or
/// asks the operating system for randomness (fastrand is only ever seeded).
const CORE: [&str; 5] = [
    "bytes",
    "fastrand",
    "quorate-core",
    "thiserror",
    "thiserror-impl",
];

/// Runs all three checks.
pub(crate) fn run(root: &Path) -> Result<()> {
    let everything = tree(
        root,
        &[
            "--workspace",
            "--target",
            "all",
            "--edges",
            "normal,build,dev",
        ],
    )?;
    let mut faults: Vec<String> = everything.iter().filter_map(fault_of).collect();
    let lock = root.join("Cargo.lock");
    let lock = std::fs::read_to_string(&lock).map_err(Failure::at(&lock))?;
    faults.extend(foreign_sources(&lock));
    // Derive macros run in the compiler and leave nothing of themselves behind.
    let core = tree(
        root,
        &["-p", "quorate-core", "--edges", "normal,no-proc-macro"],
    )?;
    faults.extend(
        core.iter()
            .filter(|package| !CORE.contains(&package.name.as_str()))
            .map(|package| format!("{} must not reach quorate-core", package.name)),
    );
    if faults.is_empty() {
        println!(
            "{} packages, all with known licences and sources",
            everything.len()
        );
        return Ok(());
    }
    Err(Failure::new(faults.join("\n")))
}

#[derive(PartialEq, Eq, PartialOrd, Ord)]
struct Package {
    name: String,
    licence: String,
}

fn tree(root: &Path, args: &[&str]) -> Result<Vec<Package>> {
    let text = output_of(
        Command::new(cargo())
            .args(["tree", "--quiet", "--prefix", "none", "--format", "{p}|{l}"])
            .args(args)
            .current_dir(root),
    )?;
    let mut packages: Vec<Package> = text.lines().filter_map(package).collect();
    packages.sort();
    packages.dedup();
    Ok(packages)
}

fn package(line: &str) -> Option<Package> {
    let (package, licence) = line.split_once('|')?;
    let name = package.split(' ').next()?;
    // A package seen before is marked with a star.
    let licence = licence.trim_end_matches("(*)").trim();
    Some(Package {
        name: name.to_owned(),
        licence: licence.to_owned(),
    })
}

fn fault_of(package: &Package) -> Option<String> {
    if let Some((name, why)) = BANNED.iter().find(|(name, _)| package.name == *name) {
        return Some(format!("{name} is banned: {why}"));
    }
    if !is_allowed(&package.licence) {
        return Some(format!(
            "{}: licence '{}' is not allowed",
            package.name, package.licence
        ));
    }
    None
}

/// Whether an SPDX expression can be met with the allowed licences alone.
fn is_allowed(expression: &str) -> bool {
    let spaced = expression
        .replace('(', " ( ")
        .replace(')', " ) ")
        .replace('/', " OR ");
    let tokens: Vec<&str> = spaced.split_whitespace().collect();
    let mut rest = tokens.as_slice();
    any_of(&mut rest) && rest.is_empty()
}

fn any_of(tokens: &mut &[&str]) -> bool {
    let mut allowed = all_of(tokens);
    while skip(tokens, "OR") {
        allowed |= all_of(tokens);
    }
    allowed
}

fn all_of(tokens: &mut &[&str]) -> bool {
    let mut allowed = one(tokens);
    while skip(tokens, "AND") {
        allowed &= one(tokens);
    }
    allowed
}

fn one(tokens: &mut &[&str]) -> bool {
    if skip(tokens, "(") {
        let allowed = any_of(tokens);
        return skip(tokens, ")") && allowed;
    }
    let Some((licence, rest)) = tokens.split_first() else {
        return false;
    };
    *tokens = rest;
    // An exception only ever permits more.
    if skip(tokens, "WITH") {
        *tokens = tokens.get(1..).unwrap_or_default();
    }
    LICENCES.contains(licence)
}

fn skip(tokens: &mut &[&str], token: &str) -> bool {
    match tokens.split_first() {
        Some((first, rest)) if *first == token => {
            *tokens = rest;
            true
        }
        _ => false,
    }
}

/// Lines of the lock file that name a source other than the public registry.
fn foreign_sources(lock: &str) -> Vec<String> {
    lock.lines()
        .filter_map(|line| line.strip_prefix("source = "))
        .filter(|source| !source.trim_matches('"').ends_with("/crates.io-index"))
        .map(|source| format!("Cargo.lock: {source} is not the public registry"))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn expression_is_allowed_only_if_one_alternative_is_wholly_allowed() {
        for allowed in [
            "MIT",
            "MIT/Apache-2.0",
            "GPL-3.0 OR MIT",
            "(MIT OR X) AND ISC",
        ] {
            assert!(is_allowed(allowed), "{allowed} can be met");
        }
        assert!(
            is_allowed("Apache-2.0 WITH LLVM-exception OR X"),
            "an exception permits more"
        );
        for refused in [
            "",
            "GPL-3.0",
            "MIT AND GPL-3.0",
            "(MIT OR X) AND X",
            "(MIT",
            "MIT ISC",
        ] {
            assert!(!is_allowed(refused), "{refused} cannot be met");
        }
    }

    #[test]
    fn banned_crate_is_a_fault_whatever_its_licence() {
        let package = package("opentelemetry v0.1.0|MIT (*)").unwrap();
        assert!(fault_of(&package).unwrap().contains("banned"));
    }

    #[test]
    fn git_source_is_foreign() {
        let lock = "source = \"git+https://example.org/x\"\n\
                    source = \"registry+https://github.com/rust-lang/crates.io-index\"\n";
        assert_eq!(
            foreign_sources(lock).len(),
            1,
            "only the git source is foreign"
        );
    }
}
