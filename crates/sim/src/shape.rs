//! The shape of a log: term and chain hash of every entry, without the entries. Two shapes with
//! equal hashes at an index stand for logs that are equal up to there.

use std::ops::Range;

use quorate_core::{Entry, EntryId, LogIndex, Membership, Payload, Term};

use crate::digest::chain;

/// Term and chain hash of the log that ends here.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
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

/// The marks of a log that starts at index 1, and the memberships in it. Of what a snapshot
/// replaced it still knows everything: checkers compare whole histories.
#[derive(Clone, Debug, Default)]
pub(crate) struct Shape {
    marks: Vec<Mark>,
    memberships: Vec<(LogIndex, Membership)>,
}

impl Shape {
    /// The mark at `index`; that of the empty log at index 0.
    pub(crate) fn mark(&self, index: LogIndex) -> Option<Mark> {
        if index == LogIndex::NONE {
            return Some(Mark::EMPTY);
        }
        self.marks.get(index.prev().get() as usize).copied()
    }

    /// Last index.
    pub(crate) fn last(&self) -> LogIndex {
        LogIndex::new(self.marks.len() as u64)
    }

    /// Id of the last entry.
    pub(crate) fn last_id(&self) -> EntryId {
        let term = self.marks.last().map_or(Term::ZERO, |mark| mark.term);
        EntryId::new(self.last(), term)
    }

    /// Drops everything from `index` on.
    pub(crate) fn truncate_from(&mut self, index: LogIndex) {
        self.marks.truncate(index.prev().get() as usize);
        self.memberships.retain(|(at, _)| *at < index);
    }

    /// Adds an entry at the end and returns its mark.
    pub(crate) fn push(&mut self, entry: &Entry) -> Mark {
        let before = self.marks.last().copied().unwrap_or(Mark::EMPTY);
        let bytes = before.bytes + entry.size_bytes();
        let mark = Mark {
            term: entry.term,
            hash: chain(before.hash, entry),
            bytes,
        };
        if let Payload::Membership(bytes) = &entry.payload
            && let Ok(membership) = Membership::decode(bytes)
        {
            self.memberships.push((entry.index, membership));
        }
        self.marks.push(mark);
        mark
    }

    /// Whether this very entry is in the log.
    pub(crate) fn contains(&self, id: EntryId) -> bool {
        self.mark(id.index).is_some_and(|mark| mark.term == id.term)
    }

    /// The marks and memberships of the entries at these places, of which the first is 0.
    pub(crate) fn part(&self, places: Range<usize>) -> Self {
        let (first, last) = (places.start as u64 + 1, places.end as u64);
        let is_in = |at: &LogIndex| (first..=last).contains(&at.get());
        let memberships = self.memberships.iter();
        Self {
            marks: self.marks.get(places).unwrap_or_default().to_vec(),
            memberships: memberships.filter(|(at, _)| is_in(at)).cloned().collect(),
        }
    }

    /// The shape of these entries, which start at index 1.
    pub(crate) fn of_log<'a>(entries: impl IntoIterator<Item = &'a Entry>) -> Self {
        let mut shape = Self::default();
        for entry in entries {
            shape.push(entry);
        }
        shape
    }

    /// The shape of a log of `count` entries, made of parts that follow one another.
    pub(crate) fn of_parts<'a>(count: usize, parts: impl Iterator<Item = &'a Self>) -> Self {
        let mut whole = Self {
            marks: Vec::with_capacity(count),
            memberships: Vec::new(),
        };
        for part in parts {
            whole.marks.extend_from_slice(&part.marks);
            whole.memberships.extend_from_slice(&part.memberships);
        }
        whole
    }

    /// The newest membership in the log up to `index`, and where it stands; `None` where the
    /// founders still are in force.
    pub(crate) fn membership_at(&self, index: LogIndex) -> Option<(LogIndex, &Membership)> {
        let mut known = self.memberships.iter().rev();
        let (at, membership) = known.find(|(at, _)| *at <= index)?;
        Some((*at, membership))
    }

    /// The memberships that stand behind `before`.
    pub(crate) fn memberships_behind(&self, before: LogIndex) -> Vec<(LogIndex, Membership)> {
        let mut behind = self.memberships.clone();
        behind.retain(|(at, _)| *at > before);
        behind
    }

    /// The first entry of each term behind `before`.
    pub(crate) fn term_starts(&self, before: LogIndex) -> Vec<EntryId> {
        let mut starts: Vec<EntryId> = Vec::new();
        let behind = self.marks.iter().enumerate().skip(before.get() as usize);
        for (place, mark) in behind {
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
                payload: Payload::Noop,
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
            Shape::of(&[1, 1, 4, 4, 6]).term_starts(LogIndex::NONE),
            [id(1, 1), id(3, 4), id(5, 6)]
        );
        assert_eq!(
            Shape::of(&[1, 1, 4, 4, 6]).term_starts(LogIndex::new(3)),
            [id(4, 4), id(5, 6)]
        );
    }
}
