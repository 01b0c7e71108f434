//! A disk in memory: writes wait in order until they are synced, and a crash loses those that
//! were not. What is read back is what a host would recover.
//!
//! A snapshot's bytes are, in these tests, the entries that made the state. So the disk can keep
//! the whole history below a snapshot for the checks of `safety.rs`, and shows an engine only what
//! a real one would have: nothing up to `before`.

use std::collections::VecDeque;

use quorate_core::{
    Entries, Entry, EntryId, HardState, LoadOutcome, LogIndex, Membership, Payload, Recovered,
    SnapshotMeta, Term, WriteId,
};

/// One write of a node, not yet durable.
#[derive(Debug)]
pub(crate) enum Write {
    HardState(HardState),
    Entries(Entries),
    Install(Snapshot, bool),
}

/// A snapshot with its content.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Snapshot {
    pub(crate) meta: SnapshotMeta,
    pub(crate) content: Vec<Entry>,
}

/// The stable storage of one node, with the writes on their way to it.
#[derive(Debug, Default)]
pub(crate) struct Disk {
    hard_state: HardState,
    /// The whole history, from index 1 on.
    log: Vec<Entry>,
    /// What an engine can see starts behind this.
    before: EntryId,
    /// Durable snapshots, oldest first.
    snapshots: Vec<Snapshot>,
    /// Received and not yet installed.
    pub(crate) received: Option<Snapshot>,
    pending: VecDeque<(WriteId, Write)>,
    synced: WriteId,
    /// While held, writes are accepted and nothing becomes durable.
    pub(crate) is_held: bool,
}

impl Disk {
    /// A disk on which everything is durable.
    pub(crate) fn with(hard_state: HardState, log: Vec<Entry>) -> Self {
        Self {
            hard_state,
            log,
            ..Self::default()
        }
    }

    pub(crate) fn write(&mut self, id: WriteId, write: Write) {
        self.pending.push_back((id, write));
    }

    /// Makes the oldest write durable.
    pub(crate) fn sync_one(&mut self) -> Option<WriteId> {
        let (id, write) = self.pending.pop_front()?;
        match write {
            Write::HardState(state) => self.hard_state = state,
            Write::Entries(entries) => overwrite(&mut self.log, &entries),
            Write::Install(snapshot, discard_log) => self.installed(snapshot, discard_log),
        }
        self.synced = id;
        Some(id)
    }

    /// The power fails: the first `keep` unsynced writes survive, in order, and the rest is gone.
    pub(crate) fn crash(&mut self, keep: usize) {
        for _ in 0..keep.min(self.pending.len()) {
            self.sync_one();
        }
        self.pending.clear();
        self.received = None;
        self.synced = WriteId::NONE;
    }

    /// The received snapshot is to be installed, in the order of writes.
    pub(crate) fn install(&mut self, write: WriteId, meta: &SnapshotMeta, discard_log: bool) {
        let received = self
            .received
            .take()
            .expect("only what was received is installed");
        assert_eq!(received.meta, *meta, "only what was received is installed");
        self.write(write, Write::Install(received, discard_log));
    }

    fn installed(&mut self, snapshot: Snapshot, discard_log: bool) {
        if discard_log {
            self.log.clone_from(&snapshot.content);
            self.before = snapshot.meta.last;
        }
        self.keep(snapshot);
    }

    /// A snapshot of this node's own is durable.
    pub(crate) fn keep(&mut self, snapshot: Snapshot) {
        let last = self.snapshots.last();
        assert!(
            last.is_none_or(|last| last.meta.last.index < snapshot.meta.last.index),
            "snapshots only get newer"
        );
        self.snapshots.push(snapshot);
    }

    /// The durable snapshot that ends in `last`.
    pub(crate) fn snapshot(&self, last: EntryId) -> Option<&Snapshot> {
        self.snapshots
            .iter()
            .find(|snapshot| snapshot.meta.last == last)
    }

    /// The engine needs nothing up to `through` any more.
    pub(crate) fn purge(&mut self, through: EntryId) {
        let newest = self.snapshots.last().expect("a purge rests on a snapshot");
        assert!(
            through.index <= newest.meta.last.index && self.holds(through),
            "{through} is purged, but the newest snapshot is {:?} (D04)",
            newest.meta
        );
        self.before = through;
    }

