//! The loop of the driver's thread: takes inputs from the queues, gives them to the driver and
//! performs what it answers. No decision is made here.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::Sender;
use std::time::{Duration, Instant};

use bytes::Bytes;
use quorate_core::{LoadId, LoadOutcome, LogIndex, NodeId, Time};
use tokio::sync::mpsc::{Receiver, UnboundedReceiver};
use tokio::sync::watch;
use tracing::{error, info};

use super::apply::{self, ReadTask, Waiter};
use super::desk::{AdminAsk, Desk};
use super::spin::Spin;
use super::{NodeStatus, Shared, StopReason, clock, storage};
use crate::StateMachine;
use crate::driver::{Driver, Input, Output, StopCause};
use crate::transport::{Inbound, Transport};

/// Inputs taken in one turn from one queue, at most: a flood of one kind must not keep the
/// others waiting.
const MAX_BATCH: usize = 1024;

/// Reads that may wait for the state machine, at most (scenario H04).
const MAX_WAITING_READS: usize = 65_536;

/// How long a node that stops, or does not start, waits for its other threads. A disk or state
/// machine that hangs must not keep it from stopping (scenario H09).
pub(super) const FAREWELL: Duration = Duration::from_secs(5);

/// What a user asks of the node.
pub(super) enum Ask<S: StateMachine> {
    /// Replicate a command.
    Propose { command: Bytes, waiter: Waiter<S> },
    /// Serve a read.
    Read(ReadTask<S>),
}

/// What another thread of the node has finished.
#[derive(Debug)]
pub(super) enum Completion {
    /// The storage job is durable.
    Stored,
    /// The storage job failed.
    StorageFailed(String),
    /// Entries were read, or not.
    Loaded { load: LoadId, outcome: LoadOutcome },
    /// Applied up to here.
    Applied(LogIndex),
    /// The state machine failed.
    ApplyFailed(StopReason),
}

/// The driver with the ends of all its queues.
pub(super) struct Shell<S: StateMachine, T> {
    pub(super) id: NodeId,
    pub(super) driver: Driver<Waiter<S>, ReadTask<S>>,
    pub(super) transport: T,
    pub(super) inbox: Receiver<Inbound>,
    pub(super) asks: Receiver<Ask<S>>,
    pub(super) admin: Receiver<AdminAsk>,
    /// Operators who wait for an answer.
    pub(super) desk: Desk,
    pub(super) completions: UnboundedReceiver<Completion>,
    pub(super) storage: Sender<storage::Request>,
    pub(super) apply: Sender<apply::Request<S>>,
    pub(super) shutdown: watch::Receiver<bool>,
    pub(super) shared: Arc<Shared>,
    /// Reads in the queue of the apply thread, failed ones too. Nothing else bounds them while it
    /// hangs.
    pub(super) waiting_reads: Arc<AtomicUsize>,
    /// The transport has not closed the inbox.
    pub(super) hears_peers: bool,
    /// The driver was told to stop, and may take a while to hand over.
    pub(super) is_leaving: bool,
}

/// Also in a panic: whoever goes by the leadership must not go on as if this node had it.
impl<S: StateMachine, T> Drop for Shell<S, T> {
    fn drop(&mut self) {
        self.shared.end_leadership();
    }
}

/// Messages of one turn, by queue.
struct Batch<S: StateMachine> {
    inbox: Vec<Inbound>,
    asks: Vec<Ask<S>>,
    admin: Vec<AdminAsk>,
    completions: Vec<Completion>,
    is_shutdown: bool,
}

impl<S: StateMachine, T: Transport> Shell<S, T> {
    /// Runs until the node stops, and says why it did.
    pub(super) async fn run(mut self) -> StopReason {
        let mut reason = None;
        let mut spin = Spin::new();
        let mut batch = Batch {
            inbox: Vec::new(),
            asks: Vec::new(),
            admin: Vec::new(),
            completions: Vec::new(),
            is_shutdown: false,
        };
        while reason.is_none() {
            self.linger(&mut spin).await;
            self.wait(&mut batch).await;
            if !batch.asks.is_empty() || !batch.completions.is_empty() {
                spin.worked(Instant::now());
            }
            let failure = batch.completions.iter().find_map(why_stopped);
            self.is_leaving |= batch.is_shutdown;
            let inputs = take_inputs(&mut batch, &mut self.desk);
            let outputs = self.driver.turn(clock::now(), inputs);
            for output in outputs {
                if let Some(cause) = self.perform(output) {
                    reason = Some(failure.clone().unwrap_or(cause.into()));
                }
            }
            self.publish();
        }
        self.transport.shutdown();
        let reason = reason.unwrap_or(StopReason::Requested);
        let node = self.id.get();
        match &reason {
            StopReason::Requested => info!(target: "quorate::node", node, "the node stops"),
            StopReason::StorageFailed { .. }
            | StopReason::Violation(_)
            | StopReason::Unsupported { .. }
            | StopReason::ApplyPanicked { .. }
            | StopReason::ThreadPanicked { .. }
            | StopReason::Undecodable { .. } => {
                error!(target: "quorate::node", node, %reason, "the node stops");
            }
        }
        reason
    }

