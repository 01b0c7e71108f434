//! Starting a node: opens the log, sets up its three threads and the queues between them. What
//! the threads do is in `storage.rs`, `apply.rs` and `shell.rs`.

use std::convert::Infallible;
use std::sync::Arc;
use std::sync::atomic::AtomicUsize;
use std::sync::mpsc as blocking;
use std::thread;
use std::time::Duration;

use quorate_core::{Incarnation, Membership, Recovered, ValidConfig};
use quorate_log::{Disk, FreshIds, Identity, Log, LogOptions, Opened, Owner};
use tokio::sync::{Semaphore, mpsc, oneshot};

use super::desk::Desk;
use super::shell::{self, Completion, Shell};
use super::{Node, NodeConfig, Shared, StartError, StopReason, apply, clock, storage};
use crate::driver::{Driver, DriverConfig};
use crate::transport::{Inbox, Local, Transport};
use crate::{StateMachine, cluster_id};

/// Messages from peers that wait for the driver, at most.
const INBOX_MESSAGES: usize = 4096;

/// Requests of operators that wait for the driver, at most.
const ADMIN_ASKS: usize = 16;

/// The longest frame. The same on every node and in every version, whatever its limits are: when
/// they are lowered, the log still holds entries from before, and a peer may need them
/// (scenario B19).
const MAX_FRAME_BYTES: u32 = 64 * 1024 * 1024;

/// What a frame may be longer than the entries in it: message fields, and the most that entry
/// headers take beyond what limits count for them.
const FRAME_ALLOWANCE_BYTES: u64 = 1024 * 1024;

/// Held by every thread of a node for as long as it runs.
type Running = mpsc::Sender<Infallible>;

/// Starts a node. One that does not start has let go of the disk when this returns, unless that or
/// the state machine hangs.
pub(super) async fn start<S: StateMachine, D: Disk, T: Transport>(
    config: NodeConfig,
    state_machine: S,
    disk: D,
    transport: T,
) -> Result<Node<S>, StartError> {
    let (running, ended) = mpsc::channel(1);
    let node = start_threads(config, state_machine, disk, transport, running).await;
    if node.is_err() {
        await_end(ended, shell::FAREWELL).await;
    }
    node
}

/// Waits until the threads have ended, but no longer than this (scenario H09). A thread keeps the
/// time: the caller's runtime may have no clock.
async fn await_end(mut ended: mpsc::Receiver<Infallible>, limit: Duration) {
    let (waiting, waited_for) = blocking::channel::<Infallible>();
    let (reached, is_reached) = oneshot::channel::<Infallible>();
    let clock = thread::Builder::new().spawn(move || {
        let _ = waited_for.recv_timeout(limit);
        drop(reached);
    });
    tokio::select! {
        _ = ended.recv() => {}
        _ = is_reached, if clock.is_ok() => {}
    }
    drop(waiting);
}

