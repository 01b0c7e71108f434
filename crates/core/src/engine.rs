//! The engine: its state, its one entry point and its observers. What it decides is in the files
//! of `engine/`, which hold no state; the state is in the parts (`log.rs`, `writes.rs`,
//! `progress.rs`, ...), which decide nothing.

use alloc::vec::Vec;

use fastrand::Rng;

use crate::applies::Applies;
use crate::ledger::Ledger;
use crate::log::Log;
use crate::outbox::Outbox;
use crate::progress::Progress;
use crate::quorum::Votes;
use crate::reads::{ForwardedReads, LeaderReads};
use crate::writes::Writes;
use crate::{
    Action, Body, Counters, EntryId, Event, HardState, Incarnation, LoadId, LogIndex, Membership,
    Message, NodeId, PeerStatus, ReadId, RecoverError, Recovered, RoleName, Round, Status, Term,
    Time, ValidConfig, Violation, WriteId,
};

mod append;
mod commit;
mod election;
mod gate;
mod invariants;
mod load;
mod propose;
mod read;
mod replication;
mod role;
mod tick;
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
    hard: HardState,
    membership: Membership,
    role: Role,
    leader: Option<NodeId>,
    /// When a leader was last heard; the start of this life counts, because the node may have
    /// promised a leader its silence just before it stopped.
    heard_leader_at: Time,
    election_at: Time,
    log: Log,
    writes: Writes,
    commit: LogIndex,
    applies: Applies,
    forwarded: ForwardedReads,
    /// Reads whose index is known, waiting for apply to be handed everything up to it.
    confirmed_reads: Vec<(LogIndex, ReadId)>,
    last_load: LoadId,
    announced: (RoleName, Term, Option<NodeId>),
    counters: Counters,
    outbox: Outbox,
    /// The last tick came late enough to count as a pause.
    was_late: bool,
    is_stopped: bool,
}

/// What a node is, with the state that only this role has. Only `engine/role.rs` assigns it.
#[derive(Debug)]
enum Role {
    Follower,
    PreCandidate(Votes),
    Candidate(Campaign),
    Leader(Leadership),
}

/// A campaign for votes.
#[derive(Debug)]
struct Campaign {
    votes: Votes,
    /// The save of the own vote: it counts once this is durable (scenario A02).
    own_vote: WriteId,
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
    heartbeat_at: Time,
    /// A majority is taken as heard at this time: the start of the term, the end of a pause.
    quorum_heard_at: Time,
}

impl Leadership {
    fn peer(&self, id: NodeId) -> Option<&Progress> {
        self.peers.iter().find(|peer| peer.id == id)
    }
}

impl Engine {
    /// A founder of a new cluster at its first start: an empty log and term zero.
    #[must_use]
    pub fn new(config: ValidConfig, life: Incarnation, founders: Membership, now: Time) -> Self {
        let log = Log::empty();
        Self::start(
            config,
            life,
            founders,
            now,
            HardState::default(),
            log,
            LogIndex::NONE,
        )
    }

    /// A node that starts again with what it had on disk.
    ///
    /// # Errors
    /// State that no engine can have written.
    pub fn recover(
        config: ValidConfig,
        life: Incarnation,
        founders: Membership,
        now: Time,
        recovered: Recovered,
    ) -> Result<Self, RecoverError> {
        let Recovered {
            hard_state,
            term_starts,
            last,
            applied,
        } = recovered;
        let log = Log::recover(term_starts, last)?;
        if log.last().term > hard_state.term {
            return Err(RecoverError::TermBehindLog {
                last: log.last(),
                saved: hard_state.term,
            });
        }
        if applied > last {
            return Err(RecoverError::AppliedBeyondLog { applied, last });
        }
        Ok(Self::start(
            config, life, founders, now, hard_state, log, applied,
        ))
    }