    /// Stays awake for a moment if that is worth while, until there is something in a queue.
    async fn linger(&self, spin: &mut Spin) {
        let Some(until) = spin.until(Instant::now()) else {
            return;
        };
        loop {
            // The connections share this thread: they deliver and send meanwhile.
            tokio::task::yield_now().await;
            let is_quiet =
                self.completions.is_empty() && self.inbox.is_empty() && self.asks.is_empty();
            if !is_quiet || !spin.rest(until) {
                return;
            }
        }
    }

    /// Waits until something happened or the driver wants to be called, then takes what there is.
    async fn wait(&mut self, batch: &mut Batch<S>) {
        let timeout = until(self.driver.next_timeout());
        // A node that hands over takes nothing more; what wakes it is that it is told to stop.
        let takes_asks = !self.is_leaving
            && self.driver.accepts_proposals()
            && self.driver.accepts_reads()
            && self.waiting_reads.load(Ordering::Relaxed) < MAX_WAITING_READS;
        tokio::select! {
            // The disk and the peers first: they are what others wait for.
            biased;
            taken = self.completions.recv_many(&mut batch.completions, MAX_BATCH) => {
                batch.is_shutdown = taken == 0;
            }
            taken = self.inbox.recv_many(&mut batch.inbox, MAX_BATCH), if self.hears_peers => {
                // A transport may be done with delivering and go on sending.
                self.hears_peers = taken > 0;
            }
            taken = self.asks.recv_many(&mut batch.asks, MAX_BATCH), if takes_asks => {
                // Every handle is gone, and with them whoever could want anything.
                batch.is_shutdown = taken == 0;
            }
            Some(ask) = self.admin.recv(), if !self.is_leaving => batch.admin.push(ask),
            changed = self.shutdown.wait_for(|is_wanted| *is_wanted), if !self.is_leaving => {
                let _ = changed;
                batch.is_shutdown = true;
            }
            () = tokio::time::sleep(timeout) => {}
        }
        // Looked at in every turn, so that a flood of anything else cannot keep the node from
        // stopping: the queue of a node whose every handle is gone may never be read again.
        // What is in it is then nobody's any more.
        let is_abandoned = self.asks.is_closed() && (self.asks.is_empty() || !takes_asks);
        batch.is_shutdown |= is_abandoned || *self.shutdown.borrow();
        fill(&mut batch.completions, || self.completions.try_recv().ok());
        fill(&mut batch.inbox, || self.inbox.try_recv().ok());
        fill(&mut batch.admin, || self.admin.try_recv().ok());
        if takes_asks {
            fill(&mut batch.asks, || self.asks.try_recv().ok());
        }
    }

    /// Performs one output. Gives back why, if it is the last.
    fn perform(&mut self, output: Output<Waiter<S>, ReadTask<S>>) -> Option<StopCause> {
        // A thread whose queue is closed has failed and has said so, or will: its completion
        // stops the node. An answer that nobody waits for any more is no error either.
        match output {
            Output::Send { to, message } => self.transport.send(to, message),
            Output::Store(job) => {
                let _ = self.storage.send(storage::Request::Job(job));
            }
            Output::Load {
                load,
                from,
                to,
                limit_bytes,
            } => {
                let request = storage::Request::Load {
                    load,
                    from,
                    to,
                    limit_bytes,
                };
                let _ = self.storage.send(request);
            }
            Output::Apply { entries, waiters } => {
                let _ = self.apply.send(apply::Request::Apply { entries, waiters });
            }
            Output::Read(read) => {
                self.waiting_reads.fetch_add(1, Ordering::Relaxed);
                let _ = self.apply.send(apply::Request::Read(read));
            }
            Output::ProposeFailed { waiter, error } => {
                let _ = waiter.send(Err(error));
            }
            Output::ReadFailed { mut read, error } => {
                read.fail(error);
                self.waiting_reads.fetch_add(1, Ordering::Relaxed);
                let _ = self.apply.send(apply::Request::Drop(read));
            }
            Output::Changed { change, outcome } => self.desk.changed(change, outcome),
            Output::Transferred { transfer, outcome } => self.desk.transferred(transfer, outcome),
            Output::Peers(peers) => self.transport.set_peers(peers),
            Output::Leadership(leadership) => {
                info!(
                    target: "quorate::node",
                    node = self.id.get(),
                    role = ?leadership.role,
                    term = leadership.term.get(),
                    leader = leadership.leader.map(NodeId::get),
                    ready = leadership.ready,
                    "leadership",
                );
                self.shared.leadership.send_replace(leadership);
            }
            Output::Stopped(cause) => return Some(cause),
        }
        None
    }

    fn publish(&self) {
        let status = NodeStatus {
            engine: self.driver.status(),
            counters: self.driver.counters(),
            fsyncs: 0,
            bytes_written: 0,
        };
        self.shared.publish(status);
    }
}

