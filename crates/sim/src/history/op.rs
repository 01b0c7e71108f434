//! The operations of clients and their bytes. What an operation does is in `cell.rs`.

use std::fmt;

use bytes::Bytes;

use crate::digest::mix;

/// Names one operation of one client; used once in a seed. It stands in the command, and it is
/// what an append puts into a list, so that whatever happens to an operation can be seen.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct OpId(pub u64);

impl fmt::Display for OpId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "#{}", self.0)
    }
}

/// What a client asks for. Every key holds a list of operations and a number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Op {
    /// Appends its own id to the list. Answers with the length since.
    Append {
        /// Where.
        key: u8,
    },
    /// Adds to the number. Answers with the number before.
    Add {
        /// Where.
        key: u8,
        /// How much. The sum wraps.
        by: u64,
    },
    /// Replaces the number if it is the expected one. Answers with the number before.
    Cas {
        /// Where.
        key: u8,
        /// What it has to be.
        expect: u64,
        /// What it becomes then.
        new: u64,
    },
    /// Replaces the number. Answers with the number before.
    Put {
        /// Where.
        key: u8,
        /// What it becomes.
        value: u64,
    },
    /// Answers with everything at the key.
    Read {
        /// Where.
        key: u8,
    },
    /// Answers with everything at two keys, at one moment.
    ReadPair {
        /// One key.
        first: u8,
        /// The other one.
        second: u8,
    },
}

/// Id, kind, key and two numbers.
const HEAD: usize = 8 + 1 + 1 + 8 + 8;

impl Op {
    /// The least size of a command, in bytes.
    pub const MIN_COMMAND_BYTES: usize = HEAD;

    /// Whether it changes nothing, so that it can be answered without the log.
    #[must_use]
    pub const fn is_read(self) -> bool {
        match self {
            Self::Read { .. } | Self::ReadPair { .. } => true,
            Self::Append { .. } | Self::Add { .. } | Self::Cas { .. } | Self::Put { .. } => false,
        }
    }

    /// The key, and the other one where there are two.
    #[must_use]
    pub fn keys(self) -> (u8, Option<u8>) {
        match self {
            Self::Append { key }
            | Self::Add { key, .. }
            | Self::Cas { key, .. }
            | Self::Put { key, .. }
            | Self::Read { key } => (key, None),
            Self::ReadPair { first, second } => (first, (first != second).then_some(second)),
        }
    }

    /// The command of this operation, padded to `size` bytes, or to what it needs at least. The
    /// padding depends on the id; that of every fourth is zeros.
    #[must_use]
    pub fn encode(self, id: OpId, size: usize) -> Bytes {
        let (kind, key, first, second) = match self {
            Self::Append { key } => (1, key, 0, 0),
            Self::Add { key, by } => (2, key, by, 0),
            Self::Cas { key, expect, new } => (3, key, expect, new),
            Self::Put { key, value } => (4, key, value, 0),
            Self::Read { key } => (5, key, 0, 0),
            Self::ReadPair { first, second } => (6, first, u64::from(second), 0),
        };
        let mut bytes = Vec::with_capacity(size.max(HEAD));
        bytes.extend_from_slice(&id.0.to_le_bytes());
        bytes.extend_from_slice(&[kind, key]);
        bytes.extend_from_slice(&first.to_le_bytes());
        bytes.extend_from_slice(&second.to_le_bytes());
        bytes.resize(size.max(HEAD), padding(id));
        bytes.into()
    }

    /// The operation in a command and its id; `None` unless every byte is as it was encoded.
    #[must_use]
    pub fn decode(bytes: &[u8]) -> Option<(OpId, Self)> {
        let (id, rest) = bytes.split_first_chunk()?;
        let (&[kind, key], rest) = rest.split_first_chunk()?;
        let (first, rest) = rest.split_first_chunk()?;
        let (second, rest) = rest.split_first_chunk()?;
        let id = OpId(u64::from_le_bytes(*id));
        let (first, second) = (u64::from_le_bytes(*first), u64::from_le_bytes(*second));
        let op = match (kind, first, second) {
            (1, 0, 0) => Self::Append { key },
            (2, by, 0) => Self::Add { key, by },
            (3, expect, new) => Self::Cas { key, expect, new },
            (4, value, 0) => Self::Put { key, value },
            (5, 0, 0) => Self::Read { key },
            (6, second, 0) => Self::ReadPair {
                first: key,
                second: u8::try_from(second).ok()?,
            },
            _ => return None,
        };
        is_filled_with(rest, padding(id)).then_some((id, op))
    }
}

/// Whether every byte is `fill`. Compared in blocks, for which there are fast instructions: it is
/// asked of every command at every node.
fn is_filled_with(bytes: &[u8], fill: u8) -> bool {
    let block = [fill; 64];
    let (blocks, rest) = bytes.as_chunks::<64>();
    blocks.iter().all(|some| *some == block) && rest.iter().all(|byte| *byte == fill)
}

const fn padding(id: OpId) -> u8 {
    if id.0.is_multiple_of(4) {
        0
    } else {
        mix(id.0) as u8
    }
}

impl fmt::Display for Op {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Append { key } => write!(f, "append k{key}"),
            Self::Add { key, by } => write!(f, "add k{key} {by}"),
            Self::Cas { key, expect, new } => write!(f, "cas k{key} {expect}->{new}"),
            Self::Put { key, value } => write!(f, "put k{key} {value}"),
            Self::Read { key } => write!(f, "read k{key}"),
            Self::ReadPair { first, second } => write!(f, "read k{first} k{second}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn all() -> [Op; 6] {
        [
            Op::Append { key: 1 },
            Op::Add {
                key: 2,
                by: u64::MAX,
            },
            Op::Cas {
                key: 3,
                expect: 7,
                new: 8,
            },
            Op::Put { key: 255, value: 9 },
            Op::Read { key: 0 },
            Op::ReadPair {
                first: 1,
                second: 2,
            },
        ]
    }

    #[test]
    fn command_is_read_back_whatever_its_size() {
        for (op, size) in all().into_iter().zip([0, 26, 27, 600, 4096, 30]) {
            for id in [OpId(4), OpId(7), OpId(u64::MAX)] {
                let bytes = op.encode(id, size);
                assert_eq!(bytes.len(), size.max(Op::MIN_COMMAND_BYTES));
                assert_eq!(Op::decode(&bytes), Some((id, op)));
            }
        }
    }

    #[test]
    fn command_with_one_byte_changed_or_missing_is_never_the_same() {
        for op in all() {
            let bytes = op.encode(OpId(7), 40);
            for at in 0..bytes.len() {
                let mut changed = bytes.to_vec();
                changed[at] ^= 0x10;
                assert_ne!(Op::decode(&changed), Some((OpId(7), op)), "byte {at}");
            }
            for length in 0..Op::MIN_COMMAND_BYTES {
                assert_eq!(Op::decode(&bytes[..length]), None);
            }
        }
    }
}
