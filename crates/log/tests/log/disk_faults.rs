//! Disks that do worse than a crash: writes that go astray, sectors that read as something else
//! or not at all, syncs that lie, images that are put back. Either the log holds exactly what was
//! acknowledged, or it refuses and says where; what it cannot tell is told here too.

use quorate_core::EntryId;
use quorate_log::{
    Crash, Damage, DamageKind, DiskCall, Fate, Lasting, Log, LogOptions, MemDisk, OpenError,
    Operation, ReadOutcome, StorageError, TearUnit, Unsynced, Write,
};

use crate::common::*;

/// A log with these writes, acknowledged one by one.
fn holding(writes: &[Write]) -> (MemDisk, Log<MemDisk>, Model) {
    let disk = MemDisk::new();
    let mut log = open(&disk).unwrap().log;
    let mut model = Model::default();
    for write in writes {
        log.perform(std::slice::from_ref(write)).unwrap();
        model.perform(write);
    }
    (disk, log, model)
}

/// Two entries of term 1, in a batch each: at bytes 512 and 1024 of the segment.
fn two_batches() -> [Write; 3] {
    [term(1), append([noop(1, 1)]), append([noop(2, 1)])]
}

fn refusal(disk: &MemDisk, context: &str) -> Damage {
    let before = disk.operations();
    let damage = match open(disk) {
        Err(OpenError::Damaged(damage)) => damage,
        Err(error) => panic!("{context}: damage expected, not: {error}"),
        Ok(opened) => panic!("{context}: opened with {:?}", opened.recovered),
    };
    let changes = disk.operations() - before;
    assert_eq!(changes, 1, "{context}: a refusal changes nothing");
    damage
}

/// Fault table row 1: garbage in a torn sector is outside what is assumed of a disk. It is
/// damage wherever nothing else speaks for a torn write, and never makes an entry up.
#[test]
fn garbage_in_a_torn_sector_is_refused_or_cut_and_never_believed() {
    let batch = append([entry(2, 1, vec![3; 1000]), entry(3, 1, vec![0; 1000])]);
    let mut refused = 0;
    for fates in 0..3u32.pow(5) {
        let (disk, mut log, mut model) = holding(&two_batches()[..2]);
        disk.stop_after(1);
        assert!(log.perform(std::slice::from_ref(&batch)).is_err());
        let mut sectors = Vec::new();
        disk.crash(Crash::Surge(&mut |unsynced| {
            assert!(matches!(unsynced, Unsynced::Sector { .. }));
            let fate = match fates / 3u32.pow(sectors.len() as u32) % 3 {
                0 => Fate::Kept,
                1 => Fate::Lost,
                _ => Fate::Garbage(fates.into()),
            };
            sectors.push(fate);
            fate
        }));
        assert_eq!(sectors.len(), 5);
        let garbage = sectors.iter().any(|fate| matches!(fate, Fate::Garbage(_)));
        let lost = sectors.contains(&Fate::Lost);
        if !garbage && !lost {
            model.perform(&batch);
        }
        match open(&disk) {
            Ok(mut opened) => {
                assert_eq!(Model::of(&mut opened), model, "{sectors:?}");
                assert!(lost || !garbage, "{sectors:?}: cut what is no torn write");
            }
            Err(OpenError::Damaged(damage)) => {
                assert!(garbage, "{sectors:?}: {damage}");
                assert_eq!((damage.file, damage.index), (segment(1), Some(index(2))));
                refused += 1;
            }
            Err(error) => panic!("{sectors:?}: {error}"),
        }
    }
    assert!(refused >= 31, "{refused} of 243");
}

/// Fault table row 1
#[test]
fn a_batch_that_is_torn_by_pages_is_cut() {
    let mut options = LogOptions::default();
    options.segment_bytes = 32 * 1024;
    let open = |disk: &MemDisk| Log::open(disk.clone(), owner(), fresh(), options);
    for lost in 1u32..16 {
        let disk = MemDisk::new();
        disk.tear_by(TearUnit::Page);
        let mut log = open(&disk).unwrap().log;
        let mut model = Model::default();
        for write in &two_batches() {
            log.perform(std::slice::from_ref(write)).unwrap();
            model.perform(write);
        }
        disk.stop_after(1);
        assert!(
            log.perform(&[append([entry(3, 1, vec![3; 14_000])])])
                .is_err()
        );
        let mut unit = 0;
        disk.crash(Crash::Power(&mut |_| {
            unit += 1;
            lost & (1 << (unit - 1)) == 0
        }));
        assert_eq!(unit, 4);
        let found = Model::of(&mut open(&disk).unwrap());
        assert_eq!(found, model, "lost pages {lost:b}");
    }
}

