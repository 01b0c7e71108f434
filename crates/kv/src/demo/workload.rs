//! The load: clients that write and read in turn, each through one node until that fails it.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use redis::aio::MultiplexedConnection;
use redis::{RedisResult, cmd};
use tokio::task::{JoinError, JoinSet};
use tokio::time::sleep;

use super::client::{Fate, connect, fate};
use super::history::{History, Ticket};

/// The pause before a client tries the next node.
const RETRY_AFTER: Duration = Duration::from_millis(10);

/// What the clients measured.
#[derive(Debug)]
pub(super) struct Measured {
    /// From the first attempt to the acknowledgement, for each acknowledged write; sorted.
    pub(super) latencies: Vec<Duration>,
    /// From the start of the load to its last answer.
    pub(super) elapsed: Duration,
}

/// A running load. Dropping it ends the clients.
pub(super) struct Load {
    started: Instant,
    clients: JoinSet<Vec<Duration>>,
}

impl Load {
    /// Starts the clients, spread over the nodes.
    pub(super) fn start(addresses: &[SocketAddr], history: &Arc<History>) -> Self {
        let started = Instant::now();
        let mut clients = JoinSet::new();
        for id in 0..history.clients() {
            let mut addresses = addresses.to_vec();
            let nodes = addresses.len().max(1);
            addresses.rotate_left(id % nodes);
            let client = Client {
                id,
                addresses,
                connection: None,
                history: Arc::clone(history),
            };
            clients.spawn(client.run());
        }
        Self { started, clients }
    }

    /// Waits until every write is acknowledged.
    pub(super) async fn finish(mut self) -> Result<Measured, JoinError> {
        let mut latencies = Vec::new();
        while let Some(measured) = self.clients.join_next().await {
            latencies.extend(measured?);
        }
        latencies.sort_unstable();
        Ok(Measured {
            latencies,
            elapsed: self.started.elapsed(),
        })
    }
}

struct Client {
    id: usize,
    /// The first is the one in use.
    addresses: Vec<SocketAddr>,
    connection: Option<MultiplexedConnection>,
    history: Arc<History>,
}

impl Client {
    /// Writes and reads until nothing is left to write. Answers the latencies of the writes.
    async fn run(mut self) -> Vec<Duration> {
        let mut latencies = Vec::new();
        let mut readee = self.id;
        while let Some(ticket) = self.history.next_write(self.id) {
            if let Some(latency) = self.write(ticket).await {
                latencies.push(latency);
            }
            readee = (readee + 1) % self.history.clients();
            self.read(readee).await;
        }
        latencies
    }

    /// Tries until the write is acknowledged or its outcome unknown.
    async fn write(&mut self, ticket: Ticket) -> Option<Duration> {
        let begun = Instant::now();
        let mut command = cmd("MSET");
        command.arg(ticket.key()).arg(ticket.number);
        command.arg(ticket.register()).arg(ticket.number);
        loop {
            let Some(connection) = self.connection().await else {
                continue;
            };
            let outcome: RedisResult<()> = command.query_async(connection).await;
            match outcome.map_err(|error| fate(&error)) {
                Ok(()) => {
                    self.history.acknowledge(ticket);
                    return Some(begun.elapsed());
                }
                Err(Fate::NotExecuted) => self.turn_away().await,
                Err(Fate::Unknown) => {
                    self.history.give_up(ticket);
                    self.turn_away().await;
                    return None;
                }
            }
        }
    }

    /// Reads once; a read that fails says nothing.
    async fn read(&mut self, client: usize) {
        let history = Arc::clone(&self.history);
        let Some(connection) = self.connection().await else {
            return;
        };
        let Some(look) = history.begin_read(client) else {
            return;
        };
        let answer: RedisResult<Option<u64>> = cmd("GET")
            .arg(look.register())
            .query_async(connection)
            .await;
        match answer {
            Ok(answer) => history.end_read(look, answer.unwrap_or(0)),
            Err(_) => self.turn_away().await,
        }
    }

    /// The connection to the node in use; none if that node cannot be reached.
    async fn connection(&mut self) -> Option<&mut MultiplexedConnection> {
        if self.connection.is_none() {
            let address = *self.addresses.first()?;
            match connect(address).await {
                Ok(connection) => self.connection = Some(connection),
                Err(_) => self.turn_away().await,
            }
        }
        self.connection.as_mut()
    }

    /// Leaves this node for the next.
    async fn turn_away(&mut self) {
        self.connection = None;
        if !self.addresses.is_empty() {
            self.addresses.rotate_left(1);
        }
        sleep(RETRY_AFTER).await;
    }
}
