//! What the tests share: a reference log to compare with, and short ways to build things.

use bytes::Bytes;
use quorate_core::{
    Entries, Entry, EntryId, HardState, LogIndex, Membership, NodeId, Payload, Term,
};
use quorate_log::{
    ClusterId, DirectoryId, FreshIds, Log, LogOptions, MemDisk, OpenError, Opened, Owner,
    ReadOutcome, Write,
};

pub(crate) const SECTOR: usize = 512;

pub(crate) fn owner() -> Owner {
    Owner {
        cluster: ClusterId(0xC1),
        node: NodeId::new(1).unwrap(),
    }
}

pub(crate) fn fresh() -> FreshIds {
    FreshIds {
        directory: DirectoryId(0xD1),
        log: 0x0102_0304_0506_0708_090A_0B0C_0D0E_0F10,
    }
}

/// Segments of 4 KiB: every test that writes a little rotates.
pub(crate) fn options() -> LogOptions {
    let mut options = LogOptions::default();
    options.segment_bytes = 4096;
    options
}

pub(crate) fn open(disk: &MemDisk) -> Result<Opened<MemDisk>, OpenError> {
    Log::open(disk.clone(), owner(), fresh(), options())
}

pub(crate) fn segment(number: u32) -> String {
    format!("segment-{number:010}")
}

pub(crate) fn index(value: u64) -> LogIndex {
    LogIndex::new(value)
}

pub(crate) fn entry(at: u64, term: u64, payload: impl Into<Bytes>) -> Entry {
    let payload = Payload::Command(payload.into());
    Entry {
        index: index(at),
        term: Term::new(term),
        payload,
    }
}

pub(crate) fn noop(at: u64, term: u64) -> Entry {
    Entry {
        index: index(at),
        term: Term::new(term),
        payload: Payload::Noop,
    }
}

/// A membership of these voters, the first of them with this address.
pub(crate) fn members(voters: &[u64], address: &str) -> Membership {
    let mut voters = voters.iter().filter_map(|&id| NodeId::new(id)).peekable();
    let first = *voters.peek().unwrap();
    Membership::new(voters, []).with_address(first, address)
}

pub(crate) fn membership(at: u64, term: u64, membership: &Membership) -> Entry {
    Entry {
        index: index(at),
        term: Term::new(term),
        payload: Payload::Membership(membership.encode()),
    }
}

pub(crate) fn append(entries: impl Into<Vec<Entry>>) -> Write {
    Write::Append(Entries::from(entries.into()))
}

pub(crate) fn term(term: u64) -> Write {
    Write::HardState(state(term))
}

pub(crate) fn state(term: u64) -> HardState {
    HardState {
        term: Term::new(term),
        vote: NodeId::new(term % 3 + 1),
        floor: None,
    }
}

/// What a log should hold.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Model {
    pub(crate) hard_state: HardState,
    pub(crate) entries: Vec<Entry>,
}

impl Model {
    pub(crate) fn perform(&mut self, write: &Write) {
        let last = self.states_within(std::slice::from_ref(write)).pop();
        *self = last.unwrap_or_else(|| self.clone());
    }

    /// Every state that a crash during these writes may leave, this one first: they take effect
    /// in order, and appends entry by entry.
    pub(crate) fn states_within(&self, writes: &[Write]) -> Vec<Self> {
        let mut states = vec![self.clone()];
        let mut now = self.clone();
        for write in writes {
            match write {
                Write::HardState(state) => {
                    now.hard_state = *state;
                    states.push(now.clone());
                }
                Write::Append(entries) => {
                    for entry in entries.iter() {
                        now.entries.truncate(entry.index.prev().get() as usize);
                        now.entries.push(entry.clone());
                        states.push(now.clone());
                    }
                }
            }
        }
        states
    }

