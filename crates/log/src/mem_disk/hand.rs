//! The hand of the experimenter on a disk in memory: crashes, faults to come, and damage. What
//! they do is in the files that own what is damaged.

use std::io;

use super::crash::{Crash, TearUnit};
use super::faults::{AfterFailedSync, Astray, BadSync, DiskCall, Lasting};
use super::record::DiskOperation;
use super::{MemDisk, State};

/// The end of a process, and what is put in its place.
impl MemDisk {
    /// A directory of its own with the same content, synced and unsynced, and the same faults to
    /// come.
    #[must_use]
    pub fn fork(&self) -> Self {
        Self::of(self.state().clone())
    }

    /// Ends the process: every handle is dead, the lock is free, and what `crash` says of
    /// unsynced data happens.
    pub fn crash(&self, crash: Crash<'_>) {
        self.state().crash(crash);
    }

    /// The unit in which a loss of power tears writes from now on.
    pub fn tear_by(&self, unit: TearUnit) {
        self.state().tear_unit = unit;
    }

    /// Ends the process and puts an older image back, as from a backup: what is seen in `older`
    /// is in this directory then, durably, and nothing else (fault table row 20).
    pub fn restore_from(&self, older: &Self) {
        let older = older.state().clone();
        self.state().restore(older);
    }

    /// How many times a loss of power now would ask what to keep.
    #[must_use]
    pub fn unsynced(&self) -> usize {
        self.state().unsynced()
    }
}

/// What happens, and how far.
impl MemDisk {
    /// Lets the next `count` operations happen and stops the world after them: every later
    /// operation fails, until the crash.
    pub fn stop_after(&self, count: u64) {
        self.state().stop_after(count);
    }

    /// Operations so far. Reads are not counted: they change nothing.
    #[must_use]
    pub fn operations(&self) -> u64 {
        self.state().operations()
    }

    /// Calls so far, reads and all: what [`MemDisk::fail_any_call`] counts.
    #[must_use]
    pub fn calls(&self) -> u64 {
        self.state().faults.met()
    }

    /// Starts to record operations, or ends it. Returns what was recorded since it was started.
    pub fn record(&self, on: bool) -> Vec<DiskOperation> {
        self.state().record(on)
    }

    /// The names that a process sees, in order.
    #[must_use]
    pub fn names(&self) -> Vec<String> {
        self.state().names.list().cloned().collect()
    }

    /// Bytes in all files that a process sees, as [`MemDisk::limit`] counts them.
    #[must_use]
    pub fn used_bytes(&self) -> u64 {
        self.state().used_bytes()
    }

    /// What a process sees in the file.
    #[must_use]
    pub fn content(&self, name: &str) -> Option<Vec<u8>> {
        let state = self.state();
        let image = state.images.get(&state.names.find(name)?)?;
        Some(image.seen().to_vec())
    }
}

/// Calls that fail.
impl MemDisk {
    /// Fails one call of this sort, the one after the next `skip` ones, with an error of this
    /// kind. Nothing was done then, but for a write, of which half the sectors were written, and
    /// a sync, which leaves the new content to be seen and never durable. Failures to come add up.
    pub fn fail_call(&self, call: DiskCall, skip: u64, kind: io::ErrorKind) {
        self.state().faults.fail_call(Some(call), skip, kind);
    }

    /// Fails the call after the next `skip` ones, of whatever sort, as [`MemDisk::fail_call`]
    /// does.
    pub fn fail_any_call(&self, skip: u64, kind: io::ErrorKind) {
        self.state().faults.fail_call(None, skip, kind);
    }

    /// Fails the sync after the next `skip` ones, of a file or of the directory. A file whose
    /// sync failed shows what `after` says, and none of it will be durable. Names are durable
    /// after the next sync that succeeds.
    pub fn fail_sync(&self, skip: u64, after: AfterFailedSync) {
        self.state().faults.spoil_sync(skip, BadSync::Fails(after));
    }

    /// Lets the sync after the next `skip` ones, of a file or of the directory, report success
    /// and make nothing durable: a disk that lies (fault table row 19).
    pub fn fake_sync(&self, skip: u64) {
        self.state().faults.spoil_sync(skip, BadSync::Lies);
    }

