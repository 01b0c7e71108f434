//! The storage thread: performs one job after the other on the log, and reads old entries in
//! between. It decides nothing; the driver says what a job is.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::time::{Duration, Instant};

use quorate_core::{EntryId, LoadId, LoadOutcome, LogIndex};
use quorate_log::{Disk, Log, ReadOutcome, StorageError};
use tokio::sync::mpsc::UnboundedSender;
use tracing::{error, warn};

use super::shell::Completion;
use super::spin::Spin;
use crate::driver::StorageJob;

/// After this long without a write the log notes how far it is, so that a later open need not
/// guess.
const IDLE: Duration = Duration::from_millis(100);

/// What the log may prepare for later jobs after each one, in bytes. A multiple of what a usual
/// job writes, so that a segment is ready before it is needed, and small enough not to delay the
/// next job by more than a fraction of an fsync.
const HOUSEKEEPING_BYTES: u64 = 128 * 1024;

/// Failed reads that are remembered.
const MAX_UNREADABLE: usize = 64;

/// Work for the storage thread.
#[derive(Debug)]
pub(super) enum Request {
    /// Perform a job and say when it is durable.
    Job(StorageJob),
    /// Read entries for the engine.
    Load {
        load: LoadId,
        from: LogIndex,
        to: EntryId,
        limit_bytes: u64,
    },
}

/// What the storage thread has done since the start.
#[derive(Debug, Default)]
pub(super) struct Counters {
    pub(super) fsyncs: AtomicU64,
    pub(super) bytes: AtomicU64,
}

/// Runs until every sender of `requests` is gone, then closes the log. An error ends it at
/// once: a disk that failed a write is not asked again.
pub(super) fn run<D: Disk>(
    mut log: Log<D>,
    requests: &Receiver<Request>,
    completions: &UnboundedSender<Completion>,
    counters: &Arc<Counters>,
) {
    let mut ahead = Preparation {
        has_more: true,
        is_full: false,
    };
    let mut unreadable = Unreadable::default();
    let mut rests = Rests::new(Instant::now());
    let mut spin = Spin::new();
    loop {
        let received = if let Some(request) = spin.next(requests) {
            Ok(request)
        } else if let Some(at) = rests.at {
            requests.recv_timeout(at.saturating_duration_since(Instant::now()))
        } else {
            requests.recv().map_err(|_| RecvTimeoutError::Disconnected)
        };
        let served = match received {
            Ok(request) => {
                let now = Instant::now();
                spin.worked(now);
                let is_due = rests.is_due(&request, now);
                let rested = if is_due { log.idle() } else { Ok(()) };
                let served = rested
                    .and_then(|()| serve(&mut log, request, completions, counters, &mut unreadable))
                    .and_then(|()| ahead.go_on(&mut log));
                rests.continued(ahead.has_more, now);
                served
            }
            Err(RecvTimeoutError::Timeout) => {
                let rested = rest(&mut log, &mut ahead);
                rests.rested(ahead.has_more, Instant::now());
                rested
            }
            Err(RecvTimeoutError::Disconnected) => break,
        };
        if let Err(error) = served {
            report(&error);
            // Nobody listens only if the node has stopped already.
            let _ = completions.send(Completion::StorageFailed(error.to_string()));
            return;
        }
    }
    if let Err(error) = log.close() {
        report(&error);
    }
}

/// When the log is to rest: once nothing was written for a while, whatever is read meanwhile.
struct Rests {
    /// Never, if there is nothing left to do then.
    at: Option<Instant>,
}

impl Rests {
    fn new(now: Instant) -> Self {
        Self {
            at: Some(now + IDLE),
        }
    }

    /// A request has come. Whether the log is to note how far it is before that: a peer that lags
    /// may ask for entries without end, and then no pause ever comes.
    fn is_due(&mut self, request: &Request, now: Instant) -> bool {
        match request {
            Request::Job(_) => {
                self.at = Some(now + IDLE);
                false
            }
            Request::Load { .. } => {
                let is_due = self.at.is_some_and(|at| at <= now);
                if is_due {
                    self.at = Some(now + IDLE);
                }
                is_due
            }
        }
    }

    /// Whether there is more to prepare, which is done while the log rests.
    fn continued(&mut self, has_more: bool, now: Instant) {
        if has_more {
            self.at.get_or_insert(now + IDLE);
        }
    }

    /// It has rested.
    fn rested(&mut self, has_more: bool, now: Instant) {
        self.at = has_more.then(|| now + IDLE);
    }
}

/// What is done when nothing was asked for a while. What the last batch needs comes first: to
/// prepare a segment takes many such whiles, and until the witness knows of the batch, a disk that
/// loses part of it goes unnoticed.
fn rest<D: Disk>(log: &mut Log<D>, ahead: &mut Preparation) -> Result<(), StorageError> {
    log.idle()?;
    if ahead.has_more {
        ahead.go_on(log)?;
    }
    Ok(())
}

