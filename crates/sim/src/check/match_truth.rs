//! MatchTruth: what a leader believes a peer holds, the peer does hold on stable storage, unless
//! the peer has left the leader's term behind. And what it would send next lies above that.

use quorate_core::{LogIndex, NodeId, Term};

use super::{Check, Property, broken};
use crate::shape::{Mark, Shape};

/// What a leader says of one peer.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Belief {
    pub(crate) peer: NodeId,
    pub(crate) matched: LogIndex,
    pub(crate) next: LogIndex,
}

/// `leader` of `term`, whose log ends at `last` and has the mark `own` at the matched index, if
/// that is known, holds `belief` of a peer whose saved term is `saved` and whose durable log is
/// `disk`.
pub(crate) fn believes(
    (leader, term): (NodeId, Term),
    (last, own): (LogIndex, Option<Mark>),
    belief: Belief,
    saved: Term,
    disk: &Shape,
) -> Check {
    let Belief {
        peer,
        matched,
        next,
    } = belief;
    if matched >= next || next > last.next() {
        return broken(
            Property::MatchTruth,
            format_args!(
                "{leader}, whose log ends at {last}, would send {peer} {next} next and believes it \
                 holds {matched}"
            ),
        );
    }
    let holds = disk
        .mark(matched)
        .is_some_and(|mark| own.is_none_or(|own| own == mark));
    if holds || saved > term {
        return Ok(());
    }
    broken(
        Property::MatchTruth,
        format_args!(
            "{leader} of {term} believes that {peer} holds {matched}; its disk ends in {}",
            disk.last_id()
        ),
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::check::testing::{i, must_fire, n, t};

    #[test]
    fn fires_when_a_peer_does_not_hold_what_the_leader_believes() {
        let log = Shape::of(&[1, 2]);
        let believes = |matched, next, saved, disk: &Shape| {
            let belief = Belief {
                peer: n(2),
                matched: i(matched),
                next: i(next),
            };
            let own = (log.last(), log.mark(i(matched)));
            super::believes((n(1), t(2)), own, belief, t(saved), disk)
        };
        assert!(believes(2, 3, 2, &log).is_ok() && believes(0, 1, 2, &Shape::default()).is_ok());
        must_fire(Property::MatchTruth, believes(2, 3, 2, &Shape::of(&[1])));
        must_fire(Property::MatchTruth, believes(2, 3, 2, &Shape::of(&[1, 1])));
        assert!(
            believes(2, 3, 3, &Shape::of(&[1])).is_ok(),
            "the peer follows a newer leader"
        );
        must_fire(Property::MatchTruth, believes(2, 2, 2, &log));
        must_fire(Property::MatchTruth, believes(2, 4, 2, &log));
    }
}
