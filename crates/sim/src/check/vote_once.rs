//! VoteOnce: a node votes at most once per term, over the whole history, crashes included
//! (scenarios A01, A02, A03). A vote is a saved vote, a sent grant, or a campaign of one's own.

use std::collections::BTreeMap;

use quorate_core::{NodeId, Term};

use super::{Check, Property, broken};

/// Who voted for whom.
#[derive(Debug, Default)]
pub(crate) struct VoteOnce {
    votes: BTreeMap<(NodeId, Term), NodeId>,
}

impl VoteOnce {
    /// Whom `voter` voted for in `term`, as far as anybody can know.
    pub(crate) fn of(&self, voter: NodeId, term: Term) -> Option<NodeId> {
        self.votes.get(&(voter, term)).copied()
    }

    /// `voter` gave its vote of `term` to `candidate`.
    pub(crate) fn voted(&mut self, voter: NodeId, term: Term, candidate: NodeId) -> Check {
        let known = *self.votes.entry((voter, term)).or_insert(candidate);
        if known == candidate {
            return Ok(());
        }
        broken(
            Property::VoteOnce,
            format_args!("{voter} voted for {known} and for {candidate} in {term}"),
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::check::testing::{must_fire, n, t};

    #[test]
    fn fires_when_a_node_votes_for_two_candidates_in_one_term() {
        let mut checker = VoteOnce::default();
        assert!(checker.voted(n(1), t(3), n(2)).is_ok());
        assert!(
            checker.voted(n(1), t(3), n(2)).is_ok(),
            "a repeated grant is the same vote"
        );
        assert!(checker.voted(n(1), t(4), n(3)).is_ok());
        assert!(checker.voted(n(2), t(3), n(3)).is_ok());
        must_fire(Property::VoteOnce, checker.voted(n(1), t(3), n(1)));
    }
}
