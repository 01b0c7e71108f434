//! PromotedCaughtUp: a node becomes a voter only when it holds nearly everything, durably, and
//! has not lost anything: it would delay the next commits otherwise (scenario C11) [Thesis 4.2.1].

use quorate_core::{LogIndex, NodeId};

use super::{Check, LifeId, Property, broken};

/// `leader` makes `node` a voter; whether its disk `holds` the leader's log up to `needed`, where
/// that ended a while ago, and whether it `is_suspect`.
pub(crate) fn becomes_voter(
    leader: LifeId,
    node: NodeId,
    needed: LogIndex,
    holds: bool,
    is_suspect: bool,
) -> Check {
    if holds && !is_suspect {
        return Ok(());
    }
    broken(
        Property::PromotedCaughtUp,
        format_args!(
            "{leader} makes {node} a voter, which lacks entries up to {needed} or lost some \
             (suspect: {is_suspect})"
        ),
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::check::testing::{i, life, must_fire, n};

    #[test]
    fn fires_when_the_new_voter_lags_or_lost_entries() {
        let becomes = |holds, suspect| becomes_voter(life(1), n(4), i(9), holds, suspect);
        assert!(becomes(true, false).is_ok());
        must_fire(Property::PromotedCaughtUp, becomes(false, false));
        must_fire(Property::PromotedCaughtUp, becomes(true, true));
    }
}
