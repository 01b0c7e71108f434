//! The engine: its state, its one entry point and its observers. What it decides is in the files
//! of `engine/`, which hold no state; the state is in the parts (`log.rs`, `writes.rs`,
//! `progress.rs`, ...), which decide nothing.

use alloc::boxed::Box;
use alloc::vec::Vec;
use core::ops::RangeInclusive;
use core::time::Duration;

use fastrand::Rng;

use crate::applies::Applies;
use crate::headway::Headway;
use crate::lease::Lease;
use crate::ledger::Ledger;
use crate::log::Log;
use crate::memberships::Memberships;
use crate::message::Envelope;
use crate::outbox::Outbox;
use crate::progress::Progress;
use crate::quorum::Votes;
use crate::reads::{ConfirmedReads, ForwardedReads, LeaderReads};
use crate::room::Room;
use crate::snapshots::Snapshots;
use crate::telemetry::tell;
use crate::writes::Writes;
use crate::{
    Action, ChangeId, Counters, EntryId, Event, HardState, Incarnation, LoadId, LogIndex,
    Membership, NodeId, RoleName, Round, Status, Term, Time, TransferId, ValidConfig, Violation,
    WriteId,
};

mod append;
mod appends;
mod commit;
mod compaction;
mod election;
mod gate;
mod invariants;
mod load;
mod membership;
mod offer;
mod propose;
mod read;
mod recover;
mod replication;
mod role;
mod snapshot;
mod suspect;
mod tick;
mod transfer;
mod vote;

/// One node's part in the protocol.
///
/// [`Engine::step`] is the only way to change it. Everything else looks without touching.
#[derive(Debug)]
pub struct Engine {
    config: ValidConfig,
    life: Incarnation,
    now: Time,
    rng: Rng,
    /// Election timeouts are drawn from here, in nanoseconds.
    election_timeouts: RangeInclusive<u64>,
    hard: HardState,
    memberships: Memberships,
    role: Role,
    leader: Option<NodeId>,
    /// When a leader was last heard; the start of this life counts, because the node may have
    /// promised a leader its silence just before it stopped.
    heard_leader_at: Time,
    election_at: Time,
    /// From hearing the leader until an election, in nanoseconds: drawn for each.
    election_timeout: u64,
    log: Log,
    writes: Writes,
    commit: LogIndex,
    applies: Applies,
    forwarded: ForwardedReads,
    /// Reads whose index is known, waiting for apply to be handed everything up to it.
    confirmed_reads: ConfirmedReads,
    snapshots: Snapshots,
    room: Room,
    /// This node is no member since the membership at this index: a member said so in this term, or
    /// it led until that was committed.
    removed_at: Option<(Term, LogIndex)>,
    /// In this term, a leader told this life that its log ends here; for a suspect node.
    leaders_last: Option<(Term, LogIndex)>,
    /// The newest round in which an append was answered, and its term.
    answered: (Term, Round),
    last_load: LoadId,
    announced: (RoleName, Term, Option<NodeId>),
    /// Role, term or leader may not be what was announced.
    is_role_news: bool,
    counters: Counters,
    outbox: Outbox,
    /// The election timeout under way was begun anew because of a pause, and for nothing else.
    is_excused: bool,
    is_stopped: bool,
}

/// What a node is, with the state that only this role has. Only `engine/role.rs` assigns it.
#[derive(Debug)]
enum Role {
    Follower,
    PreCandidate(Votes),
    Candidate(Campaign),
    Leader(Box<Leadership>),
}

/// A campaign for votes.
#[derive(Debug)]
struct Campaign {
    votes: Votes,
    /// The save of the own vote: it counts once this is durable (scenario A02).
    own_vote: WriteId,
    /// That is durable, and with it the requests have left.
    has_asked: bool,
}

/// The state of a leader; gone when it steps down.
#[derive(Debug)]
struct Leadership {
    peers: Vec<Progress>,
    /// The first entry of the term. Nothing is known to be committed before it is (scenario E01).
    first: LogIndex,
    round: Round,
    reads: LeaderReads,
    uncommitted: Ledger,
    lease: Lease,
    transfer: Option<Transfer>,
    joining: Option<Joining>,
    /// What follows from the commit of the membership at this index was done.
    settled_membership: LogIndex,
    heartbeat_at: Time,
    /// A majority was heard at this time or later. The start of the term and the end of a pause
    /// count too.
    quorum_heard_at: Time,
    /// When the last pause that was forgiven ended, or the leadership began: who is silent since
    /// before need not be out of reach.
    awake_since: Time,
}

