//! What a connection has to know of the node it works for. Who else there is and who may connect
//! is for the transport to say.

use std::collections::BTreeMap;

use quorate_core::{Incarnation, NodeId};
use quorate_log::{ClusterId, DirectoryId};

use crate::wire::{Hello, VersionRange};

/// What a transport has to know of the node it works for.
#[derive(Clone, Debug)]
pub struct Local {
    /// The cluster. Messages of other clusters never get through.
    pub cluster: ClusterId,
    /// The node.
    pub node: NodeId,
    /// Its present life.
    pub incarnation: Incarnation,
    /// Its data directory.
    pub directory: DirectoryId,
    /// Where the node can be reached, for peers that do not know it yet; empty if that is not
    /// known.
    pub address: String,
    /// The other members and their addresses. The node itself may be among them and is ignored.
    pub peers: BTreeMap<NodeId, String>,
    /// The longest frame to send or accept, in bytes. To be the same on every node, and above
    /// the largest append: the larger of one entry and an append's limit, with the overhead that
    /// the engine counts per entry (scenario B19).
    pub max_frame_bytes: u32,
}

impl Local {
    /// What this node says first to `to`.
    pub(super) fn hello(&self, to: NodeId) -> Hello {
        Hello {
            versions: VersionRange::SUPPORTED,
            cluster: self.cluster,
            from: self.node,
            to,
            incarnation: self.incarnation,
            directory: self.directory,
            address: self.address.clone(),
        }
    }
}
