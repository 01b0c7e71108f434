//! A simulated node: what one life of it holds, and its clock. What is on its disk outlives it
//! and is in `storage.rs`; what a host does with actions is in `host.rs`.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use quorate_core::{
    Action, ChangeId, Counters, Engine, Entries, EntryId, Event, Incarnation, LoadId, LogIndex,
    Membership, Message, NodeId, ProposalId, ReadId, RoleName, Round, SnapshotMeta, Status, Term,
    Time, TransferId, WriteId,
};

use super::storage::{Snapshot, Wanted, WriteQueue};
use crate::check::LifeId;
use crate::check::promoted::LogEnds;
use crate::check::suspect::Hearsay;
use crate::shape::Shape;

/// A clock that runs at its own rate from its own origin.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Clock {
    /// What it showed when the world began, in nanoseconds.
    pub(crate) offset: u64,
    /// How many of its nanoseconds pass in a million of the world's.
    pub(crate) rate: u64,
}

impl Clock {
    /// What the clock shows at `now` of the world.
    pub(crate) fn read(self, now: u64) -> Time {
        if self.rate == 1_000_000 {
            return Time::from_nanos(self.offset.saturating_add(now));
        }
        // Worlds are mostly young enough for short numbers, which divide much faster.
        let local = now.checked_mul(self.rate).map_or_else(
            || (u128::from(now) * u128::from(self.rate) / 1_000_000) as u64,
            |scaled| scaled / 1_000_000,
        );
        Time::from_nanos(self.offset.saturating_add(local))
    }

    /// The first moment of the world at which the clock shows `local` or later.
    pub(crate) fn when(self, local: Time) -> u64 {
        let since = local.as_nanos().saturating_sub(self.offset);
        if let Some(scaled) = since.checked_mul(1_000_000) {
            return scaled.div_ceil(self.rate);
        }
        let world = (u128::from(since) * 1_000_000).div_ceil(u128::from(self.rate));
        u64::try_from(world).unwrap_or(u64::MAX)
    }
}

/// What checkers and clients know of an engine between steps.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Glimpse {
    pub(crate) role: RoleName,
    pub(crate) term: Term,
    pub(crate) leader: Option<NodeId>,
    pub(crate) first: LogIndex,
    pub(crate) last: LogIndex,
    pub(crate) commit: LogIndex,
    pub(crate) applied: LogIndex,
    pub(crate) ready: bool,
    pub(crate) suspect: bool,
    pub(crate) removed: bool,
    pub(crate) snapshot: EntryId,
    pub(crate) transfer_target: Option<NodeId>,
    pub(crate) counters: Counters,
}

impl From<&Status> for Glimpse {
    fn from(status: &Status) -> Self {
        Self {
            role: status.role,
            term: status.term,
            leader: status.leader,
            first: status.first,
            last: status.last,
            commit: status.commit,
            applied: status.applied,
            ready: status.ready,
            suspect: status.suspect,
            removed: status.removed,
            snapshot: status.snapshot,
            transfer_target: status.transfer_target,
            counters: status.counters,
        }
    }
}

impl Glimpse {
    /// Whether it campaigns in `term`.
    pub(crate) fn is_candidate_of(&self, term: Term) -> bool {
        self.role == RoleName::Candidate && self.term == term
    }

    /// What no step changes that does nothing.
    pub(crate) const fn place(&self) -> (RoleName, Term, LogIndex, LogIndex, LogIndex) {
        (self.role, self.term, self.last, self.commit, self.applied)
    }
}

/// A node, running or down.
#[derive(Debug)]
pub(crate) struct Node {
    pub(crate) life: Option<Box<Life>>,
    /// How often it was started.
    pub(crate) starts: u64,
    /// The names of its lives, in their order.
    pub(crate) names: Vec<Incarnation>,
    /// What a state machine that keeps its own state on disk has applied.
    pub(crate) machine: Machine,
    /// Bytes that its log may still grow by; `None` for a disk without an end.
    pub(crate) room: Option<u64>,
}

/// A state machine: how far it has come, and the chain of everything it has applied.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Machine {
    pub(crate) applied: LogIndex,
    pub(crate) state: u64,
}

