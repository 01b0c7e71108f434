//! The end of the log: torn is cut, damaged never (scenario G01, the case table in `FORMAT.md`).

use quorate_log::{Crash, DamageKind, Log, MemDisk, OpenError, Unsynced, Write};

use crate::common::*;

/// A log with an acknowledged entry that the witness does not know, and then this write, begun
/// and not synced.
fn interrupted(write: &Write) -> (MemDisk, Model) {
    let disk = MemDisk::new();
    let mut log = open(&disk).unwrap().log;
    let mut model = Model::default();
    for write in [term(1), append([entry(1, 1, vec![1; 200])])] {
        log.perform(std::slice::from_ref(&write)).unwrap();
        model.perform(&write);
    }
    disk.stop_after(1);
    assert!(
        log.perform(std::slice::from_ref(write)).is_err(),
        "it is never acknowledged"
    );
    (disk, model)
}

fn lose(disk: &MemDisk, lost: impl Fn(usize) -> bool) {
    let mut unit = 0;
    disk.crash(Crash::Power(&mut |unsynced| {
        assert!(
            matches!(unsynced, Unsynced::Sector { .. }),
            "a batch changes content only"
        );
        unit += 1;
        !lost(unit - 1)
    }));
}

fn damage(outcome: Result<quorate_log::Opened<MemDisk>, OpenError>) -> quorate_log::Damage {
    match outcome {
        Err(OpenError::Damaged(damage)) => damage,
        Err(error) => panic!("damage expected, not: {error}"),
        Ok(opened) => panic!("cut what was acknowledged: {:?}", opened.recovered),
    }
}

/// Five sectors: headers and small payloads in the first and last, one payload across, one of
/// zeros.
fn five_sectors() -> Write {
    append([
        entry(2, 1, "two"),
        entry(3, 1, vec![3; 1000]),
        entry(4, 1, vec![0; 1000]),
    ])
}

/// Fault table rows 1 to 3
#[test]
fn a_batch_is_cut_whichever_of_its_sectors_were_lost() {
    for lost in 1u32..32 {
        let (disk, model) = interrupted(&five_sectors());
        assert_eq!(disk.unsynced(), 5);
        lose(&disk, |unit| lost & (1 << unit) != 0);
        let mut log = reopen_as(&disk, &model).log;
        let content = disk.content(&segment(1)).unwrap();
        assert_eq!(
            written_sectors(&content).len(),
            1,
            "the residue of the torn batch is erased"
        );
        log.perform(&[append([entry(2, 1, "other")])]).unwrap();
        drop(log);
        assert_eq!(
            open(&disk).unwrap().recovered.last,
            index(2),
            "lost sectors {lost:b}"
        );
    }
}

#[test]
fn an_unacknowledged_batch_that_arrived_whole_is_kept() {
    let write = five_sectors();
    let (disk, mut model) = interrupted(&write);
    lose(&disk, |_| false);
    model.perform(&write);
    reopen_as(&disk, &model);
}

/// A sector in neither its old nor its new state is outside what a crash can do: with payloads
/// of zeros too, thanks to the mask.
#[test]
fn a_flipped_bit_in_the_last_batch_is_damage_even_above_the_witness() {
    for byte in 512..512 + 6 * 512 {
        let (disk, _) = interrupted(&five_sectors());
        lose(&disk, |_| false);
        disk.corrupt(&segment(1), |bytes| bytes[byte] ^= 1 << (byte % 8));
        let damage = damage(open(&disk));
        assert_eq!(damage.file, segment(1));
        let from = usize::try_from(damage.offset).unwrap();
        assert!(from <= byte, "byte {byte} rotted, {damage}");
        assert!(damage.index.is_some(), "{damage}");
    }
}

/// What the witness does not know yet cannot be told from a torn batch; from then on it can.
#[test]
fn a_lost_sector_of_the_last_batch_is_damage_once_the_witness_knows_it() {
    for known in [false, true] {
        let disk = MemDisk::new();
        let mut log = open(&disk).unwrap().log;
        let mut model = Model::default();
        for write in [term(1), append([noop(1, 1)])] {
            log.perform(std::slice::from_ref(&write)).unwrap();
            model.perform(&write);
        }
        log.perform(&[five_sectors()]).unwrap();
        if known {
            log.idle().unwrap();
        }
        drop(log);
        disk.corrupt(&segment(1), |bytes| bytes[1536..2048].fill(0));
        if known {
            let damage = damage(open(&disk));
            assert!(
                matches!(damage.kind, DamageKind::Acknowledged { .. }),
                "{damage}"
            );
            assert_eq!((damage.file, damage.index), (segment(1), Some(index(2))));
        } else {
            reopen_as(&disk, &model);
        }
    }
}

