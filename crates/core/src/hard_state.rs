//! What a node must remember across restarts besides its log. How it is written is the host's.

use crate::{EntryId, NodeId, Term};

/// Term, vote and floor. Always saved and recovered as one unit (scenario A03).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct HardState {
    /// The newest term this node has seen.
    pub term: Term,
    /// Whom it voted for in that term.
    pub vote: Option<NodeId>,
    /// Set while the node may have lost entries that it acknowledged: it then votes only for
    /// candidates at least as recent as this.
    pub floor: Option<Floor>,
}

/// The newest entry a damaged node may ever have acknowledged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Floor {
    /// Nothing newer than this entry was acknowledged.
    At(EntryId),
    /// Entries of this term may have been acknowledged up to any index.
    AnyIndexOf(Term),
}
