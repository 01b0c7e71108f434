//! The disk in memory forgets exactly what a real one may forget. Every other test rests on it.

use std::io::{ErrorKind, IoSlice};

use quorate_log::{AfterFailedSync, Crash, Disk, DiskFile, DiskOperation, MemDisk, Unsynced};

fn write(file: &mut impl DiskFile, offset: u64, bytes: &[u8]) {
    let count = file.write_at(&[IoSlice::new(bytes)], offset).unwrap();
    assert_eq!(count, bytes.len());
}

/// A durable file `a` of 1024 ones.
fn with_a_file() -> MemDisk {
    let disk = MemDisk::new();
    let mut file = disk.create("a").unwrap();
    write(&mut file, 0, &[1; 1024]);
    file.sync_data().unwrap();
    disk.sync_dir().unwrap();
    disk
}

/// A handle of the present life.
fn alive(disk: &MemDisk) -> MemDisk {
    disk.clone()
}

#[test]
fn unsynced_content_is_seen_after_a_process_crash_and_lost_with_the_power() {
    let disk = with_a_file();
    write(&mut disk.open("a").unwrap().unwrap(), 100, &[2; 50]);
    disk.crash(Crash::Process);
    assert_eq!(disk.content("a").unwrap()[100..150], [2; 50]);
    disk.crash(Crash::Power(&mut |_| false));
    assert_eq!(
        disk.content("a").unwrap(),
        [1; 1024],
        "the process crash synced nothing"
    );
}

#[test]
fn each_sector_of_an_unsynced_write_is_kept_or_lost_on_its_own() {
    let disk = with_a_file();
    write(&mut disk.open("a").unwrap().unwrap(), 500, &[2; 100]);
    let mut asked = Vec::new();
    disk.crash(Crash::Power(&mut |unsynced| match unsynced {
        Unsynced::Sector { name, offset } => {
            asked.push((name.to_owned(), offset));
            offset == 512
        }
        Unsynced::Length { .. } | Unsynced::Name { .. } => panic!("nothing of that changed"),
    }));
    assert_eq!(asked, [("a".to_owned(), 0), ("a".to_owned(), 512)]);
    let content = disk.content("a").unwrap();
    assert_eq!(
        (content[511], content[512], content[599], content[600]),
        (1, 2, 2, 1)
    );
}

#[test]
fn a_length_can_survive_without_the_content() {
    let disk = with_a_file();
    write(&mut disk.open("a").unwrap().unwrap(), 1024, &[2; 512]);
    disk.crash(Crash::Power(&mut |unsynced| match unsynced {
        Unsynced::Length { length, .. } => length == 1536,
        Unsynced::Sector { .. } | Unsynced::Name { .. } => false,
    }));
    let content = disk.content("a").unwrap();
    assert_eq!((content.len(), content[1024]), (1536, 0));
}

/// Scenario G04
#[test]
fn names_are_lost_with_the_power_until_the_directory_is_synced() {
    let disk = with_a_file();
    disk.create("b").unwrap().sync_data().unwrap();
    disk.rename("a", "c").unwrap();
    let fork = disk.fork();
    fork.crash(Crash::Power(&mut |_| false));
    assert_eq!(
        fork.list().err().map(|error| error.kind()),
        Some(ErrorKind::Other)
    );
    assert_eq!(
        alive(&fork).list().unwrap(),
        ["a"],
        "neither name was synced"
    );
    disk.sync_dir().unwrap();
    disk.remove("c").unwrap();
    disk.crash(Crash::Power(&mut |_| false));
    assert_eq!(
        alive(&disk).list().unwrap(),
        ["b", "c"],
        "the removal was not synced"
    );
}

#[test]
fn handles_die_with_their_process() {
    let disk = with_a_file();
    let mut before = disk.clone();
    assert!(before.lock().unwrap());
    let mut file = before.open("a").unwrap().unwrap();
    disk.crash(Crash::Process);
    assert!(
        file.sync_data().is_err(),
        "a dead process cannot make anything durable"
    );
    assert!(before.open("a").is_err());
    let mut after = disk.clone();
    assert!(after.lock().unwrap(), "the lock died with its holder");
    drop(before);
    assert!(
        !alive(&disk).lock().unwrap(),
        "dropping the dead holder frees nothing"
    );
}

/// Scenario G03
#[test]
fn nothing_written_before_a_failed_sync_becomes_durable_by_a_later_one() {
    for (after, seen) in [
        (AfterFailedSync::NewContent, 2),
        (AfterFailedSync::OldContent, 1),
    ] {
        let disk = with_a_file();
        let mut file = disk.open("a").unwrap().unwrap();
        write(&mut file, 0, &[2; 512]);
        disk.fail_sync(0, after);
        assert!(file.sync_data().is_err());
        assert_eq!(disk.content("a").unwrap()[0], seen);
        file.sync_data().unwrap();
        disk.crash(Crash::Power(&mut |_| true));
        assert_eq!(disk.content("a").unwrap()[0], 1);
    }
}

#[test]
fn the_world_stops_after_the_given_operation() {
    let disk = with_a_file();
    let mut file = disk.open("a").unwrap().unwrap();
    disk.record(true);
    disk.stop_after(1);
    write(&mut file, 0, &[2; 512]);
    assert!(file.sync_data().is_err());
    assert!(disk.list().is_err());
    let name = "a".to_owned();
    let expected = [DiskOperation::Write {
        name,
        offset: 0,
        bytes: 512,
    }];
    assert_eq!(
        disk.record(false),
        expected,
        "what did not happen is not recorded"
    );
    disk.crash(Crash::Process);
    assert_eq!(disk.content("a").unwrap()[0], 2);
}

#[test]
fn a_fork_goes_its_own_way() {
    let disk = with_a_file();
    write(&mut disk.open("a").unwrap().unwrap(), 0, &[2; 512]);
    let fork = disk.fork();
    assert_eq!(fork.unsynced(), 1, "what is unsynced is forked too");
    fork.crash(Crash::Power(&mut |_| false));
    assert_eq!(
        (fork.content("a").unwrap()[0], disk.content("a").unwrap()[0]),
        (1, 2)
    );
}