/// Waits for the other threads to end, for a bounded time. Their queues are closed by now.
pub(super) async fn farewell(threads: [tokio::sync::oneshot::Receiver<()>; 2]) {
    for ended in threads {
        let _ = tokio::time::timeout(FAREWELL, ended).await;
    }
}

/// How long to sleep until `at`.
fn until(at: Time) -> Duration {
    // Far deadlines are cut short: waking up once an hour for nothing is free.
    at.since(clock::now()).min(Duration::from_secs(3600))
}

fn fill<M>(batch: &mut Vec<M>, mut next: impl FnMut() -> Option<M>) {
    while batch.len() < MAX_BATCH
        && let Some(message) = next()
    {
        batch.push(message);
    }
}

/// The failure that a completion reports.
fn why_stopped(completion: &Completion) -> Option<StopReason> {
    match completion {
        Completion::StorageFailed(reason) => Some(StopReason::StorageFailed {
            reason: reason.clone(),
        }),
        Completion::ApplyFailed(reason) => Some(reason.clone()),
        Completion::Stored | Completion::Loaded { .. } | Completion::Applied(_) => None,
    }
}

/// Everything that was taken from the queues, as inputs: what the node itself has finished
/// first, then peers, then users.
fn take_inputs<S: StateMachine>(
    batch: &mut Batch<S>,
    desk: &mut Desk,
) -> impl Iterator<Item = Input<Waiter<S>, ReadTask<S>>> {
    let shutdown = batch.is_shutdown.then_some(Input::Shutdown);
    let completions = batch
        .completions
        .drain(..)
        .map(|completion| match completion {
            Completion::Stored => Input::Stored,
            Completion::StorageFailed(_) => Input::StorageFailed,
            Completion::Loaded { load, outcome } => Input::Loaded { load, outcome },
            Completion::Applied(index) => Input::Applied(index),
            Completion::ApplyFailed(_) => Input::ApplyFailed,
        });
    let inbox = batch
        .inbox
        .drain(..)
        .map(|Inbound { from, message }| Input::Peer { from, message });
    let asks = batch.asks.drain(..).map(|ask| match ask {
        Ask::Propose { command, waiter } => Input::Propose { command, waiter },
        Ask::Read(read) => Input::Read(read),
    });
    let admin = batch.admin.drain(..).map(|ask| desk.take(ask));
    completions
        .chain(inbox)
        .chain(admin)
        .chain(asks)
        .chain(shutdown)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use quorate_core::{Config, Incarnation, Recovered};
    use quorate_log::{BirthStage, ClusterId, DirectoryId, Identity};
    use tokio::sync::{mpsc, oneshot};

    use super::*;
    use crate::driver::DriverConfig;
    use crate::{ApplyContext, DecodeError, Hub};

    /// A state machine without a state.
    struct Void;

    impl StateMachine for Void {
        type Command = ();
        type Response = ();

        fn encode((): &()) -> Bytes {
            Bytes::new()
        }

        fn decode(_: Bytes) -> Result<(), DecodeError> {
            Ok(())
        }

        fn apply(&mut self, _: ApplyContext, (): ()) {}
    }

    /// A driver that takes no proposals.
    fn busy_driver() -> Driver<Waiter<Void>, ReadTask<Void>> {
        let node = NodeId::new(1).unwrap();
        let engine = Config::new(node, 1).validate().unwrap();
        let founders = BTreeMap::from([(node, String::new())]);
        let mut config = DriverConfig::new(engine, Incarnation::new(1), founders);
        config.max_waiting_proposals = 0;
        let identity = Identity {
            cluster: ClusterId(1),
            node,
            directory: DirectoryId(1),
            stage: BirthStage::New,
        };
        Driver::new(config, identity, Recovered::default(), clock::now()).unwrap()
    }

    /// Whoever could want an answer is gone, and the queue may never be read.
    #[tokio::test(start_paused = true)]
    async fn node_without_handles_stops_though_proposals_wait_that_it_does_not_take() {
        let driver = busy_driver();
        let shared = Arc::new(Shared::new(driver.leadership(), Arc::default()));
        let (_completion, completions) = mpsc::unbounded_channel();
        let (_inbox, inbox) = mpsc::channel(1);
        let (ask, asks) = mpsc::channel(1);
        let (operator, admin) = mpsc::channel(1);
        let shell = Shell {
            id: NodeId::new(1).unwrap(),
            driver,
            transport: Hub::new().transport(),
            inbox,
            asks,
            admin,
            desk: Desk::default(),
            completions,
            storage: std::sync::mpsc::channel().0,
            apply: std::sync::mpsc::channel().0,
            shutdown: shared.shutdown.subscribe(),
            shared,
            waiting_reads: Arc::default(),
            hears_peers: true,
            is_leaving: false,
        };
        let (waiter, outcome) = oneshot::channel();
        let command = Bytes::new();
        assert!(ask.try_send(Ask::Propose { command, waiter }).is_ok());
        drop((ask, operator, outcome));
        let hang = Duration::from_secs(60);
        let reason = tokio::time::timeout(hang, shell.run()).await;
        assert_eq!(reason, Ok(StopReason::Requested));
    }
}
