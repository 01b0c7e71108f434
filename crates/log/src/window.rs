//! A window through which a file is read forward, so that a log of any size is read in bounded
//! memory (scenario G13). What the bytes mean is decided by its users.

use crate::disk::DiskFile;
use crate::error::IoFailure;
use crate::frame::{ALIGN, Frame, HEADER, LogSeed, Place, Verified};
use crate::mask::is_zero;
use crate::named_file::NamedFile;
use crate::segment::SECTOR;

/// Bytes read at once, at the most.
pub(crate) const WINDOW: u64 = 64 * 1024;

/// Bytes read at once at first. Whoever wants a few entries reads little more than them; whoever
/// goes on reading gets twice as many each time.
const FIRST_READ: usize = 4 * 1024;

/// Bytes of one file. It does not notice writes, nor that the file is another:
/// [`Window::turn_to`] after each.
#[derive(Default)]
pub(crate) struct Window {
    buffer: Vec<u8>,
    start: u64,
    filled: usize,
    /// Bytes to read at once: of a small file, no more than there are.
    wanted: usize,
    /// Bytes to read next, if so many are wanted.
    next_read: usize,
}

impl Window {
    /// Drops what was read, because the content is another now, or the file: one of `size` bytes.
    pub(crate) fn turn_to(&mut self, size: u64) {
        self.filled = 0;
        self.wanted = usize::try_from(size.min(WINDOW)).unwrap_or_default();
        self.next_read = FIRST_READ;
    }

    /// The bytes `[offset, offset + length)`, fewer at the end of the file that was turned to.
    /// `length` is at most [`WINDOW`].
    pub(crate) fn get<F: DiskFile>(
        &mut self,
        file: &NamedFile<F>,
        offset: u64,
        length: u64,
    ) -> Result<&[u8], IoFailure> {
        let end = self.start + self.filled as u64;
        if offset < self.start || offset + length > end {
            if self.buffer.len() < self.wanted {
                self.buffer.resize(self.wanted, 0);
            }
            self.filled = 0;
            self.filled = self.read(file, offset, length)?;
            self.start = offset;
        }
        let filled = self.buffer.get(..self.filled).unwrap_or_default();
        let skip = usize::try_from(offset - self.start).unwrap_or(usize::MAX);
        let rest = filled.get(skip..).unwrap_or_default();
        let length = usize::try_from(length).unwrap_or(usize::MAX);
        Ok(rest.get(..length).unwrap_or(rest))
    }

    /// Reads `length` bytes and as much more as the window takes; those alone where something
    /// behind them cannot be read and nobody may ever ask for it.
    fn read<F: DiskFile>(
        &mut self,
        file: &NamedFile<F>,
        offset: u64,
        length: u64,
    ) -> Result<usize, IoFailure> {
        let length = usize::try_from(length).unwrap_or(usize::MAX);
        let size = self.next_read.max(length).min(self.wanted);
        self.next_read = self.next_read.saturating_mul(2);
        let all = self.buffer.get_mut(..size).unwrap_or_default();
        match file.read(all, offset) {
            Ok(filled) => Ok(filled),
            Err(failure) => match all.get_mut(..length) {
                Some(needed) => file.read(needed, offset),
                None => Err(failure),
            },
        }
    }

    /// The header at `place`, if one verifies there.
    pub(crate) fn frame<F: DiskFile>(
        &mut self,
        file: &NamedFile<F>,
        seed: LogSeed,
        place: Place,
    ) -> Result<Option<Verified>, IoFailure> {
        let bytes = self.get(file, u64::from(place.offset), HEADER)?;
        Ok(Frame::decode(bytes, seed, place))
    }

    /// Hands the body of `frame` to `take` piece by piece, as it stands on disk and without the
    /// bytes that align the next frame. Whether it verified is known, and returned, only at the
    /// end.
    pub(crate) fn body<F: DiskFile>(
        &mut self,
        file: &NamedFile<F>,
        frame: &Frame,
        mut take: impl FnMut(&[u8]),
    ) -> Result<bool, IoFailure> {
        let end = frame.end();
        let mut at = u64::from(frame.place.offset) + HEADER;
        let mut wanted = frame.length as usize;
        let mut crc = 0;
        while at < end {
            let piece = self.get(file, at, (end - at).min(WINDOW))?;
            if piece.is_empty() {
                return Ok(false);
            }
            crc = crc32c::crc32c_append(crc, piece);
            take(piece.get(..wanted).unwrap_or(piece));
            wanted = wanted.saturating_sub(piece.len());
            at += piece.len() as u64;
        }
        Ok(crc == frame.body_crc)
    }

    /// Whether a whole sector that `[from, to)` touches is all zeros, that is, was never written
    /// since the segment was prepared.
    pub(crate) fn touches_zero_sector<F: DiskFile>(
        &mut self,
        file: &NamedFile<F>,
        from: u64,
        to: u64,
    ) -> Result<bool, IoFailure> {
        let mut sector = from - from % SECTOR;
        while sector < to {
            if is_zero(self.get(file, sector, SECTOR)?) {
                return Ok(true);
            }
            sector += SECTOR;
        }
        Ok(false)
    }

    /// What lies in `[from, to)`, where no batch verifies. `from` is the start of a sector.
    pub(crate) fn residue<F: DiskFile>(
        &mut self,
        file: &NamedFile<F>,
        seed: LogSeed,
        segment: u32,
        (from, to): (u64, u64),
    ) -> Result<Residue, IoFailure> {
        let mut residue = Residue {
            written: false,
            highest_batch: 0,
        };
        let mut sector = from;
        while sector < to {
            if !is_zero(self.get(file, sector, SECTOR)?) {
                residue.written = true;
                for offset in (sector..(sector + SECTOR).min(to)).step_by(ALIGN as usize) {
                    let Ok(offset) = u32::try_from(offset) else {
                        break;
                    };
                    if let Some(found) = self.frame(file, seed, Place { segment, offset })? {
                        residue.highest_batch = residue.highest_batch.max(found.frame.batch);
                    }
                }
            }
            sector += SECTOR;
        }
        Ok(residue)
    }
}

/// What lies beyond the last batch that verifies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Residue {
    /// Whether anything was ever written there.
    pub(crate) written: bool,
    /// The highest batch number in a readable header; zero if there is none.
    pub(crate) highest_batch: u64,
}
