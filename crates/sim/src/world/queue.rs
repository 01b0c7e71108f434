//! The future of a world: what will happen, ordered by time and, within one instant, by the order
//! in which it was decided. What the happenings mean is in `world/mod.rs`.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

/// The bits of a slot in a key.
const SLOT_MASK: u32 = (1 << 24) - 1;

/// Happenings to come. Only small keys move in the heap; the happenings stay in their slots.
#[derive(Debug)]
pub(crate) struct Agenda<T> {
    heap: BinaryHeap<Reverse<u128>>,
    slots: Vec<Option<T>>,
    free: Vec<u32>,
    decided: u64,
}

impl<T> Agenda<T> {
    /// A future in which nothing happens.
    pub(crate) const fn new() -> Self {
        Self {
            heap: BinaryHeap::new(),
            slots: Vec::new(),
            free: Vec::new(),
            decided: 0,
        }
    }

    /// `happening` will come at `at`, in nanoseconds of the world.
    pub(crate) fn push(&mut self, at: u64, happening: T) {
        let slot = self.free.pop().unwrap_or_else(|| {
            self.slots.push(None);
            (self.slots.len() - 1) as u32
        });
        if let Some(place) = self.slots.get_mut(slot as usize) {
            *place = Some(happening);
        }
        self.decided += 1;
        self.heap.push(Reverse(key(at, self.decided, slot)));
    }

    /// The next happening and its time.
    pub(crate) fn pop(&mut self) -> Option<(u64, T)> {
        let Reverse(key) = self.heap.pop()?;
        let (at, slot) = ((key >> 64) as u64, key as u32 & SLOT_MASK);
        let happening = self.slots.get_mut(slot as usize)?.take()?;
        self.free.push(slot);
        Some((at, happening))
    }
}

/// Time, order and slot in one number, which compares faster than three: 64, 40 and 24 bits. More
/// happenings than fit would take days, more slots more memory than a world has.
fn key(at: u64, decided: u64, slot: u32) -> u128 {
    debug_assert!(slot <= SLOT_MASK && decided < 1 << 40, "the future is full");
    u128::from(at) << 64 | u128::from(decided << 24 | u64::from(slot))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn happenings_come_by_time_and_then_in_the_order_decided() {
        let mut agenda = Agenda::new();
        for (at, name) in [(5, "late"), (1, "first"), (1, "second")] {
            agenda.push(at, name);
        }
        assert_eq!(agenda.pop(), Some((1, "first")));
        agenda.push(1, "third, in the slot of the first");
        assert_eq!(agenda.pop(), Some((1, "second")));
        assert_eq!(agenda.pop(), Some((1, "third, in the slot of the first")));
        assert_eq!(agenda.pop(), Some((5, "late")));
        assert_eq!(agenda.pop(), None);
    }
}
