//! What is written comes back: rotation, truncation, large entries, limits, and what it costs.

use quorate_core::{Entries, EntryId, LogIndex, NodeId, Term};
use quorate_log::{DiskOperation, Log, MemDisk, Misuse, ReadOutcome, StorageError};

use crate::common::*;

#[test]
fn entries_of_every_kind_come_back_after_a_restart() {
    let (disk, model) = furnished();
    assert!(
        segments(&disk).len() >= 4,
        "the furnished log spans several segments"
    );
    let opened = reopen_as(&disk, &model);
    let starts = [(1, 1), (4, 2), (9, 3)].map(|(at, t)| EntryId::new(index(at), Term::new(t)));
    assert_eq!(
        opened.recovered.term_starts, starts,
        "terms are those of the entries that live"
    );
    assert_eq!(opened.recovered.last, index(10));
    assert_eq!(
        opened.recovered.applied,
        LogIndex::NONE,
        "the log does not know what is applied"
    );
}

#[test]
fn entries_are_read_back_while_the_log_is_open() {
    let disk = MemDisk::new();
    let mut log = open(&disk).unwrap().log;
    log.perform(&[
        term(1),
        append(
            (1..=50)
                .map(|at| entry(at, 1, vec![1; 90]))
                .collect::<Vec<_>>(),
        ),
    ])
    .unwrap();
    log.perform(&[term(2), append([entry(20, 2, "new")])])
        .unwrap();
    let to = EntryId::new(index(20), Term::new(2));
    let ReadOutcome::Found(entries) = log.read(index(18), to, u64::MAX).unwrap() else {
        panic!("the entries are there");
    };
    let ids: Vec<String> = entries.iter().map(|entry| entry.id().to_string()).collect();
    assert_eq!(
        ids,
        ["i18:t1", "i19:t1", "i20:t2"],
        "a replaced entry is never read"
    );
    assert_eq!(entries[2].payload.bytes(), b"new");
}

/// Scenario B19
#[test]
fn read_stops_at_the_limit_and_gives_at_least_one_entry() {
    let disk = MemDisk::new();
    let mut log = open(&disk).unwrap().log;
    let all: Entries = (1..=30).map(|at| entry(at, 1, vec![1; 136])).collect();
    log.perform(&[term(1), quorate_log::Write::Append(all)])
        .unwrap();
    let to = EntryId::new(index(30), Term::new(1));
    for (limit, count) in [
        (0, 1),
        (199, 1),
        (200, 1),
        (400, 2),
        (599, 2),
        (2000, 10),
        (9000, 30),
    ] {
        let ReadOutcome::Found(entries) = log.read(index(1), to, limit).unwrap() else {
            panic!("the entries are there");
        };
        assert_eq!(
            entries.len(),
            count,
            "an entry counts 200 bytes, the limit is {limit}"
        );
        assert!(entries.is_well_formed());
    }
}

#[test]
fn read_says_gone_where_another_entry_stands_or_none() {
    let (disk, model) = furnished();
    let mut log = reopen_as(&disk, &model).log;
    let id = |at, t| EntryId::new(index(at), Term::new(t));
    for (from, to) in [
        (1, id(5, 1)),
        (9, id(10, 2)),
        (1, id(11, 3)),
        (0, id(3, 1)),
        (4, id(3, 1)),
        (0, EntryId::NONE),
    ] {
        let outcome = log.read(index(from), to, u64::MAX).unwrap();
        assert_eq!(outcome, ReadOutcome::Gone, "from {from} to {to}");
    }
}

#[test]
fn truncation_reaches_back_across_segments() {
    let disk = MemDisk::new();
    let mut log = open(&disk).unwrap().log;
    let mut model = Model::default();
    let writes = [
        term(1),
        append(
            (1..=40)
                .map(|at| entry(at, 1, vec![at as u8; 400]))
                .collect::<Vec<_>>(),
        ),
        term(5),
        append([entry(3, 5, "replaces nearly everything")]),
        append([entry(4, 5, vec![0; 3000])]),
    ];
    for write in &writes {
        log.perform(std::slice::from_ref(write)).unwrap();
        model.perform(write);
    }
    assert!(
        segments(&disk).len() > 4,
        "the replaced entries filled several segments"
    );
    assert_eq!(
        log.read(index(40), EntryId::new(index(40), Term::new(1)), 1)
            .unwrap(),
        ReadOutcome::Gone
    );
    drop(log);
    reopen_as(&disk, &model);
}

/// [Raft 5.4.2], figure 8: a leader of term 4 brings its entry of term 2 into the place of an
/// uncommitted one of term 3.
#[test]
fn an_entry_of_an_older_term_may_replace_one_of_a_later_term() {
    let disk = MemDisk::new();
    let mut log = open(&disk).unwrap().log;
    let mut model = Model::default();
    for write in [
        term(4),
        append([entry(1, 1, "a"), entry(2, 3, "b")]),
        append([entry(2, 2, "c")]),
    ] {
        log.perform(std::slice::from_ref(&write)).unwrap();
        model.perform(&write);
    }
    drop(log);
    reopen_as(&disk, &model);
}

