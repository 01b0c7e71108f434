//! A failing run made small, and said in one line.

#![expect(
    clippy::disallowed_types,
    reason = "whoever waits for it says how long; what is tried does not depend on the time"
)]

use std::process::ExitCode;
use std::time::{Duration, Instant};

use clap::Args;
use quorate_sim::DEFAULT_RUNS;

use crate::replay::{self, Run};

/// How much work it may be.
#[derive(Args, Debug)]
pub(crate) struct Budget {
    /// Runs at most.
    #[arg(long, default_value_t = DEFAULT_RUNS)]
    runs: u64,
    /// Seconds at most. Where they end it, the result depends on the machine.
    #[arg(long)]
    seconds: Option<u64>,
}

impl Default for Budget {
    fn default() -> Self {
        Self {
            runs: DEFAULT_RUNS,
            seconds: None,
        }
    }
}

/// Makes `whole` small, and replays what is left of it.
pub(crate) fn shrink(whole: &Run, budget: &Budget) -> ExitCode {
    let began = Instant::now();
    let limit = budget.seconds.map(Duration::from_secs);
    let is_over = || limit.is_some_and(|limit| began.elapsed() > limit);
    // Panics are findings, and found a thousand times on the way.
    let hook = std::panic::take_hook();
    std::panic::set_hook(Box::new(|_| {}));
    let shrunk = quorate_sim::shrink(
        whole.world,
        &whole.source,
        whole.events,
        budget.runs,
        is_over,
    );
    std::panic::set_hook(hook);
    let Some(shrunk) = shrunk else {
        println!("nothing to shrink: all properties hold");
        return ExitCode::SUCCESS;
    };
    println!(
        "shrunk to {} of {} choices and {} of {} events, in {} runs and {:.1} s{}",
        shrunk.case.tape.choices().len(),
        shrunk.choices_before,
        shrunk.events_after,
        shrunk.events_before,
        shrunk.runs,
        began.elapsed().as_secs_f64(),
        if shrunk.is_smallest {
            ""
        } else {
            ", when the budget was used up"
        }
    );
    let sites = shrunk.case.tape.sites();
    let sites: Vec<_> = sites
        .map(|(site, count)| format!("{} {count}", site.name()))
        .collect();
    println!("choices left: {}", sites.join(", "));
    replay::replay(&shrunk.case.into(), None, false)
}
