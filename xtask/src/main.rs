//! The project's own chores, run as `cargo xtask NAME`. Holds the list of chores and nothing
//! else: what a chore does is in the file or folder of its name.

mod bench;
mod check;
mod command;
mod e2e;
mod failure;
mod mutants;
mod repo;
mod scenarios;
mod supply;
mod tidy;

use std::process::ExitCode;

use crate::failure::{Failure, Result};

const USAGE: &str = "\
usage: cargo xtask CHORE

  check [--quick | --after-tests]
                           the whole gate; --quick leaves out simulator, demo and
                           end-to-end checks, --after-tests what `cargo test` does
  tidy                     house rules that no compiler checks
  supply                   licences, sources and banned crates of all dependencies
  scenarios                which scenario is tested where, and who owes the rest;
                           fails if a test is due that is not there
  mutants [--only NAME]... [--list] [--fresh] [--keep-kills] [--known]
          [--table FILE]
                           plant one mistake at a time and see that the tests find it;
                           results are kept for a tree, --keep-kills takes the kills of
                           earlier trees, --known tries none anew, --table
                           writes the page in docs/
  e2e [NAME]...            the checks in e2e/ against release binaries
  bench quick              write latency and group commit of a three-node cluster";

fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().skip(1).collect();
    match run(&args) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            eprintln!("xtask: {failure}");
            ExitCode::FAILURE
        }
    }
}

fn run(args: &[String]) -> Result<()> {
    let Some((chore, rest)) = args.split_first() else {
        return Err(Failure::new(USAGE));
    };
    let root = repo::root();
    match chore.as_str() {
        "check" => check::run(&root, rest),
        "tidy" => tidy::run(&root),
        "supply" => supply::run(&root),
        "scenarios" => scenarios::run(&root),
        "mutants" => mutants::run(&root, rest),
        "e2e" => e2e::run(&root, rest),
        "bench" => bench::run(&root, rest),
        "help" | "--help" | "-h" => {
            println!("{USAGE}");
            Ok(())
        }
        other => Err(Failure::new(format!(
            "no chore is named {other}\n\n{USAGE}"
        ))),
    }
}
