//! NoCommittedTruncation: a write never replaces an entry that its node knows to be committed
//! (scenario B05).

use quorate_core::{LogIndex, NodeId};

use super::{Check, Property, broken};

/// `node`, which has committed up to `commit`, writes entries from `first` on.
pub(crate) fn writes(node: NodeId, commit: LogIndex, first: LogIndex) -> Check {
    if first > commit {
        return Ok(());
    }
    broken(
        Property::NoCommittedTruncation,
        format_args!("{node} committed up to {commit} and writes from {first} on"),
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::check::testing::{i, must_fire, n};

    #[test]
    fn fires_when_a_committed_entry_is_replaced() {
        assert!(writes(n(1), i(4), i(5)).is_ok());
        must_fire(Property::NoCommittedTruncation, writes(n(1), i(4), i(4)));
    }
}
