//! The replicated form of a batch:
//!
//! ```text
//! version: u8 = 1 | count: varint | operation * count
//! operation: code: u8 | fields
//! bytes: length: varint | the bytes        list: count: varint | item * count
//! ```
//!
//! A varint is little-endian base 128. Decoding takes slices of the entry, accepts only what
//! encoding writes, and sets aside no memory for a count that the input does not back.

use bytes::{Buf as _, BufMut as _, Bytes, BytesMut};
use quorate::DecodeError;

use crate::op::{Batch, Op, ReadOp, SetAnswer, When, WriteOp};

const VERSION: u8 = 1;

/// The bytes of an operation besides its keys and values, at most: a code, two flags and the
/// lengths of two fields.
const FIXED_BYTES_MAX: usize = 3 + 2 * VARINT_BYTES_MAX;
const VARINT_BYTES_MAX: usize = 10;

/// The bytes of a batch besides its operations, at most.
pub const BATCH_OVERHEAD_BYTES: usize = 1 + VARINT_BYTES_MAX;

mod code {
    pub(super) const GET: u8 = 1;
    pub(super) const GET_MANY: u8 = 2;
    pub(super) const EXISTS: u8 = 3;
    pub(super) const LENGTH: u8 = 4;
    pub(super) const SIZE: u8 = 5;
    pub(super) const SET: u8 = 16;
    pub(super) const SET_MANY: u8 = 17;
    pub(super) const TAKE: u8 = 18;
    pub(super) const DELETE: u8 = 19;
    pub(super) const ADD: u8 = 20;
    pub(super) const APPEND: u8 = 21;
    pub(super) const CLEAR: u8 = 22;
}

/// An upper bound of the encoded size of an operation, in bytes.
#[must_use]
pub fn size_bound(op: &Op) -> usize {
    let list = |keys: &[Bytes]| keys.iter().map(|key| key.len() + VARINT_BYTES_MAX).sum();
    let fields: usize = match op {
        Op::Read(ReadOp::Get(key) | ReadOp::Length(key)) | Op::Write(WriteOp::Take(key)) => {
            key.len()
        }
        Op::Read(ReadOp::GetMany(keys) | ReadOp::Exists(keys))
        | Op::Write(WriteOp::Delete(keys)) => list(keys),
        Op::Read(ReadOp::Size) | Op::Write(WriteOp::Clear) => 0,
        Op::Write(WriteOp::Set { key, value, .. } | WriteOp::Append { key, value }) => {
            key.len() + value.len()
        }
        Op::Write(WriteOp::SetMany(pairs)) => pairs
            .iter()
            .map(|(key, value)| key.len() + value.len() + 2 * VARINT_BYTES_MAX)
            .sum(),
        Op::Write(WriteOp::Add { key, .. }) => key.len() + size_of::<i64>(),
    };
    FIXED_BYTES_MAX + fields
}

/// The entry that replicates `batch`.
#[must_use]
pub fn encode(batch: &Batch) -> Bytes {
    let size: usize = batch.ops().iter().map(size_bound).sum();
    let mut out = BytesMut::with_capacity(BATCH_OVERHEAD_BYTES + size);
    out.put_u8(VERSION);
    put_count(&mut out, batch.ops().len());
    for op in batch.ops() {
        match op {
            Op::Read(read) => put_read(&mut out, read),
            Op::Write(write) => put_write(&mut out, write),
        }
    }
    out.freeze()
}

fn put_read(out: &mut BytesMut, op: &ReadOp) {
    match op {
        ReadOp::Get(key) => put_coded(out, code::GET, key),
        ReadOp::GetMany(keys) => put_list(out, code::GET_MANY, keys),
        ReadOp::Exists(keys) => put_list(out, code::EXISTS, keys),
        ReadOp::Length(key) => put_coded(out, code::LENGTH, key),
        ReadOp::Size => out.put_u8(code::SIZE),
    }
}

fn put_write(out: &mut BytesMut, op: &WriteOp) {
    match op {
        WriteOp::Set {
            key,
            value,
            when,
            answer,
        } => {
            put_coded(out, code::SET, key);
            put_bytes(out, value);
            out.put_u8(match when {
                When::Always => 0,
                When::Missing => 1,
                When::Present => 2,
            });
            out.put_u8(match answer {
                SetAnswer::Done => 0,
                SetAnswer::Flag => 1,
                SetAnswer::Previous => 2,
            });
        }
        WriteOp::SetMany(pairs) => {
            out.put_u8(code::SET_MANY);
            put_count(out, pairs.len());
            for (key, value) in pairs {
                put_bytes(out, key);
                put_bytes(out, value);
            }
        }
        WriteOp::Take(key) => put_coded(out, code::TAKE, key),
        WriteOp::Delete(keys) => put_list(out, code::DELETE, keys),
        WriteOp::Add { key, delta } => {
            put_coded(out, code::ADD, key);
            out.put_i64_le(*delta);
        }
        WriteOp::Append { key, value } => {
            put_coded(out, code::APPEND, key);
            put_bytes(out, value);
        }
        WriteOp::Clear => out.put_u8(code::CLEAR),
    }
}

