//! The recent entries that are kept in memory: for peers that are nearly up to date and for
//! apply. A window over the end of the log, bounded in bytes; older entries are on disk only.

use alloc::borrow::Cow;
use alloc::collections::VecDeque;
use alloc::vec::Vec;
use core::iter;

use crate::{Entries, LogIndex};

/// The runs of entries at the end of the log, each as it was appended.
///
/// Invariant: runs are not empty, contiguous, and end at the last index of the log.
#[derive(Debug)]
pub(crate) struct Window {
    runs: VecDeque<Entries>,
    bytes: u64,
    /// Index of the first entry in memory; one beyond the log where nothing is.
    first: LogIndex,
}

impl Window {
    /// An empty window over a log that ends at `last`.
    pub(crate) const fn after(last: LogIndex) -> Self {
        Self {
            runs: VecDeque::new(),
            bytes: 0,
            first: last.next(),
        }
    }

    /// Index of the first entry in memory; one beyond the log where nothing is.
    pub(crate) const fn first(&self) -> LogIndex {
        self.first
    }

    /// How many bytes of entries are in memory.
    pub(crate) const fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Adds a run behind the last.
    pub(crate) fn append(&mut self, entries: &Entries) {
        debug_assert!(!entries.is_empty(), "an empty run cannot be found by index");
        self.bytes += entries.size_bytes();
        self.runs.extend(iter::once_with(|| entries.clone()));
    }

    /// Drops every entry from `index` on.
    pub(crate) fn truncate_from(&mut self, index: LogIndex) {
        while let Some(run) = self.runs.pop_back() {
            let kept = run.up_to_index(index.prev());
            self.bytes -= run.size_bytes() - kept.size_bytes();
            if !kept.is_empty() {
                self.runs.push_back(kept);
                break;
            }
        }
        self.first = self.first.min(index);
    }

    /// Entries `from..=through` within `limit_bytes` (but at least one), where they are in memory.
    /// Shares the memory of one run; only where many small runs are asked for at once, as by a
    /// peer that lags, are they gathered into a new slice, so that one message can carry them.
    // A result that is not in memory need not be moved from there; the rest is rare and long.
    #[inline(always)]
    pub(crate) fn slice(
        &self,
        from: LogIndex,
        through: LogIndex,
        limit_bytes: u64,
    ) -> Option<Cow<'_, Entries>> {
        // What was appended last and not more, as by whoever keeps up.
        if let Some(run) = self.runs.back()
            && run.first().is_some_and(|first| first.index == from)
            && last_of(run) == through
            && run.size_bytes() <= limit_bytes
        {
            return Some(Cow::Borrowed(run));
        }
        self.cut_and_gathered((from, through), limit_bytes)
            .map(Cow::Owned)
    }

    /// The same, of any runs.
    #[inline(never)]
    fn cut_and_gathered(
        &self,
        (from, through): (LogIndex, LogIndex),
        limit_bytes: u64,
    ) -> Option<Entries> {
        if from < self.first || from > through {
            return None;
        }
        let position = self.position_of(from);
        let run = self.runs.get(position)?;
        let head = run.between(from, through).limited_to(limit_bytes);
        let last = head.last()?.index;
        if last >= through || last != last_of(run) {
            return Some(head);
        }
        let mut room = limit_bytes.saturating_sub(head.size_bytes());
        let mut gathered = Vec::new();
        for run in self.runs.range(position + 1..) {
            let part = run.up_to_index(through).limited_to(room);
            let bytes = part.size_bytes();
            if bytes > room || part.is_empty() {
                break;
            }
            room -= bytes;
            if gathered.is_empty() {
                gathered.extend(head.iter().cloned());
            }
            gathered.extend(part.iter().cloned());
            if part.len() < run.len() {
                break;
            }
        }
        Some(if gathered.is_empty() {
            head
        } else {
            gathered.into()
        })
    }

    /// The position of the last run that starts at `index` or before. The search starts where that
    /// run would be if all were of one length, and doubles its steps away from there: where they
    /// are, as those of a steady load, a single run is looked at, however many are in memory. Where
    /// they are not, it is off by no more runs than there are entries from `index` to either end.
    fn position_of(&self, index: LogIndex) -> usize {
        let first_of = |position: usize| self.runs.get(position).and_then(|run| run.first());
        let starts_behind = |position| first_of(position).is_some_and(|first| first.index > index);
        let expected = self.expected_position_of(index);
        let run = self.runs.get(expected).and_then(|run| run.first());
        if run.is_some_and(|first| first.index == index) {
            return expected;
        }
        let (mut start, mut end) = (expected, expected + 1);
        let mut step = 1;
        while start > 0 && starts_behind(start) {
            end = start;
            start = start.saturating_sub(step);
            step *= 2;
        }
        while end < self.runs.len() && !starts_behind(end) {
            start = end;
            end = end.saturating_add(step).min(self.runs.len());
            step *= 2;
        }
        // The position sought is in `start..end`.
        while end.saturating_sub(start) > 1 {
            let middle = start.midpoint(end);
            if starts_behind(middle) {
                end = middle;
            } else {
                start = middle;
            }
        }
        start
    }

    /// Where the run with `index` would be if all were of one length.
    fn expected_position_of(&self, index: LogIndex) -> usize {
        let last = self.runs.back().map_or(LogIndex::NONE, last_of);
        let entries = self.first.prev().distance_to(last);
        let (runs, before) = (self.runs.len() as u64, self.first.distance_to(index));
        let expected = if entries == runs {
            // Each is of one entry, as they come one by one: a division can be spared.
            before
        } else {
            before.saturating_mul(runs) / entries.max(1)
        };
        let expected = usize::try_from(expected).unwrap_or(usize::MAX);
        expected.min(self.runs.len().saturating_sub(1))
    }

    /// Drops the oldest runs while more than `limit_bytes` are held, but none that reaches beyond
    /// `durable`: what is not on disk cannot be loaded again.
    pub(crate) fn evict(&mut self, limit_bytes: u64, durable: LogIndex) {
        while self.bytes > limit_bytes
            && let Some(run) = self.runs.front()
            && last_of(run) <= durable
        {
            self.bytes -= run.size_bytes();
            self.first = last_of(run).next();
            self.runs.pop_front();
        }
    }

    /// Drops the runs of which nothing lies behind `through`.
    pub(crate) fn purge_through(&mut self, through: LogIndex) {
        while let Some(run) = self.runs.pop_front_if(|run| last_of(run) <= through) {
            self.bytes -= run.size_bytes();
            self.first = last_of(&run).next();
        }
    }
}

