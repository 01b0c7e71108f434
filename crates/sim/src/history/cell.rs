//! What stands at one key, what each operation does to it, and what it answers.

use std::fmt;

use super::op::{Op, OpId};
use crate::digest::mix;

/// What stands at one key: a list, told by its length, its end and a hash of all of it, and a
/// number. Lists that differ anywhere have different hashes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Cell {
    /// The length of the list.
    pub length: u64,
    /// A hash of the list, in order.
    pub chain: u64,
    /// What was appended last; 0 for an empty list.
    pub last: u64,
    /// The number.
    pub number: u64,
}

/// What an operation answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reply {
    /// The length of the list since.
    Length(u64),
    /// The number before.
    Before(u64),
    /// What stands at the key.
    Cell(Cell),
    /// What stands at the first and at the second key.
    Pair(Cell, Cell),
}

impl Cell {
    /// Does `op`, whose key this is. Of a pair it reads this key alone.
    pub(super) const fn apply(&mut self, id: OpId, op: Op) -> Reply {
        let before = self.number;
        match op {
            Op::Append { .. } => {
                self.length += 1;
                self.chain = mix(self.chain.rotate_left(5) ^ id.0);
                self.last = id.0;
                return Reply::Length(self.length);
            }
            Op::Add { by, .. } => self.number = before.wrapping_add(by),
            Op::Cas { expect, new, .. } => {
                if before == expect {
                    self.number = new;
                }
            }
            Op::Put { value, .. } => self.number = value,
            Op::Read { .. } | Op::ReadPair { .. } => return Reply::Cell(*self),
        }
        Reply::Before(before)
    }

    /// A hash of what stands here under `key`; 0 for nothing.
    pub(super) fn hash(self, key: u8) -> u64 {
        if self == Self::default() {
            return 0;
        }
        let list = mix(self.chain ^ mix(self.length)) ^ mix(self.last.rotate_left(17));
        mix(list ^ mix(self.number ^ (u64::from(key) << 56)))
    }
}

impl Reply {
    /// What `op`, of which this is the answer, said of `key`.
    pub(super) fn of_key(self, op: Op, key: u8) -> Self {
        match (self, op) {
            (Self::Pair(first, second), Op::ReadPair { first: one, .. }) => {
                Self::Cell(if one == key { first } else { second })
            }
            (Self::Length(_) | Self::Before(_) | Self::Cell(_) | Self::Pair(..), _) => self,
        }
    }
}

impl fmt::Display for Cell {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.length {
            0 => write!(f, "[]")?,
            1 => write!(f, "[#{}]", self.last)?,
            length => write!(f, "[{length}: ..#{} {:04x}]", self.last, self.chain >> 48)?,
        }
        write!(f, " {}", self.number)
    }
}

impl fmt::Display for Reply {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Length(length) => write!(f, "length {length}"),
            Self::Before(number) => write!(f, "was {number}"),
            Self::Cell(cell) => write!(f, "{cell}"),
            Self::Pair(first, second) => write!(f, "{first}, {second}"),
        }
    }
}