/// Leadership on its way to another node.
#[derive(Debug)]
struct Transfer {
    /// Who is told what became of it; `None` where the engine itself hands over.
    request: Option<TransferId>,
    target: NodeId,
    deadline: Time,
    /// The target was told to campaign.
    is_told: bool,
    /// A pause was forgiven to it.
    is_excused: bool,
}

/// A learner that becomes a voter when it has caught up.
#[derive(Clone, Copy, Debug)]
struct Joining {
    change: ChangeId,
    node: NodeId,
    /// When it was heard last; that it was not counts from when it was asked for. Pauses of this
    /// process do not count.
    heard_at: Time,
    /// The rounds of catching up that were over before.
    rounds_before: u32,
    headway: Headway,
}

impl Transfer {
    /// The process did not run for so long: the target's campaign may be waiting in its queues, and
    /// has until `until` at least to be taken from there. Once: writes wait meanwhile.
    fn forgive(&mut self, pause: Duration, until: Time) {
        if !core::mem::replace(&mut self.is_excused, true) {
            self.deadline = self.deadline.after(pause).max(until);
        }
    }
}

impl Leadership {
    fn transfer_deadline(&self) -> Option<Time> {
        self.transfer.as_ref().map(|transfer| transfer.deadline)
    }

    fn peer(&self, id: NodeId) -> Option<&Progress> {
        self.peers.iter().find(|peer| peer.id == id)
    }
}

impl Engine {
    /// Takes one event and returns what must be done because of it, in causal order.
    ///
    /// Nothing is returned once the engine has stopped. The vector may be given back when all in it
    /// is done: [`Engine::recycle`].
    ///
    /// # Order
    /// See [`Action`].
    #[must_use = "unperformed actions lose votes and entries; perform them in order"]
    pub fn step(&mut self, event: Event) -> Vec<Action> {
        if self.is_stopped {
            return Vec::new();
        }
        let has_only_applied = self.take(event);
        if !self.is_stopped {
            if has_only_applied {
                self.settle_applies();
            } else {
                self.settle();
            }
            self.check_invariants();
        }
        self.outbox.seal(self.writes.unsaved_hard_state())
    }

    /// Takes an event. Whether all that it can have changed is how far the state machine has come.
    // In a function of its own, so that what was not moved out of the event is dropped here and not
    // tracked through all that follows.
    #[inline(always)]
    fn take(&mut self, event: Event) -> bool {
        match event {
            Event::Tick { now } => self.on_tick(now),
            Event::Receive(message) => self.on_message(message),
            Event::Propose { proposal, commands } => self.on_propose(proposal, commands),
            Event::Read { read } => self.on_read(read),
            Event::Persisted(write) => self.on_persisted(write),
            Event::StorageFailed => self.stop(Violation::StorageFailed),
            Event::Loaded { load, outcome } => self.on_loaded(load, outcome),
            Event::Applied(index) => {
                self.applies.applied_through(index);
                return true;
            }
            Event::ChangeMembership { change, what } => self.on_change(change, &what),
            Event::TransferLeadership { transfer, target } => self.on_transfer(transfer, target),
            Event::SnapshotTaken(snapshot) => self.on_snapshot_taken(snapshot),
            Event::SnapshotFailed => self.on_snapshot_failed(),
            Event::SnapshotProgress {
                last,
                checksum,
                bytes,
            } => self.on_snapshot_progress((last, checksum), bytes),
            Event::SnapshotReceived { last, checksum } => self.on_snapshot_received(last, checksum),
            Event::SnapshotLost { last, checksum } => self.on_snapshot_lost(last, checksum),
            Event::Room { bytes } => self.on_room(bytes),
        }
        false
    }

    /// Takes back the vector that [`Engine::step`] returned, so that a later step has its room: a
    /// host that always does spares the engine most of its allocations. What is still in there is
    /// dropped. Whether and when vectors come back changes nothing else.
    #[inline]
    pub fn recycle(&mut self, actions: Vec<Action>) {
        self.outbox.recycle(actions);
    }

    /// What follows from any change, whatever caused it. Most steps change little: each part looks
    /// first whether there is anything for it to do.
    fn settle(&mut self) {
        self.follow_membership();
        if self.is_leader() {
            self.advance_transfer();
            self.tell_commit();
            self.settle_membership();
            self.advance_joining();
        }
        self.drop_needless_snapshot();
        self.settle_applies();
        self.log
            .evict(self.config.window_bytes, self.writes.durable());
        self.announce_role();
    }

