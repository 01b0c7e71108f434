//! The recent entries that are kept in memory: for peers that are nearly up to date and for
//! apply. A window over the end of the log, bounded in bytes; older entries are on disk only.

use alloc::collections::VecDeque;

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

    /// Adds a run behind the last.
    pub(crate) fn append(&mut self, entries: Entries) {
        debug_assert!(!entries.is_empty(), "an empty run cannot be found by index");
        self.bytes += entries.size_bytes();
        self.runs.push_back(entries);
    }

    /// Drops every entry from `index` on.
    pub(crate) fn truncate_from(&mut self, index: LogIndex) {
        while let Some(run) = self.runs.pop_back() {
            let kept = run.up_to_index(index.prev());
            if kept.len() == run.len() {
                self.runs.push_back(run);
                break;
            }
            self.bytes -= run.size_bytes() - kept.size_bytes();
            if !kept.is_empty() {
                self.runs.push_back(kept);
                break;
            }
        }
        self.first = self.first.min(index);
    }

    /// Entries from `from` on within `limit_bytes` (but at least one), where they are in memory.
    /// Shares the memory of one run; only where many small runs are asked for at once, as by a
    /// peer that lags, are they gathered into a new slice, so that one message can carry them.
    pub(crate) fn slice(&self, from: LogIndex, limit_bytes: u64) -> Option<Entries> {
        if from < self.first {
            return None;
        }
        let position = self.runs.partition_point(|run| Self::last_of(run) < from);
        let head = self
            .runs
            .get(position)?
            .from_index(from)
            .within(limit_bytes);
        let mut room = limit_bytes.saturating_sub(head.size_bytes());
        let run_is_exhausted = head.last_id() == self.runs.get(position)?.last_id();
        let mut gathered = VecDeque::new();
        if run_is_exhausted {
            for run in self.runs.iter().skip(position + 1) {
                let part = run.within(room);
                let bytes = part.size_bytes();
                if bytes > room {
                    break;
                }
                room -= bytes;
                let is_whole = part.len() == run.len();
                gathered.push_back(part);
                if !is_whole {
                    break;
                }
            }
        }
        if gathered.is_empty() {
            return Some(head);
        }
        gathered.push_front(head);
        Some(
            gathered
                .iter()
                .flat_map(|run| run.iter().cloned())
                .collect(),
        )
    }

    /// Drops the oldest runs while more than `limit_bytes` are held, but none that reaches beyond
    /// `durable`: what is not on disk cannot be loaded again.
    pub(crate) fn evict(&mut self, limit_bytes: u64, durable: LogIndex) {
        while self.bytes > limit_bytes
            && let Some(run) = self.runs.front()
            && Self::last_of(run) <= durable
        {
            self.bytes -= run.size_bytes();
            self.first = Self::last_of(run).next();
            self.runs.pop_front();
        }
    }

    /// Drops the runs of which nothing lies behind `through`.
    pub(crate) fn purge_through(&mut self, through: LogIndex) {
        while let Some(run) = self.runs.pop_front_if(|run| Self::last_of(run) <= through) {
            self.bytes -= run.size_bytes();
            self.first = Self::last_of(&run).next();
        }
    }

    fn last_of(run: &Entries) -> LogIndex {
        run.last().map_or(LogIndex::NONE, |entry| entry.index)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Entry, Payload, Term};
    use alloc::vec::Vec;
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
        window.append(run(3..6));
        window.append(run(6..7));
        window.append(run(7..10));
        window
    }

    fn indexes(window: &Window, from: u64, entries: u64) -> Option<Vec<u64>> {
        let slice = window.slice(LogIndex::new(from), entries * ENTRY)?;
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
    fn truncation_cuts_inside_a_run_and_below_the_window() {
        let mut cut = window();
        cut.truncate_from(LogIndex::new(5));
        assert_eq!(indexes(&cut, 3, 99).unwrap(), [3, 4]);
        assert_eq!(cut.bytes, 2 * ENTRY);
        cut.truncate_from(LogIndex::new(1));
        assert_eq!((cut.first(), cut.bytes), (LogIndex::new(1), 0));
        cut.append(run(1..2));
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
