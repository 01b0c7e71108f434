//! ConfigChange: consecutive memberships differ in one server, at most one of them is not
//! committed, and a leader makes none before it has committed an entry of its own term: otherwise
//! two majorities need not meet (scenarios C01, C02) [Thesis 4.1]. Where it shall, it makes sure
//! that a majority of the voters is there afterwards (scenario C11).

use quorate_core::{LogIndex, Membership, NodeId};

use super::{Check, LifeId, Property, broken};

/// Who takes part in another way than before.
fn differing(present: &Membership, wanted: &Membership) -> Vec<NodeId> {
    let mut nodes: Vec<NodeId> = present.members().chain(wanted.members()).collect();
    nodes.sort_unstable();
    nodes.dedup();
    let role = |of: &Membership, node| (of.is_voter(node), of.is_learner(node));
    nodes.retain(|node| role(present, *node) != role(wanted, *node));
    nodes
}

/// `leader` puts `wanted` in the place of `present`.
pub(crate) fn differs_by_one(leader: LifeId, present: &Membership, wanted: &Membership) -> Check {
    if differing(present, wanted).len() <= 1 && !wanted.voters().is_empty() {
        return Ok(());
    }
    broken(
        Property::ConfigChange,
        format_args!("{leader} makes {wanted:?} of {present:?} in one step"),
    )
}

/// `leader`, whose log ended at `elected_at` when it was elected and who has committed up to
/// `commit`, changes a membership that is in force since `since`.
pub(crate) fn may_change(
    leader: LifeId,
    since: LogIndex,
    commit: LogIndex,
    elected_at: LogIndex,
) -> Check {
    if since <= commit && elected_at < commit {
        return Ok(());
    }
    broken(
        Property::ConfigChange,
        format_args!(
            "{leader}, elected at {elected_at}, changes the membership of {since} when {commit} \
             is committed"
        ),
    )
}

/// `leader` changes the voters to `voters`, of which it has heard `heard` lately, itself included.
pub(crate) fn stays_reachable(leader: LifeId, voters: usize, heard: usize) -> Check {
    if heard * 2 > voters {
        return Ok(());
    }
    broken(
        Property::ConfigChange,
        format_args!("{leader} makes {voters} nodes the voters, of which it has heard {heard}"),
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::check::testing::{i, life, must_fire, n};

    #[test]
    fn fires_when_two_servers_change_at_once() {
        let three = Membership::new([n(1), n(2), n(3)], [n(4)]);
        let promoted = Membership::new([n(1), n(2), n(3), n(4)], []);
        let swapped = Membership::new([n(1), n(2), n(4)], []);
        let change = |wanted| differs_by_one(life(1), &three, wanted);
        assert!(change(&three).is_ok() && change(&promoted).is_ok());
        must_fire(Property::ConfigChange, change(&swapped));
        let nobody = Membership::default();
        let alone = Membership::new([n(1)], []);
        must_fire(
            Property::ConfigChange,
            differs_by_one(life(1), &alone, &nobody),
        );
    }

    #[test]
    fn fires_when_no_majority_would_be_there() {
        assert!(stays_reachable(life(1), 3, 2).is_ok());
        must_fire(Property::ConfigChange, stays_reachable(life(1), 4, 2));
    }

    #[test]
    fn fires_when_a_change_comes_before_the_last_or_the_own_commit() {
        let may = |since, commit, elected| may_change(life(1), i(since), i(commit), i(elected));
        assert!(may(3, 5, 4).is_ok());
        must_fire(Property::ConfigChange, may(6, 5, 4));
        must_fire(Property::ConfigChange, may(3, 5, 5));
    }
}
