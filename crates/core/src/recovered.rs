//! What a host found on disk, as the engine takes it over at a start.

use alloc::vec::Vec;

use crate::{EntryId, HardState, LogIndex, Membership, SnapshotMeta};

/// The durable state of a node. `Default` is that of a node that never ran.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Recovered {
    /// Term, vote and floor.
    pub hard_state: HardState,
    /// The newest snapshot. A log that does not hold its last entry must have been discarded by
    /// the host: a crash came between installing the snapshot and dropping the log (scenario D07).
    pub snapshot: Option<SnapshotMeta>,
    /// The entry before the first one in the log: `NONE`, or the last one purged.
    pub before: EntryId,
    /// The first entry of each term in the log, in log order. Entries themselves stay on disk
    /// until they are needed.
    pub term_starts: Vec<EntryId>,
    /// The membership entries in the log, in log order.
    pub memberships: Vec<(LogIndex, Membership)>,
    /// Last index of the log; that of `before` if the log is empty.
    pub last: LogIndex,
    /// What a state machine that keeps its own state on disk has applied; `NONE` for one that
    /// starts empty. Everything up to here is committed (scenario D20).
    pub applied: LogIndex,
}

/// Why recovered state was refused. It cannot have been written by an engine.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum RecoverError {
    /// Terms or indexes fall along the log, or reach beyond its end.
    #[error("the term boundaries of the log do not ascend at {at}")]
    Unordered {
        /// The boundary that does not fit.
        at: EntryId,
    },
    /// The log holds a term that the hard state has not seen.
    #[error("the log ends in {last}, beyond the saved term {saved}")]
    TermBehindLog {
        /// Id of the last entry.
        last: EntryId,
        /// The term in the hard state.
        saved: crate::Term,
    },
    /// Entries are missing between the snapshot and the log, or the log starts above an index
    /// that no snapshot holds.
    #[error("the log starts behind {before}, but the snapshot ends at {snapshot}")]
    Gap {
        /// The entry before the first one in the log.
        before: EntryId,
        /// The last entry of the snapshot; `NONE` without one.
        snapshot: EntryId,
    },
    /// The log does not hold the last entry of the snapshot, and was not discarded.
    #[error("the log does not continue the snapshot, which ends at {snapshot}")]
    NotContinued {
        /// The last entry of the snapshot.
        snapshot: EntryId,
    },
    /// Membership entries do not ascend, or lie outside the log.
    #[error("there can be no membership entry at {at} here")]
    Membership {
        /// Where it was found.
        at: LogIndex,
    },
    /// The state machine is ahead of the log.
    #[error("the state machine applied {applied}, but the log ends at {last}")]
    AppliedBeyondLog {
        /// What the state machine says.
        applied: LogIndex,
        /// Where the log ends.
        last: LogIndex,
    },
}
