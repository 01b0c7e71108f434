//! What operators and snapshots do to a world: changes of the membership, transfers, nodes that
//! join, snapshots that are taken, carried, lost and restored.

use quorate_core::{Change, ChangeId, Config, Event, Membership, NodeId, SnapshotMeta, TransferId};

use super::disk::Snapshot;
use super::node::Node;
use super::world::World;
use super::{config, n};

impl World {
    /// The state machine of a node becomes that of a durable snapshot.
    pub(crate) fn restore_state(&mut self, position: usize, snapshot: &SnapshotMeta) {
        let node = &mut self.nodes[position];
        let kept = node.disk.snapshot(snapshot.last).cloned();
        let kept = kept.expect("only a durable snapshot is restored");
        self.safety.on_restore(node, &kept);
        node.applied = kept.content;
        node.inbox.push_back(Event::Applied(snapshot.last.index));
    }

    /// A node fetches a snapshot, over a connection that the cuts of the network break.
    pub(crate) fn receive(&mut self, position: usize, from: NodeId, meta: &SnapshotMeta) {
        let source = &self.nodes[Self::position(from)];
        let id = self.nodes[position].id;
        let is_cut = self.net.is_cut((from, id)) || source.engine.is_none();
        let kept = source.disk.snapshot(meta.last).filter(|_| !is_cut).cloned();
        let node = &mut self.nodes[position];
        match kept {
            Some(kept) if kept.meta == *meta => {
                node.incoming = Some(kept);
                if !node.is_receive_held {
                    self.arrive(position);
                }
            }
            Some(_) | None => {
                let (last, checksum) = (meta.last, meta.checksum);
                node.inbox.push_back(Event::SnapshotLost { last, checksum });
            }
        }
    }

    /// The snapshot on its way to a node has arrived.
    pub(crate) fn arrive(&mut self, position: usize) {
        let node = &mut self.nodes[position];
        if let Some(Snapshot { meta, content }) = node.incoming.take() {
            let (last, checksum) = (meta.last, meta.checksum);
            node.disk.received = Some(Snapshot { meta, content });
            node.inbox
                .push_back(Event::SnapshotReceived { last, checksum });
        }
    }

    /// The snapshot on its way to a node arrives now.
    pub(crate) fn let_snapshot_arrive(&mut self, id: u64) {
        let position = Self::position(n(id));
        self.nodes[position].is_receive_held = false;
        self.arrive(position);
    }

    /// The connection that carries a snapshot to a node breaks for good.
    pub(crate) fn lose_snapshot(&mut self, id: u64) {
        if let Some(lost) = self.node_mut(id).incoming.take() {
            let (last, checksum) = (lost.meta.last, lost.meta.checksum);
            self.step(id, Event::SnapshotLost { last, checksum });
        }
    }

    /// A node takes a snapshot of what it has applied, without having been asked.
    pub(crate) fn take_snapshot(&mut self, id: u64) {
        let taken = self
            .node_mut(id)
            .take_snapshot()
            .expect("it has applied something");
        self.step(id, taken);
    }

    /// Asks a node for a change of the membership.
    pub(crate) fn change(&mut self, id: u64, what: Change) -> ChangeId {
        self.names += 1;
        let change = ChangeId::new(self.names);
        self.step(id, Event::ChangeMembership { change, what });
        change
    }

    /// Asks a node to hand leadership over.
    pub(crate) fn transfer(&mut self, id: u64, target: Option<u64>) -> TransferId {
        self.names += 1;
        let transfer = TransferId::new(self.names);
        let target = target.map(n);
        self.step(id, Event::TransferLeadership { transfer, target });
        transfer
    }

    /// Another node, with nothing on its disk and in nobody's membership yet.
    pub(crate) fn join(&mut self, adjust: impl Fn(&mut Config)) -> u64 {
        let id = self.nodes.len() as u64 + 1;
        let mut config = config(n(id), id * 77);
        adjust(&mut config);
        let node = Node::start(config, Membership::default(), Default::default(), self.now);
        self.nodes.push(node);
        id
    }
}