fn put_coded(out: &mut BytesMut, code: u8, field: &Bytes) {
    out.put_u8(code);
    put_bytes(out, field);
}

fn put_list(out: &mut BytesMut, code: u8, fields: &[Bytes]) {
    out.put_u8(code);
    put_count(out, fields.len());
    for field in fields {
        put_bytes(out, field);
    }
}

fn put_bytes(out: &mut BytesMut, bytes: &Bytes) {
    put_count(out, bytes.len());
    out.put_slice(bytes);
}

fn put_count(out: &mut BytesMut, count: usize) {
    let mut rest = count as u64;
    while rest >= 0x80 {
        out.put_u8(rest as u8 | 0x80);
        rest >>= 7;
    }
    out.put_u8(rest as u8);
}

/// The batch in an entry.
///
/// # Errors
/// Bytes that [`encode`] did not write.
pub fn decode(mut input: Bytes) -> Result<Batch, DecodeError> {
    let version = take_u8(&mut input)?;
    if version != VERSION {
        return Err(DecodeError::new(format!(
            "batch version {version} is not known"
        )));
    }
    let ops = take_list(&mut input, take_op)?;
    if input.has_remaining() {
        return Err(DecodeError::new("bytes follow the last operation"));
    }
    Ok(Batch::new(ops))
}

fn take_op(input: &mut Bytes) -> Result<Op, DecodeError> {
    Ok(match take_u8(input)? {
        code::GET => Op::Read(ReadOp::Get(take_bytes(input)?)),
        code::GET_MANY => Op::Read(ReadOp::GetMany(take_list(input, take_bytes)?)),
        code::EXISTS => Op::Read(ReadOp::Exists(take_list(input, take_bytes)?)),
        code::LENGTH => Op::Read(ReadOp::Length(take_bytes(input)?)),
        code::SIZE => Op::Read(ReadOp::Size),
        code::SET => Op::Write(take_set(input)?),
        code::SET_MANY => Op::Write(WriteOp::SetMany(take_list(input, |input| {
            Ok((take_bytes(input)?, take_bytes(input)?))
        })?)),
        code::TAKE => Op::Write(WriteOp::Take(take_bytes(input)?)),
        code::DELETE => Op::Write(WriteOp::Delete(take_list(input, take_bytes)?)),
        code::ADD => {
            let key = take_bytes(input)?;
            let delta = input.try_get_i64_le().map_err(|_| cut_short())?;
            Op::Write(WriteOp::Add { key, delta })
        }
        code::APPEND => Op::Write(WriteOp::Append {
            key: take_bytes(input)?,
            value: take_bytes(input)?,
        }),
        code::CLEAR => Op::Write(WriteOp::Clear),
        other => return Err(DecodeError::new(format!("operation {other} is not known"))),
    })
}

fn take_set(input: &mut Bytes) -> Result<WriteOp, DecodeError> {
    let key = take_bytes(input)?;
    let value = take_bytes(input)?;
    let when = match take_u8(input)? {
        0 => When::Always,
        1 => When::Missing,
        2 => When::Present,
        other => return Err(DecodeError::new(format!("condition {other} is not known"))),
    };
    let answer = match take_u8(input)? {
        0 => SetAnswer::Done,
        1 => SetAnswer::Flag,
        2 => SetAnswer::Previous,
        other => return Err(DecodeError::new(format!("answer {other} is not known"))),
    };
    Ok(WriteOp::Set {
        key,
        value,
        when,
        answer,
    })
}

fn take_list<T>(
    input: &mut Bytes,
    item: impl Fn(&mut Bytes) -> Result<T, DecodeError>,
) -> Result<Vec<T>, DecodeError> {
    let count = take_count(input)?;
    // Every item takes at least one byte.
    if count > input.len() {
        return Err(cut_short());
    }
    (0..count).map(|_| item(input)).collect()
}

fn take_bytes(input: &mut Bytes) -> Result<Bytes, DecodeError> {
    let length = take_count(input)?;
    if length > input.len() {
        Err(cut_short())
    } else {
        Ok(input.split_to(length))
    }
}

