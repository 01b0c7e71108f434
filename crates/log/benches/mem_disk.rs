//! What a log on the disk in memory costs: a simulated world writes to such logs all the time and
//! restarts them often, and its speed is bounded by this.
//!
//! Each figure is the median of several rounds, in nanoseconds per call. One argument prints only
//! the figures whose name holds it: `cargo bench -p quorate-log --bench mem_disk -- open`.

#[expect(
    clippy::disallowed_types,
    reason = "a bench measures time; the log never does"
)]
use std::time::Instant;

use quorate_core::{Entry, EntryId, HardState, LogIndex, NodeId, Payload, Term};
use quorate_log::{
    ClusterId, Crash, DirectoryId, FreshIds, Log, LogOptions, MemDisk, Owner, ReadOutcome,
    StorageError, Write,
};

const ROUNDS: usize = 11;
const CALLS: u64 = 2_000;
/// Small, as a simulated world has it: it rotates often.
const SEGMENT_BYTES: u64 = 16 * 1024;

type Failure = Box<dyn std::error::Error>;

/// A log, and what the next write to it is.
struct Subject {
    disk: MemDisk,
    log: Option<Log<MemDisk>>,
    term: u64,
    index: u64,
    /// The next entry to read.
    read: u64,
}

impl Subject {
    /// A log that holds so many entries.
    fn new(entries: u64) -> Result<Self, Failure> {
        let (disk, log) = (MemDisk::new(), None);
        let mut subject = Self {
            disk,
            log,
            term: 0,
            index: 0,
            read: 1,
        };
        subject.open()?;
        subject.perform(true)?;
        while subject.index < entries {
            subject.perform(false)?;
        }
        Ok(subject)
    }

    fn open(&mut self) -> Result<(), Failure> {
        let owner = Owner {
            cluster: ClusterId(1),
            node: NodeId::new(1).ok_or("zero names nobody")?,
        };
        let fresh = FreshIds {
            directory: DirectoryId(1),
            log: 2,
        };
        let mut options = LogOptions::default();
        options.segment_bytes = SEGMENT_BYTES;
        self.log = None;
        self.log = Some(Log::open(self.disk.clone(), owner, fresh, options)?.log);
        Ok(())
    }

    /// One to four small entries, behind a new term or not.
    fn perform(&mut self, campaign: bool) -> Result<(), StorageError> {
        let mut writes = Vec::with_capacity(2);
        if campaign {
            self.term += 1;
            writes.push(Write::HardState(HardState {
                term: Term::new(self.term),
                vote: None,
                floor: None,
            }));
        }
        let count = self.index % 4 + 1;
        let entries: Vec<Entry> = (1..=count)
            .map(|at| Entry {
                index: LogIndex::new(self.index + at),
                term: Term::new(self.term),
                payload: Payload::Command(vec![7; 40].into()),
            })
            .collect();
        self.index += count;
        writes.push(Write::Append(entries.into()));
        if let Some(log) = &mut self.log {
            log.perform(&writes)?;
        }
        Ok(())
    }

    /// The next entries of the log within so many bytes, from the first one on after the last.
    fn read_on(&mut self, limit_bytes: u64) -> Result<(), Failure> {
        let from = self.read;
        let to = EntryId::new(LogIndex::new(self.index), Term::new(self.term));
        let log = self.log.as_mut().ok_or("the log is open")?;
        if let ReadOutcome::Found(entries) = log.read(LogIndex::new(from), to, limit_bytes)? {
            self.read = (from + entries.len() as u64) % (self.index + 1);
        }
        self.read = self.read.max(1);
        Ok(())
    }
}

/// What is measured: called again and again on one subject.
type Call = fn(&mut Subject) -> Result<(), Failure>;

fn measure(name: &str, held: u64, calls: u64, call: Call) -> Result<(), Failure> {
    let mut nanos = Vec::new();
    for _ in 0..ROUNDS {
        let mut subject = Subject::new(held)?;
        #[expect(clippy::disallowed_types, reason = "a bench measures time")]
        let start = Instant::now();
        for _ in 0..calls {
            call(&mut subject)?;
        }
        nanos.push(start.elapsed().as_nanos() / u128::from(calls));
    }
    nanos.sort_unstable();
    let median = nanos.get(ROUNDS / 2).copied().unwrap_or_default();
    println!("{median:>9} ns  {name}");
    Ok(())
}

fn main() -> Result<(), Failure> {
    let wanted = std::env::args().skip(1).find(|word| !word.starts_with('-'));
    let table: [(&str, u64, u64, Call); 9] = [
        ("perform: 1 to 4 small entries", 1, CALLS, |subject| {
            Ok(subject.perform(false)?)
        }),
        ("perform: a hard state and entries", 1, CALLS, |subject| {
            Ok(subject.perform(true)?)
        }),
        (
            "read on: 500 bytes of five segments",
            280,
            CALLS,
            |subject| subject.read_on(500),
        ),
        (
            "read on: 5000 bytes of five segments",
            280,
            CALLS,
            |subject| subject.read_on(5000),
        ),
        ("open: one segment", 20, 200, |subject| subject.open()),
        ("open: five segments", 280, 200, |subject| subject.open()),
        ("process crash and open: one segment", 20, 200, |subject| {
            subject.disk.crash(Crash::Process);
            subject.open()
        }),
        ("power loss and open: one segment", 20, 200, |subject| {
            subject.disk.crash(Crash::Power(&mut |_| true));
            subject.open()
        }),
        ("power loss alone: five segments", 280, 200, |subject| {
            subject.disk.crash(Crash::Power(&mut |_| true));
            Ok(())
        }),
    ];
    for (name, held, calls, call) in table {
        if wanted.as_ref().is_none_or(|wanted| name.contains(wanted)) {
            measure(name, held, calls, call)?;
        }
    }
    Ok(())
}
