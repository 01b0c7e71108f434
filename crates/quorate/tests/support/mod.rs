//! A cluster of real nodes in one process: real threads and runtimes, an in-process network and
//! disks in memory. For tests of what the shell adds to the driver.

#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]

use std::collections::BTreeMap;
use std::sync::{Arc, Condvar, Mutex};
use std::time::Duration;

use quorate::{
    ApplyContext, Bytes, DecodeError, Hub, MemDisk, Node, NodeConfig, NodeId, ProposeError,
    ReadError, StateMachine,
};

/// How long a test waits for what must happen, before it counts as hung.
pub(crate) const HANG: Duration = Duration::from_secs(60);

/// A state machine that remembers every command, and can be made to wait or to panic.
#[derive(Debug, Default)]
pub(crate) struct List {
    pub(crate) items: Vec<u64>,
    pub(crate) gate: Gate,
}

/// The command at which [`List`] panics.
pub(crate) const POISON: u64 = u64::MAX;

impl StateMachine for List {
    type Command = u64;
    type Response = usize;

    fn encode(item: &u64) -> Bytes {
        Bytes::copy_from_slice(&item.to_le_bytes())
    }

    fn decode(bytes: Bytes) -> Result<u64, DecodeError> {
        let bytes = bytes[..]
            .try_into()
            .map_err(|_| DecodeError::new("not eight bytes"))?;
        Ok(u64::from_le_bytes(bytes))
    }

    fn apply(&mut self, _: ApplyContext, item: u64) -> usize {
        self.gate.wait();
        assert_ne!(item, POISON, "this command panics on purpose");
        self.items.push(item);
        self.items.len()
    }
}

/// Something that apply waits at while it is closed.
#[derive(Clone, Debug, Default)]
pub(crate) struct Gate(Arc<(Mutex<bool>, Condvar)>);

impl Gate {
    pub(crate) fn close(&self) {
        *self.0.0.lock().unwrap() = true;
    }

    pub(crate) fn open(&self) {
        *self.0.0.lock().unwrap() = false;
        self.0.1.notify_all();
    }

    fn wait(&self) {
        let closed = self.0.0.lock().unwrap();
        drop(self.0.1.wait_while(closed, |closed| *closed).unwrap());
    }
}

pub(crate) fn node_id(id: u64) -> NodeId {
    NodeId::new(id).unwrap()
}

/// Three founders that share a network.
pub(crate) struct Cluster {
    pub(crate) hub: Hub,
    pub(crate) disks: BTreeMap<u64, MemDisk>,
    pub(crate) gates: BTreeMap<u64, Gate>,
    pub(crate) nodes: BTreeMap<u64, Node<List>>,
    pub(crate) tune: fn(&mut NodeConfig),
}

impl Cluster {
    pub(crate) async fn start_with(tune: fn(&mut NodeConfig)) -> Self {
        let mut cluster = Self {
            hub: Hub::new(),
            disks: (1..=3).map(|id| (id, MemDisk::new())).collect(),
            gates: (1..=3).map(|id| (id, Gate::default())).collect(),
            nodes: BTreeMap::new(),
            tune,
        };
        for id in 1..=3 {
            cluster.restart(id).await;
        }
        cluster
    }

    /// Starts a node on the disk it had.
    pub(crate) async fn restart(&mut self, id: u64) {
        let founders = (1..=3).map(|id| (node_id(id), String::new())).collect();
        let mut config = NodeConfig::new(node_id(id), "test", founders);
        // Zeroing a segment ahead takes a debug build longer than a test needs.
        config.log.segment_bytes = 256 * 1024;
        (self.tune)(&mut config);
        let list = List {
            items: Vec::new(),
            gate: self.gates[&id].clone(),
        };
        let transport = self.hub.transport();
        let node = Node::start(config, list, self.disks[&id].clone(), transport)
            .await
            .unwrap();
        self.nodes.insert(id, node);
    }

    pub(crate) async fn stop(&mut self, id: u64) {
        self.nodes.remove(&id).unwrap().shutdown().await;
    }

    /// Waits for a leader that has applied what it took over, among the nodes that run.
    pub(crate) async fn leader(&self) -> u64 {
        let wait = async {
            loop {
                for (&id, node) in &self.nodes {
                    if node.watch().borrow().ready {
                        return id;
                    }
                }
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        };
        tokio::time::timeout(HANG, wait)
            .await
            .expect("a connected majority elects a leader")
    }

    /// Proposes until it is answered. Only what was surely not appended is tried again.
    pub(crate) async fn propose(&self, id: u64, item: u64) -> usize {
        let wait = async {
            loop {
                match self.nodes[&id].propose(item).await {
                    Ok(length) => return length,
                    Err(ProposeError::NotLeader { .. }) => {
                        tokio::time::sleep(Duration::from_millis(10)).await;
                    }
                    Err(error) => panic!("{item} at node {id}: {error}"),
                }
            }
        };
        tokio::time::timeout(HANG, wait)
            .await
            .expect("a proposal is answered")
    }

    /// Reads the whole list until it is answered.
    pub(crate) async fn read(&self, id: u64) -> Vec<u64> {
        let wait = async {
            loop {
                match self.nodes[&id]
                    .read_linearizable(|list| list.items.clone())
                    .await
                {
                    Ok(items) => return items,
                    Err(ReadError::NotLeader { .. } | ReadError::TimedOut) => {
                        tokio::time::sleep(Duration::from_millis(10)).await;
                    }
                    Err(error) => panic!("a read at node {id}: {error}"),
                }
            }
        };
        tokio::time::timeout(HANG, wait)
            .await
            .expect("a read is answered")
    }

    pub(crate) async fn stop_all(mut self) {
        for gate in self.gates.values() {
            gate.open();
        }
        for id in self.nodes.keys().copied().collect::<Vec<_>>() {
            self.stop(id).await;
        }
    }
}
