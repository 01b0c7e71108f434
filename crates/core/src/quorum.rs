//! The arithmetic of majorities: votes and the value a majority has reached. Only voters count,
//! whoever asks (scenario C07).

use alloc::vec::Vec;

use crate::{Membership, NodeId};

/// How many of `voters` make a majority.
pub(crate) const fn majority(voters: usize) -> usize {
    voters / 2 + 1
}

/// The values of up to this many voters are sorted on the stack; of more, in an allocation.
const FEW_VOTERS: usize = 7;

/// The largest value that a majority of the voters has reached; `None` without voters. Asks for
/// each value once.
pub(crate) fn reached_by_majority<T: Copy + Ord>(
    membership: &Membership,
    value_of: impl Fn(NodeId) -> T,
) -> Option<T> {
    let voters = membership.voters();
    let (&first, others) = voters.split_first()?;
    if voters.len() > FEW_VOTERS {
        let mut values: Vec<T> = voters.iter().map(|&voter| value_of(voter)).collect();
        return largest_of_majority(&mut values);
    }
    let mut values = [value_of(first); FEW_VOTERS];
    for (value, &voter) in values.iter_mut().skip(1).zip(others) {
        *value = value_of(voter);
    }
    largest_of_majority(values.get_mut(..voters.len())?)
}

/// The largest value that more than half of these are or exceed.
#[inline(always)]
fn largest_of_majority<T: Copy + Ord>(values: &mut [T]) -> Option<T> {
    values.sort_unstable();
    values.get(values.len() - majority(values.len())).copied()
}

/// Votes or pre-votes, at most one per voter.
#[derive(Debug, Default)]
pub(crate) struct Votes {
    granted: Vec<NodeId>,
    refused: Vec<NodeId>,
}

impl Votes {
    /// Takes note of a vote that could count. The first word of a voter stands; those of others
    /// would fill our memory.
    pub(crate) fn record(&mut self, voter: NodeId, granted: bool, membership: &Membership) {
        if !membership.is_voter(voter) {
            return;
        }
        if self.granted.contains(&voter) || self.refused.contains(&voter) {
            return;
        }
        if granted {
            self.granted.push(voter);
        } else {
            self.refused.push(voter);
        }
    }

    /// Whether a majority of the voters granted. A snapshot that is installed meanwhile may bring
    /// others than those whose votes were noted.
    pub(crate) fn is_won(&self, membership: &Membership) -> bool {
        let counted = self
            .granted
            .iter()
            .filter(|&&voter| membership.is_voter(voter))
            .count();
        !membership.voters().is_empty() && counted >= majority(membership.voters().len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn node(id: u64) -> NodeId {
        NodeId::new(id).unwrap()
    }

    fn voters(count: u64) -> Membership {
        Membership::new((1..=count).map(node), [node(90)])
    }

    /// [Raft 5.2]
    #[test]
    fn an_election_needs_more_than_half_of_the_voters() {
        for count in 1..=7u64 {
            for granted in 0..=count {
                let mut votes = Votes::default();
                let voters = voters(count);
                (1..=granted).for_each(|id| votes.record(node(id), true, &voters));
                assert_eq!(
                    votes.is_won(&voters),
                    granted * 2 > count,
                    "{granted} of {count} votes"
                );
            }
        }
    }

    /// Scenarios C07, A13
    #[test]
    fn votes_of_learners_and_strangers_do_not_count() {
        let mut votes = Votes::default();
        for id in [1, 90, 91] {
            votes.record(node(id), true, &voters(3));
        }
        assert!(!votes.is_won(&voters(3)));
        votes.record(node(2), true, &voters(3));
        assert!(votes.is_won(&voters(3)));
        assert!(
            !Votes::default().is_won(&Membership::default()),
            "nobody elects nobody"
        );
    }

    /// Scenario A13: their words are read, and need no room.
    #[test]
    fn votes_of_strangers_are_not_kept_however_many_they_are() {
        let mut votes = Votes::default();
        for stranger in 100..10_000 {
            votes.record(node(stranger), stranger % 2 == 0, &voters(3));
        }
        assert_eq!(votes.granted.len() + votes.refused.len(), 0);
    }

    /// Scenario C07: a snapshot that is installed during a campaign brings other voters.
    #[test]
    fn votes_of_those_that_are_voters_no_more_do_not_count() {
        let mut votes = Votes::default();
        for id in [1, 4, 5] {
            votes.record(node(id), true, &voters(5));
        }
        assert!(votes.is_won(&voters(5)));
        assert!(!votes.is_won(&voters(3)), "only one of the three granted");
    }

    #[test]
    fn a_node_votes_once_per_campaign() {
        let mut votes = Votes::default();
        for (id, granted) in [(2, true), (2, true), (3, false), (3, true)] {
            votes.record(node(id), granted, &voters(3));
        }
        assert!(
            !votes.is_won(&voters(3)),
            "one voter granted; the other refused first"
        );
    }

    /// Each value is searched for among the peers: to ask again for each would cost a large cluster
    /// millions of steps for an answer.
    #[test]
    fn each_voter_is_asked_for_its_value_once() {
        for count in [1, 3, 7, 8, 255] {
            let asked = core::cell::Cell::new(0);
            let reached = reached_by_majority(&voters(count), |id| {
                asked.set(asked.get() + 1);
                id.get()
            });
            assert_eq!(reached, Some(count.div_ceil(2)));
            assert_eq!(asked.get(), count);
        }
    }

    #[test]
    fn the_majority_value_is_the_one_most_have_passed() {
        let reached = |values: &[u64]| {
            let membership = voters(values.len() as u64);
            reached_by_majority(&membership, |id| {
                values[usize::try_from(id.get()).unwrap() - 1]
            })
        };
        assert_eq!(reached(&[7]), Some(7));
        assert_eq!(reached(&[7, 3]), Some(3), "two voters: both are needed");
        assert_eq!(reached(&[7, 3, 5]), Some(5));
        assert_eq!(reached(&[1, 9, 9, 2]), Some(2));
        assert_eq!(reached(&[4, 4, 9, 1, 5]), Some(4));
        assert_eq!(reached(&[2, 7, 4, 6, 1, 5, 3]), Some(4));
        assert_eq!(reached(&[2, 7, 4, 6, 1, 5, 3, 8]), Some(4));
        assert_eq!(reached(&[9, 2, 7, 4, 6, 1, 5, 3, 8]), Some(5));
        assert_eq!(reached(&[]), None);
    }
}
