//! The end that was dialled: it hears who speaks, answers or does not, and then turns frames into
//! messages that name the right nodes. Whether somebody is expected is for the transport to say.

use bytes::{Bytes, BytesMut};
use quorate_core::NodeId;

use super::{LinkError, Local};
use crate::PeerMessage;
use crate::wire::{Decoder, HandshakeError, Hello, MAX_HELLO_BYTES, decode};

/// A connection from somebody who has not said yet who it is. Until then it has no claim to more
/// memory than a handshake takes.
#[derive(Debug)]
pub struct Stranger {
    decoder: Decoder,
    answer: Option<Bytes>,
}

impl Default for Stranger {
    fn default() -> Self {
        Self::new()
    }
}

impl Stranger {
    /// A connection on which nothing was heard.
    #[must_use]
    pub fn new() -> Self {
        Self {
            decoder: Decoder::new(MAX_HELLO_BYTES),
            answer: None,
        }
    }

    /// A buffer to read into, at its end.
    pub fn room(&mut self) -> &mut BytesMut {
        self.decoder.room()
    }

    /// Takes bytes that were received.
    pub fn feed(&mut self, bytes: &[u8]) {
        self.decoder.feed(bytes);
    }

    /// The connection, once the stranger has said who it is; `None` until then. `expected` is
    /// asked about whoever belongs to this cluster and means this node.
    ///
    /// # Errors
    /// It does not fit, is not expected, or sent no handshake. The connection is to be closed,
    /// after the [`answer`](Stranger::answer) was written, if there is one.
    pub fn introduced(
        &mut self,
        local: &Local,
        expected: impl FnOnce(&Hello) -> bool,
    ) -> Result<Option<Incoming>, LinkError> {
        let Some(frame) = self.decoder.next_frame()? else {
            return Ok(None);
        };
        let hello = Hello::decode(frame)?;
        let verdict = hello.check(local.cluster, local.node, |_| expected(&hello));
        // The answer shows the dialler what does not fit, so that both ends log the same reason.
        // Who is merely not welcome must not take an answer for a welcome.
        if !matches!(verdict, Err(HandshakeError::UnexpectedSender { .. })) {
            self.answer = Some(local.hello(hello.from).encode());
        }
        verdict?;
        let mut decoder = std::mem::replace(&mut self.decoder, Decoder::new(MAX_HELLO_BYTES));
        decoder.set_max_frame_bytes(local.max_frame_bytes);
        Ok(Some(Incoming {
            node: local.node,
            hello,
            decoder,
        }))
    }

    /// What to write, once, after [`Stranger::introduced`] has decided either way. Nothing if the
    /// stranger gets no answer.
    pub fn answer(&mut self) -> Option<Bytes> {
        self.answer.take()
    }
}

/// A connection on which a peer speaks. To show that this end is there, write
/// [signs of life](crate::wire::EncodedFrames::push_sign_of_life) to it, and nothing else.
#[derive(Debug)]
pub struct Incoming {
    node: NodeId,
    hello: Hello,
    decoder: Decoder,
}

impl Incoming {
    /// How the peer introduced itself.
    #[must_use]
    pub const fn hello(&self) -> &Hello {
        &self.hello
    }

    /// A buffer to read into, at its end. Call after [`Incoming::next_message`] returned `None`.
    pub fn room(&mut self) -> &mut BytesMut {
        self.decoder.room()
    }

    /// Takes bytes that were received.
    pub fn feed(&mut self, bytes: &[u8]) {
        self.decoder.feed(bytes);
    }

    /// The next message, or `None` until more is received. Signs of life are skipped.
    ///
    /// # Errors
    /// The peer sent what no correct peer sends. The connection is to be closed; what came before
    /// was given and is good.
    pub fn next_message(&mut self) -> Result<Option<PeerMessage>, LinkError> {
        while let Some(frame) = self.decoder.next_frame()? {
            if let Some(message) = decode(frame)? {
                self.check_names(&message)?;
                return Ok(Some(message));
            }
        }
        Ok(None)
    }

    /// An engine's message has to name the two ends of its connection (scenario H06).
    fn check_names(&self, message: &PeerMessage) -> Result<(), LinkError> {
        match message {
            PeerMessage::Raft(raft) if (raft.from, raft.to) != (self.hello.from, self.node) => {
                Err(LinkError::WrongNames)
            }
            PeerMessage::Raft(_)
            | PeerMessage::Forward { .. }
            | PeerMessage::ForwardReply { .. }
            | PeerMessage::Birth { .. } => Ok(()),
        }
    }
}
