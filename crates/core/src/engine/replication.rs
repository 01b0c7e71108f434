//! The leader's side of replication: what to send to whom, and what to make of the answers
//! [Raft 5.3]. The pace of each peer is kept in `progress.rs`.

use core::time::Duration;

use super::appends::Sent;
use super::{Engine, Role};
use crate::progress::{Confirmed, Progress, Refused};
use crate::telemetry::tell;
use crate::{AppendOutcome, EntryId, Incarnation, LogIndex, NodeId, Round};

impl Engine {
    /// Sends every peer as much as its pace allows.
    pub(super) fn replicate_to_all(&mut self) {
        let Some((leadership, mut appends)) = self.appends() else {
            return;
        };
        let (peers, mut have_all) = (leadership.peers.len(), true);
        for peer in &mut leadership.peers {
            have_all &= matches!(appends.send_rest(peer), Sent::Enough);
        }
        if !have_all {
            // What those need that are left is not in memory.
            (0..peers).for_each(|position| self.replicate_to(position));
        }
    }

    /// Sends the peer at this position as much as its pace allows.
    pub(super) fn replicate_to(&mut self, position: usize) {
        if let Some((leadership, mut appends)) = self.appends()
            && let Some(peer) = leadership.peers.get_mut(position)
        {
            match appends.send_rest(peer) {
                Sent::Enough => {}
                Sent::NeedsSnapshot => self.offer_snapshot(position),
                Sent::OnDisk(from) => self.load_for_peer(position, from),
            }
        }
    }

    /// Tells every peer that this leader is there, with the newest round and commit index.
    pub(super) fn broadcast_heartbeat(&mut self) {
        let now = self.now;
        let Some((leadership, mut appends)) = self.appends() else {
            return;
        };
        leadership.lease.asked(leadership.round, now);
        for peer in &mut leadership.peers {
            appends.send_heartbeat(peer);
        }
    }

    /// Sends again what a peer has not confirmed for too long.
    pub(super) fn resend_lost(&mut self, patience: Duration) {
        let now = self.now;
        let Role::Leader(leadership) = &mut self.role else {
            return;
        };
        for peer in &mut leadership.peers {
            peer.give_up_waiting(patience, now);
        }
        self.repeat_offers(patience);
        self.replicate_to_all();
    }

    /// A peer answered an append of this term.
    pub(super) fn on_append_reply(
        &mut self,
        (from, life): (NodeId, Incarnation),
        round: Round,
        outcome: AppendOutcome,
        suspect: bool,
    ) {
        let (now, patience) = (self.now, self.config.election_timeout_min);
        let log_end = self.log.last().index;
        let Role::Leader(leadership) = &mut self.role else {
            return;
        };
        let asked = leadership.round;
        let Some(position) = leadership.peers.iter().position(|peer| peer.id == from) else {
            return;
        };
        let Some(peer) = leadership.peers.get_mut(position) else {
            return;
        };
        if round > asked {
            self.counters.dropped += 1;
            return;
        }
        if !peer.heard(life, (round, asked), now) {
            self.counters.dropped += 1;
            return;
        }
        peer.suspect = suspect;
        match outcome {
            AppendOutcome::Matched(index) => match peer.confirm(index, asked, now) {
                Confirmed::News => {
                    peer.note_catch_up(log_end, (now, patience));
                    // What is committed already moves nothing.
                    if index > self.commit {
                        self.advance_commit();
                    }
                }
                Confirmed::Stale => {
                    peer.note_catch_up(log_end, (now, patience));
                    if peer.confirms_less(index, round) == Refused::Regressed {
                        self.note_regression();
                    }
                }
                Confirmed::NeverSent => self.counters.dropped += 1,
            },
            AppendOutcome::Conflict { refused, hint } => {
                peer.note_catch_up(log_end, (now, patience));
                self.on_refused(position, refused, hint, round);
            }
        }
        self.confirm_reads();
        if self.has_more_for(position) {
            self.replicate_to(position);
        }
    }

    /// Whether the peer at this position was not sent all there is. Most of the time it was, which
    /// is seen before anything is gathered for an append.
    fn has_more_for(&self, position: usize) -> bool {
        let Role::Leader(leadership) = &self.role else {
            return false;
        };
        let last = self.log.last().index;
        let peer = leadership.peers.get(position);
        peer.is_some_and(|peer| peer.next() <= last)
    }

    fn on_refused(&mut self, position: usize, refused: LogIndex, hint: EntryId, round: Round) {
        // The hint is bounded below what was refused: a confused peer must not make us probe the
        // same place for ever.
        let bound = EntryId::new(hint.index.min(refused.prev()), hint.term);
        let agreed = self.log.newest_within(bound);
        let Role::Leader(leadership) = &mut self.role else {
            return;
        };
        let Some(peer) = leadership.peers.get_mut(position) else {
            return;
        };
        match peer.refuse(refused, agreed, round) {
            Refused::BackedOff | Refused::Stale => {}
            Refused::Regressed => self.note_regression(),
        }
    }

    /// A peer does not have what it acknowledged (scenario A20).
    fn note_regression(&mut self) {
        self.counters.peer_regressions += 1;
        tell!(
            WARN,
            node = %self.config.id,
            peers = ?self.status().peers,
            "a peer lost what it had acknowledged"
        );
    }

    /// Tells peers of a commit that nothing on its way to them will tell: without it they would
    /// learn of the last write only at the next heartbeat (scenario B13). While appends are in
    /// flight the next one carries the news.
    pub(super) fn tell_commit(&mut self) {
        let commit = self.commit;
        let is_due =
            |peer: &Progress| peer.commit_told < commit.min(peer.matched()) && peer.is_idle();
        let Role::Leader(leadership) = &self.role else {
            return;
        };
        if !leadership.peers.iter().any(is_due) {
            return;
        }
        let Some((leadership, mut appends)) = self.appends() else {
            return;
        };
        for peer in &mut leadership.peers {
            if is_due(peer) {
                appends.send_heartbeat(peer);
            }
        }
    }
}
