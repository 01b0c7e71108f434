//! Each fault that the disk in memory can be told to have does what it says, and nothing else.

use std::io::{ErrorKind, IoSlice};

use quorate_log::{
    AfterFailedSync, Crash, Disk, DiskCall, DiskFile, Fate, Lasting, MemDisk, MemFile, TearUnit,
    Unsynced,
};

fn write(file: &mut MemFile, offset: u64, bytes: &[u8]) {
    let count = file.write_at(&[IoSlice::new(bytes)], offset).unwrap();
    assert_eq!(count, bytes.len());
}

/// A durable file of so many bytes of this value.
fn add(disk: &MemDisk, name: &str, bytes: usize, value: u8) -> MemFile {
    let mut file = disk.create(name).unwrap();
    write(&mut file, 0, &vec![value; bytes]);
    file.sync_data().unwrap();
    disk.sync_dir().unwrap();
    file
}

/// Durable files `a` of 2048 ones and `b` of 1024 twos.
fn with_two_files() -> (MemDisk, MemFile, MemFile) {
    let disk = MemDisk::new();
    let (a, b) = (add(&disk, "a", 2048, 1), add(&disk, "b", 1024, 2));
    (disk, a, b)
}

/// A handle of the present life.
fn alive(disk: &MemDisk) -> MemDisk {
    disk.clone()
}

fn kind<T>(outcome: std::io::Result<T>) -> Option<ErrorKind> {
    outcome.err().map(|error| error.kind())
}

/// Makes one call, and gives the error.
type MakeCall<'a> = &'a dyn Fn(&mut MemDisk, &mut MemFile) -> Option<ErrorKind>;

