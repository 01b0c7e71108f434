//! A file that knows its name, so that every failure can tell it, and the loops that turn short
//! reads and writes into whole ones. Meaning is given to bytes elsewhere.

use std::io::{self, IoSlice};

use crate::disk::{Disk, DiskFile};
use crate::error::{IoFailure, Operation};

/// Buffers that one vectored write may carry (`IOV_MAX` of Linux).
const MAX_BUFFERS: usize = 1024;

/// Zeros to write. Several slices of them go into one write.
static ZEROS: [u8; 64 * 1024] = [0; 64 * 1024];
/// Slices of [`ZEROS`] in one write: 1 MiB.
const ZERO_SLICES: usize = 16;

/// An open file with its name.
pub(crate) struct NamedFile<F> {
    file: F,
    name: String,
}

impl<F: DiskFile> NamedFile<F> {
    /// Opens `name`, if it is there.
    pub(crate) fn open<D: Disk<File = F>>(disk: &D, name: &str) -> Result<Option<Self>, IoFailure> {
        let file = disk
            .open(name)
            .map_err(IoFailure::at(Operation::Open, name))?;
        Ok(file.map(|file| Self {
            file,
            name: name.to_owned(),
        }))
    }

    /// Creates `name`.
    pub(crate) fn create<D: Disk<File = F>>(disk: &D, name: &str) -> Result<Self, IoFailure> {
        let file = disk
            .create(name)
            .map_err(IoFailure::at(Operation::Create, name))?;
        Ok(Self {
            file,
            name: name.to_owned(),
        })
    }

    /// Renames the file, durably, replacing the one that had the name.
    pub(crate) fn rename<D: Disk<File = F>>(
        &mut self,
        disk: &D,
        to: &str,
    ) -> Result<(), IoFailure> {
        disk.rename(&self.name, to)
            .map_err(IoFailure::at(Operation::Rename, &self.name))?;
        to.clone_into(&mut self.name);
        disk.sync_dir().map_err(IoFailure::at(Operation::Sync, "."))
    }

    /// The name.
    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    /// The length in bytes.
    pub(crate) fn size(&self) -> Result<u64, IoFailure> {
        self.file
            .size()
            .map_err(IoFailure::at(Operation::Read, &self.name))
    }

    /// Fills `buffer` from `offset` on, as far as the file reaches. Returns how far it did.
    pub(crate) fn read(&self, buffer: &mut [u8], offset: u64) -> Result<usize, IoFailure> {
        let mut filled = 0usize;
        while let Some(rest) = buffer.get_mut(filled..).filter(|rest| !rest.is_empty()) {
            match self.file.read_at(rest, offset + filled as u64) {
                Ok(0) => break,
                Ok(count) => filled += count,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(IoFailure::at(Operation::Read, &self.name)(error)),
            }
        }
        Ok(filled)
    }

    /// Writes all of `buffers` from `offset` on. They are used up. Returns how many bytes.
    pub(crate) fn write_all(
        &mut self,
        mut buffers: &mut [IoSlice<'_>],
        offset: u64,
    ) -> Result<u64, IoFailure> {
        let mut written = 0u64;
        IoSlice::advance_slices(&mut buffers, 0);
        while let Some(some) = buffers.chunks(MAX_BUFFERS).next() {
            match self.file.write_at(some, offset + written) {
                Ok(0) => {
                    let error = io::Error::from(io::ErrorKind::WriteZero);
                    return Err(IoFailure::at(Operation::Write, &self.name)(error));
                }
                Ok(count) => {
                    written += count as u64;
                    IoSlice::advance_slices(&mut buffers, count);
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(IoFailure::at(Operation::Write, &self.name)(error)),
            }
        }
        Ok(written)
    }

    /// Writes zeros over the bytes `[from, to)`.
    pub(crate) fn write_zeros(&mut self, from: u64, to: u64) -> Result<(), IoFailure> {
        let mut at = from;
        while at < to {
            let mut left = to - at;
            let mut slices = [IoSlice::new(&[]); ZERO_SLICES];
            for slice in &mut slices {
                let count = usize::try_from(left).unwrap_or(usize::MAX).min(ZEROS.len());
                *slice = IoSlice::new(ZEROS.get(..count).unwrap_or(&ZEROS));
                left -= count as u64;
            }
            at += self.write_all(&mut slices, at)?;
        }
        Ok(())
    }

    /// Makes content and length durable.
    pub(crate) fn sync(&mut self) -> Result<(), IoFailure> {
        self.file
            .sync_data()
            .map_err(IoFailure::at(Operation::Sync, &self.name))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A file that moves three bytes a call, when it is not interrupted.
    struct Drip {
        content: Vec<u8>,
        calls: std::cell::Cell<u32>,
    }

    impl Drip {
        fn call(&self) -> io::Result<()> {
            self.calls.set(self.calls.get() + 1);
            if self.calls.get().is_multiple_of(2) {
                return Err(io::ErrorKind::Interrupted.into());
            }
            Ok(())
        }
    }

    impl DiskFile for Drip {
        fn size(&self) -> io::Result<u64> {
            Ok(self.content.len() as u64)
        }

        fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
            self.call()?;
            let rest = self.content.get(offset as usize..).unwrap_or_default();
            let count = rest.len().min(buffer.len()).min(3);
            buffer[..count].copy_from_slice(&rest[..count]);
            Ok(count)
        }

        fn write_at(&mut self, buffers: &[IoSlice<'_>], offset: u64) -> io::Result<usize> {
            self.call()?;
            let given = buffers.iter().flat_map(|buffer| buffer.iter());
            self.content.truncate(offset as usize);
            self.content.extend(given.take(3));
            Ok(self.content.len() - offset as usize)
        }

        fn sync_data(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    /// Fault table row 13
    #[test]
    fn short_and_interrupted_reads_and_writes_become_whole_ones() {
        let file = Drip {
            content: Vec::new(),
            calls: std::cell::Cell::new(0),
        };
        let name = "drip".to_owned();
        let mut file = NamedFile { file, name };
        let mut buffers = [IoSlice::new(b"sixte"), IoSlice::new(b"en bytes...")];
        assert_eq!(file.write_all(&mut buffers, 0).unwrap(), 16);
        let mut buffer = [0; 20];
        assert_eq!(file.read(&mut buffer, 0).unwrap(), 16, "up to the end");
        assert_eq!(&buffer[..16], b"sixteen bytes...");
        assert_eq!(file.read(&mut buffer[..7], 4).unwrap(), 7);
        assert_eq!(&buffer[..7], b"een byt");
    }
}
