//! Log entries and the shared slices in which they travel. Nothing here knows where an entry is
//! kept: the window (`window.rs`), the disk and the wire all pass the same slices on.

use alloc::sync::Arc;
use alloc::vec::Vec;
use core::fmt;
use core::ops::{Deref, Range};
use core::slice;

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

    const fn is_membership(&self) -> bool {
        match self.payload {
            Payload::Membership(_) => true,
            Payload::Noop | Payload::Command(_) => false,
        }
    }

    /// What the entry counts against limits: payload plus [`Self::OVERHEAD_BYTES`].
    #[must_use]
    pub fn size_bytes(&self) -> u64 {
        self.payload.bytes().len() as u64 + Self::OVERHEAD_BYTES
    }
}

/// Entries with consecutive indexes: one, or a range of a shared batch. A clone costs one
/// reference count, whatever the number of entries, and never allocates.
#[derive(Clone)]
pub struct Entries {
    held: Held,
}

#[derive(Clone)]
enum Held {
    Nothing,
    /// An entry that came alone is kept in place: a batch of one would be an allocation more, and
    /// its reference count would be instead of the payload's.
    One(Entry),
    Many(Part),
}

/// A range of a batch. Not empty.
#[derive(Clone)]
struct Part {
    batch: Arc<[Entry]>,
    range: Range<usize>,
    /// The sum of the sizes, which is asked for at every step of an entry's way.
    bytes: u64,
    /// The batch holds no membership, so that nobody need look for one.
    is_plain: bool,
}

impl Part {
    /// All of `batch`.
    fn whole(batch: Arc<[Entry]>) -> Self {
        let (mut bytes, mut is_plain) = (0, true);
        for entry in &*batch {
            bytes += entry.size_bytes();
            is_plain &= !entry.is_membership();
        }
        Self {
            range: 0..batch.len(),
            bytes,
            is_plain,
            batch,
        }
    }

    fn entries(&self) -> &[Entry] {
        self.batch.get(self.range.clone()).unwrap_or_default()
    }

    /// Positions `kept` of this part, which must be within it.
    fn cut(&self, kept: Range<usize>) -> Self {
        let (before, rest) = self.entries().split_at(kept.start);
        let (middle, behind) = rest.split_at(kept.len());
        // Whichever is shorter is counted, so that to cut off a little costs little.
        let bytes = if middle.len() * 2 <= self.range.len() {
            bytes_of(middle)
        } else {
            self.bytes - bytes_of(before) - bytes_of(behind)
        };
        Self {
            batch: Arc::clone(&self.batch),
            range: self.range.start + kept.start..self.range.start + kept.end,
            bytes,
            is_plain: self.is_plain,
        }
    }
}

fn bytes_of(entries: &[Entry]) -> u64 {
    entries.iter().map(Entry::size_bytes).sum()
}

impl Entries {
    /// No entries. Does not allocate.
    #[must_use]
    pub const fn empty() -> Self {
        Self {
            held: Held::Nothing,
        }
    }

    /// Entries `range` (positions, not indexes) of this slice, sharing its memory. A range that
    /// reaches beyond the end is cut there.
    #[must_use]
    pub fn slice(&self, range: Range<usize>) -> Self {
        let end = range.end.min(self.len());
        let start = range.start.min(end);
        if start == end {
            return Self::empty();
        }
        if end - start == self.len() {
            return self.clone();
        }
        let held = match &self.held {
            Held::Many(part) => Held::Many(part.cut(start..end)),
            // Neither has a part that is not all or nothing.
            Held::Nothing | Held::One(_) => Held::Nothing,
        };
        Self { held }
    }

