//! Bytes to requests, a piece at a time: the decoder keeps what it has of an unfinished request,
//! so that no byte is looked at twice. It never trusts an announced length with memory.

use bytes::{Buf as _, Bytes, BytesMut};

use super::inline;

/// A command name and its arguments. Never empty.
pub type Request = Vec<Bytes>;

/// What a client may send.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// The longest argument, in bytes.
    pub bulk_bytes: usize,
    /// All arguments of one command together, in bytes.
    pub request_bytes: usize,
}

/// The most arguments of one command, as in Redis.
const ARGUMENTS_MAX: usize = 1024 * 1024;
/// The longest inline command or length line, in bytes, as in Redis.
const LINE_BYTES_MAX: usize = 64 * 1024;
/// What an argument costs besides its bytes; counted, so that a million empty ones are not free.
const ARGUMENT_OVERHEAD_BYTES: usize = size_of::<Bytes>();
/// An argument shorter than this is copied out of the buffer that it came in, if the rest of its
/// request is still to come: until then it would keep all of that buffer in memory.
const COPIED_BELOW_BYTES: usize = 16 * 1024;

/// What the client sent is not the protocol. The stream has lost its framing: the connection
/// must be closed. The texts are Redis's.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ProtocolError {
    /// The number of arguments is no number or above the limit.
    #[error("invalid multibulk length")]
    MultibulkLength,
    /// The length of an argument is no number or above the limit.
    #[error("invalid bulk length")]
    BulkLength,
    /// An argument does not begin with `$`.
    #[error("expected '$', got '{}'", printable(*.0))]
    ExpectedBulk(u8),
    /// An argument is not followed by a line break: its length was wrong.
    #[error("expected a line break behind a bulk string")]
    BulkEnd,
    /// The line of an inline command does not end.
    #[error("too big inline request")]
    InlineTooBig,
    /// The line with the number of arguments does not end.
    #[error("too big mbulk count string")]
    MultibulkLineTooBig,
    /// The line with the length of an argument does not end.
    #[error("too big bulk count string")]
    BulkLineTooBig,
    /// A quote of an inline command is not closed, or text follows it.
    #[error("unbalanced quotes in request")]
    UnbalancedQuotes,
    /// It is HTTP: a browser sends what some page wants it to, and the user does not.
    #[error("this is no HTTP server")]
    Http,
    /// All arguments together are above the limit.
    #[error("command exceeds {limit_bytes} bytes")]
    RequestTooBig {
        /// The limit, in bytes.
        limit_bytes: usize,
    },
}

fn printable(byte: u8) -> char {
    if byte.is_ascii_graphic() {
        char::from(byte)
    } else {
        ' '
    }
}

/// The incremental decoder of one connection.
#[derive(Debug)]
pub struct Decoder {
    limits: Limits,
    state: State,
    arguments: Vec<Bytes>,
    argument_bytes: usize,
    /// How many of the arguments are known not to keep a buffer for nothing.
    settled: usize,
}

#[derive(Clone, Copy, Debug)]
enum State {
    /// Between requests.
    Start,
    /// This many arguments are missing, and the length of the next is not known yet.
    Length { missing: usize },
    /// This many arguments are missing; the next is this long.
    Body { missing: usize, length: usize },
}

impl Decoder {
    /// A decoder at the start of a stream.
    #[must_use]
    pub const fn new(limits: Limits) -> Self {
        Self {
            limits,
            state: State::Start,
            arguments: Vec::new(),
            argument_bytes: 0,
            settled: 0,
        }
    }

    /// The next request, or `None` if more bytes are needed. What was understood is taken out of
    /// `input`; arguments are slices of it, not copies, unless the request came in parts.
    ///
    /// # Errors
    /// The input is not the protocol; close the connection.
    pub fn next(&mut self, input: &mut BytesMut) -> Result<Option<Request>, ProtocolError> {
        loop {
            let progress = match self.state {
                State::Start => {
                    if input.first().is_none_or(|first| *first == b'*') {
                        self.read_count(input)?
                    } else {
                        match self.read_inline(input)? {
                            Some(words) if words.is_empty() => Progress::More,
                            Some(words) => return Ok(Some(words)),
                            None => Progress::Starved,
                        }
                    }
                }
                State::Length { missing } => self.read_length(input, missing)?,
                State::Body { missing, length } => self.read_body(input, missing, length)?,
            };
            match progress {
                Progress::More => {}
                Progress::Starved => {
                    self.settle();
                    return Ok(None);
                }
                Progress::Done => {
                    self.state = State::Start;
                    self.argument_bytes = 0;
                    self.settled = 0;
                    return Ok(Some(std::mem::take(&mut self.arguments)));
                }
            }
        }
    }

