//! How many bytes of log lie behind an index, roughly: sums over stretches of the log, so that
//! the account stays small however long the log is.

use alloc::collections::VecDeque;

use crate::{Entry, LogIndex};

/// A stretch is closed when it has this many bytes.
const STRETCH_BYTES: u64 = 1024 * 1024;

/// Stretches of the log, oldest first, each with its last index and its bytes.
#[derive(Debug, Default)]
pub(crate) struct LogSizes {
    stretches: VecDeque<(LogIndex, u64)>,
}

impl LogSizes {
    /// Of the log found on disk only the number of entries is known: each counts as one without
    /// a payload.
    pub(crate) fn recover(before: LogIndex, last: LogIndex) -> Self {
        const ENTRIES: u64 = STRETCH_BYTES / Entry::OVERHEAD_BYTES;
        let mut sizes = Self::default();
        let mut from = before;
        while from < last {
            let to = from.plus(ENTRIES).min(last);
            let bytes = from.distance_to(to).saturating_mul(Entry::OVERHEAD_BYTES);
            sizes.stretches.push_back((to, bytes));
            from = to;
        }
        sizes
    }

    /// Entries up to `last` with `bytes` were added behind the log.
    pub(crate) fn push(&mut self, last: LogIndex, bytes: u64) {
        match self.stretches.back_mut() {
            Some((end, sum)) if *sum < STRETCH_BYTES => {
                *end = last;
                *sum = sum.saturating_add(bytes);
            }
            Some(_) | None => self.stretches.push_back((last, bytes)),
        }
    }

    /// The log loses every entry from `index` on. A stretch that is cut keeps its bytes: rather
    /// too many are counted than too few.
    pub(crate) fn truncate_from(&mut self, index: LogIndex) {
        let before = |&(last, _): &(LogIndex, u64)| last < index;
        let keep = self.stretches.partition_point(before);
        if let Some((last, _)) = self.stretches.get_mut(keep) {
            *last = index.prev();
        }
        self.stretches.truncate(keep + 1);
    }

    /// The log loses every entry up to `index`.
    pub(crate) fn purge_through(&mut self, index: LogIndex) {
        while self
            .stretches
            .pop_front_if(|(last, _)| *last <= index)
            .is_some()
        {}
    }

    /// Bytes behind `index`: of every stretch that reaches beyond it.
    pub(crate) fn bytes_behind(&self, index: LogIndex) -> u64 {
        let reach = self.stretches.iter().rev();
        reach
            .take_while(|(last, _)| *last > index)
            .map(|(_, bytes)| bytes)
            .sum()
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
        let sizes = LogSizes::recover(i(10), i(40_010));
        assert_eq!(sizes.bytes_behind(i(10)), 40_000 * Entry::OVERHEAD_BYTES);
        assert_eq!(sizes.stretches.len(), 3);
        assert_eq!(LogSizes::recover(i(10), i(10)).bytes_behind(i(0)), 0);
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
