//! A directory in memory as a [`Disk`], for tests and simulations: it keeps apart what a process
//! sees and what would survive a loss of power, and fails on demand. The handles are here, what is
//! done with the disk by hand in `hand.rs`; what each call does is in `state.rs`.

mod crash;
mod faults;
mod hand;
mod image;
mod names;
mod record;
mod state;

use std::io::{self, IoSlice};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::disk::{Disk, DiskFile};
use state::State;

pub use crash::{Crash, Fate, TearUnit, Unsynced};
pub use faults::{AfterFailedSync, DiskCall, Lasting};
pub use record::DiskOperation;

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