/// One life of a node: everything that a crash takes.
#[derive(Debug)]
pub(crate) struct Life {
    pub(crate) id: LifeId,
    pub(crate) incarnation: Incarnation,
    /// Whether it asks for pre-votes.
    pub(crate) pre_vote: bool,
    pub(crate) engine: Engine,
    /// When the engine wants to be woken, as it said after its last step.
    pub(crate) timeout: Time,
    pub(crate) clock: Clock,
    /// When it last heard the leader of its term, or started, on its own clock.
    pub(crate) heard_leader: Time,
    /// The newest term and round in which it answered an append.
    pub(crate) answered_in: (Term, Round),
    /// When each peer last answered this leader in its term, on its own clock.
    pub(crate) answered: BTreeMap<NodeId, Time>,
    /// What a leader heard of each peer in its term.
    pub(crate) hearsay: BTreeMap<NodeId, Hearsay>,
    /// Whom a leader has asked in vain to take over.
    pub(crate) asked_in_vain: Vec<NodeId>,
    /// A leader counts silence from here at the earliest: its election, or the end of a pause.
    pub(crate) counts_from: Time,
    /// The last tick was wanted at this time.
    pub(crate) due: Time,
    /// When a tick was late last.
    pub(crate) late_at: Option<Time>,
    /// The time of the last tick.
    pub(crate) ticked: Time,
    /// When the next wake-up comes, in nanoseconds of the world.
    pub(crate) wake_at: u64,
    /// The deadline for which it comes; the wake-up may be late.
    pub(crate) wake_for: u64,
    /// The process does not run.
    pub(crate) is_paused: bool,
    /// A serial host waits for a write.
    pub(crate) is_blocked: bool,
    /// Inputs that wait.
    pub(crate) inbox: VecDeque<Event>,
    /// Actions of the last step that are still to be performed.
    pub(crate) actions: VecDeque<Action>,
    /// The process dies before it performs as many more actions.
    pub(crate) dies_after: Option<usize>,
    pub(crate) writes: WriteQueue,
    /// Messages that wait for a write.
    pub(crate) held: Vec<(WriteId, Message)>,
    /// Loads that wait for the writes issued before them.
    pub(crate) loads: VecDeque<(WriteId, LoadId, Wanted)>,
    /// Loads without an answer.
    pub(crate) open_loads: usize,
    /// The log as the engine sees it, durable or not.
    pub(crate) log: Shape,
    /// Where the log ended when this node was last elected.
    pub(crate) elected_at: LogIndex,
    /// Where the log ended lately.
    pub(crate) ends: LogEnds,
    /// The membership in force here, and the index of its entry.
    pub(crate) membership: (LogIndex, Membership),
    /// The room that the engine was told, less what it appended since.
    pub(crate) room: u64,
    /// When the transfer under way was first seen, on its own clock.
    pub(crate) transfer_since: Time,
    /// How long it may last, and whether a pause was forgiven to it.
    pub(crate) transfer_limit: (Duration, bool),
    /// A snapshot is being taken.
    pub(crate) is_taking: bool,
    /// The host has reported a snapshot that nobody waited for.
    pub(crate) has_misreported: bool,
    /// How much had been handed over when it was asked for.
    pub(crate) taken_since: LogIndex,
    /// What was handed over behind this counts toward the next.
    pub(crate) counts_behind: LogIndex,
    /// The snapshot that is being fetched.
    pub(crate) receiving: Option<Receiving>,
    /// Snapshots that have arrived and are not installed.
    pub(crate) received: Vec<Snapshot>,
    pub(crate) glimpse: Glimpse,
    pub(crate) apply: ApplyQueue,
    pub(crate) clients: Waiting,
}

/// The way of committed entries into the state machine.
#[derive(Debug, Default)]
pub(crate) struct ApplyQueue {
    /// Handed over up to here.
    pub(crate) handed: LogIndex,
    /// What it has applied.
    pub(crate) machine: Machine,
    /// The engine was told of everything applied up to here.
    pub(crate) told: LogIndex,
    pub(crate) waiting: VecDeque<Job>,
    /// Bytes handed over whose application the engine was not told of, as (last index, bytes).
    pub(crate) untold: VecDeque<(LogIndex, u64)>,
    /// The machine is at work.
    pub(crate) is_busy: bool,
}

/// What a state machine is given.
#[derive(Debug)]
pub(crate) enum Job {
    Apply(Entries),
    Restore(Snapshot),
}

