//! ElectedByMajority: whoever leads a term has the votes of a majority of the voters in force in
//! its log, itself counted only if listed (scenarios A12, C07, C12). Votes of others count
//! nothing. Whether it may stand at all is in `removed_silent.rs`.

use quorate_core::{Membership, NodeId, Term};

use super::{Check, Property, broken, vote_once::VoteOnce};

/// `leader` leads `term` under `membership`.
pub(crate) fn elected(
    leader: NodeId,
    term: Term,
    membership: &Membership,
    votes: &VoteOnce,
) -> Check {
    let voters = membership.voters();
    let has_voted = |voter: &&NodeId| votes.of(**voter, term) == Some(leader);
    let count = voters.iter().filter(has_voted).count();
    if count > voters.len() / 2 {
        return Ok(());
    }
    broken(
        Property::ElectedByMajority,
        format_args!("{leader} leads {term} with {count} votes of {voters:?}"),
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::check::testing::{must_fire, n, t};

    #[test]
    fn fires_without_a_majority_and_when_learners_are_counted() {
        let mut votes = VoteOnce::default();
        for voter in [1, 2, 5] {
            assert!(votes.voted(n(voter), t(1), n(1)).is_ok());
        }
        let of = |count| Membership::new((1..=count).map(n), [n(5)]);
        assert!(elected(n(1), t(1), &of(3), &votes).is_ok());
        must_fire(
            Property::ElectedByMajority,
            elected(n(1), t(1), &of(4), &votes),
        );
        must_fire(
            Property::ElectedByMajority,
            elected(n(2), t(1), &of(3), &votes),
        );
    }
}
