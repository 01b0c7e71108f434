//! Understands the arguments of the commands on keys. Each becomes one operation of the store.

use bytes::Bytes;

use super::{Command, CommandError};
use crate::integer;
use crate::op::{Op, ReadOp, SetAnswer, When, WriteOp};

type Result = std::result::Result<Command, CommandError>;

#[expect(
    clippy::unnecessary_wraps,
    reason = "the form of every entry in the table"
)]
fn read(op: ReadOp) -> Result {
    Ok(Command::Op(Op::Read(op)))
}

#[expect(
    clippy::unnecessary_wraps,
    reason = "the form of every entry in the table"
)]
fn write(op: WriteOp) -> Result {
    Ok(Command::Op(Op::Write(op)))
}

/// The only argument. The table checked that it is there.
fn one(arguments: &[Bytes]) -> std::result::Result<Bytes, CommandError> {
    arguments.first().cloned().ok_or(CommandError::Syntax)
}

/// The first two arguments. The table checked that they are there.
fn two(arguments: &[Bytes]) -> std::result::Result<(Bytes, Bytes), CommandError> {
    match arguments {
        [first, second, ..] => Ok((first.clone(), second.clone())),
        _ => Err(CommandError::Syntax),
    }
}

pub(super) fn get(arguments: &[Bytes]) -> Result {
    read(ReadOp::Get(one(arguments)?))
}

pub(super) fn mget(arguments: &[Bytes]) -> Result {
    read(ReadOp::GetMany(arguments.to_vec()))
}

pub(super) fn exists(arguments: &[Bytes]) -> Result {
    read(ReadOp::Exists(arguments.to_vec()))
}

pub(super) fn strlen(arguments: &[Bytes]) -> Result {
    read(ReadOp::Length(one(arguments)?))
}

pub(super) fn dbsize(_: &[Bytes]) -> Result {
    read(ReadOp::Size)
}

pub(super) fn set(arguments: &[Bytes]) -> Result {
    let (key, value) = two(arguments)?;
    let (mut when, mut answer) = (When::Always, SetAnswer::Done);
    for option in arguments.get(2..).unwrap_or_default() {
        let is = |name: &str| option.eq_ignore_ascii_case(name.as_bytes());
        if is("nx") && when != When::Present {
            when = When::Missing;
        } else if is("xx") && when != When::Missing {
            when = When::Present;
        } else if is("get") {
            answer = SetAnswer::Previous;
        } else if let Some(option) = ["EX", "PX", "EXAT", "PXAT"]
            .into_iter()
            .find(|name| is(name))
        {
            return Err(CommandError::Expiry { option });
        } else if !is("keepttl") {
            return Err(CommandError::Syntax);
        }
    }
    write(WriteOp::Set {
        key,
        value,
        when,
        answer,
    })
}

pub(super) fn setnx(arguments: &[Bytes]) -> Result {
    let (key, value) = two(arguments)?;
    write(WriteOp::Set {
        key,
        value,
        when: When::Missing,
        answer: SetAnswer::Flag,
    })
}

pub(super) fn getset(arguments: &[Bytes]) -> Result {
    let (key, value) = two(arguments)?;
    write(WriteOp::Set {
        key,
        value,
        when: When::Always,
        answer: SetAnswer::Previous,
    })
}

pub(super) fn getdel(arguments: &[Bytes]) -> Result {
    write(WriteOp::Take(one(arguments)?))
}

pub(super) fn del(arguments: &[Bytes]) -> Result {
    write(WriteOp::Delete(arguments.to_vec()))
}

pub(super) fn mset(arguments: &[Bytes]) -> Result {
    let (pairs, rest) = arguments.as_chunks();
    if !rest.is_empty() {
        return Err(CommandError::Arity { command: "mset" });
    }
    write(WriteOp::SetMany(
        pairs
            .iter()
            .map(|[key, value]| (key.clone(), value.clone()))
            .collect(),
    ))
}

pub(super) fn incr(arguments: &[Bytes]) -> Result {
    write(WriteOp::Add {
        key: one(arguments)?,
        delta: 1,
    })
}

pub(super) fn decr(arguments: &[Bytes]) -> Result {
    write(WriteOp::Add {
        key: one(arguments)?,
        delta: -1,
    })
}

pub(super) fn incrby(arguments: &[Bytes]) -> Result {
    let (key, delta) = two(arguments)?;
    let delta = integer::parse(&delta).ok_or(CommandError::NotAnInteger)?;
    write(WriteOp::Add { key, delta })
}

pub(super) fn decrby(arguments: &[Bytes]) -> Result {
    let (key, delta) = two(arguments)?;
    let delta = integer::parse(&delta).ok_or(CommandError::NotAnInteger)?;
    let delta = delta.checked_neg().ok_or(CommandError::DecrementOverflow)?;
    write(WriteOp::Add { key, delta })
}

pub(super) fn append(arguments: &[Bytes]) -> Result {
    let (key, value) = two(arguments)?;
    write(WriteOp::Append { key, value })
}

pub(super) fn flushall(arguments: &[Bytes]) -> Result {
    match arguments {
        [] => write(WriteOp::Clear),
        [mode] if mode.eq_ignore_ascii_case(b"sync") || mode.eq_ignore_ascii_case(b"async") => {
            write(WriteOp::Clear)
        }
        _ => Err(CommandError::Syntax),
    }
}
