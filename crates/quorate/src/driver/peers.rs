//! Which nodes the transport has to reach, and where: the members in force, and whoever was one
//! until the change that let it go is applied here. It has to hear that it was removed.

use std::collections::BTreeMap;

use quorate_core::{LogIndex, Membership, NodeId};

/// The addresses of the peers.
#[derive(Debug)]
pub(super) struct Peers {
    /// Where the founders are, as this node was told at its start. Counts for those of whom the
    /// membership does not say it.
    founders: BTreeMap<NodeId, String>,
    reachable: BTreeMap<NodeId, String>,
    /// The membership in force, and its index, while somebody is still to be let go.
    settling: Option<(LogIndex, Membership)>,
}

impl Peers {
    pub(super) fn new(founders: BTreeMap<NodeId, String>) -> Self {
        Self {
            reachable: founders.clone(),
            founders,
            settling: None,
        }
    }

    /// The membership at `index` is in force; everything up to `handed` is applied. Gives back
    /// whom to reach from now on.
    pub(super) fn follow(
        &mut self,
        (index, membership): (LogIndex, Membership),
        handed: LogIndex,
    ) -> BTreeMap<NodeId, String> {
        let members = self.addresses(&membership);
        if index <= handed {
            self.reachable = members;
            self.settling = None;
        } else {
            self.reachable.extend(members);
            self.settling = Some((index, membership));
        }
        self.reachable.clone()
    }

    /// Everything up to `handed` is applied. Gives back whom to reach from now on, if that
    /// changes.
    pub(super) fn settle(&mut self, handed: LogIndex) -> Option<BTreeMap<NodeId, String>> {
        let (_, membership) = self.settling.take_if(|(index, _)| *index <= handed)?;
        let members = self.addresses(&membership);
        if members == self.reachable {
            return None;
        }
        self.reachable = members;
        Some(self.reachable.clone())
    }

    fn addresses(&self, membership: &Membership) -> BTreeMap<NodeId, String> {
        let address = |node| {
            let known = membership.address(node).filter(|known| !known.is_empty());
            let told = || self.founders.get(&node).map(String::as_str);
            known.or_else(told).unwrap_or_default().to_owned()
        };
        let members = membership.members();
        members.map(|node| (node, address(node))).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn node(id: u64) -> NodeId {
        NodeId::new(id).unwrap()
    }

    fn peers() -> Peers {
        let founders = [1, 2, 3].map(|id| (node(id), format!("founder-{id}")));
        Peers::new(founders.into())
    }

    /// Scenario H14
    #[test]
    fn who_joins_is_reached_at_the_address_in_the_membership() {
        let membership = Membership::new([1, 2, 3, 4].map(node), [])
            .with_address(node(2), "moved")
            .with_address(node(4), "four");
        let reached = peers().follow((LogIndex::new(7), membership), LogIndex::new(6));
        let at = |id| reached.get(&node(id)).map(String::as_str);
        assert_eq!(at(4), Some("four"));
        assert_eq!(at(2), Some("moved"), "the membership is the newer word");
        assert_eq!(at(3), Some("founder-3"), "of whom it says nothing");
    }

    /// Scenario A12
    #[test]
    fn who_leaves_is_let_go_when_that_is_applied_and_not_before() {
        let mut peers = peers();
        let two = Membership::new([1, 2].map(node), []);
        let reached = peers.follow((LogIndex::new(7), two.clone()), LogIndex::new(6));
        assert!(reached.contains_key(&node(3)), "it does not know yet");
        assert_eq!(peers.settle(LogIndex::new(6)), None);
        let reached = peers.settle(LogIndex::new(7)).unwrap();
        assert!(!reached.contains_key(&node(3)));
        assert_eq!(peers.settle(LogIndex::new(8)), None, "told once");
        let again = peers.follow((LogIndex::new(3), two), LogIndex::new(8));
        assert!(!again.contains_key(&node(3)), "that was applied long ago");
    }
}
