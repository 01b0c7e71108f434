//! SuspectRule: a node that lost entries which it may have acknowledged votes for nobody who may
//! lack them, and counts as whole again only when its log is as recent as the one it lost. What an
//! earlier life of it said of its log is nothing to go by (scenario F07).

use quorate_core::{EntryId, NodeId, Round};

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

/// What a leader heard of a peer in its term.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Hearsay {
    /// The latest life that it heard of.
    life: u64,
    /// The newest round that was answered.
    round: Round,
    /// Whether the peer was believed to have lost entries after that.
    is_suspect: bool,
}

impl Hearsay {
    /// `leader` heard the answer that the life `life` of `peer` gave to `round`, and now believes
    /// that it lost entries or not. A life that has ended may not change that by an answer to a
    /// round that a later one has answered.
    pub(crate) fn hears(
        &mut self,
        leader: LifeId,
        peer: NodeId,
        (life, round): (u64, Round),
        is_suspect: bool,
    ) -> Check {
        if life < self.life && round <= self.round && is_suspect != self.is_suspect {
            return broken(
                Property::SuspectRule,
                format_args!(
                    "{leader} believes what life {life} of {peer} says of its log (suspect: \
                     {is_suspect}), and has heard life {}",
                    self.life
                ),
            );
        }
        self.life = self.life.max(life);
        self.round = self.round.max(round);
        self.is_suspect = is_suspect;
        Ok(())
    }
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

    #[test]
    fn fires_when_an_earlier_life_makes_a_suspect_whole() {
        let mut heard = Hearsay::default();
        let mut hears =
            |of, round, is_suspect| heard.hears(life(1), n(2), (of, Round::new(round)), is_suspect);
        assert!(hears(1, 4, false).is_ok() && hears(2, 5, true).is_ok());
        assert!(hears(1, 4, true).is_ok(), "it is late, and not believed");
        must_fire(Property::SuspectRule, hears(1, 5, false));
        assert!(hears(1, 6, false).is_ok(), "as if the other had ended");
        assert!(hears(2, 5, true).is_ok());
    }
}