    /// The part of it that depends on how far the state machine has come. Where that alone has
    /// changed, nothing else can follow.
    #[inline(always)]
    fn settle_applies(&mut self) {
        self.hand_over_committed();
        self.ask_for_snapshot();
        self.release_reads();
    }

    fn on_persisted(&mut self, write: WriteId) {
        self.writes.confirm(write);
        self.finish_install();
        self.end_suspicion();
        match &self.role {
            Role::Candidate(_) => self.count_own_vote(),
            // Where all of it is committed, our part completes no new majority.
            Role::Leader(_) if self.writes.durable() > self.commit => self.advance_commit(),
            Role::Follower | Role::PreCandidate(_) | Role::Leader(_) => {}
        }
    }

    /// The host tells how much room the log's disk has. A leader without any hands over: another
    /// may have some. A candidate stands down: it could not append the entry of its term.
    fn on_room(&mut self, bytes: u64) {
        self.room.set(bytes);
        if !self.room.is_low() {
            return;
        }
        match self.role {
            // Without anybody to take over it goes on, and refuses what it cannot hold.
            Role::Leader(_) => {
                let _refusal = self.start_transfer(None, None);
            }
            // It could not append the first entry of its term.
            Role::PreCandidate(_) | Role::Candidate(_) => self.step_down(),
            Role::Follower => {}
        }
    }

    /// Stops for good. Nothing that this step wanted is done: a violation may mean that it must
    /// not be.
    fn stop(&mut self, violation: Violation) {
        tell!(ERROR, node = %self.config.id, %violation, "stopped");
        self.outbox.discard();
        self.outbox.notify(Action::Fatal(violation));
        self.is_stopped = true;
    }

    /// Whether the engine has stopped for good.
    #[must_use]
    pub const fn is_stopped(&self) -> bool {
        self.is_stopped
    }

    /// Term, vote and floor, durable or not.
    #[must_use]
    pub const fn hard_state(&self) -> HardState {
        self.hard
    }

    /// Id of the last entry of the log, durable or not.
    #[must_use]
    pub fn last(&self) -> EntryId {
        self.log.last()
    }

    /// Bytes appended by this leader and not yet committed; zero elsewhere. A host stops taking
    /// proposals when this nears [`Config::max_uncommitted_bytes`](crate::Config).
    #[must_use]
    pub const fn uncommitted_bytes(&self) -> u64 {
        match &self.role {
            Role::Leader(leadership) => leadership.uncommitted.bytes(),
            Role::Follower | Role::PreCandidate(_) | Role::Candidate(_) => 0,
        }
    }

    /// Whether this node leads and has applied the first entry of its term.
    #[must_use]
    pub fn is_ready(&self) -> bool {
        self.first_of_term()
            .is_some_and(|first| self.applies.applied() >= first)
    }

    /// The membership in force at `index`, and the index of its entry: what a snapshot of that
    /// index holds. Known from the newest snapshot on.
    #[must_use]
    pub fn membership_at(&self, index: LogIndex) -> (LogIndex, &Membership) {
        self.memberships.at(index)
    }

    /// What was counted since the start.
    #[must_use]
    pub const fn counters(&self) -> Counters {
        self.counters
    }

    /// What the engine says of itself.
    #[must_use]
    pub fn status(&self) -> Status {
        let peers = match &self.role {
            Role::Leader(leadership) => {
                let patience = self.config.election_timeout_min;
                let peers = leadership.peers.iter();
                peers.map(|peer| peer.status(self.now, patience)).collect()
            }
            Role::Follower | Role::PreCandidate(_) | Role::Candidate(_) => Vec::new(),
        };
        Status {
            id: self.config.id,
            role: self.role_name(),
            term: self.hard.term,
            leader: self.leader,
            membership: self.memberships.latest().clone(),
            membership_index: self.memberships.latest_index(),
            snapshot: self.snapshots.last(),
            first: self.log.before().index.next(),
            suspect: self.hard.floor.is_some(),
            removed: self.is_removed(),
            transfer_target: self.transfer_target(),
            lease_until: self.lease_until(),
            room_bytes: self.room.bytes(),
            last: self.log.last().index,
            durable: self.writes.durable(),
            commit: self.commit,
            applied: self.applies.applied(),
            ready: self.is_ready(),
            peers,
            counters: self.counters,
        }
    }

    /// The envelope of a message of this node in its present term.
    fn envelope(&self, to: NodeId, receiver: Incarnation) -> Envelope {
        Envelope {
            from: self.config.id,
            to,
            term: self.hard.term,
            sender: self.life,
            receiver,
        }
    }
}
