//! A replica without a cluster, for tests: a store behind a lock, and errors on demand.

use std::collections::VecDeque;
use std::future::pending;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use quorate::{ProposeError, ReadError};

use crate::executor::{Replica, ReplicaStatus};
use crate::op::{Batch, ReadOp};
use crate::resp::Reply;
use crate::store::Store;

/// What happens to the next proposal.
pub(crate) enum Fault {
    /// It is refused or lost.
    Error(ProposeError),
    /// It takes effect, but nobody hears of it.
    AppliedThen(ProposeError),
    /// Nothing more is heard.
    Silence,
    /// None: it succeeds.
    None,
}

/// The replica. A clone shares everything.
#[derive(Clone, Default)]
pub(crate) struct FakeReplica(Arc<Inner>);

#[derive(Default)]
struct Inner {
    store: Mutex<Store>,
    faults: Mutex<VecDeque<Fault>>,
    read_faults: Mutex<VecDeque<ReadError>>,
    read_hangs: AtomicBool,
    entries: AtomicUsize,
    reads: AtomicUsize,
}

impl FakeReplica {
    pub(crate) fn fail_proposals(&self, faults: impl IntoIterator<Item = Fault>) {
        self.0.faults.lock().unwrap().extend(faults);
    }

    pub(crate) fn fail_reads(&self, faults: impl IntoIterator<Item = ReadError>) {
        self.0.read_faults.lock().unwrap().extend(faults);
    }

    /// No read is answered from now on.
    pub(crate) fn hang_reads(&self) {
        self.0.read_faults.lock().unwrap().clear();
        self.0.read_hangs.store(true, Ordering::Relaxed);
    }

    /// Proposals that took effect.
    pub(crate) fn entries(&self) -> usize {
        self.0.entries.load(Ordering::Relaxed)
    }

    /// Reads that were served.
    pub(crate) fn reads(&self) -> usize {
        self.0.reads.load(Ordering::Relaxed)
    }

    /// The answers of the store itself.
    pub(crate) fn peek(&self, ops: &[ReadOp]) -> Vec<Reply> {
        self.0.store.lock().unwrap().read_all(ops)
    }

    fn apply(&self, batch: &Batch) -> Vec<Reply> {
        // Through the bytes, as in a cluster.
        let batch = crate::codec::decode(crate::codec::encode(batch)).unwrap();
        self.0.entries.fetch_add(1, Ordering::Relaxed);
        self.0.store.lock().unwrap().execute(&batch)
    }
}

impl Replica for FakeReplica {
    async fn propose(&self, batch: Batch) -> Result<Vec<Reply>, ProposeError> {
        let fault = self
            .0
            .faults
            .lock()
            .unwrap()
            .pop_front()
            .unwrap_or(Fault::None);
        match fault {
            Fault::None => Ok(self.apply(&batch)),
            Fault::Error(error) => Err(error),
            Fault::AppliedThen(error) => {
                self.apply(&batch);
                Err(error)
            }
            Fault::Silence => pending().await,
        }
    }

    async fn read(&self, ops: Arc<[ReadOp]>) -> Result<Vec<Reply>, ReadError> {
        if let Some(error) = self.0.read_faults.lock().unwrap().pop_front() {
            return Err(error);
        }
        if self.0.read_hangs.load(Ordering::Relaxed) {
            pending::<()>().await;
        }
        self.0.reads.fetch_add(1, Ordering::Relaxed);
        Ok(self.peek(&ops))
    }

    fn status(&self) -> ReplicaStatus {
        ReplicaStatus {
            id: 1,
            role: "leader",
            ..ReplicaStatus::default()
        }
    }
}
