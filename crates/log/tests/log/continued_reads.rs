//! Reads that go on where an earlier one stopped: what they cost, and that they find what a read
//! from anywhere else finds, whatever happened to the log in between.

use std::io::{self, IoSlice};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use fastrand::Rng;
use quorate_core::{Entries, Entry, EntryId, Term};
use quorate_log::{
    Crash, Damage, DamageKind, Disk, DiskCall, DiskFile, Lasting, Log, LogOptions, MemDisk,
    MemFile, ReadOutcome, StorageError,
};

use crate::common::*;

/// A disk in memory that counts the bytes read from it.
#[derive(Clone, Default)]
struct CountingDisk {
    disk: MemDisk,
    bytes_read: Arc<AtomicU64>,
}

struct CountingFile {
    file: MemFile,
    bytes_read: Arc<AtomicU64>,
}

impl CountingDisk {
    fn count(&self, file: MemFile) -> CountingFile {
        let bytes_read = Arc::clone(&self.bytes_read);
        CountingFile { file, bytes_read }
    }
}

impl Disk for CountingDisk {
    type File = CountingFile;

    fn lock(&mut self) -> io::Result<bool> {
        self.disk.lock()
    }

    fn open(&self, name: &str) -> io::Result<Option<CountingFile>> {
        Ok(self.disk.open(name)?.map(|file| self.count(file)))
    }

    fn create(&self, name: &str) -> io::Result<CountingFile> {
        Ok(self.count(self.disk.create(name)?))
    }

    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        self.disk.rename(from, to)
    }

    fn remove(&self, name: &str) -> io::Result<()> {
        self.disk.remove(name)
    }

    fn list(&self) -> io::Result<Vec<String>> {
        self.disk.list()
    }

    fn sync_dir(&self) -> io::Result<()> {
        self.disk.sync_dir()
    }
}

impl DiskFile for CountingFile {
    fn size(&self) -> io::Result<u64> {
        self.file.size()
    }

    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        let count = self.file.read_at(buffer, offset)?;
        self.bytes_read.fetch_add(count as u64, Ordering::Relaxed);
        Ok(count)
    }

    fn write_at(&mut self, buffers: &[IoSlice<'_>], offset: u64) -> io::Result<usize> {
        self.file.write_at(buffers, offset)
    }

    fn sync_data(&mut self) -> io::Result<()> {
        self.file.sync_data()
    }
}

/// Segments in which several marks have room.
fn long_segments() -> LogOptions {
    let mut options = LogOptions::default();
    options.segment_bytes = 256 * 1024;
    options
}

fn open_long(disk: &MemDisk) -> Log<MemDisk> {
    let opened = Log::open(disk.clone(), owner(), fresh(), long_segments());
    opened.unwrap().log
}

/// A log of a mebibyte or so, in four segments or five: the disk, the id of the last entry, and
/// how many bytes were written.
fn long_log() -> (Log<CountingDisk>, CountingDisk, EntryId, u64) {
    let disk = CountingDisk::default();
    let opened = Log::open(disk.clone(), owner(), fresh(), long_segments());
    let mut log = opened.unwrap().log;
    log.perform(&[term(1)]).unwrap();
    let mut written = 0;
    for first in (1..=2000).step_by(8) {
        let batch: Vec<_> = (first..first + 8)
            .map(|at| entry(at, 1, vec![at as u8; 440]))
            .collect();
        written += log.perform(&[append(batch)]).unwrap().bytes;
    }
    (log, disk, id(2000, 1), written)
}

fn id(at: u64, term: u64) -> EntryId {
    EntryId::new(index(at), Term::new(term))
}

fn found<D: Disk>(log: &mut Log<D>, from: u64, to: EntryId, limit_bytes: u64) -> Entries {
    match log.read(index(from), to, limit_bytes).unwrap() {
        ReadOutcome::Found(entries) => entries,
        ReadOutcome::Gone => panic!("the entries from {from} to {to} are gone"),
    }
}

