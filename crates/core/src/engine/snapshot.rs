//! Snapshots that come and go on this node: one that a leader offers, arrives and is installed,
//! and one that is due and taken. Offering them is in `offer.rs`, dropping what they replace in
//! `compaction.rs`.

use super::Engine;
use crate::snapshots::Offer;
use crate::telemetry::tell;
use crate::{
    Action, Body, EntryId, LogIndex, Membership, SnapshotMeta, SnapshotOutcome, Term, Time,
    Violation, WriteId,
};

impl Engine {
    /// A leader of the present term offers a snapshot: its log does not reach back to what we
    /// lack.
    pub(super) fn on_snapshot_offer(&mut self, snapshot: SnapshotMeta, offer: Offer) {
        if let Some(violation) = self.contradicts_known_leader(offer.from) {
            return self.stop(violation);
        }
        if !self.is_sound_snapshot(&snapshot) {
            self.counters.dropped += 1;
            return;
        }
        self.follow(offer.from);
        let last = snapshot.last;
        if last.index <= self.commit {
            return self.answer_known_snapshot(last, offer);
        }
        if self
            .snapshots
            .installing()
            .is_some_and(|installing| installing.last == last)
        {
            return;
        }
        if self
            .snapshots
            .incoming()
            .is_some_and(|incoming| offer.is_older_than(&incoming.offer))
        {
            return;
        }
        let bytes = self.expect_snapshot(snapshot, offer);
        let outcome = SnapshotOutcome::Receiving { bytes };
        self.answer_snapshot(offer, last, outcome, WriteId::NONE);
    }

    /// Has the snapshot fetched, or fetched from elsewhere; how much of it is here.
    fn expect_snapshot(&mut self, snapshot: SnapshotMeta, offer: Offer) -> u64 {
        let from = offer.from;
        let receive = Action::ReceiveSnapshot {
            from,
            snapshot: snapshot.clone(),
        };
        if let Some(incoming) = self.snapshots.incoming_mut()
            && incoming.snapshot == snapshot
        {
            let before = core::mem::replace(&mut incoming.offer, offer);
            let bytes = incoming.bytes;
            if (before.from, before.life) != (offer.from, offer.life) {
                self.outbox.notify(receive);
            }
            return bytes;
        }
        let replaced = self.snapshots.expect(snapshot, offer);
        self.drop_snapshots(replaced);
        self.outbox.notify(receive);
        0
    }

    /// Whether the snapshot can be any engine's at all. The wire promises nothing.
    fn is_sound_snapshot(&self, snapshot: &SnapshotMeta) -> bool {
        let EntryId { term, index } = snapshot.last;
        let is_sound_id = index != LogIndex::NONE && index.can_exist();
        let committed = self.log.term_at(self.commit).unwrap_or_default();
        let is_ahead = index > self.commit;
        let oldest = if is_ahead { committed } else { Term::ZERO };
        let is_sound_term = term > Term::ZERO && term >= oldest && term <= self.hard.term;
        // Where the log holds the same entry, it holds the same members.
        let is_in_log = is_ahead && self.log.contains(snapshot.last);
        let is_known = !is_in_log || self.has_members_of(snapshot);
        let is_sound_membership =
            snapshot.membership_index <= index && !snapshot.membership.voters().is_empty();
        is_sound_id && is_sound_term && is_sound_membership && is_known
    }

    /// Whether the members in the snapshot can be those in force at its last entry, which the log
    /// holds. The founders stand in no entry: nodes need not agree on where they are, and one that
    /// was added does not know who they were.
    fn has_members_of(&self, snapshot: &SnapshotMeta) -> bool {
        let there = &snapshot.membership;
        let (since, here) = self.memberships.at(snapshot.last.index);
        if since != snapshot.membership_index {
            return false;
        }
        let are_unknown = here.voters().is_empty();
        let are_alike = here.voters() == there.voters() && here.learners() == there.learners();
        let is_founding = since == LogIndex::NONE;
        here == there || (is_founding && (are_unknown || are_alike))
    }

    /// What is committed here equals the leader's log. A snapshot that says otherwise must not
    /// be obeyed.
    fn answer_known_snapshot(&mut self, last: EntryId, offer: Offer) {
        let here = self.log.term_at(last.index);
        if let Some(term) = here.filter(|&term| term != last.term) {
            return self.stop(Violation::SnapshotConflict {
                committed: EntryId::new(last.index, term),
                offered: last,
                leader: offer.from,
            });
        }
        let needs = self.writes.covering(last.index);
        self.answer_snapshot(offer, last, SnapshotOutcome::Installed, needs);
    }

    fn answer_snapshot(
        &mut self,
        offer: Offer,
        last: EntryId,
        outcome: SnapshotOutcome,
        needs: WriteId,
    ) {
        let body = Body::SnapshotReply {
            asked: offer.term,
            round: offer.round,
            last,
            outcome,
            suspect: self.hard.floor.is_some(),
        };
        let envelope = self.envelope(offer.from, offer.life);
        self.outbox.answer(needs, || envelope.with(body));
    }

    /// So much has arrived.
    pub(super) fn on_snapshot_progress(&mut self, (last, checksum): (EntryId, u64), bytes: u64) {
        let Some(incoming) = self.snapshots.incoming_mut() else {
            return;
        };
        if incoming.snapshot.is_named(last, checksum) {
            incoming.bytes = bytes;
        }
    }

