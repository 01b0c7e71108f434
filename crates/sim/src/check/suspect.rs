//! SuspectRule: a node that lost entries which it may have acknowledged votes for nobody who may
//! lack them, and counts as whole again only when its log is as recent as the one it lost. What an
//! earlier life of it said of its log is nothing to go by (scenario F07).

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

/// What a leader heard of a peer in its term.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Hearsay {
    /// The latest life that it believed.
    life: u64,
    /// Whether the peer was believed to have lost entries after that.
    is_suspect: bool,
}

impl Hearsay {
    /// `leader` heard an answer of the life `life` of `peer`, took or dropped it, and now believes
    /// that the peer lost entries or not. A life that has ended says nothing of what a later one
    /// holds, whatever it answers.
    pub(crate) fn hears(
        &mut self,
        leader: LifeId,
        peer: NodeId,
        (life, is_taken): (u64, bool),
        is_suspect: bool,
    ) -> Check {
        let is_believed = is_taken || is_suspect != self.is_suspect;
        if is_believed && life < self.life {
            return broken(
                Property::SuspectRule,
                format_args!(
                    "{leader} believes what life {life} of {peer} says of its log (suspect: \
                     {is_suspect}), and has believed life {}",
                    self.life
                ),
            );
        }
        if is_believed {
            (self.life, self.is_suspect) = (life, is_suspect);
        }
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
    fn fires_when_an_earlier_life_is_believed() {
        let heard = |word, is_suspect| {
            let mut heard = Hearsay::default();
            for of in [1, 1, 2] {
                assert!(heard.hears(life(1), n(2), (of, true), of == 2).is_ok());
            }
            heard.hears(life(1), n(2), word, is_suspect)
        };
        assert!(heard((1, false), true).is_ok(), "it is late, and dropped");
        must_fire(Property::SuspectRule, heard((1, true), true));
        must_fire(Property::SuspectRule, heard((1, false), false));
        assert!(heard((2, true), false).is_ok() && heard((3, true), false).is_ok());
    }
}
