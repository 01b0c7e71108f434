//! The three server processes of the demo: this program again, each with a directory and ports of
//! its own. They end with the demo, however it ends: dropping the cluster kills them, and the
//! standard input they wait on closes even if the demo itself is killed.

use std::fs::File;
use std::hash::{BuildHasher as _, RandomState};
use std::io;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::ops::Range;
use std::path::PathBuf;
use std::process::{self, Stdio};
use std::time::{Duration, Instant};

use redis::aio::MultiplexedConnection;
use tempfile::TempDir;
use tokio::process::{Child, Command};
use tokio::time::{sleep, timeout};

use super::client::{NodeInfo, connect, node_info};
use super::{DemoError, ELECTION_MAX, POLL_EVERY};

const NODES: usize = 3;
/// How long a server may take to answer, and to catch up, on a machine with little time to spare.
const START_MAX: Duration = Duration::from_secs(60);
/// How often other ports are chosen because somebody took one before its server did.
const PORT_ATTEMPTS: usize = 5;
/// How long a node may take to say how it is: one that was just killed does not.
const INFO_MAX: Duration = Duration::from_millis(500);

/// A node that says it leads.
#[derive(Clone, Copy, Debug)]
pub(super) struct Leader {
    pub(super) id: usize,
    pub(super) term: u64,
}

/// One server process.
pub(super) struct Server {
    id: usize,
    address: SocketAddr,
    arguments: Vec<String>,
    log: PathBuf,
    child: Child,
    connection: Option<MultiplexedConnection>,
    is_left_running: bool,
}

impl Drop for Server {
    fn drop(&mut self) {
        if !self.is_left_running {
            // It may have ended already; then there is nothing to kill.
            let _ = self.child.start_kill();
        }
    }
}

/// The server processes and their directory.
pub(super) struct Cluster {
    servers: Vec<Server>,
    directory: Option<TempDir>,
    path: PathBuf,
    keep: bool,
}

impl Cluster {
    /// Starts three servers and waits until each answers. With `keep` they can outlive the demo.
    pub(super) async fn start(keep: bool) -> Result<Self, DemoError> {
        let mut attempt = 1;
        loop {
            let mut cluster = Self::spawn(keep)?;
            match cluster.await_answers().await {
                Ok(()) => return Ok(cluster),
                // Between our look at a port and the server's, somebody else may take it.
                Err(error) if attempt == PORT_ATTEMPTS => {
                    cluster.preserve();
                    return Err(error);
                }
                Err(_) => attempt += 1,
            }
        }
    }

    fn spawn(keep: bool) -> Result<Self, DemoError> {
        let directory = tempfile::Builder::new()
            .prefix("quorate-kv-demo-")
            .tempdir()
            .map_err(|source| DemoError::System {
                action: "create a directory",
                source,
            })?;
        let ports = free_ports(2 * NODES).map_err(|source| DemoError::System {
            action: "find free ports",
            source,
        })?;
        let (client_ports, raft_ports) = ports.split_at(NODES);
        let peers: Vec<String> = raft_ports
            .iter()
            .zip(1..)
            .flat_map(|(address, id)| ["--peer".to_owned(), format!("{id}={address}")])
            .collect();
        let path = directory.path().to_owned();
        let mut cluster = Self {
            servers: Vec::new(),
            directory: Some(directory),
            path,
            keep,
        };
        for (&address, id) in client_ports.iter().zip(1..) {
            let data = cluster.path.join(format!("node-{id}"));
            let mut arguments: Vec<String> = ["serve", "--cluster", "demo", "--id"]
                .map(str::to_owned)
                .to_vec();
            arguments.extend([id.to_string(), "--listen".to_owned(), address.to_string()]);
            arguments.extend(["--data".to_owned(), data.display().to_string()]);
            arguments.extend_from_slice(&peers);
            if !keep {
                arguments.push("--until-stdin-ends".to_owned());
            }
            let log = cluster.path.join(format!("node-{id}.log"));
            let child = run(&arguments, &log, keep).map_err(|source| DemoError::System {
                action: "start a server",
                source,
            })?;
            cluster.servers.push(Server {
                id,
                address,
                arguments,
                log,
                child,
                connection: None,
                is_left_running: false,
            });
        }
        Ok(cluster)
    }

    /// The servers, in order of their numbers.
    pub(super) fn servers(&self) -> impl Iterator<Item = &Server> {
        self.servers.iter()
    }

    /// Where clients connect to.
    pub(super) fn addresses(&self) -> Vec<SocketAddr> {
        self.servers.iter().map(|server| server.address).collect()
    }

    /// Where data and logs are.
    pub(super) fn directory(&self) -> PathBuf {
        self.path.clone()
    }

    /// Keeps the directory for somebody to look at.
    pub(super) fn preserve(&mut self) -> PathBuf {
        self.directory
            .take()
            .map_or_else(|| self.path.clone(), TempDir::keep)
    }

    /// Keeps directory and servers.
    pub(super) fn leave_running(&mut self) -> PathBuf {
        for server in &mut self.servers {
            server.is_left_running = true;
        }
        self.preserve()
    }

