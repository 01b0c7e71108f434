//! A network inside one process, for tests and examples with several nodes: messages go from
//! inbox to inbox without becoming bytes, and links can be cut.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use quorate_core::NodeId;
use quorate_log::ClusterId;

use super::{Inbound, Inbox, Local, Transport, TransportError};
use crate::PeerMessage;

/// The network. Clones are the same network.
#[derive(Clone, Debug, Default)]
pub struct Hub(Arc<Mutex<Network>>);

#[derive(Debug, Default)]
struct Network {
    nodes: BTreeMap<NodeId, Endpoint>,
    /// Cut links, from sender to receiver.
    cut: BTreeSet<(NodeId, NodeId)>,
    /// Number of the next endpoint.
    next: u64,
}

#[derive(Debug)]
struct Endpoint {
    cluster: ClusterId,
    inbox: Inbox,
    /// Which start of the node this is, so that an old one cannot remove a new one.
    number: u64,
}

impl Hub {
    /// A network without nodes.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// The transport of one node. It joins the network when the node starts.
    #[must_use]
    pub fn transport(&self) -> InProcess {
        InProcess {
            hub: self.clone(),
            joined: None,
        }
    }

    /// Cuts the link between two nodes, in both directions. What was delivered stays delivered.
    pub fn cut(&self, one: NodeId, other: NodeId) {
        self.cut_from(one, other);
        self.cut_from(other, one);
    }

    /// Cuts the way from one node to another, and leaves the way back.
    pub fn cut_from(&self, from: NodeId, to: NodeId) {
        self.lock().cut.insert((from, to));
    }

    /// Cuts every link between `group` and the nodes that are not in it and have started.
    pub fn isolate(&self, group: &[NodeId]) {
        let mut network = self.lock();
        let others: Vec<NodeId> = network
            .nodes
            .keys()
            .copied()
            .filter(|node| !group.contains(node))
            .collect();
        for &inside in group {
            for &outside in &others {
                network.cut.insert((inside, outside));
                network.cut.insert((outside, inside));
            }
        }
    }

    /// Mends every link.
    pub fn heal(&self) {
        self.lock().cut.clear();
    }

    /// No operation leaves the network half changed, so a panic elsewhere while the lock was held
    /// does no harm.
    fn lock(&self) -> MutexGuard<'_, Network> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// One node's transport in a [`Hub`]. Knows no addresses: everyone who has started is reachable,
/// within the same cluster.
#[derive(Debug)]
pub struct InProcess {
    hub: Hub,
    joined: Option<Joined>,
}

#[derive(Debug)]
struct Joined {
    node: NodeId,
    cluster: ClusterId,
    number: u64,
}

impl Transport for InProcess {
    fn start(&mut self, local: Local, inbox: Inbox) -> Result<(), TransportError> {
        if self.joined.is_some() {
            return Err(TransportError::Used);
        }
        let mut network = self.hub.lock();
        let number = network.next;
        network.next += 1;
        let endpoint = Endpoint {
            cluster: local.cluster,
            inbox,
            number,
        };
        network.nodes.insert(local.node, endpoint);
        self.joined = Some(Joined {
            node: local.node,
            cluster: local.cluster,
            number,
        });
        Ok(())
    }

    fn set_peers(&mut self, _: BTreeMap<NodeId, String>) {}

    fn send(&mut self, to: NodeId, message: PeerMessage) {
        let Some(joined) = &self.joined else { return };
        let network = self.hub.lock();
        if network.cut.contains(&(joined.node, to)) {
            return;
        }
        if let Some(endpoint) = network.nodes.get(&to)
            && endpoint.cluster == joined.cluster
        {
            endpoint.inbox.try_deliver(Inbound {
                from: joined.node,
                message,
            });
        }
    }

    fn shutdown(&mut self) {
        let Some(joined) = self.joined.take() else {
            return;
        };
        let mut network = self.hub.lock();
        if network
            .nodes
            .get(&joined.node)
            .is_some_and(|node| node.number == joined.number)
        {
            network.nodes.remove(&joined.node);
        }
    }
}

impl Drop for InProcess {
    fn drop(&mut self) {
        self.shutdown();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use quorate_core::Incarnation;
    use quorate_log::DirectoryId;
    use tokio::sync::mpsc::Receiver;

    fn node(id: u64) -> NodeId {
        NodeId::new(id).unwrap()
    }

    fn message(request: u64) -> PeerMessage {
        let (asker, commands) = (Incarnation::new(1), Vec::new());
        PeerMessage::Forward {
            request,
            asker,
            leader: Incarnation::new(2),
            commands,
        }
    }

    fn start(hub: &Hub, id: u64, cluster: u128) -> (InProcess, Receiver<Inbound>) {
        let (inbox, receiver) = Inbox::new(2);
        let mut transport = hub.transport();
        let local = Local {
            cluster: ClusterId(cluster),
            node: node(id),
            incarnation: Incarnation::new(id),
            directory: DirectoryId(0),
            address: String::new(),
            peers: BTreeMap::new(),
            max_frame_bytes: 1 << 20,
        };
        transport.start(local, inbox).unwrap();
        (transport, receiver)
    }

    #[test]
    fn messages_arrive_unless_their_way_is_cut() {
        let hub = Hub::new();
        let (mut one, mut from_two) = start(&hub, 1, 7);
        let (mut two, mut from_one) = start(&hub, 2, 7);
        let mut exchange = || {
            one.send(node(2), message(1));
            two.send(node(1), message(2));
            (from_one.try_recv().is_ok(), from_two.try_recv().is_ok())
        };
        assert_eq!(exchange(), (true, true));
        hub.cut_from(node(1), node(2));
        assert_eq!(exchange(), (false, true), "only one way is cut");
        hub.heal();
        assert_eq!(exchange(), (true, true));
        hub.isolate(&[node(2)]);
        assert_eq!(exchange(), (false, false));
        hub.heal();
        hub.cut(node(2), node(1));
        assert_eq!(exchange(), (false, false));
    }

    /// Scenario B18
    #[test]
    fn full_inbox_drops_and_its_sender_goes_on() {
        let hub = Hub::new();
        let (mut one, _) = start(&hub, 1, 7);
        let (_two, mut from_one) = start(&hub, 2, 7);
        for request in 0..10 {
            one.send(node(2), message(request));
        }
        let arrived: Vec<PeerMessage> = std::iter::from_fn(|| from_one.try_recv().ok())
            .map(|inbound| inbound.message)
            .collect();
        assert_eq!(arrived, [message(0), message(1)]);
    }

    /// Scenario H06
    #[test]
    fn other_clusters_and_nodes_that_left_receive_nothing() {
        let hub = Hub::new();
        let (mut one, _) = start(&hub, 1, 7);
        let (_stranger, mut strangers_inbox) = start(&hub, 2, 8);
        one.send(node(2), message(1));
        assert!(
            strangers_inbox.try_recv().is_err(),
            "two clusters were mixed"
        );

        let (mut three, mut from_one) = start(&hub, 3, 7);
        one.send(node(3), message(1));
        assert!(from_one.try_recv().is_ok());
        // The next life has joined before the last one has left.
        let (_again, mut from_one) = start(&hub, 3, 7);
        three.shutdown();
        one.send(node(3), message(2));
        assert!(
            from_one.try_recv().is_ok(),
            "the old life took the new one with it"
        );
    }
}
