//! SuspectRule: a node that lost entries which it may have acknowledged votes for nobody who may
//! lack them, and counts as whole again only when its log is as recent as the one it lost.

use quorate_core::{EntryId, NodeId};

use super::{Check, LifeId, Property, broken};
use crate::world::is_as_recent;

/// `voter`, whose log ended in `lost` before it was damaged, would vote for a `candidate` whose
/// log ends in `last`.
pub(crate) fn grants(voter: LifeId, candidate: NodeId, last: EntryId, lost: EntryId) -> Check {
    if is_as_recent(last, lost) {
        return Ok(());
    }
    broken(
        Property::SuspectRule,
        format_args!("{voter} lost a log up to {lost} and votes for {candidate} with {last}"),
    )
}

/// `node`, whose log ended in `lost` before it was damaged, is whole again with a durable log
/// that ends in `last`.
pub(crate) fn ends(node: NodeId, last: EntryId, lost: EntryId) -> Check {
    if is_as_recent(last, lost) {
        return Ok(());
    }
    broken(
        Property::SuspectRule,
        format_args!("{node} lost a log up to {lost} and counts as whole with {last}"),
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::check::testing::{i, life, must_fire, n, t};

    #[test]
    fn fires_when_a_suspect_votes_below_its_floor_or_is_cleared_too_early() {
        let id = |index, term| EntryId::new(i(index), t(term));
        let lost = id(9, 3);
        assert!(grants(life(1), n(2), id(9, 3), lost).is_ok());
        assert!(grants(life(1), n(2), id(5, 4), lost).is_ok());
        must_fire(Property::SuspectRule, grants(life(1), n(2), id(8, 3), lost));
        assert!(ends(n(1), id(10, 3), lost).is_ok());
        must_fire(Property::SuspectRule, ends(n(1), id(20, 2), lost));
    }
}