/// A snapshot on its way to this node.
#[derive(Debug)]
pub(crate) struct Receiving {
    pub(crate) meta: SnapshotMeta,
    pub(crate) from: NodeId,
    /// Parts that have arrived, of how many.
    pub(crate) parts: u64,
    pub(crate) of: u64,
    /// Tells this fetch from one that was dropped.
    pub(crate) number: u64,
}

/// Clients that wait for this life.
#[derive(Debug, Default)]
pub(crate) struct Waiting {
    pub(crate) last_proposal: ProposalId,
    pub(crate) last_read: ReadId,
    pub(crate) last_change: ChangeId,
    pub(crate) last_transfer: TransferId,
    pub(crate) last_fetch: u64,
    /// The batch that the last step was given, and what was acknowledged by then.
    pub(crate) batch: Option<(Batch, LogIndex)>,
    /// Commands appended here, by index.
    pub(crate) commands: BTreeMap<LogIndex, Proposed>,
    /// Reads that may be served once this much is applied.
    pub(crate) reads: Vec<(LogIndex, ReadId)>,
}

/// A batch of proposals. Its commands have consecutive tokens.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Batch {
    pub(crate) proposal: ProposalId,
    pub(crate) first_token: u64,
    pub(crate) count: u64,
    /// Bytes of its largest command.
    pub(crate) largest: u64,
}

/// A command that was appended and not yet applied.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Proposed {
    pub(crate) term: Term,
    pub(crate) token: u64,
    /// Everything up to here was acknowledged when it was proposed.
    pub(crate) after: LogIndex,
}

/// What a life starts with, besides its engine and its log.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Birth {
    pub(crate) id: LifeId,
    pub(crate) incarnation: Incarnation,
    pub(crate) pre_vote: bool,
    pub(crate) clock: Clock,
    /// On its own clock.
    pub(crate) started: Time,
    /// What the state machine holds already.
    pub(crate) machine: Machine,
}

impl Life {
    /// A life that begins with this engine, on a disk with this log.
    pub(crate) fn new(birth: Birth, engine: Engine, log: Shape) -> Self {
        let Birth {
            id,
            incarnation,
            pre_vote,
            clock,
            started,
            machine,
        } = birth;
        let status = engine.status();
        Self {
            id,
            incarnation,
            pre_vote,
            glimpse: Glimpse::from(&status),
            timeout: engine.next_timeout().at,
            engine,
            clock,
            heard_leader: started,
            answered_in: (Term::ZERO, Round::ZERO),
            answered: BTreeMap::new(),
            hearsay: BTreeMap::new(),
            asked_in_vain: Vec::new(),
            counts_from: started,
            due: started,
            late_at: None,
            ticked: started,
            wake_at: u64::MAX,
            wake_for: u64::MAX,
            is_paused: false,
            is_blocked: false,
            inbox: VecDeque::new(),
            actions: VecDeque::new(),
            dies_after: None,
            writes: WriteQueue::default(),
            held: Vec::new(),
            loads: VecDeque::new(),
            open_loads: 0,
            log,
            elected_at: LogIndex::NONE,
            ends: LogEnds::default(),
            membership: (status.membership_index, status.membership),
            room: u64::MAX,
            transfer_since: started,
            transfer_limit: (Duration::ZERO, false),
            is_taking: false,
            has_misreported: false,
            taken_since: LogIndex::NONE,
            counts_behind: status.snapshot.index,
            receiving: None,
            received: Vec::new(),
            apply: ApplyQueue {
                handed: machine.applied,
                machine,
                told: machine.applied,
                ..ApplyQueue::default()
            },
            clients: Waiting::default(),
        }
    }

    /// Whether inputs have to wait.
    pub(crate) const fn is_stalled(&self) -> bool {
        self.is_paused || self.is_blocked
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_clock_reaches_the_time_it_was_asked_about_and_not_before() {
        for rate in [950_000, 1_000_000, 1_050_000] {
            let clock = Clock { offset: 77, rate };
            for local in [77, 78, 1_000_000, 123_456_789_123] {
                let local = Time::from_nanos(local);
                let when = clock.when(local);
                assert!(clock.read(when) >= local, "woken too early at rate {rate}");
                assert!(when == 0 || clock.read(when - 1) < local, "woken too late");
            }
            assert!(clock.when(Time::NEVER) > u64::MAX / 2);
        }
    }
}
