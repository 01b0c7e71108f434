//! A file of two checksummed slots, each of one sector, so that no interrupted write can take
//! both. What the slots say is in `hard_state_file.rs` and `witness.rs`.

use std::io::IoSlice;

use bytes::{Buf, BufMut};

use crate::disk::{Disk, DiskFile};
use crate::error::{Damage, DamageKind, IoFailure, OpenError};
use crate::frame::LogSeed;
use crate::named_file::NamedFile;
use crate::segment::{FORMAT_VERSION, SECTOR};

/// Bytes of content that a slot has room for.
pub(crate) const CONTENT: usize = 128;
/// What a slot says.
pub(crate) type Content = [u8; CONTENT];

/// From one slot to the next: slots never share a block, whatever the sector size.
const STRIDE: u64 = 4096;
/// Bytes before those that the checksum covers.
const UNCOVERED: usize = 8;

/// One of the two slots.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Slot {
    /// The first.
    A,
    /// The second.
    B,
}

impl Slot {
    /// The slot that this one is not.
    pub(crate) const fn other(self) -> Self {
        match self {
            Self::A => Self::B,
            Self::B => Self::A,
        }
    }

    const fn offset(self) -> u64 {
        match self {
            Self::A => 0,
            Self::B => STRIDE,
        }
    }
}

/// The newest slot of a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Newest {
    /// Which.
    pub(crate) slot: Slot,
    /// Counts the saves.
    pub(crate) generation: u64,
    /// What it says.
    pub(crate) content: Content,
    /// What the other slot says, if it verifies too.
    pub(crate) other: Option<Content>,
}

/// A file of two slots.
pub(crate) struct SlotFile<F> {
    file: NamedFile<F>,
    magic: [u8; 4],
    seed: LogSeed,
}

impl<F: DiskFile> SlotFile<F> {
    /// Creates the file, both slots alike with generation 1. Durable on return, but for the name.
    pub(crate) fn create<D: Disk<File = F>>(
        disk: &D,
        name: &str,
        magic: [u8; 4],
        seed: LogSeed,
        content: &Content,
    ) -> Result<Self, IoFailure> {
        let mut file = Self {
            file: NamedFile::create(disk, name)?,
            magic,
            seed,
        };
        file.file.write_zeros(0, STRIDE * 2)?;
        file.save(Slot::A, 1, content)?;
        file.save(Slot::B, 1, content)?;
        Ok(file)
    }

    /// Opens the file and finds its newest slot.
    pub(crate) fn open<D: Disk<File = F>>(
        disk: &D,
        name: &str,
        magic: [u8; 4],
        seed: LogSeed,
    ) -> Result<(Self, Newest), OpenError> {
        let damaged = |kind| Damage {
            file: name.to_owned(),
            offset: 0,
            index: None,
            kind,
        };
        let file = NamedFile::open(disk, name)?.ok_or_else(|| damaged(DamageKind::Missing))?;
        let file = Self { file, magic, seed };
        let (a, b) = (file.read(Slot::A)?, file.read(Slot::B)?);
        let displaced = a.displaced().max(b.displaced());
        let newest = match (a.own(), b.own()) {
            (None, None) => return Err(damaged(DamageKind::NoCopy).into()),
            (Some(a), None) => a.newest(Slot::A, None),
            (None, Some(b)) => b.newest(Slot::B, None),
            (Some(a), Some(b)) if a.generation >= b.generation => a.newest(Slot::A, Some(b)),
            (Some(a), Some(b)) => b.newest(Slot::B, Some(a)),
        };
        // It was meant for the other slot, where something older stands, and went astray.
        if displaced > Some(newest.generation) {
            return Err(damaged(DamageKind::Displaced).into());
        }
        if newest.other.is_none() {
            tracing::warn!(
                target: "quorate::log",
                file = name,
                "one of the two copies does not verify; the other one is used"
            );
        }
        Ok((file, newest))
    }

    /// Writes one slot and syncs it.
    pub(crate) fn save(
        &mut self,
        slot: Slot,
        generation: u64,
        content: &Content,
    ) -> Result<(), IoFailure> {
        let bytes = self.encode(slot, generation, content);
        self.file
            .write_all(&mut [IoSlice::new(&bytes)], slot.offset())?;
        self.file.sync()
    }

    fn encode(&self, slot: Slot, generation: u64, content: &Content) -> [u8; SECTOR as usize] {
        let mut bytes = [0u8; SECTOR as usize];
        let (_, mut covered) = bytes.split_at_mut(UNCOVERED);
        covered.put_u32_le(FORMAT_VERSION);
        // The slot names itself: one that was written over the other does not verify there.
        covered.put_u32_le(if slot == Slot::A { 0 } else { 1 });
        covered.put_u64_le(generation);
        covered.put_slice(content);
        let crc = self
            .seed
            .checksum(bytes.get(UNCOVERED..).unwrap_or_default());
        let (mut head, _) = bytes.split_at_mut(UNCOVERED);
        head.put_slice(&self.magic);
        head.put_u32_le(crc);
        bytes
    }

    fn read(&self, slot: Slot) -> Result<Sector, OpenError> {
        let mut sector = [0u8; SECTOR as usize];
        let filled = self.file.read(&mut sector, slot.offset())?;
        let mut bytes = sector.as_slice();
        if filled < sector.len() || !bytes.starts_with(&self.magic) {
            return Ok(Sector::Broken);
        }
        bytes.advance(self.magic.len());
        if bytes.get_u32_le() != self.seed.checksum(bytes) {
            return Ok(Sector::Broken);
        }
        let version = bytes.get_u32_le();
        if version != FORMAT_VERSION {
            return Err(OpenError::NewerFormat {
                file: self.file.name().to_owned(),
                version,
            });
        }
        let is_own = bytes.get_u32_le() == if slot == Slot::A { 0 } else { 1 };
        let generation = bytes.get_u64_le();
        if !is_own {
            return Ok(Sector::Displaced { generation });
        }
        let mut content = [0u8; CONTENT];
        bytes.copy_to_slice(&mut content);
        Ok(Sector::Own(Stored {
            generation,
            content,
        }))
    }
}

/// What stands in the place of a slot.
enum Sector {
    /// What was written to it.
    Own(Stored),
    /// What was meant for the other slot, in this generation.
    Displaced { generation: u64 },
    /// Nothing that verifies.
    Broken,
}

impl Sector {
    fn own(self) -> Option<Stored> {
        match self {
            Self::Own(stored) => Some(stored),
            Self::Displaced { .. } | Self::Broken => None,
        }
    }

    const fn displaced(&self) -> Option<u64> {
        match self {
            Self::Displaced { generation } => Some(*generation),
            Self::Own(_) | Self::Broken => None,
        }
    }
}

/// A slot that verified.
struct Stored {
    generation: u64,
    content: Content,
}

impl Stored {
    fn newest(self, slot: Slot, other: Option<Self>) -> Newest {
        Newest {
            slot,
            generation: self.generation,
            content: self.content,
            other: other.map(|other| other.content),
        }
    }
}
