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

use quorate_sim::{Counts, Missed, Options, Outcome, Reached, Source, WorldName, run};

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

/// From so many seeds of usual length on a campaign has to reach every goal.
const ENOUGH_SEEDS: u64 = 5_000;

/// What the seeds of a campaign add up to.
pub(crate) struct Total {
    pub(crate) seeds: u64,
    pub(crate) counts: Counts,
    pub(crate) goals: Reached,
    /// Combined so that the order of the seeds does not matter.
    pub(crate) digest: u64,
    /// Slowest recovery, in nanoseconds of virtual time, and its seed.
    pub(crate) slowest: (u64, u64),
    /// The hashes of the seeds that are to be run twice.
    pub(crate) sample: BTreeMap<u64, u64>,
    failed: Option<u64>,
}

impl Total {
    fn new(world: WorldName) -> Self {
        Self {
            seeds: 0,
            counts: Counts::default(),
            goals: Reached::new(world),
            digest: 0,
            slowest: (0, 0),
            sample: BTreeMap::new(),
            failed: None,
        }
    }

    fn add(&mut self, seed: u64, outcome: &Outcome) {
        self.seeds += 1;
        self.counts.add(&outcome.counts);
        self.goals.add(seed, outcome.goals);
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
        let total = Mutex::new(Total::new(self.world));
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

impl Campaign {
    /// What a campaign that kept every property is to be told for what it did not reach. A short
    /// one has to reach nothing, unless it is asked to.
    fn missed(&self, total: &Total, must_reach: bool) -> Result<(), Missed> {
        let is_long = total.seeds >= ENOUGH_SEEDS && self.events >= Options::DEFAULT_EVENTS;
        if is_long || must_reach {
            total.goals.check()
        } else {
            Ok(())
        }
    }
}

/// Runs all seeds and prints the sum, or the first failure in full. With `must_reach` it fails
/// also if a goal was missed, however few the seeds are.
pub(crate) fn explore(campaign: &Campaign, shrinks: bool, must_reach: bool) -> ExitCode {
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
        }
        Err(failure) => {
            println!("{failure}");
            return ExitCode::FAILURE;
        }
    }
    match campaign.missed(&total, must_reach) {
        Ok(()) => ExitCode::SUCCESS,
        Err(missed) => {
            print!("{missed}");
            ExitCode::FAILURE
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use quorate_sim::{Goal, Goals};

    fn campaign(events: u64) -> Campaign {
        Campaign {
            world: WorldName::Systems,
            seeds: 0..ENOUGH_SEEDS,
            every: 1,
            events,
            threads: 1,
        }
    }

    /// The sum of so many seeds that reached every goal but one.
    fn total_without(missed: Goal, seeds: u64) -> Total {
        let mut total = Total::new(WorldName::Systems);
        total.seeds = seeds;
        let mut reached = Goals::NONE;
        let others = Goal::ALL.iter().filter(|goal| **goal != missed);
        others.for_each(|goal| reached.insert(*goal));
        total.goals.add(0, reached);
        total
    }

    #[test]
    fn a_campaign_fails_when_a_goal_was_missed_and_it_is_long_or_has_to_reach_all() {
        let long = campaign(Options::DEFAULT_EVENTS);
        let missed = Err(Missed(vec![Goal::TornStage]));
        let few = total_without(Goal::TornStage, 10);
        assert_eq!(long.missed(&few, false), Ok(()), "ten seeds need not");
        assert_eq!(long.missed(&few, true), missed);
        let many = total_without(Goal::TornStage, ENOUGH_SEEDS);
        assert_eq!(long.missed(&many, false), missed);
        let short = campaign(Options::DEFAULT_EVENTS - 1);
        assert_eq!(short.missed(&many, false), Ok(()), "short seeds need not");
        let other = total_without(Goal::SnapshotLost, ENOUGH_SEEDS);
        assert_eq!(long.missed(&other, true), Ok(()), "of another world");
    }
}