fn take_count(input: &mut Bytes) -> Result<usize, DecodeError> {
    let mut value = 0_u64;
    for shift in (0..u64::BITS).step_by(7) {
        let byte = take_u8(input)?;
        let bits = u64::from(byte & 0x7f);
        if bits << shift >> shift != bits {
            break;
        }
        value |= bits << shift;
        if byte & 0x80 == 0 {
            let canonical = byte != 0 || shift == 0;
            return usize::try_from(value)
                .ok()
                .filter(|_| canonical)
                .ok_or_else(|| DecodeError::new("a length is not written as it should be"));
        }
    }
    Err(DecodeError::new("a length is too large"))
}

fn take_u8(input: &mut Bytes) -> Result<u8, DecodeError> {
    input.try_get_u8().map_err(|_| cut_short())
}

fn cut_short() -> DecodeError {
    DecodeError::new("the batch is cut short")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bytes(text: &str) -> Bytes {
        Bytes::copy_from_slice(text.as_bytes())
    }

    fn every_op() -> Vec<Op> {
        let key = || bytes("key");
        let mut ops = vec![
            Op::Read(ReadOp::Get(key())),
            Op::Read(ReadOp::GetMany(vec![key(), Bytes::new()])),
            Op::Read(ReadOp::Exists(vec![key()])),
            Op::Read(ReadOp::Length(Bytes::from_static(b"\x00\xff\r\n"))),
            Op::Read(ReadOp::Size),
            Op::Write(WriteOp::SetMany(vec![
                (key(), Bytes::from(vec![7; 300])),
                (key(), key()),
            ])),
            Op::Write(WriteOp::Take(key())),
            Op::Write(WriteOp::Delete(vec![key(), key()])),
            Op::Write(WriteOp::Add {
                key: key(),
                delta: i64::MIN,
            }),
            Op::Write(WriteOp::Append {
                key: key(),
                value: Bytes::new(),
            }),
            Op::Write(WriteOp::Clear),
        ];
        for when in [When::Always, When::Missing, When::Present] {
            for answer in [SetAnswer::Done, SetAnswer::Flag, SetAnswer::Previous] {
                let value = Bytes::from(vec![0xff; 20_000]);
                ops.push(Op::Write(WriteOp::Set {
                    key: key(),
                    value,
                    when,
                    answer,
                }));
            }
        }
        ops
    }

    #[test]
    fn every_operation_survives_the_round_trip_within_its_bound() {
        let batch = Batch::new(every_op());
        assert_eq!(decode(encode(&batch)).unwrap(), batch);
        for op in every_op() {
            let single = Batch::new(vec![op.clone()]);
            let encoded = encode(&single);
            assert_eq!(decode(encoded.clone()).unwrap(), single);
            let bound = BATCH_OVERHEAD_BYTES + size_bound(&op);
            assert!(
                encoded.len() <= bound,
                "{op:?} would slip past the limit of an entry"
            );
        }
        assert_eq!(decode(encode(&Batch::new(Vec::new()))).unwrap().ops(), []);
    }

    #[test]
    fn batch_is_refused_when_cut_at_any_byte_or_followed_by_more() {
        let small: Vec<Op> = every_op().into_iter().take(11).collect();
        let encoded = encode(&Batch::new(small));
        for end in 0..encoded.len() {
            assert!(
                decode(encoded.slice(..end)).is_err(),
                "cut at {end} went unnoticed"
            );
        }
        let longer = Bytes::from([&encoded[..], b"\x05"].concat());
        assert!(
            decode(longer).is_err(),
            "bytes behind the batch went unnoticed"
        );
    }

    #[test]
    fn unknown_codes_and_impossible_lengths_are_refused() {
        for garbage in [
            &b"\x00\x00"[..],
            b"\x02\x00",
            b"\x01\x01\x7f",
            b"\x01\x01\x10\x00\x00\x03\x00",
            b"\x01\x01\x10\x00\x00\x00\x03",
            b"\x01\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01",
            b"\x01\xff\xff\xff\xff\xff\xff\xff\xff\xff\x02",
            b"\x01\x80\x80\x80\x80\x80\x80\x80\x80\x80\x80\x00",
            b"\x01\x81\x00\x05",
        ] {
            assert!(
                decode(Bytes::from_static(garbage)).is_err(),
                "{}",
                garbage.escape_ascii()
            );
        }
    }

    /// A damaged entry may still be a batch, but it must decode to what it encodes.
    #[test]
    fn decoding_is_the_exact_reverse_when_any_byte_is_damaged() {
        let small: Vec<Op> = every_op().into_iter().take(5).collect();
        let encoded = encode(&Batch::new(small));
        for position in 0..encoded.len() {
            for byte in 0..=u8::MAX {
                let mut damaged = encoded.to_vec();
                damaged[position] = byte;
                if let Ok(batch) = decode(Bytes::from(damaged.clone())) {
                    assert_eq!(encode(&batch), damaged, "two forms of one batch");
                }
            }
        }
    }
}
