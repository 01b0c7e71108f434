//! The leader's side of snapshots: offering one to a peer that needs entries from before the
//! log, and what becomes of it. The receiver's side is in `snapshot.rs`.

use core::time::Duration;

use super::{Engine, Role};
use crate::progress::Confirmed;
use crate::telemetry::tell;
use crate::{Body, EntryId, Incarnation, NodeId, Round, SnapshotMeta, SnapshotOutcome};

impl Engine {
    /// Offers the newest snapshot to the peer at this position, which lacks what was purged.
    pub(super) fn offer_snapshot(&mut self, position: usize) {
        let Some(snapshot) = self.snapshots.newest().cloned() else {
            return;
        };
        self.counters.snapshots_offered += 1;
        tell!(
            DEBUG,
            node = %self.config.id,
            last = %snapshot.last,
            "snapshot offered"
        );
        self.send_offer(position, snapshot);
    }

    fn send_offer(&mut self, position: usize, snapshot: SnapshotMeta) {
        let now = self.now;
        let Role::Leader(leadership) = &mut self.role else {
            return;
        };
        let round = leadership.round;
        let Some(peer) = leadership.peers.get_mut(position) else {
            return;
        };
        peer.offered_snapshot(snapshot.last, now);
        let (to, life) = (peer.id, peer.life);
        let body = Body::SnapshotOffer { snapshot, round };
        let envelope = self.envelope(to, life);
        self.outbox.send(|| envelope.with(body));
    }

    /// Repeats offers from time to time: the peer may have missed one, or have started anew.
    pub(super) fn repeat_offers(&mut self, patience: Duration) {
        let now = self.now;
        let Role::Leader(leadership) = &self.role else {
            return;
        };
        for position in 0..leadership.peers.len() {
            let Role::Leader(leadership) = &self.role else {
                return;
            };
            let peer = leadership.peers.get(position);
            let Some(peer) = peer else { return };
            let Some((last, has_begun)) = peer.offer_to_repeat(patience, now) else {
                continue;
            };
            // One that has not begun may as well get the newest.
            let is_under_way = has_begun && self.is_within_reach(leadership, peer);
            let is_newest = self.snapshots.last() == last;
            let offered = self.snapshots.find(last);
            match offered.filter(|_| is_under_way || is_newest).cloned() {
                Some(snapshot) => self.send_offer(position, snapshot),
                None => self.offer_snapshot(position),
            }
        }
    }

    /// A peer answered the offer of a snapshot of this term.
    pub(super) fn on_snapshot_reply(
        &mut self,
        (from, life): (NodeId, Incarnation),
        (round, last): (Round, EntryId),
        outcome: SnapshotOutcome,
        suspect: bool,
    ) {
        let (now, patience) = (self.now, self.config.election_timeout_min);
        let (log_end, is_in_log) = (self.log.last().index, self.log.contains(last));
        let newest = self.snapshots.last();
        let Role::Leader(leadership) = &mut self.role else {
            return;
        };
        let asked = leadership.round;
        let peer = leadership.peers.iter_mut().enumerate();
        let Some((position, peer)) = peer.into_iter().find(|(_, peer)| peer.id == from) else {
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
            SnapshotOutcome::Receiving { bytes } => {
                peer.note_catch_up(log_end, (now, patience));
                peer.snapshot_progressed(last, bytes);
            }
            SnapshotOutcome::Installed if is_in_log || peer.is_offered(last) => {
                match peer.confirm(last.index, asked, now) {
                    Confirmed::News => {
                        peer.note_catch_up(log_end, (now, patience));
                        self.advance_commit();
                    }
                    Confirmed::Stale => peer.note_catch_up(log_end, (now, patience)),
                    Confirmed::NeverSent => self.counters.dropped += 1,
                }
            }
            SnapshotOutcome::Installed => self.counters.dropped += 1,
            // Not at once: it may fail again and again.
            SnapshotOutcome::Lost => {
                peer.note_catch_up(log_end, (now, patience));
                if peer.is_offered(last) {
                    peer.offered_snapshot(newest, now);
                }
            }
        }
        self.confirm_reads();
        self.replicate_to(position);
    }
}
