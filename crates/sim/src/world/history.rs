//! Everything that a state machine has applied, as a snapshot holds it. Snapshots of one node
//! share what they have in common, so that one more costs what was applied since the one before,
//! and who installs one copies no entry.

use std::sync::Arc;

use quorate_core::{Entry, LogIndex};

use crate::shape::Shape;

/// A history from the first entry on, in blocks of which each knows the one before it.
#[derive(Clone, Debug, Default)]
pub(crate) struct History {
    newest: Option<Arc<Block>>,
}

#[derive(Debug)]
struct Block {
    before: History,
    entries: Box<[Entry]>,
    /// The shape of these alone.
    shape: Shape,
    /// Entries in this block and in all before it.
    count: usize,
}

impl History {
    /// This history, and `entries` behind it. `log` is the shape of a log that holds them all.
    #[must_use]
    pub(crate) fn and(&self, entries: &[Entry], log: &Shape) -> Self {
        if entries.is_empty() {
            return self.clone();
        }
        let (first, last) = (self.count(), self.count() + entries.len());
        Self {
            newest: Some(Arc::new(Block {
                before: self.clone(),
                entries: entries.into(),
                shape: log.part(first..last),
                count: last,
            })),
        }
    }

    /// How many entries there are.
    pub(crate) fn count(&self) -> usize {
        self.newest.as_ref().map_or(0, |block| block.count)
    }

    /// The entry at `index`.
    pub(crate) fn entry(&self, index: LogIndex) -> Option<&Entry> {
        let place = usize::try_from(index.get().checked_sub(1)?).ok()?;
        let block = self.blocks().find(|block| block.before.count() <= place)?;
        block.entries.get(place - block.before.count())
    }

    /// All entries, oldest first.
    pub(crate) fn to_vec(&self) -> Vec<Entry> {
        let blocks: Vec<_> = self.blocks().collect();
        let mut entries = Vec::with_capacity(self.count());
        for block in blocks.into_iter().rev() {
            entries.extend_from_slice(&block.entries);
        }
        entries
    }

    /// The shape of a log of all entries.
    pub(crate) fn shape(&self) -> Shape {
        let blocks: Vec<_> = self.blocks().collect();
        let parts = blocks.into_iter().rev().map(|block| &block.shape);
        Shape::of_parts(self.count(), parts)
    }

    /// The newest first.
    fn blocks(&self) -> impl Iterator<Item = &Block> {
        fn before<'a>(block: &&'a Block) -> Option<&'a Block> {
            block.before.newest.as_deref()
        }
        std::iter::successors(self.newest.as_deref(), before)
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
        let log = Shape::of(&[1; 8]);
        let short = History::default().and(&entries(1..4), &log);
        let one = short.and(&entries(4..9), &log);
        let other = short.and(&entries(4..5), &log);
        assert_eq!(short.to_vec(), entries(1..4));
        assert_eq!(one.to_vec(), entries(1..9));
        drop(short);
        assert_eq!(other.to_vec(), entries(1..5));
        assert_eq!(other.and(&[], &log).count(), 4);
        for index in 0..10 {
            let index = LogIndex::new(index);
            let found = one.entry(index).map(|entry| entry.index);
            let is_in = (1..9).contains(&index.get());
            assert_eq!(found, is_in.then_some(index));
            assert_eq!(one.shape().mark(index), log.mark(index));
        }
    }

    #[test]
    fn a_long_history_is_dropped_without_running_out_of_stack() {
        let (mut long, log) = (History::default(), Shape::default());
        for index in 1..200_000 {
            long = long.and(&entries(index..index + 1), &log);
        }
        assert_eq!(long.count(), 199_999);
        drop(long);
    }
}