/// What the log prepares ahead of need.
struct Preparation {
    has_more: bool,
    is_full: bool,
}

impl Preparation {
    /// Prepares a portion. A disk without room for the next segment still has some in the
    /// present one; only a write that finds none is fatal.
    fn go_on<D: Disk>(&mut self, log: &mut Log<D>) -> Result<(), StorageError> {
        match log.housekeep(HOUSEKEEPING_BYTES) {
            Ok(has_more) => {
                *self = Self {
                    has_more,
                    is_full: false,
                }
            }
            Err(StorageError::Full(failure)) => {
                if !self.is_full {
                    warn!(target: "quorate::log", %failure, "no room for the next segment");
                }
                *self = Self {
                    has_more: false,
                    is_full: true,
                };
            }
            Err(error) => return Err(error),
        }
        Ok(())
    }
}

fn serve<D: Disk>(
    log: &mut Log<D>,
    request: Request,
    completions: &UnboundedSender<Completion>,
    counters: &Arc<Counters>,
    unreadable: &mut Unreadable,
) -> Result<(), StorageError> {
    let completion = match request {
        Request::Job(StorageJob::Write(writes)) => {
            let performed = log.perform(&writes)?;
            counters
                .fsyncs
                .fetch_add(performed.syncs, Ordering::Relaxed);
            counters.bytes.fetch_add(performed.bytes, Ordering::Relaxed);
            Completion::Stored
        }
        Request::Job(StorageJob::Stage(stage)) => {
            log.set_stage(stage)?;
            Completion::Stored
        }
        Request::Load {
            load,
            from,
            to,
            limit_bytes,
        } => {
            let outcome = match log.read(from, to, limit_bytes) {
                Ok(ReadOutcome::Found(entries)) => LoadOutcome::Found(entries),
                Ok(ReadOutcome::Gone) => LoadOutcome::Gone,
                Err(error) => {
                    // A failed read says nothing of the writes: the engine asks again.
                    if unreadable.is_news(&error) {
                        warn!(target: "quorate::log", %error, %from, "entries cannot be read");
                    }
                    LoadOutcome::Failed
                }
            };
            Completion::Loaded { load, outcome }
        }
    };
    let _ = completions.send(completion);
    Ok(())
}

/// Which failed reads were logged. The engine asks for the same entries with every heartbeat, and
/// what has rotted stays so.
#[derive(Default)]
struct Unreadable(BTreeSet<String>);

impl Unreadable {
    fn is_news(&mut self, error: &StorageError) -> bool {
        // Forgetting everything may repeat a line; a set without a bound would be worse.
        if self.0.len() >= MAX_UNREADABLE {
            self.0.clear();
        }
        self.0.insert(error.to_string())
    }
}

fn report(error: &StorageError) {
    error!(
        target: "quorate::log",
        error = %Chain(error),
        "storage failed; nothing that follows may count on this disk, so the node stops",
    );
}

/// An error with its causes, in one line.
struct Chain<'a>(&'a dyn std::error::Error);

