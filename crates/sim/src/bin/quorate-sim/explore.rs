//! A campaign: many seeds on some threads, each seed on one of them. The sum does not depend on
//! which thread ran which seed.

#![expect(
    clippy::disallowed_types,
    reason = "a campaign says how long it took; no seed sees it"
)]

use std::ops::Range;
use std::process::ExitCode;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Instant;

use quorate_sim::{Counts, Options, Outcome, Source, WorldName, run};

use crate::replay::{self, Run};

/// What the seeds of a campaign add up to.
#[derive(Default)]
struct Total {
    seeds: u64,
    counts: Counts,
    /// Combined so that the order of the seeds does not matter.
    digest: u64,
    /// Slowest recovery, in nanoseconds of virtual time, and its seed.
    slowest: (u64, u64),
    failed: Option<u64>,
}

impl Total {
    fn add(&mut self, seed: u64, outcome: &Outcome) {
        self.seeds += 1;
        self.counts.add(&outcome.counts);
        self.digest = self
            .digest
            .wrapping_add(outcome.digest ^ seed.rotate_left(32));
        self.slowest = self.slowest.max((outcome.settle_nanos, seed));
        if outcome.violation.is_some() {
            // The lowest of those that failed, whatever thread was faster.
            self.failed = Some(self.failed.map_or(seed, |failed| failed.min(seed)));
        }
    }
}

/// Runs all `seeds` and prints the sum, or the first failure in full.
pub(crate) fn explore(
    world: WorldName,
    seeds: Range<u64>,
    events: u64,
    threads: usize,
) -> ExitCode {
    let began = Instant::now();
    let next = AtomicU64::new(seeds.start);
    let has_failed = AtomicBool::new(false);
    let total = Mutex::new(Total::default());
    let options = Options::new(events);
    std::thread::scope(|scope| {
        for _ in 0..threads.max(1) {
            scope.spawn(|| {
                while !has_failed.load(Ordering::Relaxed) {
                    let seed = next.fetch_add(1, Ordering::Relaxed);
                    if seed >= seeds.end {
                        break;
                    }
                    let outcome = run(world, &Source::Seed(seed), options);
                    has_failed.fetch_or(outcome.violation.is_some(), Ordering::Relaxed);
                    if let Ok(mut total) = total.lock() {
                        total.add(seed, &outcome);
                    }
                }
            });
        }
    });
    let total = total
        .into_inner()
        .unwrap_or_else(std::sync::PoisonError::into_inner);
    if let Some(seed) = total.failed {
        return replay::replay(
            &Run {
                world,
                source: Source::Seed(seed),
                events,
            },
            None,
            false,
        );
    }
    print_total(&total, began.elapsed().as_secs_f64());
    ExitCode::SUCCESS
}

fn print_total(total: &Total, seconds: f64) {
    let counts = &total.counts;
    let per_commit = counts.events as f64 / counts.committed.max(1) as f64;
    print!("{counts}");
    println!("{per_commit:>14.1}  events per committed entry");
    let (nanos, seed) = total.slowest;
    println!(
        "{:>14}  ms to recover at worst (seed {seed})",
        nanos / 1_000_000
    );
    println!(
        "{:>14}  seeds in {seconds:.1} s, all properties held",
        total.seeds
    );
    println!(
        "{:>14.0}  events per second",
        counts.events as f64 / seconds
    );
    println!("campaign hash: {:016x}", total.digest);
}
