//! The disk fails while the log is open: what poisons it, what does not, and what a restart may
//! count on afterwards.

use std::io::ErrorKind;

use quorate_log::{
    AfterFailedSync, BirthStage, Crash, DamageKind, DiskCall, Lasting, MemDisk, OpenError,
    ReadOutcome, StorageError,
};

use crate::common::*;

/// A log with one acknowledged entry of term 1.
fn started() -> (MemDisk, quorate_log::Log<MemDisk>, Model) {
    let disk = MemDisk::new();
    let mut log = open(&disk).unwrap().log;
    let mut model = Model::default();
    for write in [term(1), append([noop(1, 1)])] {
        log.perform(std::slice::from_ref(&write)).unwrap();
        model.perform(&write);
    }
    (disk, log, model)
}

/// Scenario G03
#[test]
fn a_failed_sync_poisons_the_log_for_good() {
    for job in [append([noop(2, 1)]), term(2)] {
        for after in [AfterFailedSync::NewContent, AfterFailedSync::OldContent] {
            let (disk, mut log, _) = started();
            disk.fail_sync(0, after);
            assert!(matches!(
                log.perform(std::slice::from_ref(&job)),
                Err(StorageError::Io(_))
            ));
            let calls = [
                log.perform(std::slice::from_ref(&job)).map(drop),
                log.perform(&[]).map(drop),
                log.set_stage(BirthStage::New),
                log.idle(),
                log.housekeep(1).map(drop),
                log.close(),
            ];
            for outcome in calls {
                assert!(
                    matches!(outcome, Err(StorageError::Poisoned)),
                    "a sync that is tried again proves nothing"
                );
            }
        }
    }
}

/// Scenario A03: the copy that the log was opened with is the last to be written again, so that
/// one stays whatever becomes of the write.
#[test]
fn a_start_writes_the_older_copy_of_the_hard_state_first() {
    let (disk, mut log, _) = started();
    // The witness in the hard state is older now than the one that a start writes.
    log.perform(&[append([noop(2, 1)])]).unwrap();
    drop(log);
    let before = disk.content("hard-state").unwrap();
    let (a, b) = (0..SECTOR, 4096..4096 + SECTOR);
    let mut half_written = 0;
    // A start that met no failure has made fewer calls.
    for skip in 0..200 {
        let copy = disk.fork();
        copy.fail_any_call(skip, ErrorKind::Other);
        let _ = open(&copy);
        let after = copy.content("hard-state").unwrap();
        let is_written =
            |slot: &std::ops::Range<usize>| after[slot.clone()] != before[slot.clone()];
        // Both are of one generation: the first one counts as the newest.
        assert!(
            is_written(&b) || !is_written(&a),
            "call {skip}: the copy in use was written over before the other"
        );
        half_written += usize::from(is_written(&b) && !is_written(&a));
    }
    assert!(half_written > 0, "no failure fell between the two");
}

/// What an interrupted start has witnessed counts, though only one copy says so.
#[test]
fn the_witness_in_either_copy_of_the_hard_state_counts() {
    let (disk, mut log, _) = started();
    log.perform(&[append([noop(2, 1)])]).unwrap();
    drop(log);
    let before = disk.content("hard-state").unwrap();
    let last = *written_sectors(&disk.content(&segment(1)).unwrap())
        .last()
        .unwrap();
    let mut half_written = 0;
    // A start that was not stopped has needed fewer operations.
    for count in 0..40 {
        let copy = disk.fork();
        copy.stop_after(count);
        let _ = open(&copy);
        copy.crash(Crash::Power(&mut |_| false));
        let after = copy.content("hard-state").unwrap();
        let is_written = |slot: usize| after[slot..slot + SECTOR] != before[slot..slot + SECTOR];
        if is_written(0) || !is_written(4096) {
            continue;
        }
        half_written += 1;
        copy.corrupt(&segment(1), |bytes| bytes[last..last + SECTOR].fill(0));
        let Err(OpenError::Damaged(damage)) = open(&copy) else {
            panic!("operation {count}: an acknowledged entry was cut off")
        };
        assert!(
            matches!(damage.kind, DamageKind::Acknowledged { .. }),
            "operation {count}: {damage}"
        );
    }
    assert!(half_written > 0, "no stop fell between the two copies");
}