impl std::fmt::Display for Chain<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}", self.0)?;
        let mut cause = self.0.source();
        while let Some(error) = cause {
            write!(f, ": {error}")?;
            cause = error.source();
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use quorate_core::{Entry, HardState, NodeId, Payload, Term};
    use quorate_log::{
        AfterFailedSync, ClusterId, DirectoryId, FreshIds, LogOptions, MemDisk, OpenError, Opened,
        Owner, Write,
    };

    fn open(disk: &MemDisk) -> Result<Opened<MemDisk>, OpenError> {
        let owner = Owner {
            cluster: ClusterId(1),
            node: NodeId::new(1).unwrap(),
        };
        let fresh = FreshIds {
            directory: DirectoryId(1),
            log: 1,
        };
        Log::open(disk.clone(), owner, fresh, LogOptions::default())
    }

    fn first_term() -> Write {
        Write::HardState(HardState {
            term: Term::new(1),
            ..HardState::default()
        })
    }

    fn append_first() -> Write {
        let entry = Entry {
            index: LogIndex::new(1),
            term: Term::new(1),
            payload: Payload::Noop,
        };
        Write::Append([entry].into_iter().collect())
    }

    /// Scenario G03
    #[test]
    fn a_job_whose_sync_fails_is_never_reported_as_stored() {
        let disk = MemDisk::new();
        let opened = open(&disk).unwrap();
        let (requests, queue) = std::sync::mpsc::channel();
        let (completions, mut told) = tokio::sync::mpsc::unbounded_channel();
        let job = StorageJob::Write(vec![first_term()]);
        requests.send(Request::Job(job)).unwrap();
        drop(requests);
        disk.fail_sync(0, AfterFailedSync::NewContent);
        run(opened.log, &queue, &completions, &Arc::default());
        let first = told.try_recv();
        assert!(
            matches!(first, Ok(Completion::StorageFailed(_))),
            "{first:?}: the engine would count on it"
        );
        assert!(told.try_recv().is_err(), "nothing follows the failure");
    }

    /// Counts the warnings of logs on this thread.
    struct Warnings(Arc<AtomicU64>);

    impl tracing::Subscriber for Warnings {
        fn enabled(&self, metadata: &tracing::Metadata<'_>) -> bool {
            *metadata.level() == tracing::Level::WARN && metadata.target() == "quorate::log"
        }

        fn event(&self, _: &tracing::Event<'_>) {
            self.0.fetch_add(1, Ordering::Relaxed);
        }

        fn new_span(&self, _: &tracing::span::Attributes<'_>) -> tracing::span::Id {
            tracing::span::Id::from_u64(1)
        }

        fn record(&self, _: &tracing::span::Id, _: &tracing::span::Record<'_>) {}

        fn record_follows_from(&self, _: &tracing::span::Id, _: &tracing::span::Id) {}

        fn enter(&self, _: &tracing::span::Id) {}

        fn exit(&self, _: &tracing::span::Id) {}
    }

    /// Twenty times a second, while a peer or the state machine needs them.
    #[test]
    fn entries_that_stay_unreadable_cost_one_line_though_they_are_asked_for_again() {
        let disk = MemDisk::new();
        let mut log = open(&disk).unwrap().log;
        log.perform(&[first_term(), append_first()]).unwrap();
        disk.flip("segment-0000000001", 512, 0);
        let warnings = Arc::new(AtomicU64::new(0));
        let _journal = tracing::subscriber::set_default(Warnings(Arc::clone(&warnings)));
        let (requests, queue) = std::sync::mpsc::channel();
        let (completions, mut told) = tokio::sync::mpsc::unbounded_channel();
        for load in 1..=5 {
            let first = LogIndex::new(1);
            let load = Request::Load {
                load: LoadId::new(load),
                from: first,
                to: EntryId::new(first, Term::new(1)),
                limit_bytes: 1,
            };
            requests.send(load).unwrap();
        }
        drop(requests);
        run(log, &queue, &completions, &Arc::default());
        for _ in 1..=5 {
            let outcome = LoadOutcome::Failed;
            let answer = told.try_recv().unwrap();
            assert!(
                matches!(&answer, Completion::Loaded { outcome: found, .. } if *found == outcome),
                "{answer:?}"
            );
        }
        assert_eq!(warnings.load(Ordering::Relaxed), 1);
    }

    /// Scenario G01: until the log has noted how far it is, a lost sector goes unnoticed.
    #[test]
    fn the_log_rests_when_nothing_was_written_for_a_while_though_it_is_read_all_the_time() {
        let begin = Instant::now();
        let mut rests = Rests::new(begin);
        let job = || Request::Job(StorageJob::Write(vec![append_first()]));
        let load = || Request::Load {
            load: LoadId::new(1),
            from: LogIndex::new(1),
            to: EntryId::new(LogIndex::new(1), Term::new(1)),
            limit_bytes: 1,
        };
        let mut now = begin;
        let mut due = Vec::new();
        for step in 0..100 {
            now += IDLE / 10;
            let request = if step < 50 { job() } else { load() };
            if rests.is_due(&request, now) {
                due.push(step);
            }
        }
        assert_eq!(due, [59, 69, 79, 89, 99]);
        rests.rested(false, now);
        assert!(
            !rests.is_due(&load(), now + 10 * IDLE),
            "there is nothing to do"
        );
        rests.continued(true, now);
        assert!(rests.is_due(&load(), now + IDLE));
    }

    /// Scenario G01: a sector of an acknowledged batch reads as if it had never been written.
    #[test]
    fn a_lost_sector_is_noticed_after_the_first_rest_though_a_segment_is_being_prepared() {
        let disk = MemDisk::new();
        let mut log = open(&disk).unwrap().log;
        log.perform(&[first_term(), append_first()]).unwrap();
        let mut ahead = Preparation {
            has_more: true,
            is_full: false,
        };
        rest(&mut log, &mut ahead).unwrap();
        assert!(ahead.has_more, "there is much to prepare");
        drop(log);
        disk.corrupt("segment-0000000001", |bytes| bytes[512..1024].fill(0));
        let opened = open(&disk).map(|opened| opened.recovered.last);
        assert!(
            matches!(opened, Err(OpenError::Damaged(_))),
            "{opened:?}: what was acknowledged is gone"
        );
    }
}
