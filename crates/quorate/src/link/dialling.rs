//! The end that dials: it says who it is, hears whether the other end is whom it meant, and then
//! turns messages into frames. When to dial and what to do about a refusal is for the transport.

use bytes::{Buf, Bytes, BytesMut};
use quorate_core::NodeId;
use quorate_log::ClusterId;

use super::{LinkError, Local};
use crate::PeerMessage;
use crate::wire::{Decoder, EncodedFrames, Hello, MAX_HELLO_BYTES, WireError};

/// Bytes gathered before they are written, so that a long queue does not become one long buffer.
const FLUSH_BYTES: usize = 256 * 1024;

/// A connection to one peer that is not introduced yet.
#[derive(Debug)]
pub struct Dialling {
    cluster: ClusterId,
    node: NodeId,
    peer: NodeId,
    max_frame_bytes: u32,
    hello: Bytes,
    decoder: Decoder,
}

impl Dialling {
    /// Begins a connection to `peer`.
    #[must_use]
    pub fn new(local: &Local, peer: NodeId) -> Self {
        Self {
            cluster: local.cluster,
            node: local.node,
            peer,
            max_frame_bytes: local.max_frame_bytes,
            hello: local.hello(peer).encode(),
            decoder: Decoder::new(MAX_HELLO_BYTES),
        }
    }

    /// What to write before anything else.
    #[must_use]
    pub fn hello(&self) -> Bytes {
        self.hello.clone()
    }

    /// A buffer to read into, at its end.
    pub fn room(&mut self) -> &mut BytesMut {
        self.decoder.room()
    }

    /// Takes bytes that were received.
    pub fn feed(&mut self, bytes: &[u8]) {
        self.decoder.feed(bytes);
    }

    /// The connection, once the other end has said that it is the peer; `None` until then. From
    /// there on, what is received shows only that somebody is there, and is not looked at.
    ///
    /// # Errors
    /// The other end does not fit, or sent no handshake. The connection is to be closed.
    pub fn introduced(&mut self) -> Result<Option<Outgoing>, LinkError> {
        let Some(frame) = self.decoder.next_frame()? else {
            return Ok(None);
        };
        Hello::decode(frame)?.check(self.cluster, self.node, |from| from == self.peer)?;
        Ok(Some(Outgoing {
            max_frame_bytes: self.max_frame_bytes,
            frames: EncodedFrames::new(),
        }))
    }
}

/// A connection on which this node speaks.
#[derive(Debug)]
pub struct Outgoing {
    max_frame_bytes: u32,
    frames: EncodedFrames,
}

impl Outgoing {
    /// Adds a message to what is to be written.
    ///
    /// # Errors
    /// It does not fit into a frame that the peer accepts. It was not added, and the connection
    /// goes on (scenario B19).
    pub fn push(&mut self, message: &PeerMessage) -> Result<(), WireError> {
        self.frames.push(message, self.max_frame_bytes)
    }

    /// Adds a sign of life, to be written when nothing else was for
    /// [`SIGN_OF_LIFE_EVERY`](super::SIGN_OF_LIFE_EVERY).
    pub fn push_sign_of_life(&mut self) {
        self.frames.push_sign_of_life();
    }

    /// Whether so much waits that it is to be written before more is added.
    #[must_use]
    pub fn is_full(&self) -> bool {
        self.frames.remaining() >= FLUSH_BYTES
    }

    /// What is to be written. What is read out of it is gone.
    pub fn unwritten(&mut self) -> &mut EncodedFrames {
        &mut self.frames
    }
}
