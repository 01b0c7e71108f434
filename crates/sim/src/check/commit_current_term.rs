//! CommitOnlyCurrentTerm: a leader's commit index only ever lands on an entry of its own term;
//! older entries are committed along with it [Raft 5.4.2] (scenario B01).

use quorate_core::{EntryId, NodeId, Term};

use super::{Check, Property, broken};

/// `leader` of `term` moves its commit index to `entry`.
pub(crate) fn commits(leader: NodeId, term: Term, entry: EntryId) -> Check {
    if entry.term == term {
        return Ok(());
    }
    broken(
        Property::CommitOnlyCurrentTerm,
        format_args!("{leader} leads {term} and commits {entry} by counting"),
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::check::testing::{i, must_fire, n, t};

    #[test]
    fn fires_when_an_older_entry_is_committed_by_counting() {
        assert!(commits(n(1), t(4), EntryId::new(i(3), t(4))).is_ok());
        must_fire(
            Property::CommitOnlyCurrentTerm,
            commits(n(1), t(4), EntryId::new(i(2), t(2))),
        );
    }
}
