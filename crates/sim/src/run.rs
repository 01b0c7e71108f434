//! One seed from beginning to end: runs its world, catches panics, and says what came of it.

use std::panic::{AssertUnwindSafe, catch_unwind};

use crate::check::{Property, Violation};
use crate::counts::Counts;
use crate::trace::Trace;
use crate::world::World;

/// How a seed is run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Options {
    /// Happenings under faults, before the cluster has to recover.
    pub events: u64,
    /// How many lines of trace to keep; none at zero, which is by far the fastest.
    pub trace_lines: usize,
}

impl Options {
    /// Happenings under faults, unless told otherwise.
    pub const DEFAULT_EVENTS: u64 = 10_000;
}

/// What came of a seed.
#[derive(Debug)]
pub struct Outcome {
    /// The seed.
    pub seed: u64,
    /// Hash of everything that happened. Equal for equal seeds and options, on every machine.
    pub digest: u64,
    /// What happened, in numbers.
    pub counts: Counts,
    /// Nanoseconds of virtual time from the end of all faults to a leader that serves.
    pub settle_nanos: u64,
    /// The property that did not hold, if any.
    pub violation: Option<Violation>,
    /// The newest lines of the trace.
    pub trace: Option<Trace>,
}

/// Runs one seed.
#[must_use]
pub fn run(seed: u64, options: Options) -> Outcome {
    let trace = (options.trace_lines > 0).then(|| Trace::new(options.trace_lines));
    let mut world = World::new(seed, trace);
    // The world is only read after a panic, and only its numbers and its trace.
    let verdict = catch_unwind(AssertUnwindSafe(|| world.run(options.events)));
    let violation = match verdict {
        Ok(check) => check.err(),
        Err(panic) => {
            let text = panic.downcast_ref::<String>().map(String::as_str);
            let text = text.or_else(|| panic.downcast_ref::<&str>().copied());
            let facts = text.unwrap_or("a panic without a message").to_owned();
            Some(Violation {
                property: Property::NoPanic,
                facts,
            })
        }
    };
    world.note_time();
    let mut digest = world.digest;
    digest.fold(world.choices.digest().value());
    Outcome {
        seed,
        digest: digest.value(),
        counts: world.counts,
        settle_nanos: world.settle_time,
        violation,
        trace: world.trace,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FEW: Options = Options {
        events: 3_000,
        trace_lines: 0,
    };

    #[test]
    fn worlds_keep_every_property_under_sixty_seeds() {
        let mut total = Counts::default();
        for seed in 0..60 {
            let outcome = run(seed, FEW);
            assert_eq!(outcome.violation, None, "seed {seed}");
            total.add(&outcome.counts);
        }
        // A world in which nothing happens keeps every property and proves none.
        for (count, what) in [
            (total.committed, "commits"),
            (total.elections, "elections"),
            (total.crashes_in_step, "crashes in a step"),
            (total.lost_writes, "lost writes"),
            (total.truncations, "truncations"),
            (total.reads, "reads"),
            (total.loads, "loads of old entries"),
            (total.storage_failures, "disk failures"),
            (total.overwritten, "overwritten commands"),
            (total.changes_committed, "changes of the membership"),
            (total.snapshots_installed, "snapshots from a leader"),
            (total.snapshots_lost, "snapshots lost on their way"),
            (total.restores, "restored machines"),
            (total.transfers, "transfers of leadership"),
            (total.transfers_timed_out, "transfers that failed"),
            (total.lease_reads, "reads on a lease"),
            (total.removals_told, "removed nodes"),
            (total.repairs, "repaired logs"),
            (total.refused_for_room, "full disks"),
        ] {
            assert!(count > 0, "no {what} in sixty seeds");
        }
        assert!(
            total.committed * 200 > total.events,
            "{} commits in {} events is too little useful work",
            total.committed,
            total.events
        );
    }

    #[test]
    fn a_seed_gives_the_same_history_every_time_also_when_traced() {
        for seed in 0..10 {
            let first = run(seed, FEW);
            let again = run(
                seed,
                Options {
                    trace_lines: 5,
                    ..FEW
                },
            );
            assert_eq!(
                first.digest, again.digest,
                "seed {seed} is not deterministic"
            );
            assert_eq!(first.counts, again.counts);
        }
        assert_ne!(
            run(1, FEW).digest,
            run(2, FEW).digest,
            "the digest sees the history"
        );
    }
}
