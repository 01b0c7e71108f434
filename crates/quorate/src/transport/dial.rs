//! The outgoing connection to one peer: dialled for as long as the node runs, and written to from
//! the peer's queue. Nothing of note arrives on it; what peers say arrives where they dialled
//! (`accept.rs`).

use std::convert::Infallible;
use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use quorate_core::NodeId;
use tokio::io::{AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::tcp::ReadHalf;
use tokio::net::{TcpStream, lookup_host};
use tokio::sync::watch;
use tokio::time::{sleep, timeout};
use tracing::{info, warn};

use super::ending::Ending;
use super::handshake;
use super::queue::Receiver;
use crate::PeerMessage;
use crate::link::{
    Backoff, CONNECT_TIMEOUT, HANDSHAKE_TIMEOUT, LinkError, Local, Outgoing, SIGN_OF_LIFE_EVERY,
    SILENCE_LIMIT,
};

/// The task that keeps one peer connected.
pub(super) struct Dialler {
    pub(super) local: Arc<Local>,
    pub(super) peer: NodeId,
    /// Where to dial. Names are resolved anew at each attempt.
    pub(super) address: watch::Receiver<String>,
    pub(super) queue: Receiver,
    /// Dialled once, because there is something to say to it, and not again for its own sake.
    pub(super) is_guest: bool,
    pub(super) reports: Reports,
}

/// What was last written to the log about a peer: a line for each change, not for each attempt
/// (scenario H15). Clones are about the same peer, so that it can be kept from one dialler to the
/// next.
#[derive(Clone, Debug, Default)]
pub(super) struct Reports(Arc<Mutex<Told>>);

#[derive(Debug, Default)]
struct Told {
    last: Reported,
    /// Its last connection was as good as none. That there is one again is told once it lasts.
    is_fickle: bool,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Reported {
    #[default]
    Nothing,
    Up,
    Unreachable,
    Refused,
}

impl Reports {
    /// There is a connection. Whether that is to be told now.
    fn connected(&self) -> bool {
        let mut told = self.lock();
        !told.is_fickle && told.is_news(Reported::Up)
    }

    /// The connection has lasted for long enough to be one. Whether that is to be told.
    fn lasted(&self) -> bool {
        let mut told = self.lock();
        told.is_fickle = false;
        told.is_news(Reported::Up)
    }

    /// There is no connection. Whether that is to be told.
    fn failed(&self, why: Reported) -> bool {
        self.lock().is_news(why)
    }

    /// The connection was over before it could count as one.
    fn was_fickle(&self) {
        self.lock().is_fickle = true;
    }

    /// What was told was about another address.
    fn forget(&self) {
        *self.lock() = Told::default();
    }

    /// No operation leaves it half changed, so a panic elsewhere while the lock was held does no
    /// harm.
    fn lock(&self) -> MutexGuard<'_, Told> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Told {
    /// Takes note. Whether it is another than before.
    fn is_news(&mut self, now: Reported) -> bool {
        std::mem::replace(&mut self.last, now) != now
    }
}

/// What a dialler does after an attempt or a connection.
#[derive(Debug, PartialEq, Eq)]
enum Next {
    Dial,
    Pause(Duration),
    End,
}

impl Dialler {
    /// Dials, writes and dials again, until the transport drops the sending end of the queue.
    pub(super) async fn run(mut self) {
        // An incarnation is random, so no two nodes draw the same delays.
        let mut backoff = Backoff::new(self.local.incarnation.get() ^ self.peer.get());
        loop {
            let address = self.address.borrow_and_update().clone();
            let error = match self.connect(&address).await {
                Ok((stream, outgoing)) => {
                    let since = Instant::now();
                    self.queue.open();
                    let error = self.serve(stream, outgoing, &address).await;
                    self.queue.close();
                    let lasted = since.elapsed();
                    backoff.reset_after(lasted);
                    if lasted < Backoff::CAP {
                        self.reports.was_fickle();
                    }
                    error
                }
                Err(error) => error,
            };
            match self.next(&address, &error, &mut backoff) {
                Next::Dial => {}
                Next::Pause(delay) => tokio::select! {
                    () = sleep(delay) => {}
                    changed = self.address.changed() => match changed {
                        Ok(()) => backoff.reset(),
                        Err(_) => return,
                    },
                },
                Next::End => return,
            }
        }
    }

    /// What to do when this is how it ended at the address that was dialled.
    fn next(&self, dialled: &str, error: &Ending, backoff: &mut Backoff) -> Next {
        if self.address.has_changed().is_err() {
            return Next::End;
        }
        if *self.address.borrow() != dialled {
            // What became of the former address says nothing of this one.
            backoff.reset();
            self.reports.forget();
            return Next::Dial;
        }
        self.report(dialled, error);
        if self.is_guest {
            Next::End
        } else {
            Next::Pause(backoff.next_delay())
        }
    }

    async fn connect(&self, address: &str) -> Result<(TcpStream, Outgoing), Ending> {
        let attempt = async {
            let resolved = timeout(CONNECT_TIMEOUT, lookup_host(address)).await;
            let addresses: Vec<_> = resolved.map_err(|_| Ending::TimedOut)??.collect();
            let mut stream = connect_any(&addresses, TcpStream::connect).await?;
            stream.set_nodelay(true)?;
            let outgoing = handshake::dial(&mut stream, &self.local, self.peer).await?;
            Ok((stream, outgoing))
        };
        timeout(HANDSHAKE_TIMEOUT, attempt)
            .await
            .unwrap_or(Err(Ending::TimedOut))
    }

    /// Writes what is queued, until the connection ends or the peer's address changes.
    async fn serve(&mut self, mut stream: TcpStream, outgoing: Outgoing, address: &str) -> Ending {
        let peer = self.peer;
        let tell = || info!(target: "quorate::transport", %peer, address, "connected to peer");
        if self.reports.connected() {
            tell();
        }
        let reports = self.reports.clone();
        let (reader, writer) = stream.split();
        let lasts = async {
            sleep(Backoff::CAP).await;
            if reports.lasted() {
                tell();
            }
            std::future::pending().await
        };
        tokio::select! {
            error = listen(reader) => error,
            Err(error) = write_queue(&mut self.queue, writer, outgoing, peer) => error,
            // Whoever is let go of closes this too, but what is queued leaves first.
            Ok(()) = self.address.changed() => Ending::Local,
            ending = lasts => ending,
        }
    }

    fn report(&self, address: &str, error: &Ending) {
        let peer = self.peer;
        let (now, text) = match error {
            Ending::Link(LinkError::Handshake(_)) => (Reported::Refused, "peer refused"),
            Ending::Link(LinkError::Wire(_) | LinkError::WrongNames)
            | Ending::Io(_)
            | Ending::TimedOut
            | Ending::Silent
            | Ending::Closed
            | Ending::Local => (Reported::Unreachable, "not connected to peer"),
        };
        if self.reports.failed(now) {
            warn!(target: "quorate::transport", %peer, address, %error, "{text}");
        }
    }
}

/// Connects to the first of these addresses that lets it. Together they have [`CONNECT_TIMEOUT`],
/// and each a fair share of what is left: one that does not even refuse must not keep those behind
/// it from being tried.
async fn connect_any<T, F>(
    addresses: &[SocketAddr],
    connect: impl Fn(SocketAddr) -> F,
) -> Result<T, Ending>
where
    F: Future<Output = io::Result<T>>,
{
    let end = tokio::time::Instant::now() + CONNECT_TIMEOUT;
    let mut error = io::Error::new(io::ErrorKind::NotFound, "the name has no address").into();
    for (address, untried) in addresses.iter().zip((1..=addresses.len()).rev()) {
        let left = end.saturating_duration_since(tokio::time::Instant::now());
        let share = left / u32::try_from(untried).unwrap_or(u32::MAX);
        match timeout(share, connect(*address)).await {
            Ok(Ok(connected)) => return Ok(connected),
            Ok(Err(refused)) => error = refused.into(),
            Err(_) => error = Ending::TimedOut,
        }
    }
    Err(error)
}

/// Hears the acceptor's signs of life, and that they stopped.
async fn listen(mut reader: ReadHalf<'_>) -> Ending {
    let mut scratch = [0; 256];
    loop {
        match timeout(SILENCE_LIMIT, reader.read(&mut scratch)).await {
            Ok(Ok(0)) => return Ending::Closed,
            Ok(Ok(_)) => {}
            Ok(Err(error)) => return error.into(),
            Err(_) => return Ending::Silent,
        }
    }
}

/// Writes everything that waits at once: under load, one system call carries many messages.
async fn write_queue(
    queue: &mut Receiver,
    mut writer: impl AsyncWrite + Unpin,
    mut outgoing: Outgoing,
    peer: NodeId,
) -> Result<Infallible, Ending> {
    let mut batch: Vec<PeerMessage> = Vec::new();
    let mut reported = false;
    loop {
        match timeout(SIGN_OF_LIFE_EVERY, queue.take(&mut batch)).await {
            Ok(true) => {}
            Ok(false) => return Err(Ending::Local),
            Err(_) => outgoing.push_sign_of_life(),
        }
        for message in batch.drain(..) {
            if let Err(error) = outgoing.push(&message)
                && !std::mem::replace(&mut reported, true)
            {
                warn!(target: "quorate::transport", %peer, %error, "dropped a message");
            }
            if outgoing.is_full() {
                writer.write_all_buf(outgoing.unwritten()).await?;
            }
        }
        writer.write_all_buf(outgoing.unwritten()).await?;
        queue.written();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Where nobody answers, not even to refuse.
    const DEAD: u16 = 1;
    /// Where somebody refuses.
    const CLOSED: u16 = 2;

    /// Tries these ports in turn. Returns which let it in, or how it ended, and how long it took.
    async fn try_ports(ports: &[u16]) -> (Result<u16, Ending>, Duration) {
        let addresses = ports
            .iter()
            .map(|&port| SocketAddr::from(([127, 0, 0, 1], port)));
        let addresses: Vec<_> = addresses.collect();
        let begun = tokio::time::Instant::now();
        let connect = async |address: SocketAddr| match address.port() {
            DEAD => std::future::pending().await,
            CLOSED => Err(io::ErrorKind::ConnectionRefused.into()),
            port => Ok(port),
        };
        let connected = connect_any(&addresses, connect).await;
        (connected, begun.elapsed())
    }

    /// Scenario H13: it was connected a moment ago, and others moved before it.
    #[test]
    fn peer_that_moves_soon_after_it_was_connected_is_dialled_without_a_pause() {
        let (address, watched) = watch::channel("a:1".to_owned());
        let dialler = Dialler {
            local: Arc::new(crate::transport::accept::tests::local(1)),
            peer: NodeId::new(2).unwrap(),
            address: watched,
            queue: crate::transport::queue::queue().1,
            is_guest: false,
            reports: Reports::default(),
        };
        let mut backoff = Backoff::new(1);
        let mut next = |error| dialler.next("a:1", &error, &mut backoff);
        assert!(
            matches!(next(Ending::Closed), Next::Pause(_)),
            "it may be dead"
        );
        address.send_replace("a:2".to_owned());
        assert_eq!(next(Ending::Local), Next::Dial);
        assert!(dialler.reports.connected(), "that it moved is worth a line");
        drop(address);
        assert_eq!(next(Ending::Local), Next::End);
    }

    /// Scenario H15: a name of two families, of which the network carries one.
    #[tokio::test(start_paused = true)]
    async fn address_that_does_not_answer_leaves_time_for_the_others() {
        for ports in [
            &[DEAD, 7][..],
            &[DEAD, CLOSED, DEAD, 7],
            &[CLOSED, DEAD, DEAD, 7],
        ] {
            let (connected, took) = try_ports(ports).await;
            assert_eq!(connected.ok(), Some(7), "{ports:?}");
            assert!(took < CONNECT_TIMEOUT, "{took:?}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn addresses_have_one_limit_together_and_all_of_it() {
        let (connected, took) = try_ports(&[CLOSED, DEAD, CLOSED, DEAD]).await;
        assert!(matches!(connected, Err(Ending::TimedOut)));
        let millisecond = Duration::from_millis(1);
        assert!(took + millisecond >= CONNECT_TIMEOUT, "{took:?}");
        assert!(took <= CONNECT_TIMEOUT + 4 * millisecond, "{took:?}");
        let (connected, _) = try_ports(&[CLOSED, CLOSED]).await;
        assert!(matches!(connected, Err(Ending::Io(_))), "they refused");
        let (connected, _) = try_ports(&[]).await;
        assert!(matches!(connected, Err(Ending::Io(_))), "there is nobody");
    }
}
