//! The table of guests, between the task that hears who dials and the transport that answers. What
//! it decides is in `link/guests.rs`.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use quorate_core::NodeId;

use crate::link::Guests;

/// Where guests can be reached, by their own word. Clones share it.
#[derive(Clone, Debug, Default)]
pub(super) struct SharedGuests(Arc<Mutex<Table>>);

#[derive(Debug, Default)]
struct Table {
    guests: Guests,
    /// How many connections each guest has, in their handshake or beyond it.
    seats: BTreeMap<NodeId, usize>,
    /// How often all guests were forgotten. Seats from before are nobody's.
    evening: u64,
}

/// A guest's connection. When its last one is gone, so is the guest: a node that came once and
/// never again must not keep others out.
#[derive(Debug)]
pub(super) struct Seat {
    table: SharedGuests,
    guest: NodeId,
    evening: u64,
}

impl SharedGuests {
    /// See [`Guests::welcome`]. The guest stays for as long as its connections do.
    pub(super) fn welcome(&self, guest: NodeId, address: &str) -> Option<Seat> {
        let mut table = self.lock();
        if !table.guests.welcome(guest, address) {
            return None;
        }
        *table.seats.entry(guest).or_default() += 1;
        Some(Seat {
            table: self.clone(),
            guest,
            evening: table.evening,
        })
    }

    /// See [`Guests::address`].
    pub(super) fn address(&self, node: NodeId) -> Option<String> {
        self.lock().guests.address(node).map(str::to_owned)
    }

    /// See [`Guests::forget`].
    pub(super) fn forget(&self) {
        let mut table = self.lock();
        table.guests.forget();
        table.seats.clear();
        table.evening += 1;
    }

    /// No operation leaves the table half changed, so a panic elsewhere while the lock was held
    /// does no harm.
    fn lock(&self) -> MutexGuard<'_, Table> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        let mut table = self.table.lock();
        if self.evening != table.evening {
            return;
        }
        let left = table.seats.get(&self.guest).map_or(0, |seats| seats - 1);
        if left > 0 {
            table.seats.insert(self.guest, left);
        } else {
            table.seats.remove(&self.guest);
            table.guests.leave(self.guest);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn guest_stays_for_as_long_as_one_of_its_connections() {
        let guests = SharedGuests::default();
        let guest = NodeId::new(7).unwrap();
        let address = |guests: &SharedGuests| guests.address(guest);
        let older = guests.welcome(guest, "a:1");
        let newer = guests.welcome(guest, "a:2");
        drop(older);
        assert_eq!(address(&guests).as_deref(), Some("a:2"));
        drop(newer);
        assert_eq!(address(&guests), None);

        let former = guests.welcome(guest, "a:1");
        guests.forget();
        let present = guests.welcome(guest, "a:1");
        drop(former);
        assert!(address(&guests).is_some(), "that was another visit");
        drop(present);
        assert_eq!(address(&guests), None);
    }
}
