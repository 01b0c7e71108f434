//! Changes of the membership: what can be asked for, what each makes of a membership, and the
//! reasons for refusing one. When a change may be made is decided in `engine/membership.rs`.

use alloc::string::String;

use crate::{Membership, NodeId};

/// One change of the membership. Only one is made at a time [Thesis 4.1].
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Change {
    /// Let a new node receive the log without counting.
    AddLearner {
        /// The node. Its number must never have been another node's.
        node: NodeId,
        /// Where it can be reached.
        address: String,
    },
    /// Make a learner that has caught up a voter.
    Promote {
        /// The learner.
        node: NodeId,
    },
    /// Add a node, or take a learner, and make it a voter when it has caught up [Thesis 4.2.1].
    AddVoter {
        /// The node.
        node: NodeId,
        /// Where it can be reached.
        address: String,
    },
    /// Take a voter or learner out. A leader may remove itself: it leads until that is
    /// committed, without counting itself, and then hands over [Thesis 4.2.2].
    Remove {
        /// The node.
        node: NodeId,
    },
    /// A member can now be reached elsewhere.
    UpdateAddress {
        /// The member.
        node: NodeId,
        /// Where it can be reached.
        address: String,
    },
}

impl Change {
    /// The node it is about.
    #[must_use]
    pub const fn node(&self) -> NodeId {
        match self {
            Self::AddLearner { node, .. }
            | Self::Promote { node }
            | Self::AddVoter { node, .. }
            | Self::Remove { node }
            | Self::UpdateAddress { node, .. } => *node,
        }
    }

    /// What this change makes of `membership`, as far as the membership itself says. Of
    /// `AddVoter` it is the first step: the learner.
    ///
    /// # Errors
    /// Why the change makes no sense there.
    pub(crate) fn applied_to(&self, membership: &Membership) -> Result<Membership, ChangeRefusal> {
        let wanted = self.made_of(membership)?;
        // Nobody could read the entry: there may have been too many from the founding on.
        if wanted.members().count() > Membership::MAX_MEMBERS {
            return Err(ChangeRefusal::TooManyMembers);
        }
        Ok(wanted)
    }

    fn made_of(&self, membership: &Membership) -> Result<Membership, ChangeRefusal> {
        let node = self.node();
        match self {
            Self::AddLearner { address, .. } => {
                if membership.contains(node) {
                    return Err(ChangeRefusal::AlreadyMember);
                }
                Self::with_new_learner(membership, node, address)
            }
            Self::AddVoter { address, .. } => {
                if membership.is_voter(node) {
                    return Err(ChangeRefusal::AlreadyVoter);
                }
                Self::with_new_learner(membership, node, address)
            }
            Self::Promote { .. } => {
                if membership.is_voter(node) {
                    return Err(ChangeRefusal::AlreadyVoter);
                }
                if !membership.is_learner(node) {
                    return Err(ChangeRefusal::UnknownNode);
                }
                Ok(membership.with_voter(node))
            }
            Self::Remove { .. } => {
                if !membership.contains(node) {
                    return Err(ChangeRefusal::UnknownNode);
                }
                let left = membership.without(node);
                if left.voters().is_empty() {
                    return Err(ChangeRefusal::LastVoter);
                }
                Ok(left)
            }
            Self::UpdateAddress { address, .. } => {
                if !membership.contains(node) {
                    return Err(ChangeRefusal::UnknownNode);
                }
                check_address(address)?;
                Ok(membership.clone().with_address(node, address.clone()))
            }
        }
    }

    fn with_new_learner(
        membership: &Membership,
        node: NodeId,
        address: &str,
    ) -> Result<Membership, ChangeRefusal> {
        check_address(address)?;
        Ok(membership.with_learner(node).with_address(node, address))
    }
}

const fn check_address(address: &str) -> Result<(), ChangeRefusal> {
    if address.len() > Membership::MAX_ADDRESS_BYTES {
        return Err(ChangeRefusal::AddressTooLong);
    }
    Ok(())
}

/// Why a change of the membership was refused. Nothing was changed, unless the reason says so.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ChangeRefusal {
    /// An earlier change is not committed, or a node is still being added (scenario C02).
    #[error("another change of the membership is under way")]
    InFlight,
    /// The leader has not committed an entry of its term yet (scenario C01). Ask again soon.
    #[error("the leader has not committed an entry of its term yet")]
    NoOwnCommit,
    /// Leadership is being handed over.
    #[error("leadership is being handed over")]
    HandingOver,
    /// The node is neither voter nor learner.
    #[error("the node is not a member")]
    UnknownNode,
    /// The node is a voter or learner already.
    #[error("the node is a member already")]
    AlreadyMember,
    /// The node is a voter already.
    #[error("the node is a voter already")]
    AlreadyVoter,
    /// Without this voter there would be none (scenario C17).
    #[error("the last voter cannot be removed")]
    LastVoter,
    /// The learner lags too far to become a voter. After `AddVoter` it stays a learner.
    #[error("the node has not caught up")]
    NotCaughtUp,
    /// Too few of the voters that there would be have been heard lately (scenario C11).
    #[error("a majority of the new voters cannot be reached")]
    QuorumUnreachable,
    /// There are as many members as a membership can hold.
    #[error("there are too many members")]
    TooManyMembers,
    /// The address is longer than an address may be.
    #[error("the address is too long")]
    AddressTooLong,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn node(id: u64) -> NodeId {
        NodeId::new(id).unwrap()
    }

    fn address() -> String {
        String::from("a:1")
    }

    /// Scenario C17
    #[test]
    fn changes_that_make_no_sense_have_reasons_of_their_own() {
        let membership = Membership::new([node(1)], [node(4)]);
        let refusal = |change: Change| change.applied_to(&membership).unwrap_err();
        let (node, absent) = (node(1), node(7));
        assert_eq!(refusal(Change::Remove { node }), ChangeRefusal::LastVoter);
        assert_eq!(
            refusal(Change::Remove { node: absent }),
            ChangeRefusal::UnknownNode
        );
        assert_eq!(
            refusal(Change::Promote { node }),
            ChangeRefusal::AlreadyVoter
        );
        assert_eq!(
            refusal(Change::Promote { node: absent }),
            ChangeRefusal::UnknownNode
        );
        let learner = Change::AddLearner {
            node: NodeId::new(4).unwrap(),
            address: address(),
        };
        assert_eq!(refusal(learner), ChangeRefusal::AlreadyMember);
        let address = "x".repeat(Membership::MAX_ADDRESS_BYTES + 1);
        assert_eq!(
            refusal(Change::UpdateAddress { node, address }),
            ChangeRefusal::AddressTooLong
        );
    }

    #[test]
    fn a_node_becomes_learner_then_voter_then_leaves() {
        let (first, new) = (Membership::new([node(1)], []), node(2));
        let add = Change::AddVoter {
            node: new,
            address: address(),
        };
        let learner = add.applied_to(&first).unwrap();
        assert!(
            learner.is_learner(new),
            "it does not count before it holds the log"
        );
        assert_eq!(learner.address(new), Some("a:1"));
        let voter = Change::Promote { node: new }.applied_to(&learner).unwrap();
        assert_eq!(voter.voters(), [node(1), new]);
        let left = Change::Remove { node: node(1) }.applied_to(&voter).unwrap();
        assert_eq!(left.voters(), [new], "two voters can become one");
    }
}
