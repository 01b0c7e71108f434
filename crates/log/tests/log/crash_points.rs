//! Scenario G11: the world stops after every single disk operation, and of what was not synced
//! then any part survives. What was acknowledged must be there, whole, and nothing else may be.

use std::io::ErrorKind;

use fastrand::Rng;
use quorate_core::NodeId;
use quorate_log::{BirthStage, Crash, DirectoryId, Log, MemDisk, StorageError, Write};

use crate::common::*;

/// One call of a host.
enum Call {
    Perform(Vec<Write>),
    Housekeep,
    Idle,
    Stage(BirthStage),
}

/// What a process was told, and what it had asked for when it ended.
struct Told {
    acknowledged: Model,
    under_way: Vec<Write>,
    stage: BirthStage,
    stage_under_way: Option<BirthStage>,
}

impl Told {
    fn nothing() -> Self {
        let (acknowledged, under_way) = (Model::default(), Vec::new());
        Self {
            acknowledged,
            under_way,
            stage: BirthStage::New,
            stage_under_way: None,
        }
    }

    /// Makes the calls until one fails for good.
    fn run(disk: &MemDisk, calls: &[Call]) -> Self {
        let mut told = Self::nothing();
        if let Ok(opened) = open(disk) {
            let mut log = opened.log;
            for call in calls {
                match told.make(&mut log, call) {
                    Ok(()) | Err(StorageError::Full(_)) => {}
                    Err(_) => break,
                }
            }
        }
        told
    }

    fn make(&mut self, log: &mut Log<MemDisk>, call: &Call) -> Result<(), StorageError> {
        match call {
            Call::Perform(writes) => {
                self.under_way.clone_from(writes);
                log.perform(writes)?;
                self.under_way.clear();
                writes
                    .iter()
                    .for_each(|write| self.acknowledged.perform(write));
            }
            Call::Housekeep => drop(log.housekeep(2048)?),
            Call::Idle => log.idle()?,
            Call::Stage(stage) => {
                self.stage_under_way = Some(stage.clone());
                log.set_stage(stage.clone())?;
                self.stage_under_way = None;
                self.stage = stage.clone();
            }
        }
        Ok(())
    }

    /// Opens what a crash left, compares it with what was told, and uses it.
    fn check(&self, disk: &MemDisk, context: &str) {
        let mut opened = open(disk).unwrap_or_else(|error| panic!("{context}: {error}"));
        let found = Model::of(&mut opened);
        let possible = self.acknowledged.states_within(&self.under_way);
        assert!(
            possible.contains(&found),
            "{context}: found {found:?}, acknowledged {:?}, under way {:?}",
            self.acknowledged,
            self.under_way
        );
        let stage = &opened.identity.stage;
        assert!(
            *stage == self.stage || Some(stage) == self.stage_under_way.as_ref(),
            "{context}: stage {stage:?}"
        );
        go_on(disk, opened.log, found, context);
    }
}

/// Appends after a recovery: nothing of what was cut may come back.
fn go_on(disk: &MemDisk, mut log: Log<MemDisk>, mut model: Model, context: &str) {
    let at = model.entries.len() as u64 + 1;
    let writes = [term(9), append([entry(at, 9, "after the crash")])];
    log.perform(&writes)
        .unwrap_or_else(|error| panic!("{context}: {error}"));
    writes.iter().for_each(|write| model.perform(write));
    disk.crash(Crash::Power(&mut |_| false));
    let mut opened = open(disk).unwrap_or_else(|error| panic!("{context}, again: {error}"));
    assert_eq!(
        Model::of(&mut opened),
        model,
        "{context}: acknowledged after the crash"
    );
}

fn calls() -> Vec<Call> {
    let founding = [(NodeId::new(1).unwrap(), DirectoryId(1))].into();
    vec![
        Call::Perform(vec![term(1), append([noop(1, 1)])]),
        Call::Stage(BirthStage::Born(founding)),
        Call::Housekeep,
        Call::Perform(vec![append([
            entry(2, 1, vec![2; 1500]),
            entry(3, 1, vec![0; 900]),
        ])]),
        Call::Idle,
        Call::Housekeep,
        Call::Perform(vec![
            append([entry(4, 1, "four")]),
            term(2),
            append([noop(3, 2)]),
        ]),
        Call::Perform(vec![append([
            entry(4, 2, vec![4; 1200]),
            entry(5, 2, vec![5; 1400]),
        ])]),
        Call::Perform(vec![append([entry(6, 2, vec![6; 5000])])]),
        Call::Housekeep,
        Call::Perform(vec![
            term(3),
            append([entry(5, 3, "five"), entry(6, 3, "six")]),
        ]),
    ]
}