    /// How many bytes the argument under way still needs; a hint for sizing the next read.
    #[must_use]
    pub fn wanted_bytes(&self, buffered: usize) -> usize {
        match self.state {
            State::Start | State::Length { .. } => 0,
            State::Body { length, .. } => (length + 2).saturating_sub(buffered),
        }
    }

    fn read_count(&mut self, input: &mut BytesMut) -> Result<Progress, ProtocolError> {
        let Some(line) = take_line(input, ProtocolError::MultibulkLineTooBig)? else {
            return Ok(Progress::Starved);
        };
        let count = line
            .get(1..)
            .and_then(parse_length)
            .ok_or(ProtocolError::MultibulkLength)?;
        // An empty or null array asks for nothing.
        let Ok(missing) = usize::try_from(count) else {
            return Ok(Progress::More);
        };
        if missing > ARGUMENTS_MAX {
            return Err(ProtocolError::MultibulkLength);
        }
        if missing > 0 {
            self.state = State::Length { missing };
        }
        Ok(Progress::More)
    }

    fn read_length(
        &mut self,
        input: &mut BytesMut,
        missing: usize,
    ) -> Result<Progress, ProtocolError> {
        if let Some(first) = input.first()
            && *first != b'$'
        {
            return Err(ProtocolError::ExpectedBulk(*first));
        }
        let Some(line) = take_line(input, ProtocolError::BulkLineTooBig)? else {
            return Ok(Progress::Starved);
        };
        let length = line
            .get(1..)
            .and_then(parse_length)
            .and_then(|length| usize::try_from(length).ok())
            .filter(|length| *length <= self.limits.bulk_bytes)
            .ok_or(ProtocolError::BulkLength)?;
        self.argument_bytes += length + ARGUMENT_OVERHEAD_BYTES;
        if self.argument_bytes > self.limits.request_bytes {
            return Err(ProtocolError::RequestTooBig {
                limit_bytes: self.limits.request_bytes,
            });
        }
        self.state = State::Body { missing, length };
        Ok(Progress::More)
    }

    fn read_body(
        &mut self,
        input: &mut BytesMut,
        missing: usize,
        length: usize,
    ) -> Result<Progress, ProtocolError> {
        let Some(end) = input.get(length..length + 2) else {
            return Ok(Progress::Starved);
        };
        if end != b"\r\n" {
            return Err(ProtocolError::BulkEnd);
        }
        self.arguments.push(input.split_to(length).freeze());
        input.advance(2);
        if missing == 1 {
            return Ok(Progress::Done);
        }
        self.state = State::Length {
            missing: missing - 1,
        };
        Ok(Progress::More)
    }

    /// Lets go of the input, which has ended in the middle of a request.
    fn settle(&mut self) {
        for argument in self.arguments.iter_mut().skip(self.settled) {
            if argument.len() < COPIED_BELOW_BYTES {
                *argument = Bytes::copy_from_slice(argument);
            }
        }
        self.settled = self.arguments.len();
    }

    fn read_inline(&mut self, input: &mut BytesMut) -> Result<Option<Request>, ProtocolError> {
        let Some(line) = take_line(input, ProtocolError::InlineTooBig)? else {
            return Ok(None);
        };
        let words = inline::split(&line)?;
        // As in Redis: the head of every request that can carry lines of a page's choice has one
        // of these.
        let is = |name: &[u8]| {
            words
                .first()
                .is_some_and(|it| it.eq_ignore_ascii_case(name))
        };
        if is(b"post") || is(b"host:") {
            return Err(ProtocolError::Http);
        }
        Ok(Some(words))
    }
}

enum Progress {
    More,
    Starved,
    Done,
}

/// Takes a line and its line break out of `input`; the line break may lack the carriage return,
/// as from a terminal.
fn take_line(
    input: &mut BytesMut,
    too_big: ProtocolError,
) -> Result<Option<BytesMut>, ProtocolError> {
    let Some(end) = input
        .iter()
        .take(LINE_BYTES_MAX)
        .position(|byte| *byte == b'\n')
    else {
        return if input.len() >= LINE_BYTES_MAX {
            Err(too_big)
        } else {
            Ok(None)
        };
    };
    let mut line = input.split_to(end);
    input.advance(1);
    if line.last() == Some(&b'\r') {
        line.truncate(end - 1);
    }
    Ok(Some(line))
}

/// A length as the protocol writes it: decimal, at most a minus sign before it.
fn parse_length(digits: &[u8]) -> Option<i64> {
    if digits.first() == Some(&b'+') {
        return None;
    }
    std::str::from_utf8(digits).ok()?.parse().ok()
}

#[cfg(test)]
#[path = "read_tests.rs"]
mod tests;
