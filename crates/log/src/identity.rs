//! Who a data directory belongs to, and how far its cluster's birth has come. Not how the
//! identity is stored: that is in `identity_file.rs`.

use std::collections::BTreeMap;
use std::fmt;

use quorate_core::NodeId;

/// Names a cluster: a hash of its name and its founders.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ClusterId(pub u128);

impl fmt::Display for ClusterId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:032x}", self.0)
    }
}

/// Names one data directory: random, written when the directory is first used. A node that comes
/// back with another directory has lost its memory, whatever its number says (scenario A20).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct DirectoryId(pub u128);

impl fmt::Display for DirectoryId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:032x}", self.0)
    }
}

/// The directories that founded a cluster, by node.
pub type Founding = BTreeMap<NodeId, DirectoryId>;

/// How far a directory's part in the birth of its cluster has come. It only moves forward.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum BirthStage {
    /// The directory is empty. The node neither votes nor counts.
    New,
    /// The node has promised to found the cluster with these directories and no others.
    Prepared(Founding),
    /// Every founder has promised the same: the cluster exists, and the node takes part.
    Born(Founding),
}

/// What the identity file says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Identity {
    /// The cluster.
    pub cluster: ClusterId,
    /// The node.
    pub node: NodeId,
    /// This directory.
    pub directory: DirectoryId,
    /// Progress of the birth.
    pub stage: BirthStage,
}
