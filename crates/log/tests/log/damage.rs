//! What was acknowledged and does not verify any more is never cut, skipped or guessed: the log
//! refuses to open and says where (scenario G01).

use quorate_core::{EntryId, Term};
use quorate_log::{Damage, DamageKind, FreshIds, Log, MemDisk, OpenError};

use crate::common::*;

/// Opens a damaged copy of the disk.
fn refusal(disk: &MemDisk, context: &str, change: impl FnOnce(&MemDisk)) -> Damage {
    let copy = disk.fork();
    change(&copy);
    let before = copy.operations();
    let damage = match open(&copy) {
        Err(OpenError::Damaged(damage)) => damage,
        Err(error) => panic!("{context}: damage expected, not: {error}"),
        Ok(opened) => panic!("{context}: opened with {:?}", opened.recovered),
    };
    assert_eq!(
        copy.operations() - before,
        1,
        "{context}: something was changed before refusing"
    );
    damage
}

/// Opens a changed copy of the disk: it must hold everything, or be refused.
fn whole_or_refused(disk: &MemDisk, model: &Model, context: &str, change: impl FnOnce(&MemDisk)) {
    let copy = disk.fork();
    change(&copy);
    match open(&copy) {
        Err(OpenError::Damaged(_)) => {}
        Err(error) => panic!("{context}: {error}"),
        Ok(mut opened) => assert_eq!(Model::of(&mut opened), *model, "{context}"),
    }
}

#[test]
fn a_flipped_bit_in_an_acknowledged_sector_is_refused_with_its_place() {
    let (disk, _) = furnished();
    for (name, content) in segments(&disk) {
        for sector in written_sectors(&content) {
            for byte in sector..sector + SECTOR {
                let context = format!("{name} byte {byte}");
                let damage = refusal(&disk, &context, |copy| {
                    copy.corrupt(&name, |bytes| bytes[byte] ^= 1 << (byte % 8));
                });
                assert_eq!(damage.file, name, "{context}: {damage}");
                assert!(damage.offset <= byte as u64, "{context}: {damage}");
                assert!(damage.index.is_some(), "{context}: {damage}");
            }
        }
    }
}

#[test]
fn a_flipped_bit_elsewhere_in_a_segment_loses_nothing() {
    let (disk, model) = furnished();
    for (name, content) in segments(&disk) {
        let written = written_sectors(&content);
        for byte in (0..content.len())
            .step_by(13)
            .filter(|byte| !written.contains(&(byte - byte % SECTOR)))
        {
            whole_or_refused(&disk, &model, &format!("{name} byte {byte}"), |copy| {
                copy.corrupt(&name, |bytes| bytes[byte] ^= 1 << (byte % 8));
            });
        }
    }
}

#[test]
fn the_header_of_every_segment_is_covered() {
    let (disk, _) = furnished();
    for (name, _) in segments(&disk) {
        for byte in 0..SECTOR {
            let damage = refusal(&disk, &format!("{name} byte {byte}"), |copy| {
                copy.corrupt(&name, |bytes| bytes[byte] ^= 1 << (byte % 8));
            });
            assert_eq!(
                (damage.file, damage.kind),
                (name.clone(), DamageKind::Header)
            );
        }
    }
}

#[test]
fn a_lost_sector_is_refused() {
    let (disk, _) = furnished();
    for (name, content) in segments(&disk) {
        for sector in written_sectors(&content) {
            let context = format!("{name} sector at {sector}");
            let damage = refusal(&disk, &context, |copy| {
                copy.corrupt(&name, |bytes| bytes[sector..sector + SECTOR].fill(0));
            });
            assert_eq!(damage.file, name, "{context}: {damage}");
            assert!(damage.index.is_some(), "{context}: {damage}");
        }
    }
}

