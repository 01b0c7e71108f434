//! Replies to bytes, in the version of the protocol that the connection speaks. Writes to memory
//! only; the socket is `connection.rs`'s.

use std::io::Write as _;

use bytes::{BufMut as _, Bytes, BytesMut};

use super::Reply;

/// A version of the protocol.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Protocol {
    /// The older one, spoken until `HELLO 3` asks for the other.
    #[default]
    Resp2,
    /// With maps, nulls and verbatim strings of its own.
    Resp3,
}

/// A value from this size on is handed to the socket as it is; a smaller one is cheaper to copy
/// than to send as a chunk of its own.
const COPY_BELOW_BYTES: usize = 16 * 1024;

/// A buffer that held more than this is not kept for the next replies: there may be none for long.
const KEPT_BYTES_MAX: usize = 64 * 1024;

/// Encoded replies on their way to the socket.
#[derive(Debug, Default)]
pub struct Output {
    chunks: Vec<Bytes>,
    chunk_bytes: usize,
    tail: BytesMut,
}

impl Output {
    /// Bytes waiting to be sent.
    #[must_use]
    pub fn len(&self) -> usize {
        self.chunk_bytes + self.tail.len()
    }

    /// Whether nothing waits.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Takes everything that waits, in order.
    pub fn take(&mut self) -> Vec<Bytes> {
        self.close_tail();
        self.chunk_bytes = 0;
        std::mem::take(&mut self.chunks)
    }

    /// Appends `reply` as `protocol` writes it.
    pub fn push(&mut self, reply: &Reply, protocol: Protocol) {
        match reply {
            Reply::Status(status) => self.line(b'+', status.as_bytes()),
            Reply::Error(message) => self.error(message),
            Reply::Integer(value) => self.number(b':', *value),
            Reply::Bulk(value) => self.bulk(value),
            Reply::Text(text) => match protocol {
                Protocol::Resp2 => self.blob(b'$', b"", text.as_bytes()),
                Protocol::Resp3 => self.blob(b'=', b"txt:", text.as_bytes()),
            },
            Reply::Null => match protocol {
                Protocol::Resp2 => self.tail.put_slice(b"$-1\r\n"),
                Protocol::Resp3 => self.tail.put_slice(b"_\r\n"),
            },
            Reply::Array(items) => {
                self.push_array_header(items.len());
                for item in items {
                    self.push(item, protocol);
                }
            }
            Reply::Map(pairs) => {
                match protocol {
                    Protocol::Resp2 => self.length(b'*', pairs.len() * 2),
                    Protocol::Resp3 => self.length(b'%', pairs.len()),
                }
                for (key, value) in pairs {
                    self.push(key, protocol);
                    self.push(value, protocol);
                }
            }
        }
    }

    /// Begins an array of `length` items, which follow by [`Output::push`].
    pub fn push_array_header(&mut self, length: usize) {
        self.length(b'*', length);
    }

    fn line(&mut self, kind: u8, text: &[u8]) {
        self.tail.reserve(text.len() + 3);
        self.tail.put_u8(kind);
        self.tail.put_slice(text);
        self.tail.put_slice(b"\r\n");
    }

    /// An error is one line, and part of it may be what a client sent: a line break in it would
    /// forge a reply.
    fn error(&mut self, message: &str) {
        self.tail.reserve(message.len() + 3);
        self.tail.put_u8(b'-');
        for byte in message.bytes() {
            self.tail.put_u8(if matches!(byte, b'\r' | b'\n') {
                b' '
            } else {
                byte
            });
        }
        self.tail.put_slice(b"\r\n");
    }

    fn number(&mut self, kind: u8, value: i64) {
        self.tail.put_u8(kind);
        // Writing to memory cannot fail.
        let _ = write!((&mut self.tail).writer(), "{value}\r\n");
    }

    fn length(&mut self, kind: u8, length: usize) {
        self.tail.put_u8(kind);
        let _ = write!((&mut self.tail).writer(), "{length}\r\n");
    }

    fn blob(&mut self, kind: u8, prefix: &[u8], text: &[u8]) {
        self.length(kind, prefix.len() + text.len());
        self.tail.put_slice(prefix);
        self.tail.put_slice(text);
        self.tail.put_slice(b"\r\n");
    }

