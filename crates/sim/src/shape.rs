//! The shape of a log: term and chain hash of every entry, without the entries. Two shapes with
//! equal hashes at an index stand for logs that are equal up to there.

use quorate_core::{Entry, EntryId, LogIndex, Term};

use crate::digest::chain;

/// Term and chain hash of the log that ends here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Mark {
    pub(crate) term: Term,
    pub(crate) hash: u64,
    /// Sizes of all entries up to here, as limits count them.
    pub(crate) bytes: u64,
}

impl Mark {
    /// That of an empty log.
    const EMPTY: Self = Self {
        term: Term::ZERO,
        hash: 0,
        bytes: 0,
    };
}

/// The marks of a log that starts at index 1.
#[derive(Clone, Debug, Default)]
pub(crate) struct Shape(Vec<Mark>);

impl Shape {
    /// The mark at `index`; that of the empty log at index 0.
    pub(crate) fn mark(&self, index: LogIndex) -> Option<Mark> {
        if index == LogIndex::NONE {
            return Some(Mark::EMPTY);
        }
        self.0.get(index.prev().get() as usize).copied()
    }

    /// Last index.
    pub(crate) fn last(&self) -> LogIndex {
        LogIndex::new(self.0.len() as u64)
    }

    /// Id of the last entry.
    pub(crate) fn last_id(&self) -> EntryId {
        let term = self.0.last().map_or(Term::ZERO, |mark| mark.term);
        EntryId::new(self.last(), term)
    }

    /// Drops everything from `index` on.
    pub(crate) fn truncate_from(&mut self, index: LogIndex) {
        self.0.truncate(index.prev().get() as usize);
    }

    /// Adds an entry at the end and returns its mark.
    pub(crate) fn push(&mut self, entry: &Entry) -> Mark {
        let before = self.0.last().copied().unwrap_or(Mark::EMPTY);
        let bytes = before.bytes + entry.size_bytes();
        let mark = Mark {
            term: entry.term,
            hash: chain(before.hash, entry),
            bytes,
        };
        self.0.push(mark);
        mark
    }

    /// The first entry of each term.
    pub(crate) fn term_starts(&self) -> Vec<EntryId> {
        let mut starts: Vec<EntryId> = Vec::new();
        for (place, mark) in self.0.iter().enumerate() {
            if starts.last().is_none_or(|start| start.term != mark.term) {
                starts.push(EntryId::new(LogIndex::new(place as u64 + 1), mark.term));
            }
        }
        starts
    }

    /// A log of one no-op per term given, for checkers' tests.
    #[cfg(test)]
    pub(crate) fn of(terms: &[u64]) -> Self {
        let mut shape = Self::default();
        for &term in terms {
            shape.push(&Entry {
                index: shape.last().next(),
                term: Term::new(term),
                payload: quorate_core::Payload::Noop,
            });
        }
        shape
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shapes_agree_up_to_where_their_logs_do() {
        let (one, other) = (Shape::of(&[1, 1, 2]), Shape::of(&[1, 1, 3]));
        assert_eq!(one.mark(LogIndex::new(2)), other.mark(LogIndex::new(2)));
        assert_ne!(one.mark(LogIndex::new(3)), other.mark(LogIndex::new(3)));
        assert_eq!(one.mark(LogIndex::new(4)), None);
    }

    #[test]
    fn term_starts_name_the_first_entry_of_each_term() {
        let id = |index, term| EntryId::new(LogIndex::new(index), Term::new(term));
        assert_eq!(
            Shape::of(&[1, 1, 4, 4, 6]).term_starts(),
            [id(1, 1), id(3, 4), id(5, 6)]
        );
    }
}
