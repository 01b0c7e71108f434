//! The term of every index of the log, kept as the places where the term changes. Small enough
//! to keep for the whole log, so that no lookup of a term ever waits for the disk. Of what was
//! purged only the last id is known.

use alloc::vec::Vec;

use crate::{Entries, EntryId, LogIndex, RecoverError, Term};

/// Where each term of the log starts, and where the log ends.
///
/// Invariant: indexes strictly ascend from behind `before`, terms strictly ascend from above its
/// term, and `before.index <= last`.
#[derive(Debug, Default)]
pub(crate) struct TermStarts {
    /// The entry before the first one in the log: `NONE`, or the last one purged.
    before: EntryId,
    starts: Vec<EntryId>,
    /// The last entry; `before` for an empty log.
    last: EntryId,
}

impl TermStarts {
    /// Takes over what was found on disk, after checking it.
    pub(crate) fn recover(
        before: EntryId,
        starts: Vec<EntryId>,
        last: LogIndex,
    ) -> Result<Self, RecoverError> {
        let mut newest = before;
        for (place, &start) in starts.iter().enumerate() {
            // The first run may go on with the term of what was purged.
            let is_newer = start.term > newest.term || (place == 0 && start.term == newest.term);
            let is_behind = start.index > newest.index;
            let is_contiguous = place > 0 || start.index == before.index.next();
            let is_sound = is_newer && is_behind && is_contiguous && start.term > Term::ZERO;
            if !is_sound || start.index > last {
                return Err(RecoverError::Unordered { at: start });
            }
            newest = start;
        }
        let is_without_term = starts.is_empty() && last != before.index;
        if is_without_term || !last.can_exist() || last < before.index {
            return Err(RecoverError::Unordered {
                at: EntryId::new(last, newest.term),
            });
        }
        let last = EntryId::new(last, newest.term);
        let mut terms = Self {
            before,
            starts,
            last,
        };
        terms.starts.retain(|start| start.term > before.term);
        Ok(terms)
    }

    /// The entry before the first one in the log.
    pub(crate) const fn before(&self) -> EntryId {
        self.before
    }

    /// Id of the last entry; that of `before` for an empty log.
    pub(crate) const fn last_id(&self) -> EntryId {
        self.last
    }

    /// The term at `index`; `None` beyond the last entry, and for what was purged but its last.
    pub(crate) fn term_at(&self, index: LogIndex) -> Option<Term> {
        // Recent entries are asked for most, the last of all more than any other.
        if index == self.last.index {
            return Some(self.last.term);
        }
        if index > self.last.index || index < self.before.index {
            return None;
        }
        if let Some(newest) = self.starts.last().filter(|start| start.index <= index) {
            return Some(newest.term);
        }
        let later = self.starts.partition_point(|start| start.index <= index);
        let start = later.checked_sub(1).and_then(|run| self.starts.get(run));
        Some(start.unwrap_or(&self.before).term)
    }

    /// The newest entry with neither a later index nor a later term than `bound`. It is the last
    /// place where a log that ends its agreement before `bound` may agree with this one.
    pub(crate) fn newest_within(&self, bound: EntryId) -> EntryId {
        let is_within = |start: &EntryId| start.term <= bound.term && start.index <= bound.index;
        // Neither falls along the log. A peer that refuses appends may be many terms behind.
        let beyond = self.starts.partition_point(is_within);
        let start = beyond.checked_sub(1).and_then(|run| self.starts.get(run));
        let start = start.unwrap_or(&self.before);
        if !is_within(start) {
            return EntryId::NONE;
        }
        let next = self.starts.get(beyond);
        let end = next.map_or(self.last.index, |next| next.index.prev());
        EntryId::new(end.min(bound.index), start.term)
    }

    /// Adds entries that stand right behind the last one.
    pub(crate) fn append(&mut self, entries: &Entries) {
        let Some(last) = entries.last_id() else {
            return;
        };
        debug_assert_eq!(
            entries.first().map(|first| first.index),
            Some(self.last.index.next()),
            "a log has no gaps"
        );
        // Terms never fall, so that only a batch that brings a new one has to be searched.
        if last.term > self.last.term {
            let mut newest = self.last.term;
            for entry in entries.iter() {
                if entry.term > newest {
                    newest = entry.term;
                    self.starts.push(entry.id());
                }
            }
        }
        self.last = last;
    }

    /// Drops every entry from `index` on.
    pub(crate) fn truncate_from(&mut self, index: LogIndex) {
        if index > self.last.index {
            return;
        }
        let end = index.prev();
        let keep = self.starts.partition_point(|start| start.index <= end);
        self.starts.truncate(keep);
        let newest = self.starts.last().unwrap_or(&self.before);
        self.last = EntryId::new(end, newest.term);
    }

