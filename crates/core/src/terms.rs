//! The term of every index of the log, kept as the places where the term changes. Small enough
//! to keep for the whole log, so that no lookup of a term ever waits for the disk.

use alloc::vec::Vec;

use crate::{Entries, EntryId, LogIndex, RecoverError, Term};

/// Where each term of the log starts, and where the log ends.
///
/// Invariant: indexes strictly ascend from 1, terms strictly ascend.
#[derive(Debug, Default)]
pub(crate) struct TermStarts {
    starts: Vec<EntryId>,
    last: LogIndex,
}

impl TermStarts {
    /// Takes over what was found on disk, after checking it.
    pub(crate) fn recover(starts: Vec<EntryId>, last: LogIndex) -> Result<Self, RecoverError> {
        let mut before = EntryId::NONE;
        for &start in &starts {
            let ascends = start.term > before.term && start.index > before.index;
            let is_contiguous = before != EntryId::NONE || start.index == LogIndex::NONE.next();
            if !ascends || !is_contiguous || start.index > last {
                return Err(RecoverError::Unordered { at: start });
            }
            before = start;
        }
        let is_without_term = starts.is_empty() && last != LogIndex::NONE;
        let is_without_next = last.next() == last;
        if is_without_term || is_without_next {
            return Err(RecoverError::Unordered {
                at: EntryId::new(last, before.term),
            });
        }
        Ok(Self { starts, last })
    }

    /// Id of the last entry; [`EntryId::NONE`] for an empty log.
    pub(crate) fn last_id(&self) -> EntryId {
        let term = self.starts.last().map_or(Term::ZERO, |start| start.term);
        EntryId::new(self.last, term)
    }

    /// The term at `index`: zero before the first entry, `None` beyond the last.
    pub(crate) fn term_at(&self, index: LogIndex) -> Option<Term> {
        if index > self.last {
            return None;
        }
        let later = self.starts.partition_point(|start| start.index <= index);
        let start = later.checked_sub(1).and_then(|run| self.starts.get(run));
        Some(start.map_or(Term::ZERO, |start| start.term))
    }

    /// The newest entry with neither a later index nor a later term than `bound`. It is the last
    /// place where a log that ends its agreement before `bound` may agree with this one.
    pub(crate) fn newest_within(&self, bound: EntryId) -> EntryId {
        let mut end = self.last;
        for &start in self.starts.iter().rev() {
            let index = end.min(bound.index);
            if start.term <= bound.term && start.index <= index {
                return EntryId::new(index, start.term);
            }
            end = start.index.prev();
        }
        EntryId::NONE
    }

    /// Adds entries that stand right behind the last one.
    pub(crate) fn append(&mut self, entries: &Entries) {
        for entry in entries.iter() {
            debug_assert_eq!(entry.index, self.last.next(), "a log has no gaps");
            if self
                .starts
                .last()
                .is_none_or(|start| start.term < entry.term)
            {
                self.starts.push(entry.id());
            }
            self.last = entry.index;
        }
    }

    /// Drops every entry from `index` on.
    pub(crate) fn truncate_from(&mut self, index: LogIndex) {
        self.last = self.last.min(index.prev());
        let keep = self
            .starts
            .partition_point(|start| start.index <= self.last);
        self.starts.truncate(keep);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::vec;

    fn id(index: u64, term: u64) -> EntryId {
        EntryId::new(LogIndex::new(index), Term::new(term))
    }

    fn sample() -> TermStarts {
        TermStarts::recover(vec![id(1, 1), id(4, 3), id(6, 7)], LogIndex::new(9)).unwrap()
    }

    #[test]
    fn every_index_has_the_term_of_the_run_it_lies_in() {
        let terms: Vec<Option<u64>> = (0..=10)
            .map(|i| sample().term_at(LogIndex::new(i)).map(Term::get))
            .collect();
        let expected = [0, 1, 1, 1, 3, 3, 7, 7, 7, 7].map(Some);
        assert_eq!(terms[..10], expected);
        assert_eq!(terms[10], None, "beyond the end there is no term");
    }

    #[test]
    fn the_newest_entry_within_a_bound_skips_whole_terms() {
        assert_eq!(sample().newest_within(id(9, 7)), id(9, 7));
        assert_eq!(
            sample().newest_within(id(20, 6)),
            id(5, 3),
            "the run of term 7 is skipped"
        );
        assert_eq!(sample().newest_within(id(2, 9)), id(2, 1));
        assert_eq!(sample().newest_within(id(9, 0)), EntryId::NONE);
    }

    #[test]
    fn truncation_drops_the_runs_behind_it() {
        let mut terms = sample();
        terms.truncate_from(LogIndex::new(6));
        assert_eq!(terms.last_id(), id(5, 3));
        terms.truncate_from(LogIndex::new(1));
        assert_eq!(terms.last_id(), EntryId::NONE);
    }

    #[test]
    fn starts_that_do_not_ascend_are_refused() {
        let refused =
            |starts: Vec<EntryId>, last| TermStarts::recover(starts, LogIndex::new(last)).is_err();
        assert!(refused(vec![id(1, 2), id(3, 1)], 5), "terms must not fall");
        assert!(refused(vec![id(2, 1)], 5), "the log starts at index 1");
        assert!(
            refused(vec![id(1, 1), id(7, 2)], 5),
            "no run starts beyond the end"
        );
        assert!(refused(vec![], 5), "entries without a term");
    }
}