/// The last index of a run, which is never empty.
fn last_of(run: &Entries) -> LogIndex {
    run.last().map_or(LogIndex::NONE, |last| last.index)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Entry, Payload, Term};
    use core::ops::Range;

    const ENTRY: u64 = Entry::OVERHEAD_BYTES;

    fn run(range: Range<u64>) -> Entries {
        range
            .map(|index| Entry {
                index: LogIndex::new(index),
                term: Term::new(1),
                payload: Payload::Noop,
            })
            .collect()
    }

    fn window() -> Window {
        let mut window = Window::after(LogIndex::new(2));
        window.append(&run(3..6));
        window.append(&run(6..7));
        window.append(&run(7..10));
        window
    }

    fn indexes(window: &Window, from: u64, entries: u64) -> Option<Vec<u64>> {
        indexes_through(window, from, 99, entries)
    }

    fn indexes_through(window: &Window, from: u64, through: u64, entries: u64) -> Option<Vec<u64>> {
        let (from, through) = (LogIndex::new(from), LogIndex::new(through));
        let slice = window.slice(from, through, entries * ENTRY)?;
        Some(slice.iter().map(|entry| entry.index.get()).collect())
    }

    #[test]
    fn slices_cross_runs_up_to_the_limit() {
        assert_eq!(indexes(&window(), 4, 2).unwrap(), [4, 5]);
        assert_eq!(indexes(&window(), 4, 3).unwrap(), [4, 5, 6]);
        assert_eq!(indexes(&window(), 4, 4).unwrap(), [4, 5, 6, 7]);
        assert_eq!(indexes(&window(), 3, 99).unwrap(), [3, 4, 5, 6, 7, 8, 9]);
        assert_eq!(
            indexes(&window(), 8, 0).unwrap(),
            [8],
            "one entry always fits"
        );
        assert_eq!(indexes(&window(), 2, 9), None, "older entries are on disk");
        assert_eq!(
            indexes(&window(), 10, 9),
            None,
            "beyond the end there is nothing"
        );
    }

    #[test]
    fn slices_end_where_they_are_told_to() {
        assert_eq!(indexes_through(&window(), 4, 4, 9).unwrap(), [4]);
        assert_eq!(indexes_through(&window(), 4, 5, 9).unwrap(), [4, 5]);
        assert_eq!(
            indexes_through(&window(), 4, 8, 9).unwrap(),
            [4, 5, 6, 7, 8]
        );
        assert_eq!(indexes_through(&window(), 6, 6, 0).unwrap(), [6]);
        assert_eq!(
            indexes_through(&window(), 6, 5, 9),
            None,
            "nothing is wanted"
        );
    }

    #[test]
    fn what_was_appended_last_is_cut_like_any_other_run() {
        assert_eq!(indexes_through(&window(), 7, 9, 3).unwrap(), [7, 8, 9]);
        assert_eq!(indexes_through(&window(), 7, 9, 2).unwrap(), [7, 8]);
        assert_eq!(indexes_through(&window(), 7, 8, 9).unwrap(), [7, 8]);
        assert_eq!(indexes_through(&window(), 8, 9, 9).unwrap(), [8, 9]);
        assert_eq!(indexes_through(&window(), 6, 9, 9).unwrap(), [6, 7, 8, 9]);
    }

    #[test]
    fn truncation_between_runs_keeps_the_one_before() {
        let mut cut = window();
        cut.truncate_from(LogIndex::new(6));
        assert_eq!(indexes(&cut, 3, 99).unwrap(), [3, 4, 5]);
        assert_eq!(cut.bytes, 3 * ENTRY);
    }

    #[test]
    fn a_purge_inside_a_run_keeps_all_of_it() {
        let mut purged = window();
        purged.purge_through(LogIndex::new(8));
        assert_eq!(
            (purged.first(), purged.bytes),
            (LogIndex::new(7), 3 * ENTRY)
        );
        purged.purge_through(LogIndex::new(9));
        assert_eq!((purged.first(), purged.bytes), (LogIndex::new(10), 0));
    }

    #[test]
    fn every_entry_is_found_however_the_runs_are_cut() {
        let mut window = Window::after(LogIndex::NONE);
        let mut next = 1;
        for length in [1, 1, 3, 1, 7, 2, 1, 1, 1, 20, 1, 1] {
            window.append(&run(next..next + length));
            next += length;
        }
        for index in 1..next {
            assert_eq!(indexes(&window, index, 1).unwrap(), [index]);
            let rest: Vec<u64> = (index..next).collect();
            assert_eq!(indexes(&window, index, 99).unwrap(), rest);
        }
    }

    /// However many entries are in flight, what is applied next is found at once.
    #[test]
    fn of_runs_of_one_length_the_one_with_an_entry_is_expected_where_it_is() {
        for length in [1, 5] {
            let mut window = Window::after(LogIndex::new(7));
            for position in 0..4000 {
                window.append(&run(8 + position * length..8 + (position + 1) * length));
            }
            window.evict(3500 * length * ENTRY, LogIndex::new(u64::MAX));
            let first = window.first().get();
            for index in first..first + 3500 * length {
                let expected = window.expected_position_of(LogIndex::new(index));
                assert_eq!(expected as u64, (index - first) / length);
                assert_eq!(window.position_of(LogIndex::new(index)), expected);
            }
        }
    }

    #[test]
    fn truncation_cuts_inside_a_run_and_below_the_window() {
        let mut cut = window();
        cut.truncate_from(LogIndex::new(5));
        assert_eq!(indexes(&cut, 3, 99).unwrap(), [3, 4]);
        assert_eq!(cut.bytes, 2 * ENTRY);
        cut.truncate_from(LogIndex::new(1));
        assert_eq!((cut.first(), cut.bytes), (LogIndex::new(1), 0));
        cut.append(&run(1..2));
        assert_eq!(indexes(&cut, 1, 9).unwrap(), [1]);
    }

    #[test]
    fn eviction_keeps_what_is_not_durable() {
        let mut full = window();
        full.evict(0, LogIndex::new(7));
        assert_eq!(
            full.first(),
            LogIndex::new(7),
            "the run 7..=9 reaches beyond the durable end"
        );
        full.evict(0, LogIndex::new(9));
        assert_eq!((full.first(), full.bytes), (LogIndex::new(10), 0));
    }
}
