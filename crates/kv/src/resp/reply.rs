//! What a command answers, before a protocol version gives it a shape. The bytes are in
//! `write.rs`.

use std::borrow::Cow;

use bytes::Bytes;

/// The answer to one command.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reply {
    /// A short word such as `OK`.
    Status(&'static str),
    /// An error, its code first: `ERR syntax error`. Line breaks are written as spaces.
    Error(Cow<'static, str>),
    /// A number.
    Integer(i64),
    /// A value, byte for byte.
    Bulk(Bytes),
    /// Text for people: a verbatim string in RESP3, a bulk string in RESP2.
    Text(String),
    /// No value.
    Null,
    /// Several answers.
    Array(Vec<Reply>),
    /// Pairs: a map in RESP3, a flat array in RESP2.
    Map(Vec<(Reply, Reply)>),
}

impl Reply {
    /// The usual sign of success.
    pub const OK: Self = Self::Status("OK");

    /// A bulk string of constant text.
    #[must_use]
    pub const fn text(text: &'static str) -> Self {
        Self::Bulk(Bytes::from_static(text.as_bytes()))
    }

    /// The value, or null where there is none.
    #[must_use]
    pub fn value(value: Option<Bytes>) -> Self {
        value.map_or(Self::Null, Self::Bulk)
    }

    /// A number of things. Counts of things in memory fit.
    #[must_use]
    pub fn count(count: usize) -> Self {
        Self::Integer(i64::try_from(count).unwrap_or(i64::MAX))
    }
}
