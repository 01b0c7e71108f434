//! The host as a pure struct: it owns the engine, the waiters, the order between disk and
//! network, batching, back-pressure and the birth of the cluster. Inputs go in, outputs come
//! out; there is no I/O, no clock and no task here. `node/` is the shell that runs it on threads,
//! and a simulator runs the very same code.

use std::collections::BTreeMap;
use std::time::Duration;

use bytes::Bytes;
use quorate_core::{
    Counters, Engine, Event, Incarnation, LogIndex, Membership, NodeId, ProposalId, ReadId,
    RecoverError, Recovered, Refusal, RoleName, Status, Time, ValidConfig, Violation,
};
use quorate_log::{DirectoryId, Identity};

use crate::{PeerMessage, ProposeError, ReadError};

mod actions;
mod birth;
mod forward;
mod io;
mod storage;
mod waiters;

use birth::Birth;
use forward::{Asker, take_part};
pub use io::{Input, Leadership, Output, StopCause, StorageJob};
use storage::{Finished, Storage};
use waiters::Waiters;

/// What a driver needs to know at a start.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct DriverConfig {
    /// The engine's settings.
    pub engine: ValidConfig,
    /// A fresh, unpredictable number for this start.
    pub life: Incarnation,
    /// The founders of the cluster, this node included.
    pub founders: Vec<NodeId>,
    /// Proposals that may wait for their outcome, at most. Beyond it
    /// [`Driver::accepts_proposals`] says no.
    pub max_waiting_proposals: usize,
    /// Reads that may wait, at most.
    pub max_waiting_reads: usize,
}

impl DriverConfig {
    /// A configuration with default limits.
    #[must_use]
    pub fn new(engine: ValidConfig, life: Incarnation, founders: Vec<NodeId>) -> Self {
        let (max_waiting_proposals, max_waiting_reads) = (65_536, 65_536);
        Self {
            engine,
            life,
            founders,
            max_waiting_proposals,
            max_waiting_reads,
        }
    }
}

/// What a driver has counted since its start.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct DriverCounters {
    /// Commands that this node has appended as a leader, its own users' and forwarded ones.
    pub appended_commands: u64,
    /// Storage jobs given out.
    pub storage_jobs: u64,
    /// Proposals passed on to a leader.
    pub forwarded_commands: u64,
}

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
    /// Proposals and reads of this turn, which become one batch each.
    proposals: Vec<(Bytes, W)>,
    reads: Vec<R>,
    /// Who asked for the batch of proposals that the engine is looking at.
    asker: Option<Asker<W>>,
    next_proposal: ProposalId,
    next_read: ReadId,
    next_forward: u64,
    /// The newest batch that each node has passed on to us, so that a repeated one is not
    /// appended twice.
    last_forwards: BTreeMap<NodeId, (Incarnation, u64)>,
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
        mut config: DriverConfig,
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
        config.founders.sort_unstable();
        config.founders.dedup();
        let Identity {
            node,
            directory,
            stage,
            cluster: _,
        } = identity;
        let birth = Birth::new(node, directory, config.founders.clone(), stage, now);
        let mut driver = Self {
            birth,
            engine: None,
            storage: Storage::default(),
            waiters: Waiters::new(),
            proposals: Vec::new(),
            reads: Vec::new(),
            asker: None,
            next_proposal: ProposalId::FIRST,
            next_read: ReadId::FIRST,
            next_forward: 0,
            last_forwards: BTreeMap::new(),
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
            Input::Shutdown => self.stop(StopCause::Shutdown),
        }
    }

    fn on_peer(&mut self, from: NodeId, message: PeerMessage) {
        match message {
            PeerMessage::Raft(message) => {
                if message.from == from {
                    self.step(Event::Receive(message));
                }
            }
            PeerMessage::Forward {
                request,
                asker,
                commands,
            } => {
                self.on_forward(from, request, asker, commands);
            }
            PeerMessage::ForwardReply {
                request,
                asker,
                outcome,
            } => {
                if asker == self.config.life {
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
        let founders = Membership::new(self.config.founders.iter().copied(), []);
        let recovered = std::mem::take(&mut self.recovered);
        let engine = self.config.engine.clone();
        Engine::recover(engine, self.config.life, founders, self.now, recovered)
    }

    /// Lets the engine take an event and carries out what it answers. Before the birth there is
    /// no engine, and nothing happens: the node neither votes nor counts.
    fn step(&mut self, event: Event) {
        let Some(engine) = &mut self.engine else {
            return;
        };
        for action in engine.step(event) {
            self.perform(action);
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
        engine.min(forward).min(read).min(self.birth.notice_at())
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
