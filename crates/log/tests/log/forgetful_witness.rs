//! Damage that the log alone gives away: the witness and the hard state are older than the log,
//! or of another history, and cannot help.

use quorate_log::{Damage, DamageKind, Log, MemDisk, OpenError};

use crate::common::*;

const WITNESSES: [&str; 2] = ["hard-state", "witness"];

/// A log with one batch, and the files that witness it.
fn begun() -> (MemDisk, Log<MemDisk>, Vec<Vec<u8>>) {
    let disk = MemDisk::new();
    let mut log = open(&disk).unwrap().log;
    log.perform(&[term(1), append([noop(1, 1)])]).unwrap();
    let old = WITNESSES.map(|name| disk.content(name).unwrap()).to_vec();
    (disk, log, old)
}

fn restore(disk: &MemDisk, old: &[Vec<u8>]) {
    for (name, old) in WITNESSES.iter().zip(old) {
        disk.corrupt(name, |bytes| bytes.clone_from(old));
    }
}

fn damage(disk: &MemDisk) -> Damage {
    match open(disk) {
        Err(OpenError::Damaged(damage)) => damage,
        Err(error) => panic!("damage expected, not: {error}"),
        Ok(opened) => panic!("opened with {:?}", opened.recovered),
    }
}

fn wipe(disk: &MemDisk, number: u32, from: usize, to: usize) {
    disk.corrupt(&segment(number), |bytes| bytes[from..to].fill(0));
}

#[test]
fn two_wiped_segments_are_damage_because_the_second_was_prepared_after_the_first_was_used() {
    let (disk, mut log, old) = begun();
    for at in 2..=3 {
        log.perform(&[append([entry(at, 1, vec![7; 3200])])])
            .unwrap();
    }
    log.close().unwrap();
    restore(&disk, &old);
    wipe(&disk, 2, 512, 4096);
    wipe(&disk, 3, 512, 4096);
    let damage = damage(&disk);
    assert_eq!(damage.kind, DamageKind::Overtaken);
    assert_eq!(damage.index, Some(index(2)));
}

/// No header is readable in either; but only one batch can be under way at a time.
#[test]
fn torn_batches_in_two_segments_are_damage() {
    let (disk, mut log, old) = begun();
    log.perform(&[append([entry(2, 1, vec![7; 2000])])])
        .unwrap();
    log.perform(&[append([entry(3, 1, vec![7; 2000])])])
        .unwrap();
    log.close().unwrap();
    restore(&disk, &old);
    for (number, first, last) in [(1, 1024, 3072), (2, 512, 2560)] {
        wipe(&disk, number, first, first + SECTOR);
        wipe(&disk, number, last, last + SECTOR);
    }
    let damage = damage(&disk);
    assert_eq!(
        (damage.kind, damage.file),
        (DamageKind::Overtaken, segment(1))
    );
}

/// The number is the one expected next, but the frame follows another batch than the last one.
#[test]
fn a_following_segment_of_another_history_is_damage() {
    let (disk, log, _) = begun();
    log.close().unwrap();
    let other = disk.fork();
    let mut log = open(&other).unwrap().log;
    log.perform(&[append([entry(2, 1, vec![7; 2000])])])
        .unwrap();
    log.perform(&[append([entry(3, 1, vec![7; 2000])])])
        .unwrap();
    log.close().unwrap();
    let foreign = other.content(&segment(2)).unwrap();
    // Two starts spend the two numbers that the other history has used.
    for _ in 0..2 {
        let mut log = open(&disk).unwrap().log;
        while log.housekeep(4096).unwrap() {}
    }
    disk.corrupt(&segment(2), |bytes| *bytes = foreign);
    let damage = damage(&disk);
    assert_eq!(damage.kind, DamageKind::Overtaken);
    assert_eq!((damage.file, damage.index), (segment(1), Some(index(2))));
}

#[test]
fn a_witness_of_a_batch_that_the_log_passes_over_is_damage() {
    let (disk, log, _) = begun();
    log.close().unwrap();
    let other = disk.fork();
    let mut log = open(&other).unwrap().log;
    log.perform(&[append([entry(2, 1, "lost")])]).unwrap();
    log.close().unwrap();
    let newer = WITNESSES.map(|name| other.content(name).unwrap());
    // Another start spends the number that the other history has used.
    drop(open(&disk).unwrap());
    let mut log = open(&disk).unwrap().log;
    log.perform(&[append([noop(2, 1)])]).unwrap();
    drop(log);
    restore(&disk, &newer);
    let damage = damage(&disk);
    assert!(
        matches!(damage.kind, DamageKind::Acknowledged { .. }),
        "{damage}"
    );
    assert_eq!((damage.file, damage.index), (segment(1), Some(index(2))));
}
