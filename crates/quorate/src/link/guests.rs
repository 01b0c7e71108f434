//! Nodes of the cluster that are no members here: they were removed and do not know it, or were
//! added and this node has not heard of it. They are listened to, and answered where they say
//! that they can be reached; a member whose word depends on it might else never be counted
//! (scenarios A12, A13).

use std::collections::BTreeMap;

use quorate_core::NodeId;

/// Guests at a time. A cluster changes by one node at a time.
const MAX_GUESTS: usize = 16;

/// Where guests can be reached, by their own word. Whom it welcomes is expected beside the members.
#[derive(Clone, Debug, Default)]
pub struct Guests(BTreeMap<NodeId, String>);

impl Guests {
    /// Takes note of a guest. `false` if there is no way to answer it, or there are too many.
    pub fn welcome(&mut self, node: NodeId, address: &str) -> bool {
        let has_room = self.0.contains_key(&node) || self.0.len() < MAX_GUESTS;
        if address.is_empty() || !has_room {
            return false;
        }
        self.0.insert(node, address.to_owned());
        true
    }

    /// Where a guest said that it can be reached; `None` if the node is not one.
    #[must_use]
    pub fn address(&self, node: NodeId) -> Option<&str> {
        self.0.get(&node).map(String::as_str)
    }

    /// Forgets one: it has left, and makes room for another.
    pub fn leave(&mut self, node: NodeId) {
        self.0.remove(&node);
    }

    /// Forgets them all, when the members change: who is a guest still, says so again when it
    /// connects.
    pub fn forget(&mut self) {
        self.0.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn node(id: u64) -> NodeId {
        NodeId::new(id).unwrap()
    }

    #[test]
    fn guests_are_welcome_up_to_a_number_if_they_can_be_answered() {
        let mut guests = Guests::default();
        assert!(!guests.welcome(node(1), ""), "it could not be answered");
        let mut welcome = |id| guests.welcome(node(id), "a:1");
        assert_eq!((1..100).filter(|&id| welcome(id)).count(), MAX_GUESTS);
        assert!(guests.welcome(node(1), "a:2"), "it is known, and moved");
        assert_eq!(guests.address(node(1)), Some("a:2"));
        assert!(!guests.welcome(node(50), "a:1"), "there is no room");
        guests.leave(node(1));
        assert!(guests.welcome(node(50), "a:1"), "one of them has left");
        guests.forget();
        assert_eq!(guests.address(node(50)), None);
        assert!(guests.welcome(node(50), "a:1"));
    }
}
