//! One run from beginning to end: makes the world, catches panics, and says what came of it. The
//! only place that knows all worlds.

use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::str::FromStr;

use crate::check::{Property, Violation};
use crate::choice::{Choices, Source};
use crate::counts::Counts;
use crate::goals::Goals;
use crate::system::System;
use crate::tape::Tape;
use crate::trace::Trace;
use crate::world::World;

/// The worlds that there are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WorldName {
    /// Engines, each with a host that is simulated as a whole (`world/`).
    Engines,
    /// Whole systems: drivers, logs and wire as they are (`system/`).
    Systems,
}

impl WorldName {
    /// All of them.
    pub const ALL: &[Self] = &[Self::Engines, Self::Systems];

    /// Its name on the command line.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Engines => "engines",
            Self::Systems => "systems",
        }
    }
}

impl fmt::Display for WorldName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// A name that no world has.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("there is no world {0:?}")]
pub struct UnknownWorld(String);

impl FromStr for WorldName {
    type Err = UnknownWorld;

    fn from_str(text: &str) -> Result<Self, UnknownWorld> {
        let mut all = Self::ALL.iter();
        let found = all.find(|world| world.name() == text);
        found.copied().ok_or_else(|| UnknownWorld(text.to_owned()))
    }
}

/// How a world is run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Options {
    /// Happenings under faults, before the cluster has to recover.
    pub events: u64,
    /// How many lines of trace to keep; none at zero, which is by far the fastest.
    pub trace_lines: usize,
    /// Keep what was drawn.
    pub records: bool,
    /// After the happenings under faults the cluster has to recover. Without it the run ends
    /// there.
    pub settles: bool,
}

impl Options {
    /// Happenings under faults, unless told otherwise.
    pub const DEFAULT_EVENTS: u64 = 10_000;

    /// A whole run of so many happenings under faults, of which nothing is kept.
    #[must_use]
    pub const fn new(events: u64) -> Self {
        Self {
            events,
            trace_lines: 0,
            records: false,
            settles: true,
        }
    }
}

/// What came of a run.
#[derive(Debug)]
pub struct Outcome {
    /// Hash of everything that happened. Equal for equal sources and options, on every machine.
    pub digest: u64,
    /// What happened, in numbers.
    pub counts: Counts,
    /// What it came across.
    pub goals: Goals,
    /// Nanoseconds of virtual time from the end of all faults to a leader that serves.
    pub settle_nanos: u64,
    /// The property that did not hold, if any.
    pub violation: Option<Violation>,
    /// The newest lines of the trace.
    pub trace: Option<Trace>,
    /// What was drawn, if it was to be kept.
    pub tape: Option<Tape>,
}

/// Runs a world.
#[must_use]
pub fn run(world: WorldName, source: &Source, options: Options) -> Outcome {
    let choices = Choices::of(source);
    let choices = if options.records {
        choices.recorded()
    } else {
        choices
    };
    let trace = (options.trace_lines > 0).then(|| Trace::new(options.trace_lines));
    match world {
        WorldName::Engines => run_engines(choices, trace, options),
        WorldName::Systems => run_systems(choices, trace, options),
    }
}

fn run_engines(choices: Choices, trace: Option<Trace>, options: Options) -> Outcome {
    let mut world = World::new(choices, trace);
    let violation = guard(|| world.run(options.events, options.settles));
    world.note_time();
    let mut digest = world.digest;
    digest.fold(world.choices.digest().value());
    Outcome {
        digest: digest.value(),
        counts: world.counts,
        goals: world.goals.reached(),
        settle_nanos: world.settle_time,
        violation,
        trace: world.trace,
        tape: world.choices.take_tape(),
    }
}

fn run_systems(choices: Choices, trace: Option<Trace>, options: Options) -> Outcome {
    let mut world = System::new(choices, trace);
    let violation = guard(|| world.run(options.events, options.settles));
    world.note_time();
    let mut digest = world.digest;
    digest.fold(world.choices.digest().value());
    Outcome {
        digest: digest.value(),
        counts: world.counts,
        goals: world.goals.reached(),
        settle_nanos: world.settle_time,
        violation,
        trace: world.trace,
        tape: world.choices.take_tape(),
    }
}