/// Scenario G03
#[test]
fn a_failed_sync_while_preparing_a_segment_poisons_the_log_too() {
    let (disk, mut log, model) = started();
    disk.fail_sync(0, AfterFailedSync::OldContent);
    assert!(matches!(log.housekeep(4096), Err(StorageError::Io(_))));
    assert!(matches!(log.perform(&[]), Err(StorageError::Poisoned)));
    drop(log);
    reopen_as(&disk, &model);
}

/// Scenario G03: the failed sync left the new content in memory and clean.
/// What a restart reads it must not count before it has written it again.
#[test]
fn what_is_recovered_after_a_failed_sync_survives_a_loss_of_power() {
    for job in [append([entry(2, 1, vec![4; 900])]), term(2)] {
        for after in [AfterFailedSync::NewContent, AfterFailedSync::OldContent] {
            let (disk, mut log, model) = started();
            disk.fail_sync(0, after);
            assert!(log.perform(std::slice::from_ref(&job)).is_err());
            drop(log);
            disk.crash(Crash::Process);
            let found = Model::of(&mut open(&disk).unwrap());
            assert!(
                model
                    .states_within(std::slice::from_ref(&job))
                    .contains(&found)
            );
            disk.crash(Crash::Power(&mut |_| false));
            reopen_as(&disk, &found);
        }
    }
}

/// Scenario B15: a process dies between write and sync. The next one sees the entry, and counts
/// it; then the power fails.
#[test]
fn what_a_crashed_process_left_unsynced_is_durable_once_it_was_recovered() {
    for job in [append([entry(2, 1, vec![4; 900])]), term(2)] {
        let (disk, mut log, mut model) = started();
        disk.stop_after(1);
        assert!(
            log.perform(std::slice::from_ref(&job)).is_err(),
            "the write happened, the sync did not"
        );
        disk.crash(Crash::Process);
        model.perform(&job);
        drop(reopen_as(&disk, &model));
        disk.crash(Crash::Power(&mut |_| false));
        reopen_as(&disk, &model);
    }
}

/// Fault table row 6
#[test]
fn a_failed_write_poisons_the_log_and_leaves_what_was_acknowledged() {
    for kind in [ErrorKind::StorageFull, ErrorKind::Other] {
        let (disk, mut log, model) = started();
        disk.fail_call(DiskCall::Write, 0, kind);
        assert!(log.perform(&[append([entry(2, 1, vec![4; 900])])]).is_err());
        assert!(matches!(log.perform(&[]), Err(StorageError::Poisoned)));
        drop(log);
        let mut log = reopen_as(&disk, &model).log;
        log.perform(&[append([noop(2, 1)])]).unwrap();
    }
}

/// Scenario G08
#[test]
fn a_full_disk_stops_preparing_and_nothing_else_until_the_segment_is_full() {
    let (disk, mut log, mut model) = started();
    disk.limit(0);
    assert!(
        matches!(log.housekeep(4096), Err(StorageError::Full(_))),
        "no room for a segment"
    );
    let write = append([entry(2, 1, "still fits")]);
    log.perform(std::slice::from_ref(&write)).unwrap();
    model.perform(&write);
    disk.limit(u64::MAX);
    while log.housekeep(512).unwrap() {}
    let write = append([entry(3, 1, vec![1; 3900])]);
    log.perform(std::slice::from_ref(&write)).unwrap();
    model.perform(&write);
    drop(log);
    reopen_as(&disk, &model);
}

