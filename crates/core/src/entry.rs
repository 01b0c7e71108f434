//! Log entries and the shared slices in which they travel. Nothing here knows where an entry is
//! kept: the window (`window.rs`), the disk and the wire all pass the same slices on.

use alloc::sync::Arc;
use alloc::vec::Vec;
use core::fmt;
use core::ops::{Deref, Range};

use bytes::Bytes;

use crate::{EntryId, LogIndex, Term};

/// What an entry asks the replicated state machine to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Payload {
    /// Nothing. A new leader's first entry, which lets it commit what it inherited [Raft 8].
    Noop,
    /// A user's command. The engine never looks inside.
    Command(Bytes),
    /// The bytes of a [`Membership`](crate::Membership), in force from here on.
    Membership(Bytes),
}

impl Payload {
    /// The bytes of the payload; empty for a no-op.
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        match self {
            Self::Noop => &[],
            Self::Command(bytes) | Self::Membership(bytes) => bytes,
        }
    }
}

/// One entry of the replicated log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// Where it stands.
    pub index: LogIndex,
    /// The term of the leader that created it.
    pub term: Term,
    /// What it asks for.
    pub payload: Payload,
}

impl Entry {
    /// What every limit in bytes adds for an entry on top of its payload, so that empty commands
    /// cannot slip past a limit.
    pub const OVERHEAD_BYTES: u64 = 64;

    /// Index and term together.
    #[must_use]
    pub const fn id(&self) -> EntryId {
        EntryId::new(self.index, self.term)
    }

    /// What the entry counts against limits: payload plus [`Self::OVERHEAD_BYTES`].
    #[must_use]
    pub fn size_bytes(&self) -> u64 {
        self.payload.bytes().len() as u64 + Self::OVERHEAD_BYTES
    }
}

/// Entries with consecutive indexes: a range of a shared batch. A clone costs one reference
/// count, whatever the number of entries.
#[derive(Clone)]
pub struct Entries {
    batch: Option<Arc<[Entry]>>,
    range: Range<usize>,
}

impl Entries {
    /// No entries. Does not allocate.
    #[must_use]
    pub const fn empty() -> Self {
        Self {
            batch: None,
            range: 0..0,
        }
    }

    /// Entries `range` (positions, not indexes) of this slice, sharing its memory. A range that
    /// reaches beyond the end is cut there.
    #[must_use]
    pub fn slice(&self, range: Range<usize>) -> Self {
        let end = range.end.min(self.len());
        let start = range.start.min(end);
        Self {
            batch: self.batch.clone(),
            range: self.range.start + start..self.range.start + end,
        }
    }

    /// The entries with `index` and above.
    #[must_use]
    pub fn from_index(&self, index: LogIndex) -> Self {
        let Some(first) = self.first() else {
            return Self::empty();
        };
        let skip = usize::try_from(first.index.distance_to(index)).unwrap_or(usize::MAX);
        self.slice(skip..self.len())
    }

    /// The entries with `index` and below.
    #[must_use]
    pub fn up_to_index(&self, index: LogIndex) -> Self {
        let Some(first) = self.first() else {
            return Self::empty();
        };
        let keep = usize::try_from(first.index.prev().distance_to(index)).unwrap_or(usize::MAX);
        self.slice(0..keep)
    }

    /// The longest prefix within `limit_bytes`, but always the first entry: a limit that was
    /// lowered must not make an old entry impossible to send (scenario B19).
    #[must_use]
    pub fn within(&self, limit_bytes: u64) -> Self {
        let mut total = 0u64;
        let count = self
            .iter()
            .take_while(|entry| {
                total = total.saturating_add(entry.size_bytes());
                total <= limit_bytes
            })
            .count();
        self.slice(0..count.max(1))
    }

    /// The sum of [`Entry::size_bytes`].
    #[must_use]
    pub fn size_bytes(&self) -> u64 {
        self.iter().map(Entry::size_bytes).sum()
    }

    /// Id of the last entry.
    #[must_use]
    pub fn last_id(&self) -> Option<EntryId> {
        self.last().map(Entry::id)
    }

    /// Whether the indexes are consecutive and the terms never fall. What came from a peer or a
    /// disk has to pass this before the engine relies on it.
    #[must_use]
    pub fn is_well_formed(&self) -> bool {
        self.iter()
            .zip(self.iter().skip(1))
            .all(|(entry, following)| {
                following.index == entry.index.next() && following.term >= entry.term
            })
            && self
                .first()
                .is_none_or(|first| first.index != LogIndex::NONE)
            && self.last().is_none_or(|last| last.index.can_exist())
    }
}

impl FromIterator<Entry> for Entries {
    /// One allocation where the iterator knows its length (a vector's, a slice's).
    fn from_iter<I: IntoIterator<Item = Entry>>(entries: I) -> Self {
        let batch: Arc<[Entry]> = entries.into_iter().collect();
        let range = 0..batch.len();
        Self {
            batch: Some(batch),
            range,
        }
    }
}

impl From<Vec<Entry>> for Entries {
    fn from(entries: Vec<Entry>) -> Self {
        entries.into_iter().collect()
    }
}

impl Deref for Entries {
    type Target = [Entry];

    fn deref(&self) -> &[Entry] {
        self.batch
            .as_deref()
            .and_then(|batch| batch.get(self.range.clone()))
            .unwrap_or_default()
    }
}

impl Default for Entries {
    fn default() -> Self {
        Self::empty()
    }
}

impl PartialEq for Entries {
    fn eq(&self, other: &Self) -> bool {
        **self == **other
    }
}

impl Eq for Entries {}

impl fmt::Debug for Entries {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.iter()).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::vec;

    fn entries(range: Range<u64>) -> Entries {
        range
            .map(|index| Entry {
                index: LogIndex::new(index),
                term: Term::new(1),
                payload: Payload::Command(Bytes::from(vec![0; 36])),
            })
            .collect()
    }

    #[test]
    fn slices_by_index_share_the_batch_and_stay_inside_it() {
        let all = entries(5..10);
        let middle = all
            .from_index(LogIndex::new(6))
            .up_to_index(LogIndex::new(8));
        let indexes: Vec<u64> = middle.iter().map(|entry| entry.index.get()).collect();
        assert_eq!(indexes, [6, 7, 8]);
        assert!(all.from_index(LogIndex::new(10)).is_empty());
        assert_eq!(
            all.from_index(LogIndex::new(2)).len(),
            5,
            "below the first: everything"
        );
        assert!(all.up_to_index(LogIndex::new(4)).is_empty());
    }

    /// Scenario B19
    #[test]
    fn a_limit_keeps_one_entry_even_if_it_is_larger() {
        let all = entries(1..6);
        assert_eq!(all.within(250).len(), 2, "an entry counts 36 + 64 bytes");
        assert_eq!(all.within(1).len(), 1);
        assert_eq!(Entries::empty().within(1).len(), 0);
    }

    #[test]
    fn gaps_falling_terms_and_index_zero_are_not_well_formed() {
        let mut list: Vec<Entry> = entries(1..4).to_vec();
        assert!(Entries::from(list.clone()).is_well_formed());
        list[2].index = LogIndex::new(9);
        assert!(!Entries::from(list.clone()).is_well_formed());
        list[2].index = LogIndex::new(3);
        list[2].term = Term::ZERO;
        assert!(!Entries::from(list).is_well_formed());
        assert!(!entries(0..2).is_well_formed());
    }
}