/// Reads what fits into 8 KiB and returns the index after it.
fn read_on<D: Disk>(log: &mut Log<D>, from: u64, to: EntryId) -> u64 {
    let entries = found(log, from, to, 8 * 1024);
    assert_eq!(entries.first().map(|first| first.index), Some(index(from)));
    entries.last().unwrap().index.next().get()
}

#[test]
fn a_long_log_read_in_small_parts_is_read_about_once() {
    let (mut log, disk, to, written) = long_log();
    let before = disk.bytes_read.load(Ordering::Relaxed);
    let mut next = 1;
    while next <= to.index.get() {
        next = read_on(&mut log, next, to);
    }
    let read = disk.bytes_read.load(Ordering::Relaxed) - before;
    assert!(
        read <= 2 * written,
        "a log of {written} bytes was read in parts by reading {read} bytes"
    );
}

/// A state machine and three peers that lag, one of them beside the state machine.
#[test]
fn four_readers_in_turns_read_a_long_log_about_once_each() {
    let (mut log, disk, to, written) = long_log();
    let before = disk.bytes_read.load(Ordering::Relaxed);
    let mut readers = [1u64, 1, 300, 320];
    let entries: u64 = readers.iter().map(|first| 2001 - first).sum();
    while readers.iter().any(|next| *next <= to.index.get()) {
        for next in &mut readers {
            if *next <= to.index.get() {
                *next = read_on(&mut log, *next, to);
            }
        }
    }
    let read = disk.bytes_read.load(Ordering::Relaxed) - before;
    let wanted = written * entries / 2000;
    assert!(
        read <= 2 * wanted,
        "to read {wanted} bytes in turns, {read} were read"
    );
}

/// The replaced entries have the terms of those that replace them, and their frames are still on
/// the disk: only where a read starts tells them apart.
#[test]
fn a_read_that_goes_on_behind_a_replaced_suffix_finds_what_replaced_it() {
    for rotate in [false, true] {
        for stop in 3..=20 {
            let disk = MemDisk::new();
            let mut log = open_long(&disk);
            let old: Vec<_> = (1..=20).map(|at| entry(at, 1, vec![7; 700])).collect();
            log.perform(&[term(1), append(old.clone())]).unwrap();
            let first = found(&mut log, 1, id(stop, 1), u64::MAX);
            assert_eq!(first[..], old[..stop as usize]);
            if rotate {
                let filler = entry(21, 1, vec![1; 250_000]);
                log.perform(&[append([filler])]).unwrap();
                assert!(disk.content(&segment(2)).is_some(), "a new segment began");
            }
            let new: Vec<_> = (10..=20).map(|at| entry(at, 1, vec![8; 700])).collect();
            log.perform(&[append(new.clone())]).unwrap();
            let expected = [&old[..9], &new].concat();
            if stop < 20 {
                let rest = found(&mut log, stop + 1, id(20, 1), u64::MAX);
                assert_eq!(rest[..], expected[stop as usize..], "stopped at {stop}");
            }
            let all = found(&mut log, 1, id(20, 1), u64::MAX);
            assert_eq!(all[..], expected, "stopped at {stop}");
        }
    }
}

#[test]
fn a_read_that_stopped_at_the_end_goes_on_once_more_was_written() {
    let disk = MemDisk::new();
    let mut log = open_long(&disk);
    log.perform(&[term(1), append([noop(1, 1)])]).unwrap();
    for at in 2..600 {
        let last = found(&mut log, at - 1, id(at - 1, 1), u64::MAX);
        assert_eq!(last.len(), 1);
        let next = entry(at, 1, vec![at as u8; 500]);
        log.perform(&[append([next.clone()])]).unwrap();
        assert_eq!(found(&mut log, at, id(at, 1), u64::MAX)[..], [next]);
    }
}

fn damage(read: Result<ReadOutcome, StorageError>) -> Damage {
    match read {
        Err(StorageError::Damaged(damage)) => damage,
        outcome => panic!("damage was served: {outcome:?}"),
    }
}