/// A later batch was begun only after the earlier one was durable.
#[test]
fn a_lost_sector_below_a_later_batch_is_damage_even_if_that_one_is_torn() {
    for lost in [512, 1024] {
        for torn in [None, Some(1536), Some(2048)] {
            let disk = MemDisk::new();
            let mut log = open(&disk).unwrap().log;
            log.perform(&[term(1), append([entry(1, 1, vec![1; 800])])])
                .unwrap();
            log.perform(&[append([
                entry(2, 1, vec![2; 200]),
                entry(3, 1, vec![3; 300]),
            ])])
            .unwrap();
            drop(log);
            disk.corrupt(&segment(1), |bytes| {
                for at in [Some(lost), torn].into_iter().flatten() {
                    bytes[at..at + SECTOR].fill(0);
                }
            });
            let damage = damage(open(&disk));
            assert_eq!(
                damage.kind,
                DamageKind::Overtaken,
                "lost {lost}, torn {torn:?}"
            );
            assert_eq!((damage.file, damage.index), (segment(1), Some(index(1))));
        }
    }
}

#[test]
fn a_torn_batch_at_the_start_of_a_segment_is_cut() {
    for lost in 1u32..8 {
        let disk = MemDisk::new();
        let mut log = open(&disk).unwrap().log;
        let mut model = Model::default();
        for write in [term(1), append([entry(1, 1, vec![1; 3000])])] {
            log.perform(std::slice::from_ref(&write)).unwrap();
            model.perform(&write);
        }
        while log.housekeep(4096).unwrap() {}
        disk.stop_after(1);
        assert!(
            log.perform(&[append([entry(2, 1, vec![2; 1200])])])
                .is_err()
        );
        assert_eq!(disk.unsynced(), 3);
        lose(&disk, |unit| lost & (1 << unit) != 0);
        let mut log = reopen_as(&disk, &model).log;
        log.perform(&[append([entry(2, 1, vec![9; 1000])])])
            .unwrap();
        drop(log);
        assert_eq!(open(&disk).unwrap().recovered.last, index(2));
    }
}

/// What stood there before has a lower batch number: no sector of it speaks against "torn".
#[test]
fn batch_numbers_are_never_used_twice() {
    let disk = MemDisk::new();
    let mut log = open(&disk).unwrap().log;
    log.perform(&[term(1), append([noop(1, 1)])]).unwrap();
    let mut numbers = Vec::new();
    for _ in 0..4 {
        // The write reaches the disk, or not, and is cut: its number is spent either way.
        disk.stop_after(1);
        assert!(log.perform(&[append([entry(2, 1, vec![1; 900])])]).is_err());
        let content = disk.content(&segment(1)).unwrap();
        numbers.push(u64::from_le_bytes(
            content[1024 + 16..1024 + 24].try_into().unwrap(),
        ));
        let kept = numbers.len() % 2;
        lose(&disk, |unit| unit != kept);
        log = open(&disk).unwrap().log;
    }
    assert!(numbers.is_sorted_by(|one, next| one < next), "{numbers:?}");
}

/// Every open erases what lies beyond the end, though it may read as zeros: a failed sync can
/// hide what the disk holds.
#[test]
fn residue_that_comes_back_after_a_failed_sync_is_gone_for_good() {
    let (disk, model) = interrupted(&five_sectors());
    disk.crash(Crash::Process);
    let whole = disk.content(&segment(1)).unwrap();
    lose(&disk, |_| true);
    let hidden = disk.fork();
    let mut log = reopen_as(&disk, &model).log;
    drop(log);
    assert_eq!(
        written_sectors(&disk.content(&segment(1)).unwrap()).len(),
        1
    );
    // The same, with the residue on the disk after all when the next process opens it.
    hidden.corrupt(&segment(1), |bytes| {
        bytes[1536..2048].copy_from_slice(&whole[1536..2048]);
    });
    log = reopen_as(&hidden, &model).log;
    drop(log);
    assert_eq!(
        written_sectors(&hidden.content(&segment(1)).unwrap()).len(),
        1
    );
}

#[test]
fn a_new_log_recovers_from_its_first_batch_torn() {
    let disk = MemDisk::new();
    let mut log: Log<MemDisk> = open(&disk).unwrap().log;
    log.perform(&[term(1)]).unwrap();
    disk.stop_after(1);
    assert!(log.perform(&[append([entry(1, 1, vec![1; 600])])]).is_err());
    lose(&disk, |unit| unit == 0);
    let opened = open(&disk).unwrap();
    assert_eq!(opened.recovered.last, index(0));
    assert_eq!(opened.recovered.hard_state, state(1));
}