#[test]
fn each_call_fails_when_it_is_due_and_does_nothing() {
    let busy = ErrorKind::ResourceBusy;
    let (mut disk, mut a, _) = with_two_files();
    let before = disk.fork();
    let calls: [(DiskCall, MakeCall<'_>); 11] = [
        (DiskCall::Lock, &|disk, _| kind(disk.lock())),
        (DiskCall::Open, &|disk, _| kind(disk.open("a"))),
        (DiskCall::Create, &|disk, _| kind(disk.create("c"))),
        (DiskCall::Rename, &|disk, _| kind(disk.rename("a", "c"))),
        (DiskCall::Remove, &|disk, _| kind(disk.remove("a"))),
        (DiskCall::List, &|disk, _| kind(disk.list())),
        (DiskCall::SyncDir, &|disk, _| kind(disk.sync_dir())),
        (DiskCall::Size, &|_, file| kind(file.size())),
        (DiskCall::Read, &|_, file| {
            kind(file.read_at(&mut [0; 8], 0))
        }),
        (DiskCall::Write, &|_, file| {
            kind(file.write_at(&[IoSlice::new(&[1; 8])], 0))
        }),
        (DiskCall::Sync, &|_, file| kind(file.sync_data())),
    ];
    for (call, make) in calls {
        for (other, _) in calls.iter().filter(|(other, _)| *other != call) {
            disk.fail_call(*other, 0, ErrorKind::Other);
        }
        disk.fail_call(call, 0, busy);
        assert_eq!(make(&mut disk, &mut a), Some(busy), "{call:?}");
        disk = before.fork();
        a = disk.open("a").unwrap().unwrap();
    }
    assert_eq!(disk.list().unwrap(), ["a", "b"]);
    assert_eq!(disk.content("a").unwrap(), [1; 2048]);
}

#[test]
fn a_failing_call_is_counted_among_its_sort_or_among_all() {
    let (disk, a, _) = with_two_files();
    let read = |file: &MemFile| kind(file.read_at(&mut [0; 8], 0));
    disk.fail_call(DiskCall::Read, 1, ErrorKind::Other);
    disk.fail_any_call(3, ErrorKind::StorageFull);
    assert_eq!(read(&a), None);
    assert_eq!(kind(disk.list()), None);
    assert_eq!(read(&a), Some(ErrorKind::Other), "the second read");
    assert_eq!(
        kind(disk.list()),
        Some(ErrorKind::StorageFull),
        "the fourth call"
    );
    assert_eq!(read(&a), None, "each fails once");
    // Two that are due at the same call come one after the other.
    disk.fail_any_call(0, ErrorKind::Other);
    disk.fail_any_call(0, ErrorKind::StorageFull);
    assert_eq!(read(&a), Some(ErrorKind::Other));
    assert_eq!(read(&a), Some(ErrorKind::StorageFull));
}

/// Fault table row 5
#[test]
fn failures_are_told_once_they_were_met_and_can_be_taken_back_before() {
    let (disk, mut a, _) = with_two_files();
    let tells = |met, to_come| (disk.failures(), disk.failures_to_come()) == (met, to_come);
    disk.fail_call(DiskCall::Write, 0, ErrorKind::Other);
    disk.fail_sync(0, AfterFailedSync::NewContent);
    assert!(tells(0, 2), "nothing was called");
    assert!(a.write_at(&[IoSlice::new(&[1])], 0).is_err() && tells(1, 1));
    assert!(a.sync_data().is_err() && tells(2, 0));
    disk.break_sector("a", 0, Lasting::UntilWritten);
    assert!(a.read_at(&mut [0; 8], 0).is_err() && tells(3, 0));
    disk.fail_any_call(0, ErrorKind::Other);
    disk.fail_sync(0, AfterFailedSync::NewContent);
    disk.forgive();
    assert!(tells(3, 0), "what was to come is no failure");
    write(&mut a, 1024, &[1; 8]);
    a.sync_data().unwrap();
    assert!(
        a.read_at(&mut [0; 8], 0).is_err(),
        "the sector is bad still"
    );
}

#[test]
fn a_sync_that_was_made_to_fail_like_any_call_makes_nothing_durable() {
    let (disk, mut a, _) = with_two_files();
    write(&mut a, 0, &[9; 512]);
    disk.fail_call(DiskCall::Sync, 0, ErrorKind::StorageFull);
    assert_eq!(kind(a.sync_data()), Some(ErrorKind::StorageFull));
    a.sync_data().unwrap();
    disk.crash(Crash::Power(&mut |_| true));
    assert_eq!(disk.content("a").unwrap(), [1; 2048]);
}

/// Fault table row 6
#[test]
fn a_full_disk_takes_what_fits_and_more_when_there_is_room_again() {
    let (disk, mut a, _) = with_two_files();
    disk.limit(3072 + 600);
    let bytes = [3; 900];
    let slices = [IoSlice::new(&bytes[..50]), IoSlice::new(&bytes[50..])];
    let short = a.write_at(&slices, 2000).unwrap();
    assert_eq!(short, 560, "up to the end of a sector");
    let full = a.write_at(&slices, 2560);
    assert_eq!(kind(full), Some(ErrorKind::StorageFull));
    write(&mut a, 0, &bytes);
    disk.limit(3072 + 1500);
    write(&mut a, 2560, &bytes);
    assert_eq!(disk.content("a").unwrap().len(), 3460);
}

#[test]
fn a_write_that_fails_leaves_whole_sectors() {
    let (disk, mut a, _) = with_two_files();
    for (bytes, written) in [(1000, 0), (2000, 512)] {
        disk.fail_call(DiskCall::Write, 0, ErrorKind::Other);
        let failed = a.write_at(&[IoSlice::new(&vec![9; bytes])], 0);
        assert_eq!(kind(failed), Some(ErrorKind::Other));
        let content = disk.content("a").unwrap();
        assert_eq!(content.iter().filter(|byte| **byte == 9).count(), written);
    }
}

/// Fault table row 11
#[test]
fn a_misdirected_write_lands_elsewhere_and_its_target_keeps_what_it_held() {
    let (disk, mut a, mut b) = with_two_files();
    disk.misdirect_write("a", "b", 700);
    write(&mut b, 0, &[8; 10]);
    write(&mut a, 512, &[9; 512]);
    write(&mut a, 0, &[7; 10]);
    let check = |disk: &MemDisk, of_a: u8, of_b: u8| {
        let (a, b) = (disk.content("a").unwrap(), disk.content("b").unwrap());
        assert_eq!((a[0], a[10], a[512], a[1023]), (of_a, 1, 1, 1));
        assert_eq!((b[0], b[699], b[700], b[1023]), (of_b, 2, 9, 9));
        assert_eq!((a.len(), b.len()), (2048, 1024), "no file grows by it");
    };
    check(&disk, 7, 8);
    disk.crash(Crash::Power(&mut |_| false));
    check(&disk, 1, 2);
}

/// Fault table row 7
#[test]
fn a_broken_sector_fails_the_reads_that_reach_it_until_it_is_over() {
    let (disk, mut a, b) = with_two_files();
    let read = |file: &MemFile, offset: u64| file.read_at(&mut [0; 600], offset).ok();
    disk.break_sector("a", 1030, Lasting::Reads(2));
    assert_eq!(read(&a, 0), Some(600));
    assert_eq!(read(&a, 500), Some(524), "what precedes it is read");
    assert_eq!((read(&a, 1024), read(&a, 1535)), (None, None));
    assert_eq!(read(&a, 1024), Some(600), "it was read twice");

    disk.break_sector("a", 1024, Lasting::UntilWritten);
    assert_eq!((read(&a, 1024), read(&a, 1536)), (None, Some(512)));
    assert_eq!(read(&b, 0), Some(600), "another file");
    write(&mut a, 1536, &[1; 10]);
    assert_eq!(read(&a, 1024), None);
    write(&mut a, 1030, &[1; 10]);
    assert_eq!(read(&a, 1024), Some(600), "another sector took its place");

    disk.break_sector("a", 0, Lasting::UntilWritten);
    disk.mend_sectors();
    disk.break_sector("a", 0, Lasting::Reads(0));
    assert_eq!(read(&a, 0), Some(600));
}

/// Fault table row 12
#[test]
fn a_misread_sector_reads_as_something_else_and_holds_what_was_written() {
    let (disk, mut a, _) = with_two_files();
    let read = |file: &MemFile, offset: u64| {
        let mut buffer = [0; 1100];
        assert_eq!(file.read_at(&mut buffer, offset).unwrap(), 1100);
        buffer
    };
    disk.misread_sector("a", 600, &[5; 512], Lasting::Reads(1));
    let buffer = read(&a, 100);
    assert_eq!(
        (buffer[411], buffer[412], buffer[923], buffer[924]),
        (1, 5, 5, 1)
    );
    assert_eq!(read(&a, 100), [1; 1100], "it was over after one read");
    disk.misread_sector("a", 512, &[6, 7], Lasting::UntilWritten);
    assert_eq!(read(&a, 513)[..2], [7, 1], "a part of the sector");
    assert_eq!(disk.content("a").unwrap(), [1; 2048]);
    write(&mut a, 512, &[1]);
    assert_eq!(read(&a, 513)[..2], [1, 1]);
}

/// Fault table rows 8 to 10
#[test]
fn a_flipped_bit_is_durable_and_leaves_what_is_unsynced_as_it_is() {
    let (disk, mut a, _) = with_two_files();
    write(&mut a, 0, &[4; 512]);
    disk.flip("a", 10, 1);
    disk.flip("a", 1000, 7);
    disk.flip("a", 5000, 0);
    let content = disk.content("a").unwrap();
    assert_eq!((content[10], content[1000]), (4 ^ 2, 1 ^ 128));
    disk.crash(Crash::Power(&mut |_| false));
    let content = disk.content("a").unwrap();
    assert_eq!(
        (content[0], content[10], content[1000]),
        (1, 1 ^ 2, 1 ^ 128)
    );
}

/// Fault table row 14
#[test]
fn a_truncated_file_keeps_its_head_and_what_is_unsynced_in_it() {
    let (disk, mut a, _) = with_two_files();
    write(&mut a, 900, &[4; 200]);
    write(&mut a, 1500, &[4; 10]);
    disk.truncate("a", 1000);
    disk.truncate("a", 4000);
    assert_eq!(
        disk.content("a").unwrap()[899..],
        [vec![1], vec![4; 100]].concat()
    );
    let synced = disk.fork();
    synced.crash(Crash::Power(&mut |_| false));
    assert_eq!(synced.content("a").unwrap(), [1; 1000]);
    a.sync_data().unwrap();
    disk.crash(Crash::Power(&mut |_| false));
    assert_eq!(
        disk.content("a").unwrap()[899..],
        [vec![1], vec![4; 100]].concat()
    );
}

#[test]
fn torn_sectors_can_hold_garbage_that_is_neither_old_nor_new() {
    let garbage = |seed| {
        let (disk, mut a, _) = with_two_files();
        write(&mut a, 512, &[9; 1024]);
        disk.crash(Crash::Surge(&mut |unsynced| match unsynced {
            Unsynced::Sector { offset: 512, .. } => Fate::Garbage(seed),
            Unsynced::Sector { .. } => Fate::Kept,
            Unsynced::Length { .. } | Unsynced::Name { .. } => Fate::Lost,
        }));
        disk.content("a").unwrap()
    };
    let found = garbage(3);
    assert_eq!(found[..512], [1; 512]);
    assert_eq!(found[1024..1536], [9; 512]);
    let strange = found[512..1024]
        .iter()
        .filter(|byte| ![1, 9].contains(*byte));
    assert!(strange.count() > 400);
    assert_eq!(found, garbage(3), "a seed names its garbage");
    assert_ne!(found, garbage(4));
}

#[test]
fn pages_are_torn_as_a_whole_where_the_disk_writes_pages() {
    let disk = MemDisk::new();
    let mut file = add(&disk, "a", 16 * 1024, 1);
    disk.tear_by(TearUnit::Page);
    write(&mut file, 4000, &[2; 5000]);
    assert_eq!(disk.unsynced(), 3);
    let mut asked = Vec::new();
    disk.crash(Crash::Power(&mut |unsynced| {
        if let Unsynced::Sector { offset, .. } = unsynced {
            asked.push(offset);
        }
        asked.len() == 2
    }));
    assert_eq!(asked, [0, 4096, 8192]);
    let content = disk.content("a").unwrap();
    assert!(content[..4096].iter().all(|byte| *byte == 1));
    assert!(content[4096..8192].iter().all(|byte| *byte == 2));
    assert!(content[8192..].iter().all(|byte| *byte == 1));
}

/// Fault table row 19
#[test]
fn a_faked_sync_succeeds_and_nothing_is_ever_durable_by_it() {
    let (disk, mut a, mut b) = with_two_files();
    write(&mut a, 0, &[9; 512]);
    write(&mut b, 0, &[9; 512]);
    disk.fake_sync(1);
    b.sync_data().unwrap();
    a.sync_data().unwrap();
    a.sync_data().unwrap();
    assert_eq!(disk.content("a").unwrap()[0], 9, "it is seen");
    disk.rename("a", "c").unwrap();
    disk.fake_sync(0);
    disk.sync_dir().unwrap();
    disk.crash(Crash::Power(&mut |_| true));
    assert_eq!(alive(&disk).list().unwrap(), ["a", "b"]);
    assert_eq!(disk.content("a").unwrap(), [1; 2048]);
    assert_eq!(disk.content("b").unwrap()[0], 9);
}

/// Fault table row 20
#[test]
fn a_restored_image_is_what_was_seen_in_the_older_one_durably() {
    let (disk, mut a, _) = with_two_files();
    write(&mut a, 0, &[5; 512]);
    let older = disk.fork();
    write(&mut a, 0, &[6; 512]);
    let mut c = add(&disk, "c", 512, 3);
    disk.rename("b", "d").unwrap();
    disk.break_sector("a", 0, Lasting::UntilWritten);
    disk.restore_from(&older);
    assert!(c.sync_data().is_err(), "the process is gone");
    disk.crash(Crash::Power(&mut |_| false));
    assert_eq!(alive(&disk).list().unwrap(), ["a", "b"]);
    assert_eq!(disk.content("a").unwrap()[..512], [5; 512]);
    let a = alive(&disk).open("a").unwrap().unwrap();
    assert!(a.read_at(&mut [0; 8], 0).is_ok(), "it is another disk");
    // The older image is left as it was.
    older.crash(Crash::Power(&mut |_| false));
    assert_eq!(older.content("a").unwrap(), [1; 2048]);
    let mut new = alive(&disk).create("e").unwrap();
    write(&mut new, 0, &[1]);
    assert_eq!(
        disk.content("a").unwrap()[0],
        5,
        "numbers are not used twice"
    );
}

/// Fault table row 5: the images stay apart where a failed sync left new content.
#[test]
fn new_content_after_a_failed_sync_is_seen_until_the_power_is_lost() {
    let (disk, mut a, _) = with_two_files();
    write(&mut a, 0, &[9; 512]);
    disk.fail_sync(0, AfterFailedSync::NewContent);
    assert!(a.sync_data().is_err());
    write(&mut a, 1024, &[8; 512]);
    a.sync_data().unwrap();
    disk.crash(Crash::Process);
    assert_eq!(disk.content("a").unwrap()[0], 9);
    disk.crash(Crash::Power(&mut |_| false));
    let content = disk.content("a").unwrap();
    assert_eq!((content[0], content[1024]), (1, 8));
}