/// Fault table row 11: the batch was acknowledged and is not where it belongs.
#[test]
fn a_batch_that_was_written_elsewhere_is_missed_once_anything_speaks_of_it() {
    let places = [
        ("segment-0000000001", 2048, "the free rest of the segment"),
        ("segment-0000000001", 512, "another batch"),
        ("segment-0000000001", 0, "the header of the segment"),
        ("hard-state", 0, "a copy of the hard state"),
        ("witness", 4096, "a slot of the witness"),
        ("hard-state", 1024, "where nothing stands"),
    ];
    for (name, offset, place) in places {
        for later in [append([noop(3, 1)]), term(2)] {
            let (disk, mut log, _) = holding(&two_batches()[..2]);
            disk.misdirect_write(&segment(1), name, offset);
            log.perform(&two_batches()[2..]).unwrap();
            log.perform(&[later]).unwrap();
            drop(log);
            let damage = refusal(&disk, place);
            assert_eq!(damage.file, segment(1), "{place}: {damage}");
            let first = damage.index.is_none_or(|at| at <= index(2));
            assert!(first, "{place}: {damage}");
        }
    }
}

/// Fault table row 11: until then it looks like a write that never arrived (`FORMAT.md`).
#[test]
fn the_last_batch_that_was_written_elsewhere_cannot_be_told_from_one_that_was_torn() {
    let (disk, mut log, model) = holding(&two_batches()[..2]);
    disk.misdirect_write(&segment(1), "hard-state", 1024);
    log.perform(&two_batches()[2..]).unwrap();
    drop(log);
    reopen_as(&disk, &model);
}

/// Fault table rows 9 and 11: one copy is missed, the other one is as good.
#[test]
fn a_hard_state_of_which_one_copy_was_written_elsewhere_is_not_forgotten() {
    for (name, offset) in [("hard-state", 2048), ("hard-state", 4096), ("witness", 0)] {
        let (disk, mut log, mut model) = holding(&two_batches());
        disk.misdirect_write("hard-state", name, offset);
        log.perform(&[term(2)]).unwrap();
        model.perform(&term(2));
        drop(log);
        drop(reopen_as(&disk, &model));
        reopen_as(&disk, &model);
    }
    let (disk, mut log, _) = holding(&two_batches());
    disk.misdirect_write("hard-state", &segment(1), 512);
    log.perform(&[term(2)]).unwrap();
    drop(log);
    let damage = refusal(&disk, "over a batch");
    assert_eq!((damage.file, damage.index), (segment(1), Some(index(1))));
}

/// Fault table rows 9 and 11: the write that was to reach one copy destroyed the other one. What
/// is left says itself that there was something newer.
#[test]
fn a_hard_state_of_which_one_copy_was_written_over_the_other_is_refused() {
    let (disk, mut log, _) = holding(&two_batches());
    let before = disk.content("hard-state").unwrap();
    log.perform(&[term(2)]).unwrap();
    drop(log);
    let (a, b) = (0..SECTOR, 4096..4096 + SECTOR);
    disk.corrupt("hard-state", |bytes| {
        bytes.copy_within(b.clone(), a.start);
        bytes[b.clone()].copy_from_slice(&before[b.clone()]);
    });
    let damage = refusal(&disk, "over the other copy");
    assert_eq!(damage.file, "hard-state");
    assert_eq!(damage.kind, DamageKind::Displaced);

    let (disk, mut log, mut model) = holding(&two_batches());
    log.perform(&[term(2)]).unwrap();
    model.perform(&term(2));
    drop(log);
    disk.corrupt("hard-state", |bytes| bytes.copy_within(a, b.start));
    reopen_as(&disk, &model);
}

/// Fault table row 12: while a log is opened every sector that was acknowledged and reads as
/// something else is missed, and the refusal spoils nothing for when it passes.
#[test]
fn a_sector_that_reads_as_something_else_is_refused_until_it_passes() {
    let (disk, model) = furnished();
    let all = segments(&disk);
    let (_, first) = &all[0];
    for (name, content) in &all {
        for at in written_sectors(content) {
            let here = content[at..at + SECTOR].to_vec();
            for instead in [vec![0; SECTOR], first[512..1024].to_vec()] {
                if instead == here {
                    continue;
                }
                let copy = disk.fork();
                copy.misread_sector(name, at as u64, &instead, Lasting::UntilWritten);
                let context = format!("{name} {at}");
                let damage = refusal(&copy, &context);
                assert_eq!(damage.file, *name, "{context}: {damage}");
                assert!(damage.index.is_some(), "{context}: {damage}");
                copy.mend_sectors();
                reopen_as(&copy, &model);
            }
        }
    }
}

/// Fault table row 12
#[test]
fn a_sector_that_reads_as_something_else_fails_the_reads_of_its_entries_with_their_place() {
    let (disk, mut log, model) = holding(&two_batches());
    let id = |at: usize| -> EntryId { model.entries[at - 1].id() };
    let one = disk.content(&segment(1)).unwrap()[512..1024].to_vec();
    for instead in [vec![0; SECTOR], one] {
        disk.misread_sector(&segment(1), 1024, &instead, Lasting::Reads(1));
        match log.read(index(2), id(2), 1) {
            Err(StorageError::Damaged(damage)) => {
                assert_eq!((damage.file, damage.index), (segment(1), Some(index(2))));
                assert_eq!((damage.offset, damage.kind), (1024, DamageKind::Header));
            }
            outcome => panic!("served what is not there: {outcome:?}"),
        }
        let found = log.read(index(1), id(2), 1000).unwrap();
        assert_eq!(
            found,
            ReadOutcome::Found(model.entries.iter().cloned().collect())
        );
    }
}

