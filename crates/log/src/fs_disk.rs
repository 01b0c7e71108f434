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
        create_durably(&directory, &mut sync_directory)?;
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
/// (scenario G04). `sync` makes the names in a directory durable.
fn create_durably(
    directory: &Path,
    sync: &mut impl FnMut(&Path) -> io::Result<()>,
) -> io::Result<()> {
    let parent = match directory.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        Some(_) | None => Path::new("."),
    };
    if directory.is_dir() {
        // An earlier start may have created it and crashed before its name was durable. What is
        // above was durable before that. Whoever may not look into the parent did not create it.
        return match sync(parent) {
            Err(error) if error.kind() == io::ErrorKind::PermissionDenied => Ok(()),
            outcome => outcome,
        };
    }
    create_durably(parent, sync)?;
    match fs::create_dir(directory) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists && directory.is_dir() => {}
        outcome => outcome?,
    }
    sync(parent)
}

fn sync_directory(directory: &Path) -> io::Result<()> {
    File::open(directory)?.sync_all()
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
        sync_directory(&self.directory)
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

#[cfg(test)]
mod tests {
    use super::*;

    /// Creates `directory`. Returns in which directories names were made durable, in order.
    fn synced(directory: &Path) -> Vec<PathBuf> {
        let mut synced = Vec::new();
        let mut sync = |directory: &Path| {
            synced.push(directory.to_owned());
            Ok(())
        };
        create_durably(directory, &mut sync).unwrap();
        assert!(directory.is_dir());
        synced
    }

    /// Scenario G04: whoever created it may have crashed before it was durable.
    #[test]
    fn a_directory_that_exists_is_made_durable_too() {
        let root = tempfile::tempdir().unwrap();
        let (a, root) = (root.path().join("a"), root.path());
        let (b, c) = (a.join("b"), a.join("b/c"));
        fs::create_dir(&a).unwrap();
        assert_eq!(synced(&c), [root, &a, &b], "the names of a, b and c");
        assert_eq!(synced(&c), [&*b], "an earlier start may have got this far");
    }

    /// Whoever may not look into the parent has not created the directory.
    #[test]
    fn a_directory_that_exists_in_one_that_is_not_readable_is_taken_as_it_is() {
        let root = tempfile::tempdir().unwrap();
        let mut refuse = |_: &Path| Err(io::ErrorKind::PermissionDenied.into());
        assert!(create_durably(root.path(), &mut refuse).is_ok());
        let missing = root.path().join("a");
        let refused = create_durably(&missing, &mut refuse);
        let kind = refused.map_err(|error| error.kind());
        assert_eq!(
            kind,
            Err(io::ErrorKind::PermissionDenied),
            "its name may be lost"
        );
    }
}
