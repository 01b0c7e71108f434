//! How messages get to other nodes: the trait a node is started with, and what it is given. The
//! transports themselves are in `transport/`: [`Tcp`] for real clusters, [`Hub`] for several
//! nodes in one process. What is decided on a connection is in `link/`, what the bytes mean in
//! `wire/`.

mod accept;
mod dial;
mod ending;
mod guests;
mod handshake;
mod hub;
mod queue;
mod tcp;

use std::collections::BTreeMap;
use std::io;

use quorate_core::NodeId;
use tokio::sync::mpsc;

pub use crate::link::Local;
pub use hub::{Hub, InProcess};
pub use tcp::Tcp;

use crate::PeerMessage;

/// Carries messages between nodes. It may lose, repeat and reorder them, but must not alter them
/// and must not deliver them to another node or another cluster.
pub trait Transport: Send + 'static {
    /// Begins to carry messages for this node. Called once, inside the tokio runtime of the
    /// driver's thread.
    ///
    /// # Errors
    /// The transport cannot be used: see [`TransportError`].
    fn start(&mut self, local: Local, inbox: Inbox) -> Result<(), TransportError>;

    /// Replaces the peers and their addresses, for a change of membership or a peer that moved
    /// (scenarios H13, H14). A peer whose address is the same keeps its connection; one that is
    /// let go of gets what was sent to it before, or the attempt fails: it may be the word that
    /// it was removed.
    fn set_peers(&mut self, peers: BTreeMap<NodeId, String>);

    /// Sends a message, or drops it: when the peer is unknown or unreachable, or reads more
    /// slowly than the node writes. Never blocks (scenario B18); whoever needs an answer asks
    /// again.
    fn send(&mut self, to: NodeId, message: PeerMessage);

    /// Closes every connection. Nothing is delivered after the runtime has run next. A second
    /// call does nothing.
    fn shutdown(&mut self);
}

/// A message that arrived.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Inbound {
    /// Who sent it, as shown in the handshake. An engine's message names the same node.
    pub from: NodeId,
    /// What it says.
    pub message: PeerMessage,
}

/// Where a transport delivers. Bounded: while it is full, connections are not read from, and
/// the peers' queues fill in turn. Its reader takes many messages at once with `recv_many`.
#[derive(Clone, Debug)]
pub struct Inbox(mpsc::Sender<Inbound>);

impl Inbox {
    /// An inbox for this many messages, with the end that the driver reads from.
    ///
    /// # Panics
    /// If `messages` is zero.
    #[must_use]
    pub fn new(messages: usize) -> (Self, mpsc::Receiver<Inbound>) {
        let (sender, receiver) = mpsc::channel(messages);
        (Self(sender), receiver)
    }

    /// Delivers, waiting for room. `false` once nobody reads any more.
    pub async fn deliver(&self, inbound: Inbound) -> bool {
        self.0.send(inbound).await.is_ok()
    }

    /// Delivers if there is room.
    pub fn try_deliver(&self, inbound: Inbound) -> bool {
        self.0.try_send(inbound).is_ok()
    }
}

/// Why a transport cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TransportError {
    /// The address to listen at is malformed, taken or not this machine's. Choose another.
    #[error("cannot listen at {address}")]
    Bind {
        /// The address.
        address: String,
        /// What the system says.
        source: io::Error,
    },
    /// The listener cannot be handed to the runtime.
    #[error("the runtime does not take the listener")]
    Listener(#[source] io::Error),
    /// The transport was started or shut down before; bind a new one.
    #[error("the transport was started or shut down before")]
    Used,
}
