//! One seed again, with its trace.

use std::process::ExitCode;

use quorate_sim::{Options, run};

/// Lines of trace that are printed before a violation, unless all are wanted.
const TAIL_LINES: usize = 60;

/// Runs `seed` once more and prints what came of it.
pub(crate) fn replay(seed: u64, events: u64, stop_at: Option<u64>, all: bool) -> ExitCode {
    let trace_lines = if all || stop_at.is_some() {
        usize::MAX
    } else {
        TAIL_LINES
    };
    let outcome = run(
        seed,
        Options {
            events,
            trace_lines,
        },
    );
    if let Some(trace) = &outcome.trace {
        let skip = if all { 0 } else { lines_before(trace, stop_at) };
        let wanted = trace
            .lines()
            .filter(|line| is_up_to(line, stop_at))
            .skip(skip);
        wanted.for_each(|line| println!("{line}"));
    }
    println!("seed {seed}: hash {:016x}", outcome.digest);
    let Some(violation) = outcome.violation else {
        println!(
            "all properties held; {} ms to recover",
            outcome.settle_nanos / 1_000_000
        );
        return ExitCode::SUCCESS;
    };
    println!("{violation}");
    println!(
        "replay: cargo run --release -p quorate-sim -- replay --seed {seed} --events {events} \
         --stop-at {}",
        outcome.counts.events
    );
    ExitCode::FAILURE
}

/// How many lines come before the tail that is printed.
fn lines_before(trace: &quorate_sim::Trace, stop_at: Option<u64>) -> usize {
    trace
        .lines()
        .filter(|line| is_up_to(line, stop_at))
        .count()
        .saturating_sub(TAIL_LINES)
}

/// Whether a line belongs to an event up to `stop_at`. The event is its second column.
fn is_up_to(line: &str, stop_at: Option<u64>) -> bool {
    let Some(stop_at) = stop_at else { return true };
    let event = line
        .split_whitespace()
        .nth(1)
        .and_then(|event| event.parse::<u64>().ok());
    event.is_none_or(|event| event <= stop_at)
}
