//! What nodes say to each other: the engine's messages and the host's own. Not the bytes: those
//! are in `wire/`.

use bytes::Bytes;
use quorate_core::{EntryId, Incarnation, Message, Refusal};
use quorate_log::{BirthStage, DirectoryId};

/// A message between two nodes. Sender and receiver are known from the connection; an engine's
/// message names them too, and they must agree.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PeerMessage {
    /// From engine to engine.
    Raft(Message),
    /// A follower passes proposals on to the leader. Never passed on again (scenario H12).
    Forward {
        /// The asker's name for the batch, unique within its present life.
        request: u64,
        /// The asker's present life.
        asker: Incarnation,
        /// The life of the leader that is meant. No other takes the batch: it cannot know what
        /// this one did with an earlier copy.
        leader: Incarnation,
        /// The commands, encoded by the asker; the leader appends these bytes (scenario H10).
        commands: Vec<Bytes>,
    },
    /// The answer to [`PeerMessage::Forward`], given at append: the asker learns of the commit
    /// from its own log.
    ForwardReply {
        /// The batch answered.
        request: u64,
        /// The life that asked; any other drops the answer.
        asker: Incarnation,
        /// What became of the batch.
        outcome: ForwardOutcome,
    },
    /// How far the sender's part in the birth of the cluster has come.
    Birth {
        /// The sender's data directory.
        directory: DirectoryId,
        /// Its progress.
        stage: BirthStage,
    },
}

/// What a leader did with a forwarded batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ForwardOutcome {
    /// Appended, the first command here and the rest behind it.
    Appended(EntryId),
    /// Not appended.
    Refused(Refusal),
    /// The receiver has another life than the one that was meant, which may have appended it.
    OtherLife,
}
