//! How far entries were handed to the state machine and how far it has come. Bounds what is
//! handed over and not yet applied, so that performing actions never blocks on a slow machine.

use crate::ledger::Ledger;
use crate::{Entries, LoadId, LogIndex, Time};

/// The way of committed entries into the state machine.
#[derive(Debug)]
pub(crate) struct Applies {
    /// Handed over up to here.
    handed: LogIndex,
    /// Applied up to here.
    applied: LogIndex,
    unapplied: Ledger,
    /// Entries that were loaded from disk and not yet handed over.
    loaded: Entries,
    loading: Option<LoadId>,
    /// A load failed; do not ask again before this time.
    retry_at: Option<Time>,
}

impl Applies {
    /// A state machine that holds the effects of everything up to `applied`.
    pub(crate) fn new(applied: LogIndex) -> Self {
        Self {
            handed: applied,
            applied,
            unapplied: Ledger::default(),
            loaded: Entries::empty(),
            loading: None,
            retry_at: None,
        }
    }

    /// Handed over up to here.
    pub(crate) const fn handed(&self) -> LogIndex {
        self.handed
    }

    /// Applied up to here.
    pub(crate) const fn applied(&self) -> LogIndex {
        self.applied
    }

    /// How many bytes may be handed over under `limit_bytes`; at least one entry may whenever
    /// nothing is out.
    pub(crate) fn room(&self, limit_bytes: u64) -> Option<u64> {
        let room = limit_bytes.saturating_sub(self.unapplied.bytes());
        (room > 0).then_some(room)
    }

    /// `entries`, which follow what was handed over last, are handed over.
    pub(crate) fn hand_over(&mut self, entries: &Entries) {
        let Some(last) = entries.last() else { return };
        debug_assert_eq!(
            entries.first().map(|first| first.index),
            Some(self.handed.next()),
            "the state machine sees every index once, in order"
        );
        self.handed = last.index;
        self.unapplied.push(last.index, entries.size_bytes());
        if self
            .loaded
            .last()
            .is_some_and(|last| last.index <= self.handed)
        {
            self.loaded = Entries::empty();
        }
    }

    /// The state machine is replaced by a snapshot of everything up to `index`, which lies
    /// beyond all that was handed over.
    pub(crate) fn restore(&mut self, index: LogIndex) {
        debug_assert!(
            index > self.handed,
            "a snapshot never takes a state machine back"
        );
        self.handed = index;
        self.unapplied.push(index, 0);
        self.forget_load();
    }

    /// What is being loaded is not needed: a snapshot takes its place, and the log may go before
    /// the answer comes.
    pub(crate) fn forget_load(&mut self) {
        self.loaded = Entries::empty();
        self.loading = None;
    }

    /// The state machine says that it has applied up to `index`. It cannot have applied what it
    /// was not given.
    pub(crate) fn applied_through(&mut self, index: LogIndex) {
        self.applied = self.applied.max(index.min(self.handed));
        self.unapplied.release_through(self.applied);
    }

    /// Loaded entries that come next; `None` where none are left.
    pub(crate) fn loaded(&self) -> Option<Entries> {
        if self.loaded.is_empty() {
            return None;
        }
        Some(self.loaded.from_index(self.handed.next()))
    }

    /// Whether entries should be loaded now.
    pub(crate) const fn may_load(&self) -> bool {
        self.loading.is_none() && self.retry_at.is_none()
    }

    pub(crate) const fn load_asked(&mut self, load: LoadId) {
        self.loading = Some(load);
    }

    /// Time has come to `now`: a failed load may be tried again.
    pub(crate) fn tick(&mut self, now: Time) {
        self.retry_at.take_if(|at| *at <= now);
    }

    /// Whether this answers the load under way, which then ends.
    pub(crate) fn load_ended(&mut self, load: LoadId) -> bool {
        self.loading.take_if(|loading| *loading == load).is_some()
    }

    pub(crate) fn keep_loaded(&mut self, entries: Entries) {
        self.loaded = entries;
    }

    pub(crate) const fn retry_load_at(&mut self, at: Time) {
        self.retry_at = Some(at);
    }

    /// When a failed load is to be tried again.
    pub(crate) const fn retry_at(&self) -> Option<Time> {
        self.retry_at
    }
}
