//! The incoming connections: accepted, introduced, and read into the inbox. Nothing but signs of
//! life is written to them; what this node says goes out where it dialled (`dial.rs`).

use std::collections::{BTreeMap, BTreeSet};
use std::convert::Infallible;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::{Duration, Instant};

use quorate_core::NodeId;
use tokio::io::{AsyncRead, AsyncReadExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::{AbortHandle, JoinSet};
use tokio::time::{sleep, timeout};
use tracing::{debug, warn};

use super::ending::{Ending, show_life};
use super::guests::{Seat, SharedGuests};
use super::handshake;
use super::{Inbound, Inbox};
use crate::link::{HANDSHAKE_TIMEOUT, Incoming, LinkError, Local, SILENCE_LIMIT};
use crate::wire::{HandshakeError, Hello};

/// Connections that may be in their handshake at a time. More wait in the system's backlog.
const MAX_STRANGERS: usize = 64;

/// Refusals that are remembered.
const MAX_REFUSALS: usize = 64;

/// A peer whose connection was good for so long is well again: what it does wrong then is news.
const FORGIVEN_AFTER: Duration = Duration::from_secs(60);

/// How long to wait after the system refused to accept: it lacks file handles or memory, and
/// asking again at once would turn that into a busy loop.
const PAUSE_AFTER_ERROR: Duration = Duration::from_millis(200);

/// The task that owns the listener and every incoming connection. Dropped, it closes them all.
pub(super) struct Acceptor {
    pub(super) local: Arc<Local>,
    pub(super) members: watch::Receiver<BTreeSet<NodeId>>,
    pub(super) guests: SharedGuests,
    pub(super) inbox: Inbox,
}

/// A connection that went through its handshake, or did not.
struct Introduced {
    address: SocketAddr,
    outcome: Result<(TcpStream, Incoming), Ending>,
    /// Held by a guest.
    seat: Option<Seat>,
}

impl Acceptor {
    /// Accepts until the task is aborted.
    pub(super) async fn run(self, listener: TcpListener) {
        let mut strangers: JoinSet<Introduced> = JoinSet::new();
        let mut known = Known::default();
        let mut members = self.members.clone();
        let mut failing = false;
        loop {
            tokio::select! {
                accepted = listener.accept(), if strangers.len() < MAX_STRANGERS => {
                    match accepted {
                        Ok((stream, address)) => {
                            strangers.spawn(self.introduce(stream, address));
                            failing = false;
                        }
                        Err(error) => {
                            if !std::mem::replace(&mut failing, true) {
                                warn!(target: "quorate::transport", %error, "cannot accept");
                            }
                            sleep(PAUSE_AFTER_ERROR).await;
                        }
                    }
                }
                Some(introduced) = strangers.join_next() => {
                    // The other case is a task that panicked, and took its connection with it.
                    if let Ok(introduced) = introduced {
                        self.welcome(introduced, &mut known);
                    }
                }
                Some(left) = known.readers.join_next() => {
                    // The other case is a reader that was aborted, for it knew nothing new.
                    if let Ok(left) = left {
                        known.say_goodbye(&left);
                    }
                }
                Ok(()) = members.changed() => known.retain(&members.borrow_and_update()),
            }
        }
    }

    /// Reads from now on what a peer sends, or says why not.
    fn welcome(&self, introduced: Introduced, known: &mut Known) {
        let address = introduced.address;
        match introduced.outcome {
            // It may have been removed since it introduced itself: then it has to do that again.
            Ok((_, incoming)) if !self.is_welcome(incoming.hello().from) => {}
            Ok((stream, incoming)) => {
                known.refusals.forget(address);
                let peer = incoming.hello().from;
                let reader = Reader {
                    peer,
                    incoming,
                    inbox: self.inbox.clone(),
                    _seat: introduced.seat,
                };
                let reader = known.readers.spawn(reader.run(stream));
                // A peer has one outgoing connection; the older one is a leftover.
                if let Some(older) = known.latest.insert(peer, reader) {
                    older.abort();
                }
            }
            Err(error) => known.refusals.report(address, &error),
        }
    }

    fn is_welcome(&self, peer: NodeId) -> bool {
        self.members.borrow().contains(&peer) || self.guests.address(peer).is_some()
    }

    /// Hears who dialled.
    fn introduce(
        &self,
        mut stream: TcpStream,
        address: SocketAddr,
    ) -> impl Future<Output = Introduced> + use<> {
        let (local, members) = (self.local.clone(), self.members.clone());
        let guests = self.guests.clone();
        async move {
            let mut seat = None;
            let handshake = async {
                stream.set_nodelay(true)?;
                let expected = |hello: &Hello| {
                    let is_member = members.borrow().contains(&hello.from);
                    if !is_member {
                        seat = guests.welcome(hello.from, &hello.address);
                    }
                    is_member || seat.is_some()
                };
                let incoming = handshake::accept(&mut stream, &local, expected).await?;
                Ok(incoming)
            };
            let outcome = timeout(HANDSHAKE_TIMEOUT, handshake).await;
            let outcome = outcome.unwrap_or(Err(Ending::TimedOut));
            Introduced {
                address,
                outcome: outcome.map(|incoming| (stream, incoming)),
                seat,
            }
        }
    }
}

/// The connections that were accepted, and the addresses that were not.
#[derive(Default)]
struct Known {
    readers: JoinSet<Left>,
    /// The reader of each peer's newest connection.
    latest: BTreeMap<NodeId, AbortHandle>,
    refusals: Refusals,
    offenders: Offenders,
}

impl Known {
    /// Closes the connections of everyone who is not a member. Who is a guest comes back.
    fn retain(&mut self, members: &BTreeSet<NodeId>) {
        self.latest.retain(|peer, reader| {
            let stays = members.contains(peer);
            if !stays {
                reader.abort();
            }
            stays
        });
    }

    fn say_goodbye(&mut self, left: &Left) {
        let Left {
            peer,
            error,
            lasted,
        } = left;
        let is_offence = match error {
            Ending::Link(_) => true,
            Ending::Io(_) | Ending::TimedOut | Ending::Silent | Ending::Closed | Ending::Local => {
                false
            }
        };
        // A guest may never come again.
        if self.latest.get(peer).is_some_and(AbortHandle::is_finished) {
            self.latest.remove(peer);
        }
        if self.offenders.is_news(*peer, is_offence, *lasted) {
            warn!(target: "quorate::transport", %peer, %error, "closed a connection");
        } else {
            debug!(target: "quorate::transport", %peer, %error, "peer left");
        }
    }
}

/// A connection that was read until it ended.
struct Left {
    peer: NodeId,
    error: Ending,
    lasted: Duration,
}

/// The reader of one incoming connection.
struct Reader {
    peer: NodeId,
    incoming: Incoming,
    inbox: Inbox,
    /// Of a guest, who leaves when this is no longer read.
    _seat: Option<Seat>,
}

impl Reader {
    async fn run(mut self, mut stream: TcpStream) -> Left {
        let (peer, since) = (self.peer, Instant::now());
        debug!(target: "quorate::transport", %peer, "accepted peer");
        let (reader, mut writer) = stream.split();
        let error = tokio::select! {
            Err(error) = self.read(reader) => error,
            error = show_life(&mut writer) => error,
        };
        Left {
            peer,
            error,
            lasted: since.elapsed(),
        }
    }

    /// Delivers what arrives. While the inbox is full nothing is read, and the peer's queue
    /// fills in turn.
    async fn read(&mut self, mut reader: impl AsyncRead + Unpin) -> Result<Infallible, Ending> {
        let from = self.peer;
        loop {
            while let Some(message) = self.incoming.next_message()? {
                if !self.inbox.deliver(Inbound { from, message }).await {
                    return Err(Ending::Local);
                }
            }
            match timeout(SILENCE_LIMIT, reader.read_buf(self.incoming.room())).await {
                Ok(Ok(0)) => return Err(Ending::Closed),
                Ok(Ok(_)) => {}
                Ok(Err(error)) => return Err(error.into()),
                Err(_) => return Err(Ending::Silent),
            }
        }
    }
}

/// Remembers which refusals were logged for which address, so that a wrongly configured node that
/// dials again and again costs one line (scenario H15). Several may share an address.
#[derive(Default)]
struct Refusals(Vec<(IpAddr, Option<HandshakeError>)>);

impl Refusals {
    fn report(&mut self, address: SocketAddr, error: &Ending) {
        let reason = match error {
            Ending::Link(LinkError::Handshake(reason)) => Some(*reason),
            Ending::Link(LinkError::Wire(_) | LinkError::WrongNames)
            | Ending::Io(_)
            | Ending::TimedOut
            | Ending::Silent
            | Ending::Closed
            | Ending::Local => None,
        };
        if self.is_news(address.ip(), reason) {
            warn!(target: "quorate::transport", %address, %error, "refused a connection");
        }
    }

    fn is_news(&mut self, address: IpAddr, reason: Option<HandshakeError>) -> bool {
        let refusal = (address, reason);
        if self.0.contains(&refusal) {
            return false;
        }
        // Forgetting everything may repeat a line; a table without a bound would be worse.
        if self.0.len() >= MAX_REFUSALS {
            self.0.clear();
        }
        self.0.push(refusal);
        true
    }

    fn forget(&mut self, address: SocketAddr) {
        self.0.retain(|(known, _)| *known != address.ip());
    }
}

/// Peers whose connections end with what no correct peer sends. One that comes back again and again
/// to say it costs one line (scenario H15).
#[derive(Default)]
struct Offenders(BTreeSet<NodeId>);

impl Offenders {
    /// A connection has ended after this time. Whether it was an offence, and the first of its
    /// peer in a while.
    fn is_news(&mut self, peer: NodeId, is_offence: bool, lasted: Duration) -> bool {
        if lasted >= FORGIVEN_AFTER {
            self.0.remove(&peer);
        }
        // Forgetting everything may repeat a line; a set without a bound would be worse.
        if self.0.len() >= MAX_REFUSALS {
            self.0.clear();
        }
        is_offence && self.0.insert(peer)
    }
}

#[cfg(test)]
pub(super) mod tests {
    use quorate_core::Incarnation;
    use quorate_log::{ClusterId, DirectoryId};

    use super::*;

    fn node(id: u64) -> NodeId {
        NodeId::new(id).unwrap()
    }

    pub(in crate::transport) fn local(id: u64) -> Local {
        Local {
            cluster: ClusterId(7),
            node: node(id),
            incarnation: Incarnation::new(id),
            directory: DirectoryId(u128::from(id)),
            address: String::new(),
            peers: BTreeMap::new(),
            max_frame_bytes: 1024,
        }
    }

    /// Scenario H15: nodes on one machine, or behind one gateway, dial in turns.
    #[test]
    fn each_refused_node_costs_one_line_though_several_share_an_address() {
        let mut refusals = Refusals::default();
        let address = SocketAddr::from(([10, 0, 0, 1], 7000));
        let mut lines = || {
            let refused = [4, 5].map(|id| HandshakeError::UnexpectedSender { from: node(id) });
            let is_news = |reason| refusals.is_news(address.ip(), Some(reason));
            refused
                .into_iter()
                .map(is_news)
                .filter(|news| *news)
                .count()
        };
        assert_eq!([lines(), lines(), lines()], [2, 0, 0]);
        refusals.forget(address);
        let reasons = (1..10 * MAX_REFUSALS as u64).map(node);
        for from in reasons {
            refusals.is_news(
                address.ip(),
                Some(HandshakeError::UnexpectedSender { from }),
            );
            assert!(
                refusals.0.len() <= MAX_REFUSALS,
                "memory would grow for ever"
            );
        }
    }

    /// Scenario H15
    #[test]
    fn offence_is_told_again_once_a_connection_was_good_for_a_while() {
        let mut offenders = Offenders::default();
        let mut is_news = |is_offence, lasted| offenders.is_news(node(2), is_offence, lasted);
        let short = FORGIVEN_AFTER / 2;
        assert!(is_news(true, short));
        assert!(!is_news(true, short), "it goes on");
        assert!(!is_news(false, short), "nothing is wrong with that");
        assert!(!is_news(true, short), "it is not well yet");
        assert!(is_news(true, FORGIVEN_AFTER), "it was well meanwhile");
        for id in 3..10 * MAX_REFUSALS as u64 {
            offenders.is_news(node(id), true, short);
            assert!(offenders.0.len() <= MAX_REFUSALS, "memory would grow");
        }
    }

    /// A member that is let go after it was asked in and before it is read.
    #[tokio::test]
    async fn peer_that_was_let_go_while_it_introduced_itself_is_not_read() {
        let (members, watched) = watch::channel(BTreeSet::from([node(2)]));
        let acceptor = Acceptor {
            local: Arc::new(local(1)),
            members: watched,
            guests: SharedGuests::default(),
            inbox: Inbox::new(1).0,
        };
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let mut known = Known::default();
        for is_member in [true, false] {
            let mut dialled = TcpStream::connect(listener.local_addr().unwrap())
                .await
                .unwrap();
            let (accepted, address) = listener.accept().await.unwrap();
            let dialler = local(2);
            let (dialled, introduced) = tokio::join!(
                handshake::dial(&mut dialled, &dialler, node(1)),
                acceptor.introduce(accepted, address),
            );
            assert!(dialled.is_ok() && introduced.outcome.is_ok());
            if !is_member {
                members.send_replace(BTreeSet::new());
                known.retain(&members.borrow());
            }
            acceptor.welcome(introduced, &mut known);
            assert_eq!(known.latest.contains_key(&node(2)), is_member);
        }
    }
}
