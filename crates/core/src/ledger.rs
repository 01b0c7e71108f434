//! Bytes that were given out in order and come back in order: appends in flight, uncommitted
//! entries, entries handed to apply. Only the accounting; limits are the caller's.

use alloc::collections::VecDeque;

use crate::LogIndex;

/// A queue of (last index, bytes), with its sum.
#[derive(Debug, Default)]
pub(crate) struct Ledger {
    batches: VecDeque<(LogIndex, u64)>,
    bytes: u64,
}

impl Ledger {
    /// Notes a batch that ends at `last`, behind all noted before.
    pub(crate) fn push(&mut self, last: LogIndex, bytes: u64) {
        self.batches.push_back((last, bytes));
        self.bytes += bytes;
    }

    /// Strikes out every batch that ends at `index` or before.
    pub(crate) fn release_through(&mut self, index: LogIndex) {
        while let Some(&(last, bytes)) = self.batches.front()
            && last <= index
        {
            self.batches.pop_front();
            self.bytes -= bytes;
        }
    }

    /// Strikes out everything.
    pub(crate) fn clear(&mut self) {
        self.batches.clear();
        self.bytes = 0;
    }

    /// How many batches are out.
    pub(crate) fn len(&self) -> usize {
        self.batches.len()
    }

    /// Whether nothing is out.
    pub(crate) fn is_empty(&self) -> bool {
        self.batches.is_empty()
    }

    /// How many bytes are out.
    pub(crate) const fn bytes(&self) -> u64 {
        self.bytes
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_whole_batches_are_released() {
        let mut ledger = Ledger::default();
        ledger.push(LogIndex::new(3), 30);
        ledger.push(LogIndex::new(5), 20);
        ledger.release_through(LogIndex::new(4));
        assert_eq!((ledger.len(), ledger.bytes()), (1, 20));
        ledger.release_through(LogIndex::new(9));
        assert!(ledger.is_empty());
        assert_eq!(ledger.bytes(), 0);
    }
}