/// Starts the threads of a node. Where one of them fails to start, the queues to the others are
/// dropped, and they end.
async fn start_threads<S: StateMachine, D: Disk, T: Transport>(
    config: NodeConfig,
    state_machine: S,
    disk: D,
    transport: T,
    running: Running,
) -> Result<Node<S>, StartError> {
    let id = config.engine.id;
    check_founders(&config)?;
    let seed = clock::random().map_err(StartError::Random)?;
    let engine = engine_config(&config, seed)?;
    let (completion, completions) = mpsc::unbounded_channel();
    let StorageThread {
        identity,
        mut recovered,
        requests: storage,
        counters,
        end: storage_end,
    } = start_storage(&config, disk, completion.clone(), &running).await?;
    recovered.applied = state_machine.last_applied();
    let local = local(&config, &identity, seed);
    let driver = driver(&config, engine, local.incarnation, identity, recovered)?;
    let (apply, apply_requests) = blocking::channel();
    let (apply_ended, apply_end) = oneshot::channel();
    let waiting_reads = Arc::new(AtomicUsize::new(0));
    let served = Arc::clone(&waiting_reads);
    spawn(format!("{id}-apply"), &running, move || {
        let guard = Guard::new(completion.clone(), || {
            Completion::ApplyFailed(StopReason::ThreadPanicked { thread: "apply" })
        });
        apply::run(state_machine, &apply_requests, &completion, &served);
        guard.disarm();
        let _ = apply_ended.send(());
    })?;
    let shared = Arc::new(Shared::new(driver.leadership(), counters));
    let (asks, asked) = mpsc::channel(config.queue.clamp(1, Semaphore::MAX_PERMITS));
    let (admin, admin_asked) = mpsc::channel(ADMIN_ASKS);
    let (inbox_sender, inbox) = Inbox::new(INBOX_MESSAGES);
    let shell = Shell {
        id,
        driver,
        transport,
        inbox,
        asks: asked,
        admin: admin_asked,
        desk: Desk::default(),
        completions,
        storage,
        apply,
        shutdown: shared.shutdown.subscribe(),
        shared: Arc::clone(&shared),
        waiting_reads,
        hears_peers: true,
        is_leaving: false,
    };
    let (started, start) = oneshot::channel();
    let host = Host {
        local,
        inbox: inbox_sender,
        started,
        ends: [storage_end, apply_end],
    };
    spawn(format!("{id}-driver"), &running, move || host.run(shell))?;
    start.await.map_err(|_| StartError::Stopped)??;
    Ok(Node {
        asks,
        admin,
        shared,
    })
}

/// The storage thread, with the log open.
struct StorageThread {
    identity: Identity,
    recovered: Recovered,
    requests: blocking::Sender<storage::Request>,
    counters: Arc<storage::Counters>,
    end: oneshot::Receiver<()>,
}

/// Opens the log on a thread of its own: reading a long one takes time, and the caller's runtime
/// has other things to do.
async fn start_storage<D: Disk>(
    config: &NodeConfig,
    disk: D,
    completions: mpsc::UnboundedSender<Completion>,
    running: &Running,
) -> Result<StorageThread, StartError> {
    let (requests, requested) = blocking::channel();
    let (ended, end) = oneshot::channel();
    let (opened, open) = oneshot::channel();
    let (owner, fresh, options) = opening(config)?;
    let counters = Arc::new(storage::Counters::default());
    let counted = Arc::clone(&counters);
    let name = format!("{}-storage", config.engine.id);
    spawn(name, running, move || {
        match Log::open(disk, owner, fresh, options) {
            Ok(Opened {
                log,
                identity,
                recovered,
            }) => {
                let _ = opened.send(Ok((identity, recovered)));
                let guard = Guard::new(completions.clone(), || {
                    Completion::StorageFailed("the storage thread panicked".to_owned())
                });
                storage::run(log, &requested, &completions, &counted);
                guard.disarm();
            }
            Err(error) => {
                let _ = opened.send(Err(error));
            }
        }
        let _ = ended.send(());
    })?;
    let (identity, recovered) = open.await.map_err(|_| StartError::Stopped)??;
    Ok(StorageThread {
        identity,
        recovered,
        requests,
        counters,
        end,
    })
}

/// Reports a thread that ends by a panic. Nobody else would: the node would go on without it.
struct Guard {
    completions: mpsc::UnboundedSender<Completion>,
    failure: fn() -> Completion,
    is_armed: bool,
}

impl Guard {
    fn new(completions: mpsc::UnboundedSender<Completion>, failure: fn() -> Completion) -> Self {
        Self {
            completions,
            failure,
            is_armed: true,
        }
    }

    /// The thread ends as it should.
    fn disarm(mut self) {
        self.is_armed = false;
    }
}

impl Drop for Guard {
    fn drop(&mut self) {
        if self.is_armed {
            let _ = self.completions.send((self.failure)());
        }
    }
}

/// Tells the handles that the node has stopped, also when the driver's thread panics.
struct StopNotice {
    shared: Arc<Shared>,
    reason: StopReason,
}

