//! The outgoing connection to one peer: dialled for as long as the node runs, and written to from
//! the peer's queue. Nothing of note arrives on it; what peers say arrives where they dialled
//! (`accept.rs`).

use std::convert::Infallible;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Buf;
use quorate_core::NodeId;
use tokio::io::{AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::net::tcp::ReadHalf;
use tokio::sync::watch;
use tokio::time::{sleep, timeout};
use tracing::{info, warn};

use super::link::{LinkError, SIGN_OF_LIFE_EVERY, SILENCE_LIMIT};
use super::queue::Receiver;
use super::{Backoff, Local, handshake};
use crate::PeerMessage;
use crate::wire::EncodedFrames;

/// Bytes gathered before they are written, so that a long queue does not become one long buffer.
const FLUSH_BYTES: usize = 256 * 1024;

/// How long to wait for an address that does not even refuse. No longer than the longest pause
/// between attempts, so that a peer that returns is found about as fast (scenario H15).
const CONNECT_TIMEOUT: Duration = Backoff::CAP;

/// The task that keeps one peer connected.
pub(super) struct Dialler {
    pub(super) local: Arc<Local>,
    pub(super) peer: NodeId,
    /// Where to dial. Names are resolved anew at each attempt.
    pub(super) address: watch::Receiver<String>,
    pub(super) queue: Receiver,
    /// Dialled once, because there is something to say to it, and not again for its own sake.
    pub(super) is_guest: bool,
}

/// What was last written to the log about a peer: a line for each change, not for each attempt
/// (scenario H15).
#[derive(Clone, Copy, PartialEq, Eq)]
enum Reported {
    Nothing,
    Up,
    Unreachable,
    Refused,
}

impl Dialler {
    /// Dials, writes and dials again, until the transport drops the sending end of the queue.
    pub(super) async fn run(mut self) {
        // An incarnation is random, so no two nodes draw the same delays.
        let mut backoff = Backoff::new(self.local.incarnation.get() ^ self.peer.get());
        let mut reported = Reported::Nothing;
        loop {
            let address = self.address.borrow_and_update().clone();
            let error = match self.connect(&address).await {
                Ok(stream) => {
                    let peer = self.peer;
                    info!(target: "quorate::transport", %peer, address, "connected to peer");
                    reported = Reported::Up;
                    let since = Instant::now();
                    self.queue.open();
                    let error = self.serve(stream).await;
                    self.queue.close();
                    // A peer that accepts and closes at once is as good as dead.
                    if since.elapsed() >= Backoff::CAP {
                        backoff.reset();
                    }
                    error
                }
                Err(error) => error,
            };
            if self.address.has_changed().is_err() {
                return;
            }
            self.report(&mut reported, &address, &error);
            if self.is_guest {
                return;
            }
            tokio::select! {
                () = sleep(backoff.next_delay()) => {}
                changed = self.address.changed() => match changed {
                    Ok(()) => backoff.reset(),
                    Err(_) => return,
                },
            }
        }
    }

    async fn connect(&self, address: &str) -> Result<TcpStream, LinkError> {
        let attempt = async {
            let connected = timeout(CONNECT_TIMEOUT, TcpStream::connect(address)).await;
            let mut stream = connected.map_err(|_| LinkError::TimedOut)??;
            stream.set_nodelay(true)?;
            handshake::dial(&mut stream, &self.local, self.peer).await?;
            Ok(stream)
        };
        timeout(handshake::TIMEOUT, attempt)
            .await
            .unwrap_or(Err(LinkError::TimedOut))
    }

    /// Writes what is queued, until the connection ends or the peer's address changes.
    async fn serve(&mut self, mut stream: TcpStream) -> LinkError {
        let (reader, writer) = stream.split();
        tokio::select! {
            error = listen(reader) => error,
            Err(error) = write_queue(&mut self.queue, writer, &self.local, self.peer) => error,
            // Whoever is let go of closes this too, but what is queued leaves first.
            Ok(()) = self.address.changed() => LinkError::Local,
        }
    }

    fn report(&self, reported: &mut Reported, address: &str, error: &LinkError) {
        let peer = self.peer;
        let (now, text) = match error {
            LinkError::Handshake(_) => (Reported::Refused, "peer refused"),
            LinkError::Io(_)
            | LinkError::TimedOut
            | LinkError::Silent
            | LinkError::Wire(_)
            | LinkError::WrongNames
            | LinkError::Closed
            | LinkError::Local => (Reported::Unreachable, "not connected to peer"),
        };
        if *reported != now {
            *reported = now;
            warn!(target: "quorate::transport", %peer, address, %error, "{text}");
        }
    }
}

/// Hears the acceptor's signs of life, and that they stopped.
async fn listen(mut reader: ReadHalf<'_>) -> LinkError {
    let mut scratch = [0; 256];
    loop {
        match timeout(SILENCE_LIMIT, reader.read(&mut scratch)).await {
            Ok(Ok(0)) => return LinkError::Closed,
            Ok(Ok(_)) => {}
            Ok(Err(error)) => return error.into(),
            Err(_) => return LinkError::Silent,
        }
    }
}

/// Writes everything that waits at once: under load, one system call carries many messages.
async fn write_queue(
    queue: &mut Receiver,
    mut writer: impl AsyncWrite + Unpin,
    local: &Local,
    peer: NodeId,
) -> Result<Infallible, LinkError> {
    let mut batch: Vec<PeerMessage> = Vec::new();
    let mut frames = EncodedFrames::new();
    let mut reported = false;
    loop {
        match timeout(SIGN_OF_LIFE_EVERY, queue.take(&mut batch)).await {
            Ok(true) => {}
            Ok(false) => return Err(LinkError::Local),
            Err(_) => frames.push_sign_of_life(),
        }
        for message in batch.drain(..) {
            if let Err(error) = frames.push(&message, local.max_frame_bytes)
                && !std::mem::replace(&mut reported, true)
            {
                warn!(target: "quorate::transport", %peer, %error, "dropped a message");
            }
            if frames.remaining() >= FLUSH_BYTES {
                writer.write_all_buf(&mut frames).await?;
            }
        }
        writer.write_all_buf(&mut frames).await?;
        queue.written();
    }
}
