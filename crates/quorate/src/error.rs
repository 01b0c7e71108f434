//! The errors of a running node: one enum per call, its variants sorted by what the caller can
//! do. Errors of starting a node are in `config.rs`.

use quorate_core::{NodeId, Refusal};

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
    /// The leader did not answer in time.
    #[error("the leader did not answer in time")]
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
            Refusal::Overloaded | Refusal::TooLarge { .. } | Refusal::TimedOut => Self::TimedOut,
        }
    }
}
