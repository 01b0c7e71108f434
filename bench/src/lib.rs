//! The engines that are compared, each as a leader and two followers pumped in one thread. What
//! is measured of them is in `bin/`.
//!
//! All pumps are alike: messages are handed over as they are, writes count as durable at once (in
//! a log in memory where the library wants one), and every node takes out what is committed.

mod omni;
mod quorate;
mod raft_rs;
#[cfg(feature = "yggr")]
mod yggr;

use bytes::Bytes;

/// Why a cluster could not be built.
pub type Failure = Box<dyn std::error::Error>;

/// Three nodes, one of which leads.
pub trait Cluster {
    /// Proposes `batch` commands and pumps until every node has them committed and taken out.
    fn commit(&mut self, batch: usize);
}

/// One of the engines.
pub struct Peer {
    /// What it is called on crates.io.
    pub name: &'static str,
    /// A cluster that has elected a leader.
    pub cluster: fn() -> Result<Box<dyn Cluster>, Failure>,
}

/// Everyone, with Quorate first.
#[must_use]
pub fn peers() -> Vec<Peer> {
    vec![
        Peer {
            name: "quorate-core",
            cluster: quorate::cluster,
        },
        Peer {
            name: "omnipaxos",
            cluster: omni::cluster,
        },
        Peer {
            name: "raft",
            cluster: raft_rs::cluster,
        },
        #[cfg(feature = "yggr")]
        Peer {
            name: "yggr-core",
            cluster: yggr::cluster,
        },
    ]
}

/// Sixteen bytes that need no memory of their own.
const COMMAND: &[u8; 16] = b"sixteen bytes...";

fn command() -> Bytes {
    Bytes::from_static(COMMAND)
}
