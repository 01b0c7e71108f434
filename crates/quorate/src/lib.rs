//! Replicate your own service: Raft consensus with a durable log and a tokio runtime.
//!
//! Bring a [`StateMachine`], start a `Node` of it on each machine, and use it from anywhere in
//! your program: `Node::propose` replicates a command and returns its response,
//! `Node::read_linearizable` looks at the state. Both work on every node of the cluster.
//!
//! The parts can be used one by one. [`Driver`] is the host without threads: inputs in, outputs
//! out. [`wire`] is the codec, and [`link`] what the ends of a connection decide. Without the
//! feature `runtime` these are what is left, and the crate does not depend on tokio.
//!
//! # Observability
//!
//! The library emits `tracing` events and depends on no exporter. Targets are stable:
//!
//! | target | level | event | fields |
//! |---|---|---|---|
//! | `quorate::node` | info | leadership | `node`, `role`, `term`, `leader`, `ready` |
//! | | warn | this node no longer leads | `node`, `term`, `cause` |
//! | | info | the cluster is born | `node` |
//! | | warn | this node was removed from its cluster | `node`, `index` |
//! | | error | this directory is empty, the cluster is not | `node`, `directory`, `by`, `known` |
//! | | error | a founder's directory was replaced | `node`, `founder` |
//! | | info, error | the node stops | `node`, `reason` |
//! | `quorate::log` | warn | a torn write was cut | `file`, `offset`, `index` |
//! | | warn | entries cannot be read | `error`, `from` |
//! | | warn | no room for the next segment | `failure` |
//! | | error | a write failed | `error` |
//! | `quorate::transport` | info | connected to peer | `peer`, `address` |
//! | | warn | a peer or handshake was lost or refused | `peer`, `address`, `error` |

mod cluster_id;
mod driver;
mod error;
pub mod link;
#[cfg(feature = "runtime")]
mod node;
mod peer;
mod state_machine;
#[cfg(feature = "runtime")]
pub mod transport;
pub mod wire;

pub use bytes::Bytes;
pub use quorate_core::{
    Change, ChangeRefusal, Config, ConfigError, Counters, EntryId, LogIndex, Membership, NodeId,
    PeerStatus, RoleName, Status, Term, TransferRefusal, Violation,
};
pub use quorate_log::{FsDisk, LogOptions, MemDisk};

pub use cluster_id::cluster_id;
pub use driver::{
    Driver, DriverConfig, DriverCounters, Input, Leadership, Output, StopCause, StorageJob,
};
pub use error::{ChangeError, ProposeError, ReadError, TransferError};
#[cfg(feature = "runtime")]
pub use node::{Node, NodeConfig, NodeStatus, StartError, StopReason};
pub use peer::{ForwardOutcome, PeerMessage};
pub use state_machine::{ApplyContext, DecodeError, StateMachine};
#[cfg(feature = "runtime")]
pub use transport::{Hub, Tcp};

/// The README's example, compiled and run as a test.
#[cfg(all(doctest, feature = "runtime"))]
#[doc = include_str!("../../../README.md")]
struct Readme;
