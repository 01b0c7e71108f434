//! Three servers on loopback, started with default settings and ended by id.

use std::fs::{self, File};
use std::hash::{BuildHasher as _, RandomState};
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::ops::Range;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use super::PATIENCE;
use super::client::Connection;
use crate::failure::{Failure, Result};

/// The field of `INFO raft` with the syncs of the log.
const FSYNCS: &str = "raft_log_fsyncs";

struct Node {
    process: Child,
    address: SocketAddr,
}

/// The running nodes. They end with it.
pub(super) struct Cluster {
    nodes: Vec<Node>,
}

impl Cluster {
    /// Starts three new nodes with their data under `folder`.
    pub(super) fn start(server: &Path, folder: &Path) -> Result<Self> {
        let ports = free_addresses(6)?;
        let (clients, peers) = ports.split_at(3);
        let peer_list: Vec<String> = (1..)
            .zip(peers)
            .flat_map(|(id, address)| ["--peer".to_owned(), format!("{id}={address}")])
            .collect();
        let mut cluster = Self { nodes: Vec::new() };
        for (id, address) in (1..).zip(clients) {
            let data = folder.join(format!("node{id}"));
            if data.exists() {
                fs::remove_dir_all(&data).map_err(Failure::at(&data))?;
            }
            let log = folder.join(format!("node{id}.log"));
            let process = Command::new(server)
                .args(["serve", "--cluster", "bench", "--id", &id.to_string()])
                .args(["--listen", &address.to_string(), "--data"])
                .arg(&data)
                .args(&peer_list)
                .stdin(Stdio::null())
                .stdout(Stdio::null())
                .stderr(File::create(&log).map_err(Failure::at(&log))?)
                .spawn()
                .map_err(Failure::at(server))?;
            cluster.nodes.push(Node {
                process,
                address: *address,
            });
        }
        Ok(cluster)
    }

    /// The index of the node that leads.
    pub(super) fn wait_for_leader(&self) -> Result<usize> {
        let start = Instant::now();
        while start.elapsed() < PATIENCE {
            let leads = |node: &Node| {
                let info = Connection::to(node.address).and_then(|mut client| client.info());
                info.is_ok_and(|info| field(&info, "raft_role") == Some("leader"))
            };
            if let Some(leader) = self.nodes.iter().position(leads) {
                return Ok(leader);
            }
            thread::sleep(Duration::from_millis(50));
        }
        Err(Failure::new(
            "no leader; see the nodes' logs in target/bench",
        ))
    }

    /// Where clients reach the node.
    ///
    /// # Panics
    /// When there is no such node: indexes come from `wait_for_leader` only.
    pub(super) fn address(&self, node: usize) -> SocketAddr {
        let Some(node) = self.nodes.get(node) else {
            unreachable!("a node that was never started")
        };
        node.address
    }

    pub(super) fn pids(&self) -> Vec<u32> {
        self.nodes.iter().map(|node| node.process.id()).collect()
    }

    /// How many times the node has synced its log since it started, as it reports it.
    pub(super) fn fsyncs(&self, node: usize) -> Result<u64> {
        let info = Connection::to(self.address(node))?.info()?;
        field(&info, FSYNCS)
            .and_then(|count| count.parse().ok())
            .ok_or_else(|| Failure::new(format!("INFO raft has no number {FSYNCS}:\n{info}")))
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        for node in &mut self.nodes {
            // A node that has ended already is what is wanted.
            let _ = node.process.kill();
            let _ = node.process.wait();
        }
    }
}

fn field<'a>(info: &'a str, name: &str) -> Option<&'a str> {
    info.lines()
        .find_map(|line| line.trim_end().strip_prefix(name)?.strip_prefix(':'))
}

/// Where the ports of the servers come from: below those that the system gives to outgoing
/// connections. Of those, one could become the port of a server that has not taken it yet, even by
/// the very connection that is to reach it.
const PORTS: Range<u16> = 20_000..32_000;

/// Addresses that are free now. All are held until the last is found, so that they differ.
fn free_addresses(count: usize) -> Result<Vec<SocketAddr>> {
    // Those who look at the same time begin at different places.
    let start = RandomState::new().hash_one(std::process::id());
    let width = u64::from(PORTS.end - PORTS.start);
    let listeners: Vec<TcpListener> = PORTS
        .filter_map(|port| {
            let place = start.wrapping_add(u64::from(port)) % width;
            let port = PORTS.start + u16::try_from(place).ok()?;
            TcpListener::bind((Ipv4Addr::LOCALHOST, port)).ok()
        })
        .take(count)
        .collect();
    if listeners.len() < count {
        return Err(Failure::new("loopback: too few ports are free".to_owned()));
    }
    listeners
        .iter()
        .map(TcpListener::local_addr)
        .collect::<std::io::Result<_>>()
        .map_err(|error| Failure::new(format!("loopback: {error}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ports_are_not_those_of_outgoing_connections() {
        let mut addresses = free_addresses(6).unwrap();
        assert!(
            addresses
                .iter()
                .all(|address| PORTS.contains(&address.port()))
        );
        addresses.dedup();
        assert_eq!(addresses.len(), 6);
    }

    #[test]
    fn field_of_info_is_found_by_its_whole_name() {
        let info = "# Raft\r\nraft_role:leader\r\nraft_log_fsyncs:12\r\n";
        assert_eq!(field(info, "raft_role"), Some("leader"));
        assert_eq!(
            field(info, "raft_log_fsync"),
            None,
            "a prefix of a name is another name"
        );
    }
}