/// What `run` finds; a panic is a finding too. Whatever it was working on is only good for its
/// numbers and its trace afterwards.
fn guard(run: impl FnOnce() -> Result<(), Violation>) -> Option<Violation> {
    match catch_unwind(AssertUnwindSafe(run)) {
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
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::goals::{Goal, Reached};

    const FEW: Options = Options::new(3_000);

    fn run_seed(seed: u64, options: Options) -> Outcome {
        run(WorldName::Engines, &Source::Seed(seed), options)
    }

    #[test]
    fn worlds_keep_every_property_under_sixty_seeds() {
        let mut total = Counts::default();
        for seed in 0..60 {
            let outcome = run_seed(seed, FEW);
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

    /// An operator asked a leader that was stuck for the removal of a voter, and a log was damaged
    /// before it heard: the voters that were left could elect nobody.
    #[test]
    fn a_log_is_not_damaged_while_a_removal_waits_to_be_heard() {
        let outcome = run_seed(20217, Options::new(10_000));
        assert_eq!(outcome.violation, None);
    }

    /// A node that was removed had campaigned, and was given a copy of an old append seconds later.
    #[test]
    fn a_leader_is_not_asked_to_outlast_copies_to_nodes_that_ask_no_pre_votes() {
        let outcome = run_seed(34521, Options::new(10_000));
        assert_eq!(outcome.violation, None);
    }

    /// A proposal from before the calm waited for a disk until the leader had settled, and was then
    /// refused.
    #[test]
    fn a_leader_has_settled_only_when_no_request_of_the_past_waits_for_a_host() {
        let outcome = run_seed(44752, Options::new(10_000));
        assert_eq!(outcome.violation, None);
    }

    #[test]
    fn a_tape_recorded_from_a_seed_gives_the_history_of_the_seed() {
        for seed in 0..10 {
            let records = Options {
                records: true,
                ..Options::new(1_000)
            };
            let first = run_seed(seed, records);
            let tape = first.tape.expect("it was recorded");
            let again = run(WorldName::Engines, &Source::Tape(tape.clone()), records);
            assert_eq!(first.digest, again.digest, "seed {seed} is not its tape");
            assert_eq!(first.counts, again.counts);
            assert_eq!(again.tape, Some(tape), "the tape holds all that is drawn");
        }
    }

    #[test]
    fn the_calmest_world_serves_without_a_fault() {
        let calm = run(WorldName::Engines, &Source::Tape(Tape::default()), FEW);
        assert_eq!(calm.violation, None);
        assert!(calm.counts.committed > 10 && calm.counts.reads > 10);
        assert_eq!(calm.counts.elections, 1, "nobody is disturbed");
        let counts = calm.counts;
        let faults = [counts.crashes, counts.lost, counts.cuts, counts.changes];
        assert_eq!(faults, [0; 4]);
    }

    #[test]
    fn a_seed_gives_the_same_history_every_time_also_when_traced() {
        for seed in 0..10 {
            let first = run_seed(seed, FEW);
            let again = run_seed(
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
            run_seed(1, FEW).digest,
            run_seed(2, FEW).digest,
            "the digest sees the history"
        );
    }

    /// Whether any of these seeds, each of few events, reaches each goal.
    fn must_reach(world: WorldName, seeds: u64, goals: &[Goal]) {
        let mut reached = Reached::new(world);
        for seed in 0..seeds {
            let outcome = run(world, &Source::Seed(seed), FEW);
            assert_eq!(outcome.violation, None, "seed {seed}");
            reached.add(seed, outcome.goals);
        }
        let missed = reached.check().err().map_or_else(Vec::new, |it| it.0);
        let missed: Vec<_> = goals.iter().filter(|goal| missed.contains(goal)).collect();
        assert!(missed.is_empty(), "{missed:?} not reached in {seeds} seeds");
    }

    #[test]
    fn engines_reach_what_is_common_within_sixty_seeds() {
        let goals = [
            Goal::SuffixTruncated,
            Goal::StaleLeaderOverwritten,
            Goal::Figure8Entered,
            Goal::UnappliedAtCrash,
            Goal::VoteRefusedByLog,
            Goal::VoteRefusedByVote,
            Goal::QuorumLost,
            Goal::PauseForgiven,
            Goal::LeaderRemovedItself,
            Goal::RemovedTold,
            Goal::ReadAborted,
            Goal::SeveralAppends,
            Goal::WindowFullByBytes,
            Goal::ReplyToEarlierLife,
            Goal::LogDiscarded,
            Goal::SuspectRepaired,
        ];
        must_reach(WorldName::Engines, 60, &goals);
    }

    #[test]
    fn systems_reach_what_is_common_within_sixty_seeds() {
        let goals = [
            Goal::Figure8Committed,
            Goal::UnappliedAtCrash,
            Goal::VoteRefusedByLog,
            Goal::QuorumLost,
            Goal::FollowerRead,
            Goal::TransferCompleted,
            Goal::BatchedJob,
            Goal::ForwardCommitted,
            Goal::UnknownTookEffect,
            Goal::TornEntries,
            Goal::UntoldFound,
            Goal::ResidueErased,
            Goal::DamageRefused,
            Goal::LogSyncFailed,
            Goal::FullDiskRecovered,
            Goal::ReconnectInFlight,
            Goal::CorruptionNoticed,
            Goal::GuestAnswered,
            Goal::WipedKeptOut,
        ];
        must_reach(WorldName::Systems, 60, &goals);
    }
}
