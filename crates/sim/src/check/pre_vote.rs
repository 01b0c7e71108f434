//! PreVote: with pre-vote on, a node campaigns only after a majority said in this life that it
//! would get their votes; so the term of a node that is cut off never grows (scenario A11). And
//! answering a pre-vote saves nothing (scenario A04).

use std::collections::BTreeMap;

use quorate_core::{Membership, NodeId, Term};

use super::{Check, LifeId, Property, broken};

/// Who would vote for whom.
#[derive(Debug, Default)]
pub(crate) struct PreVotes {
    /// The newest campaign each life was promised votes for, and by whom.
    promises: BTreeMap<LifeId, (Term, Vec<NodeId>)>,
}

impl PreVotes {
    /// `life` received the promise of `voter` for a campaign in `campaign`.
    pub(crate) fn promised(&mut self, life: LifeId, campaign: Term, voter: NodeId) {
        let (term, voters) = self.promises.entry(life).or_insert((campaign, Vec::new()));
        if campaign > *term {
            *term = campaign;
            voters.clear();
        }
        if campaign == *term && !voters.contains(&voter) && voter != life.node {
            voters.push(voter);
        }
    }

    /// `life` campaigns in `term` for the votes of `membership`.
    pub(crate) fn campaigns(&self, life: LifeId, term: Term, membership: &Membership) -> Check {
        let others = match self.promises.get(&life) {
            Some((campaign, voters)) if *campaign == term => voters.as_slice(),
            Some(_) | None => &[],
        };
        let voters = membership.voters();
        let promised = |voter: &&NodeId| **voter == life.node || others.contains(voter);
        if voters.iter().filter(promised).count() > voters.len() / 2 {
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
        let five = Membership::new((1..=5).map(n), [n(6)]);
        let mut checker = PreVotes::default();
        checker.promised(life(1), t(4), n(2));
        checker.promised(life(1), t(4), n(2));
        checker.promised(life(1), t(4), n(6));
        must_fire(Property::PreVote, checker.campaigns(life(1), t(4), &five));
        checker.promised(life(1), t(4), n(3));
        assert!(checker.campaigns(life(1), t(4), &five).is_ok());
        must_fire(Property::PreVote, checker.campaigns(life(1), t(5), &five));
        let second = LifeId {
            node: n(1),
            number: 2,
        };
        must_fire(Property::PreVote, checker.campaigns(second, t(4), &five));
        let alone = Membership::new([n(1)], []);
        assert!(
            PreVotes::default().campaigns(life(1), t(1), &alone).is_ok(),
            "alone is a majority of one"
        );
        must_fire(
            Property::PreVote,
            PreVotes::default().campaigns(life(2), t(1), &alone),
        );
    }

    #[test]
    fn fires_when_a_pre_vote_is_saved() {
        assert!(answered(n(1), false).is_ok());
        must_fire(Property::PreVote, answered(n(1), true));
    }
}
