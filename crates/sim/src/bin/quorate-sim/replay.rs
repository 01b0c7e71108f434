//! One run again, with its trace.

use std::fmt;
use std::process::ExitCode;

use quorate_sim::{Case, Options, Outcome, Source, WorldName, run};

/// Lines of trace that are printed before a violation, unless all are wanted.
const TAIL_LINES: usize = 60;

/// A run that can be repeated.
pub(crate) struct Run {
    pub(crate) world: WorldName,
    pub(crate) source: Source,
    /// Happenings under faults.
    pub(crate) events: u64,
}

impl Run {
    /// Runs it.
    pub(crate) fn outcome(&self, trace_lines: usize) -> Outcome {
        let options = Options {
            trace_lines,
            ..Options::new(self.events)
        };
        run(self.world, &self.source, options)
    }
}

impl From<Case> for Run {
    fn from(case: Case) -> Self {
        Self {
            world: case.world,
            source: Source::Tape(case.tape),
            events: case.events,
        }
    }
}

impl fmt::Display for Run {
    /// As arguments of `replay` and `shrink`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            world,
            source,
            events,
        } = self;
        match source {
            Source::Seed(seed) => {
                write!(f, "--world {world} --seed {seed} --events {events}")
            }
            Source::Tape(tape) => {
                let case = Case {
                    world: *world,
                    events: *events,
                    tape: tape.clone(),
                };
                write!(f, "--tape {case}")
            }
        }
    }
}

/// Repeats a run and prints what came of it.
pub(crate) fn replay(again: &Run, stop_at: Option<u64>, all: bool) -> ExitCode {
    let trace_lines = if all || stop_at.is_some() {
        usize::MAX
    } else {
        TAIL_LINES
    };
    let outcome = again.outcome(trace_lines);
    if let Some(trace) = &outcome.trace {
        let skip = if all { 0 } else { lines_before(trace, stop_at) };
        let wanted = trace
            .lines()
            .filter(|line| is_up_to(line, stop_at))
            .skip(skip);
        wanted.for_each(|line| println!("{line}"));
    }
    match &again.source {
        Source::Seed(seed) => print!("seed {seed}: "),
        Source::Tape(tape) => print!("{} choices: ", tape.choices().len()),
    }
    println!(
        "hash {:016x} after {} events",
        outcome.digest, outcome.counts.events
    );
    let Some(violation) = outcome.violation else {
        println!(
            "all properties held; {} ms to recover",
            outcome.settle_nanos / 1_000_000
        );
        return ExitCode::SUCCESS;
    };
    println!("{violation}");
    println!(
        "replay: cargo run --release -p quorate-sim -- replay {again} --stop-at {}",
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
