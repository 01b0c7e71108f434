//! Three engines pumped in one thread: what the benches of this folder and the test of allocations
//! have in common. Nothing here measures anything.
//!
//! The pump is as little of a host as it can be: a message is handed over as it is, a write counts
//! as durable at once, and what is handed to the state machine counts as applied at once. What it
//! adds to the engines' own cost is the vector in which `Event::Propose` takes its commands, and
//! that every message is moved into its event. Emptied vectors are given back.
//!
//! What an action leads to is done before the next action of its step. So a write is confirmed
//! before any later one of the same node begins, as long as no step asks for two.

use std::collections::VecDeque;
use std::mem;
use std::time::Duration;

use bytes::Bytes;
use quorate_core::{
    Action, Body, Config, ConfigError, Engine, Event, Incarnation, LogIndex, Membership, Message,
    NodeId, ProposalId, RoleName, Round, Time, WriteId,
};

/// A position in `Cluster::engines`: the node's number less one.
type Place = usize;

/// What the pump asks of an engine: [`Engine`]'s own contract.
pub(crate) trait Pumped {
    fn step(&mut self, event: Event) -> Vec<Action>;
    fn recycle(&mut self, actions: Vec<Action>);
}

impl Pumped for Engine {
    #[inline(always)]
    fn step(&mut self, event: Event) -> Vec<Action> {
        Engine::step(self, event)
    }

    #[inline(always)]
    fn recycle(&mut self, actions: Vec<Action>) {
        Engine::recycle(self, actions);
    }
}

/// A leader and two followers.
pub(crate) struct Cluster<E = Engine> {
    engines: Vec<E>,
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
        let mut cluster = Self::led_by_first(engines);
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
}

impl<E: Pumped> Cluster<E> {
    /// Engines of which the first leads already.
    pub(crate) const fn led_by_first(engines: Vec<E>) -> Self {
        Self {
            engines,
            held: VecDeque::new(),
            is_holding: false,
            leader: 0,
            now: Time::ZERO,
            proposal: ProposalId::FIRST,
            proposed: 0,
            applied: LogIndex::NONE,
        }
    }

    /// Proposes `batch` commands at once and pumps until every node has applied them.
    pub(crate) fn commit(&mut self, batch: usize) {
        self.propose(batch);
    }

    /// Proposes one command, then lets as much be confirmed as leaves at most `depth` commands
    /// proposed and not yet committed.
    pub(crate) fn commit_behind(&mut self, depth: u64) {
        self.is_holding = true;
        self.propose(1);
        while self.in_flight() > depth
            && let Some((place, event)) = self.held.pop_front()
        {
            self.step(place, event);
        }
    }

    /// Proposed and not yet committed.
    pub(crate) const fn in_flight(&self) -> u64 {
        self.proposed - self.applied.get()
    }

    fn propose(&mut self, batch: usize) {
        let commands = vec![Bytes::from_static(b"sixteen bytes..."); batch];
        let proposal = self.proposal;
        self.proposal = proposal.next();
        self.proposed += batch as u64;
        self.step(self.leader, Event::Propose { proposal, commands });
    }

    fn engine(&mut self, place: Place) -> &mut E {
        match self.engines.get_mut(place) {
            Some(engine) => engine,
            None => unreachable!("no node is in place {place}"),
        }
    }

    /// Gives a node an event and performs what it asks for.
    fn step(&mut self, place: Place, event: Event) {
        let actions = self.engine(place).step(event);
        self.perform(place, actions);
    }

    /// Performs actions of the node in `place`, one by one. What they lead to happens at once,
    /// except while confirmations are held back. Each event is made where the engine takes it: to
    /// hand it on would be to copy it.
    fn perform(&mut self, place: Place, mut actions: Vec<Action>) {
        for action in &mut actions {
            let (place, caused) = match action {
                Action::Send { needs, message } => {
                    let to = usize::try_from(message.to.get() - 1).unwrap_or(usize::MAX);
                    if self.is_held(*needs) {
                        self.held.push_back((to, receive(message)));
                        continue;
                    }
                    (to, self.engine(to).step(receive(message)))
                }
                Action::SaveHardState { write, .. } | Action::AppendEntries { write, .. } => {
                    let write = *write;
                    if self.is_held(write) {
                        self.held.push_back((place, Event::Persisted(write)));
                        continue;
                    }
                    (place, self.engine(place).step(Event::Persisted(write)))
                }
                Action::Apply { entries } => {
                    let Some(last) = entries.last() else { continue };
                    if place == self.leader {
                        self.applied = last.index;
                    }
                    (place, self.engine(place).step(Event::Applied(last.index)))
                }
                Action::Proposed { .. } | Action::RoleChanged { .. } => continue,
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
            };
            if !caused.is_empty() {
                self.perform(place, caused);
            }
        }
        self.engine(place).recycle(actions);
    }

    /// Whether what needs this write has to wait.
    fn is_held(&self, write: WriteId) -> bool {
        self.is_holding && write > WriteId::NONE
    }
}

/// What is left of a message that was taken.
const NOTHING: Body = Body::TimeoutNow { round: Round::ZERO };

/// Takes a message out of its action, to be received. On its own, or it is copied once more before
/// it is where the engine takes it.
#[inline(never)]
fn receive(message: &mut Message) -> Event {
    let body = mem::replace(&mut message.body, NOTHING);
    Event::Receive(Message { body, ..*message })
}
