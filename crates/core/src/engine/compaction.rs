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
        // A peer that receives a snapshot needs what comes behind it, but it may not hold on to
        // more than the disk can take.
        let limit = self.config.max_retained_bytes;
        let is_kept = |index: &LogIndex| self.log.bytes_behind(*index) <= limit;
        let kept = self.offered().map(|last| last.index).filter(is_kept);
        kept.fold(old, LogIndex::min)
    }

    /// The snapshots that peers receive.
    fn offered(&self) -> impl Iterator<Item = EntryId> + '_ {
        let peers = match &self.role {
            Role::Leader(leadership) => leadership.peers.as_slice(),
            Role::Follower | Role::PreCandidate(_) | Role::Candidate(_) => &[],
        };
        peers.iter().filter_map(Progress::receives)
    }
}
