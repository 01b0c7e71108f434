//! What the user brings: a deterministic state machine.

use bytes::Bytes;
use quorate_core::{LogIndex, Term};

/// A deterministic machine: the same commands in the same order lead to the same state and the
/// same responses on every node.
pub trait StateMachine: Send + 'static {
    /// What is replicated.
    type Command: Send + 'static;
    /// What `apply` answers. Responses never cross the wire.
    type Response: Send + 'static;

    /// The bytes that are replicated. Called once, where the command is proposed.
    fn encode(command: &Self::Command) -> Bytes;

    /// The reverse of [`StateMachine::encode`], on every node.
    ///
    /// # Errors
    /// Bytes that no version of `encode` wrote. The node stops: it cannot know what the others
    /// made of them.
    fn decode(bytes: Bytes) -> Result<Self::Command, DecodeError>;

    /// Applies a committed command. Runs on a thread of its own and may block. Must not depend
    /// on anything but the state and the arguments: no clock, no randomness, no hash order.
    fn apply(&mut self, context: ApplyContext, command: Self::Command) -> Self::Response;

    /// The last index whose effects the state holds when the node starts. A machine that lives
    /// in memory starts empty and keeps the default, `NONE`: everything is applied again. One
    /// that persists its own state says how far it came, and is not given those entries again.
    fn last_applied(&self) -> LogIndex {
        LogIndex::NONE
    }
}

/// Where a command stands in the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct ApplyContext {
    /// Its index. Rises from call to call; not every index holds a command.
    pub index: LogIndex,
    /// The term in which it was appended.
    pub term: Term,
}

/// A command that cannot be decoded.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{reason}")]
pub struct DecodeError {
    reason: String,
}

impl DecodeError {
    /// An error with this explanation.
    #[must_use]
    pub fn new(reason: impl Into<String>) -> Self {
        Self {
            reason: reason.into(),
        }
    }
}