    /// What an opened log holds, read back entry by entry.
    pub(crate) fn of(opened: &mut Opened<MemDisk>) -> Self {
        let recovered = &opened.recovered;
        let mut model = Self {
            hard_state: recovered.hard_state,
            entries: Vec::new(),
        };
        let starts = &recovered.term_starts;
        for at in 1..=recovered.last.get() {
            let start = starts
                .iter()
                .rfind(|start| start.index.get() <= at)
                .unwrap();
            let id = EntryId::new(index(at), start.term);
            let found = opened.log.read(index(at), id, u64::MAX).unwrap();
            let ReadOutcome::Found(entries) = found else {
                panic!("entry {id} is gone")
            };
            assert_eq!(entries.len(), 1, "exactly the one entry was asked for");
            model.entries.push(entries[0].clone());
        }
        assert_eq!(
            recovered.memberships,
            model.memberships(),
            "the memberships are those of the entries that live"
        );
        model
    }

    /// The memberships among the entries.
    pub(crate) fn memberships(&self) -> Vec<(LogIndex, Membership)> {
        let of = |entry: &Entry| match &entry.payload {
            Payload::Membership(bytes) => Some((entry.index, Membership::decode(bytes).unwrap())),
            Payload::Noop | Payload::Command(_) => None,
        };
        self.entries.iter().filter_map(of).collect()
    }

    pub(crate) fn last(&self) -> EntryId {
        self.entries.last().map_or(EntryId::NONE, Entry::id)
    }
}

/// Opens, compares, and hands the log over.
pub(crate) fn reopen_as(disk: &MemDisk, expected: &Model) -> Opened<MemDisk> {
    let mut opened = open(disk).unwrap();
    let found = Model::of(&mut opened);
    assert_eq!(
        found.hard_state, expected.hard_state,
        "the hard state is the acknowledged one"
    );
    assert_eq!(
        found.entries, expected.entries,
        "the log holds what was acknowledged"
    );
    opened
}

/// A closed log with everything in it that a log can hold: several segments, terms, kinds and
/// sizes of entries, a suffix that was replaced, payloads of zeros.
pub(crate) fn furnished() -> (MemDisk, Model) {
    let disk = MemDisk::new();
    let mut log = open(&disk).unwrap().log;
    let mut model = Model::default();
    let zeros = vec![0u8; 1600];
    let jobs = [
        vec![term(1), append([noop(1, 1)])],
        vec![append([
            entry(2, 1, "two"),
            entry(3, 1, vec![7; 700]),
            membership(4, 1, &members(&[1, 2], "replaced")),
        ])],
        vec![append([entry(5, 1, zeros.clone())])],
        vec![term(2), append([noop(4, 2), entry(5, 2, vec![9; 300])])],
        vec![append([entry(6, 2, vec![3; 2000])])],
        vec![append([
            membership(7, 2, &members(&[1, 2, 3], "a:7000")),
            entry(8, 2, zeros),
        ])],
        vec![append([entry(9, 2, vec![5; 6000])])],
        vec![append([membership(10, 2, &members(&[1], "replaced too"))])],
        vec![
            term(3),
            append([noop(9, 3)]),
            append([entry(10, 3, vec![1; 1100])]),
        ],
    ];
    for job in &jobs {
        log.perform(job).unwrap();
        while log.housekeep(1024).unwrap() {}
        job.iter().for_each(|write| model.perform(write));
    }
    log.close().unwrap();
    (disk, model)
}

/// The segments of the disk, in order, with what is in them.
pub(crate) fn segments(disk: &MemDisk) -> Vec<(String, Vec<u8>)> {
    (1..)
        .map_while(|number| Some((segment(number), disk.content(&segment(number))?)))
        .collect()
}

/// The first byte of each sector of a segment, its header left out, that was written.
pub(crate) fn written_sectors(content: &[u8]) -> Vec<usize> {
    let sectors = content.chunks(SECTOR).enumerate().skip(1);
    let written = sectors.filter(|(_, sector)| sector.iter().any(|byte| *byte != 0));
    written.map(|(number, _)| number * SECTOR).collect()
}
