//! A directory in memory as a [`Disk`], for tests and simulations: it keeps apart what a process
//! sees and what would survive a loss of power, and fails on demand. What each operation does to
//! the two images is in `state.rs`, what a crash leaves in `crash.rs`.

mod crash;
mod state;

use std::io::{self, IoSlice};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::disk::{Disk, DiskFile};
use state::State;

pub use crash::{Crash, Unsynced};
pub use state::{AfterFailedSync, DiskOperation};

/// A directory in memory.
///
/// A clone is another handle to the same directory. A handle belongs to the life of the process
/// in which it was cloned: after [`MemDisk::crash`] the handles that a log still holds are dead,
/// and a new clone works. The methods of `MemDisk` itself are the hand of the experimenter: they
/// work whatever happened.
#[derive(Debug)]
pub struct MemDisk {
    shared: Arc<Mutex<State>>,
    life: u64,
    locked: bool,
}

impl Default for MemDisk {
    fn default() -> Self {
        Self::new()
    }
}

impl Clone for MemDisk {
    /// Another handle, without the lock.
    fn clone(&self) -> Self {
        let life = self.state().life();
        Self {
            shared: Arc::clone(&self.shared),
            life,
            locked: false,
        }
    }
}

impl Drop for MemDisk {
    fn drop(&mut self) {
        if self.locked {
            let life = self.life;
            self.state().unlock(life);
        }
    }
}

impl MemDisk {
    /// An empty directory.
    #[must_use]
    pub fn new() -> Self {
        Self::of(State::default())
    }

    fn of(state: State) -> Self {
        let life = state.life();
        Self {
            shared: Arc::new(Mutex::new(state)),
            life,
            locked: false,
        }
    }

    /// A directory of its own with the same content, synced and unsynced.
    #[must_use]
    pub fn fork(&self) -> Self {
        Self::of(self.state().clone())
    }

    /// Ends the process: every handle is dead, the lock is free, and what `crash` says of
    /// unsynced data happens.
    pub fn crash(&self, crash: Crash<'_>) {
        self.state().crash(crash);
    }

    /// How many times a loss of power now would ask what to keep.
    #[must_use]
    pub fn unsynced(&self) -> usize {
        let mut count = 0;
        self.fork().crash(Crash::Power(&mut |_| {
            count += 1;
            false
        }));
        count
    }

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

    /// Starts to record operations, or ends it. Returns what was recorded since it was started.
    pub fn record(&self, on: bool) -> Vec<DiskOperation> {
        self.state().record(on)
    }

    /// Fails the sync after the next `skip` ones, of a file or of the directory.
    pub fn fail_sync(&self, skip: u64, after: AfterFailedSync) {
        self.state().fail_sync(skip, after);
    }

    /// Fails the write after the next `skip` ones with an error of this kind, half of it done.
    pub fn fail_write(&self, skip: u64, kind: io::ErrorKind) {
        self.state().fail_write(skip, kind);
    }

    /// Fails every read that touches byte `offset` of the file, until it is called with `None`.
    pub fn fail_reads(&self, at: Option<(&str, u64)>) {
        self.state().fail_reads(at);
    }

    /// Writes at most this many bytes per call from now on, so that writes are short.
    pub fn shorten_writes(&self, bytes: usize) {
        self.state().shorten_writes(bytes);
    }

    /// Files may hold this many bytes together; `StorageFull` beyond.
    pub fn limit(&self, bytes: u64) {
        self.state().limit(bytes);
    }

    /// The names that a process sees, in order.
    #[must_use]
    pub fn names(&self) -> Vec<String> {
        self.state().names()
    }

    /// Bytes in all files that a process sees.
    #[must_use]
    pub fn used_bytes(&self) -> u64 {
        self.state().used_bytes()
    }

    /// What a process sees in the file.
    #[must_use]
    pub fn content(&self, name: &str) -> Option<Vec<u8>> {
        self.state().content(name)
    }

    /// Changes the file behind everybody's back, durably. Nothing happens if it is not there.
    pub fn corrupt(&self, name: &str, change: impl FnOnce(&mut Vec<u8>)) {
        self.state().corrupt(name, change);
    }

    /// Removes the file behind everybody's back, durably.
    pub fn lose(&self, name: &str) {
        self.state().lose(name);
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // A panic elsewhere leaves the state as it was between two operations.
        self.shared.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Disk for MemDisk {
    type File = MemFile;

    fn lock(&mut self) -> io::Result<bool> {
        let life = self.life;
        let locked = self.state().lock(life)?;
        self.locked |= locked;
        Ok(locked)
    }

    fn open(&self, name: &str) -> io::Result<Option<MemFile>> {
        let inode = self.state().open(self.life, name)?;
        Ok(inode.map(|inode| self.file(inode)))
    }

    fn create(&self, name: &str) -> io::Result<MemFile> {
        let inode = self.state().create(self.life, name)?;
        Ok(self.file(inode))
    }

    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        self.state().rename(self.life, from, to)
    }

    fn remove(&self, name: &str) -> io::Result<()> {
        self.state().remove(self.life, name)
    }

    fn list(&self) -> io::Result<Vec<String>> {
        self.state().list(self.life)
    }

    fn sync_dir(&self) -> io::Result<()> {
        self.state().sync_dir(self.life)
    }
}

impl MemDisk {
    fn file(&self, inode: u64) -> MemFile {
        MemFile {
            shared: Arc::clone(&self.shared),
            life: self.life,
            inode,
        }
    }
}

/// An open file of a [`MemDisk`].
#[derive(Debug)]
pub struct MemFile {
    shared: Arc<Mutex<State>>,
    life: u64,
    inode: u64,
}

impl MemFile {
    fn state(&self) -> MutexGuard<'_, State> {
        self.shared.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl DiskFile for MemFile {
    fn size(&self) -> io::Result<u64> {
        self.state().size(self.life, self.inode)
    }

    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        self.state().read(self.life, self.inode, buffer, offset)
    }

    fn write_at(&mut self, buffers: &[IoSlice<'_>], offset: u64) -> io::Result<usize> {
        self.state().write(self.life, self.inode, buffers, offset)
    }

    fn sync_data(&mut self) -> io::Result<()> {
        self.state().sync(self.life, self.inode)
    }
}