/// Fault table row 15
#[test]
fn a_missing_segment_is_refused() {
    let (disk, _) = furnished();
    let all = segments(&disk);
    let used = all
        .iter()
        .filter(|(_, content)| !written_sectors(content).is_empty());
    for (name, _) in used.clone() {
        refusal(&disk, &format!("{name} removed"), |copy| copy.lose(name));
    }
    refusal(&disk, "all removed", |copy| {
        all.iter().for_each(|(name, _)| copy.lose(name));
    });
    let last_two: Vec<&String> = used.map(|(name, _)| name).collect();
    for names in last_two.windows(2) {
        refusal(&disk, &format!("{names:?} swapped"), |copy| {
            let (one, two) = (
                copy.content(names[0]).unwrap(),
                copy.content(names[1]).unwrap(),
            );
            copy.corrupt(names[0], |bytes| *bytes = two);
            copy.corrupt(names[1], |bytes| *bytes = one);
        });
    }
}

/// Fault table row 14
#[test]
fn a_truncated_file_is_refused() {
    let (disk, _) = furnished();
    for (name, content) in segments(&disk) {
        for length in (0..content.len()).step_by(256) {
            let context = format!("{name} cut to {length} bytes");
            let damage = refusal(&disk, &context, |copy| {
                copy.corrupt(&name, |bytes| bytes.truncate(length));
            });
            assert_eq!(damage.file, name, "{context}");
        }
        let damage = refusal(&disk, &format!("{name} grown"), |copy| {
            copy.corrupt(&name, |bytes| bytes.push(0));
        });
        assert_eq!(damage.kind, DamageKind::Length);
    }
}

/// Fault table row 11: a sector that verifies where it was meant to be, in a place where it was
/// not.
#[test]
fn a_misdirected_sector_is_refused() {
    let (disk, _) = furnished();
    let all = segments(&disk);
    for (from, source) in &all {
        for (to, target) in &all {
            for here in written_sectors(source) {
                for there in written_sectors(target)
                    .into_iter()
                    .filter(|at| *at != here || from != to)
                {
                    let sector = source[here..here + SECTOR].to_vec();
                    if target[there..there + SECTOR] == sector {
                        continue;
                    }
                    let context = format!("{from} {here} over {to} {there}");
                    let damage = refusal(&disk, &context, |copy| {
                        copy.corrupt(to, |bytes| {
                            bytes[there..there + SECTOR].copy_from_slice(&sector);
                        });
                    });
                    assert_eq!(damage.file, *to, "{context}: {damage}");
                }
            }
        }
    }
}

/// Fault table row 20, one file of it: a segment goes back to what it was.
#[test]
fn a_segment_restored_from_an_older_image_is_refused() {
    let disk = MemDisk::new();
    let mut log = open(&disk).unwrap().log;
    log.perform(&[term(1), append([noop(1, 1)])]).unwrap();
    let old = disk.content(&segment(1)).unwrap();
    log.perform(&[append([noop(2, 1)])]).unwrap();
    log.close().unwrap();
    let damage = refusal(&disk, "old image", |copy| {
        copy.corrupt(&segment(1), |bytes| *bytes = old);
    });
    assert!(
        matches!(damage.kind, DamageKind::Acknowledged { .. }),
        "{damage}"
    );
    assert_eq!(damage.index, Some(index(2)));
}

#[test]
fn a_segment_of_another_log_is_refused() {
    let (disk, _) = furnished();
    let other = MemDisk::new();
    let ids = FreshIds { log: 77, ..fresh() };
    let mut log = Log::open(other.clone(), owner(), ids, options())
        .unwrap()
        .log;
    log.perform(&[term(1), append([noop(1, 1)])]).unwrap();
    let foreign = other.content(&segment(1)).unwrap();
    refusal(&disk, "foreign", |copy| {
        copy.corrupt(&segment(1), |bytes| *bytes = foreign.clone());
    });
    refusal(&disk, "foreign batch", |copy| {
        copy.corrupt(&segment(1), |bytes| {
            bytes[512..1024].copy_from_slice(&foreign[512..1024]);
        });
    });
}

