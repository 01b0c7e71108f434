//! PointerOrder: on every disk, what is purged is within the newest snapshot, and the log goes on
//! where that ends (scenarios D07, D12). Applied, commit and last are in `commit_monotonic.rs`.

use quorate_core::{EntryId, NodeId};

use super::{Check, Property, broken};

/// The log of `node` starts behind `before` and holds the last entry of the newest snapshot, or
/// does not.
pub(crate) fn stands(node: NodeId, before: EntryId, snapshot: EntryId, goes_on: bool) -> Check {
    if before.index <= snapshot.index && goes_on {
        return Ok(());
    }
    broken(
        Property::PointerOrder,
        format_args!(
            "{node} has a log behind {before} and a snapshot up to {snapshot} (continued by the \
             log: {goes_on})"
        ),
    )
}

/// `node` lets go of its log up to `through`, which is on its disk or not.
pub(crate) fn purges(node: NodeId, through: EntryId, snapshot: EntryId, is_on_disk: bool) -> Check {
    if through.index <= snapshot.index && is_on_disk {
        return Ok(());
    }
    broken(
        Property::PointerOrder,
        format_args!(
            "{node} purges its log up to {through}, with a snapshot up to {snapshot} (on disk: \
             {is_on_disk})"
        ),
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::check::testing::{i, must_fire, n, t};

    #[test]
    fn fires_when_something_is_purged_that_no_snapshot_holds() {
        let id = |index| EntryId::new(i(index), t(1));
        assert!(stands(n(1), id(4), id(4), true).is_ok());
        must_fire(Property::PointerOrder, stands(n(1), id(5), id(4), true));
        must_fire(Property::PointerOrder, stands(n(1), id(3), id(4), false));
        assert!(purges(n(1), id(4), id(4), true).is_ok());
        must_fire(Property::PointerOrder, purges(n(1), id(5), id(4), true));
        must_fire(Property::PointerOrder, purges(n(1), id(3), id(4), false));
    }
}
