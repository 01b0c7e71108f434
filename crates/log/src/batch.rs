//! Builds one batch: entry frames, closed by a commit frame that fills the last sector. One batch
//! is one write. Where it goes and when it is synced is decided in `log.rs`.

use std::io::IoSlice;

use bytes::Bytes;
use crc32c::{crc32c, crc32c_append};
use quorate_core::{Entry, EntryId, Payload};

use crate::disk::DiskFile;
use crate::error::IoFailure;
use crate::frame::{ALIGN, Frame, HEADER, Kind, LogSeed, Place, padded};
use crate::mask::{fills_a_sector_with_zeros, masked};
use crate::named_file::NamedFile;
use crate::segment::SECTOR;

/// Payloads below this are copied beside their headers: cheaper than a buffer of their own.
const COPY_BELOW: usize = 1024;
/// What fills the last sector. Not zero (see `mask.rs`).
const FILLER: [u8; SECTOR as usize] = [0xC5; SECTOR as usize];

/// What aligns the next frame after a body.
const ALIGNMENT: [u8; ALIGN as usize] = [0; ALIGN as usize];

/// A stretch of the batch.
enum Piece {
    /// This many bytes of the buffer, after those of the pieces before.
    Buffered(usize),
    /// A payload, written from where it is.
    Payload(Bytes),
}

/// Where a batch starts and what it follows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Start {
    /// The segment.
    pub(crate) segment: u32,
    /// The byte in it; a sector boundary.
    pub(crate) offset: u64,
    /// Checksum of the last header before the batch.
    pub(crate) chain: u32,
    /// The batch's number.
    pub(crate) number: u64,
}

/// A batch in the making. Its buffers are used again and again.
pub(crate) struct BatchBuilder {
    seed: LogSeed,
    start: Start,
    length: u64,
    chain: u32,
    last: EntryId,
    buffer: Vec<u8>,
    pieces: Vec<Piece>,
}

/// Bytes that an entry adds to a batch.
pub(crate) fn entry_bytes(entry: &Entry) -> u64 {
    HEADER + padded(entry.payload.bytes().len() as u64)
}

impl BatchBuilder {
    /// An empty batch at `start`.
    pub(crate) fn new(seed: LogSeed, start: Start) -> Self {
        let (buffer, pieces) = (Vec::new(), Vec::new());
        Self {
            seed,
            start,
            length: 0,
            chain: start.chain,
            last: EntryId::NONE,
            buffer,
            pieces,
        }
    }

    /// Forgets the batch and begins another.
    pub(crate) fn begin(&mut self, start: Start) {
        self.start = start;
        self.length = 0;
        self.chain = start.chain;
        self.last = EntryId::NONE;
        self.buffer.clear();
        self.pieces.clear();
    }

    /// Where the batch starts.
    pub(crate) const fn start(&self) -> Start {
        self.start
    }

    /// Whether nothing was pushed.
    pub(crate) const fn is_empty(&self) -> bool {
        self.length == 0
    }

    /// Where the batch would end with `more` further bytes of entries and its commit frame.
    pub(crate) const fn end_with(&self, more: u64) -> u64 {
        (self.start.offset + self.length + more + HEADER).next_multiple_of(SECTOR)
    }

    /// The first byte after what was pushed so far.
    pub(crate) const fn end(&self) -> u64 {
        self.start.offset + self.length
    }

    /// The checksum of the last header so far.
    pub(crate) const fn chain(&self) -> u32 {
        self.chain
    }

