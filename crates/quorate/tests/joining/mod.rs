//! Nodes that join, lead and leave while the cluster works, over real connections.

#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]

use std::collections::BTreeMap;
use std::time::Duration;

use quorate::{ChangeError, ChangeRefusal, MemDisk, Node, NodeConfig, NodeId, StopReason, Tcp};
use tokio::time::{sleep, timeout};

use crate::support::{HANG, List, node_id};

/// Nodes with a port each.
struct Cluster {
    founders: BTreeMap<NodeId, String>,
    nodes: BTreeMap<u64, Node<List>>,
}

impl Cluster {
    /// Three founders that have elected somebody.
    async fn start() -> Self {
        let bound: Vec<(u64, Tcp)> = (1..=3).map(|id| (id, bind())).collect();
        let address = |tcp: &Tcp| tcp.local_address().to_string();
        let founders = bound.iter().map(|(id, tcp)| (node_id(*id), address(tcp)));
        let mut cluster = Self {
            founders: founders.collect(),
            nodes: BTreeMap::new(),
        };
        for (id, tcp) in bound {
            cluster.start_node(id, tcp).await;
        }
        cluster
    }

    async fn start_node(&mut self, id: u64, tcp: Tcp) {
        let mut config = NodeConfig::new(node_id(id), "test", self.founders.clone());
        config.address = tcp.local_address().to_string();
        config.log.segment_bytes = 256 * 1024;
        let node = Node::start(config, List::default(), MemDisk::new(), tcp).await;
        self.nodes.insert(id, node.unwrap());
    }

    /// Starts a node that is no founder, and has it added by whoever leads.
    async fn join(&mut self, id: u64) {
        let tcp = bind();
        let address = tcp.local_address().to_string();
        self.start_node(id, tcp).await;
        self.change(async |leader| leader.add_peer(node_id(id), address.clone()).await)
            .await;
    }

    /// Makes a change at the leader, again as long as it was surely not made.
    async fn change<T>(&self, change: impl AsyncFn(&Node<List>) -> Result<T, ChangeError>) {
        let attempts = async {
            loop {
                let refusal = match change(&self.nodes[&self.leader().await]).await {
                    Ok(_) => return,
                    Err(ChangeError::NotLeader { .. }) => ChangeRefusal::NoOwnCommit,
                    Err(ChangeError::Refused(refusal)) => refusal,
                    Err(error) => panic!("{error}"),
                };
                let is_early = matches!(
                    refusal,
                    ChangeRefusal::NoOwnCommit | ChangeRefusal::InFlight
                );
                assert!(is_early, "{refusal}");
                sleep(Duration::from_millis(10)).await;
            }
        };
        timeout(HANG, attempts).await.expect("the change is made");
    }

    async fn leader(&self) -> u64 {
        let wait = async {
            loop {
                let mut nodes = self.nodes.iter();
                if let Some((&id, _)) = nodes.find(|(_, node)| node.watch().borrow().ready) {
                    return id;
                }
                sleep(Duration::from_millis(10)).await;
            }
        };
        timeout(HANG, wait).await.expect("somebody leads")
    }

    /// Has this node lead.
    async fn lead(&self, id: u64) {
        let attempts = async {
            while self.leader().await != id {
                let leader = &self.nodes[&self.leader().await];
                let _ = leader.transfer_leadership(Some(node_id(id))).await;
                sleep(Duration::from_millis(10)).await;
            }
        };
        timeout(HANG, attempts).await.expect("it takes over");
    }

    async fn propose(&self, id: u64, item: u64) {
        let attempts = async {
            while self.nodes[&id].propose(item).await.is_err() {
                sleep(Duration::from_millis(10)).await;
            }
        };
        timeout(HANG, attempts).await.expect("it is taken");
    }

    async fn stop_all(self) {
        for node in self.nodes.values() {
            node.shutdown().await;
        }
    }
}

fn bind() -> Tcp {
    Tcp::bind("127.0.0.1:0").unwrap()
}

fn voters(node: &Node<List>) -> Vec<u64> {
    let engine = node.status().engine.unwrap();
    let voters = engine.membership.voters().iter();
    voters.map(|voter| voter.get()).collect()
}

/// Scenarios A13, H14: the fifth node has never heard of the fourth, which adds it.
#[tokio::test]
async fn nodes_join_through_nodes_that_joined() {
    let mut cluster = Cluster::start().await;
    cluster.leader().await;
    cluster.propose(1, 1).await;
    cluster.join(4).await;
    cluster.propose(4, 2).await;
    cluster.lead(4).await;
    cluster.join(5).await;
    cluster.propose(5, 3).await;
    let read = cluster.nodes[&5].read_linearizable(|list| list.items.clone());
    assert_eq!(timeout(HANG, read).await.unwrap(), Ok(vec![1, 2, 3]));
    assert_eq!(voters(&cluster.nodes[&5]), [1, 2, 3, 4, 5]);
    cluster.stop_all().await;
}

/// Scenario A12
#[tokio::test]
async fn a_node_that_is_removed_hears_of_it_and_the_others_go_on() {
    let mut cluster = Cluster::start().await;
    cluster.join(4).await;
    let remove = async |leader: &Node<List>| leader.remove_peer(node_id(4)).await;
    cluster.change(remove).await;
    let removed = cluster.nodes[&4].clone();
    let hears = async {
        while !removed.status().engine.unwrap().removed {
            sleep(Duration::from_millis(10)).await;
        }
    };
    timeout(HANG, hears).await.expect("it hears of it");
    cluster.nodes.remove(&4);
    removed.shutdown().await;
    assert_eq!(removed.stopped().await, StopReason::Requested);
    let change = removed.remove_peer(node_id(1)).await;
    assert_eq!(change, Err(ChangeError::Stopped));
    let leader = cluster.leader().await;
    cluster.propose(leader, 1).await;
    assert_eq!(voters(&cluster.nodes[&leader]), [1, 2, 3]);
    cluster.stop_all().await;
}

/// Scenario F09
#[tokio::test]
async fn a_leader_that_is_shut_down_hands_over() {
    let mut cluster = Cluster::start().await;
    let leader = cluster.leader().await;
    cluster.propose(leader, 1).await;
    let node = cluster.nodes.remove(&leader).unwrap();
    let term = node.watch().borrow().term;
    timeout(HANG, node.shutdown()).await.expect("it stops");
    let next = cluster.leader().await;
    let status = cluster.nodes[&next].status().engine.unwrap();
    assert!(status.term > term);
    cluster.propose(next, 2).await;
    cluster.stop_all().await;
}
