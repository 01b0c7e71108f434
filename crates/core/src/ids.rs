//! The small numbers of the protocol, each as a type of its own, so that a term cannot be passed
//! where an index is meant. Only operations that mean something exist. Time is in `time.rs`.

use core::fmt;
use core::num::NonZeroU64;

/// A server of the cluster. Never zero, never reused for another server.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct NodeId(NonZeroU64);

impl NodeId {
    /// The node with this number; `None` for zero, which names nobody.
    #[must_use]
    pub const fn new(id: u64) -> Option<Self> {
        match NonZeroU64::new(id) {
            Some(id) => Some(Self(id)),
            None => None,
        }
    }

    /// The number itself, for the wire and the disk.
    #[must_use]
    pub const fn get(self) -> u64 {
        self.0.get()
    }
}

impl fmt::Display for NodeId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "n{}", self.0)
    }
}

/// Declares a counter type with `new`, `get`, `next` and a short `Display`.
macro_rules! counter {
    ($(#[$doc:meta])* $name:ident, $prefix:literal, $zero:ident, $zero_doc:literal) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(u64);

        impl $name {
            #[doc = $zero_doc]
            pub const $zero: Self = Self(0);

            /// The value with this number, as read from the wire or the disk.
            #[must_use]
            pub const fn new(value: u64) -> Self {
                Self(value)
            }

            /// The number itself, for the wire and the disk.
            #[must_use]
            pub const fn get(self) -> u64 {
                self.0
            }

            /// The value after this one. Stays at the largest rather than wrapping: a number from
            /// the wire may be anything, and arithmetic on it must not panic.
            #[must_use]
            pub const fn next(self) -> Self {
                Self(self.0.saturating_add(1))
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, concat!($prefix, "{}"), self.0)
            }
        }
    };
}

counter! {
    /// A term: the logical clock that has at most one leader [Raft 5.1].
    Term, "t", ZERO, "Before the first election. No leader and no entry has it."
}

counter! {
    /// The position of an entry in the log. The first entry has index 1.
    LogIndex, "i", NONE, "Before the first entry. Never the index of an entry."
}

impl LogIndex {
    /// Whether a log can have come to this index: an entry every nanosecond takes centuries to
    /// get there. What is beyond came from a peer or a disk that is mistaken, and leaves no room
    /// for the entries that would follow.
    #[must_use]
    pub(crate) const fn can_exist(self) -> bool {
        self.0 <= u64::MAX / 2
    }

    /// The index before this one; `NONE` stays `NONE`.
    #[must_use]
    pub const fn prev(self) -> Self {
        Self(self.0.saturating_sub(1))
    }

    /// How many entries lie in `(self, later]`; zero if `later` is behind.
    #[must_use]
    pub const fn distance_to(self, later: Self) -> u64 {
        later.0.saturating_sub(self.0)
    }

    /// The index `count` places after this one; stays at the largest rather than wrapping.
    #[must_use]
    pub const fn plus(self, count: u64) -> Self {
        Self(self.0.saturating_add(count))
    }
}

counter! {
    /// One write to stable storage. Writes are performed in this order, and
    /// [`Event::Persisted`](crate::Event::Persisted) confirms all writes up to one.
    WriteId, "w", NONE, "No write at all: what needs it may happen at once."
}

counter! {
    /// A number that a leader raises before it asks its peers whether it still leads. Echoed in
    /// every reply, so that a late answer cannot confirm a question asked after it [Thesis 6.4].
    Round, "r", ZERO, "Before the first question of a leadership."
}

counter! {
    /// A read, named by the host. Unique within one incarnation of a node and never used again.
    ReadId, "read", FIRST, "The first read of an incarnation."
}

counter! {
    /// A batch of proposals, named by the host. Unique within one incarnation.
    ProposalId, "p", FIRST, "The first batch of an incarnation."
}

counter! {
    /// A change of the membership, named by the host. Unique within one incarnation.
    ChangeId, "change", FIRST, "The first change of an incarnation."
}

counter! {
    /// A request to hand leadership over, named by the host. Unique within one incarnation.
    TransferId, "transfer", FIRST, "The first transfer of an incarnation."
}

counter! {
    /// A request for old entries from the log on disk, named by the engine.
    LoadId, "load", NONE, "Before the first request."
}

counter! {
    /// One start of one node: fresh and unpredictable at every start, so that messages to or from
    /// an earlier life of a node can be told apart from those of this one.
    Incarnation, "life", UNKNOWN, "Not yet known. No running node has it."
}

/// The position and term of an entry. There is no `Ord`: the log order and the vote order
/// differ, and only the latter is needed, under its own name.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct EntryId {
    /// The term in which a leader created the entry.
    pub term: Term,
    /// Where the entry stands in the log.
    pub index: LogIndex,
}

impl EntryId {
    /// The id that stands for "before the first entry".
    pub const NONE: Self = Self {
        term: Term::ZERO,
        index: LogIndex::NONE,
    };

    /// The entry at `index`, created in `term`.
    #[must_use]
    pub const fn new(index: LogIndex, term: Term) -> Self {
        Self { term, index }
    }

    /// The vote rule: compare the terms of the last entries first, then the lengths
    /// [Raft 5.4.1] [Thesis 3.6.1].
    #[must_use]
    pub fn at_least_as_recent_as(self, other: Self) -> bool {
        (self.term, self.index) >= (other.term, other.index)
    }
}

impl fmt::Display for EntryId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.index, self.term)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(index: u64, term: u64) -> EntryId {
        EntryId::new(LogIndex::new(index), Term::new(term))
    }

    /// Scenario A16
    #[test]
    fn recency_compares_terms_before_lengths() {
        assert!(
            id(3, 2).at_least_as_recent_as(id(5, 1)),
            "a newer last term wins"
        );
        assert!(
            !id(9, 1).at_least_as_recent_as(id(3, 2)),
            "length cannot make up for a term"
        );
        assert!(
            !id(4, 2).at_least_as_recent_as(id(5, 2)),
            "in one term the longer log wins"
        );
        assert!(
            id(5, 2).at_least_as_recent_as(id(5, 2)),
            "an equal log is recent enough"
        );
    }

    #[test]
    fn arithmetic_stays_in_range_when_a_number_is_the_largest() {
        let largest = LogIndex::new(u64::MAX);
        assert_eq!(largest.next(), largest);
        assert_eq!(LogIndex::NONE.prev(), LogIndex::NONE);
        assert_eq!(largest.plus(7), largest);
        assert_eq!(largest.distance_to(LogIndex::NONE), 0);
    }
}
