//! A campaign: many seeds on some threads, each seed on one of them. The sum does not depend on
//! which thread ran which seed. What it says of itself is in `report.rs`.

#![expect(
    clippy::disallowed_types,
    reason = "a campaign says how long it took; no seed sees it"
)]

use std::collections::BTreeMap;
use std::ops::Range;
use std::process::ExitCode;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Instant;

use quorate_sim::{Counts, Options, Outcome, Source, WorldName, run};

use crate::replay::{self, Run};
use crate::{report, shrink, twice};

/// What a campaign runs.
#[derive(Clone, Debug)]
pub(crate) struct Campaign {
    pub(crate) world: WorldName,
    pub(crate) seeds: Range<u64>,
    /// Only every so manieth of them.
    pub(crate) every: u64,
    /// Happenings under faults in each.
    pub(crate) events: u64,
    pub(crate) threads: usize,
}

/// What the seeds of a campaign add up to.
#[derive(Default)]
pub(crate) struct Total {
    pub(crate) seeds: u64,
    pub(crate) counts: Counts,
    /// Combined so that the order of the seeds does not matter.
    pub(crate) digest: u64,
    /// Slowest recovery, in nanoseconds of virtual time, and its seed.
    pub(crate) slowest: (u64, u64),
    /// The hashes of the seeds that are to be run twice.
    pub(crate) sample: BTreeMap<u64, u64>,
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

impl Campaign {
    /// Runs all seeds, until one fails. `sampled` says whose hashes are kept.
    pub(crate) fn run(&self, sampled: impl Fn(u64) -> bool + Sync) -> Total {
        let next = AtomicU64::new(self.seeds.start);
        let has_failed = AtomicBool::new(false);
        let total = Mutex::new(Total::default());
        let work = || {
            while !has_failed.load(Ordering::Relaxed) {
                let seed = next.fetch_add(self.every, Ordering::Relaxed);
                if seed >= self.seeds.end {
                    break;
                }
                let outcome = run(self.world, &Source::Seed(seed), Options::new(self.events));
                has_failed.fetch_or(outcome.violation.is_some(), Ordering::Relaxed);
                if let Ok(mut total) = total.lock() {
                    total.add(seed, &outcome);
                    if sampled(seed) {
                        total.sample.insert(seed, outcome.digest);
                    }
                }
            }
        };
        std::thread::scope(|scope| {
            for _ in 0..self.threads.max(1) {
                scope.spawn(work);
            }
        });
        total
            .into_inner()
            .unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}

/// Runs all seeds and prints the sum, or the first failure in full.
pub(crate) fn explore(campaign: &Campaign, shrinks: bool) -> ExitCode {
    let began = Instant::now();
    let total = campaign.run(|seed| twice::is_sampled(campaign, seed));
    if let Some(seed) = total.failed {
        let run = Run {
            world: campaign.world,
            source: Source::Seed(seed),
            events: campaign.events,
        };
        let code = replay::replay(&run, None, false);
        if shrinks {
            return shrink::shrink(&run, &shrink::Budget::default());
        }
        println!("shrink: cargo run --release -p quorate-sim -- shrink {run}");
        return code;
    }
    report::print(&total, campaign.threads, began.elapsed().as_secs_f64());
    match twice::check(campaign, &total.sample) {
        Ok(count) => {
            println!("{count:>14}  seeds had the same history in another process");
            println!("campaign hash: {:016x}", total.digest);
            ExitCode::SUCCESS
        }
        Err(failure) => {
            println!("{failure}");
            ExitCode::FAILURE
        }
    }
}
