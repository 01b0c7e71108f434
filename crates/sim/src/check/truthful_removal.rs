//! TruthfulRemoval: whoever is told that it was removed is indeed in no committed membership at
//! that index, and believes it only if its own log does not know of a later one that is committed
//! (scenario A12).

use quorate_core::{LogIndex, Membership};

use super::{Check, LifeId, Property, broken};

/// `life` believes that it was removed as of `index`, where `committed` is in force; the newest
/// membership in its log, if it is committed, is `own`.
pub(crate) fn told(
    life: LifeId,
    index: LogIndex,
    committed: &Membership,
    own: Option<(LogIndex, &Membership)>,
) -> Check {
    let knows_better =
        own.is_some_and(|(since, membership)| since >= index && membership.contains(life.node));
    if !committed.contains(life.node) && !knows_better {
        return Ok(());
    }
    broken(
        Property::TruthfulRemoval,
        format_args!(
            "{life} believes that it was removed as of {index}: {committed:?}; its own log says \
             {own:?}"
        ),
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::check::testing::{i, life, must_fire, n};

    #[test]
    fn fires_when_a_member_is_told_that_it_is_none_or_knows_better() {
        let (with, without) = (
            Membership::new([n(1), n(2)], []),
            Membership::new([n(2)], []),
        );
        let told = |committed, own| super::told(life(1), i(5), committed, own);
        assert!(told(&without, Some((i(4), &with))).is_ok());
        must_fire(Property::TruthfulRemoval, told(&with, None));
        must_fire(
            Property::TruthfulRemoval,
            told(&without, Some((i(6), &with))),
        );
    }
}