    fn bulk(&mut self, value: &Bytes) {
        if value.len() < COPY_BELOW_BYTES {
            return self.blob(b'$', b"", value);
        }
        self.length(b'$', value.len());
        self.close_tail();
        self.chunk_bytes += value.len();
        self.chunks.push(value.clone());
        self.tail.put_slice(b"\r\n");
    }

    fn close_tail(&mut self) {
        if !self.tail.is_empty() {
            let tail = self.tail.split();
            if tail.len() > KEPT_BYTES_MAX {
                self.tail = BytesMut::new();
            }
            self.chunk_bytes += tail.len();
            self.chunks.push(tail.freeze());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn encoded(reply: &Reply, protocol: Protocol) -> String {
        let mut output = Output::default();
        output.push(reply, protocol);
        let length = output.len();
        let bytes = output.take().concat();
        assert_eq!(
            bytes.len(),
            length,
            "the announced length decides when to flush"
        );
        assert!(output.is_empty(), "taking empties the output");
        String::from_utf8(bytes).unwrap()
    }

    #[test]
    fn replies_take_the_shape_of_the_protocol() {
        let map = Reply::Map(vec![(Reply::text("proto"), Reply::Integer(-3))]);
        let cases = [
            (Reply::OK, "+OK\r\n", "+OK\r\n"),
            (Reply::Integer(-7), ":-7\r\n", ":-7\r\n"),
            (Reply::text(""), "$0\r\n\r\n", "$0\r\n\r\n"),
            (Reply::Null, "$-1\r\n", "_\r\n"),
            (Reply::Text("hi".into()), "$2\r\nhi\r\n", "=6\r\ntxt:hi\r\n"),
            (
                map,
                "*2\r\n$5\r\nproto\r\n:-3\r\n",
                "%1\r\n$5\r\nproto\r\n:-3\r\n",
            ),
            (
                Reply::Array(vec![Reply::Null, Reply::OK]),
                "*2\r\n$-1\r\n+OK\r\n",
                "*2\r\n_\r\n+OK\r\n",
            ),
        ];
        for (reply, resp2, resp3) in cases {
            assert_eq!(encoded(&reply, Protocol::Resp2), resp2);
            assert_eq!(encoded(&reply, Protocol::Resp3), resp3);
        }
    }

    #[test]
    fn error_stays_one_line_when_it_quotes_a_line_break() {
        let reply = Reply::Error("ERR unknown command 'a\r\n+OK'".into());
        assert_eq!(
            encoded(&reply, Protocol::Resp2),
            "-ERR unknown command 'a  +OK'\r\n",
            "a client could forge the reply to a later command"
        );
    }

    #[test]
    fn memory_of_many_replies_is_not_kept_when_they_were_sent() {
        let reply = Reply::text("a reply of a few bytes");
        let mut output = Output::default();
        while output.len() < 4 * KEPT_BYTES_MAX {
            output.push(&reply, Protocol::Resp2);
        }
        drop(output.take());
        assert!(
            !output.tail.try_reclaim(2 * KEPT_BYTES_MAX),
            "every idle connection would have it"
        );
        output.push(&reply, Protocol::Resp2);
        drop(output.take());
        assert!(output.tail.try_reclaim(1), "a little is worth keeping");
    }

    #[test]
    fn large_value_is_passed_on_without_a_copy() {
        let value = Bytes::from(vec![b'v'; COPY_BELOW_BYTES]);
        let mut output = Output::default();
        output.push(&Reply::OK, Protocol::Resp2);
        output.push(&Reply::Bulk(value.clone()), Protocol::Resp2);
        output.push(&Reply::OK, Protocol::Resp2);
        let chunks = output.take();
        assert!(
            chunks.iter().any(|chunk| chunk.as_ptr() == value.as_ptr()),
            "it was copied"
        );
        let expected = [b"+OK\r\n$16384\r\n".as_slice(), &value, b"\r\n+OK\r\n"].concat();
        assert_eq!(
            chunks.concat(),
            expected,
            "order or framing was lost around the chunk"
        );
    }
}
