//! The replicated state: a map from keys to values, and what each operation does to it. A
//! function of the operations alone: the same batches in the same order give the same map and the
//! same replies on every node, so nothing here may read a clock or depend on the map's order.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use bytes::{Bytes, BytesMut};
use quorate::{ApplyContext, DecodeError, StateMachine};

use crate::codec;
use crate::integer;
use crate::op::{Batch, Op, ReadOp, SetAnswer, When, WriteOp};
use crate::resp::Reply;

/// The longest value, in bytes, as in Redis. Part of what is replicated: the same on all nodes.
const VALUE_BYTES_MAX: usize = 512 * 1024 * 1024;

const NOT_AN_INTEGER: Reply = error("ERR value is not an integer or out of range");
const OVERFLOW: Reply = error("ERR increment or decrement would overflow");
const VALUE_TOO_LONG: Reply = error("ERR string exceeds maximum allowed size");

const fn error(text: &'static str) -> Reply {
    Reply::Error(std::borrow::Cow::Borrowed(text))
}

/// The keys and values of one node.
#[derive(Debug, Default)]
pub struct Store {
    values: HashMap<Bytes, Bytes>,
    key_count: Arc<AtomicU64>,
}

impl Store {
    /// The number of keys, readable while the store is applying. Approximate: a batch under way
    /// is counted when it is complete.
    #[must_use]
    pub fn key_count(&self) -> Arc<AtomicU64> {
        Arc::clone(&self.key_count)
    }

    /// The answers to operations that change nothing.
    #[must_use]
    pub fn read_all(&self, ops: &[ReadOp]) -> Vec<Reply> {
        ops.iter().map(|op| self.read(op)).collect()
    }

    /// Carries out a batch and answers each of its operations.
    pub fn execute(&mut self, batch: &Batch) -> Vec<Reply> {
        let replies = batch
            .ops()
            .iter()
            .map(|op| match op {
                Op::Read(read) => self.read(read),
                Op::Write(write) => self.write(write),
            })
            .collect();
        self.key_count
            .store(self.values.len() as u64, Ordering::Relaxed);
        replies
    }

    fn read(&self, op: &ReadOp) -> Reply {
        match op {
            ReadOp::Get(key) => Reply::value(self.values.get(key).cloned()),
            ReadOp::GetMany(keys) => Reply::Array(
                keys.iter()
                    .map(|key| Reply::value(self.values.get(key).cloned()))
                    .collect(),
            ),
            ReadOp::Exists(keys) => Reply::count(
                keys.iter()
                    .filter(|key| self.values.contains_key(*key))
                    .count(),
            ),
            ReadOp::Length(key) => Reply::count(self.values.get(key).map_or(0, Bytes::len)),
            ReadOp::Size => Reply::count(self.values.len()),
        }
    }

    fn write(&mut self, op: &WriteOp) -> Reply {
        match op {
            WriteOp::Set {
                key,
                value,
                when,
                answer,
            } => self.set(key, value, *when, *answer),
            WriteOp::SetMany(pairs) => {
                for (key, value) in pairs {
                    self.insert(key, owned(value));
                }
                Reply::OK
            }
            WriteOp::Take(key) => Reply::value(self.values.remove(key)),
            WriteOp::Delete(keys) => Reply::count(
                keys.iter()
                    .filter(|key| self.values.remove(*key).is_some())
                    .count(),
            ),
            WriteOp::Add { key, delta } => self.add(key, *delta),
            WriteOp::Append { key, value } => self.append(key, value),
            WriteOp::Clear => {
                self.values = HashMap::new();
                Reply::OK
            }
        }
    }

    fn set(&mut self, key: &Bytes, value: &Bytes, when: When, answer: SetAnswer) -> Reply {
        let allowed = match when {
            When::Always => true,
            When::Missing => !self.values.contains_key(key),
            When::Present => self.values.contains_key(key),
        };
        let previous = if allowed {
            self.insert(key, owned(value))
        } else {
            self.values.get(key).cloned()
        };
        match answer {
            SetAnswer::Done if allowed => Reply::OK,
            SetAnswer::Done => Reply::Null,
            SetAnswer::Flag => Reply::Integer(i64::from(allowed)),
            SetAnswer::Previous => Reply::value(previous),
        }
    }

