//! The host as a pure struct: it owns the engine, the waiters, the order between disk and
//! network, batching, back-pressure and the birth of the cluster. Inputs go in, outputs come
//! out; there is no I/O, no clock and no task here. `node/` is the shell that runs it on threads,
//! and a simulator runs the very same code.

use std::time::Duration;

use bytes::Bytes;
use quorate_core::{
    Counters, Engine, Event, LogIndex, Membership, NodeId, ProposalId, ReadId, RecoverError,
    Recovered, Refusal, RoleName, Status, Time, Violation,
};
use quorate_log::{DirectoryId, Identity};

use crate::{ForwardOutcome, PeerMessage, ProposeError, ReadError};

mod actions;
mod admin;
mod birth;
mod config;
mod forward;
mod io;
mod lives;
mod peers;
mod storage;
mod waiters;

use admin::Admin;
use birth::Birth;
pub use config::{DriverConfig, DriverCounters};
use forward::{Asker, take_part};
pub use io::{Input, Leadership, Output, StopCause, StorageJob};
use lives::{LastForwards, LeaderLife};
use peers::Peers;
use storage::{Finished, Storage};
use waiters::Waiters;

/// One node, without its threads. `W` waits for a proposal; `R` is a read.
#[derive(Debug)]
pub struct Driver<W, R> {
    config: DriverConfig,
    birth: Birth,
    /// What the engine takes over from disk when it starts: at once, or at the cluster's birth.
    recovered: Recovered,
    engine: Option<Engine>,
    storage: Storage,
    waiters: Waiters<W, R>,
    admin: Admin,
    peers: Peers,
    /// What the engine asked for and cannot have; it is told before anything else.
    declined: Vec<Event>,
    /// Proposals and reads of this turn, which become one batch each.
    proposals: Vec<(Bytes, W)>,
    reads: Vec<R>,
    /// Who asked for the batch of proposals that the engine is looking at.
    asker: Option<Asker<W>>,
    next_proposal: ProposalId,
    next_read: ReadId,
    next_forward: u64,
    last_forwards: LastForwards,
    leader_life: LeaderLife,
    leadership: Leadership,
    /// The engine's counts at the end of the last leadership.
    engine_counters: Counters,
    handed: LogIndex,
    now: Time,
    counters: DriverCounters,
    outputs: Vec<Output<W, R>>,
    is_stopped: bool,
}

impl<W, R> Driver<W, R> {
    /// A node with this directory and log.
    ///
    /// # Errors
    /// The recovered state cannot have been written by an engine.
    pub fn new(
        config: DriverConfig,
        identity: Identity,
        recovered: Recovered,
        now: Time,
    ) -> Result<Self, RecoverError> {
        // Checked here also for a node that is not born yet and starts its engine later.
        if recovered.applied > recovered.last {
            return Err(RecoverError::AppliedBeyondLog {
                applied: recovered.applied,
                last: recovered.last,
            });
        }
        let Identity {
            node,
            directory,
            stage,
            cluster: _,
        } = identity;
        let founders = config.founders.keys().copied().collect();
        let birth = Birth::new(node, directory, founders, stage, now);
        let mut driver = Self {
            birth,
            engine: None,
            storage: Storage::default(),
            waiters: Waiters::new(),
            admin: Admin::default(),
            peers: Peers::new(config.founders.clone()),
            declined: Vec::new(),
            proposals: Vec::new(),
            reads: Vec::new(),
            asker: None,
            next_proposal: ProposalId::FIRST,
            next_read: ReadId::FIRST,
            next_forward: 0,
            last_forwards: LastForwards::default(),
            leader_life: LeaderLife::Unheard,
            leadership: Leadership {
                role: RoleName::Follower,
                term: recovered.hard_state.term,
                leader: None,
                ready: false,
            },
            engine_counters: Counters::default(),
            handed: recovered.applied,
            now,
            counters: DriverCounters::default(),
            outputs: Vec::new(),
            is_stopped: false,
            config,
            recovered,
        };
        if driver.birth.is_born() {
            driver.engine = Some(driver.start_engine()?);
        }
        Ok(driver)
    }

    /// Takes everything that happened since the last turn and returns what to do.
    ///
    /// `now` must have been read after the inputs were taken from their queues. Proposals of one
    /// turn become one batch, and so do its reads.
    #[must_use = "outputs that are not performed lose votes, entries and waiters"]
    pub fn turn(
        &mut self,
        now: Time,
        inputs: impl IntoIterator<Item = Input<W, R>>,
    ) -> Vec<Output<W, R>> {
        self.now = self.now.max(now);
        self.step(Event::Tick { now });
        self.expire_forwards();
        self.expire_reads();
        for input in inputs {
            self.take(input);
        }
        self.leave_in_time();
        if self.is_stopped {
            self.fail_everything();
        } else {
            self.submit_proposals();
            self.submit_reads();
            self.advance_birth();
            self.start_storage_job();
            self.announce_leadership();
        }
        std::mem::take(&mut self.outputs)
    }

