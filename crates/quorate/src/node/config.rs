//! How a node is set up, and why it may not start. The engine's own knobs are in its `Config`.

use std::collections::BTreeMap;
use std::io;

use quorate_core::{Config, ConfigError, NodeId, RecoverError};
use quorate_log::{LogOptions, OpenError};

use crate::transport::TransportError;

/// Settings of a node.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct NodeConfig {
    /// The cluster's name. Clusters of other names or founders are refused.
    pub cluster: String,
    /// The founders of the cluster and the addresses of their peer ports. Name and numbers must
    /// be the same on every node and stay so, whoever has joined or left since. Addresses may
    /// change from start to start as long as the membership was never changed; from then on they
    /// are part of it.
    pub founders: BTreeMap<NodeId, String>,
    /// Where the others can reach this node. It is told to nodes that do not know it yet.
    pub address: String,
    /// Whether a leader that is shut down lets another take over first. Default on.
    pub hand_over: bool,
    /// The engine's knobs. Its seed is replaced by a fresh one at every start.
    pub engine: Config,
    /// Settings of the log on disk.
    pub log: LogOptions,
    /// Requests that wait in the node's queue, at most; further ones wait at the caller.
    pub queue: usize,
}

impl NodeConfig {
    /// Default settings for node `id` of the cluster with this name and these founders. A node
    /// that is to be added later sets its `address` as well.
    #[must_use]
    pub fn new(id: NodeId, cluster: &str, founders: BTreeMap<NodeId, String>) -> Self {
        Self {
            address: founders.get(&id).cloned().unwrap_or_default(),
            hand_over: true,
            cluster: cluster.to_owned(),
            founders,
            engine: Config::new(id, 0),
            log: LogOptions::default(),
            queue: 4096,
        }
    }
}

/// Why a node did not start.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StartError {
    /// The settings contradict themselves. Change them.
    #[error("the configuration is not valid")]
    Config(#[from] ConfigError),
    /// There cannot be such a cluster. Change the settings.
    #[error("the founders of the cluster cannot be these: {reason}")]
    Founders {
        /// Why not.
        reason: &'static str,
    },
    /// One frame could not carry the largest append. Lower the limits.
    #[error("max_entry_bytes and max_append_bytes must be at most 63 MiB")]
    TooLargeForAFrame,
    /// The data directory cannot be used.
    #[error("the data directory cannot be opened")]
    Open(#[from] OpenError),
    /// The data directory holds what no node can have written.
    #[error("the data directory holds an impossible state")]
    Recover(#[from] RecoverError),
    /// Peers cannot reach this node.
    #[error("the transport did not start")]
    Transport(#[from] TransportError),
    /// The system refused a thread or its runtime.
    #[error("the system refused a thread")]
    Thread(#[source] io::Error),
    /// The system has no randomness to give.
    #[error("the system gave no random numbers")]
    Random(#[source] io::Error),
    /// A thread of the node ended while it started.
    #[error("the node stopped while it started")]
    Stopped,
}