/// Scenario G08: wherever the room ends while a segment is prepared, trying again goes on.
#[test]
fn preparing_goes_on_after_no_room_for_any_of_its_calls() {
    let calls = [
        (DiskCall::Create, 0),
        // Of the zeros, and of the header.
        (DiskCall::Write, 0),
        (DiskCall::Write, 1),
        (DiskCall::Sync, 0),
        (DiskCall::Sync, 1),
        (DiskCall::Rename, 0),
        (DiskCall::SyncDir, 0),
    ];
    for (call, skip) in calls {
        let (disk, mut log, mut model) = started();
        disk.fail_call(call, skip, ErrorKind::StorageFull);
        let mut failures = 0;
        loop {
            match log.housekeep(4096) {
                Ok(true) => {}
                Ok(false) => break,
                Err(StorageError::Full(_)) => failures += 1,
                Err(error) => panic!("{call:?} after {skip}: {error}"),
            }
        }
        assert_eq!(failures, 1, "{call:?} after {skip}");
        let write = append([entry(2, 1, vec![1; 3900])]);
        log.perform(std::slice::from_ref(&write)).unwrap();
        model.perform(&write);
        drop(log);
        disk.crash(Crash::Power(&mut |_| false));
        reopen_as(&disk, &model);
    }
}

/// Fault table row 7
#[test]
fn an_unreadable_sector_fails_the_read_and_nothing_else() {
    let (disk, model) = furnished();
    let mut log = reopen_as(&disk, &model).log;
    disk.break_sector(&segment(1), 512, Lasting::UntilWritten);
    let read = log.read(index(1), model.entries[0].id(), 1);
    assert!(matches!(read, Err(StorageError::Io(_))), "{read:?}");
    assert!(
        log.read(index(9), model.entries[8].id(), 1).is_ok(),
        "other entries are readable"
    );
    log.perform(&[append([noop(11, 3)])]).unwrap();
    disk.mend_sectors();
    assert!(
        log.read(index(1), model.entries[0].id(), 1).is_ok(),
        "a passing failure passes"
    );
}

/// Fault table row 7: what is read ahead is not what was asked for.
#[test]
fn an_unreadable_sector_leaves_the_entries_before_it_in_its_segment_readable() {
    let disk = MemDisk::new();
    let mut log = open(&disk).unwrap().log;
    let entries: Vec<_> = (1..=3).map(|at| entry(at, 1, vec![7; 600])).collect();
    log.perform(&[term(1), append(entries.clone())]).unwrap();
    // A sector of the third alone.
    disk.break_sector(&segment(1), 2048, Lasting::UntilWritten);
    for entry in &entries[..2] {
        let read = log.read(entry.index, entry.id(), u64::MAX).unwrap();
        assert_eq!(
            read,
            ReadOutcome::Found([entry.clone()].into_iter().collect())
        );
    }
    let read = log.read(index(1), entries[2].id(), u64::MAX);
    assert!(matches!(read, Err(StorageError::Io(_))), "{read:?}");
}

#[test]
fn a_rotten_entry_fails_the_read_with_its_place_and_does_not_stop_writes() {
    let (disk, model) = furnished();
    let mut log = reopen_as(&disk, &model).log;
    let name = segment(1);
    disk.corrupt(&name, |bytes| bytes[1024 + 56 + 8 + 70] ^= 4);
    match log.read(index(3), model.entries[2].id(), 1) {
        Err(StorageError::Damaged(damage)) => {
            assert_eq!((damage.file, damage.index), (name, Some(index(3))));
            assert_eq!(damage.kind, DamageKind::Content);
            assert_eq!(
                damage.offset,
                1024 + 56 + 8,
                "the frame after that of entry 2"
            );
        }
        outcome => panic!("rot was served: {outcome:?}"),
    }
    log.perform(&[append([noop(11, 3)])]).unwrap();
    assert!(log.read(index(2), model.entries[1].id(), 1).is_ok());
}
