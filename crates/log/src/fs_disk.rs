//! A real directory as a [`Disk`].

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{self, IoSlice};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use crate::disk::{Disk, DiskFile};

/// The file whose lock stands for the directory.
const LOCK: &str = "lock";

/// A directory of the local file system.
#[derive(Debug)]
pub struct FsDisk {
    directory: PathBuf,
    lock: Option<File>,
}

impl FsDisk {
    /// The directory at `path`; it and its missing parents are created, durably.
    ///
    /// # Errors
    /// The path cannot be created or is not a directory.
    pub fn new(path: impl Into<PathBuf>) -> io::Result<Self> {
        let directory = path.into();
        create_durably(&directory)?;
        Ok(Self {
            directory,
            lock: None,
        })
    }

    /// Where the directory is.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.directory
    }
}

/// Creates a directory so that a power loss cannot take it away with the log inside
/// (scenario G04).
fn create_durably(directory: &Path) -> io::Result<()> {
    if directory.is_dir() {
        return Ok(());
    }
    let parent = match directory.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        Some(_) | None => Path::new("."),
    };
    create_durably(parent)?;
    match fs::create_dir(directory) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists && directory.is_dir() => {}
        outcome => outcome?,
    }
    File::open(parent)?.sync_all()
}

impl Disk for FsDisk {
    type File = FsFile;

    fn lock(&mut self) -> io::Result<bool> {
        let path = self.directory.join(LOCK);
        let file = OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(false)
            .open(path)?;
        match file.try_lock() {
            Ok(()) => {
                self.lock = Some(file);
                Ok(true)
            }
            Err(TryLockError::WouldBlock) => Ok(false),
            Err(TryLockError::Error(error)) => Err(error),
        }
    }

    fn open(&self, name: &str) -> io::Result<Option<FsFile>> {
        match OpenOptions::new()
            .read(true)
            .write(true)
            .open(self.directory.join(name))
        {
            Ok(file) => Ok(Some(FsFile { file })),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }

    fn create(&self, name: &str) -> io::Result<FsFile> {
        let mut options = OpenOptions::new();
        options.read(true).write(true).create_new(true);
        Ok(FsFile {
            file: options.open(self.directory.join(name))?,
        })
    }

    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        fs::rename(self.directory.join(from), self.directory.join(to))
    }

    fn remove(&self, name: &str) -> io::Result<()> {
        match fs::remove_file(self.directory.join(name)) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
            outcome => outcome,
        }
    }

    fn list(&self) -> io::Result<Vec<String>> {
        let mut names = Vec::new();
        for item in fs::read_dir(&self.directory)? {
            let item = item?;
            if item.file_type()?.is_file() {
                // A name that is not UTF-8 is none of ours, but it is there: it must keep a
                // directory from passing as empty.
                names.push(item.file_name().to_string_lossy().into_owned());
            }
        }
        Ok(names)
    }

    fn sync_dir(&self) -> io::Result<()> {
        File::open(&self.directory)?.sync_all()
    }
}

/// An open file of an [`FsDisk`].
#[derive(Debug)]
pub struct FsFile {
    file: File,
}

impl DiskFile for FsFile {
    fn size(&self) -> io::Result<u64> {
        Ok(self.file.metadata()?.len())
    }

    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        self.file.read_at(buffer, offset)
    }

    fn write_at(&mut self, buffers: &[IoSlice<'_>], offset: u64) -> io::Result<usize> {
        Ok(rustix::io::pwritev(&self.file, buffers, offset)?)
    }

    fn sync_data(&mut self) -> io::Result<()> {
        self.file.sync_data()
    }
}
