//! A cluster in one thread: engines, disks, a network and a clock, all moved by hand. Every step
//! is checked against the engine's contract and the safety properties of Raft, whatever the test
//! at hand looks at.

use std::collections::VecDeque;

use bytes::Bytes;
use core::time::Duration;
use quorate_core::{
    Action, Config, Engine, Event, HardState, LogIndex, Message, NodeId, ProposalId, ReadId,
    Refusal, Request, RoleName, Status, Time,
};

use super::changes::{self, ChangeEnd};
use super::disk::Write;
use super::network::Network;
use super::node::Node;
use super::safety::Safety;
use super::trace::{Keep, Trace};
use super::{ELECTION_MIN_MS, config, ms, n, outcomes, voters};

/// Events in one `settle` beyond which the nodes are taken to talk in circles.
const STORM: usize = 200_000;

/// How a read ended.
pub(crate) type ReadEnd = (NodeId, ReadId, Result<LogIndex, Refusal>);

/// A cluster and its history.
#[derive(Debug)]
pub(crate) struct World {
    pub(crate) nodes: Vec<Node>,
    pub(crate) net: Network,
    pub(crate) safety: Safety,
    pub(crate) trace: Trace,
    pub(crate) now: Time,
    /// Each write is durable before the next action, as a host without overlap performs them.
    pub(crate) is_sequential: bool,
    /// The node that performs the action with this number stops instead of performing it.
    pub(crate) stop_at: Option<u64>,
    /// So many of its unsynced writes survive, if it has as many.
    pub(crate) stop_keeps: usize,
    /// Actions performed so far.
    pub(crate) performed: u64,
    /// Reads that ended, in order.
    pub(crate) reads: Vec<ReadEnd>,
    /// Changes of the membership that were answered, in order.
    pub(crate) changes: Vec<ChangeEnd>,
    /// Which requests were answered where, in order.
    pub(crate) answers: Vec<(NodeId, Request)>,
    pub(crate) names: u64,
}

impl World {
    /// Nodes 1 to `count`, all new, with default settings. Their history is written down.
    pub(crate) fn new(count: u64) -> Self {
        let mut world = Self::with(count, |_| {});
        world.trace.keep = Keep::Tail;
        world
    }

    /// Nodes 1 to `count`, all new, with these settings.
    pub(crate) fn with(count: u64, adjust: impl Fn(&mut Config)) -> Self {
        let now = Time::ZERO.after(Duration::from_secs(1));
        let start = |id| {
            let mut config = config(n(id), id * 77);
            adjust(&mut config);
            Node::start(config, voters(count), Default::default(), now)
        };
        Self {
            nodes: (1..=count).map(start).collect(),
            net: Network::default(),
            safety: Safety::default(),
            trace: Trace::default(),
            now,
            is_sequential: false,
            stop_at: None,
            stop_keeps: 0,
            performed: 0,
            reads: Vec::new(),
            changes: Vec::new(),
            answers: Vec::new(),
            names: 0,
        }
    }

    pub(crate) fn node(&self, id: u64) -> &Node {
        &self.nodes[Self::position(n(id))]
    }

    pub(crate) fn node_mut(&mut self, id: u64) -> &mut Node {
        &mut self.nodes[Self::position(n(id))]
    }

    pub(crate) fn position(id: NodeId) -> usize {
        usize::try_from(id.get()).unwrap() - 1
    }

    fn engine(&self, id: u64) -> Option<&Engine> {
        self.node(id).engine.as_ref()
    }

    pub(crate) fn status(&self, id: u64) -> Status {
        self.node(id).engine().status()
    }

    /// The running nodes' numbers.
    pub(crate) fn running(&self) -> Vec<u64> {
        let running = self.nodes.iter().filter(|node| node.engine.is_some());
        running.map(|node| node.id.get()).collect()
    }

    /// The leader of the newest term that has one.
    pub(crate) fn leader(&self) -> Option<u64> {
        let leads = |id: &u64| self.status(*id).role == RoleName::Leader;
        self.running()
            .into_iter()
            .filter(leads)
            .max_by_key(|&id| self.status(id).term)
    }

    /// Gives `id` a past: term, vote and log, all durable. It starts anew.
    pub(crate) fn reinstall(&mut self, id: u64, hard_state: HardState, terms: &[u64]) {
        let log = super::entries(1, terms).to_vec();
        let now = self.now;
        self.node_mut(id).reinstall(hard_state, log, now);
    }

    /// Hands one event to a node and performs what comes of it.
    pub(crate) fn step(&mut self, id: u64, event: Event) {
        let position = Self::position(n(id));
        let node = &mut self.nodes[position];
        let Some(engine) = &mut node.engine else {
            return;
        };
        let actions = engine.step(event);
        node.contract.check(&actions, node.disk.synced());
        self.safety.on_step(&mut self.nodes, position, &actions);
        for action in actions {
            if self.stop_at == Some(self.performed) {
                self.stop_at = None;
                self.performed += 1;
                return self.crash(id, self.stop_keeps);
            }
            self.performed += 1;
            self.perform(position, action);
        }
        if !self.nodes[position].disk.is_held {
            self.sync(id);
        }
    }

