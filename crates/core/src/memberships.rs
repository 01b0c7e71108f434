//! Which membership is in force at which index of the log: the fold of the base and of every
//! membership entry behind it. A membership is in force from the moment its entry is in the log,
//! and no longer than it is (scenarios C03, C13) [Thesis 4.1].

use alloc::collections::VecDeque;

use crate::{Entries, LogIndex, Membership};

/// The memberships of the log, oldest first.
///
/// Invariant: never empty; indexes strictly ascend. The first is the one in force where the log
/// starts; its index is that of its entry, or `NONE` for the founders.
#[derive(Debug)]
pub(crate) struct Memberships {
    base: (LogIndex, Membership),
    entries: VecDeque<(LogIndex, Membership)>,
    has_changed: bool,
}

impl Memberships {
    /// `base` is in force where the log starts, since `index`.
    pub(crate) const fn new(index: LogIndex, base: Membership) -> Self {
        Self {
            base: (index, base),
            entries: VecDeque::new(),
            has_changed: false,
        }
    }

    fn newest(&self) -> &(LogIndex, Membership) {
        self.entries.back().unwrap_or(&self.base)
    }

    /// The membership in force: the latest in the log, committed or not.
    pub(crate) fn latest(&self) -> &Membership {
        &self.newest().1
    }

    /// The index of the entry that put it in force.
    pub(crate) fn latest_index(&self) -> LogIndex {
        self.newest().0
    }

    /// The membership that was in force at `index`, and the index of its entry.
    pub(crate) fn at(&self, index: LogIndex) -> (LogIndex, &Membership) {
        let entries = self.entries.iter().rev();
        let (since, membership) = entries
            .chain([&self.base])
            .find(|(since, _)| *since <= index)
            .unwrap_or(&self.base);
        (*since, membership)
    }

    /// The entry at `index` puts `membership` in force.
    pub(crate) fn push(&mut self, index: LogIndex, membership: Membership) {
        debug_assert!(index > self.latest_index(), "memberships follow the log");
        self.entries.push_back((index, membership));
        self.has_changed = true;
    }

    /// Takes over the membership entries among `entries`, which replace the log from the first of
    /// them on. Entries that hold no membership were refused before they came here.
    pub(crate) fn append(&mut self, entries: &Entries) {
        let Some(first) = entries.first() else { return };
        self.truncate_from(first.index);
        for (index, bytes) in entries.memberships() {
            if let Ok(membership) = Membership::decode(bytes) {
                self.push(index, membership);
            }
        }
    }

    /// The log loses every entry from `index` on.
    fn truncate_from(&mut self, index: LogIndex) {
        while self
            .entries
            .back()
            .is_some_and(|(since, _)| *since >= index)
        {
            self.entries.pop_back();
            self.has_changed = true;
        }
    }

    /// The log starts behind `index`: what came before the membership in force there is not
    /// needed any more.
    pub(crate) fn compact(&mut self, index: LogIndex) {
        while let Some(entry) = self.entries.pop_front_if(|(since, _)| *since <= index) {
            self.base = entry;
        }
    }

    /// A snapshot replaced the log: `membership` is in force, since `index`.
    pub(crate) fn reset(&mut self, index: LogIndex, membership: Membership) {
        self.base = (index, membership);
        self.entries.clear();
        self.has_changed = true;
    }

    /// Whether the membership in force changed since this was asked last.
    pub(crate) const fn take_changed(&mut self) -> bool {
        core::mem::replace(&mut self.has_changed, false)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Entry, NodeId, Payload, Term};
    use alloc::vec::Vec;

    fn voters(count: u64) -> Membership {
        Membership::new((1..=count).filter_map(NodeId::new), [])
    }

    fn i(index: u64) -> LogIndex {
        LogIndex::new(index)
    }

    fn entries(list: &[(u64, Option<u64>)]) -> Entries {
        let entry = |&(index, count): &(u64, Option<u64>)| Entry {
            index: i(index),
            term: Term::new(1),
            payload: count.map_or(Payload::Noop, |count| {
                Payload::Membership(voters(count).encode())
            }),
        };
        list.iter().map(entry).collect::<Vec<_>>().into()
    }

    /// Scenario C03
    #[test]
    fn a_truncated_membership_gives_way_to_the_one_before() {
        let mut memberships = Memberships::new(LogIndex::NONE, voters(3));
        memberships.append(&entries(&[(7, None), (8, Some(4))]));
        assert_eq!(
            (memberships.latest_index(), memberships.latest()),
            (i(8), &voters(4))
        );
        assert!(memberships.take_changed());
        memberships.append(&entries(&[(8, None)]));
        assert_eq!(memberships.latest(), &voters(3), "its entry is gone");
        assert!(memberships.take_changed());
        assert!(!memberships.take_changed());
    }

    #[test]
    fn every_index_has_the_membership_of_the_last_entry_up_to_it() {
        let mut memberships = Memberships::new(LogIndex::NONE, voters(3));
        memberships.append(&entries(&[
            (1, None),
            (2, Some(4)),
            (3, None),
            (4, Some(5)),
        ]));
        let at = |index| memberships.at(i(index));
        assert_eq!(at(1), (LogIndex::NONE, &voters(3)));
        assert_eq!(at(3), (i(2), &voters(4)));
        assert_eq!(at(9), (i(4), &voters(5)));
        memberships.compact(i(3));
        assert_eq!(memberships.at(i(3)), (i(2), &voters(4)));
        assert_eq!(
            memberships.latest(),
            &voters(5),
            "compaction changes nothing in force"
        );
    }
}
