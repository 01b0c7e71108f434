//! Everything that can happen to an engine. The enum is closed: a new input is meant to break
//! every host at compile time.

use alloc::vec::Vec;

use bytes::Bytes;

use crate::{
    Change, ChangeId, Entries, EntryId, LoadId, LogIndex, Message, NodeId, ProposalId, ReadId,
    SnapshotMeta, Time, TransferId, WriteId,
};

/// An input of [`Engine::step`](crate::Engine::step).
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// The time is now `now`. The host reads its clock *after* it took its inputs from their
    /// queues and delivers the tick *before* them, so that an input that waited in a queue while
    /// the process slept is judged at the time of waking.
    Tick {
        /// Monotonic, counting suspension. An earlier time than before is ignored.
        now: Time,
    },
    /// A message arrived. It need not be honest.
    Receive(Message),
    /// A user wants these commands appended, all or none. Answered by
    /// [`Action::Proposed`](crate::Action::Proposed) or
    /// [`Action::Refused`](crate::Action::Refused) in the same step.
    Propose {
        /// The host's name for the batch.
        proposal: ProposalId,
        /// The commands, in order.
        commands: Vec<Bytes>,
    },
    /// A user wants to read. Answered, now or later, by exactly one
    /// [`Action::ReadReady`](crate::Action::ReadReady) or
    /// [`Action::Refused`](crate::Action::Refused).
    Read {
        /// The host's name for the read; never used again in this incarnation.
        read: ReadId,
    },
    /// An operator wants the membership changed. Answered, now or later, by exactly one
    /// [`Action::MembershipAppended`](crate::Action::MembershipAppended) or
    /// [`Action::Refused`](crate::Action::Refused).
    ChangeMembership {
        /// The host's name for the change.
        change: ChangeId,
        /// What to change.
        what: Change,
    },
    /// An operator, or a host that shuts down, wants another node to lead. Answered, now or
    /// later, by exactly one [`Action::HandedOver`](crate::Action::HandedOver) or
    /// [`Action::Refused`](crate::Action::Refused).
    TransferLeadership {
        /// The host's name for the transfer.
        transfer: TransferId,
        /// Who should lead; `None` for whoever is best prepared.
        target: Option<NodeId>,
    },
    /// *Every* write up to this one is on stable storage.
    Persisted(WriteId),
    /// A write failed. The engine stops: nothing that follows may count on the disk.
    StorageFailed,
    /// The answer to [`Action::LoadEntries`](crate::Action::LoadEntries).
    Loaded {
        /// The request answered.
        load: LoadId,
        /// What was found.
        outcome: LoadOutcome,
    },
    /// The state machine has applied everything up to here, or was restored from a snapshot of
    /// it.
    Applied(LogIndex),
    /// A snapshot of this node's state machine is on stable storage, as
    /// [`Action::SnapshotDue`](crate::Action::SnapshotDue) asked or because the host wanted one.
    /// One that is wrong counts as [`Self::SnapshotFailed`].
    SnapshotTaken(SnapshotMeta),
    /// The snapshot that was due could not be taken. It will be due again.
    SnapshotFailed,
    /// So much of the snapshot that ends in `last` has arrived here, as
    /// [`Action::ReceiveSnapshot`](crate::Action::ReceiveSnapshot) asked. For reports; may be
    /// left out, but a leader that hears of nothing new for too long does not make the node a
    /// voter.
    SnapshotProgress {
        /// Which snapshot, by its last entry ...
        last: EntryId,
        /// ... and its checksum.
        checksum: u64,
        /// Bytes so far.
        bytes: u64,
    },
    /// The whole snapshot that ends in `last` has arrived here and its checksum is right. It is
    /// not installed yet.
    SnapshotReceived {
        /// Which snapshot, by its last entry ...
        last: EntryId,
        /// ... and its checksum.
        checksum: u64,
    },
    /// The snapshot that ends in `last` cannot be had from where it was asked.
    SnapshotLost {
        /// Which snapshot, by its last entry ...
        last: EntryId,
        /// ... and its checksum.
        checksum: u64,
    },
    /// So many bytes can still be written to the log's disk. Unlimited until this is said.
    Room {
        /// Bytes, counted as [`Entry::size_bytes`](crate::Entry::size_bytes).
        bytes: u64,
    },
}

/// What became of a request for old entries.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LoadOutcome {
    /// The entries from the start of the requested range, perhaps not all, but at least one.
    Found(Entries),
    /// The log no longer holds the start of the range.
    Gone,
    /// Reading failed. The engine asks again later.
    Failed,
}
