//! A disk in memory: writes wait in order until they are synced, and a crash loses those that
//! were not. What is read back is what a host would recover.

use std::collections::VecDeque;

use quorate_core::{
    Entries, Entry, EntryId, HardState, LoadOutcome, LogIndex, Recovered, Term, WriteId,
};

/// One write of a node, not yet durable.
#[derive(Debug)]
pub(crate) enum Write {
    HardState(HardState),
    Entries(Entries),
}

/// The stable storage of one node, with the writes on their way to it.
#[derive(Debug, Default)]
pub(crate) struct Disk {
    hard_state: HardState,
    log: Vec<Entry>,
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
        }
        self.synced = id;
        Some(id)
    }

    /// The power fails: the first `keep` unsynced writes survive, in order, and the rest is gone.
    pub(crate) fn crash(&mut self, keep: usize) {
        for _ in 0..keep {
            self.sync_one();
        }
        self.pending.clear();
        self.synced = WriteId::NONE;
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
            if let Write::Entries(entries) = write {
                overwrite(&mut log, entries);
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
        for entry in &self.log {
            if term_starts.last().map_or(Term::ZERO, |start| start.term) < entry.term {
                term_starts.push(entry.id());
            }
        }
        Recovered {
            hard_state: self.hard_state,
            term_starts,
            last: LogIndex::new(self.log.len() as u64),
            applied: LogIndex::NONE,
        }
    }

    /// Reads entries as [`quorate_core::Action::LoadEntries`] asks.
    pub(crate) fn load(&self, from: LogIndex, to: EntryId, limit_bytes: u64) -> LoadOutcome {
        if !self.holds(to) {
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
