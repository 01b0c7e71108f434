//! The gate: every step that a change has to pass. CI runs this same list.

use std::path::Path;
use std::process::Command;
use std::time::Instant;

use crate::command::{Step, cargo, output_of};
use crate::failure::{Failure, Result};
use crate::{e2e, supply, tidy};

/// Runs the gate and stops at the first step that fails.
pub(crate) fn run(root: &Path, args: &[String]) -> Result<()> {
    let flags: Vec<&str> = args.iter().map(String::as_str).collect();
    let (tested, quick) = match flags[..] {
        [] => (false, false),
        ["--quick"] => (false, true),
        ["--after-tests"] => (true, false),
        _ => {
            let usage = "usage: cargo xtask check [--quick | --after-tests]";
            return Err(Failure::new(usage));
        }
    };
    let start = Instant::now();
    for step in compiler_steps().into_iter().skip(usize::from(tested)) {
        step.run(root)?;
    }
    println!("\n== tidy");
    tidy::run(root)?;
    println!("\n== supply");
    supply::run(root)?;
    if !quick {
        for step in long_steps() {
            step.run(root)?;
        }
        println!("\n== determinism");
        same_seeds_give_the_same_hash(root)?;
        println!("\n== e2e");
        e2e::run(root, &[])?;
    }
    println!(
        "\n== everything passed, {:.0} s",
        start.elapsed().as_secs_f64()
    );
    Ok(())
}

/// The tests come first: who has just run them skips that step.
fn compiler_steps() -> Vec<Step> {
    vec![
        Step::cargo("test", "test --workspace"),
        Step::cargo("fmt", "fmt --all --check"),
        Step::cargo("clippy", "clippy --workspace --all-targets -- -D warnings"),
        Step::cargo("docs", "doc --workspace --no-deps --document-private-items")
            .env("RUSTDOCFLAGS", "-D warnings"),
        Step::cargo(
            "docs, no-default-features",
            "doc -p quorate --no-default-features --no-deps",
        )
        .env("RUSTDOCFLAGS", "-D warnings"),
        // Alone, without the features that the rest of the workspace turns on: it is `no_std`.
        Step::cargo("core alone", "check -p quorate-core"),
        Step::cargo("core, tracing", "check -p quorate-core --features tracing"),
        // What a host of one's own builds on: no tokio, no sockets.
        Step::cargo(
            "no-default-features",
            "check -p quorate --no-default-features",
        ),
        // The guides send readers to them by name: they must be there, and end well.
        Step::cargo("example elect", "run -q -p quorate-core --example elect"),
        Step::cargo(
            "example tiny_host",
            "run -q -p quorate-core --example tiny_host",
        ),
        // Not a member of the workspace. Without a fuzzer it needs only what the engine does.
        Step::cargo(
            "fuzz target",
            "test --manifest-path fuzz/Cargo.toml --no-default-features",
        ),
    ]
}

fn long_steps() -> Vec<Step> {
    vec![
        Step::cargo(
            "explore",
            "run --release -p quorate-sim -- explore --seeds 0..500",
        ),
        Step::cargo(
            "explore systems",
            "run --release -p quorate-sim -- explore --world systems --seeds 0..300",
        ),
        Step::cargo(
            "crash points",
            "run --release -p quorate-sim -- crash-points --seeds 10",
        ),
        Step::cargo("demo", "run --release -p quorate-kv -- demo"),
    ]
}

/// Two processes: what differs from one to the next, as the order of a hash map or an address
/// does, would make a seed that failed impossible to replay.
fn same_seeds_give_the_same_hash(root: &Path) -> Result<()> {
    ["engines", "systems"]
        .into_iter()
        .try_for_each(|world| same_hash(root, world))
}

fn same_hash(root: &Path, world: &str) -> Result<()> {
    let hash = || -> Result<String> {
        let args =
            format!("run --release -p quorate-sim -- explore --world {world} --seeds 500..600");
        let output = output_of(
            Command::new(cargo())
                .args(args.split_whitespace())
                .current_dir(root),
        )?;
        let hash = output
            .lines()
            .find(|line| line.starts_with("campaign hash:"));
        hash.map(str::to_owned)
            .ok_or_else(|| Failure::new("the simulator printed no hash"))
    };
    let (first, second) = (hash()?, hash()?);
    if first == second {
        println!("{world}: {first}, twice");
        return Ok(());
    }
    Err(Failure::new(format!(
        "the same seeds gave two results: {first} and {second}"
    )))
}