/// Ten entries of one batch, the first three of them read.
fn three_of_ten_read() -> (MemDisk, Log<MemDisk>, Vec<Entry>) {
    let disk = MemDisk::new();
    let mut log = open_long(&disk);
    let all: Vec<_> = (1..=10)
        .map(|at| entry(at, 1, vec![at as u8; 968]))
        .collect();
    log.perform(&[term(1), append(all.clone())]).unwrap();
    assert_eq!(found(&mut log, 1, id(3, 1), u64::MAX)[..], all[..3]);
    (disk, log, all)
}

/// Where the frame of an entry of [`three_of_ten_read`] starts: each is 1024 bytes long.
fn frame_at(entry: usize) -> usize {
    SECTOR + (entry - 1) * 1024
}

#[test]
fn a_read_that_failed_finds_the_same_entries_when_it_is_tried_again() {
    let (disk, mut log, all) = three_of_ten_read();
    let name = segment(1);
    let at = frame_at(5) as u64;
    for _ in 0..3 {
        disk.misread_sector(&name, at, &[9; SECTOR], Lasting::Reads(1));
        let damage = damage(log.read(index(4), id(10, 1), u64::MAX));
        assert_eq!((damage.offset, damage.index), (at, Some(index(5))));
        assert_eq!(found(&mut log, 4, id(10, 1), u64::MAX)[..], all[3..]);
        disk.break_sector(&name, at, Lasting::UntilWritten);
        let read = log.read(index(4), id(10, 1), u64::MAX);
        assert!(matches!(read, Err(StorageError::Io(_))), "{read:?}");
        disk.mend_sectors();
        assert_eq!(found(&mut log, 4, id(7, 1), u64::MAX)[..], all[3..7]);
        assert_eq!(found(&mut log, 8, id(10, 1), u64::MAX)[..], all[7..]);
    }
}

#[test]
fn rot_before_a_read_that_goes_on_is_told_to_whoever_reads_it() {
    let (disk, mut log, all) = three_of_ten_read();
    disk.flip(&segment(1), frame_at(2) as u64 + 20, 3);
    assert_eq!(found(&mut log, 4, id(6, 1), u64::MAX)[..], all[3..6]);
    let damage = damage(log.read(index(2), id(2, 1), u64::MAX));
    assert_eq!(
        (damage.kind, damage.index),
        (DamageKind::Header, Some(index(2)))
    );
    assert_eq!(found(&mut log, 7, id(10, 1), u64::MAX)[..], all[6..]);
}

#[test]
fn rot_behind_the_place_where_a_read_goes_on_is_told_with_its_place() {
    for (byte, kind) in [(20, DamageKind::Header), (300, DamageKind::Content)] {
        let (disk, mut log, _) = three_of_ten_read();
        let at = frame_at(4) as u64;
        disk.flip(&segment(1), at + byte, 3);
        let damage = damage(log.read(index(4), id(10, 1), u64::MAX));
        assert_eq!((damage.kind, damage.offset), (kind, at));
        assert_eq!((damage.file, damage.index), (segment(1), Some(index(4))));
    }
}

/// A frame of the same log, place, batch and id, that follows another entry.
#[test]
fn a_read_that_goes_on_checks_that_the_frame_follows_what_was_read_before() {
    let (disk, mut log, all) = three_of_ten_read();
    let other = MemDisk::new();
    let mut other_log = open_long(&other);
    let mut others = all;
    others[2] = entry(3, 1, vec![9; 968]);
    other_log.perform(&[term(1), append(others)]).unwrap();
    let foreign = other.content(&segment(1)).unwrap();
    let frame = frame_at(4)..frame_at(5);
    disk.corrupt(&segment(1), |bytes| {
        bytes[frame.clone()].copy_from_slice(&foreign[frame.clone()]);
    });
    let damage = damage(log.read(index(4), id(4, 1), u64::MAX));
    assert_eq!(
        (damage.kind, damage.index),
        (DamageKind::Chain, Some(index(4)))
    );
}

