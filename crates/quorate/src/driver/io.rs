//! What goes into a driver and what comes out. Both enums are closed, like the engine's: a new
//! effect is meant to break every shell at compile time.

use std::collections::BTreeMap;

use bytes::Bytes;
use quorate_core::{
    Change, ChangeId, Entries, EntryId, LoadId, LoadOutcome, LogIndex, NodeId, RoleName, Term,
    TransferId, Violation,
};
use quorate_log::{BirthStage, Write};

use crate::{ChangeError, PeerMessage, ProposeError, ReadError, TransferError};

/// Something that happened. `W` waits for a proposal, `R` is a read; the driver never looks
/// inside either.
#[derive(Debug)]
pub enum Input<W, R> {
    /// A message from another node, which the transport has identified.
    Peer {
        /// The sender.
        from: NodeId,
        /// What it says.
        message: PeerMessage,
    },
    /// A user wants a command replicated.
    Propose {
        /// The command, encoded.
        command: Bytes,
        /// Who waits for the response.
        waiter: W,
    },
    /// A user wants to read.
    Read(R),
    /// The storage job under way is done: all of it is on stable storage.
    Stored,
    /// The storage job under way failed. The node stops.
    StorageFailed,
    /// The answer to [`Output::Load`].
    Loaded {
        /// The request answered.
        load: LoadId,
        /// What was found.
        outcome: LoadOutcome,
    },
    /// The state machine has applied everything up to here.
    Applied(LogIndex),
    /// An operator wants the membership changed. Answered by one [`Output::Changed`].
    ChangeMembership {
        /// The shell's name for it; never used again.
        change: ChangeId,
        /// What to change.
        what: Change,
    },
    /// An operator wants another node to lead. Answered by one [`Output::Transferred`].
    TransferLeadership {
        /// The shell's name for it; never used again, and not the largest number.
        transfer: TransferId,
        /// Who should lead; `None` for whoever is best prepared.
        target: Option<NodeId>,
    },
    /// The node is to stop. A leader may hand over first, as [`DriverConfig::hand_over`] says.
    /// Everything that waits is told so.
    ///
    /// [`DriverConfig::hand_over`]: crate::DriverConfig::hand_over
    Shutdown,
    /// The state machine failed. The node stops at once.
    ApplyFailed,
}

/// Something to do. Outputs are in causal order; performing them in order, without waiting, is
/// right: the driver itself holds back what must wait for the disk.
#[derive(Debug)]
pub enum Output<W, R> {
    /// Send to another node. May be lost.
    Send {
        /// The receiver.
        to: NodeId,
        /// What to say.
        message: PeerMessage,
    },
    /// Perform a storage job. At most one is under way; answered by [`Input::Stored`] or
    /// [`Input::StorageFailed`].
    Store(StorageJob),
    /// Read entries from the log. Answered by [`Input::Loaded`].
    Load {
        /// Names the request in the answer.
        load: LoadId,
        /// First index wanted.
        from: LogIndex,
        /// Last entry wanted.
        to: EntryId,
        /// Stop before exceeding this, but return at least one entry.
        limit_bytes: u64,
    },
    /// Apply these entries, and give the responses to those who wait for them.
    Apply {
        /// Committed and durable entries, each exactly once, in order.
        entries: Entries,
        /// Who waits for which of them, in ascending order.
        waiters: Vec<(LogIndex, W)>,
    },
    /// Serve a read, after every `Apply` given before it.
    Read(R),
    /// A proposal has no response.
    ProposeFailed {
        /// Who waits.
        waiter: W,
        /// Why.
        error: ProposeError,
    },
    /// A read cannot be served.
    ReadFailed {
        /// The read.
        read: R,
        /// Why.
        error: ReadError,
    },
    /// What became of a change of the membership: where it stands, committed, or why it is not
    /// known to.
    Changed {
        /// Which change.
        change: ChangeId,
        /// What became of it.
        outcome: Result<EntryId, ChangeError>,
    },
    /// What became of a transfer: who campaigns now, or why nobody does.
    Transferred {
        /// Which transfer.
        transfer: TransferId,
        /// What became of it.
        outcome: Result<NodeId, TransferError>,
    },
    /// Reach these nodes at these addresses from now on, and let go of all others, but not
    /// before what was sent to them has left. This node may be among them.
    Peers(BTreeMap<NodeId, String>),
    /// Role, term or leader changed, or the leader became ready.
    Leadership(Leadership),
    /// The node has stopped for good. Nothing may be written any more.
    Stopped(StopCause),
}

/// One visit to the disk.
#[derive(Debug)]
pub enum StorageJob {
    /// Perform these writes, in order.
    Write(Vec<Write>),
    /// Record a step of the cluster's birth.
    Stage(BirthStage),
}

/// Why a driver stopped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StopCause {
    /// It was told to.
    Shutdown,
    /// The engine found that it cannot go on.
    Violation(Violation),
    /// The engine asked for what this host cannot do.
    Unsupported {
        /// What.
        action: &'static str,
    },
}

/// Who leads, as far as this node knows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Leadership {
    /// This node's role.
    pub role: RoleName,
    /// Its term.
    pub term: Term,
    /// The leader of the term, where known.
    pub leader: Option<NodeId>,
    /// This node leads and has applied everything acknowledged before its election: only now
    /// may it compute commands from its local state (scenario B23).
    pub ready: bool,
}
