//! The TCP transport: one listener, and one dialled connection to each peer. Each direction has
//! a connection of its own, so that neither end has to decide which of two to keep.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;

use quorate_core::NodeId;
use tokio::sync::watch;
use tokio::task::AbortHandle;

use super::accept::Acceptor;
use super::dial::Dialler;
use super::queue::{self, queue};
use super::{Inbox, Local, Transport, TransportError};
use crate::PeerMessage;

/// Carries messages over TCP. A dead, slow or hung peer costs the others nothing: each has a
/// bounded queue and a task of its own.
///
/// There is no encryption and no proof of identity: use it in a network that only the cluster's
/// nodes can reach.
#[derive(Debug)]
pub struct Tcp {
    address: SocketAddr,
    stage: Stage,
}

#[derive(Debug)]
enum Stage {
    Bound(TcpListener),
    Running(Running),
    Stopped,
}

/// Dropped, it stops every task.
#[derive(Debug)]
struct Running {
    local: Arc<Local>,
    peers: BTreeMap<NodeId, Peer>,
    members: watch::Sender<BTreeSet<NodeId>>,
    acceptor: AbortHandle,
}

/// Dropped, it stops its task.
#[derive(Debug)]
struct Peer {
    queue: queue::Sender,
    address: watch::Sender<String>,
    dialler: AbortHandle,
}

impl Tcp {
    /// Takes an address to listen at, `host:port`, at once: a port that is in use shows here.
    /// With port 0 the system chooses one. Peers that connect early wait until the transport is
    /// started.
    ///
    /// # Errors
    /// [`TransportError::Bind`].
    pub fn bind(address: &str) -> Result<Self, TransportError> {
        let listen = || -> io::Result<(SocketAddr, TcpListener)> {
            let listener = TcpListener::bind(address)?;
            listener.set_nonblocking(true)?;
            Ok((listener.local_addr()?, listener))
        };
        let (bound, listener) = listen().map_err(|source| TransportError::Bind {
            address: address.to_owned(),
            source,
        })?;
        Ok(Self {
            address: bound,
            stage: Stage::Bound(listener),
        })
    }

    /// Where it listens, with the port that the system chose.
    #[must_use]
    pub const fn local_address(&self) -> SocketAddr {
        self.address
    }
}

impl Transport for Tcp {
    fn start(&mut self, local: Local, inbox: Inbox) -> Result<(), TransportError> {
        let Stage::Bound(listener) = std::mem::replace(&mut self.stage, Stage::Stopped) else {
            return Err(TransportError::Used);
        };
        let listener =
            tokio::net::TcpListener::from_std(listener).map_err(TransportError::Listener)?;
        let addresses = local.peers.clone();
        let local = Arc::new(local);
        let (members, watched) = watch::channel(BTreeSet::new());
        let acceptor = Acceptor {
            local: local.clone(),
            members: watched,
            inbox,
        };
        let acceptor = tokio::spawn(acceptor.run(listener)).abort_handle();
        let mut running = Running {
            local,
            peers: BTreeMap::new(),
            members,
            acceptor,
        };
        running.set_peers(addresses);
        self.stage = Stage::Running(running);
        Ok(())
    }

    fn set_peers(&mut self, peers: BTreeMap<NodeId, String>) {
        match &mut self.stage {
            Stage::Running(running) => running.set_peers(peers),
            Stage::Bound(_) | Stage::Stopped => {}
        }
    }

    fn send(&mut self, to: NodeId, message: PeerMessage) {
        if let Stage::Running(running) = &self.stage
            && let Some(peer) = running.peers.get(&to)
        {
            peer.queue.push(message);
        }
    }

    fn shutdown(&mut self) {
        self.stage = Stage::Stopped;
    }
}

impl Running {
    fn set_peers(&mut self, mut addresses: BTreeMap<NodeId, String>) {
        addresses.remove(&self.local.node);
        // Members first: a peer that is dialled for the first time may dial back at once.
        self.members
            .send_replace(addresses.keys().copied().collect());
        self.peers.retain(|node, _| addresses.contains_key(node));
        for (node, address) in addresses {
            match self.peers.get(&node) {
                Some(peer) => {
                    peer.address.send_if_modified(|known| {
                        let moved = *known != address;
                        *known = address;
                        moved
                    });
                }
                None => {
                    self.peers
                        .insert(node, Peer::dial(self.local.clone(), node, address));
                }
            }
        }
    }
}

impl Peer {
    fn dial(local: Arc<Local>, peer: NodeId, address: String) -> Self {
        let (sender, receiver) = queue();
        let (address, watched) = watch::channel(address);
        let dialler = Dialler {
            local,
            peer,
            address: watched,
            queue: receiver,
        };
        let dialler = tokio::spawn(dialler.run()).abort_handle();
        Self {
            queue: sender,
            address,
            dialler,
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.acceptor.abort();
    }
}

impl Drop for Peer {
    fn drop(&mut self) {
        self.dialler.abort();
    }
}
