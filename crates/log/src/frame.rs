//! One frame: a header of 56 bytes that verifies on its own, and a body. How frames make up a
//! batch is in `batch.rs` (writing) and `walk.rs` (reading).

use bytes::{Buf, BufMut};
use crc32c::{crc32c, crc32c_append};
use quorate_core::{EntryId, LogIndex, Term};

/// Bytes of a header.
pub(crate) const HEADER: u64 = 56;
/// Frames start on multiples of this.
pub(crate) const ALIGN: u64 = 8;
/// The first bytes of every header. None of them is zero, and neither is the last byte of a
/// header: a sector that holds either end of one is never all zeros (see `mask.rs`).
const MAGIC: [u8; 4] = *b"QFrm";
/// Bytes of a header before those that its checksum covers.
const UNCOVERED: usize = 8;

/// The identity of a log as it enters every checksum: the CRC-32C of its 128-bit id, from which
/// the checksums of headers go on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct LogSeed {
    /// Where checksums of headers start.
    pub(crate) crc: u32,
    /// The id, folded: where keystreams of masks start.
    pub(crate) mask: u64,
}

impl LogSeed {
    /// The seed of the log with this id.
    pub(crate) fn of(log: u128) -> Self {
        let bytes = log.to_le_bytes();
        #[expect(
            clippy::cast_possible_truncation,
            reason = "folding both halves into one"
        )]
        let mask = (log as u64) ^ ((log >> 64) as u64);
        Self {
            crc: crc32c(&bytes),
            mask,
        }
    }

    /// The checksum of `bytes` in this log.
    pub(crate) fn checksum(self, bytes: &[u8]) -> u32 {
        crc32c_append(self.crc, bytes)
    }
}

/// What a frame holds. Numbers not named here are left for later versions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// An entry without a payload.
    Noop,
    /// An entry with a command; the body is the command.
    Command,
    /// An entry with a membership; the body is the membership, encoded.
    Membership,
    /// The end of a batch. Index and term are those of the last entry; the body fills the last
    /// sector.
    Commit,
}

impl Kind {
    /// Whether the frame is one of an entry.
    pub(crate) const fn is_entry(self) -> bool {
        match self {
            Self::Noop | Self::Command | Self::Membership => true,
            Self::Commit => false,
        }
    }

    const fn number(self) -> u8 {
        match self {
            Self::Noop => 1,
            Self::Command => 2,
            Self::Commit => 3,
            Self::Membership => 4,
        }
    }

    const fn from_number(number: u8) -> Option<Self> {
        match number {
            1 => Some(Self::Noop),
            2 => Some(Self::Command),
            3 => Some(Self::Commit),
            4 => Some(Self::Membership),
            _ => None,
        }
    }
}

/// Where a frame stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Place {
    /// The number of the segment.
    pub(crate) segment: u32,
    /// The byte in the segment.
    pub(crate) offset: u32,
}

/// The header of a frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Frame {
    /// What the body is.
    pub(crate) kind: Kind,
    /// Where the frame stands: one found elsewhere is not read.
    pub(crate) place: Place,
    /// The batch it belongs to.
    pub(crate) batch: u64,
    /// The entry, or the last entry of the batch.
    pub(crate) id: EntryId,
    /// Checksum of the header before this one in the log: frames make a chain, across segments.
    pub(crate) previous: u32,
    /// Checksum of the body as it stands on disk, up to the start of the next frame.
    pub(crate) body_crc: u32,
    /// Bytes of the body, without those that align the next frame.
    pub(crate) length: u32,
    /// How the body is masked; zero for not at all.
    pub(crate) mask: u8,
}

/// A header that verified, and its own checksum: the next link of the chain.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Verified {
    /// The header.
    pub(crate) frame: Frame,
    /// Its checksum.
    pub(crate) crc: u32,
}

impl Frame {
    /// The header as bytes, and its checksum.
    pub(crate) fn encode(&self, seed: LogSeed) -> ([u8; HEADER as usize], u32) {
        let mut bytes = [0u8; HEADER as usize];
        let (_, mut covered) = bytes.split_at_mut(UNCOVERED);
        covered.put_u32_le(self.previous);
        covered.put_u32_le(self.body_crc);
        covered.put_u64_le(self.batch);
        covered.put_u64_le(self.id.index.get());
        covered.put_u64_le(self.id.term.get());
        covered.put_u32_le(self.place.segment);
        covered.put_u32_le(self.place.offset);
        covered.put_u32_le(self.length);
        covered.put_slice(&[self.mask, 0, 0, self.kind.number()]);
        let crc = seed.checksum(bytes.get(UNCOVERED..).unwrap_or_default());
        let (mut head, _) = bytes.split_at_mut(UNCOVERED);
        head.put_slice(&MAGIC);
        head.put_u32_le(crc);
        (bytes, crc)
    }

    /// The header that `bytes` hold, if they verify and belong to this log and this place.
    pub(crate) fn decode(mut bytes: &[u8], seed: LogSeed, place: Place) -> Option<Verified> {
        if bytes.len() != HEADER as usize || !bytes.starts_with(&MAGIC) {
            return None;
        }
        bytes.advance(MAGIC.len());
        let crc = bytes.get_u32_le();
        if seed.checksum(bytes) != crc {
            return None;
        }
        let previous = bytes.get_u32_le();
        let body_crc = bytes.get_u32_le();
        let batch = bytes.get_u64_le();
        let index = LogIndex::new(bytes.get_u64_le());
        let term = Term::new(bytes.get_u64_le());
        let found = Place {
            segment: bytes.get_u32_le(),
            offset: bytes.get_u32_le(),
        };
        let length = bytes.get_u32_le();
        let mask = bytes.get_u8();
        bytes.advance(2);
        let kind = Kind::from_number(bytes.get_u8())?;
        let id = EntryId::new(index, term);
        let frame = Self {
            kind,
            place,
            batch,
            id,
            previous,
            body_crc,
            length,
            mask,
        };
        (found == place).then_some(Verified { frame, crc })
    }

    /// Bytes of the body on disk, those that align the next frame included.
    pub(crate) const fn body_on_disk(&self) -> u64 {
        padded(self.length as u64)
    }

    /// The first byte after the frame.
    pub(crate) const fn end(&self) -> u64 {
        self.place.offset as u64 + HEADER + self.body_on_disk()
    }
}

/// `length` rounded up to where the next frame may start.
pub(crate) const fn padded(length: u64) -> u64 {
    length.next_multiple_of(ALIGN)
}
