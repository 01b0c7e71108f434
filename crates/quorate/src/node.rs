//! A running node: the handle that users hold and the threads behind it. The driver and the peer
//! connections share one thread with a runtime of its own, so that no runtime of the user's can
//! stall a heartbeat; the disk and the state machine have a thread each. What the threads do is
//! in `node/`.

use std::fmt;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, PoisonError};

use quorate_core::{LogIndex, RoleName, Status, Violation};
use quorate_log::Disk;
use tokio::sync::{mpsc, oneshot, watch};

use crate::driver::{DriverCounters, Leadership, StopCause};
use crate::transport::Transport;
use crate::{ProposeError, ReadError, StateMachine};

mod admin;
mod apply;
mod clock;
mod config;
mod desk;
mod shell;
mod spin;
mod start;
mod storage;

pub use config::{NodeConfig, StartError};
use desk::AdminAsk;
use shell::Ask;

/// A handle to a running node. Clones share the node; when the last one is dropped, the node
/// stops. Its methods work from any runtime, or from none.
pub struct Node<S: StateMachine> {
    asks: mpsc::Sender<Ask<S>>,
    /// Not behind the proposals: they wait while the node has too much to do, and that may be
    /// why an operator wants something.
    admin: mpsc::Sender<AdminAsk>,
    shared: Arc<Shared>,
}

impl<S: StateMachine> Clone for Node<S> {
    fn clone(&self) -> Self {
        Self {
            asks: self.asks.clone(),
            admin: self.admin.clone(),
            shared: Arc::clone(&self.shared),
        }
    }
}

impl<S: StateMachine> fmt::Debug for Node<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Node")
            .field("leadership", &*self.shared.leadership.borrow())
            .finish()
    }
}

/// What handles and threads share.
#[derive(Debug)]
struct Shared {
    leadership: watch::Sender<Leadership>,
    stopped: watch::Sender<Option<StopReason>>,
    shutdown: watch::Sender<bool>,
    status: Mutex<NodeStatus>,
    storage: Arc<storage::Counters>,
}

impl Shared {
    fn new(leadership: Leadership, storage: Arc<storage::Counters>) -> Self {
        Self {
            leadership: watch::Sender::new(leadership),
            stopped: watch::Sender::new(None),
            shutdown: watch::Sender::new(false),
            status: Mutex::default(),
            storage,
        }
    }

    /// A node that has stopped leads nobody, and knows of nobody who does.
    fn end_leadership(&self) {
        self.leadership.send_if_modified(|known| {
            let ended = Leadership {
                role: RoleName::Follower,
                leader: None,
                ready: false,
                ..*known
            };
            std::mem::replace(known, ended) != ended
        });
    }

    fn publish(&self, status: NodeStatus) {
        *self.status.lock().unwrap_or_else(PoisonError::into_inner) = status;
    }
}

/// What a node says of itself.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct NodeStatus {
    /// The engine's status; `None` before the cluster's birth.
    pub engine: Option<Status>,
    /// What the driver has counted.
    pub counters: DriverCounters,
    /// Times that the log was synced to disk for entries or hard state.
    pub fsyncs: u64,
    /// Bytes written to the log.
    pub bytes_written: u64,
}

/// Why a node stopped.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum StopReason {
    /// It was told to, or nobody held a handle any more.
    #[error("the node was shut down")]
    Requested,
    /// The disk failed. Repair or replace it before the node is started again.
    #[error("storage failed: {reason}")]
    StorageFailed {
        /// What the disk said.
        reason: String,
    },
    /// The engine found a fact that contradicts the protocol.
    #[error("the protocol was violated: {0}")]
    Violation(Violation),
    /// The engine asked for something that this version cannot do: a defect.
    #[error("this version cannot {action}")]
    Unsupported {
        /// What it was asked to do.
        action: &'static str,
    },
    /// The state machine panicked.
    #[error("the state machine panicked at {index}")]
    ApplyPanicked {
        /// The entry.
        index: LogIndex,
    },
    /// A thread of the node panicked: a defect, in Quorate or in a disk, transport or state
    /// machine that it was given.
    #[error("the {thread} thread panicked")]
    ThreadPanicked {
        /// Which.
        thread: &'static str,
    },
    /// The state machine cannot read a command.
    #[error("the command at {index} cannot be decoded: {reason}")]
    Undecodable {
        /// The entry.
        index: LogIndex,
        /// What `decode` said.
        reason: String,
    },
}

