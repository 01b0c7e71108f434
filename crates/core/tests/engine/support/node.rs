//! One node of a world: an engine while it runs, the disk that outlives it, and what its host has
//! yet to do. Only the bookkeeping; when things happen is the world's choice.

use std::collections::VecDeque;

use quorate_core::{
    Config, Engine, Entry, Event, HardState, Incarnation, LogIndex, Membership, Message, NodeId,
    Recovered, SnapshotMeta, Term, Time, WriteId,
};

use super::contract::Contract;
use super::disk::{Disk, Snapshot};

/// A node and its host.
#[derive(Debug)]
pub(crate) struct Node {
    pub(crate) id: NodeId,
    config: Config,
    members: Membership,
    pub(crate) engine: Option<Engine>,
    pub(crate) disk: Disk,
    /// Sends that wait for the disk.
    pub(crate) waiting: Vec<(WriteId, Message)>,
    /// Events the host has for the engine.
    pub(crate) inbox: VecDeque<Event>,
    /// The newest write that the engine was, or is about to be, told to be durable.
    pub(crate) told_synced: WriteId,
    pub(crate) contract: Contract,
    pub(crate) life: Incarnation,
    /// Applied in this life; the state machine starts empty.
    pub(crate) applied: Vec<Entry>,
    /// While held, the state machine takes entries and never reports progress.
    pub(crate) is_apply_held: bool,
    /// A snapshot on its way here; held until the test lets it arrive.
    pub(crate) incoming: Option<Snapshot>,
    /// While held, snapshots that are asked for do not arrive.
    pub(crate) is_receive_held: bool,
    /// The newest term and commit index of this life.
    pub(crate) seen: (Term, LogIndex),
}

impl Node {
    /// A node that starts at `now` with what is on `disk`.
    pub(crate) fn start(config: Config, members: Membership, disk: Disk, now: Time) -> Self {
        let mut node = Self {
            id: config.id,
            config,
            members,
            engine: None,
            disk,
            waiting: Vec::new(),
            inbox: VecDeque::new(),
            told_synced: WriteId::NONE,
            contract: Contract::default(),
            life: Incarnation::UNKNOWN,
            applied: Vec::new(),
            is_apply_held: false,
            incoming: None,
            is_receive_held: false,
            seen: (Term::ZERO, LogIndex::NONE),
        };
        node.restart(now);
        node
    }

    /// Starts a new life with what is on the disk.
    pub(crate) fn restart(&mut self, now: Time) {
        let lives = self.life.get() % 1000 + 1;
        self.life = Incarnation::new(self.id.get() * 1000 + lives);
        self.config.seed = self.config.seed.wrapping_add(lives);
        let recovered = self.disk.recovered();
        let held = recovered
            .snapshot
            .as_ref()
            .map(|snapshot| snapshot.last.index);
        self.seen = (recovered.hard_state.term, held.unwrap_or_default());
        let config = self.config.clone().validate().unwrap();
        let members = self.members.clone();
        let is_new = recovered == Recovered::default();
        self.engine = Some(if is_new {
            Engine::new(config, self.life, members, now)
        } else {
            Engine::recover(config, self.life, members, now, recovered)
                .expect("what an engine had written is accepted by the next")
        });
    }

    /// Stops at once: of the unsynced writes the first `keep` survive.
    pub(crate) fn crash(&mut self, keep: usize) {
        self.engine = None;
        self.disk.crash(keep);
        self.disk.is_held = false;
        self.waiting.clear();
        self.inbox.clear();
        self.told_synced = WriteId::NONE;
        self.contract = Contract::default();
        self.applied.clear();
        self.is_apply_held = false;
        self.incoming = None;
        self.is_receive_held = false;
    }

    /// Replaces the disk and starts with it.
    pub(crate) fn reinstall(&mut self, hard_state: HardState, log: Vec<Entry>, now: Time) {
        self.crash(0);
        self.disk = Disk::with(hard_state, log);
        self.restart(now);
    }

    /// The engine, which must be running.
    pub(crate) fn engine(&self) -> &Engine {
        self.engine.as_ref().expect("the node runs")
    }

    /// Takes out the sends that wait for nothing any more.
    pub(crate) fn take_ready_sends(&mut self) -> Vec<Message> {
        let synced = self.disk.synced();
        let ready = self.waiting.extract_if(.., |(needs, _)| *needs <= synced);
        ready.map(|(_, message)| message).collect()
    }

    /// Takes entries into the state machine, and says so unless it is held.
    pub(crate) fn apply(&mut self, entries: &[Entry]) {
        self.applied.extend(entries.iter().cloned());
        let applied = self.applied_index();
        if !self.is_apply_held {
            self.inbox.push_back(Event::Applied(applied));
        }
    }

    /// The engine wants a snapshot. A state machine that is stuck cannot be captured; one that is
    /// not says first how far it is.
    pub(crate) fn snapshot_due(&mut self) {
        let applied = self.applied_index();
        let is_new = !self.is_apply_held && applied > self.disk.newest_snapshot();
        let taken = is_new.then(|| self.take_snapshot()).flatten();
        if taken.is_some() {
            self.inbox.push_back(Event::Applied(applied));
        }
        self.inbox.push_back(taken.unwrap_or(Event::SnapshotFailed));
    }

    /// The engine needs a snapshot no more, wherever it is.
    pub(crate) fn drop_snapshot(&mut self, snapshot: &SnapshotMeta) {
        self.incoming.take_if(|incoming| incoming.meta == *snapshot);
        self.disk.drop_snapshot(snapshot);
    }

    /// Takes a snapshot of what is applied, durable at once, under the label of that very moment
    /// (scenario D19).
    pub(crate) fn take_snapshot(&mut self) -> Option<Event> {
        let last = self.applied.last()?.id();
        let (membership_index, membership) = self.engine().membership_at(last.index);
        let snapshot = Snapshot {
            meta: SnapshotMeta {
                last,
                membership: membership.clone(),
                membership_index,
                length: self.applied.len() as u64,
                checksum: self.id.get() * 1_000_000 + last.index.get(),
            },
            content: self.applied.clone(),
        };
        let meta = snapshot.meta.clone();
        self.disk.keep(snapshot);
        Some(Event::SnapshotTaken(meta))
    }

    /// Index of the last applied entry.
    pub(crate) fn applied_index(&self) -> LogIndex {
        LogIndex::new(self.applied.len() as u64)
    }
}