    /// Waits until a running node says that it leads, in term `term` or later.
    pub(super) async fn await_leader(&mut self, term: u64) -> Result<Leader, DemoError> {
        let deadline = Instant::now() + ELECTION_MAX;
        while Instant::now() < deadline {
            let mut newest: Option<Leader> = None;
            for server in &mut self.servers {
                if let Some(info) = server.info().await
                    && info.leads
                    && info.term >= term
                    && newest.is_none_or(|leader| leader.term < info.term)
                {
                    newest = Some(Leader {
                        id: server.id,
                        term: info.term,
                    });
                }
            }
            if let Some(leader) = newest {
                return Ok(leader);
            }
            sleep(POLL_EVERY).await;
        }
        Err(DemoError::NoLeader {
            logs: self.preserve(),
        })
    }

    /// Kills a server without warning and waits until it is gone.
    pub(super) async fn kill(&mut self, id: usize) -> Result<(), DemoError> {
        for server in self.servers.iter_mut().filter(|server| server.id == id) {
            server.connection = None;
            let killed = server.child.kill().await;
            killed.map_err(|source| DemoError::System {
                action: "kill a server",
                source,
            })?;
        }
        Ok(())
    }

    /// Starts a killed server again on what its disk holds, and waits until it has applied what
    /// the others had committed by then.
    pub(super) async fn restart(&mut self, id: usize) -> Result<(), DemoError> {
        let mut committed = 0;
        for server in &mut self.servers {
            let info = server.info().await;
            committed = committed.max(info.map_or(0, |info| info.commit));
        }
        let keep = self.keep;
        for server in self.servers.iter_mut().filter(|server| server.id == id) {
            server.child =
                run(&server.arguments, &server.log, keep).map_err(|source| DemoError::System {
                    action: "start a server",
                    source,
                })?;
            server.await_info(|info| info.applied >= committed).await?;
        }
        Ok(())
    }

    async fn await_answers(&mut self) -> Result<(), DemoError> {
        for server in &mut self.servers {
            server.await_info(|_| true).await?;
        }
        Ok(())
    }
}

impl Server {
    /// The number of the node.
    pub(super) const fn id(&self) -> usize {
        self.id
    }

    /// Where it serves clients.
    pub(super) const fn address(&self) -> SocketAddr {
        self.address
    }

    /// The number of its process; 0 if it has none.
    pub(super) fn process(&self) -> u32 {
        self.child.id().unwrap_or(0)
    }

    /// An error about this server.
    pub(super) fn trouble(&self, what: &'static str) -> DemoError {
        DemoError::Server {
            id: self.id,
            what,
            log: self.log.clone(),
        }
    }

    /// What it says of itself, if it answers soon.
    async fn info(&mut self) -> Option<NodeInfo> {
        let answer = timeout(INFO_MAX, async {
            if self.connection.is_none() {
                self.connection = Some(connect(self.address).await.ok()?);
            }
            node_info(self.connection.as_mut()?).await.ok()
        });
        let info = answer.await.ok().flatten();
        if info.is_none() {
            self.connection = None;
        }
        info
    }

    async fn await_info(&mut self, enough: impl Fn(NodeInfo) -> bool) -> Result<(), DemoError> {
        let deadline = Instant::now() + START_MAX;
        while Instant::now() < deadline {
            if self.info().await.is_some_and(&enough) {
                return Ok(());
            }
            if !matches!(self.child.try_wait(), Ok(None)) {
                return Err(self.trouble("ended by itself"));
            }
            sleep(POLL_EVERY).await;
        }
        Err(self.trouble("does not answer or does not catch up"))
    }
}

fn run(arguments: &[String], log: &PathBuf, keep: bool) -> io::Result<Child> {
    let log = File::options().create(true).append(true).open(log)?;
    let mut command = Command::new(std::env::current_exe()?);
    command
        .args(arguments)
        // What is meant for a server of the user's must not change those of the demo.
        .env_remove("QUORATE_KV_CONFIG")
        .env_remove("QUORATE_KV_MAX_CLIENTS")
        .stdout(Stdio::null())
        .stderr(log);
    if keep {
        // Out of reach of the terminal's interrupt.
        command.stdin(Stdio::null()).process_group(0);
    } else {
        command.stdin(Stdio::piped());
    }
    command.spawn()
}

/// Where the ports of the demo come from: below those that the system gives to outgoing
/// connections. Of those, one could become the port of a server that is down and to come back,
/// even by the very connection that is to reach it.
const PORTS: Range<u16> = 20_000..32_000;

/// Ports that are free now, on the loopback interface. All are held until the last is found, so
/// that they differ.
fn free_ports(count: usize) -> io::Result<Vec<SocketAddr>> {
    // Demos that run at the same time begin at different places.
    let start = RandomState::new().hash_one(process::id());
    let width = u64::from(PORTS.end - PORTS.start);
    let listeners: Vec<TcpListener> = PORTS
        .filter_map(|port| {
            let place = (start.wrapping_add(u64::from(port))) % width;
            let port = PORTS.start + u16::try_from(place).ok()?;
            TcpListener::bind((Ipv4Addr::LOCALHOST, port)).ok()
        })
        .take(count)
        .collect();
    if listeners.len() < count {
        return Err(io::ErrorKind::AddrInUse.into());
    }
    listeners.iter().map(TcpListener::local_addr).collect()
}
