//! Nodes of the cluster that are no members here: they were removed and do not know it, or were
//! added and this node has not heard of it. They are listened to, and answered where they say
//! that they can be reached; a member whose word depends on it might else never be counted
//! (scenarios A12, A13).

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use quorate_core::NodeId;

/// Guests at a time. A cluster changes by one node at a time.
const MAX_GUESTS: usize = 16;

/// Where guests can be reached, by their own word. Clones share it.
#[derive(Clone, Debug, Default)]
pub(super) struct Guests(Arc<Mutex<BTreeMap<NodeId, String>>>);

impl Guests {
    /// Takes note of a guest. `false` if there is no way to answer it, or there are too many.
    pub(super) fn welcome(&self, node: NodeId, address: &str) -> bool {
        let mut guests = self.lock();
        let has_room = guests.contains_key(&node) || guests.len() < MAX_GUESTS;
        if address.is_empty() || !has_room {
            return false;
        }
        guests.insert(node, address.to_owned());
        true
    }

    /// Where a guest said that it can be reached.
    pub(super) fn address(&self, node: NodeId) -> Option<String> {
        self.lock().get(&node).cloned()
    }

    /// Forgets them all: who is one still, says so again when it connects.
    pub(super) fn forget(&self) {
        self.lock().clear();
    }

    /// No operation leaves the table half changed, so a panic elsewhere while the lock was held
    /// does no harm.
    fn lock(&self) -> MutexGuard<'_, BTreeMap<NodeId, String>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
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
        let guests = Guests::default();
        assert!(!guests.welcome(node(1), ""), "it could not be answered");
        let welcome = |id| guests.welcome(node(id), "a:1");
        assert_eq!((1..100).filter(|&id| welcome(id)).count(), MAX_GUESTS);
        assert!(guests.welcome(node(1), "a:2"), "it is known, and moved");
        assert_eq!(guests.address(node(1)).as_deref(), Some("a:2"));
        guests.forget();
        assert_eq!(guests.address(node(1)), None);
        assert!(welcome(50));
    }
}
