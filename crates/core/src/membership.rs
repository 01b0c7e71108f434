//! Who takes part: the voters and the learners, and where they can be reached. Always the full
//! set, the node itself included, so that the same value means the same on every node (scenario
//! C05). How a majority of it is counted is in `quorum.rs`; which one is in force at which index
//! is in `memberships.rs`; how one becomes another is in `change.rs`.

use alloc::collections::BTreeMap;
use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec::Vec;

use bytes::{Buf, BufMut, Bytes};

use crate::NodeId;

/// The first byte of an encoded membership.
const VERSION: u8 = 1;
const ROLE_VOTER: u8 = 1;
const ROLE_LEARNER: u8 = 2;

/// The servers of a cluster at one point of its log. A clone costs a reference count.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Membership(Arc<Members>);

#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Members {
    voters: Vec<NodeId>,
    learners: Vec<NodeId>,
    addresses: BTreeMap<NodeId, String>,
}

impl Membership {
    /// Members of one cluster, at most.
    pub const MAX_MEMBERS: usize = 255;
    /// Bytes of one address, at most.
    pub const MAX_ADDRESS_BYTES: usize = 1024;

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
        let addresses = BTreeMap::new();
        Self(Arc::new(Members {
            voters,
            learners,
            addresses,
        }))
    }

    /// The same, with the address at which `node` can be reached. Who is no member has none, and
    /// what is longer than [`Self::MAX_ADDRESS_BYTES`] is no address. An empty one takes away what
    /// was known.
    #[must_use]
    pub fn with_address(mut self, node: NodeId, address: impl Into<String>) -> Self {
        let address = address.into();
        if self.contains(node) && address.len() <= Self::MAX_ADDRESS_BYTES {
            let members = Arc::make_mut(&mut self.0);
            // In the bytes of a membership an empty one is none.
            if address.is_empty() {
                members.addresses.remove(&node);
            } else {
                members.addresses.insert(node, address);
            }
        }
        self
    }

    /// The voters, in ascending order.
    #[must_use]
    pub fn voters(&self) -> &[NodeId] {
        &self.0.voters
    }

    /// The learners, in ascending order. They receive the log and count for nothing.
    #[must_use]
    pub fn learners(&self) -> &[NodeId] {
        &self.0.learners
    }

    /// Where `node` can be reached, if that was said. It is the host's to interpret.
    #[must_use]
    pub fn address(&self, node: NodeId) -> Option<&str> {
        self.0.addresses.get(&node).map(String::as_str)
    }

    /// Whether `node` votes and counts.
    #[must_use]
    pub fn is_voter(&self, node: NodeId) -> bool {
        self.0.voters.binary_search(&node).is_ok()
    }

    /// Whether `node` receives the log without counting.
    #[must_use]
    pub fn is_learner(&self, node: NodeId) -> bool {
        self.0.learners.binary_search(&node).is_ok()
    }

    /// Whether `node` is a voter or a learner.
    #[must_use]
    pub fn contains(&self, node: NodeId) -> bool {
        self.is_voter(node) || self.is_learner(node)
    }

    /// Everyone who receives the log: voters, then learners.
    pub fn members(&self) -> impl Iterator<Item = NodeId> + '_ {
        self.0.voters.iter().chain(&self.0.learners).copied()
    }

    /// The same, with `node` a voter (and no learner).
    pub(crate) fn with_voter(&self, node: NodeId) -> Self {
        let voters = self.voters().iter().copied().chain([node]);
        self.with_addresses_of(Self::new(voters, self.learners().iter().copied()))
    }

    /// The same, with `node` a learner, unless it is a voter.
    pub(crate) fn with_learner(&self, node: NodeId) -> Self {
        let learners = self.learners().iter().copied().chain([node]);
        self.with_addresses_of(Self::new(self.voters().iter().copied(), learners))
    }

    /// The same without `node`.
    pub(crate) fn without(&self, node: NodeId) -> Self {
        let others = |&&member: &&NodeId| member != node;
        let voters = self.voters().iter().filter(others).copied();
        let learners = self.learners().iter().filter(others).copied();
        self.with_addresses_of(Self::new(voters, learners))
    }

    fn with_addresses_of(&self, other: Self) -> Self {
        let known = self.0.addresses.iter();
        known.fold(other, |other, (&node, address)| {
            other.with_address(node, address.clone())
        })
    }

    /// The bytes of a membership entry: a version, then per member its number, role and address.
    /// The same membership gives the same bytes everywhere.
    #[must_use]
    pub fn encode(&self) -> Bytes {
        let mut bytes = Vec::new();
        bytes.put_u8(VERSION);
        let roles = [(ROLE_VOTER, self.voters()), (ROLE_LEARNER, self.learners())];
        for (role, nodes) in roles {
            for &node in nodes {
                let address = self.address(node).unwrap_or_default();
                // No address is longer than a few hundred bytes: see `with_address`.
                let length = u16::try_from(address.len()).unwrap_or(u16::MAX);
                bytes.put_u64_le(node.get());
                bytes.put_u8(role);
                bytes.put_u16_le(length);
                bytes.put_slice(address.as_bytes().get(..length.into()).unwrap_or_default());
            }
        }
        bytes.into()
    }

    /// The membership in the bytes of an entry.
    ///
    /// # Errors
    /// Bytes that [`Membership::encode`] cannot have written.
    pub fn decode(whole: &[u8]) -> Result<Self, DecodeMembershipError> {
        const BROKEN: DecodeMembershipError = DecodeMembershipError(());
        let mut bytes = whole;
        if bytes.try_get_u8() != Ok(VERSION) {
            return Err(BROKEN);
        }
        let (mut voters, mut learners, mut addresses) = (Vec::new(), Vec::new(), Vec::new());
        while bytes.has_remaining() {
            let node = bytes.try_get_u64_le().ok().and_then(NodeId::new);
            let node = node.ok_or(BROKEN)?;
            let role = bytes.try_get_u8().map_err(|_| BROKEN)?;
            let length = bytes.try_get_u16_le().map_err(|_| BROKEN)?;
            let (address, rest) = bytes.split_at_checked(length.into()).ok_or(BROKEN)?;
            bytes = rest;
            match role {
                ROLE_VOTER => voters.push(node),
                ROLE_LEARNER => learners.push(node),
                _ => return Err(BROKEN),
            }
            if !address.is_empty() {
                let address = core::str::from_utf8(address).map_err(|_| BROKEN)?;
                addresses.push((node, String::from(address)));
            }
        }
        if voters.is_empty() || voters.len() + learners.len() > Self::MAX_MEMBERS {
            return Err(BROKEN);
        }
        let membership = addresses.into_iter().fold(
            Self::new(voters, learners),
            |membership, (node, address)| membership.with_address(node, address),
        );
        // In another order, twice or in two roles: nobody wrote that.
        if membership.encode() != whole {
            return Err(BROKEN);
        }
        Ok(membership)
    }
}