    fn take(&mut self, input: Input<W, R>) {
        match input {
            Input::Peer { from, message } => self.on_peer(from, message),
            Input::Propose { command, waiter } => self.proposals.push((command, waiter)),
            Input::Read(read) => self.reads.push(read),
            Input::Stored => self.on_stored(),
            Input::StorageFailed => self.step_or_stop(Event::StorageFailed),
            Input::Loaded { load, outcome } => self.step(Event::Loaded { load, outcome }),
            Input::Applied(index) => self.step(Event::Applied(index)),
            Input::ChangeMembership { change, what } => self.on_change(change, what),
            Input::TransferLeadership { transfer, target } => self.on_transfer(transfer, target),
            Input::Shutdown => self.on_shutdown(),
            Input::ApplyFailed => self.stop(StopCause::Shutdown),
        }
    }

    fn on_peer(&mut self, from: NodeId, message: PeerMessage) {
        match message {
            PeerMessage::Raft(message) => {
                if message.from == from {
                    self.on_raft(message);
                }
            }
            PeerMessage::Forward {
                request,
                asker,
                leader,
                commands,
            } => {
                if leader == self.config.life {
                    self.on_forward(from, request, asker, commands);
                } else {
                    self.reply_forward(from, request, asker, ForwardOutcome::OtherLife);
                }
            }
            PeerMessage::ForwardReply {
                request,
                asker,
                outcome,
            } => {
                // Whoever waits was passed on to the present leader, and to nobody else.
                if asker == self.config.life && self.leadership.leader == Some(from) {
                    self.on_forward_reply(request, outcome);
                }
            }
            PeerMessage::Birth { directory, stage } => {
                if self.birth.hear(from, directory, stage) {
                    self.send_birth_notice(from);
                }
            }
        }
    }

    fn on_stored(&mut self) {
        match self.storage.finish() {
            Some(Finished::Write(id)) => {
                for message in self.storage.release() {
                    self.send_raft(message);
                }
                self.step(Event::Persisted(id));
            }
            Some(Finished::Stage(stage)) => {
                self.birth.recorded(stage, self.now);
                if self.birth.is_born() && self.engine.is_none() {
                    self.begin();
                }
            }
            None => {}
        }
    }

    /// The cluster is born: from here on the node takes part.
    fn begin(&mut self) {
        match self.start_engine() {
            Ok(engine) => self.engine = Some(engine),
            // What is recovered from an empty directory is the default, which is valid.
            Err(_) => self.stop(StopCause::Violation(Violation::StorageFailed)),
        }
    }

    fn start_engine(&mut self) -> Result<Engine, RecoverError> {
        let founders = self.founding_membership();
        let recovered = std::mem::take(&mut self.recovered);
        let engine = self.config.engine.clone();
        Engine::recover(engine, self.config.life, founders, self.now, recovered)
    }

    /// The membership before the first entry of the log. A node that is to be added has none:
    /// that the founders are members is something it has to learn from the log.
    fn founding_membership(&self) -> Membership {
        let founders = &self.config.founders;
        if !founders.contains_key(&self.config.engine.id) {
            return Membership::default();
        }
        let known = founders.iter().filter(|(_, address)| !address.is_empty());
        known.fold(
            Membership::new(founders.keys().copied(), []),
            |founders, (&node, address)| founders.with_address(node, address.clone()),
        )
    }

    /// Lets the engine take an event and carries out what it answers. Before the birth there is
    /// no engine, and nothing happens: the node neither votes nor counts.
    fn step(&mut self, event: Event) {
        let mut next = Some(event);
        while let Some(event) = next {
            let Some(engine) = &mut self.engine else {
                return;
            };
            let mut actions = engine.step(event);
            for action in actions.drain(..) {
                // A driver that stopped must not go on, in the middle of a step either.
                if !self.is_stopped {
                    self.perform(action);
                }
            }
            if let Some(engine) = &mut self.engine {
                engine.recycle(actions);
            }
            next = self.declined.pop();
        }
    }

    /// Like [`Self::step`] for what must stop the node even before the birth.
    fn step_or_stop(&mut self, event: Event) {
        if self.engine.is_some() {
            self.step(event);
        } else {
            self.stop(StopCause::Violation(Violation::StorageFailed));
        }
    }

    fn submit_proposals(&mut self) {
        if self.proposals.is_empty() {
            return;
        }
        let limit_bytes = self.config.engine.max_entry_bytes;
        let (mut commands, mut waiters) = (Vec::new(), Vec::new());
        for (command, waiter) in std::mem::take(&mut self.proposals) {
            // The engine takes a batch or leaves it: one user's oversized command must not have
            // the others' refused.
            if command.len() as u64 > limit_bytes {
                self.fail_proposal(waiter, ProposeError::TooLarge { limit_bytes });
            } else {
                commands.push(command);
                waiters.push(waiter);
            }
        }
        // In parts, so that the engine can refuse the rest when it has enough, and a forwarded
        // part fits into a frame.
        let mut commands = commands.into_iter().peekable();
        let mut waiters = waiters.into_iter();
        while commands.peek().is_some() {
            let part = take_part(&mut commands, self.config.engine.max_append_bytes);
            let waiting = waiters.by_ref().take(part.len()).collect();
            if self.leadership.role == RoleName::Leader {
                self.propose(part, Asker::Users(waiting));
            } else {
                self.forward(part, waiting);
            }
        }
    }

