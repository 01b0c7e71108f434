//! When entries are committed, and their way to the state machine.

use alloc::borrow::Cow;

use super::{Engine, Role};
use crate::quorum::{majority, reached_by_majority};
use crate::{Entries, LogIndex};

impl Engine {
    /// Commits what a majority holds durably, if it is of this term: an entry of an older term
    /// may be on a majority and still be replaced [Raft 5.4.2]. The leader counts itself only as
    /// far as its own disk has confirmed [Thesis 10.2.1].
    pub(super) fn advance_commit(&mut self) {
        let Role::Leader(leadership) = &mut self.role else {
            return;
        };
        let (id, durable) = (self.config.id, self.writes.durable());
        let commit = self.commit;
        // Most answers complete no majority, which is seen by counting all that could be in one.
        let peers = leadership.peers.iter();
        let beyond = peers.filter(|peer| peer.matched() > commit).count();
        let voters = self.memberships.latest().voters().len();
        if beyond + usize::from(durable > commit) < majority(voters) {
            return;
        }
        let reached = reached_by_majority(self.memberships.latest(), |voter| {
            if voter == id {
                return durable;
            }
            leadership
                .peer(voter)
                .map_or(LogIndex::NONE, |peer| peer.matched())
        });
        let Some(reached) = reached else { return };
        if reached <= commit || self.log.term_at(reached) != Some(self.hard.term) {
            return;
        }
        let is_first_of_term = commit < leadership.first;
        self.commit = reached;
        leadership.uncommitted.release_through(reached);
        if is_first_of_term {
            leadership.reads.own_term_committed(reached);
            self.ask_round_for_reads();
        }
    }

    /// Hands the state machine what is committed and durable here, within the limit of what it
    /// may be behind. An entry may be committed by the others before it is durable here; applied
    /// then, it could be gone after a restart from a state that holds its effect.
    #[inline]
    pub(super) fn hand_over_committed(&mut self) {
        let end = self.commit.min(self.writes.durable());
        if self.applies.handed() < end || !self.snapshots.is_restored {
            self.hand_over_through(end);
        }
    }

    fn hand_over_through(&mut self, end: LogIndex) {
        if self.snapshots.installing().is_some() {
            return;
        }
        if !self.snapshots.is_restored {
            self.restore_snapshot();
        }
        while self.applies.handed() < end {
            let Some(room) = self.applies.room(self.config.max_unapplied_bytes) else {
                return;
            };
            let from = self.applies.handed().next();
            let loaded = self.applies.loaded();
            let entries = match loaded.filter(|loaded| starts_at(loaded, from)) {
                Some(loaded) => Some(Cow::Owned(loaded.up_to_index(end).limited_to(room))),
                // What is in the window behind `end` is not looked at: it may be much.
                None => self.log.slice(from, end, room),
            };
            let Some(entries) = &entries else {
                return self.load_for_apply(from, end, room);
            };
            let entries: &Entries = entries;
            self.applies.hand_over(entries);
            self.snapshots.applied(entries.size_bytes());
            self.outbox.apply(|| entries.clone());
        }
    }
}

fn starts_at(entries: &Entries, index: LogIndex) -> bool {
    entries.first().is_some_and(|first| first.index == index)
}