    fn perform(&mut self, position: usize, action: Action) {
        self.note(position, &action);
        let node = &mut self.nodes[position];
        match action {
            Action::Send { needs, message } => {
                if needs <= node.disk.synced() {
                    return self.leave(position, message);
                }
                node.waiting.push((needs, message));
            }
            Action::LoadEntries {
                load,
                from,
                to,
                limit_bytes,
                purpose: _,
            } => {
                let outcome = node.disk.load(from, to, limit_bytes);
                node.inbox.push_back(Event::Loaded { load, outcome });
            }
            Action::SaveHardState { write, state } => {
                node.disk.write(write, Write::HardState(state));
                self.sync_if_sequential(position);
            }
            Action::AppendEntries { write, entries } => {
                Safety::on_append(node, entries.first().unwrap().id());
                node.disk.write(write, Write::Entries(entries));
                self.sync_if_sequential(position);
            }
            Action::Apply { entries } => {
                self.safety.on_apply(node, &entries);
                node.apply(&entries);
            }
            Action::ReadReady { read, index } => self.end_read(position, read, Ok(index)),
            Action::Refused {
                request: Request::Read(read),
                reason,
            } => self.end_read(position, read, Err(reason)),
            Action::RoleChanged {
                role: RoleName::Leader,
                term,
                ..
            } => self.safety.on_leader(&self.nodes[position], term),
            Action::Fatal(violation) => panic!("{} stops: {violation}", node.id),
            Action::InstallSnapshot {
                write,
                snapshot,
                discard_log,
            } => {
                node.disk.install(write, &snapshot, discard_log);
                self.sync_if_sequential(position);
            }
            Action::RestoreSnapshot { snapshot } => self.restore_state(position, &snapshot),
            Action::PurgeLog { through } => node.disk.purge(through),
            Action::SnapshotDue => node.snapshot_due(),
            Action::ReceiveSnapshot { from, snapshot } => self.receive(position, from, &snapshot),
            Action::DropSnapshot { snapshot } => node.drop_snapshot(&snapshot),
            Action::MembershipAppended { .. }
            | Action::MembershipChanged { .. }
            | Action::Removed { .. }
            | Action::HandedOver { .. }
            | Action::Proposed { .. }
            | Action::Refused { .. }
            | Action::RoleChanged { .. } => {}
        }
    }

    /// Writes an action down, and what it answers.
    fn note(&mut self, position: usize, action: &Action) {
        let node = &self.nodes[position];
        self.trace.action(node, action);
        let answered = outcomes::answered(action);
        self.answers
            .extend(answered.map(|request| (node.id, request)));
        self.changes.extend(changes::ended(node.id, action));
    }

    fn end_read(&mut self, position: usize, read: ReadId, end: Result<LogIndex, Refusal>) {
        let node = &self.nodes[position];
        self.safety.on_read_end(node, read, end.ok());
        self.reads.push((node.id, read, end));
    }

    fn sync_if_sequential(&mut self, position: usize) {
        if self.is_sequential {
            self.nodes[position].disk.sync_one();
        }
    }

    /// A message is handed to the network, which may lose it.
    fn leave(&mut self, position: usize, message: Message) {
        self.safety.on_leave(&self.nodes[position], &message);
        let is_lost = self.net.is_cut((message.from, message.to));
        self.trace
            .message(&message, if is_lost { "  (lost)" } else { "" });
        if !is_lost {
            self.net.send(message);
        }
    }

    /// Makes every write of the node durable, lets go what waited for it, and says so.
    pub(crate) fn sync(&mut self, id: u64) {
        let position = Self::position(n(id));
        loop {
            let ready = self.nodes[position].take_ready_sends();
            for message in ready {
                self.leave(position, message);
            }
            if self.nodes[position].disk.sync_one().is_none() {
                break;
            }
        }
        let node = &mut self.nodes[position];
        let synced = node.disk.synced();
        if synced > node.told_synced {
            node.told_synced = synced;
            node.inbox.push_back(Event::Persisted(synced));
        }
    }

    /// Steps a node with an event of its own inbox; false if there is none anywhere.
    pub(crate) fn pump(&mut self) -> bool {
        let waits = |node: &&mut Node| !node.inbox.is_empty();
        let Some(node) = self.nodes.iter_mut().find(waits) else {
            return false;
        };
        let (id, event) = (node.id.get(), node.inbox.pop_front());
        if let Some(event) = event {
            self.step(id, event);
        }
        true
    }

    /// Hands a message to its receiver, whose clock moves first, as far as it may without a
    /// timeout of its own.
    pub(crate) fn deliver(&mut self, message: Message) {
        let id = message.to.get();
        if let Some(engine) = self.engine(id) {
            let due = engine.next_timeout().at.as_nanos().saturating_sub(1);
            let now = Time::from_nanos(self.now.as_nanos().min(due));
            self.step(id, Event::Tick { now });
            self.step(id, Event::Receive(message));
        }
    }

