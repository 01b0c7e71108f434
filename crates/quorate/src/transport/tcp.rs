//! The TCP transport: one listener, and one dialled connection to each peer. Each direction has
//! a connection of its own, so that neither end has to decide which of two to keep. Nodes that
//! are no members are answered, too (`guests.rs`).

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::time::Instant;

use quorate_core::NodeId;
use tokio::sync::watch;
use tokio::task::AbortHandle;

use super::accept::Acceptor;
use super::dial::{Dialler, Reports};
use super::guests::SharedGuests;
use super::queue::{self, queue};
use super::{Inbox, Transport, TransportError};
use crate::PeerMessage;
use crate::link::{Backoff, FAREWELL, Local};

/// Guests who are remembered to have been dialled, at most: more than there are at a time, for they
/// come and go.
const MAX_VISITS: usize = 64;

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
    guests: SharedGuests,
    /// The last connection to each guest who was to be told something.
    visits: BTreeMap<NodeId, Visit>,
    members: watch::Sender<BTreeSet<NodeId>>,
    acceptor: AbortHandle,
}

#[derive(Debug)]
struct Peer {
    queue: queue::Sender,
    address: watch::Sender<String>,
    dialler: Dialling,
}

/// A connection to a guest. It is not dialled again for each message that finds it gone: a guest
/// chooses what there is to say to it, and where.
#[derive(Debug)]
struct Visit {
    peer: Peer,
    /// Not to be dialled again before.
    again_at: Instant,
    backoff: Backoff,
    reports: Reports,
}

/// The task that dials. Dropped, it stops.
#[derive(Debug)]
struct Dialling(AbortHandle);

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
        let guests = SharedGuests::default();
        let acceptor = Acceptor {
            local: local.clone(),
            members: watched,
            guests: guests.clone(),
            inbox,
        };
        let acceptor = tokio::spawn(acceptor.run(listener)).abort_handle();
        let mut running = Running {
            local,
            peers: BTreeMap::new(),
            guests,
            visits: BTreeMap::new(),
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
        if let Stage::Running(running) = &mut self.stage {
            match running.peers.get(&to) {
                Some(peer) => peer.queue.push(message),
                None => running.send_to_guest(to, message),
            }
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
        // Who was a guest may be a member by now, and who was a member a guest.
        self.guests.forget();
        self.visits.clear();
        for (_, peer) in self
            .peers
            .extract_if(.., |node, _| !addresses.contains_key(node))
        {
            peer.let_go();
        }
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
                    let (local, reports) = (self.local.clone(), Reports::default());
                    let peer = Peer::dial(local, node, address, false, reports);
                    self.peers.insert(node, peer);
                }
            }
        }
    }

    /// What comes before the guest is connected is dropped: it asks again.
    fn send_to_guest(&mut self, to: NodeId, message: PeerMessage) {
        let now = Instant::now();
        if let Some(visit) = self.visits.get(&to)
            && !visit.is_over(now)
        {
            return visit.peer.queue.push(message);
        }
        let Some(address) = self.guests.address(to) else {
            return;
        };
        let (mut backoff, reports) = match self.visits.remove(&to) {
            Some(mut visit) => {
                let since = now.saturating_duration_since(visit.again_at);
                visit.backoff.reset_after(since);
                (visit.backoff, visit.reports)
            }
            None => {
                let seed = self.local.incarnation.get() ^ to.get();
                (Backoff::new(seed), Reports::default())
            }
        };
        if self.visits.len() >= MAX_VISITS {
            let guests = &self.guests;
            let is_here = |node: NodeId| guests.address(node).is_some();
            self.visits
                .retain(|&node, visit| !visit.is_over(now) || is_here(node));
        }
        if self.visits.len() >= MAX_VISITS {
            return;
        }
        let visit = Visit {
            peer: Peer::dial(self.local.clone(), to, address, true, reports.clone()),
            again_at: now + backoff.next_delay(),
            backoff,
            reports,
        };
        self.visits.insert(to, visit);
    }
}

impl Peer {
    fn dial(
        local: Arc<Local>,
        peer: NodeId,
        address: String,
        is_guest: bool,
        reports: Reports,
    ) -> Self {
        let (sender, receiver) = queue();
        let (address, watched) = watch::channel(address);
        let dialler = Dialler {
            local,
            peer,
            address: watched,
            queue: receiver,
            is_guest,
            reports,
        };
        let dialler = tokio::spawn(dialler.run()).abort_handle();
        Self {
            queue: sender,
            address,
            dialler: Dialling(dialler),
        }
    }

    /// Dials no more, and closes the connection when what is queued has left, or in bounded time.
    fn let_go(self) {
        let Self {
            queue: _,
            address: _,
            dialler,
        } = self;
        tokio::spawn(async move {
            tokio::time::sleep(FAREWELL).await;
            drop(dialler);
        });
    }
}

impl Visit {
    /// Whether the connection is gone, for long enough to try another.
    fn is_over(&self, now: Instant) -> bool {
        self.peer.dialler.0.is_finished() && self.again_at <= now
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.acceptor.abort();
    }
}

impl Drop for Dialling {
    fn drop(&mut self) {
        self.0.abort();
    }
}
