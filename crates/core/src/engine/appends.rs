//! The appends of a leader: what stands in them, and that a peer's progress takes note of each.
//! Whom to send one and when is decided in `replication.rs`.

use super::{Engine, Leadership, Role};
use crate::log::Log;
use crate::message::Envelope;
use crate::outbox::Outbox;
use crate::progress::Progress;
use crate::{
    Body, Entries, EntryId, Incarnation, LogIndex, NodeId, Round, Term, Time, ValidConfig,
};

/// What all appends of one moment have in common, and where they go. Borrows everything of the
/// engine but its role, so that the peers can be changed meanwhile and entries be copied from the
/// log straight into a message.
pub(super) struct Appends<'a> {
    config: &'a ValidConfig,
    life: Incarnation,
    term: Term,
    now: Time,
    commit: LogIndex,
    round: Round,
    log: &'a Log,
    outbox: &'a mut Outbox,
}

/// What came of sending a peer what it has not been sent.
pub(super) enum Sent {
    /// There is no more, or its pace allows no more.
    Enough,
    /// It needs what was purged.
    NeedsSnapshot,
    /// The entry that it needs next has left the window.
    OnDisk(LogIndex),
}

impl Engine {
    /// The leadership, and with it all that its appends are made of; `None` for everybody else.
    pub(super) fn appends(&mut self) -> Option<(&mut Leadership, Appends<'_>)> {
        let Role::Leader(leadership) = &mut self.role else {
            return None;
        };
        let appends = Appends {
            config: &self.config,
            life: self.life,
            term: self.hard.term,
            now: self.now,
            commit: self.commit,
            round: leadership.round,
            log: &self.log,
            outbox: &mut self.outbox,
        };
        Some((leadership, appends))
    }
}

impl Appends<'_> {
    /// Sends the peer entries, a message at a time, as long as there are any in memory and its pace
    /// allows.
    pub(super) fn send_rest(&mut self, peer: &mut Progress) -> Sent {
        let log = self.log;
        let last = log.last().index;
        while peer.next() <= last {
            if peer.next() <= log.before().index && peer.receives().is_none() {
                return Sent::NeedsSnapshot;
            }
            let (messages, bytes) = (
                self.config.max_inflight_messages,
                self.config.max_inflight_bytes,
            );
            if !peer.may_send(messages, bytes) {
                break;
            }
            match log.slice(peer.next(), last, self.config.max_append_bytes) {
                Some(entries) => self.send_entries(peer, &entries),
                None => return Sent::OnDisk(peer.next()),
            }
        }
        Sent::Enough
    }

    /// Sends these entries; they start at the peer's next index.
    pub(super) fn send_entries(&mut self, peer: &mut Progress, entries: &Entries) {
        let (Some(first), Some(last)) = (entries.first(), entries.last()) else {
            return;
        };
        debug_assert_eq!(
            first.index,
            peer.next(),
            "an append starts where the last one ended"
        );
        let (prev, last) = (self.log.id_at(first.index.prev()), last.index);
        peer.sent_entries(last, entries.size_bytes(), self.now);
        peer.commit_told = peer.commit_told.max(self.commit.min(last));
        self.send(peer, prev, self.commit, || entries.clone());
    }

    /// Sends an append without entries. It starts at what the peer has confirmed, so that no
    /// honest peer can refuse it, and its commit index is within the peer's log (scenarios B06,
    /// B08).
    pub(super) fn send_heartbeat(&mut self, peer: &mut Progress) {
        let matched = peer.matched();
        let commit = self.commit.min(matched);
        peer.commit_told = peer.commit_told.max(commit);
        let prev = if matched >= self.log.before().index {
            self.log.id_at(matched)
        } else {
            // Nothing is known of what was purged; every log agrees with its start.
            EntryId::NONE
        };
        self.send(peer, prev, commit, Entries::empty);
    }

    #[inline(always)]
    fn send(
        &mut self,
        peer: &Progress,
        prev: EntryId,
        commit: LogIndex,
        entries: impl FnOnce() -> Entries,
    ) {
        let (round, last) = (self.round, self.log.last().index);
        let envelope = self.envelope(peer.id, peer.life);
        self.outbox.send(|| {
            envelope.with(Body::Append {
                prev,
                entries: entries(),
                commit,
                round,
                last,
            })
        });
    }

    fn envelope(&self, to: NodeId, receiver: Incarnation) -> Envelope {
        Envelope {
            from: self.config.id,
            to,
            term: self.term,
            sender: self.life,
            receiver,
        }
    }
}