    fn propose(&mut self, commands: Vec<Bytes>, asker: Asker<W>) {
        if commands.is_empty() {
            return;
        }
        let proposal = self.next_proposal;
        self.next_proposal = proposal.next();
        self.asker = Some(asker);
        self.step(Event::Propose { proposal, commands });
        // The engine answers in the same step; one that has stopped, or is not born, does not.
        if let Some(asker) = self.asker.take() {
            self.refuse_asker(asker, Refusal::NotLeader { leader: None });
        }
    }

    fn submit_reads(&mut self) {
        if self.reads.is_empty() {
            return;
        }
        let reads = std::mem::take(&mut self.reads);
        if self.engine.is_none() {
            for read in reads {
                self.fail_read(read, ReadError::NotLeader { leader: None });
            }
            return;
        }
        let read = self.next_read;
        self.next_read = read.next();
        self.waiters.read(read, reads, self.now);
        self.step(Event::Read { read });
    }

    fn advance_birth(&mut self) {
        if self.birth.is_born() {
            return;
        }
        if self.storage.is_idle()
            && let Some(stage) = self.birth.next_stage()
        {
            self.storage.record(stage);
        }
        for founder in self.birth.due_notices(self.now) {
            self.send_birth_notice(founder);
        }
    }

    fn send_birth_notice(&mut self, to: NodeId) {
        let (directory, stage) = self.birth.notice();
        self.outputs.push(Output::Send {
            to,
            message: PeerMessage::Birth { directory, stage },
        });
    }

    fn start_storage_job(&mut self) {
        if let Some(job) = self.storage.next_job() {
            self.counters.storage_jobs += 1;
            self.outputs.push(Output::Store(job));
        }
    }

    /// When [`Driver::turn`] must be called next, even without inputs.
    #[must_use]
    pub fn next_timeout(&self) -> Time {
        let engine = self
            .engine
            .as_ref()
            .map_or(Time::NEVER, |engine| engine.next_timeout().at);
        let forward = self
            .waiters
            .oldest_forward()
            .map_or(Time::NEVER, |(_, sent_at)| {
                sent_at.after(self.forward_patience())
            });
        let read = self
            .waiters
            .oldest_read()
            .map_or(Time::NEVER, |(_, since)| since.after(self.read_patience()));
        let admin = self.admin.leaving_by();
        let birth = self.birth.notice_at();
        engine.min(forward).min(read).min(birth).min(admin)
    }

    /// Whether the shell should take proposals from its users. When it does not, they wait where
    /// they are, and memory stays bounded (scenarios B21, H04).
    #[must_use]
    pub fn accepts_proposals(&self) -> bool {
        let uncommitted = self.engine.as_ref().map_or(0, Engine::uncommitted_bytes);
        self.waiters.proposals() < self.config.max_waiting_proposals
            && (uncommitted == 0 || uncommitted < self.config.engine.max_uncommitted_bytes / 2)
    }

    /// Whether the shell should take reads from its users.
    #[must_use]
    pub fn accepts_reads(&self) -> bool {
        self.waiters.reads() < self.config.max_waiting_reads
    }

    /// The engine's status; `None` before the cluster's birth.
    #[must_use]
    pub fn status(&self) -> Option<Status> {
        self.engine.as_ref().map(Engine::status)
    }

    /// Who leads, as far as this node knows.
    #[must_use]
    pub const fn leadership(&self) -> Leadership {
        self.leadership
    }

    /// What was counted since the start.
    #[must_use]
    pub const fn counters(&self) -> DriverCounters {
        self.counters
    }

    /// This node's data directory.
    #[must_use]
    pub fn directory(&self) -> DirectoryId {
        self.birth.notice().0
    }

    /// Reads whose index was not confirmed or not reached in time: a disk hangs, here or at those
    /// who should confirm it.
    fn expire_reads(&mut self) {
        let patience = self.read_patience();
        while let Some((read, since)) = self.waiters.oldest_read()
            && since.after(patience) <= self.now
        {
            for read in self.waiters.read_decided(read) {
                self.fail_read(read, ReadError::TimedOut);
            }
        }
    }

    /// How long a read waits before its user is told to try again: long enough for an election
    /// or two.
    fn read_patience(&self) -> Duration {
        self.config.engine.election_timeout_max.saturating_mul(10)
    }

    /// How long a forwarded batch waits for the leader's answer.
    fn forward_patience(&self) -> Duration {
        self.config.engine.election_timeout_max.saturating_mul(2)
    }
}
