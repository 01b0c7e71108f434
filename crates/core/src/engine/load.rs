//! Entries that have left the window and are needed again: for apply after a restart, and for
//! peers that lag.

use super::{Engine, Role};
use crate::{Action, Entries, EntryId, LoadId, LoadOutcome, LoadPurpose, LogIndex, Violation};

impl Engine {
    /// Has committed entries read for the state machine, one request at a time.
    pub(super) fn load_for_apply(&mut self, from: LogIndex, end: LogIndex, limit_bytes: u64) {
        if !self.applies.may_load() {
            return;
        }
        let on_disk = self.log.newest_on_disk_only();
        let to = if end < on_disk.index {
            self.log.id_at(end)
        } else {
            on_disk
        };
        let limit_bytes = limit_bytes.min(self.config.max_append_bytes);
        let load = self.ask_for_entries(from, to, limit_bytes, LoadPurpose::Apply);
        self.applies.load_asked(load);
    }

    /// Has entries read for a peer that needs older ones than the window holds.
    pub(super) fn load_for_peer(&mut self, position: usize, from: LogIndex) {
        let Role::Leader(leadership) = &self.role else {
            return;
        };
        let Some(id) = leadership.peers.get(position).map(|peer| peer.id) else {
            return;
        };
        let to = self.log.newest_on_disk_only();
        let limit_bytes = self.config.max_append_bytes;
        let load = self.ask_for_entries(from, to, limit_bytes, LoadPurpose::Replicate(id));
        let Role::Leader(leadership) = &mut self.role else {
            return;
        };
        if let Some(peer) = leadership.peers.get_mut(position) {
            peer.loading = Some(load);
        }
    }

    fn ask_for_entries(
        &mut self,
        from: LogIndex,
        to: EntryId,
        limit_bytes: u64,
        purpose: LoadPurpose,
    ) -> LoadId {
        debug_assert!(from <= to.index, "only what has left the window is loaded");
        self.last_load = self.last_load.next();
        let load = self.last_load;
        self.outbox.load(Action::LoadEntries {
            load,
            from,
            to,
            limit_bytes,
            purpose,
        });
        load
    }

    pub(super) fn on_loaded(&mut self, load: LoadId, outcome: LoadOutcome) {
        if self.applies.load_ended(load) {
            return self.on_loaded_for_apply(outcome);
        }
        let Role::Leader(leadership) = &mut self.role else {
            return;
        };
        let waits = |loading: Option<LoadId>| loading == Some(load);
        let Some(position) = leadership.peers.iter().position(|peer| waits(peer.loading)) else {
            return;
        };
        let Some(peer) = leadership.peers.get_mut(position) else {
            return;
        };
        peer.loading = None;
        let next = peer.next();
        match outcome {
            LoadOutcome::Found(entries) if self.are_ours(&entries, next) => {
                self.send_loaded(position, &entries);
                self.replicate_to(position);
            }
            LoadOutcome::Found(_) | LoadOutcome::Gone if next <= self.log.before().index => {
                self.replicate_to(position);
            }
            // The next heartbeat or answer asks again.
            LoadOutcome::Found(_) | LoadOutcome::Gone | LoadOutcome::Failed => {}
        }
    }

    fn send_loaded(&mut self, position: usize, entries: &Entries) {
        let limit_bytes = self.config.max_append_bytes;
        if let Some((leadership, mut appends)) = self.appends()
            && let Some(peer) = leadership.peers.get_mut(position)
        {
            appends.send_entries(peer, &entries.within(limit_bytes));
        }
    }

    fn on_loaded_for_apply(&mut self, outcome: LoadOutcome) {
        // A load is forgotten when a snapshot comes to replace the log, and none is asked until
        // it has: what is gone was lost.
        debug_assert!(
            self.snapshots.installing().is_none(),
            "entries of a log that is being replaced are not waited for"
        );
        let from = self.applies.handed().next();
        match outcome {
            LoadOutcome::Found(entries) if self.are_ours(&entries, from) => {
                // What is not committed may be replaced before it is its turn.
                self.applies.keep_loaded(entries.up_to_index(self.commit));
            }
            LoadOutcome::Gone => self.stop(Violation::CommittedMissing { from }),
            LoadOutcome::Found(_) | LoadOutcome::Failed => {
                self.applies
                    .retry_load_at(self.now.after(self.config.heartbeat_interval));
            }
        }
    }

    /// Whether these entries stand in our log from `from` on. What comes from a disk is checked
    /// like what comes from a peer.
    fn are_ours(&self, entries: &Entries, from: LogIndex) -> bool {
        // Of the last entry purged the term is still known, but not what came before it.
        from > self.log.before().index
            && entries.first().is_some_and(|first| first.index == from)
            && entries.is_well_formed()
            && entries.iter().all(|entry| self.log.contains(entry.id()))
    }
}
