//! BoundedRetention: a snapshot lets go of the log before it but for the trailing entries, unless
//! a peer within reach is being sent it, or receives a snapshot and will need what follows; and
//! few snapshots are kept (scenario D12).

use quorate_core::{LogIndex, NodeId};

use super::{Check, LifeId, Property, broken};

/// Snapshots on one disk beyond one per node: the newest, and one that was just taken.
const SPARE_SNAPSHOTS: u64 = 2;

/// `life`, of whom nobody needs old entries, has a new one up to `snapshot` and a log from `first`
/// on.
pub(crate) fn keeps_log(life: LifeId, first: LogIndex, snapshot: LogIndex, trailing: u64) -> Check {
    if first.prev().get() >= snapshot.get().saturating_sub(trailing) {
        return Ok(());
    }
    broken(
        Property::BoundedRetention,
        format_args!("{life} keeps {first} and what follows behind a snapshot of {snapshot}"),
    )
}

/// `leader` purges its log up to `through` while a peer has, or receives, what comes up to
/// `needed`; what follows that has `bytes`, of at least `limit` that it may keep.
pub(crate) fn purges(
    leader: LifeId,
    through: LogIndex,
    needed: LogIndex,
    (bytes, limit): (u64, u64),
) -> Check {
    if through <= needed || bytes >= limit {
        return Ok(());
    }
    broken(
        Property::BoundedRetention,
        format_args!(
            "{leader} purges up to {through} under a peer that needs what follows {needed}, \
             though {bytes} bytes of {limit} would have to be kept"
        ),
    )
}

/// The disk of `node`, in a world of `nodes`, holds `snapshots` snapshots.
pub(crate) fn keeps_snapshots(node: NodeId, snapshots: u64, nodes: u64) -> Check {
    if snapshots <= nodes + SPARE_SNAPSHOTS {
        return Ok(());
    }
    broken(
        Property::BoundedRetention,
        format_args!("{node} keeps {snapshots} snapshots in a world of {nodes}"),
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::check::testing::{i, life, must_fire, n};

    #[test]
    fn fires_when_a_log_is_purged_under_a_peer_that_needs_it() {
        let purges = |through, bytes| purges(life(1), i(through), i(8), (bytes, 100));
        assert!(purges(8, 5).is_ok() && purges(9, 100).is_ok());
        must_fire(Property::BoundedRetention, purges(9, 99));
    }

    #[test]
    fn fires_when_old_entries_or_snapshots_pile_up() {
        assert!(keeps_log(life(1), i(6), i(10), 5).is_ok());
        must_fire(
            Property::BoundedRetention,
            keeps_log(life(1), i(5), i(10), 5),
        );
        assert!(keeps_snapshots(n(1), 5, 3).is_ok());
        must_fire(Property::BoundedRetention, keeps_snapshots(n(1), 6, 3));
    }
}
