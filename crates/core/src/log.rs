//! The engine's view of its log: the term of every index and the recent entries. What of it is
//! durable is in `writes.rs`; what is committed is the engine's.

use alloc::borrow::Cow;
use alloc::vec::Vec;

use crate::log_sizes::LogSizes;
use crate::terms::TermStarts;
use crate::window::Window;
use crate::{Entries, EntryId, LogIndex, RecoverError, Term};

/// Terms, sizes and recent entries, always cut and extended together.
#[derive(Debug)]
pub(crate) struct Log {
    terms: TermStarts,
    window: Window,
    sizes: LogSizes,
}

impl Log {
    /// The log of a node that never ran.
    pub(crate) fn empty() -> Self {
        Self {
            terms: TermStarts::default(),
            window: Window::after(LogIndex::NONE),
            sizes: LogSizes::default(),
        }
    }

    /// The log found on disk, with nothing in memory yet.
    pub(crate) fn recover(
        before: EntryId,
        starts: Vec<EntryId>,
        last: LogIndex,
    ) -> Result<Self, RecoverError> {
        let terms = TermStarts::recover(before, starts, last)?;
        Ok(Self {
            terms,
            window: Window::after(last),
            sizes: LogSizes::recover(before.index, last),
        })
    }

    /// The entry before the first one in the log: `NONE`, or the last one purged.
    pub(crate) const fn before(&self) -> EntryId {
        self.terms.before()
    }

    /// Id of the last entry.
    pub(crate) fn last(&self) -> EntryId {
        self.terms.last_id()
    }

    /// The term at `index`; `None` beyond the end and for what was purged.
    pub(crate) fn term_at(&self, index: LogIndex) -> Option<Term> {
        self.terms.term_at(index)
    }

    /// Whether this very entry (or, for [`EntryId::NONE`], the start of the log) is in the log.
    pub(crate) fn contains(&self, id: EntryId) -> bool {
        self.terms.term_at(id.index) == Some(id.term)
    }

    /// The newest entry with neither a later index nor a later term than `bound`.
    pub(crate) fn newest_within(&self, bound: EntryId) -> EntryId {
        self.terms.newest_within(bound)
    }

    /// The id of the entry at `index`, which must be neither beyond the end nor purged.
    pub(crate) fn id_at(&self, index: LogIndex) -> EntryId {
        let term = self.terms.term_at(index);
        debug_assert!(
            term.is_some(),
            "asked for {index} of a log behind {} that ends at {}",
            self.before(),
            self.last()
        );
        EntryId::new(index, term.unwrap_or_default())
    }

    /// Drops everything from the first index of `entries` on and adds them.
    pub(crate) fn append(&mut self, entries: &Entries) {
        let Some(first) = entries.first().map(|entry| entry.index) else {
            return;
        };
        if first <= self.last().index {
            self.terms.truncate_from(first);
            self.window.truncate_from(first);
            self.sizes.truncate_from(first);
        }
        self.terms.append(entries);
        self.sizes
            .push(self.terms.last_id().index, entries.size_bytes());
        self.window.append(entries);
    }

    /// Entries `from..=through` in memory within `limit_bytes`, but at least one; `None` where the
    /// first is on disk only, or beyond the end.
    #[inline(always)]
    pub(crate) fn slice(
        &self,
        from: LogIndex,
        through: LogIndex,
        limit_bytes: u64,
    ) -> Option<Cow<'_, Entries>> {
        self.window.slice(from, through, limit_bytes)
    }

    /// The last entry that is on disk only.
    pub(crate) fn newest_on_disk_only(&self) -> EntryId {
        self.id_at(self.window.first().prev())
    }

    /// Drops every entry up to `through`, which is in the log.
    pub(crate) fn purge_through(&mut self, through: EntryId) {
        debug_assert!(self.contains(through), "{through} is not in the log");
        self.terms.purge_through(through);
        self.window.purge_through(through.index);
        self.sizes.purge_through(through.index);
    }

    /// Drops everything: the log goes on behind `before`, which a snapshot holds.
    pub(crate) fn reset(&mut self, before: EntryId) {
        self.terms.reset(before);
        self.window = Window::after(before.index);
        self.sizes = LogSizes::default();
    }

    /// Bytes of the entries behind `index`, roughly, as far as they came in this life.
    pub(crate) fn bytes_behind(&self, index: LogIndex) -> u64 {
        self.sizes.bytes_behind(index)
    }

    /// Forgets old entries beyond `limit_bytes`, down to what is not yet durable.
    pub(crate) fn evict(&mut self, limit_bytes: u64, durable: LogIndex) {
        if self.window.bytes() > limit_bytes {
            self.window.evict(limit_bytes, durable);
        }
    }
}