/// Bytes that are no membership.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("these bytes are no membership")]
pub struct DecodeMembershipError(());

#[cfg(test)]
mod tests {
    use super::*;

    fn node(id: u64) -> NodeId {
        NodeId::new(id).unwrap()
    }

    fn sample() -> Membership {
        Membership::new([node(3), node(1)], [node(9)])
            .with_address(node(1), "10.0.0.1:7000")
            .with_address(node(9), "nine:7000")
    }

    /// Scenario C05
    #[test]
    fn a_membership_survives_its_bytes_with_every_member_and_address() {
        assert_eq!(Membership::decode(&sample().encode()), Ok(sample()));
    }

    /// Scenario C05
    #[test]
    fn an_empty_address_is_none_before_its_bytes_as_behind_them() {
        let moved = sample().with_address(node(1), "");
        assert_eq!(moved.address(node(1)), None);
        assert_eq!(Membership::decode(&moved.encode()), Ok(moved));
    }

    #[test]
    fn bytes_that_are_cut_or_changed_in_kind_are_refused() {
        let bytes = sample().encode();
        assert!(Membership::decode(&[]).is_err());
        for cut in 2..bytes.len() {
            let decoded = Membership::decode(&bytes[..cut]);
            assert_ne!(decoded, Ok(sample()), "{cut} bytes are not the whole");
        }
        let mut unknown = bytes.to_vec();
        unknown[0] = 9;
        assert!(Membership::decode(&unknown).is_err(), "a later version");
        let twice = Membership::new([node(1)], []).encode();
        let twice = [&twice[..], &twice[1..]].concat();
        assert!(
            Membership::decode(&twice).is_err(),
            "one member, named twice"
        );
        let nobody = Membership::new([], [node(1)]).encode();
        assert!(
            Membership::decode(&nobody).is_err(),
            "without a voter nothing could ever be decided"
        );
    }

    #[test]
    fn addresses_stay_with_those_who_stay() {
        let without = sample().without(node(9)).with_learner(node(9));
        assert_eq!(without.address(node(1)), Some("10.0.0.1:7000"));
        assert_eq!(without.address(node(9)), None, "it left, with its address");
        assert_eq!(
            sample().with_voter(node(9)).address(node(9)),
            Some("nine:7000")
        );
        assert_eq!(sample().with_address(node(7), "x").address(node(7)), None);
    }
}
