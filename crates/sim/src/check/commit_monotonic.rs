//! CommitMonotonic: within one life a commit index never falls, never exceeds the log, and the
//! applied index stays at or below it.

use quorate_core::{LogIndex, NodeId};

use super::{Check, Property, broken};

/// `node` moved its commit index from `before` to `commit`, has applied `applied` and a log that
/// ends at `last`.
pub(crate) fn shows(
    node: NodeId,
    before: LogIndex,
    commit: LogIndex,
    applied: LogIndex,
    last: LogIndex,
) -> Check {
    if before <= commit && commit <= last && applied <= commit {
        return Ok(());
    }
    broken(
        Property::CommitMonotonic,
        format_args!("{node} shows commit {commit} after {before}, applied {applied}, last {last}"),
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::check::testing::{i, must_fire, n};

    #[test]
    fn fires_when_commit_falls_or_leaves_the_log_or_is_overtaken() {
        let shows = |before, commit, applied, last| {
            super::shows(n(1), i(before), i(commit), i(applied), i(last))
        };
        assert!(shows(3, 3, 2, 5).is_ok() && shows(3, 5, 5, 5).is_ok());
        must_fire(Property::CommitMonotonic, shows(3, 2, 2, 5));
        must_fire(Property::CommitMonotonic, shows(3, 6, 2, 5));
        must_fire(Property::CommitMonotonic, shows(3, 4, 5, 5));
    }
}