#[test]
fn an_entry_larger_than_a_segment_gets_one_of_its_own_size() {
    let disk = MemDisk::new();
    let mut log = open(&disk).unwrap().log;
    let mut model = Model::default();
    let large: Vec<u8> = (0..300_000u32).map(|at| (at % 251) as u8).collect();
    let writes = [
        term(1),
        append([entry(1, 1, large.clone()), entry(2, 1, "small")]),
        append([entry(3, 1, large), entry(4, 1, vec![0; 200_000])]),
    ];
    for write in &writes {
        while log.housekeep(512).unwrap() {}
        log.perform(std::slice::from_ref(write)).unwrap();
        model.perform(write);
    }
    log.close().unwrap();
    let mut log = reopen_as(&disk, &model).log;
    let found = log.read(index(1), model.last(), u64::MAX).unwrap();
    assert_eq!(found, ReadOutcome::Found(Entries::from(model.entries)));
}

/// The mask keeps every written sector apart from one that was never written.
#[test]
fn no_written_sector_is_all_zeros_whatever_the_payload() {
    for length in (0..3000)
        .step_by(61)
        .chain([455, 456, 457, 912, 968, 1023, 1024, 1480])
    {
        let disk = MemDisk::new();
        let mut log = open(&disk).unwrap().log;
        let mut model = Model::default();
        log.perform(&[term(1)]).unwrap();
        model.perform(&term(1));
        let write = append([entry(1, 1, "x"), entry(2, 1, vec![0; length]), noop(3, 1)]);
        let bytes = log.perform(std::slice::from_ref(&write)).unwrap().bytes as usize;
        model.perform(&write);
        let content = disk.content(&segment(1)).unwrap();
        let written = written_sectors(&content).len() * SECTOR;
        assert_eq!(
            written, bytes,
            "a zero payload of {length} bytes left a zero sector"
        );
        drop(log);
        reopen_as(&disk, &model);
    }
}

#[test]
fn one_small_append_is_one_write_of_one_sector_and_one_sync() {
    let disk = MemDisk::new();
    let mut log = open(&disk).unwrap().log;
    log.perform(&[term(1)]).unwrap();
    disk.record(true);
    let done = log.perform(&[append([entry(1, 1, vec![8; 300])])]).unwrap();
    let name = segment(1);
    let expected = [
        DiskOperation::Write {
            name: name.clone(),
            offset: 512,
            bytes: 512,
        },
        DiskOperation::Sync { name },
    ];
    assert_eq!(disk.record(false), expected);
    assert_eq!((done.batches, done.syncs, done.bytes), (1, 1, 512));
}

#[test]
fn a_run_of_appends_is_one_batch_up_to_the_next_hard_state() {
    let disk = MemDisk::new();
    let mut log = open(&disk).unwrap().log;
    log.perform(&[term(1)]).unwrap();
    let writes = [
        append([noop(1, 1)]),
        append([noop(2, 1)]),
        term(2),
        append([noop(3, 2)]),
        append([noop(4, 2)]),
    ];
    disk.record(true);
    let done = log.perform(&writes).unwrap();
    assert_eq!(
        (done.batches, done.syncs),
        (2, 4),
        "two batches and two copies of the hard state"
    );
    let syncs: Vec<String> = disk
        .record(false)
        .into_iter()
        .filter_map(|operation| match operation {
            DiskOperation::Sync { name } => Some(name),
            DiskOperation::Create { .. }
            | DiskOperation::Rename { .. }
            | DiskOperation::Remove { .. }
            | DiskOperation::Write { .. }
            | DiskOperation::SyncDir => None,
        })
        .collect();
    let state = "hard-state".to_owned();
    assert_eq!(
        syncs,
        [segment(1), state.clone(), state, segment(1)],
        "a hard state is a barrier"
    );
}

/// Scenario G07
#[test]
fn bytes_written_stay_in_proportion_to_bytes_appended() {
    let disk = MemDisk::new();
    let mut options = options();
    options.segment_bytes = 1024 * 1024;
    let mut log = Log::open(disk.clone(), owner(), fresh(), options)
        .unwrap()
        .log;
    log.perform(&[term(1)]).unwrap();
    disk.record(true);
    for at in 1..=10_000 {
        log.perform(&[append([entry(at, 1, vec![1; 100])])])
            .unwrap();
    }
    let written: u64 = disk
        .record(false)
        .into_iter()
        .map(|operation| match operation {
            DiskOperation::Write { bytes, .. } => bytes,
            DiskOperation::Create { .. }
            | DiskOperation::Rename { .. }
            | DiskOperation::Remove { .. }
            | DiskOperation::Sync { .. }
            | DiskOperation::SyncDir => 0,
        })
        .sum();
    // A sector for each, and as much again for the zeros that were there before it.
    assert!(
        written < 12_000_000,
        "10 000 appends of 100 bytes wrote {written} bytes"
    );
}

#[test]
fn preparing_with_the_largest_budget_prepares_everything_at_once() {
    let disk = MemDisk::new();
    let mut log = open(&disk).unwrap().log;
    assert!(!log.housekeep(u64::MAX).unwrap(), "nothing is left to do");
    assert!(disk.content(&segment(2)).is_some());
}

