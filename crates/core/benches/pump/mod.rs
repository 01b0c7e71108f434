//! Three engines pumped in one thread: what the benches of this folder and the test of allocations
//! have in common. Nothing here measures anything.
//!
//! The pump is as little of a host as it can be: a message is handed over as it is, a write counts
//! as durable at once, and what is handed to the state machine counts as applied at once. What it
//! adds to the engines' own cost is a queue of their answers, which does not allocate once it has
//! grown, and the vector in which `Event::Propose` takes its commands.

use std::collections::VecDeque;
use std::time::Duration;

use bytes::Bytes;
use quorate_core::{
    Action, Config, ConfigError, Engine, Event, Incarnation, LogIndex, Membership, NodeId,
    ProposalId, RoleName, Time, WriteId,
};

/// A position in `Cluster::engines`: the node's number less one.
type Place = usize;

/// A leader and two followers.
pub(crate) struct Cluster {
    engines: Vec<Engine>,
    /// What engines want done, step by step.
    queue: VecDeque<(Place, Vec<Action>)>,
    /// Confirmations of writes and the answers behind them, while they are held back.
    held: VecDeque<(Place, Event)>,
    is_holding: bool,
    leader: Place,
    now: Time,
    proposal: ProposalId,
    proposed: u64,
    /// Applied by the leader up to here.
    applied: LogIndex,
}

impl Cluster {
    /// Three engines that have elected a leader, with nothing left to do. `adjust` may change the
    /// default settings.
    pub(crate) fn elected(adjust: impl Fn(&mut Config)) -> Result<Self, ConfigError> {
        let ids: Vec<NodeId> = (1..=3).filter_map(NodeId::new).collect();
        let founders = Membership::new(ids.iter().copied(), []);
        let mut engines = Vec::new();
        for &id in &ids {
            let mut config = Config::new(id, id.get());
            // No snapshots: what is measured is the log.
            config.snapshot_bytes = None;
            adjust(&mut config);
            let life = Incarnation::new(id.get());
            let config = config.validate()?;
            engines.push(Engine::new(config, life, founders.clone(), Time::ZERO));
        }
        let mut cluster = Self {
            engines,
            queue: VecDeque::new(),
            held: VecDeque::new(),
            is_holding: false,
            leader: 0,
            now: Time::ZERO,
            proposal: ProposalId::FIRST,
            proposed: 0,
            applied: LogIndex::NONE,
        };
        cluster.elect();
        // What was committed by the election is no proposal of ours.
        cluster.proposed = cluster.applied.get();
        Ok(cluster)
    }

    fn elect(&mut self) {
        let leads = |engine: &Engine| engine.status().role == RoleName::Leader;
        loop {
            self.now = self.now.after(Duration::from_millis(10));
            for place in 0..self.engines.len() {
                self.step(place, Event::Tick { now: self.now });
            }
            self.run();
            if let Some(leader) = self.engines.iter().position(leads) {
                self.leader = leader;
                self.applied = self
                    .engines
                    .iter()
                    .map(|it| it.status().applied)
                    .max()
                    .unwrap_or_default();
                return;
            }
        }
    }

    /// Proposes `batch` commands at once and pumps until every node has applied them.
    pub(crate) fn commit(&mut self, batch: usize) {
        self.propose(batch);
        self.run();
    }

    /// Proposes one command, then lets as much be confirmed as leaves at most `depth` commands
    /// proposed and not yet committed.
    pub(crate) fn commit_behind(&mut self, depth: u64) {
        self.is_holding = true;
        self.propose(1);
        self.run();
        while self.in_flight() > depth
            && let Some((place, event)) = self.held.pop_front()
        {
            self.step(place, event);
            self.run();
        }
    }

    /// Proposed and not yet committed.
    pub(crate) const fn in_flight(&self) -> u64 {
        self.proposed - self.applied.get()
    }

    /// Lets time pass at one node: the leader, or a follower. Returns how many actions it caused.
    pub(crate) fn tick(&mut self, is_leader: bool, by: Duration) -> usize {
        let place = if is_leader {
            self.leader
        } else {
            (self.leader + 1) % self.engines.len()
        };
        let now = self.now.after(by);
        let engine = self.engines.get_mut(place);
        engine.map_or(0, |engine| engine.step(Event::Tick { now }).len())
    }

    fn propose(&mut self, batch: usize) {
        let commands = vec![Bytes::from_static(b"sixteen bytes..."); batch];
        let proposal = self.proposal;
        self.proposal = proposal.next();
        self.proposed += batch as u64;
        self.step(self.leader, Event::Propose { proposal, commands });
    }

    /// Gives a node an event and keeps what it answers.
    fn step(&mut self, place: Place, event: Event) {
        if let Some(engine) = self.engines.get_mut(place) {
            let actions = engine.step(event);
            if !actions.is_empty() {
                self.queue.push_back((place, actions));
            }
        }
    }

    fn run(&mut self) {
        while let Some((place, actions)) = self.queue.pop_front() {
            for action in actions {
                self.perform(place, action);
            }
        }
    }

    /// Performs one action of the node in `place`. What it leads to happens at once, except while
    /// confirmations are held back.
    fn perform(&mut self, place: Place, action: Action) {
        match action {
            Action::Send { needs, message } => {
                let to = usize::try_from(message.to.get() - 1).unwrap_or(usize::MAX);
                self.cause(needs, to, Event::Receive(message));
            }
            Action::SaveHardState { write, .. } | Action::AppendEntries { write, .. } => {
                self.cause(write, place, Event::Persisted(write));
            }
            Action::Apply { entries } => {
                let Some(last) = entries.last() else { return };
                if place == self.leader {
                    self.applied = last.index;
                }
                self.step(place, Event::Applied(last.index));
            }
            Action::Proposed { .. } | Action::RoleChanged { .. } => {}
            // In a cluster without faults, operators and snapshots none of these can be right.
            Action::LoadEntries { .. }
            | Action::InstallSnapshot { .. }
            | Action::RestoreSnapshot { .. }
            | Action::PurgeLog { .. }
            | Action::SnapshotDue
            | Action::ReceiveSnapshot { .. }
            | Action::DropSnapshot { .. }
            | Action::MembershipAppended { .. }
            | Action::MembershipChanged { .. }
            | Action::Removed { .. }
            | Action::HandedOver { .. }
            | Action::ReadReady { .. }
            | Action::Refused { .. }
            | Action::Fatal(_) => unreachable!("{action:?}"),
        }
    }

    /// Something that needs a write happens: now, or when it is let go.
    fn cause(&mut self, write: WriteId, place: Place, event: Event) {
        if self.is_holding && write > WriteId::NONE {
            self.held.push_back((place, event));
        } else {
            self.step(place, event);
        }
    }
}
