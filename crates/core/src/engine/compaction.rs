//! Dropping what a durable snapshot holds: old entries, and the snapshots before it. Entries are
//! kept behind a snapshot for peers that lag a little, and for those that are about to need them
//! (scenario D12).

use alloc::vec::Vec;

use super::{Engine, Role};
use crate::progress::Progress;
use crate::{EntryId, LogIndex};

impl Engine {
    /// Purges what is not needed any more.
    pub(super) fn compact(&mut self) {
        let through = self.purgeable();
        if through > self.log.before().index {
            let through = self.log.id_at(through);
            self.log.purge_through(through);
            self.memberships.compact(through.index);
            self.outbox.purge(through);
        }
        let used: Vec<EntryId> = self.offered().collect();
        let unused: Vec<_> = self
            .snapshots
            .drop_unused(|last| used.contains(&last))
            .collect();
        self.drop_snapshots(unused);
    }

    /// The last index that may go.
    fn purgeable(&self) -> LogIndex {
        let trailing = self.config.trailing_entries;
        let snapshot = self.snapshots.last().index.get();
        let old = LogIndex::new(snapshot.saturating_sub(trailing));
        // A peer that receives a snapshot needs what comes behind it, and would need the next one
        // if what it is being sent went away meanwhile. It may not hold on to more than the disk
        // can take.
        let limit = self.config.max_retained_bytes;
        let is_kept = |index: &LogIndex| self.log.bytes_behind(*index) <= limit;
        let needed = self.offered().map(|last| last.index).chain(self.streamed());
        needed.filter(is_kept).fold(old, LogIndex::min)
    }

    /// The snapshots that peers receive.
    fn offered(&self) -> impl Iterator<Item = EntryId> + '_ {
        self.peers_within_reach().filter_map(Progress::receives)
    }

    /// Where the peers are that get along with the log alone.
    fn streamed(&self) -> impl Iterator<Item = LogIndex> + '_ {
        let before = self.log.before().index;
        let peers = self.peers_within_reach();
        let streamed = peers.filter(move |peer| peer.receives().is_none() && peer.next() > before);
        streamed.map(move |peer| peer.matched().max(before))
    }

    /// A peer that is down keeps nothing from being dropped.
    fn peers_within_reach(&self) -> impl Iterator<Item = &Progress> + '_ {
        let leadership = match &self.role {
            Role::Leader(leadership) => Some(leadership),
            Role::Follower | Role::PreCandidate(_) | Role::Candidate(_) => None,
        };
        leadership.into_iter().flat_map(|leadership| {
            let peers = leadership.peers.iter();
            peers.filter(|peer| self.is_within_reach(leadership, peer))
        })
    }
}
