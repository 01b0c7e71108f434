//! Short names for snapshots: one as a peer would offer it, what is said of it, and what an
//! engine asks its host to do with it. Whole clusters with snapshots are in `operations.rs`.

use quorate_core::{
    Action, Body, EntryId, Event, LogIndex, SnapshotMeta, SnapshotOutcome, WriteId,
};

use super::bench::{said_to, sends};
use super::{id, r, t, voters};

/// The snapshot of a cluster of three that ends in this entry.
pub(crate) fn snapshot(index: u64, term: u64) -> SnapshotMeta {
    SnapshotMeta {
        last: id(index, term),
        membership: voters(3),
        membership_index: LogIndex::NONE,
        length: 100,
        checksum: checksum_of(id(index, term)),
    }
}

const fn checksum_of(last: EntryId) -> u64 {
    last.index.get() * 1_000 + last.term.get()
}

/// All of [`snapshot`] has arrived.
pub(crate) const fn received(last: EntryId) -> Event {
    let checksum = checksum_of(last);
    Event::SnapshotReceived { last, checksum }
}

/// [`snapshot`] cannot be had.
pub(crate) const fn lost(last: EntryId) -> Event {
    let checksum = checksum_of(last);
    Event::SnapshotLost { last, checksum }
}

/// So much of [`snapshot`] has arrived.
pub(crate) const fn progress(last: EntryId, bytes: u64) -> Event {
    Event::SnapshotProgress {
        last,
        checksum: checksum_of(last),
        bytes,
    }
}

/// A leader offers this snapshot.
pub(crate) const fn offer(snapshot: SnapshotMeta) -> Body {
    Body::SnapshotOffer {
        snapshot,
        round: r(0),
    }
}

/// What a peer makes of the snapshot that ends in `last`.
pub(crate) const fn snapshot_reply(asked: u64, last: EntryId, outcome: SnapshotOutcome) -> Body {
    Body::SnapshotReply {
        asked: t(asked),
        round: r(0),
        last,
        outcome,
        suspect: false,
    }
}

/// The last entries of the snapshots offered to `peer`.
pub(crate) fn offers_to(actions: &[Action], peer: u64) -> Vec<u64> {
    let mut offers = Vec::new();
    for body in said_to(actions, peer) {
        if let Body::SnapshotOffer { snapshot, .. } = body {
            offers.push(snapshot.last.index.get());
        }
    }
    offers
}

/// What is answered to an offer, and what the answer waits for.
pub(crate) fn answers(actions: &[Action]) -> Vec<(WriteId, EntryId, SnapshotOutcome)> {
    let mut answers = Vec::new();
    for (needs, message) in sends(actions) {
        if let Body::SnapshotReply { last, outcome, .. } = message.body {
            answers.push((needs, last, outcome));
        }
    }
    answers
}

/// The snapshot to install, and whether the log goes.
pub(crate) fn installed(actions: &[Action]) -> Option<(WriteId, EntryId, bool)> {
    actions.iter().find_map(|action| {
        let Action::InstallSnapshot {
            write,
            snapshot,
            discard_log,
        } = action
        else {
            return None;
        };
        Some((*write, snapshot.last, *discard_log))
    })
}

/// The snapshot that becomes the state machine.
pub(crate) fn restored(actions: &[Action]) -> Option<EntryId> {
    actions.iter().find_map(|action| {
        let Action::RestoreSnapshot { snapshot } = action else {
            return None;
        };
        Some(snapshot.last)
    })
}

/// The snapshots to get: from whom, and their last entries.
pub(crate) fn fetched(actions: &[Action]) -> Vec<(u64, EntryId)> {
    let mut fetched = Vec::new();
    for action in actions {
        if let Action::ReceiveSnapshot { from, snapshot } = action {
            fetched.push((from.get(), snapshot.last));
        }
    }
    fetched
}

/// The snapshots that are not needed any more.
pub(crate) fn dropped(actions: &[Action]) -> Vec<EntryId> {
    let mut dropped = Vec::new();
    for action in actions {
        if let Action::DropSnapshot { snapshot } = action {
            dropped.push(snapshot.last);
        }
    }
    dropped
}

/// The last entry that may go from the log.
pub(crate) fn purged(actions: &[Action]) -> Option<EntryId> {
    actions.iter().find_map(|action| {
        let Action::PurgeLog { through } = action else {
            return None;
        };
        Some(*through)
    })
}

/// The indexes handed to the state machine.
pub(crate) fn applied(actions: &[Action]) -> Vec<u64> {
    let mut applied = Vec::new();
    for action in actions {
        if let Action::Apply { entries } = action {
            applied.extend(entries.iter().map(|entry| entry.index.get()));
        }
    }
    applied
}