    fn add(&mut self, key: &Bytes, delta: i64) -> Reply {
        let Some(current) = self
            .values
            .get(key)
            .map_or(Some(0), |value| integer::parse(value))
        else {
            return NOT_AN_INTEGER;
        };
        let Some(sum) = current.checked_add(delta) else {
            return OVERFLOW;
        };
        self.insert(key, Bytes::from(sum.to_string()));
        Reply::Integer(sum)
    }

    fn append(&mut self, key: &Bytes, more: &Bytes) -> Reply {
        let Some(value) = self.values.get_mut(key) else {
            self.insert(key, owned(more));
            return Reply::count(more.len());
        };
        if value.len() + more.len() > VALUE_BYTES_MAX {
            return VALUE_TOO_LONG;
        }
        // Grows in place unless a reply under way still holds the value.
        let mut grown = std::mem::take(value)
            .try_into_mut()
            .unwrap_or_else(|shared| BytesMut::from(&shared[..]));
        grown.extend_from_slice(more);
        *value = grown.freeze();
        Reply::count(value.len())
    }

    /// Keeps the key that is there: the new one is a slice of an entry.
    fn insert(&mut self, key: &Bytes, value: Bytes) -> Option<Bytes> {
        if let Some(slot) = self.values.get_mut(key) {
            return Some(std::mem::replace(slot, value));
        }
        self.values.insert(owned(key), value)
    }
}

/// A copy of its own. What an entry holds is a slice of it: a small value kept as such would keep
/// the whole entry, or the whole frame it arrived in, in memory.
fn owned(slice: &Bytes) -> Bytes {
    Bytes::copy_from_slice(slice)
}

impl StateMachine for Store {
    type Command = Batch;
    type Response = Vec<Reply>;

    fn encode(batch: &Batch) -> Bytes {
        codec::encode(batch)
    }

    fn decode(bytes: Bytes) -> Result<Batch, DecodeError> {
        codec::decode(bytes)
    }

    fn apply(&mut self, _context: ApplyContext, batch: Batch) -> Vec<Reply> {
        self.execute(&batch)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stored_value_does_not_keep_its_entry_in_memory() {
        let entry = Bytes::from(vec![b'e'; 1 << 20]);
        let (key, value) = (entry.slice(..3), entry.slice(3..9));
        let mut store = Store::default();
        store.execute(&Batch::new(vec![Op::Write(WriteOp::SetMany(vec![(
            key, value,
        )]))]));
        assert!(entry.is_unique(), "six bytes would pin a megabyte");
    }

    #[test]
    fn value_in_a_reply_keeps_its_bytes_when_the_key_is_appended_to() {
        let key = Bytes::from_static(b"k");
        let append = |text: &'static str| {
            let value = Bytes::from_static(text.as_bytes());
            Batch::new(vec![Op::Write(WriteOp::Append {
                key: Bytes::from_static(b"k"),
                value,
            })])
        };
        let mut store = Store::default();
        store.execute(&append("one"));
        let before = store.read_all(&[ReadOp::Get(key.clone())]);
        assert_eq!(store.execute(&append("two")), [Reply::Integer(6)]);
        assert_eq!(before, [Reply::text("one")], "a reply on its way changed");
        assert_eq!(store.read_all(&[ReadOp::Get(key)]), [Reply::text("onetwo")]);
    }

    #[test]
    fn key_count_follows_the_batches() {
        let mut store = Store::default();
        let count = store.key_count();
        let pair = |key: &'static [u8]| (Bytes::from_static(key), Bytes::new());
        let set = WriteOp::SetMany(vec![pair(b"a"), pair(b"b"), pair(b"a")]);
        store.execute(&Batch::new(vec![Op::Write(set)]));
        assert_eq!(count.load(Ordering::Relaxed), 2);
        store.execute(&Batch::new(vec![Op::Write(WriteOp::Clear)]));
        assert_eq!(count.load(Ordering::Relaxed), 0);
    }
}