impl Drop for StopNotice {
    fn drop(&mut self) {
        self.shared.stopped.send_replace(Some(self.reason.clone()));
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
        // Before the runtime, so that it is dropped after it even in a panic: what the transport
        // has left to the runtime, perhaps a listener, is gone when the handles hear of the end.
        let mut notice = StopNotice {
            shared: Arc::clone(&shell.shared),
            reason: StopReason::ThreadPanicked { thread: "driver" },
        };
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
        let reason = tasks.block_on(&runtime, async move {
            if let Err(error) = shell.transport.start(local, inbox) {
                let _ = started.send(Err(error.into()));
                return StopReason::Requested;
            }
            let _ = started.send(Ok(()));
            let reason = shell.run().await;
            shell::farewell(ends).await;
            reason
        });
        drop(tasks);
        // Ends the tasks, and does not wait for a name that is still being resolved.
        runtime.shutdown_background();
        notice.reason = reason;
    }
}

/// The founders make up the first membership, which has to fit into an entry once it changes.
fn check_founders(config: &NodeConfig) -> Result<(), StartError> {
    let mut addresses = config.founders.values().chain([&config.address]);
    let is_too_long = |address: &String| address.len() > Membership::MAX_ADDRESS_BYTES;
    let reason = if config.founders.is_empty() {
        "there are none"
    } else if config.founders.len() > Membership::MAX_MEMBERS {
        "there are too many"
    } else if addresses.any(is_too_long) {
        "an address is too long"
    } else {
        return Ok(());
    };
    Err(StartError::Founders { reason })
}

fn spawn(
    name: String,
    running: &Running,
    run: impl FnOnce() + Send + 'static,
) -> Result<(), StartError> {
    let running = running.clone();
    let spawned = thread::Builder::new().name(name).spawn(move || {
        run();
        drop(running);
    });
    spawned.map(drop).map_err(StartError::Thread)
}

fn opening(config: &NodeConfig) -> Result<(Owner, FreshIds, LogOptions), StartError> {
    let cluster = cluster_id(&config.cluster, config.founders.keys().copied());
    let owner = Owner {
        cluster,
        node: config.engine.id,
    };
    let directory = quorate_log::DirectoryId(clock::random().map_err(StartError::Random)?);
    let log = clock::random().map_err(StartError::Random)?;
    Ok((owner, FreshIds { directory, log }, config.log))
}

fn local(config: &NodeConfig, identity: &Identity, seed: u128) -> Local {
    // Life zero means "unknown" on the wire.
    let incarnation = Incarnation::new(u64::try_from(seed >> 64).unwrap_or(1).max(1));
    Local {
        cluster: identity.cluster,
        node: identity.node,
        incarnation,
        directory: identity.directory,
        address: config.address.clone(),
        peers: config.founders.clone(),
        max_frame_bytes: MAX_FRAME_BYTES,
    }
}

/// The engine's settings, checked before anything is opened.
fn engine_config(config: &NodeConfig, seed: u128) -> Result<ValidConfig, StartError> {
    let mut engine = config.engine.clone();
    // State machines cannot be captured yet.
    engine.snapshot_bytes = None;
    engine.snapshot_entries = None;
    engine.seed = u64::try_from(seed & u128::from(u64::MAX)).unwrap_or_default();
    let largest = engine.max_entry_bytes.max(engine.max_append_bytes);
    if largest.saturating_add(FRAME_ALLOWANCE_BYTES) > u64::from(MAX_FRAME_BYTES) {
        return Err(StartError::TooLargeForAFrame);
    }
    Ok(engine.validate()?)
}

fn driver<W, R>(
    config: &NodeConfig,
    engine: ValidConfig,
    life: Incarnation,
    identity: Identity,
    recovered: Recovered,
) -> Result<Driver<W, R>, StartError> {
    let mut driver_config = DriverConfig::new(engine, life, config.founders.clone());
    driver_config.hand_over = config.hand_over;
    Ok(Driver::new(
        driver_config,
        identity,
        recovered,
        clock::now(),
    )?)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Scenario H09
    #[tokio::test]
    async fn start_that_failed_waits_for_its_threads_but_not_for_one_that_hangs() {
        let hour = Duration::from_secs(3600);
        let (running, ended) = mpsc::channel(1);
        drop(running);
        await_end(ended, hour).await;
        let (_hangs, ended) = mpsc::channel(1);
        await_end(ended, Duration::from_millis(1)).await;
    }
}