#[test]
fn preparing_a_segment_ahead_leaves_the_append_that_needs_it_no_extra_work() {
    let disk = MemDisk::new();
    let mut log = open(&disk).unwrap().log;
    log.perform(&[term(1), append([entry(1, 1, vec![1; 3000])])])
        .unwrap();
    let mut portions = 0;
    while log.housekeep(1024).unwrap() {
        portions += 1;
    }
    assert_eq!(
        portions, 3,
        "4 KiB in portions of 1 KiB; the last call reports no more work"
    );
    assert!(
        !log.housekeep(1024).unwrap(),
        "one prepared segment is enough"
    );
    disk.record(true);
    let done = log
        .perform(&[append([entry(2, 1, vec![2; 3000])])])
        .unwrap();
    assert_eq!(
        done.syncs, 2,
        "the batch, and the witness of the new segment"
    );
    assert_eq!(
        disk.record(false).len(),
        4,
        "a write and a sync for each, no names, no zeros"
    );
}

/// An interrupted save must leave the witness before it.
#[test]
fn slots_of_the_witness_are_written_in_turns() {
    let disk = MemDisk::new();
    let mut log = open(&disk).unwrap().log;
    log.perform(&[term(1)]).unwrap();
    let mut offsets = Vec::new();
    for at in 1..=4 {
        log.perform(&[append([noop(at, 1)])]).unwrap();
        disk.record(true);
        log.idle().unwrap();
        log.idle().unwrap();
        let recorded = disk.record(false);
        let [
            DiskOperation::Write { offset, .. },
            DiskOperation::Sync { .. },
        ] = &recorded[..]
        else {
            panic!("one save, and none where nothing is new: {recorded:?}");
        };
        offsets.push(*offset);
    }
    assert!(
        matches!(offsets[..], [a, b, c, d] if a == c && b == d && a != b),
        "{offsets:?}"
    );
}

#[test]
fn short_writes_are_completed() {
    let disk = MemDisk::new();
    disk.shorten_writes(100);
    let mut log = open(&disk).unwrap().log;
    let mut model = Model::default();
    let many: Vec<_> = (1..=150)
        .map(|at| entry(at, 1, vec![at as u8; 1024]))
        .collect();
    for write in [term(1), append(many)] {
        log.perform(std::slice::from_ref(&write)).unwrap();
        model.perform(&write);
    }
    drop(log);
    reopen_as(&disk, &model);
}

#[test]
fn more_pieces_than_one_vectored_write_takes_are_all_written() {
    let disk = MemDisk::new();
    let mut options = options();
    options.segment_bytes = 8 * 1024 * 1024;
    let mut log = Log::open(disk.clone(), owner(), fresh(), options)
        .unwrap()
        .log;
    let mut model = Model::default();
    let many: Vec<_> = (1..=1500)
        .map(|at| entry(at, 1, vec![at as u8; 1025]))
        .collect();
    for write in [term(1), append(many)] {
        log.perform(std::slice::from_ref(&write)).unwrap();
        model.perform(&write);
    }
    drop(log);
    reopen_as(&disk, &model);
}

#[test]
fn writes_that_contradict_the_log_are_refused_and_poison_it() {
    let id = |at, t| EntryId::new(index(at), Term::new(t));
    let last = id(2, 2);
    let mut other_vote = state(3);
    other_vote.vote = NodeId::new(9);
    let mut no_vote = state(3);
    no_vote.vote = None;
    let cases = [
        (
            append([noop(4, 2)]),
            Misuse::OutOfOrder {
                entry: id(4, 2),
                last,
            },
        ),
        (
            append([noop(3, 1)]),
            Misuse::OutOfOrder {
                entry: id(3, 1),
                last,
            },
        ),
        (
            append([noop(3, 4)]),
            Misuse::BeyondSavedTerm {
                entry: id(3, 4),
                saved: Term::new(3),
            },
        ),
        (
            term(2),
            Misuse::FallingTerm {
                saved: Term::new(3),
                term: Term::new(2),
            },
        ),
        (
            quorate_log::Write::HardState(other_vote),
            Misuse::ChangedVote { term: Term::new(3) },
        ),
        (
            quorate_log::Write::HardState(no_vote),
            Misuse::ChangedVote { term: Term::new(3) },
        ),
    ];
    for (write, misuse) in cases {
        let disk = MemDisk::new();
        let mut log = open(&disk).unwrap().log;
        log.perform(&[term(3), append([noop(1, 1), noop(2, 2)])])
            .unwrap();
        match log.perform(&[write]) {
            Err(StorageError::Misuse(found)) => assert_eq!(found, misuse),
            outcome => panic!("{misuse} expected, not {outcome:?}"),
        }
        assert!(
            matches!(
                log.perform(&[append([noop(3, 3)])]),
                Err(StorageError::Poisoned)
            ),
            "what follows a refused write must not be performed"
        );
        drop(log);
        assert_eq!(
            open(&disk).unwrap().recovered.last,
            index(2),
            "nothing of it was written"
        );
    }
}