/// Fault table row 7: nothing is concluded from what cannot be read, and a start that fails
/// spoils nothing for the next one.
#[test]
fn an_unreadable_sector_fails_the_start_with_the_name_of_its_file() {
    let (disk, model) = furnished();
    let mut places = vec![("hard-state".to_owned(), 0), ("witness".to_owned(), 4096)];
    places.push(("identity".to_owned(), 0));
    for (name, content) in segments(&disk) {
        let written = written_sectors(&content).into_iter();
        places.extend([0].into_iter().chain(written).map(|at| (name.clone(), at)));
    }
    for (name, at) in places {
        let copy = disk.fork();
        copy.break_sector(&name, at as u64, Lasting::UntilWritten);
        let before = copy.operations();
        match open(&copy) {
            Err(OpenError::Io(failure)) => {
                assert_eq!((failure.file, failure.operation), (name, Operation::Read));
            }
            Err(error) => panic!("{name} {at}: {error}"),
            Ok(opened) => panic!("{name} {at}: opened with {:?}", opened.recovered),
        }
        assert_eq!(copy.operations() - before, 1, "something was changed");
        copy.mend_sectors();
        reopen_as(&copy, &model);
    }
}

/// Fault table row 14: while the log is open it goes on, and the next start finds out.
#[test]
fn a_file_that_is_cut_while_the_log_is_open_is_missed_at_the_next_start() {
    for (name, bytes) in [(segment(1), 1024), (segment(1), 1700), (segment(1), 0)] {
        let (disk, mut log, model) = holding(&two_batches());
        disk.truncate(&name, bytes);
        let read = log.read(index(2), model.last(), 1);
        assert!(matches!(read, Err(StorageError::Damaged(_))), "{read:?}");
        log.perform(&[append([noop(3, 1)])]).unwrap();
        drop(log);
        let damage = refusal(&disk, &format!("{name} {bytes}"));
        assert_eq!(damage.file, name);
    }
    let (disk, model) = furnished();
    for name in ["hard-state", "witness"] {
        for bytes in [4096, 5000, 8191] {
            let copy = disk.fork();
            copy.truncate(name, bytes);
            reopen_as(&copy, &model);
        }
        for bytes in [0, 511] {
            let copy = disk.fork();
            copy.truncate(name, bytes);
            assert_eq!(refusal(&copy, name).kind, DamageKind::NoCopy);
        }
    }
}

/// Fault table row 19: what a lying disk lost is missed as soon as anything speaks of it.
#[test]
fn a_batch_whose_sync_was_a_lie_is_missed_once_the_witness_knows_it() {
    for known in [false, true] {
        let (disk, mut log, model) = holding(&two_batches()[..2]);
        disk.fake_sync(0);
        log.perform(&two_batches()[2..]).unwrap();
        if known {
            log.idle().unwrap();
        }
        disk.crash(Crash::Power(&mut |_| true));
        if known {
            let damage = refusal(&disk, "lost");
            assert!(
                matches!(damage.kind, DamageKind::Acknowledged { .. }),
                "{damage}"
            );
            assert_eq!(damage.index, Some(index(2)));
        } else {
            // Nothing on this disk speaks of it: only the other nodes can.
            reopen_as(&disk, &model);
        }
    }
}

/// Fault table row 20: a whole older image is sound. Nothing in it tells that it is old; that is
/// for the other nodes to notice.
#[test]
fn a_whole_older_image_opens_as_what_it_was() {
    let (disk, mut log, model) = holding(&two_batches());
    let older = disk.fork();
    log.perform(&[term(5), append([noop(3, 5)])]).unwrap();
    log.close().unwrap();
    disk.restore_from(&older);
    let mut log = reopen_as(&disk, &model).log;
    log.perform(&[append([noop(3, 1)])]).unwrap();
}

/// Fault table row 6: a sync that finds no room is a failed sync like any other.
#[test]
fn a_write_or_a_sync_without_room_poisons_the_log_and_room_later_does_not_heal_it() {
    for call in [DiskCall::Write, DiskCall::Sync] {
        for job in [append([noop(3, 1)]), term(2)] {
            let (disk, mut log, model) = holding(&two_batches());
            disk.fail_call(call, 0, std::io::ErrorKind::StorageFull);
            assert!(log.perform(std::slice::from_ref(&job)).is_err());
            let again = log.perform(&[job]);
            assert!(matches!(again, Err(StorageError::Poisoned)), "{again:?}");
            drop(log);
            disk.crash(Crash::Power(&mut |_| false));
            reopen_as(&disk, &model);
        }
    }
}
