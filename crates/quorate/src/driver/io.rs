//! What goes into a driver and what comes out. Both enums are closed, like the engine's: a new
//! effect is meant to break every shell at compile time.

use bytes::Bytes;
use quorate_core::{
    Entries, EntryId, LoadId, LoadOutcome, LogIndex, NodeId, RoleName, Term, Violation,
};
use quorate_log::{BirthStage, Write};

use crate::{PeerMessage, ProposeError, ReadError};

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
    /// The node is to stop. Everything that waits is told so.
    Shutdown,
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
