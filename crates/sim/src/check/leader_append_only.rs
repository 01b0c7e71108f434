//! LeaderAppendOnly: a leader never removes or rewrites entries of its own log [Raft 5.3].

use quorate_core::{LogIndex, NodeId};

use super::{Check, Property, broken};

/// `leader`, whose log ends at `last`, writes entries from `first` on.
pub(crate) fn writes(leader: NodeId, last: LogIndex, first: LogIndex) -> Check {
    if first == last.next() {
        return Ok(());
    }
    broken(
        Property::LeaderAppendOnly,
        format_args!("{leader} leads, its log ends at {last}, and it writes from {first} on"),
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::check::testing::{i, must_fire, n};

    #[test]
    fn fires_when_a_leader_overwrites_or_leaves_a_gap() {
        assert!(writes(n(1), i(4), i(5)).is_ok());
        must_fire(Property::LeaderAppendOnly, writes(n(1), i(4), i(4)));
        must_fire(Property::LeaderAppendOnly, writes(n(1), i(4), i(6)));
    }
}
