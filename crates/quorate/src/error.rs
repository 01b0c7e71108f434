//! The errors of a running node: one enum per call, its variants sorted by what the caller can
//! do. Errors of starting a node are in `config.rs`.

use quorate_core::{ChangeRefusal, NodeId, Refusal, TransferRefusal};

/// Why a proposal has no response.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ProposeError {
    /// Not appended; safe to retry, best at the leader.
    #[error("no leader took the proposal; the leader was last seen at {leader:?}")]
    NotLeader {
        /// The leader, where one is known.
        leader: Option<NodeId>,
    },
    /// Not appended; safe to retry later.
    #[error("too many proposals are waiting to be committed")]
    Overloaded,
    /// Not appended; safe to retry: leadership is being handed over, and the next leader takes
    /// it.
    #[error("leadership is being handed over")]
    HandingOver,
    /// Not appended; safe to retry when the leader's disk has room again, or another leads.
    #[error("the leader's disk has no room")]
    NoRoom,
    /// Not appended, and never will be.
    #[error("the command is larger than {limit_bytes} bytes")]
    TooLarge {
        /// The limit, in bytes.
        limit_bytes: u64,
    },
    /// The entry was replaced by another leader's: not committed; safe to retry.
    #[error("another leader replaced the entry before it was committed")]
    Replaced,
    /// Appended, but the outcome is unknown: it may still be committed. Retry only what may be
    /// done twice.
    #[error("leadership was lost before the outcome was known; the command may take effect")]
    Unknown,
    /// The node has stopped. The outcome of a proposal under way is unknown.
    #[error("the node has stopped; a command under way may take effect")]
    Stopped,
}

impl ProposeError {
    /// Whether sending the same command again can execute it twice.
    #[must_use]
    pub const fn is_ambiguous(&self) -> bool {
        matches!(self, Self::Unknown | Self::Stopped)
    }
}

impl From<Refusal> for ProposeError {
    fn from(refusal: Refusal) -> Self {
        match refusal {
            Refusal::NotLeader { leader } => Self::NotLeader { leader },
            Refusal::Overloaded => Self::Overloaded,
            Refusal::TooLarge { limit_bytes } => Self::TooLarge { limit_bytes },
            Refusal::TimedOut => Self::Unknown,
            Refusal::HandingOver => Self::HandingOver,
            Refusal::NoRoom => Self::NoRoom,
            // Reasons that no proposal is refused for; in any case nothing was appended.
            Refusal::Change(_) | Refusal::Transfer(_) => Self::NotLeader { leader: None },
        }
    }
}

/// Why a linearizable read was not served. It is always safe to retry.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ReadError {
    /// No leader is known, or it changed meanwhile.
    #[error("no leader confirmed the read; the leader was last seen at {leader:?}")]
    NotLeader {
        /// The leader, where one is known.
        leader: Option<NodeId>,
    },
    /// The leader did not answer in time, or this node's disk did not take what the read needs.
    #[error("the read could not be served in time")]
    TimedOut,
    /// The closure panicked. The node goes on.
    #[error("the read closure panicked")]
    Panicked,
    /// The node has stopped.
    #[error("the node has stopped")]
    Stopped,
}

impl From<Refusal> for ReadError {
    fn from(refusal: Refusal) -> Self {
        match refusal {
            Refusal::NotLeader { leader } => Self::NotLeader { leader },
            Refusal::TimedOut
            // Reasons that no read is refused for.
            | Refusal::Overloaded
            | Refusal::TooLarge { .. }
            | Refusal::HandingOver
            | Refusal::NoRoom
            | Refusal::Change(_)
            | Refusal::Transfer(_) => Self::TimedOut,
        }
    }
}

/// Why a change of the membership is not known to have been made.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ChangeError {
    /// Not made; safe to retry, at the leader. A node that was being added as a voter may have
    /// become a learner: adding it again goes on from there.
    #[error("this node does not lead; the leader was last seen at {leader:?}")]
    NotLeader {
        /// The leader, where one is known.
        leader: Option<NodeId>,
    },
    /// Not made; safe to retry when the leader's disk has room again, or another leads.
    #[error("the leader's disk has no room")]
    NoRoom,
    /// Not made. The reason says whether waiting helps, and what else.
    #[error("the change was refused: {0}")]
    Refused(#[from] ChangeRefusal),
    /// The entry was replaced by another leader's: not made; safe to retry.
    #[error("another leader replaced the change before it was committed")]
    Replaced,
    /// Appended, but the outcome is unknown: it may still be committed. Look at the membership
    /// that the next leader reports.
    #[error("leadership was lost before the outcome was known; the change may take effect")]
    Unknown,
    /// The node has stopped. The outcome of a change under way is unknown.
    #[error("the node has stopped; a change under way may take effect")]
    Stopped,
}

impl ChangeError {
    /// Whether the change may have been made, or may still be.
    #[must_use]
    pub const fn is_ambiguous(&self) -> bool {
        matches!(self, Self::Unknown | Self::Stopped)
    }
}

impl From<Refusal> for ChangeError {
    fn from(refusal: Refusal) -> Self {
        match refusal {
            Refusal::NotLeader { leader } => Self::NotLeader { leader },
            Refusal::Change(reason) => Self::Refused(reason),
            Refusal::NoRoom => Self::NoRoom,
            Refusal::HandingOver => Self::Refused(ChangeRefusal::HandingOver),
            // Reasons that no change is refused for; in any case nothing was appended.
            Refusal::Overloaded
            | Refusal::TooLarge { .. }
            | Refusal::TimedOut
            | Refusal::Transfer(_) => Self::NotLeader { leader: None },
        }
    }
}

/// Why leadership was not transferred. It is always safe to ask again.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum TransferError {
    /// This node does not lead, or lost leadership before the target could take it.
    #[error("this node does not lead; the leader was last seen at {leader:?}")]
    NotLeader {
        /// The leader, where one is known.
        leader: Option<NodeId>,
    },
    /// The target did not take over in time. This node leads on.
    #[error("the target did not take over in time")]
    TimedOut,
    /// Not begun. The reason says whether waiting helps, or another target.
    #[error("the transfer was refused: {0}")]
    Refused(#[from] TransferRefusal),
    /// The node has stopped.
    #[error("the node has stopped")]
    Stopped,
}

impl From<Refusal> for TransferError {
    fn from(refusal: Refusal) -> Self {
        match refusal {
            Refusal::NotLeader { leader } => Self::NotLeader { leader },
            Refusal::TimedOut => Self::TimedOut,
            Refusal::Transfer(reason) => Self::Refused(reason),
            Refusal::HandingOver => Self::Refused(TransferRefusal::InFlight),
            // Reasons that no transfer is refused for; in any case none was begun.
            Refusal::Overloaded
            | Refusal::TooLarge { .. }
            | Refusal::NoRoom
            | Refusal::Change(_) => Self::NotLeader { leader: None },
        }
    }
}
