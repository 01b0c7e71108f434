//! A running node: the handle that users hold and the threads behind it. The driver and the peer
//! connections share one thread with a runtime of its own, so that no runtime of the user's can
//! stall a heartbeat; the disk and the state machine have a thread each. What the threads do is
//! in `node/`.

use std::fmt;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, PoisonError, mpsc as blocking};
use std::thread;

use quorate_core::{Incarnation, LogIndex, NodeId, Status, Violation};
use quorate_log::{Disk, FreshIds, Log, Opened, Owner};
use tokio::sync::{mpsc, oneshot, watch};

use crate::driver::{Driver, DriverConfig, DriverCounters, Leadership, StopCause};
use crate::transport::{Inbox, Local, Transport};
use crate::{ProposeError, ReadError, StateMachine, cluster_id};

mod apply;
mod clock;
mod config;
mod shell;
mod storage;

pub use config::{NodeConfig, StartError};
use shell::{Ask, Shell};

/// Messages from peers that wait for the driver, at most.
const INBOX_MESSAGES: usize = 4096;

/// What a frame may be longer than the entries in it: message fields, and the most that entry
/// headers take beyond what limits count for them.
const FRAME_ALLOWANCE_BYTES: u64 = 1024 * 1024;

/// Every node accepts frames of this length, whatever its own limits: when they are lowered, the
/// log still holds entries from before, and a peer may need them (scenario B19).
const MIN_FRAME_LIMIT_BYTES: u64 = 64 * 1024 * 1024;

/// What one frame may be made to carry, at most.
const MAX_FRAME_LIMIT_BYTES: u64 = 1024 * 1024 * 1024;

/// A handle to a running node. Clones share the node; when the last one is dropped, the node
/// stops. Its methods work from any runtime, or from none.
pub struct Node<S: StateMachine> {
    asks: mpsc::Sender<Ask<S>>,
    shared: Arc<Shared>,
}

