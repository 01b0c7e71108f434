//! NoChurn: while a leader runs and enough of its voters do, with links between them that work,
//! nobody elects another: no voter that its leader could reach all the time stands for election
//! or yields to who does, and no leader gives up that a majority could answer, or whose disk was
//! at work for less than its patience. A disk that is slow, a machine that lags, users in crowds
//! and nodes that come back are no excuse (scenarios A11, A12, B17) [Thesis 4.2.3] [Thesis 6.2].
//!
//! Whether they could is the world's word, and not what they heard: that nothing was sent is no
//! excuse either.

use std::time::Duration;

use quorate_core::{NodeId, RoleName, Term};

use super::{Check, LifeId, Property, broken};

/// `voter`, which `leader` of `term` could reach all the time, has the role `becomes` of itself.
pub(crate) fn stands(voter: LifeId, becomes: RoleName, (leader, term): (LifeId, Term)) -> Check {
    match becomes {
        RoleName::Follower => Ok(()),
        RoleName::PreCandidate | RoleName::Candidate | RoleName::Leader => broken(
            Property::NoChurn,
            format_args!("{voter} becomes {becomes:?} while {leader} leads {term} undisturbed"),
        ),
    }
}

/// `voter` grants `candidate` a vote or the promise of one in `campaign`; whether a leader of an
/// earlier term could reach it all the time when it was asked.
pub(crate) fn yields(voter: LifeId, candidate: NodeId, campaign: Term, is_led: bool) -> Check {
    if !is_led {
        return Ok(());
    }
    broken(
        Property::NoChurn,
        format_args!("{voter} yields to {candidate} in {campaign} while its leader is undisturbed"),
    )
}

/// `leader` gives up because nobody answers, though `answering` of `voters`, itself included,
/// could all the time.
pub(crate) fn loses_quorum(leader: LifeId, answering: u64, voters: u64) -> Check {
    if answering <= voters / 2 {
        return Ok(());
    }
    broken(
        Property::NoChurn,
        format_args!("{leader} gives up though {answering} of {voters} voters could answer it"),
    )
}

/// `leader` gives up because of its disk, where no write has waited longer than `waited`.
pub(crate) fn loses_disk(leader: LifeId, waited: Duration, patience: Duration) -> Check {
    if waited >= patience {
        return Ok(());
    }
    broken(
        Property::NoChurn,
        format_args!(
            "{leader} gives up because of writes that wait for {waited:?} of {patience:?}"
        ),
    )
}

/// `leader` leads no more in its own term, though it is a voter and neither lost its majority nor
/// its disk.
pub(crate) fn lays_down(leader: LifeId, is_voter: bool) -> Check {
    if !is_voter {
        return Ok(());
    }
    broken(
        Property::NoChurn,
        format_args!("{leader} gives up for no reason"),
    )
}

/// `was` led a cluster of which every member was well; now `leads` does.
pub(crate) fn goes_on(was: (NodeId, Term), leads: Option<(NodeId, Term)>) -> Check {
    if leads == Some(was) {
        return Ok(());
    }
    broken(
        Property::NoChurn,
        format_args!("{was:?} led a cluster without a fault, and now {leads:?} does"),
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::check::testing::{life, must_fire, n, t};

    #[test]
    fn fires_when_a_voter_stands_or_yields_while_it_is_led() {
        let stands = |becomes| stands(life(2), becomes, (life(1), t(3)));
        assert!(stands(RoleName::Follower).is_ok());
        must_fire(Property::NoChurn, stands(RoleName::PreCandidate));
        must_fire(Property::NoChurn, stands(RoleName::Candidate));
        assert!(yields(life(2), n(3), t(4), false).is_ok());
        must_fire(Property::NoChurn, yields(life(2), n(3), t(4), true));
    }

    #[test]
    fn fires_when_a_leader_gives_up_without_need() {
        assert!(loses_quorum(life(1), 1, 3).is_ok() && loses_quorum(life(1), 2, 4).is_ok());
        must_fire(Property::NoChurn, loses_quorum(life(1), 2, 3));
        let loses_disk = |waited| {
            let waited = Duration::from_millis(waited);
            super::loses_disk(life(1), waited, Duration::from_millis(500))
        };
        assert!(loses_disk(500).is_ok());
        must_fire(Property::NoChurn, loses_disk(499));
        assert!(lays_down(life(1), false).is_ok(), "it was removed");
        must_fire(Property::NoChurn, lays_down(life(1), true));
    }

    #[test]
    fn fires_when_a_cluster_that_is_well_changes_its_leader() {
        let was = (n(1), t(3));
        assert!(goes_on(was, Some(was)).is_ok());
        must_fire(Property::NoChurn, goes_on(was, Some((n(1), t(4)))));
        must_fire(Property::NoChurn, goes_on(was, None));
    }
}