    /// Drops every entry up to `through`, which is in the log.
    pub(crate) fn purge_through(&mut self, through: EntryId) {
        self.before = through;
        self.starts.retain(|start| start.index > through.index);
    }

    /// Drops everything: the log goes on behind `before`.
    pub(crate) fn reset(&mut self, before: EntryId) {
        self.before = before;
        self.last = before;
        self.starts.clear();
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
        TermStarts::recover(
            EntryId::NONE,
            vec![id(1, 1), id(4, 3), id(6, 7)],
            LogIndex::new(9),
        )
        .unwrap()
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

    /// Any log: what was purged ends anywhere, and terms start anywhere behind it.
    fn random_terms(rng: &mut fastrand::Rng) -> TermStarts {
        let before = match rng.u64(0..4) {
            0 => EntryId::NONE,
            index => id(index, rng.u64(1..4)),
        };
        let mut terms = TermStarts::default();
        terms.reset(before);
        for _ in 0..rng.usize(0..6) {
            let start = id(
                terms.last.index.next().get(),
                before.term.get() + rng.u64(1..9),
            );
            if start.term > terms.last_id().term {
                terms.starts.push(start);
                terms.last = EntryId::new(start.index.plus(rng.u64(0..3)), start.term);
            }
        }
        terms
    }

    #[test]
    fn the_newest_entry_within_a_bound_is_the_one_that_a_walk_from_the_end_finds() {
        let mut rng = fastrand::Rng::with_seed(1);
        for _ in 0..500 {
            let terms = random_terms(&mut rng);
            let id_at = |index| Some(EntryId::new(index, terms.term_at(index)?));
            let newest_first = (0..=terms.last.index.get()).rev().map(LogIndex::new);
            let known: Vec<EntryId> = newest_first.filter_map(id_at).collect();
            for (index, term) in (0..22).flat_map(|index| (0..14).map(move |term| (index, term))) {
                let bound = id(index, term);
                let is_within = |at: &&EntryId| at.index <= bound.index && at.term <= bound.term;
                let walked = known.iter().find(is_within).copied();
                let walked = walked.unwrap_or(EntryId::NONE);
                assert_eq!(terms.newest_within(bound), walked, "{bound}: {terms:?}");
            }
        }
    }

    /// Scenario B10
    #[test]
    fn of_what_was_purged_only_the_last_id_is_known() {
        let mut terms = sample();
        terms.purge_through(id(4, 3));
        let at = |index| terms.term_at(LogIndex::new(index)).map(Term::get);
        assert_eq!(
            [at(3), at(4), at(5), at(6)],
            [None, Some(3), Some(3), Some(7)]
        );
        assert_eq!(terms.newest_within(id(5, 6)), id(5, 3));
        assert_eq!(terms.newest_within(id(4, 3)), id(4, 3));
        assert_eq!(terms.newest_within(id(3, 9)), EntryId::NONE);
        terms.truncate_from(LogIndex::new(5));
        assert_eq!(
            terms.last_id(),
            id(4, 3),
            "an empty log ends where it starts"
        );
        terms.reset(id(20, 8));
        assert_eq!((terms.last_id(), terms.before()), (id(20, 8), id(20, 8)));
    }

    #[test]
    fn a_log_recovers_behind_what_was_purged() {
        let recover = |starts, last| TermStarts::recover(id(4, 3), starts, LogIndex::new(last));
        let terms = recover(vec![id(5, 3), id(7, 4)], 9).unwrap();
        assert_eq!(terms.last_id(), id(9, 4));
        assert_eq!(terms.term_at(LogIndex::new(6)), Some(Term::new(3)));
        assert!(recover(vec![], 4).is_ok(), "nothing but what was purged");
        assert!(recover(vec![id(6, 3)], 9).is_err(), "entry 5 is missing");
        assert!(recover(vec![id(5, 2)], 9).is_err(), "terms must not fall");
        assert!(
            recover(vec![], 3).is_err(),
            "the log cannot end before it starts"
        );
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
        let refused = |starts: Vec<EntryId>, last| {
            TermStarts::recover(EntryId::NONE, starts, LogIndex::new(last)).is_err()
        };
        assert!(refused(vec![id(1, 2), id(3, 1)], 5), "terms must not fall");
        assert!(refused(vec![id(2, 1)], 5), "the log starts at index 1");
        assert!(
            refused(vec![id(1, 1), id(7, 2)], 5),
            "no run starts beyond the end"
        );
        assert!(refused(vec![], 5), "entries without a term");
    }
}
