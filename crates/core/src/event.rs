//! Everything that can happen to an engine. The enum is closed: a new input is meant to break
//! every host at compile time.

use alloc::vec::Vec;

use bytes::Bytes;

use crate::{Entries, LoadId, LogIndex, Message, ProposalId, ReadId, Time, WriteId};

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
    /// The state machine has applied everything up to here.
    Applied(LogIndex),
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