    /// The entries `from..=through` (indexes).
    pub(crate) fn between(&self, from: LogIndex, through: LogIndex) -> Self {
        let Some(first) = self.first() else {
            return Self::empty();
        };
        let position = |entries: u64| usize::try_from(entries).unwrap_or(usize::MAX);
        let start = position(first.index.distance_to(from));
        let end = position(first.index.prev().distance_to(through));
        self.slice(start..end)
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

    /// The same, of what is not needed any more.
    pub(crate) fn since(self, index: LogIndex) -> Self {
        match self.first() {
            Some(first) if first.index < index => self.from_index(index),
            Some(_) | None => self,
        }
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
        self.clone().limited_to(limit_bytes)
    }

    /// What [`Self::within`] says, of what is not needed any more.
    pub(crate) fn limited_to(self, limit_bytes: u64) -> Self {
        if self.size_bytes() <= limit_bytes {
            return self;
        }
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

    /// The sum of [`Entry::size_bytes`]. Known beforehand, not counted.
    #[must_use]
    pub fn size_bytes(&self) -> u64 {
        if let Held::One(entry) = &self.held {
            return entry.size_bytes();
        }
        match &self.held {
            // One was answered above.
            Held::Nothing | Held::One(_) => 0,
            Held::Many(part) => part.bytes,
        }
    }

    /// Whether there is no membership in the batch that they are of, as in nearly all.
    const fn is_plain(&self) -> bool {
        match &self.held {
            Held::Nothing => true,
            Held::One(entry) => !entry.is_membership(),
            Held::Many(part) => part.is_plain,
        }
    }

    /// The payloads of the memberships among them, with their indexes. Of entries without any,
    /// as nearly all are, none is looked at.
    #[inline]
    pub(crate) fn memberships(&self) -> impl Iterator<Item = (LogIndex, &Bytes)> {
        let searched = if self.is_plain() { &[] } else { &**self };
        searched.iter().filter_map(|entry| match &entry.payload {
            Payload::Membership(bytes) => Some((entry.index, bytes)),
            Payload::Noop | Payload::Command(_) => None,
        })
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
        let (Some(first), Some(last)) = (self.first(), self.last()) else {
            return true;
        };
        if self.len() == 1 {
            return first.index != LogIndex::NONE && first.index.can_exist();
        }
        let (mut index, mut term) = (first.index, first.term);
        for entry in self.iter() {
            if entry.index != index || entry.term < term {
                return false;
            }
            (index, term) = (index.next(), entry.term);
        }
        first.index != LogIndex::NONE && last.index.can_exist()
    }
}

impl FromIterator<Entry> for Entries {
    /// One allocation where the iterator knows its length (a vector's, a slice's); none where it
    /// knows that there is one entry.
    fn from_iter<I: IntoIterator<Item = Entry>>(entries: I) -> Self {
        let mut entries = entries.into_iter();
        if entries.size_hint() == (1, Some(1))
            && let Some(only) = entries.next()
        {
            let held = Held::One(only);
            return Self { held };
        }
        let batch: Arc<[Entry]> = entries.collect();
        if batch.is_empty() {
            return Self::empty();
        }
        let held = Held::Many(Part::whole(batch));
        Self { held }
    }
}

impl From<Vec<Entry>> for Entries {
    fn from(entries: Vec<Entry>) -> Self {
        entries.into_iter().collect()
    }
}

impl Deref for Entries {
    type Target = [Entry];

    #[inline]
    fn deref(&self) -> &[Entry] {
        // Asked for at every turn: one comparison tells an entry that came alone.
        if let Held::One(entry) = &self.held {
            return slice::from_ref(entry);
        }
        match &self.held {
            // One was answered above.
            Held::Nothing | Held::One(_) => &[],
            Held::Many(part) => part.entries(),
        }
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
    fn memberships_are_found_in_any_part_of_a_batch() {
        let entry = |index, payload| Entry {
            index: LogIndex::new(index),
            term: Term::new(1),
            payload,
        };
        let members = Bytes::from_static(b"members");
        let all: Entries = [
            entry(5, Payload::Noop),
            entry(6, Payload::Membership(members.clone())),
            entry(7, Payload::Command(Bytes::new())),
        ]
        .into_iter()
        .collect();
        let found = |entries: &Entries| entries.memberships().map(|it| it.0).collect::<Vec<_>>();
        assert_eq!(found(&all), [LogIndex::new(6)]);
        assert_eq!(found(&all.slice(1..2)), [LogIndex::new(6)]);
        assert!(found(&all.slice(2..3)).is_empty());
        let alone: Entries = [entry(6, Payload::Membership(members))]
            .into_iter()
            .collect();
        assert_eq!(found(&alone), [LogIndex::new(6)]);
        assert!(found(&entries(5..10)).is_empty());
        assert!(found(&Entries::empty()).is_empty());
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

    #[test]
    fn the_size_of_a_part_is_the_sum_of_its_entries() {
        let all: Entries = (1..20)
            .map(|index| Entry {
                index: LogIndex::new(index),
                term: Term::new(1),
                payload: Payload::Command(Bytes::from(vec![0; index as usize])),
            })
            .collect();
        for start in 0..=all.len() {
            for end in start..=all.len() {
                let part = all.slice(start..end);
                let size: u64 = part.iter().map(Entry::size_bytes).sum();
                assert_eq!((part.len(), part.size_bytes()), (end - start, size));
                for inner in 0..part.len() {
                    let size: u64 = part[inner..].iter().map(Entry::size_bytes).sum();
                    assert_eq!(part.slice(inner..part.len()).size_bytes(), size);
                }
            }
        }
    }

    #[test]
    fn one_entry_alone_is_cut_like_any_other() {
        let one = entries(5..6);
        assert_eq!((one.len(), one.size_bytes()), (1, 100));
        assert_eq!(one.from_index(LogIndex::new(5)), one);
        assert!(one.from_index(LogIndex::new(6)).is_empty());
        assert!(one.up_to_index(LogIndex::new(4)).is_empty());
        assert_eq!(one.within(1), one);
        assert!(one.slice(1..9).is_empty() && one.slice(0..0).is_empty());
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