    /// Delivers everything that is not delayed, until nobody has anything more to say.
    pub(crate) fn settle(&mut self) {
        self.deliver_all();
        Safety::check_log_matching(&self.nodes);
    }

    fn deliver_all(&mut self) {
        for _ in 0..STORM {
            if self.pump() {
                continue;
            }
            let Some(message) = self.net.pop() else {
                return;
            };
            self.deliver(message);
        }
        panic!("the nodes talk in circles");
    }

    /// Hands what hosts have for their engines to them, and delivers nothing.
    pub(crate) fn pump_all(&mut self) {
        while self.pump() {}
    }

    /// Ticks a node at the time it asked for, and nobody else.
    pub(crate) fn fire(&mut self, id: u64) {
        let at = self.node(id).engine().next_timeout().at;
        self.now = self.now.max(at);
        self.step(id, Event::Tick { now: at });
        self.pump_all();
    }

    /// The election timer of `id` runs out first. Nothing is delivered.
    pub(crate) fn campaign(&mut self, id: u64) {
        assert_ne!(
            self.status(id).role,
            RoleName::Leader,
            "n{id} leads already"
        );
        self.fire(id);
    }

    /// Makes `id` leader, after everybody's patience with an earlier leader has run out.
    ///
    /// # Panics
    /// When it does not win.
    pub(crate) fn elect(&mut self, id: u64) {
        let due = self.node(id).engine().next_timeout().at;
        let patient_until = self.now.after(ms(ELECTION_MIN_MS));
        if due <= patient_until {
            // So late that it counts as a pause: the timer starts anew.
            let late = patient_until.after(ms(ELECTION_MIN_MS));
            self.step(id, Event::Tick { now: late });
        }
        self.campaign(id);
        self.settle();
        assert_eq!(self.status(id).role, RoleName::Leader, "n{id} is elected");
    }

    /// Time passes, timers fire, messages arrive at once.
    pub(crate) fn advance(&mut self, duration: Duration) {
        let target = self.now.after(duration);
        for _ in 0..STORM {
            let timeouts = self.nodes.iter().filter_map(|node| node.engine.as_ref());
            let next = timeouts.map(|engine| engine.next_timeout().at).min();
            let at = next.unwrap_or(target).clamp(self.now, target);
            self.now = at;
            for id in self.running() {
                self.step(id, Event::Tick { now: at });
            }
            self.deliver_all();
            if at == target && next.is_none_or(|next| next > target) {
                return Safety::check_log_matching(&self.nodes);
            }
        }
        panic!("time stands still");
    }

    /// Proposes commands at a node, as one batch.
    pub(crate) fn propose(&mut self, id: u64, commands: &[&str]) {
        self.names += 1;
        let commands = commands
            .iter()
            .map(|command| Bytes::from((*command).to_owned()));
        let proposal = ProposalId::new(self.names);
        self.step(
            id,
            Event::Propose {
                proposal,
                commands: commands.collect(),
            },
        );
    }

    /// Asks for a linearizable read at a node.
    pub(crate) fn read(&mut self, id: u64) -> ReadId {
        self.names += 1;
        let read = ReadId::new(self.names);
        if self.node(id).engine.is_some() {
            self.safety
                .on_read(&self.nodes[Self::position(n(id))], read);
            self.step(id, Event::Read { read });
        }
        read
    }

    /// How a read ended; `None` while it waits.
    pub(crate) fn read_end(&self, read: ReadId) -> Option<Result<LogIndex, Refusal>> {
        let ended = self.reads.iter().find(|(_, ended, _)| *ended == read);
        ended.map(|&(_, _, end)| end)
    }

    /// The node loses power; `keep` of its unsynced writes survive.
    pub(crate) fn crash(&mut self, id: u64, keep: usize) {
        let position = Self::position(n(id));
        self.safety.on_crash(&self.nodes[position]);
        self.nodes[position].crash(keep);
    }

    pub(crate) fn restart(&mut self, id: u64) {
        let now = self.now;
        self.node_mut(id).restart(now);
    }

    /// Cuts every link between the two sides.
    pub(crate) fn cut(&mut self, side: &[u64], other: &[u64]) {
        for &a in side {
            for &b in other {
                self.net.cut((n(a), n(b)));
                self.net.cut((n(b), n(a)));
            }
        }
    }

    /// The terms of a node's log as written.
    pub(crate) fn terms(&self, id: u64) -> Vec<u64> {
        let log = self.node(id).disk.log_as_written();
        log.iter().map(|entry| entry.term.get()).collect()
    }

    /// The commands a node has applied, in order.
    pub(crate) fn applied(&self, id: u64) -> Vec<String> {
        let applied: VecDeque<_> = self.node(id).applied.iter().collect();
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        let commands = applied.iter().map(|entry| text(entry.payload.bytes()));
        commands.filter(|command| !command.is_empty()).collect()
    }
}

impl Drop for World {
    fn drop(&mut self) {
        if std::thread::panicking() && self.trace.keep != Keep::Nothing {
            eprintln!("the history before the failure:\n{}", self.trace.tail());
        }
    }
}
