//! PreVote: with pre-vote on, a node campaigns only after a majority said in this life that it
//! would get their votes; so the term of a node that is cut off never grows (scenario A11). And
//! answering a pre-vote saves nothing (scenario A04).

use std::collections::BTreeMap;

use quorate_core::{NodeId, Term};

use super::{Check, LifeId, Property, broken};

/// Who would vote for whom.
#[derive(Debug)]
pub(crate) struct PreVotes {
    voters: u64,
    /// The newest campaign each life was promised votes for, and by whom.
    promises: BTreeMap<LifeId, (Term, Vec<NodeId>)>,
}

impl PreVotes {
    /// In a cluster of `voters`, which are the nodes with the lowest numbers.
    pub(crate) const fn new(voters: u64) -> Self {
        Self {
            voters,
            promises: BTreeMap::new(),
        }
    }

    /// `life` received the promise of `voter` for a campaign in `campaign`.
    pub(crate) fn promised(&mut self, life: LifeId, campaign: Term, voter: NodeId) {
        let (term, voters) = self.promises.entry(life).or_insert((campaign, Vec::new()));
        if campaign > *term {
            *term = campaign;
            voters.clear();
        }
        if campaign == *term
            && !voters.contains(&voter)
            && voter != life.node
            && voter.get() <= self.voters
        {
            voters.push(voter);
        }
    }

    /// `life` campaigns in `term`.
    pub(crate) fn campaigns(&self, life: LifeId, term: Term) -> Check {
        let others = match self.promises.get(&life) {
            Some((campaign, voters)) if *campaign == term => voters.as_slice(),
            Some(_) | None => &[],
        };
        let count = others.len() as u64 + 1;
        if count > self.voters / 2 {
            return Ok(());
        }
        broken(
            Property::PreVote,
            format_args!("{life} campaigns in {term} after pre-votes of itself and {others:?}"),
        )
    }
}

/// `node` handled a pre-vote request; `saves` tells whether it wants anything saved.
pub(crate) fn answered(node: NodeId, saves: bool) -> Check {
    if saves {
        return broken(
            Property::PreVote,
            format_args!("{node} saves something for a pre-vote"),
        );
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::check::testing::{life, must_fire, n, t};

    #[test]
    fn fires_when_a_campaign_starts_without_a_majority_of_pre_votes() {
        let mut checker = PreVotes::new(5);
        checker.promised(life(1), t(4), n(2));
        checker.promised(life(1), t(4), n(2));
        must_fire(Property::PreVote, checker.campaigns(life(1), t(4)));
        checker.promised(life(1), t(4), n(3));
        assert!(checker.campaigns(life(1), t(4)).is_ok());
        must_fire(Property::PreVote, checker.campaigns(life(1), t(5)));
        must_fire(
            Property::PreVote,
            checker.campaigns(
                LifeId {
                    node: n(1),
                    number: 2,
                },
                t(4),
            ),
        );
        let mut with_learners = PreVotes::new(3);
        with_learners.promised(life(1), t(4), n(4));
        must_fire(Property::PreVote, with_learners.campaigns(life(1), t(4)));
        assert!(
            PreVotes::new(1).campaigns(life(1), t(1)).is_ok(),
            "alone is a majority of one"
        );
    }

    #[test]
    fn fires_when_a_pre_vote_is_saved() {
        assert!(answered(n(1), false).is_ok());
        must_fire(Property::PreVote, answered(n(1), true));
    }
}