impl From<StopCause> for StopReason {
    fn from(cause: StopCause) -> Self {
        match cause {
            StopCause::Shutdown => Self::Requested,
            StopCause::Violation(violation @ Violation::StorageFailed) => Self::StorageFailed {
                reason: violation.to_string(),
            },
            StopCause::Violation(violation) => Self::Violation(violation),
            StopCause::Unsupported { action } => Self::Unsupported { action },
        }
    }
}

impl<S: StateMachine> Node<S> {
    /// Starts a node and returns once it takes part, or waits for its cluster's birth.
    ///
    /// `disk` holds the node's log and must be its own; `transport` reaches the other nodes. A
    /// node that is not among the founders waits until it is added ([`Node::add_peer`]).
    ///
    /// # Errors
    /// See [`StartError`]. Nothing is left running, unless the disk or the state machine hangs.
    pub async fn start<D: Disk, T: Transport>(
        config: NodeConfig,
        state_machine: S,
        disk: D,
        transport: T,
    ) -> Result<Self, StartError> {
        start::start(config, state_machine, disk, transport).await
    }

    /// Replicates a command and returns the response of applying it here. Works on any node: a
    /// follower passes it on to the leader.
    ///
    /// Waits for as long as the command is under way. Dropping the future does not take it back.
    ///
    /// # Errors
    /// [`ProposeError::is_ambiguous`] says whether the command may take effect all the same.
    pub async fn propose(&self, command: S::Command) -> Result<S::Response, ProposeError> {
        let (waiter, response) = oneshot::channel();
        let ask = Ask::Propose {
            command: S::encode(&command),
            waiter,
        };
        self.asks
            .send(ask)
            .await
            .map_err(|_| ProposeError::Stopped)?;
        self.unless_stopped(response)
            .await
            .unwrap_or(Err(ProposeError::Stopped))
    }

    /// Runs `read` on the state machine when it holds the effects of everything acknowledged,
    /// anywhere in the cluster, before this call. Works on any node.
    ///
    /// `read` runs on the thread of the state machine: while it runs, nothing is applied.
    ///
    /// # Errors
    /// It is always safe to try again.
    pub async fn read_linearizable<T: Send + 'static>(
        &self,
        read: impl FnOnce(&S) -> T + Send + 'static,
    ) -> Result<T, ReadError> {
        let (answer, value) = oneshot::channel();
        let task = apply::read_task(read, answer);
        self.asks
            .send(Ask::Read(task))
            .await
            .map_err(|_| ReadError::Stopped)?;
        self.unless_stopped(value)
            .await
            .unwrap_or(Err(ReadError::Stopped))
    }

    /// The answer, unless the node stops first: one that waits for a state machine that hangs
    /// never comes (scenario H09).
    async fn unless_stopped<T>(&self, answer: oneshot::Receiver<T>) -> Option<T> {
        tokio::select! {
            biased;
            answer = answer => answer.ok(),
            _ = self.stopped() => None,
        }
    }

    /// What the node says of itself, as of its last turn.
    #[must_use]
    pub fn status(&self) -> NodeStatus {
        let status = self
            .shared
            .status
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        NodeStatus {
            fsyncs: self.shared.storage.fsyncs.load(Ordering::Relaxed),
            bytes_written: self.shared.storage.bytes.load(Ordering::Relaxed),
            ..status.clone()
        }
    }

    /// Follows role, term and leader as they change. A node that stops is a follower without a
    /// leader from then on.
    #[must_use]
    pub fn watch(&self) -> watch::Receiver<Leadership> {
        self.shared.leadership.subscribe()
    }

    /// Waits until the node has stopped, and says why. Its transport is gone by then, so that the
    /// next start can have its port.
    pub async fn stopped(&self) -> StopReason {
        let mut stopped = self.shared.stopped.subscribe();
        let reason = stopped.wait_for(Option::is_some).await;
        reason
            .ok()
            .and_then(|reason| reason.clone())
            .unwrap_or(StopReason::Requested)
    }

    /// Stops the node. A leader hands over first, if it can within an election timeout
    /// ([`NodeConfig::hand_over`]). Everything under way is told so; the log is closed cleanly.
    /// Returns in bounded time even if the disk or the state machine hangs. A second call does
    /// nothing.
    pub async fn shutdown(&self) {
        self.shared.shutdown.send_replace(true);
        self.stopped().await;
    }
}