    /// How many calls failed so far because they were made to fail: those that [`Self::fail_call`],
    /// [`Self::fail_any_call`] and [`Self::fail_sync`] asked for, and reads that met a sector of
    /// [`Self::break_sector`]. Who compares it before and after a request knows whether the disk
    /// was to blame.
    #[must_use]
    pub fn failures(&self) -> u64 {
        self.state().faults.failed()
    }

    /// How many calls are to fail still, or syncs to fail or to lie.
    #[must_use]
    pub fn failures_to_come(&self) -> usize {
        self.state().faults.to_come()
    }

    /// Lets every call succeed from now on that was to fail, and every sync. Bad sectors stay.
    pub fn forgive(&self) {
        self.state().faults.forgive();
    }

    /// Writes at most this many bytes per call from now on, so that writes are short. A crash
    /// between two of them may leave a sector that was changed in part, which no log is made for.
    pub fn shorten_writes(&self, bytes: usize) {
        self.state().faults.shorten_writes(bytes);
    }

    /// Files may hold this many bytes together from now on, which may be more than before. A
    /// write that goes beyond is short, by whole sectors, and the next one finds no room
    /// (`StorageFull`).
    pub fn limit(&self, bytes: u64) {
        self.state().capacity = bytes;
    }
}

/// Places that go bad. Nothing happens if there is no such file.
impl MemDisk {
    /// Lets the next write to the file `from` report success and land in the file `to` at
    /// `offset` instead, as far as that one reaches: durably, and as if nothing were cached. Its
    /// target keeps what it held (fault table row 11).
    pub fn misdirect_write(&self, from: &str, to: &str, offset: u64) {
        self.at(from, |state, from| {
            if let Some(inode) = state.names.find(to) {
                let to = Astray { inode, offset };
                state.faults.misdirect_write(from, to);
            }
        });
    }

    /// Makes the sector of the file that holds byte `offset` unreadable: a read fails where it
    /// reaches it (fault table row 7).
    pub fn break_sector(&self, name: &str, offset: u64, lasting: Lasting) {
        self.at(name, |state, inode| {
            state.faults.spoil_sector(inode, offset, None, lasting);
        });
    }

    /// Lets the sector of the file that holds byte `offset` read as `instead`, though it holds
    /// what was written: an older version of it, or what another sector holds (fault table row
    /// 12). Bytes beyond those of `instead` read as they are.
    pub fn misread_sector(&self, name: &str, offset: u64, instead: &[u8], lasting: Lasting) {
        let instead = Some(instead.to_vec());
        self.at(name, |state, inode| {
            state.faults.spoil_sector(inode, offset, instead, lasting);
        });
    }

    /// Lets every sector be read again as it was written.
    pub fn mend_sectors(&self) {
        self.state().faults.mend_sectors();
    }
}

/// Damage, behind everybody's back and durable. Nothing happens if there is no such file.
impl MemDisk {
    /// Flips a bit, of 0 to 7, in byte `offset` of the file, and leaves what is unsynced as it is
    /// (fault table rows 8 to 10).
    pub fn flip(&self, name: &str, offset: u64, bit: u8) {
        self.image(name, |image| image.flip(offset, bit));
    }

    /// Cuts the file to this many bytes, if it is longer (fault table row 14).
    pub fn truncate(&self, name: &str, bytes: u64) {
        self.image(name, |image| image.truncate(bytes));
    }

    /// Changes the file in any way. What was unsynced in it is durable then.
    pub fn corrupt(&self, name: &str, change: impl FnOnce(&mut Vec<u8>)) {
        self.image(name, |image| image.change(change));
    }

    /// Removes the file.
    pub fn lose(&self, name: &str) {
        self.state().names.lose(name);
    }

    fn at(&self, name: &str, work: impl FnOnce(&mut State, u64)) {
        let mut state = self.state();
        if let Some(inode) = state.names.find(name) {
            work(&mut state, inode);
        }
    }

    fn image(&self, name: &str, work: impl FnOnce(&mut super::image::Image)) {
        self.at(name, |state, inode| {
            if let Some(image) = state.images.get_mut(&inode) {
                work(image);
            }
        });
    }
}
