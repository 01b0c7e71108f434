//! The leader's side of replication: what to send to whom, and what to make of the answers
//! [Raft 5.3]. The pace of each peer is kept in `progress.rs`.

use core::time::Duration;

use super::{Engine, Role};
use crate::progress::{Confirmed, Progress, Refused};
use crate::telemetry::tell;
use crate::{AppendOutcome, Body, Entries, EntryId, Incarnation, LogIndex, NodeId, Round};

impl Engine {
    /// Sends every peer as much as its pace allows.
    pub(super) fn replicate_to_all(&mut self) {
        let Role::Leader(leadership) = &self.role else {
            return;
        };
        for position in 0..leadership.peers.len() {
            self.replicate_to(position);
        }
    }

    /// Sends the peer at this position as much as its pace allows.
    pub(super) fn replicate_to(&mut self, position: usize) {
        let last = self.log.last().index;
        loop {
            let Role::Leader(leadership) = &mut self.role else {
                return;
            };
            let Some(peer) = leadership.peers.get_mut(position) else {
                return;
            };
            let (messages, bytes) = (
                self.config.max_inflight_messages,
                self.config.max_inflight_bytes,
            );
            let from = peer.next();
            if from <= self.log.before().index && peer.receives().is_none() {
                return self.offer_snapshot(position);
            }
            if from > last || !peer.may_send(messages, bytes) {
                return;
            }
            match self.log.slice(from, last, self.config.max_append_bytes) {
                Some(entries) => self.send_entries(position, entries),
                None => return self.load_for_peer(position, from),
            }
        }
    }

    /// Sends these entries to the peer at this position; they start at its next index.
    pub(super) fn send_entries(&mut self, position: usize, entries: Entries) {
        let (now, commit) = (self.now, self.commit);
        let Role::Leader(leadership) = &mut self.role else {
            return;
        };
        let round = leadership.round;
        let Some(peer) = leadership.peers.get_mut(position) else {
            return;
        };
        let (Some(first), Some(last)) = (entries.first(), entries.last()) else {
            return;
        };
        debug_assert_eq!(
            first.index,
            peer.next(),
            "an append starts where the last one ended"
        );
        let prev = self.log.id_at(first.index.prev());
        let end = self.log.last().index;
        peer.sent_entries(last.index, entries.size_bytes(), now);
        peer.commit_told = peer.commit_told.max(commit.min(last.index));
        let (to, life) = (peer.id, peer.life);
        let body = Body::Append {
            prev,
            entries,
            commit,
            round,
            last: end,
        };
        self.outbox.send(self.message(to, life, body));
    }

    /// Tells every peer that this leader is there, with the newest round and commit index.
    pub(super) fn broadcast_heartbeat(&mut self) {
        let now = self.now;
        let Role::Leader(leadership) = &mut self.role else {
            return;
        };
        leadership.lease.asked(leadership.round, now);
        for position in 0..leadership.peers.len() {
            self.send_heartbeat(position);
        }
    }

    /// An append without entries. It starts at what the peer has confirmed, so that no honest
    /// peer can refuse it, and its commit index is within the peer's log (scenarios B06, B08).
    fn send_heartbeat(&mut self, position: usize) {
        let commit = self.commit;
        let Role::Leader(leadership) = &mut self.role else {
            return;
        };
        let round = leadership.round;
        let Some(peer) = leadership.peers.get_mut(position) else {
            return;
        };
        let matched = peer.matched();
        let commit = commit.min(matched);
        peer.commit_told = peer.commit_told.max(commit);
        let (to, life) = (peer.id, peer.life);
        let prev = if matched >= self.log.before().index {
            self.log.id_at(matched)
        } else {
            // Nothing is known of what was purged; every log agrees with its start.
            EntryId::NONE
        };
        let body = Body::Append {
            prev,
            entries: Entries::empty(),
            commit,
            round,
            last: self.log.last().index,
        };
        self.outbox.send(self.message(to, life, body));
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
        if !peer.heard(life, round, now) {
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
                self.on_refused(position, refused, hint, round);
            }
        }
        self.confirm_reads();
        self.replicate_to(position);
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
        let Role::Leader(leadership) = &self.role else {
            return;
        };
        let is_behind =
            |peer: &Progress| peer.commit_told < commit.min(peer.matched()) && peer.is_idle();
        if !leadership.peers.iter().any(is_behind) {
            return;
        }
        for position in 0..leadership.peers.len() {
            let Role::Leader(leadership) = &self.role else {
                return;
            };
            if leadership.peers.get(position).is_some_and(is_behind) {
                self.send_heartbeat(position);
            }
        }
    }
}