/// A log, what it should hold, and readers who are somewhere in it.
struct Readers {
    seed: u64,
    rng: Rng,
    disk: MemDisk,
    log: Log<MemDisk>,
    entries: Vec<Entry>,
    term: u64,
    /// No two payloads are alike, so that a stale one shows.
    written: u64,
    next: [u64; 5],
}

impl Readers {
    fn new(seed: u64) -> Self {
        let disk = MemDisk::new();
        let mut log = open_long(&disk);
        log.perform(&[term(1)]).unwrap();
        Self {
            seed,
            rng: Rng::with_seed(seed),
            disk,
            log,
            entries: Vec::new(),
            term: 1,
            written: 0,
            next: [1; 5],
        }
    }

    fn run(&mut self) {
        for _ in 0..400 {
            match self.rng.u8(..100) {
                0..20 => self.append(0),
                20..28 => self.replace_suffix(),
                28..30 => self.begin_term(),
                30..31 => self.restart(),
                31..34 => {
                    self.log.housekeep(64 * 1024).unwrap();
                }
                34..40 => self.fail_a_read(),
                40..45 => self.step_aside(),
                _ => self.read_on(),
            }
        }
    }

    /// Appends some entries in place of so many of the last.
    fn append(&mut self, replaced: usize) {
        let kept = self.entries.len() - replaced;
        self.entries.truncate(kept);
        let batch: Vec<Entry> = (1..=self.rng.u64(1..12))
            .map(|more| {
                self.written += 1;
                let mut payload = self.written.to_le_bytes().to_vec();
                let length = self.rng.usize(8..3000);
                payload.resize(length, self.rng.u8(..2));
                entry(kept as u64 + more, self.term, payload)
            })
            .collect();
        self.entries.extend(batch.iter().cloned());
        self.log.perform(&[append(batch)]).unwrap();
    }

    fn replace_suffix(&mut self) {
        let most = self.entries.len().min(60);
        let replaced = self.rng.usize(0..=most);
        self.append(replaced);
    }

    fn restart(&mut self) {
        self.disk.crash(Crash::Process);
        self.log = open_long(&self.disk);
    }

    fn begin_term(&mut self) {
        self.term += 1;
        self.log.perform(&[term(self.term)]).unwrap();
    }

    /// A reader starts somewhere else.
    fn step_aside(&mut self) {
        let reader = self.rng.usize(..self.next.len());
        self.next[reader] = self.rng.u64(1..=self.entries.len() as u64 + 1);
    }

    /// Picks a reader who has something to read, and says up to where it reads.
    fn pick(&mut self) -> Option<(usize, u64, EntryId)> {
        let reader = self.rng.usize(..self.next.len());
        let last = self.entries.len() as u64;
        let next = self.next[reader].min(last);
        let to = self.rng.u64(next..=last);
        let to = self
            .entries
            .get(usize::try_from(to).unwrap().checked_sub(1)?)?;
        Some((reader, next, to.id()))
    }

    fn read_on(&mut self) {
        let Some((reader, next, to)) = self.pick() else {
            return;
        };
        let limit_bytes = self.rng.u64(0..20_000);
        let entries = found(&mut self.log, next, to, limit_bytes);
        let wanted = self.entries[next as usize - 1..to.index.get() as usize].to_vec();
        let expected = Entries::from(wanted).within(limit_bytes);
        assert!(
            entries == expected,
            "seed {}: from {next} to {to}",
            self.seed
        );
        self.next[reader] = next + entries.len() as u64;
    }

    fn fail_a_read(&mut self) {
        let Some((_, next, to)) = self.pick() else {
            return;
        };
        self.disk
            .fail_call(DiskCall::Read, self.rng.u64(..3), io::ErrorKind::Other);
        let _ = self.log.read(index(next), to, u64::MAX);
        self.disk.forgive();
    }
}

#[test]
fn readers_agree_with_the_reference_whatever_is_written_in_between() {
    for seed in 0..150 {
        Readers::new(seed).run();
    }
}