    /// Adds an entry; returns where it stands. `None` if the batch would reach beyond 4 GiB,
    /// or no mask fits: nothing is added then.
    pub(crate) fn push(&mut self, entry: &Entry) -> Option<Place> {
        let kind = match entry.payload {
            Payload::Noop => Kind::Noop,
            Payload::Command(_) => Kind::Command,
            Payload::Membership(_) => Kind::Membership,
        };
        let payload = entry.payload.bytes();
        if self.end_with(entry_bytes(entry)) > u64::from(u32::MAX) {
            return None;
        }
        let length = u32::try_from(payload.len()).ok()?;
        let place = self.place();
        let body_start = u64::from(place.offset) + HEADER;
        let (body, mask) = if fills_a_sector_with_zeros(payload, body_start) {
            let (bytes, number) = masked(payload, body_start, self.seed)?;
            (Body::Owned(bytes), number)
        } else {
            (Body::Of(entry), 0)
        };
        let padding = padded(u64::from(length)) - u64::from(length);
        let padding = ALIGNMENT.get(..usize::try_from(padding).ok()?)?;
        let body_crc = crc32c_append(crc32c(body.bytes()), padding);
        self.header(Frame {
            kind,
            place,
            batch: self.start.number,
            id: entry.id(),
            previous: self.chain,
            body_crc,
            length,
            mask,
        });
        self.body(body);
        self.copy(padding);
        self.last = entry.id();
        Some(place)
    }

    /// Adds the commit frame: the batch is complete.
    pub(crate) fn close(&mut self) {
        let place = self.place();
        let length = self.end_with(0) - (self.start.offset + self.length + HEADER);
        let filler = usize::try_from(length)
            .ok()
            .and_then(|length| FILLER.get(..length));
        let filler = filler.unwrap_or_default();
        self.header(Frame {
            kind: Kind::Commit,
            place,
            batch: self.start.number,
            id: self.last,
            previous: self.chain,
            body_crc: crc32c(filler),
            length: u32::try_from(filler.len()).unwrap_or_default(),
            mask: 0,
        });
        self.copy(filler);
    }

    /// Writes the batch into the file of its segment. Returns how many bytes.
    pub(crate) fn write<F: DiskFile>(&self, file: &mut NamedFile<F>) -> Result<u64, IoFailure> {
        if let [Piece::Buffered(_)] = self.pieces.as_slice() {
            return file.write_all(&mut [IoSlice::new(&self.buffer)], self.start.offset);
        }
        let mut rest = self.buffer.as_slice();
        let mut slices = Vec::with_capacity(self.pieces.len());
        for piece in &self.pieces {
            slices.push(IoSlice::new(match piece {
                Piece::Buffered(length) => {
                    let (bytes, after) = rest.split_at_checked(*length).unwrap_or((rest, &[]));
                    rest = after;
                    bytes
                }
                Piece::Payload(bytes) => bytes,
            }));
        }
        file.write_all(&mut slices, self.start.offset)
    }

    /// Where the next frame goes. `push` keeps it within 32 bits.
    fn place(&self) -> Place {
        let offset = u32::try_from(self.start.offset + self.length).unwrap_or(u32::MAX);
        Place {
            segment: self.start.segment,
            offset,
        }
    }

    fn header(&mut self, frame: Frame) {
        let (bytes, crc) = frame.encode(self.seed);
        self.chain = crc;
        self.copy(&bytes);
    }

    fn body(&mut self, body: Body<'_>) {
        if body.bytes().len() < COPY_BELOW {
            return self.copy(body.bytes());
        }
        let bytes = match body {
            Body::Owned(bytes) => Bytes::from(bytes),
            Body::Of(Entry {
                payload: Payload::Command(bytes) | Payload::Membership(bytes),
                ..
            }) => bytes.clone(),
            Body::Of(Entry {
                payload: Payload::Noop,
                ..
            }) => return,
        };
        self.length += bytes.len() as u64;
        self.pieces.push(Piece::Payload(bytes));
    }

    fn copy(&mut self, bytes: &[u8]) {
        if bytes.is_empty() {
            return;
        }
        self.buffer.extend_from_slice(bytes);
        self.length += bytes.len() as u64;
        if let Some(Piece::Buffered(length)) = self.pieces.last_mut() {
            *length += bytes.len();
        } else {
            self.pieces.push(Piece::Buffered(bytes.len()));
        }
    }
}

/// The body of an entry frame as it goes to disk.
enum Body<'a> {
    /// The payload as it is.
    Of(&'a Entry),
    /// A masked copy.
    Owned(Vec<u8>),
}

impl Body<'_> {
    fn bytes(&self) -> &[u8] {
        match self {
            Self::Of(entry) => entry.payload.bytes(),
            Self::Owned(bytes) => bytes,
        }
    }
}
