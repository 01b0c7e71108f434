//! Who takes part: the voters and the learners. Always the full set, the node itself included,
//! so that the same value means the same on every node (scenario C05). How a majority of it is
//! counted is in `quorum.rs`.

use alloc::vec::Vec;

use crate::NodeId;

/// The servers of a cluster at one point of its log.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Membership {
    voters: Vec<NodeId>,
    learners: Vec<NodeId>,
}

impl Membership {
    /// A membership of these voters and learners. Order and repetition do not matter; whoever is
    /// in both sets is a voter.
    #[must_use]
    pub fn new(
        voters: impl IntoIterator<Item = NodeId>,
        learners: impl IntoIterator<Item = NodeId>,
    ) -> Self {
        let mut voters: Vec<NodeId> = voters.into_iter().collect();
        voters.sort_unstable();
        voters.dedup();
        let mut learners: Vec<NodeId> = learners.into_iter().collect();
        learners.sort_unstable();
        learners.dedup();
        learners.retain(|learner| voters.binary_search(learner).is_err());
        Self { voters, learners }
    }

    /// The voters, in ascending order.
    #[must_use]
    pub fn voters(&self) -> &[NodeId] {
        &self.voters
    }

    /// The learners, in ascending order. They receive the log and count for nothing.
    #[must_use]
    pub fn learners(&self) -> &[NodeId] {
        &self.learners
    }

    /// Whether `node` votes and counts.
    #[must_use]
    pub fn is_voter(&self, node: NodeId) -> bool {
        self.voters.binary_search(&node).is_ok()
    }

    /// Everyone who receives the log: voters, then learners.
    pub fn members(&self) -> impl Iterator<Item = NodeId> + '_ {
        self.voters.iter().chain(&self.learners).copied()
    }
}
