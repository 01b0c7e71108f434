//! LeaderStickiness: whoever heard a leader, or started, less than the shortest election timeout
//! ago gives no vote, promises none and enters no term for a candidate, on its own clock
//! (scenarios A11, E10). So a node that was cut off cannot depose a leader that the others hear,
//! and a leader may count on the silence of those who have answered it.

use std::time::Duration;

use quorate_core::{NodeId, Time};

use super::{Check, LifeId, Property, broken};

/// `voter`, which last heard a leader or started at `heard`, grants `candidate` a vote or the
/// promise of one, or enters its term, at `now`; both times are on its own clock.
pub(crate) fn yields(
    voter: LifeId,
    candidate: NodeId,
    heard: Time,
    now: Time,
    silence: Duration,
) -> Check {
    let since = now.since(heard);
    if since >= silence {
        return Ok(());
    }
    broken(
        Property::LeaderStickiness,
        format_args!(
            "{voter} yields to {candidate} {since:?} after it heard a leader or started, less \
             than {silence:?}"
        ),
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::check::testing::{life, must_fire, n};

    #[test]
    fn fires_when_a_vote_is_granted_too_soon_after_a_leader_was_heard() {
        let silence = Duration::from_nanos(100);
        let yields = |now| {
            let (heard, now) = (Time::from_nanos(50), Time::from_nanos(now));
            super::yields(life(1), n(2), heard, now, silence)
        };
        assert!(yields(150).is_ok());
        must_fire(Property::LeaderStickiness, yields(149));
        must_fire(Property::LeaderStickiness, yields(50));
    }
}
