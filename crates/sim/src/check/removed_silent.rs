//! RemovedSilent: whoever was removed and knows it, is a learner, has no membership, or may have
//! lost entries, does not campaign, and so never leads (scenarios A12, C12). A node whose removal
//! is not committed may: others may need its log [Thesis 4.2.2]. When it is committed, a leader
//! leaves (scenario C07), and says that it is no member: nobody else would tell its host.

use quorate_core::Membership;

use super::{Check, LifeId, Property, broken};

/// `life`, which goes by `membership`, stands for election.
pub(crate) fn campaigns(
    life: LifeId,
    membership: &Membership,
    is_committed: bool,
    is_told: bool,
    is_suspect: bool,
) -> Check {
    let is_out = !membership.contains(life.node) && is_committed;
    let is_learner = membership.is_learner(life.node);
    let is_without = membership.voters().is_empty();
    if !is_out && !is_learner && !is_without && !is_told && !is_suspect {
        return Ok(());
    }
    broken(
        Property::RemovedSilent,
        format_args!(
            "{life} stands for election under {membership:?} (committed: {is_committed}, told \
             that it was removed: {is_told}, suspect: {is_suspect})"
        ),
    )
}

/// `life` leads on by `membership`, which is committed or not.
pub(crate) fn leads_on(life: LifeId, membership: &Membership, is_committed: bool) -> Check {
    if membership.is_voter(life.node) || !is_committed {
        return Ok(());
    }
    broken(
        Property::RemovedSilent,
        format_args!("{life} leads on, though its removal is committed: {membership:?}"),
    )
}

/// `life` leads no more in the term that it led, by `membership`, which is committed or not.
pub(crate) fn leaves(
    life: LifeId,
    membership: &Membership,
    is_committed: bool,
    knows: bool,
) -> Check {
    if membership.contains(life.node) || !is_committed || knows {
        return Ok(());
    }
    broken(
        Property::RemovedSilent,
        format_args!("{life} led until its removal was committed, and does not say so"),
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::check::testing::{life, must_fire, n};

    #[test]
    fn fires_when_somebody_campaigns_that_may_not() {
        let membership = Membership::new([n(1), n(2)], [n(3)]);
        let campaigns = |node, is_committed, told, suspect| {
            super::campaigns(life(node), &membership, is_committed, told, suspect)
        };
        assert!(campaigns(1, true, false, false).is_ok());
        assert!(campaigns(4, false, false, false).is_ok());
        must_fire(Property::RemovedSilent, campaigns(3, true, false, false));
        must_fire(Property::RemovedSilent, campaigns(4, true, false, false));
        must_fire(Property::RemovedSilent, campaigns(1, true, true, false));
        must_fire(Property::RemovedSilent, campaigns(1, true, false, true));
        let nobody = Membership::default();
        must_fire(
            Property::RemovedSilent,
            super::campaigns(life(1), &nobody, true, false, false),
        );
    }

    #[test]
    fn fires_when_a_leader_outlives_its_removal() {
        let membership = Membership::new([n(2), n(3)], [n(4)]);
        let leads_on = |node, is_committed| super::leads_on(life(node), &membership, is_committed);
        assert!(leads_on(1, false).is_ok() && leads_on(2, true).is_ok());
        must_fire(Property::RemovedSilent, leads_on(1, true));
        must_fire(Property::RemovedSilent, leads_on(4, true));
    }

    #[test]
    fn fires_when_a_leader_does_not_say_that_it_is_no_member() {
        let membership = Membership::new([n(2), n(3)], []);
        let leaves =
            |node, is_committed, knows| super::leaves(life(node), &membership, is_committed, knows);
        assert!(leaves(1, true, true).is_ok() && leaves(1, false, false).is_ok());
        assert!(leaves(2, true, false).is_ok(), "it lost its majority");
        must_fire(Property::RemovedSilent, leaves(1, true, false));
    }
}