    /// The engine needs this snapshot no more.
    pub(crate) fn drop_snapshot(&mut self, meta: &SnapshotMeta) {
        self.snapshots.retain(|snapshot| snapshot.meta != *meta);
        assert!(
            self.newest_snapshot() >= self.before.index,
            "{} is dropped, and nothing else holds what was purged (D08)",
            meta.last
        );
        self.received.take_if(|received| received.meta == *meta);
    }

    /// Index of the last entry of the newest durable snapshot.
    pub(crate) fn newest_snapshot(&self) -> LogIndex {
        let newest = self.snapshots.last();
        newest.map_or(LogIndex::NONE, |newest| newest.meta.last.index)
    }

    /// Every write of this life up to here is durable.
    pub(crate) const fn synced(&self) -> WriteId {
        self.synced
    }

    pub(crate) fn pending(&self) -> usize {
        self.pending.len()
    }

    /// The durable term, vote and floor.
    pub(crate) const fn hard_state(&self) -> HardState {
        self.hard_state
    }

    /// The durable log.
    pub(crate) fn log(&self) -> &[Entry] {
        &self.log
    }

    /// The log with every write that was asked for.
    pub(crate) fn log_as_written(&self) -> Vec<Entry> {
        let mut log = self.log.clone();
        for (_, write) in &self.pending {
            match write {
                Write::Entries(entries) => overwrite(&mut log, entries),
                Write::Install(snapshot, true) => log.clone_from(&snapshot.content),
                Write::Install(_, false) | Write::HardState(_) => {}
            }
        }
        log
    }

    /// Whether this very entry is durable. The start of the log always is.
    pub(crate) fn holds(&self, id: EntryId) -> bool {
        id == EntryId::NONE || entry_at(&self.log, id.index).is_some_and(|entry| entry.id() == id)
    }

    /// What a host finds at a start, with a state machine that starts empty.
    pub(crate) fn recovered(&self) -> Recovered {
        let mut term_starts: Vec<EntryId> = Vec::new();
        let mut memberships = Vec::new();
        for entry in self
            .log
            .iter()
            .filter(|entry| entry.index > self.before.index)
        {
            if let Payload::Membership(bytes) = &entry.payload {
                memberships.push((entry.index, Membership::decode(bytes).unwrap()));
            }
            if term_starts.last().map_or(Term::ZERO, |start| start.term) < entry.term {
                term_starts.push(entry.id());
            }
        }
        Recovered {
            hard_state: self.hard_state,
            snapshot: self.snapshots.last().map(|snapshot| snapshot.meta.clone()),
            before: self.before,
            memberships,
            term_starts,
            last: LogIndex::new(self.log.len() as u64),
            applied: LogIndex::NONE,
        }
    }

    /// Reads entries as [`quorate_core::Action::LoadEntries`] asks.
    pub(crate) fn load(&self, from: LogIndex, to: EntryId, limit_bytes: u64) -> LoadOutcome {
        if !self.holds(to) || from <= self.before.index {
            return LoadOutcome::Gone;
        }
        let wanted = self.log.iter().filter(|entry| entry.index >= from);
        let found: Entries = wanted
            .take_while(|entry| entry.index <= to.index)
            .cloned()
            .collect();
        LoadOutcome::Found(found.within(limit_bytes))
    }
}

/// The entry at `index` of a log that starts at index 1.
pub(crate) fn entry_at(log: &[Entry], index: LogIndex) -> Option<&Entry> {
    log.get(usize::try_from(index.get().checked_sub(1)?).ok()?)
}

/// Drops what stands from the first of `entries` on, and adds them.
pub(crate) fn overwrite(log: &mut Vec<Entry>, entries: &Entries) {
    let Some(first) = entries.first() else { return };
    let keep = usize::try_from(first.index.prev().get()).unwrap();
    assert!(
        keep <= log.len(),
        "an append leaves no gap, but {} came",
        first.id()
    );
    log.truncate(keep);
    log.extend(entries.iter().cloned());
}