/// Scenario A03
#[test]
fn one_rotten_copy_of_the_hard_state_or_the_witness_is_survived_and_two_are_not() {
    let (disk, model) = furnished();
    for name in ["hard-state", "witness"] {
        for copy_at in [0, 4096] {
            for byte in (copy_at..copy_at + SECTOR).step_by(3) {
                let copy = disk.fork();
                copy.corrupt(name, |bytes| bytes[byte] ^= 1 << (byte % 8));
                drop(reopen_as(&copy, &model));
                reopen_as(&copy, &model);
            }
        }
        let damage = refusal(&disk, name, |copy| {
            copy.corrupt(name, |bytes| {
                bytes[100] ^= 1;
                bytes[4196] ^= 1;
            });
        });
        assert_eq!(
            (damage.file.as_str(), damage.kind),
            (name, DamageKind::NoCopy)
        );
        let damage = refusal(&disk, name, |copy| copy.lose(name));
        assert_eq!(
            (damage.file.as_str(), damage.kind),
            (name, DamageKind::Missing)
        );
    }
}

/// Fault table row 15: what lies behind the gap is not taken for the end of the log.
#[test]
fn a_missing_segment_is_named() {
    let (disk, _) = furnished();
    let names: Vec<String> = segments(&disk).into_iter().map(|it| it.0).collect();
    // The last one is prepared and holds nothing yet.
    let (_, others) = names.split_last().unwrap();
    assert!(others.len() > 2, "there is a middle to lose");
    for name in others {
        let damage = refusal(&disk, name, |copy| copy.lose(name));
        assert_eq!((&damage.file, damage.kind), (name, DamageKind::Missing));
    }
}

/// A copy written over the other one, or swapped with it, is no copy.
#[test]
fn copies_of_the_hard_state_know_their_places() {
    let (disk, _) = furnished();
    let damage = refusal(&disk, "swapped", |copy| {
        copy.corrupt("hard-state", |bytes| {
            let (one, two) = bytes.split_at_mut(4096);
            one[..SECTOR].swap_with_slice(&mut two[..SECTOR]);
        });
    });
    assert_eq!(damage.kind, DamageKind::NoCopy);
}

#[test]
fn a_hard_state_older_than_the_log_is_refused() {
    let disk = MemDisk::new();
    let mut log = open(&disk).unwrap().log;
    log.perform(&[term(1)]).unwrap();
    let old = disk.content("hard-state").unwrap();
    log.perform(&[term(2), append([noop(1, 2)])]).unwrap();
    log.close().unwrap();
    let damage = refusal(&disk, "old hard state", |copy| {
        copy.corrupt("hard-state", |bytes| *bytes = old);
    });
    let last = EntryId::new(index(1), Term::new(2));
    assert_eq!(
        damage.kind,
        DamageKind::TermBehindLog {
            last,
            saved: Term::new(1)
        }
    );
    assert_eq!(damage.file, "hard-state");
}

#[test]
fn every_bit_of_the_identity_counts() {
    let (disk, _) = furnished();
    let length = disk.content("identity").unwrap().len();
    for bit in 0..length * 8 {
        let damage = refusal(&disk, &format!("bit {bit}"), |copy| {
            copy.corrupt("identity", |bytes| bytes[bit / 8] ^= 1 << (bit % 8));
        });
        assert_eq!(damage.file, "identity");
    }
    for length in 0..length {
        refusal(&disk, &format!("{length} bytes"), |copy| {
            copy.corrupt("identity", |bytes| bytes.truncate(length));
        });
    }
}

/// An operator has to be able to find the place.
#[test]
fn damage_is_told_with_file_byte_and_index() {
    let (disk, _) = furnished();
    let damage = refusal(&disk, "rot", |copy| {
        copy.corrupt(&segment(1), |bytes| bytes[600] ^= 1);
    });
    assert_eq!(
        damage.to_string(),
        "segment-0000000001 is damaged at byte 568 (from entry i1 on): the header does not verify"
    );
}
