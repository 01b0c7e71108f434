//! What is done to the store: operations, split into those that only look and those that change
//! it, and the batch that is replicated as one entry. Not their bytes: those are in `codec.rs`;
//! nor their effect, which is in `store.rs`.

use std::sync::Arc;

use bytes::Bytes;

/// One operation on the store.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Op {
    /// Changes nothing.
    Read(ReadOp),
    /// May change something.
    Write(WriteOp),
}

/// An operation that changes nothing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ReadOp {
    /// The value of a key, or null.
    Get(Bytes),
    /// The values of keys, null for each that does not exist.
    GetMany(Vec<Bytes>),
    /// How many of the keys exist; one named twice counts twice.
    Exists(Vec<Bytes>),
    /// The length of a value in bytes; zero without one.
    Length(Bytes),
    /// How many keys there are.
    Size,
}

/// An operation that may change something.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum WriteOp {
    /// Gives a key a value.
    Set {
        /// The key.
        key: Bytes,
        /// Its new value.
        value: Bytes,
        /// When to do so.
        when: When,
        /// What to answer.
        answer: SetAnswer,
    },
    /// Gives keys their values, all at once.
    SetMany(Vec<(Bytes, Bytes)>),
    /// Removes a key and answers its value, or null.
    Take(Bytes),
    /// Removes keys and answers how many existed.
    Delete(Vec<Bytes>),
    /// Adds to the integer at a key (zero without one) and answers the sum.
    Add {
        /// The key.
        key: Bytes,
        /// What to add.
        delta: i64,
    },
    /// Appends to the value of a key (empty without one) and answers its new length.
    Append {
        /// The key.
        key: Bytes,
        /// What to append.
        value: Bytes,
    },
    /// Removes every key.
    Clear,
}

/// The condition of a [`WriteOp::Set`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum When {
    /// None.
    Always,
    /// Only if the key does not exist.
    Missing,
    /// Only if the key exists.
    Present,
}

/// What a [`WriteOp::Set`] answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SetAnswer {
    /// `OK`, or null if the condition did not hold.
    Done,
    /// 1, or 0 if the condition did not hold.
    Flag,
    /// The value before, or null.
    Previous,
}

/// Operations that are replicated as one entry: all of them take effect, in order and with
/// nothing in between, or none does. Reads may stand among them. Cheap to clone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Batch(Arc<[Op]>);

impl Batch {
    /// These operations, in this order.
    #[must_use]
    pub fn new(ops: Vec<Op>) -> Self {
        Self(ops.into())
    }

    /// The operations.
    #[must_use]
    pub fn ops(&self) -> &[Op] {
        &self.0
    }
}
