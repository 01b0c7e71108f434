//! What the log asks of a disk. Small on purpose, so that a simulator can stand in for it. The
//! real directory is in `fs_disk.rs`, the one in memory in `mem_disk/`.

use std::io::{self, IoSlice};

/// One directory of files. Names are plain: no separators, nothing hidden.
///
/// The log relies on what `FORMAT.md` lists under "What is assumed of the disk": above all,
/// neither content nor name of a file is durable before its sync returned.
pub trait Disk: Send + 'static {
    /// An open file.
    type File: DiskFile;

    /// Takes the exclusive lock of the directory and keeps it until the disk is dropped.
    /// `false` if somebody else holds it (scenario G09).
    ///
    /// # Errors
    /// The lock could be neither taken nor found taken.
    fn lock(&mut self) -> io::Result<bool>;

    /// Opens a file for reading and writing; `None` if there is none of that name.
    ///
    /// # Errors
    /// The disk failed.
    fn open(&self, name: &str) -> io::Result<Option<Self::File>>;

    /// Creates an empty file for reading and writing.
    ///
    /// # Errors
    /// The name is taken, or the disk failed.
    fn create(&self, name: &str) -> io::Result<Self::File>;

    /// Gives a file another name, replacing the file that had it. Whatever happens, the new name
    /// stands for the old file or for the new one, never for nothing.
    ///
    /// # Errors
    /// There is no file `from`, or the disk failed.
    fn rename(&self, from: &str, to: &str) -> io::Result<()>;

    /// Removes a file. One that is not there is removed already.
    ///
    /// # Errors
    /// The disk failed.
    fn remove(&self, name: &str) -> io::Result<()>;

    /// The names of the regular files, in no particular order.
    ///
    /// # Errors
    /// The disk failed.
    fn list(&self) -> io::Result<Vec<String>>;

    /// Makes every name that was created, changed or removed durable.
    ///
    /// # Errors
    /// The disk failed; the names may or may not be durable.
    fn sync_dir(&self) -> io::Result<()>;
}

/// An open file. It stays the same file when it gets another name.
pub trait DiskFile: Send + 'static {
    /// The length in bytes.
    ///
    /// # Errors
    /// The disk failed.
    fn size(&self) -> io::Result<u64>;

    /// Reads into `buffer` from the byte at `offset` on. Returns how many bytes it read, perhaps
    /// fewer than asked; zero only at the end of the file.
    ///
    /// # Errors
    /// The disk failed.
    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize>;

    /// Writes the buffers one after the other, from the byte at `offset` on. Returns how many
    /// bytes it wrote, perhaps fewer than asked. At most 1024 buffers are given.
    ///
    /// # Errors
    /// The disk failed; any part may have been written.
    fn write_at(&mut self, buffers: &[IoSlice<'_>], offset: u64) -> io::Result<usize>;

    /// Makes content and length durable (`fdatasync`). The name is durable only after
    /// [`Disk::sync_dir`].
    ///
    /// # Errors
    /// The disk failed. What was written since the last successful sync may be lost, and a
    /// later success says nothing about it (scenario G03).
    fn sync_data(&mut self) -> io::Result<()>;
}