    fn start(
        config: ValidConfig,
        life: Incarnation,
        membership: Membership,
        now: Time,
        hard: HardState,
        log: Log,
        applied: LogIndex,
    ) -> Self {
        let mut engine = Self {
            life,
            now,
            rng: Rng::with_seed(config.seed),
            role: Role::Follower,
            leader: None,
            heard_leader_at: now,
            election_at: now,
            writes: Writes::new(log.last().index),
            // What the state machine has applied was committed (scenario D20).
            commit: applied,
            applies: Applies::new(applied),
            forwarded: ForwardedReads::default(),
            confirmed_reads: Vec::new(),
            last_load: LoadId::NONE,
            announced: (RoleName::Follower, hard.term, None),
            counters: Counters::default(),
            outbox: Outbox::default(),
            was_late: false,
            is_stopped: false,
            config,
            hard,
            membership,
            log,
        };
        engine.restart_election_timer();
        engine
    }

    /// Takes one event and returns what must be done because of it, in causal order.
    ///
    /// Nothing is returned once the engine has stopped.
    ///
    /// # Order
    /// See [`Action`].
    #[must_use = "unperformed actions lose votes and entries; perform them in order"]
    pub fn step(&mut self, event: Event) -> Vec<Action> {
        if self.is_stopped {
            return Vec::new();
        }
        match event {
            Event::Tick { now } => self.on_tick(now),
            Event::Receive(message) => self.on_message(message),
            Event::Propose { proposal, commands } => self.on_propose(proposal, commands),
            Event::Read { read } => self.on_read(read),
            Event::Persisted(write) => self.on_persisted(write),
            Event::StorageFailed => self.stop(Violation::StorageFailed),
            Event::Loaded { load, outcome } => self.on_loaded(load, outcome),
            Event::Applied(index) => self.applies.applied_through(index),
        }
        if !self.is_stopped {
            self.settle();
            self.check_invariants();
        }
        self.outbox.seal(self.writes.unsaved_hard_state())
    }

    /// What follows from any change, whatever caused it.
    fn settle(&mut self) {
        self.tell_commit();
        self.hand_over_committed();
        self.release_reads();
        self.log
            .evict(self.config.window_bytes, self.writes.durable());
        self.announce_role();
    }

    fn on_persisted(&mut self, write: WriteId) {
        self.writes.confirm(write);
        match &self.role {
            Role::Candidate(_) => self.count_own_vote(),
            Role::Leader(_) => self.advance_commit(),
            Role::Follower | Role::PreCandidate(_) => {}
        }
    }

    /// Stops for good. Nothing that this step wanted is done: a violation may mean that it must
    /// not be.
    fn stop(&mut self, violation: Violation) {
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

    /// What was counted since the start.
    #[must_use]
    pub const fn counters(&self) -> Counters {
        self.counters
    }

    /// What the engine says of itself.
    #[must_use]
    pub fn status(&self) -> Status {
        let peers = match &self.role {
            Role::Leader(leadership) => leadership.peers.iter().map(peer_status).collect(),
            Role::Follower | Role::PreCandidate(_) | Role::Candidate(_) => Vec::new(),
        };
        Status {
            id: self.config.id,
            role: self.role_name(),
            term: self.hard.term,
            leader: self.leader,
            last: self.log.last().index,
            durable: self.writes.durable(),
            commit: self.commit,
            applied: self.applies.applied(),
            ready: self.is_ready(),
            peers,
            counters: self.counters,
        }
    }

    /// A message of this node in its present term.
    fn message(&self, to: NodeId, receiver: Incarnation, body: Body) -> Message {
        Message {
            from: self.config.id,
            to,
            term: self.hard.term,
            sender: self.life,
            receiver,
            body,
        }
    }
}

fn peer_status(peer: &Progress) -> PeerStatus {
    PeerStatus {
        id: peer.id,
        matched: peer.matched(),
        next: peer.next(),
        inflight: peer.inflight(),
    }
}
