//! The server process: a node, a listener for clients, and an orderly end. What happens on a
//! connection is in `connection.rs`.

use std::io::{self, Read as _};
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use quorate::StopReason;
use tokio::io::AsyncWriteExt as _;
use tokio::net::{TcpListener, TcpStream};
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::{oneshot, watch};
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};
use tracing::{debug, info, warn};

use crate::burst::OP_BYTES_MAX;
use crate::config::Settings;
use crate::connection::{self, Shared};
use crate::executor::Executor;
use crate::info::ServerFacts;
use crate::node::{NodeError, StoreNode};
use crate::resp::Limits;

/// How long a command is tried while there is no leader: several elections.
const PATIENCE: Duration = Duration::from_secs(5);
/// How long a stopping server waits for commands under way. Longer than any of them is tried.
const FAREWELL: Duration = Duration::from_secs(6);
/// The pause after the system refused a connection, most often for want of file descriptors.
const ACCEPT_RETRY: Duration = Duration::from_millis(100);

const LIMITS: Limits = Limits {
    bulk_bytes: OP_BYTES_MAX,
    // What a request takes in memory while it arrives: more than any operation, for many short
    // arguments take more room as requests than as operations.
    request_bytes: 4 * OP_BYTES_MAX,
};

/// Why the server ended before it was told to.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ServeError {
    /// Clients cannot reach the server.
    #[error("cannot serve clients at {address}")]
    Listen {
        /// The address.
        address: SocketAddr,
        /// Why.
        source: io::Error,
    },
    /// The system does not pass on signals.
    #[error("cannot wait for signals")]
    Signals(#[source] io::Error),
    /// There is no node.
    #[error(transparent)]
    Node(#[from] NodeError),
    /// The node stopped by itself. What is on its disk stays as it is.
    #[error("the node has stopped: {0}")]
    Stopped(StopReason),
}

/// Runs a server until a signal ends it.
///
/// # Errors
/// It does not start, or its node stops by itself.
pub async fn run(settings: Settings) -> Result<(), ServeError> {
    let listening = |source| ServeError::Listen {
        address: settings.listen,
        source,
    };
    let listener = TcpListener::bind(settings.listen)
        .await
        .map_err(listening)?;
    let address = listener.local_addr().map_err(listening)?;
    let mut end = End::new(settings.until_stdin_ends).map_err(ServeError::Signals)?;
    // A long log takes time to be read, and a disk may hang: that is no reason not to stop.
    let node = tokio::select! {
        node = StoreNode::start(&settings) => node?,
        () = end.wait() => {
            info!("the server stops before it has started");
            return Ok(());
        }
    };
    info!(id = settings.id.get(), %address, raft = settings.raft_address, "the server is ready");

    let shared = Arc::new(Shared {
        executor: Executor::new(node.clone(), PATIENCE),
        facts: ServerFacts {
            port: address.port(),
            started: Instant::now(),
            connected: AtomicUsize::new(0),
            clients_max: settings.clients_max,
            bulk_bytes_max: LIMITS.bulk_bytes,
        },
        limits: LIMITS,
    });
    let mut clients = Clients::new(shared);
    let stopped = tokio::select! {
        () = clients.accept(&listener) => None,
        () = end.wait() => None,
        reason = node.stopped() => Some(reason),
    };
    if let Some(reason) = stopped {
        return Err(ServeError::Stopped(reason));
    }
    info!("the server stops");
    drop(listener);
    clients.finish().await;
    node.shutdown().await;
    ended(node.stopped().await)
}

/// What became of a server that was told to stop. Its node may have failed before it could: then a
/// supervisor must not think that all is well.
fn ended(reason: StopReason) -> Result<(), ServeError> {
    if reason == StopReason::Requested {
        Ok(())
    } else {
        Err(ServeError::Stopped(reason))
    }
}

/// What ends the server from outside.
struct End {
    terminate: tokio::signal::unix::Signal,
    interrupt: tokio::signal::unix::Signal,
    stdin: Option<oneshot::Receiver<()>>,
}

impl End {
    fn new(until_stdin_ends: bool) -> io::Result<Self> {
        Ok(Self {
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
            stdin: until_stdin_ends.then(stdin_end),
        })
    }

    async fn wait(&mut self) {
        let stdin = async {
            match &mut self.stdin {
                Some(end) => drop(end.await),
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            _ = self.terminate.recv() => {}
            _ = self.interrupt.recv() => {}
            () = stdin => {}
        }
    }
}

/// Resolves when the standard input ends. On a thread of its own, which the process's end does
/// not wait for: a read from the standard input cannot be taken back.
fn stdin_end() -> oneshot::Receiver<()> {
    let (ended, end) = oneshot::channel();
    std::thread::spawn(move || {
        let mut ignored = [0; 64];
        while io::stdin().read(&mut ignored).is_ok_and(|count| count > 0) {}
        let _ = ended.send(());
    });
    end
}

/// Whether the last connection was refused by the system. A shortage lasts, and is worth one line,
/// not ten a second.
#[derive(Default)]
struct Troubles {
    is_refused: bool,
}

impl Troubles {
    /// Whether this is the first refusal in a row.
    fn is_news(&mut self, is_refused: bool) -> bool {
        let was_refused = std::mem::replace(&mut self.is_refused, is_refused);
        is_refused && !was_refused
    }
}

/// The connections of a server.
struct Clients {
    shared: Arc<Shared<StoreNode>>,
    connections: JoinSet<()>,
    next_id: u64,
    stop: watch::Sender<bool>,
}

impl Clients {
    fn new(shared: Arc<Shared<StoreNode>>) -> Self {
        Self {
            shared,
            connections: JoinSet::new(),
            next_id: 1,
            stop: watch::Sender::new(false),
        }
    }

    /// Accepts connections, for ever.
    async fn accept(&mut self, listener: &TcpListener) {
        let mut troubles = Troubles::default();
        loop {
            let accepted = listener.accept().await;
            let is_news = troubles.is_news(accepted.is_err());
            match accepted {
                Ok((stream, _)) => self.admit(stream),
                Err(error) => {
                    if is_news {
                        warn!(%error, "connections are not accepted");
                    }
                    sleep(ACCEPT_RETRY).await;
                }
            }
        }
    }

    fn admit(&mut self, mut stream: TcpStream) {
        // Those that have ended make room.
        while self.connections.try_join_next().is_some() {}
        if self.connections.len() >= self.shared.facts.clients_max {
            let refusal = b"-ERR max number of clients reached\r\n";
            tokio::spawn(async move { stream.write_all(refusal).await });
            return;
        }
        let id = self.next_id;
        self.next_id += 1;
        let shared = Arc::clone(&self.shared);
        let stop = self.stop.subscribe();
        self.connections.spawn(async move {
            shared.facts.connected.fetch_add(1, Ordering::Relaxed);
            let served = match stream.set_nodelay(true) {
                Ok(()) => connection::serve(stream, id, Arc::clone(&shared), stop).await,
                Err(error) => Err(error),
            };
            if let Err(error) = served {
                debug!(client = id, %error, "a connection failed");
            }
            shared.facts.connected.fetch_sub(1, Ordering::Relaxed);
        });
    }

    /// Ends the connections: idle ones at once, the others after the command under way.
    async fn finish(mut self) {
        self.stop.send_replace(true);
        let all_ended = async { while self.connections.join_next().await.is_some() {} };
        if timeout(FAREWELL, all_ended).await.is_err() {
            warn!("connections with commands under way were cut off");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shortage_costs_one_line_however_long_it_lasts() {
        let mut troubles = Troubles::default();
        let refused = [false, true, true, true, false, true];
        let news = refused.map(|is_refused| troubles.is_news(is_refused));
        assert_eq!(news, [false, true, false, false, false, true]);
    }

    #[test]
    fn server_whose_node_fails_while_it_stops_has_failed() {
        assert!(ended(StopReason::Requested).is_ok());
        let reason = "sync of the log: input/output error".to_owned();
        let failed = ended(StopReason::StorageFailed { reason });
        assert!(matches!(failed, Err(ServeError::Stopped(_))));
    }
}