    /// All of it has arrived and is right: make it ours, if it is still ahead of us. The answer
    /// leaves when it is durable and in place (scenario D16).
    pub(super) fn on_snapshot_received(&mut self, last: EntryId, checksum: u64) {
        let Some(incoming) = self.snapshots.take_incoming(last, checksum) else {
            return;
        };
        let snapshot = incoming.snapshot;
        if last.index <= self.commit || self.is_leader() || self.snapshots.installing().is_some() {
            return self.drop_snapshots([snapshot]);
        }
        let discard_log = !self.log.contains(last);
        tell!(INFO, node = %self.config.id, %last, discard_log, "snapshot to be installed");
        let kept = (discard_log, self.commit);
        let write = self.writes.install(last.index, kept, self.now);
        self.outbox.install(write, snapshot.clone(), discard_log);
        if discard_log {
            // What lies behind the snapshot contradicts it, or does not reach it (scenario D04).
            self.log.reset(last);
            let membership = snapshot.membership.clone();
            self.memberships
                .reset(snapshot.membership_index, membership);
        }
        self.commit = last.index;
        self.applies.forget_load();
        self.snapshots.install(write, snapshot);
        self.counters.snapshots_installed += 1;
        let installed = SnapshotOutcome::Installed;
        self.answer_snapshot(incoming.offer, last, installed, write);
    }

    /// It cannot be had: the leader may offer another.
    pub(super) fn on_snapshot_lost(&mut self, last: EntryId, checksum: u64) {
        if let Some(incoming) = self.snapshots.take_incoming(last, checksum) {
            self.answer_snapshot(incoming.offer, last, SnapshotOutcome::Lost, WriteId::NONE);
        }
    }

    /// The installed snapshot is durable: the state machine and the log may rest on it.
    pub(super) fn finish_install(&mut self) {
        let writes = &self.writes;
        let installed = self
            .snapshots
            .take_installed(|write| writes.is_confirmed(write));
        if let Some(snapshot) = installed {
            self.snapshots.replace(snapshot);
            self.snapshots.is_restored = false;
            self.compact();
        }
    }

    /// Replaces the state machine by the newest snapshot where it holds less. In order with what
    /// was handed over before, so that no entry is applied twice (scenario D01).
    pub(super) fn restore_snapshot(&mut self) {
        self.snapshots.is_restored = true;
        let Some(snapshot) = self.snapshots.newest() else {
            return;
        };
        if self.applies.handed() < snapshot.last.index {
            self.applies.restore(snapshot.last.index);
            self.outbox.restore(snapshot.clone());
        }
    }

    /// Asks for a snapshot when enough was applied since the last. A node that was added learns
    /// of the members only with the entry that added it: a snapshot from before would name none,
    /// and nobody could use it.
    pub(super) fn ask_for_snapshot(&mut self) {
        let limits = (self.config.snapshot_bytes, self.config.snapshot_entries);
        let applied = self.applies.applied();
        // A node that was added has to learn of its members first: they belong to a snapshot.
        if self.snapshots.is_due(applied, limits) && self.has_members_at(applied) {
            self.snapshots.asked(self.applies.handed());
            self.outbox.notify(Action::SnapshotDue);
        }
    }

    fn has_members_at(&self, index: LogIndex) -> bool {
        !self.memberships.at(index).1.voters().is_empty()
    }

    /// A snapshot of our state machine is durable. What the host says of it is checked like what
    /// a peer says. After one that is of no use there is a pause, as after one that could not be
    /// taken: a host that is wrong every time would else be asked again and again at once.
    pub(super) fn on_snapshot_taken(&mut self, snapshot: SnapshotMeta) {
        let last = snapshot.last;
        let in_force: (LogIndex, &Membership) = self.memberships.at(last.index);
        let is_sound = last.index <= self.applies.handed()
            && self.has_members_at(last.index)
            && self.log.contains(last)
            && last.index > self.log.before().index
            && in_force == (snapshot.membership_index, &snapshot.membership);
        // One that is being installed is newer than all that was applied.
        let newest = self.snapshots.installing().or(self.snapshots.newest());
        let is_overtaken = newest.is_some_and(|newest| last.index <= newest.last.index);
        if is_sound && !is_overtaken {
            let (handed, retry_at) = (self.applies.handed(), self.snapshot_retry_at());
            self.snapshots.taken(last.index, handed, retry_at);
            self.snapshots.replace(snapshot);
            return self.compact();
        }
        self.counters.dropped += u64::from(!is_sound);
        self.on_snapshot_failed();
        // The same one, told twice, is still needed, and so is one of its name.
        let incoming = self.snapshots.incoming().map(|incoming| &incoming.snapshot);
        let coming = incoming.into_iter().chain(self.snapshots.installing());
        let mut kept = coming.chain(self.snapshots.find(last));
        if !kept.any(|kept| kept.is_named(last, snapshot.checksum)) {
            self.drop_snapshots([snapshot]);
        }
    }

    pub(super) fn on_snapshot_failed(&mut self) {
        self.snapshots.failed(self.snapshot_retry_at());
    }

    fn snapshot_retry_at(&self) -> Time {
        self.now.after(self.config.heartbeat_interval)
    }

    /// A snapshot that arrives is not needed when the entries came first.
    pub(super) fn drop_needless_snapshot(&mut self) {
        if let Some(needless) = self.snapshots.take_needless(self.commit) {
            self.drop_snapshots([needless]);
        }
    }

    pub(super) fn drop_snapshots(&mut self, snapshots: impl IntoIterator<Item = SnapshotMeta>) {
        for snapshot in snapshots {
            self.outbox.notify(Action::DropSnapshot { snapshot });
        }
    }
}
