//! Segment files: their names, their first sector, and how the next one is prepared ahead of
//! need. What is written into them is in `batch.rs`.

use std::io::IoSlice;

use bytes::{Buf, BufMut};

use crate::disk::{Disk, DiskFile};
use crate::error::{Damage, DamageKind, IoFailure, OpenError, Operation};
use crate::frame::LogSeed;
use crate::named_file::NamedFile;

/// The unit that an interrupted write changes wholly or not at all. Batches start and end on
/// its boundaries.
pub(crate) const SECTOR: u64 = 512;
/// Where the first batch of a segment starts. The sector before it is the segment's header.
pub(crate) const FIRST_BATCH: u64 = SECTOR;
/// Version of everything in the directory.
pub(crate) const FORMAT_VERSION: u32 = 1;
/// The number of the first segment.
pub(crate) const FIRST_SEGMENT: u32 = 1;

/// The next segment while it is being zeroed. Never part of the log under this name.
pub(crate) const SPARE: &str = "spare";
const PREFIX: &str = "segment-";
const MAGIC: [u8; 4] = *b"QSeg";
/// Bytes of the header before those that its checksum covers.
const UNCOVERED: usize = 8;

/// The name of segment `number`.
pub(crate) fn name(number: u32) -> String {
    format!("{PREFIX}{number:010}")
}

/// The number of the segment with this name.
pub(crate) fn number(file: &str) -> Option<u32> {
    let number = file.strip_prefix(PREFIX)?.parse().ok()?;
    // Only the one spelling that `name` gives: a backup copy is no segment.
    (name(number) == file).then_some(number)
}

/// An open segment, complete and durable under its name.
pub(crate) struct Segment<F> {
    /// The file.
    pub(crate) file: NamedFile<F>,
    /// Its number.
    pub(crate) number: u32,
    /// Its length in bytes.
    pub(crate) size: u64,
}

impl<F: DiskFile> Segment<F> {
    /// Opens segment `number` and verifies its header.
    pub(crate) fn open<D: Disk<File = F>>(
        disk: &D,
        seed: LogSeed,
        number: u32,
    ) -> Result<Self, OpenError> {
        let name = name(number);
        let damaged = |kind| Damage {
            file: name.clone(),
            offset: 0,
            index: None,
            kind,
        };
        let file = NamedFile::open(disk, &name)?.ok_or_else(|| damaged(DamageKind::Missing))?;
        let mut header = [0u8; SECTOR as usize];
        let filled = file.read(&mut header, 0)?;
        let header = header.get(..filled).unwrap_or_default();
        let (version, size) =
            decode(header, seed, number).ok_or_else(|| damaged(DamageKind::Header))?;
        if version != FORMAT_VERSION {
            return Err(OpenError::NewerFormat {
                file: name,
                version,
            });
        }
        let length = file.size()?;
        if length != size {
            let damage = Damage {
                offset: length.min(size),
                ..damaged(DamageKind::Length)
            };
            return Err(damage.into());
        }
        Ok(Self { file, number, size })
    }
}

/// A segment in the making: zeroed portion by portion under the name [`SPARE`], which means
/// nothing at a restart, then given its header and, by a rename, its name. So whatever has the
/// name of a segment was complete and durable before (scenario G04).
pub(crate) struct Spare<F> {
    file: NamedFile<F>,
    zeroed: u64,
}

impl<F: DiskFile> Spare<F> {
    /// Starts from nothing. An attempt that found no room may have left its file behind.
    pub(crate) fn create<D: Disk<File = F>>(disk: &D) -> Result<Self, IoFailure> {
        disk.remove(SPARE)
            .map_err(IoFailure::at(Operation::Remove, SPARE))?;
        Ok(Self {
            file: NamedFile::create(disk, SPARE)?,
            zeroed: 0,
        })
    }

    /// Zeroes at most `budget` further bytes of `size`, durably. Whether all are zeroed now.
    pub(crate) fn zero(&mut self, size: u64, budget: u64) -> Result<bool, IoFailure> {
        if self.zeroed < size {
            let portion = budget.max(SECTOR).checked_next_multiple_of(SECTOR);
            let portion = portion.unwrap_or(u64::MAX);
            let to = self.zeroed.saturating_add(portion).min(size);
            self.file.write_zeros(self.zeroed, to)?;
            self.file.sync()?;
            self.zeroed = to;
        }
        Ok(self.zeroed >= size)
    }

    /// Zeroes what is left and makes it segment `number`, of at least `size` bytes.
    pub(crate) fn finish<D: Disk<File = F>>(
        mut self,
        disk: &D,
        seed: LogSeed,
        number: u32,
        size: u64,
    ) -> Result<Segment<F>, IoFailure> {
        self.zero(size, u64::MAX / 2)?;
        let size = self.zeroed;
        let mut file = self.file;
        file.write_all(&mut [IoSlice::new(&encode(seed, number, size))], 0)?;
        file.sync()?;
        file.rename(disk, &name(number))?;
        Ok(Segment { file, number, size })
    }
}

/// The header of segment `number`.
fn encode(seed: LogSeed, number: u32, size: u64) -> [u8; SECTOR as usize] {
    let mut bytes = [0u8; SECTOR as usize];
    let (_, mut covered) = bytes.split_at_mut(UNCOVERED);
    covered.put_u32_le(FORMAT_VERSION);
    covered.put_u32_le(number);
    covered.put_u64_le(size);
    let crc = seed.checksum(bytes.get(UNCOVERED..).unwrap_or_default());
    let (mut head, _) = bytes.split_at_mut(UNCOVERED);
    head.put_slice(&MAGIC);
    head.put_u32_le(crc);
    bytes
}

/// Version and size in the header of segment `number`, if it verifies.
fn decode(mut bytes: &[u8], seed: LogSeed, number: u32) -> Option<(u32, u64)> {
    if bytes.len() != SECTOR as usize || !bytes.starts_with(&MAGIC) {
        return None;
    }
    bytes.advance(MAGIC.len());
    let crc = bytes.get_u32_le();
    if seed.checksum(bytes) != crc {
        return None;
    }
    let version = bytes.get_u32_le();
    (bytes.get_u32_le() == number).then(|| (version, bytes.get_u64_le()))
}
