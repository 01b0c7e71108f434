//! The store on a running Quorate node: joins the executor's [`Replica`] to [`Node`].

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use quorate::transport::{Tcp, TransportError};
use quorate::{Node, NodeConfig, ProposeError, ReadError, StartError, StopReason};
use quorate_core::RoleName;
use quorate_log::FsDisk;

use crate::burst::ENTRY_BYTES_MAX;
use crate::config::Settings;
use crate::executor::{Replica, ReplicaStatus};
use crate::op::{Batch, ReadOp};
use crate::resp::Reply;
use crate::store::Store;

/// A node with a store on it. Clones share the node.
#[derive(Clone, Debug)]
pub(crate) struct StoreNode {
    node: Node<Store>,
    id: u64,
    key_count: Arc<AtomicU64>,
}

/// Why there is no node.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum NodeError {
    /// The data directory cannot be created.
    #[error("cannot use the data directory")]
    Directory(#[source] std::io::Error),
    /// The Raft listener has no address.
    #[error("cannot listen to the other nodes")]
    Listen(#[source] TransportError),
    /// The node does not start.
    #[error("the node does not start")]
    Start(#[from] StartError),
}

impl StoreNode {
    /// Starts a node with an empty store; the log fills it.
    pub(crate) async fn start(settings: &Settings) -> Result<Self, NodeError> {
        let transport = Tcp::bind(&settings.raft_address).map_err(NodeError::Listen)?;
        let disk = FsDisk::new(&settings.data).map_err(NodeError::Directory)?;
        let mut config = NodeConfig::new(settings.id, &settings.cluster, settings.founders.clone());
        config.engine.max_entry_bytes = ENTRY_BYTES_MAX as u64;
        let store = Store::default();
        let key_count = store.key_count();
        let node = Node::start(config, store, disk, transport).await?;
        Ok(Self {
            node,
            id: settings.id.get(),
            key_count,
        })
    }

    /// Waits until the node stops, and says why.
    pub(crate) async fn stopped(&self) -> StopReason {
        self.node.stopped().await
    }

    /// Stops the node.
    pub(crate) async fn shutdown(&self) {
        self.node.shutdown().await;
    }
}

impl Replica for StoreNode {
    async fn propose(&self, batch: Batch) -> Result<Vec<Reply>, ProposeError> {
        self.node.propose(batch).await
    }

    async fn read(&self, ops: Arc<[ReadOp]>) -> Result<Vec<Reply>, ReadError> {
        self.node
            .read_linearizable(move |store| store.read_all(&ops))
            .await
    }

    fn status(&self) -> ReplicaStatus {
        let status = self.node.status();
        let mut counters = vec![
            ("log_fsyncs", status.fsyncs),
            ("log_bytes_written", status.bytes_written),
            ("log_writes", status.counters.storage_jobs),
            ("appended_commands", status.counters.appended_commands),
            ("forwarded_commands", status.counters.forwarded_commands),
        ];
        let mut replica = ReplicaStatus {
            id: self.id,
            // Before the founders have all met, there is no engine and no role.
            role: "unborn",
            keys: self.key_count.load(Ordering::Relaxed),
            ..ReplicaStatus::default()
        };
        if let Some(engine) = status.engine {
            replica.role = match engine.role {
                RoleName::Follower => "follower",
                RoleName::PreCandidate => "pre-candidate",
                RoleName::Candidate => "candidate",
                RoleName::Leader => "leader",
            };
            replica.term = engine.term.get();
            replica.leader = engine.leader.map(|leader| leader.get());
            replica.commit = engine.commit.get();
            replica.applied = engine.applied.get();
            counters.extend([
                ("campaigns", engine.counters.campaigns),
                ("elections_won", engine.counters.elections_won),
                ("step_downs", engine.counters.step_downs),
                ("quorum_losses", engine.counters.quorum_losses),
                ("storage_stalls", engine.counters.storage_stalls),
            ]);
        }
        replica.counters = counters;
        replica
    }
}
