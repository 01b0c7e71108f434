//! The table of guests, between the task that hears who dials and the transport that answers. What
//! it decides is in `link/guests.rs`.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use quorate_core::NodeId;

use crate::link::Guests;

/// Where guests can be reached, by their own word. Clones share it.
#[derive(Clone, Debug, Default)]
pub(super) struct SharedGuests(Arc<Mutex<Guests>>);

impl SharedGuests {
    /// See [`Guests::welcome`].
    pub(super) fn welcome(&self, node: NodeId, address: &str) -> bool {
        self.lock().welcome(node, address)
    }

    /// See [`Guests::address`].
    pub(super) fn address(&self, node: NodeId) -> Option<String> {
        self.lock().address(node).map(str::to_owned)
    }

    /// See [`Guests::forget`].
    pub(super) fn forget(&self) {
        self.lock().forget();
    }

    /// No operation leaves the table half changed, so a panic elsewhere while the lock was held
    /// does no harm.
    fn lock(&self) -> MutexGuard<'_, Guests> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