impl<S: StateMachine> Clone for Node<S> {
    fn clone(&self) -> Self {
        Self {
            asks: self.asks.clone(),
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
    /// The state machine panicked.
    #[error("the state machine panicked at {index}")]
    ApplyPanicked {
        /// The entry.
        index: LogIndex,
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
            StopCause::Violation(violation) => Self::Violation(violation),
        }
    }
}

impl<S: StateMachine> Node<S> {
    /// Starts a node and returns once it takes part, or waits for its cluster's birth.
    ///
    /// `disk` holds the node's log and must be its own; `transport` reaches the other founders.
    ///
    /// # Errors
    /// See [`StartError`]. Nothing is left running.
    pub async fn start<D: Disk, T: Transport>(
        config: NodeConfig,
        state_machine: S,
        disk: D,
        transport: T,
    ) -> Result<Self, StartError> {
        let id = config.engine.id;
        if !config.founders.contains_key(&id) {
            return Err(StartError::NotAFounder { id });
        }
        let seed = clock::random().map_err(StartError::Random)?;
        let (storage, storage_requests) = blocking::channel();
        let (completion, completions) = mpsc::unbounded_channel();
        let counters = Arc::new(storage::Counters::default());
        let (storage_ended, storage_end) = oneshot::channel();
        // The log is opened on its thread: reading a long one takes time, and the caller's
        // runtime has other things to do.
        let (opened, open) = oneshot::channel();
        let (owner, fresh, options) = opening(&config)?;
        let (completions_of_storage, counted) = (completion.clone(), Arc::clone(&counters));
        spawn(format!("{id}-storage"), move || {
            let log = match Log::open(disk, owner, fresh, options) {
                Ok(Opened {
                    log,
                    identity,
                    recovered,
                }) => {
                    let _ = opened.send(Ok((identity, recovered)));
                    log
                }
                Err(error) => {
                    let _ = opened.send(Err(error));
                    return;
                }
            };
            storage::run(log, &storage_requests, &completions_of_storage, &counted);
            let _ = storage_ended.send(());
        })?;
        let (identity, mut recovered) = open.await.map_err(|_| StartError::Stopped)??;
        recovered.applied = state_machine.last_applied();

        let local = local(&config, &identity, seed)?;
        let driver = driver(&config, local.incarnation, seed, identity, recovered)?;
        let (apply, apply_requests) = blocking::channel();
        let (apply_ended, apply_end) = oneshot::channel();
        spawn(format!("{id}-apply"), move || {
            apply::run(state_machine, &apply_requests, &completion);
            let _ = apply_ended.send(());
        })?;
        let shared = Arc::new(Shared {
            leadership: watch::Sender::new(driver.leadership()),
            stopped: watch::Sender::new(None),
            shutdown: watch::Sender::new(false),
            status: Mutex::default(),
            storage: counters,
        });
        let (asks, asked) = mpsc::channel(config.queue.max(1));
        let (inbox_sender, inbox) = Inbox::new(INBOX_MESSAGES);
        let shell = Shell {
            driver,
            transport,
            inbox,
            asks: asked,
            completions,
            storage,
            apply,
            shutdown: shared.shutdown.subscribe(),
            shared: Arc::clone(&shared),
            hears_peers: true,
        };
        let (started, start) = oneshot::channel();
        let host = Host {
            local,
            inbox: inbox_sender,
            started,
            ends: [storage_end, apply_end],
        };
        spawn(format!("{id}-driver"), move || host.run(shell))?;
        start.await.map_err(|_| StartError::Stopped)??;
        Ok(Self { asks, shared })
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
        response.await.unwrap_or(Err(ProposeError::Stopped))
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
        value.await.unwrap_or(Err(ReadError::Stopped))
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

    /// Follows role, term and leader as they change.
    #[must_use]
    pub fn watch(&self) -> watch::Receiver<Leadership> {
        self.shared.leadership.subscribe()
    }

    /// Waits until the node has stopped, and says why.
    pub async fn stopped(&self) -> StopReason {
        let mut stopped = self.shared.stopped.subscribe();
        let reason = stopped.wait_for(Option::is_some).await;
        reason
            .ok()
            .and_then(|reason| reason.clone())
            .unwrap_or(StopReason::Requested)
    }

    /// Stops the node. Everything under way is told so; the log is closed cleanly. Returns in
    /// bounded time even if the disk or the state machine hangs. A second call does nothing.
    pub async fn shutdown(&self) {
        self.shared.shutdown.send_replace(true);
        self.stopped().await;
    }
}

/// What the driver's thread needs besides the shell.
struct Host {
    local: Local,
    inbox: Inbox,
    started: oneshot::Sender<Result<(), StartError>>,
    ends: [oneshot::Receiver<()>; 2],
}

impl Host {
    /// The driver's thread: a runtime of its own, until the node stops.
    fn run<S: StateMachine, T: Transport>(self, mut shell: Shell<S, T>) {
        let Self {
            local,
            inbox,
            started,
            ends,
        } = self;
        let runtime = match tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
        {
            Ok(runtime) => runtime,
            Err(error) => {
                let _ = started.send(Err(StartError::Thread(error)));
                return;
            }
        };
        let tasks = tokio::task::LocalSet::new();
        tasks.block_on(&runtime, async move {
            if let Err(error) = shell.transport.start(local, inbox) {
                let _ = started.send(Err(error.into()));
                return;
            }
            let _ = started.send(Ok(()));
            let shared = Arc::clone(&shell.shared);
            let reason = shell.run().await;
            shell::farewell(ends).await;
            shared.stopped.send_replace(Some(reason));
        });
    }
}

fn spawn(name: String, run: impl FnOnce() + Send + 'static) -> Result<(), StartError> {
    let spawned = thread::Builder::new().name(name).spawn(run);
    spawned.map(drop).map_err(StartError::Thread)
}

fn opening(config: &NodeConfig) -> Result<(Owner, FreshIds, quorate_log::LogOptions), StartError> {
    let cluster = cluster_id(&config.cluster, config.founders.keys().copied());
    let owner = Owner {
        cluster,
        node: config.engine.id,
    };
    let directory = quorate_log::DirectoryId(clock::random().map_err(StartError::Random)?);
    let log = clock::random().map_err(StartError::Random)?;
    Ok((owner, FreshIds { directory, log }, config.log))
}

fn local(
    config: &NodeConfig,
    identity: &quorate_log::Identity,
    seed: u128,
) -> Result<Local, StartError> {
    let engine = &config.engine;
    // A frame of many small entries is bounded by their number, which the wire limits too.
    let carries_appends = engine.max_append_bytes <= MIN_FRAME_LIMIT_BYTES;
    let largest = engine.max_entry_bytes.max(engine.max_append_bytes);
    let limit = largest
        .saturating_add(FRAME_ALLOWANCE_BYTES)
        .max(MIN_FRAME_LIMIT_BYTES);
    let max_frame_bytes = u32::try_from(limit)
        .ok()
        .filter(|_| carries_appends && limit <= MAX_FRAME_LIMIT_BYTES)
        .ok_or(StartError::TooLargeForAFrame)?;
    // Life zero means "unknown" on the wire.
    let incarnation = Incarnation::new(u64::try_from(seed >> 64).unwrap_or(1).max(1));
    Ok(Local {
        cluster: identity.cluster,
        node: identity.node,
        incarnation,
        directory: identity.directory,
        peers: config.founders.clone(),
        max_frame_bytes,
    })
}

fn driver<W, R>(
    config: &NodeConfig,
    life: Incarnation,
    seed: u128,
    identity: quorate_log::Identity,
    recovered: quorate_core::Recovered,
) -> Result<Driver<W, R>, StartError> {
    let mut engine = config.engine.clone();
    engine.seed = u64::try_from(seed & u128::from(u64::MAX)).unwrap_or_default();
    let founders: Vec<NodeId> = config.founders.keys().copied().collect();
    let driver_config = DriverConfig::new(engine.validate()?, life, founders);
    Ok(Driver::new(
        driver_config,
        identity,
        recovered,
        clock::now(),
    )?)
}
