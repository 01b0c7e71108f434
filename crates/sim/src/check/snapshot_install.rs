//! SnapshotInstall: a snapshot is installed only when all of it has arrived and it is ahead of
//! what is committed, and the log is dropped only if it does not go on behind it (scenario
//! D04).

use quorate_core::{EntryId, LogIndex};

use super::{Check, LifeId, Property, broken};

/// `life`, which has committed up to `commit`, installs a snapshot up to `last`, which its log
/// holds or not, and drops its log or not.
pub(crate) fn installs(
    life: LifeId,
    (commit, last): (LogIndex, EntryId),
    (discards_log, is_in_log): (bool, bool),
    has_arrived: bool,
) -> Check {
    if last.index > commit && discards_log != is_in_log && has_arrived {
        return Ok(());
    }
    broken(
        Property::SnapshotInstall,
        format_args!(
            "{life} installs a snapshot up to {last} (arrived: {has_arrived}) when {commit} is \
             committed; in its log: {is_in_log}, drops the log: {discards_log}"
        ),
    )
}

/// `life` drops the snapshot up to `last`, or one of its name, which is on its way to the disk or
/// not: the log is about to rest on it (scenario D08).
pub(crate) fn drops(life: LifeId, last: EntryId, is_under_way: bool) -> Check {
    if !is_under_way {
        return Ok(());
    }
    broken(
        Property::SnapshotInstall,
        format_args!("{life} drops the snapshot up to {last} while it is installed"),
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::check::testing::{i, life, must_fire, t};

    #[test]
    fn fires_when_a_snapshot_is_old_or_absent_or_takes_a_log_that_continues_it() {
        let installs = |commit, discards, in_log, arrived| {
            let last = EntryId::new(i(5), t(1));
            super::installs(life(1), (i(commit), last), (discards, in_log), arrived)
        };
        assert!(installs(4, true, false, true).is_ok());
        assert!(installs(4, false, true, true).is_ok());
        must_fire(Property::SnapshotInstall, installs(5, true, false, true));
        must_fire(Property::SnapshotInstall, installs(4, true, true, true));
        must_fire(Property::SnapshotInstall, installs(4, false, false, true));
        must_fire(Property::SnapshotInstall, installs(4, true, false, false));
    }

    #[test]
    fn fires_when_a_snapshot_is_dropped_that_is_being_installed() {
        let last = EntryId::new(i(5), t(1));
        assert!(drops(life(1), last, false).is_ok());
        must_fire(Property::SnapshotInstall, drops(life(1), last, true));
    }
}
