//! The fault atlas: the one account of which node's disk was harmed, and how. It answers whether
//! another one may be, and keeps the disk as it was, for the day on which the harm is put right.
//! How a disk is harmed is in `damage.rs`. Calls that fail and disks that are full harm nothing
//! that stands on them, and have no place here.
//!
//! # What may be survived
//! A node that lost its log, cannot read it or is kept out with another disk is no help to the
//! others until that is put right, and everything is. So the copies that may be harmed at once are
//! as many as leave half of the founders: with fewer left, a cluster could not be told from one
//! that is just being founded. No node is down for ever here, and none repairs a log from its
//! peers: there are no others to count.

use quorate_core::{LogIndex, NodeId};
use quorate_log::MemDisk;

use super::astray::Astray;
use crate::roster::Roster;

/// What is wrong with the disk of a node. One thing at a time.
#[derive(Debug)]
pub(super) enum Harm {
    /// What stands on it was changed while the node was down. Its log refuses to open, or did
    /// not need what was changed.
    Damaged {
        /// The disk as it was.
        spared: MemDisk,
        /// The change may look like a write that a crash cut short.
        may_look_torn: bool,
        /// It was a write that went astray while the node ran.
        is_astray: bool,
    },
    /// Somebody has put an empty disk in its place, as if nobody had been there ever.
    Wiped {
        /// The disk that was taken out.
        spared: MemDisk,
        /// The committed log ended here then.
        at: LogIndex,
    },
    /// A write went elsewhere, while the node runs. Its log has to notice, or not to need it, at
    /// the latest when it is opened.
    Astray(Astray),
    /// A sector of it cannot be read. Its log says so, now or when it is opened.
    Unreadable,
    /// A sector of it reads as something else, to the present life of the node alone.
    Misread,
}

/// The account.
#[derive(Debug)]
pub(super) struct Atlas {
    harms: Roster<Option<Harm>>,
    founders: u64,
}

impl Atlas {
    /// Of `nodes` nodes, of which the first `founders` found the cluster, none is harmed.
    pub(super) fn new(nodes: u64, founders: u64) -> Self {
        Self {
            harms: Roster::new(nodes, |_| None),
            founders,
        }
    }

    /// Whether the disk of `node` may be harmed, beside those that are.
    pub(super) fn may_harm(&self, node: NodeId) -> bool {
        let harmed = self.harms.iter().flatten().count() as u64;
        self.harms[node].is_none() && (harmed + 1) * 2 <= self.founders
    }

    /// The disk of `node` was harmed; it may be, as [`Self::may_harm`] said.
    pub(super) fn harm(&mut self, node: NodeId, harm: Harm) {
        self.harms[node] = Some(harm);
    }

    /// What is wrong with the disk of `node`.
    pub(super) fn of(&self, node: NodeId) -> Option<&Harm> {
        self.harms[node].as_ref()
    }

    /// Somebody has put an empty disk into the machine.
    pub(super) fn is_wiped(&self, node: NodeId) -> bool {
        matches!(self.of(node), Some(Harm::Wiped { .. }))
    }

    /// What stands on the disk was changed, and nobody has noticed yet.
    pub(super) fn is_damaged(&self, node: NodeId) -> bool {
        matches!(self.of(node), Some(Harm::Damaged { .. }))
    }

    /// The same, and it was changed by a write that went astray.
    pub(super) fn is_from_astray(&self, node: NodeId) -> bool {
        matches!(
            self.of(node),
            Some(Harm::Damaged {
                is_astray: true,
                ..
            })
        )
    }

    /// The log of `node` was opened and held all that it had to: it did not need what was changed.
    pub(super) fn is_whole(&mut self, node: NodeId) {
        if self.is_damaged(node) {
            self.harms[node] = None;
        }
    }

    /// Somebody looks after the disk of `node`. What was wrong with it?
    pub(super) fn take(&mut self, node: NodeId) -> Option<Harm> {
        self.harms[node].take()
    }

    /// What a write to the disk of `node` that went astray has changed, while the node runs.
    pub(super) fn astray(&mut self, node: NodeId) -> Option<&mut Astray> {
        match &mut self.harms[node] {
            Some(Harm::Astray(astray)) => Some(astray),
            Some(_) | None => None,
        }
    }

    /// What a write to the disk of `node` that went astray has changed is about to be put right.
    pub(super) fn ends_astray(&mut self, node: NodeId) -> Option<Astray> {
        match self.harms[node].take_if(|harm| matches!(harm, Harm::Astray(_))) {
            Some(Harm::Astray(astray)) => Some(astray),
            Some(_) | None => None,
        }
    }

    /// The sectors of `node` are as they were. Whether one was not.
    pub(super) fn mends_sectors(&mut self, node: NodeId) -> bool {
        let is_sector = |harm: &mut Harm| matches!(harm, Harm::Unreadable | Harm::Misread);
        self.harms[node].take_if(is_sector).is_some()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn node(id: u64) -> NodeId {
        NodeId::new(id).unwrap()
    }

    fn damaged() -> Harm {
        Harm::Damaged {
            spared: MemDisk::new(),
            may_look_torn: false,
            is_astray: false,
        }
    }

    #[test]
    fn half_of_the_founders_stays_unharmed_whatever_the_harm() {
        for (founders, most) in [(1, 0), (2, 1), (3, 1), (4, 2), (5, 2), (7, 3)] {
            let mut atlas = Atlas::new(9, founders);
            let mut harms = [damaged(), Harm::Unreadable, Harm::Misread].into_iter();
            let mut harmed = 0;
            while let Some(harm) = harms.next().filter(|_| atlas.may_harm(node(harmed + 1))) {
                harmed += 1;
                atlas.harm(node(harmed), harm);
                assert!(!atlas.may_harm(node(harmed)), "it is harmed already");
            }
            assert_eq!(harmed, most, "{founders} founders");
        }
    }

    #[test]
    fn a_harm_lasts_until_it_is_put_right_and_makes_room_for_the_next() {
        let mut atlas = Atlas::new(3, 3);
        atlas.harm(node(1), Harm::Unreadable);
        atlas.is_whole(node(1));
        assert!(!atlas.may_harm(node(2)), "a log may open beside its sector");
        assert!(atlas.mends_sectors(node(1)) && !atlas.mends_sectors(node(1)));
        assert!(atlas.may_harm(node(2)));
        atlas.harm(node(2), damaged());
        assert!(!atlas.mends_sectors(node(2)) && atlas.is_damaged(node(2)));
        atlas.is_whole(node(2));
        assert!(atlas.may_harm(node(2)));
        atlas.harm(
            node(3),
            Harm::Wiped {
                spared: MemDisk::new(),
                at: LogIndex::NONE,
            },
        );
        atlas.is_whole(node(3));
        assert!(atlas.is_wiped(node(3)), "an empty log opens");
        assert!(atlas.take(node(3)).is_some() && atlas.of(node(3)).is_none());
    }
}
