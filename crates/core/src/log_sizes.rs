//! How many bytes of log lie behind an index, roughly: sums over stretches of the log, so that
//! the account stays small however long the log is.

use alloc::collections::VecDeque;

use crate::LogIndex;

/// A stretch is closed when it has this many bytes.
const STRETCH_BYTES: u64 = 1024 * 1024;

/// Stretches of the log, oldest first, each with its last index and its bytes.
#[derive(Debug, Default)]
pub(crate) struct LogSizes {
    stretches: VecDeque<(LogIndex, u64)>,
}

impl LogSizes {
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
