//! What a host found on disk, as the engine takes it over at a start.

use alloc::vec::Vec;

use crate::{EntryId, HardState, LogIndex};

/// The durable state of a node. `Default` is that of a node that never ran.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Recovered {
    /// Term, vote and floor.
    pub hard_state: HardState,
    /// The first entry of each term in the log, in log order. Entries themselves stay on disk
    /// until they are needed.
    pub term_starts: Vec<EntryId>,
    /// Last index of the log.
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
    /// The state machine is ahead of the log.
    #[error("the state machine applied {applied}, but the log ends at {last}")]
    AppliedBeyondLog {
        /// What the state machine says.
        applied: LogIndex,
        /// Where the log ends.
        last: LogIndex,
    },
}
