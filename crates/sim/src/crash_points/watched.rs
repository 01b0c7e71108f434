//! A disk in memory that keeps an image of itself after each operation: the crash points of
//! whoever uses it.

use std::io::{self, IoSlice};
use std::sync::{Arc, Mutex, PoisonError};

use quorate_log::{Disk, DiskFile, MemDisk, MemFile};

/// Collects the images.
#[derive(Clone)]
pub(super) struct Watch {
    kept: Arc<Mutex<Kept>>,
}

struct Kept {
    disk: MemDisk,
    operations: u64,
    images: Vec<MemDisk>,
}

impl Watch {
    /// Watches `disk`.
    pub(super) fn new(disk: &MemDisk) -> Self {
        let kept = Kept {
            disk: disk.clone(),
            operations: disk.operations(),
            images: Vec::new(),
        };
        Self {
            kept: Arc::new(Mutex::new(kept)),
        }
    }

    /// A handle for a log.
    pub(super) fn handle(&self) -> Watched {
        Watched {
            disk: self.with(|kept| kept.disk.clone()),
            watch: self.clone(),
        }
    }

    /// The images since the last time, one for each operation.
    pub(super) fn take(&self) -> Vec<MemDisk> {
        self.with(|kept| std::mem::take(&mut kept.images))
    }

    fn with<T>(&self, f: impl FnOnce(&mut Kept) -> T) -> T {
        f(&mut self.kept.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Keeps an image if something happened.
    fn note(&self) {
        self.with(|kept| {
            let operations = kept.disk.operations();
            if operations != kept.operations {
                kept.operations = operations;
                kept.images.push(kept.disk.fork());
            }
        });
    }
}

/// The disk.
pub(super) struct Watched {
    disk: MemDisk,
    watch: Watch,
}

impl Watched {
    fn noted<T>(&self, outcome: T) -> T {
        self.watch.note();
        outcome
    }

    fn file(&self, file: MemFile) -> WatchedFile {
        WatchedFile {
            file,
            watch: self.watch.clone(),
        }
    }
}

impl Disk for Watched {
    type File = WatchedFile;

    fn lock(&mut self) -> io::Result<bool> {
        self.disk.lock()
    }

    fn open(&self, name: &str) -> io::Result<Option<WatchedFile>> {
        Ok(self.disk.open(name)?.map(|file| self.file(file)))
    }

    fn create(&self, name: &str) -> io::Result<WatchedFile> {
        let file = self.noted(self.disk.create(name))?;
        Ok(self.file(file))
    }

    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        self.noted(self.disk.rename(from, to))
    }

    fn remove(&self, name: &str) -> io::Result<()> {
        self.noted(self.disk.remove(name))
    }

    fn list(&self) -> io::Result<Vec<String>> {
        self.disk.list()
    }

    fn sync_dir(&self) -> io::Result<()> {
        self.noted(self.disk.sync_dir())
    }
}

/// One of its files.
pub(super) struct WatchedFile {
    file: MemFile,
    watch: Watch,
}

impl DiskFile for WatchedFile {
    fn size(&self) -> io::Result<u64> {
        self.file.size()
    }

    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        self.file.read_at(buffer, offset)
    }

    fn write_at(&mut self, buffers: &[IoSlice<'_>], offset: u64) -> io::Result<usize> {
        let outcome = self.file.write_at(buffers, offset);
        self.watch.note();
        outcome
    }

    fn sync_data(&mut self) -> io::Result<()> {
        let outcome = self.file.sync_data();
        self.watch.note();
        outcome
    }
}
