//! ElectedByMajority: whoever leads a term has the votes of a majority of the voters in it, and
//! is a voter itself (scenarios A12, C12). Votes of others count nothing.

use quorate_core::{NodeId, Term};

use super::{Check, Property, broken, vote_once::VoteOnce};
use crate::roster::ids;

/// `leader` leads `term` in a cluster of `voters`, which are the nodes with the lowest numbers.
pub(crate) fn elected(leader: NodeId, term: Term, voters: u64, votes: &VoteOnce) -> Check {
    let count = ids(voters)
        .filter(|&voter| votes.of(voter, term) == Some(leader))
        .count();
    if count as u64 > voters / 2 && leader.get() <= voters {
        return Ok(());
    }
    broken(
        Property::ElectedByMajority,
        format_args!("{leader} leads {term} with {count} votes of {voters} voters"),
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::check::testing::{must_fire, n, t};

    #[test]
    fn fires_without_a_majority_and_when_learners_are_counted_or_lead() {
        let mut votes = VoteOnce::default();
        for voter in [1, 2, 5] {
            assert!(votes.voted(n(voter), t(1), n(1)).is_ok());
        }
        assert!(elected(n(1), t(1), 3, &votes).is_ok());
        must_fire(Property::ElectedByMajority, elected(n(1), t(1), 4, &votes));
        must_fire(Property::ElectedByMajority, elected(n(2), t(1), 3, &votes));
        for voter in [1, 2, 3] {
            assert!(votes.voted(n(voter), t(2), n(4)).is_ok());
        }
        must_fire(Property::ElectedByMajority, elected(n(4), t(2), 3, &votes));
    }
}
