//! The record of a seed: when each operation was asked for and answered, and how. It knows
//! nothing of what the answers should be.

use quorate_core::{EntryId, LogIndex};

use super::cell::Reply;
use super::op::{Op, OpId};

/// What a client was told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// Done, by the entry that was appended for it.
    Written {
        /// The answer.
        reply: Reply,
        /// The entry.
        entry: EntryId,
    },
    /// Read, without an entry of its own.
    Read {
        /// The answer.
        reply: Reply,
        /// How far the state machine was that answered.
        applied: LogIndex,
    },
    /// It was not done and never will be.
    Failed,
    /// It may have been done, or be done later, or never.
    Unknown,
}

impl Outcome {
    /// The answer, if there is one.
    #[must_use]
    pub const fn reply(&self) -> Option<&Reply> {
        match self {
            Self::Written { reply, .. } | Self::Read { reply, .. } => Some(reply),
            Self::Failed | Self::Unknown => None,
        }
    }
}

/// One operation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Record {
    /// Its id.
    pub id: OpId,
    /// Who asked.
    pub client: u32,
    /// What for.
    pub op: Op,
    /// When, as a position among everything that was asked and answered.
    pub invoked: u64,
    /// When and how it was answered; `None` if it was not, or too late for the record.
    pub completed: Option<(u64, Outcome)>,
}

/// Everything that was asked and answered, in order. The order is that of the calls.
///
/// Memory is bounded: once `limit` operations were asked for, the record is closed, and what is
/// asked and answered later is left out. What remains is what had happened until then, so it is
/// explained by an order if the whole is.
#[derive(Clone, Debug)]
pub struct History {
    records: Vec<Record>,
    limit: usize,
    asked: u64,
    now: u64,
}

impl History {
    /// An empty record of at most `limit` operations.
    #[must_use]
    pub const fn new(limit: usize) -> Self {
        Self {
            records: Vec::new(),
            limit,
            asked: 0,
            now: 0,
        }
    }

    /// `client` asks for `op`. Its id, which goes into the command. Ids are given out from 1 on,
    /// also after the record is closed.
    pub fn invoked(&mut self, client: u32, op: Op) -> OpId {
        self.asked += 1;
        let id = OpId(self.asked);
        if self.records.len() < self.limit {
            self.now += 1;
            self.records.push(Record {
                id,
                client,
                op,
                invoked: self.now,
                completed: None,
            });
        }
        id
    }

    /// The client that asked for `id` is told `outcome`. The first outcome counts; that there is
    /// one only is for the witness to check.
    pub fn completed(&mut self, id: OpId, outcome: Outcome) {
        if self.is_closed() {
            return;
        }
        self.now += 1;
        let now = self.now;
        let place = usize::try_from(id.0.wrapping_sub(1)).ok();
        if let Some(record) = place.and_then(|place| self.records.get_mut(place)) {
            record.completed.get_or_insert((now, outcome));
        }
    }

    /// Whether operations were left out: more were asked for than it may hold.
    #[must_use]
    pub const fn is_closed(&self) -> bool {
        self.asked > self.records.len() as u64
    }

    /// The operations, in the order in which they were asked for.
    #[must_use]
    pub fn records(&self) -> &[Record] {
        &self.records
    }

    /// The operations, to be falsified.
    #[cfg(test)]
    pub(super) fn records_mut(&mut self) -> &mut [Record] {
        &mut self.records
    }
}
