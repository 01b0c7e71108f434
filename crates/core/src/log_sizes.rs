//! How many bytes of log lie behind an index, roughly: sums over stretches of the log, so that
//! the account stays small however long the log is, and an answer costs a search and no walk.

use alloc::collections::VecDeque;

use crate::{Entry, LogIndex};

/// A stretch is closed when it has this many bytes.
const STRETCH_BYTES: u64 = 1024 * 1024;

/// Stretches of the log, oldest first, behind what was found on disk.
#[derive(Debug, Default)]
pub(crate) struct LogSizes {
    /// What is left of the log found on disk: behind the first of these, up to the second. Only
    /// the number of its entries is known: each counts as one without a payload.
    found: (LogIndex, LogIndex),
    stretches: VecDeque<Stretch>,
    /// Bytes of all stretches there ever were, but for those that were cut off behind.
    total: u64,
}

/// Some entries of this life that stand side by side.
#[derive(Clone, Copy, Debug)]
struct Stretch {
    last: LogIndex,
    /// What the total was before this stretch.
    before: u64,
}

impl LogSizes {
    /// The log found on disk: all behind `before`, up to `last`.
    pub(crate) fn recover(before: LogIndex, last: LogIndex) -> Self {
        Self {
            found: (before, last),
            ..Self::default()
        }
    }

    /// Entries up to `last` with `bytes` were added behind the log.
    pub(crate) fn push(&mut self, last: LogIndex, bytes: u64) {
        let before = self.total;
        self.total = before.saturating_add(bytes);
        match self.stretches.back_mut() {
            Some(stretch) if before.saturating_sub(stretch.before) < STRETCH_BYTES => {
                stretch.last = last;
            }
            Some(_) | None => self.stretches.push_back(Stretch { last, before }),
        }
    }

    /// The log loses every entry from `index` on. A stretch that is cut keeps its bytes: rather
    /// too many are counted than too few.
    pub(crate) fn truncate_from(&mut self, index: LogIndex) {
        let end = index.prev();
        self.found.1 = self.found.1.min(end);
        let keep = self.first_behind(end);
        if let Some(cut) = self.stretches.get_mut(keep) {
            cut.last = end;
        }
        if let Some(gone) = self.stretches.get(keep + 1) {
            self.total = gone.before;
        }
        self.stretches.truncate(keep + 1);
    }

    /// The log loses every entry up to `index`.
    pub(crate) fn purge_through(&mut self, index: LogIndex) {
        self.found.0 = self.found.0.max(index);
        while self
            .stretches
            .pop_front_if(|stretch| stretch.last <= index)
            .is_some()
        {}
    }

    /// Bytes behind `index`: of every stretch that reaches beyond it.
    pub(crate) fn bytes_behind(&self, index: LogIndex) -> u64 {
        let (before, last) = self.found;
        let entries = before.max(index).distance_to(last);
        let reach = self.stretches.get(self.first_behind(index));
        let bytes = reach.map_or(0, |first| self.total.saturating_sub(first.before));
        bytes.saturating_add(entries.saturating_mul(Entry::OVERHEAD_BYTES))
    }

    /// The position of the first stretch that reaches beyond `index`.
    fn first_behind(&self, index: LogIndex) -> usize {
        self.stretches
            .partition_point(|stretch| stretch.last <= index)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn i(index: u64) -> LogIndex {
        LogIndex::new(index)
    }

    fn sizes() -> LogSizes {
        let mut sizes = LogSizes::default();
        for index in 1..=10 {
            sizes.push(i(index), STRETCH_BYTES / 2);
        }
        sizes
    }

    #[test]
    fn the_account_has_one_line_per_stretch_and_not_per_entry() {
        assert_eq!(sizes().stretches.len(), 5);
        assert_eq!(sizes().bytes_behind(i(0)), 5 * STRETCH_BYTES);
        assert_eq!(sizes().bytes_behind(i(8)), STRETCH_BYTES);
        assert_eq!(
            sizes().bytes_behind(i(7)),
            2 * STRETCH_BYTES,
            "7 and 8 share one"
        );
        assert_eq!(sizes().bytes_behind(i(10)), 0);
    }

    #[test]
    fn a_log_found_on_disk_counts_by_its_entries() {
        const EACH: u64 = Entry::OVERHEAD_BYTES;
        let mut sizes = LogSizes::recover(i(10), i(40_010));
        assert_eq!(sizes.bytes_behind(i(0)), 40_000 * EACH);
        assert_eq!(sizes.bytes_behind(i(30_010)), 10_000 * EACH);
        assert!(sizes.stretches.is_empty(), "however many there are");
        sizes.push(i(40_011), 7);
        assert_eq!(sizes.bytes_behind(i(40_000)), 10 * EACH + 7);
        sizes.truncate_from(i(30_011));
        sizes.purge_through(i(20_010));
        assert_eq!(sizes.bytes_behind(i(0)), 10_000 * EACH + 7);
        assert_eq!(LogSizes::recover(i(10), i(10)).bytes_behind(i(0)), 0);
    }

    /// A walk over all stretches for every question would not end while anybody waits for it.
    #[test]
    fn an_answer_costs_no_walk_over_the_log() {
        const MANY: u64 = 1 << 20;
        let mut sizes = LogSizes::default();
        for index in 1..=MANY {
            sizes.push(i(index), STRETCH_BYTES);
        }
        for index in 0..=MANY {
            assert_eq!(sizes.bytes_behind(i(index)), (MANY - index) * STRETCH_BYTES);
        }
    }

    #[test]
    fn both_ends_can_be_cut() {
        let mut cut = sizes();
        cut.purge_through(i(5));
        assert_eq!(cut.bytes_behind(i(0)), 3 * STRETCH_BYTES);
        cut.truncate_from(i(8));
        assert_eq!(cut.bytes_behind(i(0)), 2 * STRETCH_BYTES);
        assert_eq!(cut.bytes_behind(i(7)), 0);
        cut.push(i(8), 7);
        assert_eq!(cut.bytes_behind(i(7)), 7);
    }
}
