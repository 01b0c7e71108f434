//! What a host does with its log, as a trace.

use std::fmt;

use quorate_log::{BirthStage, Write};

use super::held::Held;
use super::survivors::Survivors;

/// One call of a host.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Call {
    /// Perform these writes, as one job.
    Perform(Vec<Write>),
    /// Prepare the next segment, at most this many bytes of it.
    Housekeep {
        /// The budget.
        budget_bytes: u64,
    },
    /// Write the witness.
    Idle,
    /// Save how far the birth has come.
    Stage(BirthStage),
    /// End the log and open it again.
    Reopen {
        /// Whether it is closed in order, or just dropped.
        close: bool,
        /// The size of segments from now on.
        segment_bytes: u64,
    },
    /// A sync fails in the middle of another call, if it makes any: nothing of what it was to
    /// make durable is. The log is dropped and opened again.
    FailSync {
        /// The call, one of the above.
        during: Box<Self>,
        /// How many syncs succeed before.
        skip: u64,
        /// Whether what was there before is seen since, or what was written.
        old_content: bool,
    },
    /// Crash in the middle of another call, and open the log again.
    Crash {
        /// The call, one of the above, no failing sync.
        during: Box<Self>,
        /// How many operations on the disk it gets done.
        after: u64,
        /// What is left.
        survivors: Survivors,
    },
}

/// Where calls come from.
pub trait Trace {
    /// The next call, to a log that holds `held`; `None` at the end. It must be one that a host
    /// may make: entries that continue the log or replace a suffix, terms that do not fall.
    fn next(&mut self, held: &Held) -> Option<Call>;
}

/// Calls that were recorded, or written down. Their crashes must leave what they left then.
impl Trace for std::vec::IntoIter<Call> {
    fn next(&mut self, _: &Held) -> Option<Call> {
        Iterator::next(self)
    }
}

impl fmt::Display for Call {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Perform(writes) => {
                write!(f, "perform")?;
                writes.iter().try_for_each(|write| describe(f, write))
            }
            Self::Housekeep { budget_bytes } => write!(f, "housekeep {budget_bytes} B"),
            Self::Idle => write!(f, "idle"),
            Self::Stage(stage) => write!(f, "stage {stage:?}"),
            Self::Reopen {
                close,
                segment_bytes,
            } => {
                let how = if *close { "close" } else { "drop" };
                write!(f, "{how}, open with segments of {segment_bytes} B")
            }
            Self::FailSync { during, skip, .. } => {
                write!(f, "sync fails after {skip} others in: {during}")
            }
            Self::Crash {
                during,
                after,
                survivors,
            } => write!(
                f,
                "crash after {after} operations ({survivors}) of: {during}"
            ),
        }
    }
}

fn describe(f: &mut fmt::Formatter<'_>, write: &Write) -> fmt::Result {
    match write {
        Write::HardState(state) => {
            write!(f, " [{}", state.term)?;
            if let Some(vote) = state.vote {
                write!(f, " votes {vote}")?;
            }
            write!(f, "]")
        }
        Write::Append(entries) => {
            write!(f, " [append")?;
            for entry in entries.iter() {
                write!(f, " {}+{}", entry.id(), entry.payload.bytes().len())?;
            }
            write!(f, "]")
        }
    }
}
