//! Whose directory it is: birth, lock, owner, and what a real file system does.

use quorate_core::NodeId;
use quorate_log::{
    BirthStage, ClusterId, Crash, DamageKind, DirectoryId, Disk, FreshIds, FsDisk, Log, LogOptions,
    MemDisk, OpenError, Owner, ReadOutcome,
};

use crate::common::*;

#[test]
fn an_empty_directory_becomes_a_new_one_with_the_given_ids() {
    let disk = MemDisk::new();
    let identity = open(&disk).unwrap().identity;
    assert_eq!(identity.directory, fresh().directory);
    assert_eq!(
        (identity.cluster, identity.node),
        (owner().cluster, owner().node)
    );
    assert_eq!(identity.stage, BirthStage::New);
    let other = FreshIds {
        directory: DirectoryId(9),
        log: 9,
    };
    let again = Log::open(disk, owner(), other, options()).unwrap().identity;
    assert_eq!(
        again, identity,
        "ids are drawn once in the life of a directory"
    );
}

#[test]
fn birth_stages_come_back_after_a_loss_of_power() {
    let founding = (1..=3)
        .map(|node| (NodeId::new(node).unwrap(), DirectoryId(node.into())))
        .collect();
    let disk = MemDisk::new();
    for stage in [BirthStage::Prepared(founding), BirthStage::Born([].into())] {
        let mut log = open(&disk).unwrap().log;
        log.set_stage(stage.clone()).unwrap();
        disk.crash(Crash::Power(&mut |_| false));
        assert_eq!(
            open(&disk).unwrap().identity.stage,
            stage,
            "a promise to found was forgotten"
        );
    }
}

/// Scenario G09
#[test]
fn a_second_process_is_refused_while_the_first_holds_the_lock() {
    let disk = MemDisk::new();
    let first = open(&disk).unwrap();
    assert!(matches!(open(&disk), Err(OpenError::InUse)));
    drop(first);
    assert!(open(&disk).is_ok(), "the lock ends with the log");
}

/// Scenario G10
#[test]
fn a_directory_of_another_node_or_cluster_is_refused() {
    let (disk, model) = furnished();
    let others = [
        Owner {
            node: NodeId::new(2).unwrap(),
            ..owner()
        },
        Owner {
            cluster: ClusterId(0xC2),
            ..owner()
        },
    ];
    for other in others {
        match Log::open(disk.clone(), other, fresh(), options()) {
            Err(OpenError::WrongOwner { expected, found }) => {
                assert_eq!((expected, found), (other, owner()));
            }
            Err(error) => panic!("{error}"),
            Ok(_) => panic!("{other:?} was let in"),
        }
    }
    reopen_as(&disk, &model);
}

/// Whoever the first start took itself for, nobody has used what it left behind.
#[test]
fn a_directory_whose_first_start_was_cut_short_belongs_to_the_next() {
    let wrong = Owner {
        cluster: ClusterId(0xC2),
        node: NodeId::new(2).unwrap(),
    };
    let mut with_identity = 0;
    for operations in 0.. {
        let disk = MemDisk::new();
        disk.stop_after(operations);
        if Log::open(disk.clone(), wrong, fresh(), options()).is_ok() {
            break;
        }
        disk.crash(Crash::Process);
        let names = disk.names();
        if names.contains(&segment(1)) {
            // The last file was there, and then perhaps the word that it was.
            continue;
        }
        with_identity += usize::from(names.iter().any(|name| name == "identity"));
        let opened = open(&disk);
        let identity = opened.map(|opened| opened.identity.cluster);
        assert_eq!(
            identity.ok(),
            Some(owner().cluster),
            "{operations}: {names:?}"
        );
    }
    assert!(with_identity > 0, "no start was cut short half-way");
}

#[test]
fn a_directory_that_lost_its_identity_is_damaged_and_not_new() {
    let (disk, _) = furnished();
    disk.lose("identity");
    match open(&disk) {
        Err(OpenError::Damaged(damage)) => {
            assert_eq!(
                (damage.file.as_str(), damage.kind),
                ("identity", DamageKind::Missing)
            );
        }
        outcome => panic!(
            "a node without memory would vote again: {:?}",
            outcome.err()
        ),
    }
}

#[test]
fn a_directory_with_files_of_somebody_else_is_refused() {
    let disk = MemDisk::new();
    disk.create("holiday.jpg").unwrap();
    match open(&disk) {
        Err(OpenError::NotEmpty { file }) => assert_eq!(file, "holiday.jpg"),
        outcome => panic!("made a log among foreign files: {:?}", outcome.err()),
    }
}

#[test]
fn segment_sizes_outside_the_limits_are_refused_and_may_change_between_starts() {
    let (disk, model) = furnished();
    for bytes in [0, 4095, 4096 + 8, 1 << 31] {
        let mut options = LogOptions::default();
        options.segment_bytes = bytes;
        let outcome = Log::open(disk.clone(), owner(), fresh(), options);
        assert!(
            matches!(outcome, Err(OpenError::InvalidOptions { .. })),
            "{bytes} bytes"
        );
    }
    let mut larger = LogOptions::default();
    larger.segment_bytes = 8192;
    let mut log = Log::open(disk.clone(), owner(), fresh(), larger)
        .unwrap()
        .log;
    log.perform(&[append([entry(11, 3, vec![1; 4000])])])
        .unwrap();
    assert_eq!(segments(&disk).last().unwrap().1.len(), 8192);
    assert_eq!(model.last().index, index(10));
}

#[test]
fn a_real_directory_holds_a_log_as_the_one_in_memory_does() {
    let root = tempfile::tempdir().unwrap();
    let path = root.path().join("some").join("where");
    let open = || {
        let disk = FsDisk::new(path.clone()).unwrap();
        let mut options = LogOptions::default();
        options.segment_bytes = 64 * 1024;
        Log::open(disk, owner(), fresh(), options)
    };
    let mut log = open().unwrap().log;
    assert!(
        matches!(open(), Err(OpenError::InUse)),
        "the lock holds between two handles"
    );
    let large: Vec<u8> = (0..200_000u32).map(|at| (at % 241) as u8).collect();
    let entries: Vec<_> = (1..=200)
        .map(|at| {
            entry(
                at,
                1,
                if at % 50 == 0 {
                    large.clone()
                } else {
                    vec![at as u8; 700]
                },
            )
        })
        .collect();
    for chunk in entries.chunks(7) {
        log.perform(&[term(1), append(chunk)]).unwrap();
        while log.housekeep(16 * 1024).unwrap() {}
    }
    log.set_stage(BirthStage::Born([].into())).unwrap();
    log.close().unwrap();
    let mut opened = open().unwrap();
    assert_eq!(opened.recovered.last, index(200));
    assert_eq!(opened.identity.stage, BirthStage::Born([].into()));
    let last = entries[199].id();
    let mut from = index(1);
    let mut read = Vec::new();
    while from <= last.index {
        let ReadOutcome::Found(some) = opened.log.read(from, last, 30_000).unwrap() else {
            panic!("{from} is gone");
        };
        read.extend(some.iter().cloned());
        from = some.last().unwrap().index.next();
    }
    assert_eq!(read, entries);
}
