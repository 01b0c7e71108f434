//! Which term every entry of the log has, without the entries: only where each term starts.

use quorate_core::{EntryId, LogIndex, Term};

/// The terms of a log. They never fall along it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Terms {
    starts: Vec<EntryId>,
    last: LogIndex,
}

impl Terms {
    /// The first entry of each term, in log order.
    pub(crate) fn starts(&self) -> &[EntryId] {
        &self.starts
    }

    /// The last entry; `EntryId::NONE` in an empty log.
    pub(crate) fn last(&self) -> EntryId {
        EntryId::new(
            self.last,
            self.starts.last().map_or(Term::ZERO, |start| start.term),
        )
    }

    /// The term of the entry at `index`.
    pub(crate) fn at(&self, index: LogIndex) -> Option<Term> {
        if index > self.last {
            return None;
        }
        let after = self.starts.partition_point(|start| start.index <= index);
        self.starts
            .get(after.checked_sub(1)?)
            .map(|start| start.term)
    }

    /// Drops everything from the entry's index on and appends the entry. Whether it may stand
    /// there: without a gap, and in no earlier term than the entry before it. Compared to the
    /// entries it replaces its term may be either way: a leader brings its own older entries
    /// into the place of uncommitted later ones [Raft 5.4.2].
    #[must_use]
    pub(crate) fn append(&mut self, id: EntryId) -> bool {
        let before = id.index.prev();
        if id.index == LogIndex::NONE || id.index.get() == u64::MAX || before > self.last {
            return false;
        }
        let term_before = self.at(before).unwrap_or(Term::ZERO);
        if id.term < term_before || id.term == Term::ZERO {
            return false;
        }
        while self
            .starts
            .pop_if(|start| start.index >= id.index)
            .is_some()
        {}
        if id.term > term_before {
            self.starts.push(id);
        }
        self.last = id.index;
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(index: u64, term: u64) -> EntryId {
        EntryId::new(LogIndex::new(index), Term::new(term))
    }

    #[test]
    fn terms_are_those_of_the_newest_entries_after_a_truncation() {
        let mut terms = Terms::default();
        for entry in [id(1, 1), id(2, 1), id(3, 4), id(4, 4), id(5, 6)] {
            assert!(terms.append(entry), "{entry} follows");
        }
        assert!(
            terms.append(id(3, 2)),
            "an older term may replace a later one that is dropped"
        );
        assert_eq!(terms.last(), id(3, 2));
        assert_eq!(terms.starts(), [id(1, 1), id(3, 2)]);
        assert_eq!(terms.at(LogIndex::new(2)), Some(Term::new(1)));
        assert_eq!(
            terms.at(LogIndex::new(4)),
            None,
            "dropped entries have no term"
        );
        assert_eq!(terms.at(LogIndex::NONE), None);
    }

    #[test]
    fn gaps_and_falling_terms_are_refused_and_change_nothing() {
        let mut terms = Terms::default();
        assert!(terms.append(id(1, 3)));
        let before = terms.clone();
        for entry in [id(3, 3), id(2, 2), id(2, 0), id(0, 5), id(1, 0)] {
            assert!(!terms.append(entry), "{entry} must not be taken");
        }
        assert_eq!(terms, before);
    }
}