/// Calls `check` with every crash that is worth trying at this point: all of them where little
/// is unsynced, else all, none, each alone, each missing, and some at random.
fn for_each_crash(disk: &MemDisk, rng: &mut Rng, mut check: impl FnMut(&MemDisk, &str)) {
    let units = disk.unsynced();
    let mut crash = |keep: &mut dyn FnMut(usize) -> bool, label: &str| {
        let fork = disk.fork();
        let mut unit = 0;
        fork.crash(Crash::Power(&mut |_| {
            unit += 1;
            keep(unit - 1)
        }));
        check(&fork, label);
    };
    if units <= 5 {
        for subset in 0..1u32 << units {
            crash(
                &mut |unit| subset & (1 << unit) != 0,
                &format!("kept {subset:b}"),
            );
        }
    } else {
        crash(&mut |_| true, "kept all");
        crash(&mut |_| false, "kept nothing");
        for one in 0..units {
            crash(&mut |unit| unit == one, &format!("kept unit {one} alone"));
            crash(&mut |unit| unit != one, &format!("lost unit {one} alone"));
        }
        for _ in 0..10 {
            let seed = rng.u64(..);
            let mut coin = Rng::with_seed(seed);
            crash(&mut |_| coin.bool(), &format!("kept by coin {seed}"));
        }
    }
    let fork = disk.fork();
    fork.crash(Crash::Process);
    check(&fork, "process crash");
}

fn operations_of(calls: &[Call]) -> u64 {
    let disk = MemDisk::new();
    Told::run(&disk, calls);
    disk.operations()
}

#[test]
fn acknowledged_writes_survive_a_crash_after_every_disk_operation() {
    let calls = calls();
    let mut rng = Rng::with_seed(11);
    let total = operations_of(&calls);
    assert!(total > 60, "the calls make {total} operations");
    for stop in 0..=total {
        let disk = MemDisk::new();
        disk.stop_after(stop);
        let told = Told::run(&disk, &calls);
        for_each_crash(&disk, &mut rng, |crashed, label| {
            told.check(crashed, &format!("operation {stop} of {total}, {label}"));
        });
    }
}

/// The recovery itself is interrupted, again and again.
#[test]
fn acknowledged_writes_survive_crashes_during_recovery() {
    let calls = calls();
    let mut rng = Rng::with_seed(12);
    let total = operations_of(&calls);
    for stop in 0..=total {
        let disk = MemDisk::new();
        disk.stop_after(stop);
        let told = Told::run(&disk, &calls);
        let mut coin = Rng::with_seed(rng.u64(..));
        disk.crash(Crash::Power(&mut |_| coin.bool()));
        let whole = disk.fork();
        let before = whole.operations();
        let _ = open(&whole);
        for step in 0..=whole.operations() - before {
            let seed = rng.u64(..);
            let again = disk.fork();
            again.stop_after(step);
            let _ = open(&again);
            let mut coin = Rng::with_seed(seed);
            let keep = seed % 3;
            again.crash(Crash::Power(&mut |_| {
                keep == 0 || (keep == 1 && coin.bool())
            }));
            told.check(
                &again,
                &format!("operation {stop}, recovery {step}, coin {seed}"),
            );
        }
    }
}

/// Fault table row 16: every single call fails once, reads too, and nothing stops but the log. A
/// disk without room lets it go on where it may.
#[test]
fn acknowledged_writes_survive_the_failure_of_every_call() {
    let calls = calls();
    let mut rng = Rng::with_seed(13);
    let whole = MemDisk::new();
    Told::run(&whole, &calls);
    let total = whole.calls();
    assert!(total > 100, "the calls make {total} calls of the disk");
    for kind in [ErrorKind::Other, ErrorKind::StorageFull] {
        let mut failed_for_good = 0;
        for at in 0..total {
            let disk = MemDisk::new();
            disk.fail_any_call(at, kind);
            let told = Told::run(&disk, &calls);
            let is_whole = told.under_way.is_empty() && told.stage_under_way.is_none();
            failed_for_good += u64::from(!is_whole);
            for_each_crash(&disk, &mut rng, |crashed, label| {
                told.check(crashed, &format!("{kind:?} at call {at}, {label}"));
            });
        }
        assert!(failed_for_good > 20, "{failed_for_good} failures");
    }
}
