//! Everything that a state machine has applied, as a snapshot holds it. Snapshots of one node
//! share what they have in common, so that one more costs what was applied since the one before.

use std::sync::Arc;

use quorate_core::Entry;

/// A history from the first entry on, in blocks of which each knows the one before it.
#[derive(Clone, Debug, Default)]
pub(crate) struct History {
    newest: Option<Arc<Block>>,
}

#[derive(Debug)]
struct Block {
    before: History,
    entries: Box<[Entry]>,
    /// Entries in this block and in all before it.
    count: usize,
}

impl History {
    /// This history, and `entries` behind it.
    #[must_use]
    pub(crate) fn and(&self, entries: &[Entry]) -> Self {
        if entries.is_empty() {
            return self.clone();
        }
        Self {
            newest: Some(Arc::new(Block {
                before: self.clone(),
                entries: entries.into(),
                count: self.count() + entries.len(),
            })),
        }
    }

    /// How many entries there are.
    pub(crate) fn count(&self) -> usize {
        self.newest.as_ref().map_or(0, |block| block.count)
    }

    /// All entries, oldest first.
    pub(crate) fn to_vec(&self) -> Vec<Entry> {
        let mut blocks = Vec::new();
        let mut next = self.newest.as_deref();
        while let Some(block) = next {
            blocks.push(&block.entries);
            next = block.before.newest.as_deref();
        }
        let mut entries = Vec::with_capacity(self.count());
        for block in blocks.into_iter().rev() {
            entries.extend_from_slice(block);
        }
        entries
    }
}

impl Drop for History {
    /// Block by block: a long history is not to be a deep recursion.
    fn drop(&mut self) {
        let mut next = self.newest.take();
        while let Some(block) = next.and_then(Arc::into_inner) {
            next = { block }.before.newest.take();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use quorate_core::{LogIndex, Payload, Term};

    fn entries(range: std::ops::Range<u64>) -> Vec<Entry> {
        let entry = |index| Entry {
            index: LogIndex::new(index),
            term: Term::new(1),
            payload: Payload::Noop,
        };
        range.map(entry).collect()
    }

    #[test]
    fn a_history_holds_what_it_was_made_of_also_when_others_go_on_from_it() {
        let short = History::default().and(&entries(1..4));
        let (one, other) = (short.and(&entries(4..9)), short.and(&entries(4..5)));
        assert_eq!(short.to_vec(), entries(1..4));
        assert_eq!(one.to_vec(), entries(1..9));
        drop(short);
        assert_eq!(other.to_vec(), entries(1..5));
        assert_eq!(other.and(&[]).count(), 4);
    }

    #[test]
    fn a_long_history_is_dropped_without_running_out_of_stack() {
        let mut long = History::default();
        for index in 1..200_000 {
            long = long.and(&entries(index..index + 1));
        }
        assert_eq!(long.count(), 199_999);
        drop(long);
    }
}
