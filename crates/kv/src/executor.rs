//! Carries out operations on the replicated store: a batch with a write in it becomes one entry
//! of the log, one without is one linearizable read. Also how long to wait for a leader, and what
//! may be tried again: only what was certainly not appended.

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use quorate::{ProposeError, ReadError};
use tokio::time::{Instant, sleep, timeout_at};

use crate::op::{Batch, Op, ReadOp};
use crate::resp::Reply;

/// One replica of the store, as the commands see it.
pub trait Replica: Send + Sync + 'static {
    /// Replicates a batch and answers each of its operations.
    fn propose(
        &self,
        batch: Batch,
    ) -> impl Future<Output = Result<Vec<Reply>, ProposeError>> + Send;

    /// Answers operations from a state that holds everything acknowledged before the call.
    fn read(
        &self,
        ops: Arc<[ReadOp]>,
    ) -> impl Future<Output = Result<Vec<Reply>, ReadError>> + Send;

    /// What the replica says of itself, for `INFO`. Needs no leader.
    fn status(&self) -> ReplicaStatus;
}

/// What a replica says of itself.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ReplicaStatus {
    /// The number of this node.
    pub id: u64,
    /// Its role in the cluster.
    pub role: &'static str,
    /// Its term.
    pub term: u64,
    /// The leader of the term, where known.
    pub leader: Option<u64>,
    /// Everything up to this index is committed.
    pub commit: u64,
    /// Everything up to this index is applied.
    pub applied: u64,
    /// Counts of what was done since the start, by name.
    pub counters: Vec<(&'static str, u64)>,
    /// Keys in the store.
    pub keys: u64,
}

/// Why operations have no answers. The whole batch shares the fate.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Failure {
    /// Nothing was executed: no leader was found in time.
    #[error("CLUSTERDOWN no leader was found in time; nothing was executed")]
    NoLeader,
    /// Nothing was executed: there is a leader, and the read took too long. A disk or the store
    /// does not keep up, or the leader does not answer.
    #[error("TRYAGAIN the read was not served in time; nothing was executed")]
    ReadTimedOut,
    /// Nothing was executed: the cluster has more to do than it can take.
    #[error("TRYAGAIN too many commands are waiting; nothing was executed")]
    Overloaded,
    /// Nothing was executed, and never will be.
    #[error("ERR commands of more than {limit_bytes} bytes do not fit into one entry")]
    TooLarge {
        /// The limit, in bytes.
        limit_bytes: u64,
    },
    /// The commands may take effect, now or later, or not.
    #[error("UNKNOWN the outcome is not known; the command may still take effect")]
    Unknown,
    /// A read failed inside the server.
    #[error("ERR the read failed inside the server")]
    ReadFailed,
    /// This node has stopped; nothing was read.
    #[error("ERR this node has stopped")]
    Stopped,
}

/// The first pause before another attempt; it doubles up to `RETRY_AFTER_MAX`.
const RETRY_AFTER_MIN: Duration = Duration::from_millis(5);
const RETRY_AFTER_MAX: Duration = Duration::from_millis(100);

/// Executes operations on a replica, patiently.
#[derive(Debug)]
pub struct Executor<R> {
    replica: R,
    patience: Duration,
}

impl<R: Replica> Executor<R> {
    /// An executor that gives each batch this long.
    pub const fn new(replica: R, patience: Duration) -> Self {
        Self { replica, patience }
    }

    /// What the replica says of itself.
    pub fn status(&self) -> ReplicaStatus {
        self.replica.status()
    }

    /// Carries out `ops`, all or none, and answers each of them, in order.
    ///
    /// # Errors
    /// None of them was executed, except after [`Failure::Unknown`], where all or none were.
    pub async fn execute(&self, ops: Vec<Op>) -> Result<Vec<Reply>, Failure> {
        if ops.is_empty() {
            return Ok(Vec::new());
        }
        let expected = ops.len();
        let replies = match only_reads(ops) {
            Ok(reads) => self.read(reads.into()).await?,
            Err(ops) => self.propose(&Batch::new(ops)).await?,
        };
        assert_eq!(
            replies.len(),
            expected,
            "the store answers every operation of a batch"
        );
        Ok(replies)
    }

    async fn propose(&self, batch: &Batch) -> Result<Vec<Reply>, Failure> {
        let mut patience = Patience::new(self.patience);
        loop {
            let attempt = timeout_at(patience.deadline, self.replica.propose(batch.clone())).await;
            // An attempt that is cut off may have been appended.
            let error = match attempt.map_err(|_| Failure::Unknown)? {
                Ok(replies) => return Ok(replies),
                Err(error) => error,
            };
            let failure = match error {
                ProposeError::NotLeader { .. }
                | ProposeError::Replaced
                | ProposeError::HandingOver => Failure::NoLeader,
                ProposeError::Overloaded | ProposeError::NoRoom => Failure::Overloaded,
                ProposeError::TooLarge { limit_bytes } => {
                    return Err(Failure::TooLarge { limit_bytes });
                }
                // What a later version adds is not known to be harmless.
                ProposeError::Unknown | ProposeError::Stopped | _ => return Err(Failure::Unknown),
            };
            patience.wait(failure).await?;
        }
    }

    async fn read(&self, ops: Arc<[ReadOp]>) -> Result<Vec<Reply>, Failure> {
        let mut patience = Patience::new(self.patience);
        loop {
            let attempt = timeout_at(patience.deadline, self.replica.read(Arc::clone(&ops))).await;
            match attempt.map_err(|_| Failure::ReadTimedOut)? {
                Ok(replies) => return Ok(replies),
                Err(ReadError::NotLeader { .. }) => patience.wait(Failure::NoLeader).await?,
                Err(ReadError::TimedOut) => patience.wait(Failure::ReadTimedOut).await?,
                Err(ReadError::Stopped) => return Err(Failure::Stopped),
                Err(ReadError::Panicked | _) => return Err(Failure::ReadFailed),
            }
        }
    }
}

/// The operations as reads, if that is all they are.
fn only_reads(ops: Vec<Op>) -> Result<Vec<ReadOp>, Vec<Op>> {
    if ops.iter().any(|op| matches!(op, Op::Write(_))) {
        return Err(ops);
    }
    Ok(ops
        .into_iter()
        .filter_map(|op| match op {
            Op::Read(read) => Some(read),
            Op::Write(_) => None,
        })
        .collect())
}

/// How long one batch may still be tried.
struct Patience {
    deadline: Instant,
    pause: Duration,
}

impl Patience {
    fn new(patience: Duration) -> Self {
        Self {
            deadline: Instant::now() + patience,
            pause: RETRY_AFTER_MIN,
        }
    }

    /// Waits before another attempt.
    ///
    /// # Errors
    /// `failure`, if there is no time left for one.
    async fn wait(&mut self, failure: Failure) -> Result<(), Failure> {
        if Instant::now() + self.pause >= self.deadline {
            return Err(failure);
        }
        sleep(self.pause).await;
        self.pause = (self.pause * 2).min(RETRY_AFTER_MAX);
        Ok(())
    }
}

#[cfg(test)]
#[path = "executor_tests.rs"]
mod tests;
