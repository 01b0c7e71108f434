//! The state machine that clients of a simulated cluster work on: the reference of the checkers,
//! and what every simulated node applies to.

use super::cell::{Cell, Reply};
use super::op::{Op, OpId};

/// All keys. A key at which nothing was written yet is empty, with the number 0.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Model {
    cells: Vec<Cell>,
    hash: u64,
}

impl Model {
    /// Does `op`. The same operations in the same order give the same answers and the same state.
    pub fn apply(&mut self, id: OpId, op: Op) -> Reply {
        if op.is_read() {
            return self.read(op);
        }
        let (key, _) = op.keys();
        let mut cell = self.cell(key);
        self.hash ^= cell.hash(key);
        let reply = cell.apply(id, op);
        self.hash ^= cell.hash(key);
        let at = usize::from(key);
        if self.cells.len() <= at {
            self.cells.resize(at + 1, Cell::default());
        }
        if let Some(place) = self.cells.get_mut(at) {
            *place = cell;
        }
        reply
    }

    /// What `op` would answer now, without doing it.
    #[must_use]
    pub fn read(&self, op: Op) -> Reply {
        match op {
            Op::ReadPair { first, second } => Reply::Pair(self.cell(first), self.cell(second)),
            Op::Append { key }
            | Op::Add { key, .. }
            | Op::Cas { key, .. }
            | Op::Put { key, .. }
            | Op::Read { key } => self.cell(key).apply(OpId(0), op),
        }
    }

    /// What stands at `key`.
    #[must_use]
    pub fn cell(&self, key: u8) -> Cell {
        self.cells
            .get(usize::from(key))
            .copied()
            .unwrap_or_default()
    }

    /// A hash of everything. It costs nothing, whatever there is.
    #[must_use]
    pub const fn state_hash(&self) -> u64 {
        self.hash
    }

    /// Everything as bytes, for a snapshot.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let words = |cell: &Cell| [cell.length, cell.chain, cell.last, cell.number];
        let words = self.cells.iter().flat_map(words);
        words.flat_map(u64::to_le_bytes).collect()
    }

    /// What [`Model::encode`] made bytes of; `None` for other bytes.
    #[must_use]
    pub fn decode(bytes: &[u8]) -> Option<Self> {
        let (words, rest) = bytes.as_chunks::<8>();
        let words: Vec<u64> = words.iter().map(|word| u64::from_le_bytes(*word)).collect();
        let (cells, left) = words.as_chunks::<4>();
        if !rest.is_empty() || !left.is_empty() || cells.len() > 256 {
            return None;
        }
        let cells: Vec<Cell> = cells
            .iter()
            .map(|&[length, chain, last, number]| Cell {
                length,
                chain,
                last,
                number,
            })
            .collect();
        let hash = (0..).zip(&cells).map(|(key, cell)| cell.hash(key));
        let hash = hash.fold(0, |all, one| all ^ one);
        Some(Self { cells, hash })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn operations_do_and_answer_what_they_say() {
        let mut model = Model::default();
        assert_eq!(
            model.apply(OpId(1), Op::Append { key: 3 }),
            Reply::Length(1)
        );
        assert_eq!(
            model.apply(OpId(2), Op::Append { key: 3 }),
            Reply::Length(2)
        );
        assert_eq!(
            model.apply(OpId(3), Op::Add { key: 3, by: 5 }),
            Reply::Before(0)
        );
        let cas = |expect, new| Op::Cas {
            key: 3,
            expect,
            new,
        };
        assert_eq!(
            model.apply(OpId(4), cas(4, 9)),
            Reply::Before(5),
            "not done"
        );
        assert_eq!(model.apply(OpId(5), cas(5, 9)), Reply::Before(5));
        assert_eq!(
            model.apply(OpId(6), Op::Put { key: 0, value: 2 }),
            Reply::Before(0)
        );
        let Reply::Pair(first, second) = model.read(Op::ReadPair {
            first: 3,
            second: 0,
        }) else {
            panic!("a pair answers with a pair")
        };
        assert_eq!((first.length, first.last, first.number), (2, 2, 9));
        assert_eq!((second.length, second.number), (0, 2));
    }

    #[test]
    fn state_hash_tells_order_keys_and_values_apart() {
        let after = |ops: &[(u64, Op)]| {
            let mut model = Model::default();
            for &(id, op) in ops {
                model.apply(OpId(id), op);
            }
            model.state_hash()
        };
        let append = |key| Op::Append { key };
        let hashes = [
            after(&[]),
            after(&[(1, append(0)), (2, append(0))]),
            after(&[(2, append(0)), (1, append(0))]),
            after(&[(1, append(0)), (2, append(1))]),
            after(&[(2, append(0)), (1, append(1))]),
            after(&[(1, Op::Put { key: 0, value: 7 })]),
            after(&[(1, Op::Put { key: 1, value: 7 })]),
        ];
        for (at, hash) in hashes.iter().enumerate() {
            assert!(!hashes[..at].contains(hash), "{at} looks like another one");
        }
        let back = after(&[
            (1, Op::Add { key: 5, by: 2 }),
            (2, Op::Put { key: 5, value: 0 }),
        ]);
        assert_eq!(back, 0, "the state decides, not the way to it");
    }

    #[test]
    fn snapshot_is_read_back_and_other_bytes_are_refused() {
        let mut model = Model::default();
        model.apply(OpId(1), Op::Append { key: 2 });
        model.apply(OpId(2), Op::Put { key: 7, value: 3 });
        let bytes = model.encode();
        assert_eq!(Model::decode(&bytes), Some(model));
        assert_eq!(Model::decode(&bytes[1..]), None);
        assert_eq!(Model::decode(&bytes[8..]), None);
    }
}
