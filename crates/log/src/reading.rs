//! Reading entries back, each verified again. The disk may have rotted since it was opened; that
//! is told, and harms nothing else.

use bytes::{Bytes, BytesMut};
use quorate_core::{Entries, Entry, EntryId, LogIndex, Payload};

use crate::cursors::{Cursor, Cursors};
use crate::disk::Disk;
use crate::error::{Damage, DamageKind, OpenError, StorageError};
use crate::frame::{Frame, Kind, Verified};
use crate::log::Log;
use crate::mask::Masking;
use crate::positions::Stretch;
use crate::segment::{self, Segment};
use crate::window::Window;

/// What [`Log::read`] found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ReadOutcome {
    /// The first entries of those asked for; at least one.
    Found(Entries),
    /// The log does not hold them, or no longer.
    Gone,
}

/// The segment that was read last, kept open, and where reads stopped.
pub(crate) struct SegmentReader<F> {
    segment: Option<Segment<F>>,
    window: Window,
    cursors: Cursors,
}

impl<F> Default for SegmentReader<F> {
    fn default() -> Self {
        Self {
            segment: None,
            window: Window::default(),
            cursors: Cursors::default(),
        }
    }
}

impl<D: Disk> Log<D> {
    /// Reads the entries from `from` up to at most `to`, inclusive, as many as fit into
    /// `limit_bytes` counted as [`Entry::size_bytes`], but always one (scenario B19).
    ///
    /// A log that holds another entry than `to` at its index has changed since it was asked:
    /// the answer is [`ReadOutcome::Gone`].
    ///
    /// # Errors
    /// What is read does not verify, or the disk failed. Writing goes on, and so does reading
    /// elsewhere.
    pub fn read(
        &mut self,
        from: LogIndex,
        to: EntryId,
        limit_bytes: u64,
    ) -> Result<ReadOutcome, StorageError> {
        self.check_usable()?;
        let known = self.terms.at(to.index) == Some(to.term);
        if !known || from == LogIndex::NONE || from > to.index {
            return Ok(ReadOutcome::Gone);
        }
        let mut found = Gathered::new(from, to.index, limit_bytes);
        let mut stopped = None;
        // Of what was read before, all behind the end of the log may be other bytes now.
        if let Some(segment) = &self.reader.segment {
            self.reader.window.turn_to(segment.size);
        }
        while !found.complete {
            let Some(Stretch { mark, until }) = self.positions.stretch(found.next) else {
                break;
            };
            // Taken out before anything can fail: a read that fails leaves no cursor.
            let taken = self.reader.cursors.take(found.next, mark);
            self.open_segment(mark.place.segment)?;
            let start = taken.unwrap_or_else(|| Cursor::at(mark));
            stopped = self.read_stretch(start, until, &mut found)?.or(stopped);
        }
        if let Some(cursor) = stopped {
            self.reader.cursors.keep(cursor);
        }
        Ok(ReadOutcome::Found(found.into_entries()))
    }

    fn open_segment(&mut self, number: u32) -> Result<(), StorageError> {
        if self
            .reader
            .segment
            .as_ref()
            .is_some_and(|segment| segment.number == number)
        {
            return Ok(());
        }
        // Not to be read through the window of another, should this one not open.
        self.reader.segment = None;
        match Segment::open(&self.disk, self.seed, number) {
            Ok(segment) => {
                self.reader.window.turn_to(segment.size);
                self.reader.segment = Some(segment);
                Ok(())
            }
            Err(OpenError::Io(failure)) => Err(failure.into()),
            Err(OpenError::Damaged(damage)) => Err(damage.into()),
            // A header of another version, where this program wrote one, has rotted too.
            Err(
                OpenError::NewerFormat { .. }
                | OpenError::InUse
                | OpenError::WrongOwner { .. }
                | OpenError::NotEmpty { .. }
                | OpenError::InvalidOptions { .. },
            ) => {
                let (file, kind) = (segment::name(number), DamageKind::Header);
                Err(Damage {
                    file,
                    offset: 0,
                    index: None,
                    kind,
                }
                .into())
            }
        }
    }

    /// Reads through the frames of one stretch, up to the entry `until` if there is one. Returns
    /// the cursor behind the last entry that was taken.
    fn read_stretch(
        &mut self,
        start: Cursor,
        until: Option<LogIndex>,
        found: &mut Gathered,
    ) -> Result<Option<Cursor>, StorageError> {
        let SegmentReader {
            segment: Some(segment),
            window,
            ..
        } = &mut self.reader
        else {
            return Ok(None);
        };
        let mut at = start;
        let mut stopped = None;
        while !found.complete && until.is_none_or(|until| at.index < until) {
            let damage = |kind| Damage {
                file: segment.file.name().to_owned(),
                offset: u64::from(at.place.offset),
                index: Some(at.index),
                kind,
            };
            let header = window.frame(&segment.file, self.seed, at.place)?;
            let Verified { frame, crc } = header.ok_or_else(|| damage(DamageKind::Header))?;
            if at.chain.is_some_and(|chain| chain != frame.previous) {
                return Err(damage(DamageKind::Chain).into());
            }
            let is_entry = frame.kind.is_entry();
            let is_own =
                || frame.id.index == at.index && self.terms.at(at.index) == Some(frame.id.term);
            if is_entry && !is_own() {
                return Err(damage(DamageKind::Chain).into());
            }
            let is_taken = is_entry && at.index >= found.next && found.takes(&frame);
            if is_taken {
                let mut unmask = Masking::new(self.seed, frame.mask);
                let intact = window.body(&segment.file, &frame, |piece| {
                    found.take(piece, &mut unmask);
                })?;
                if !intact {
                    return Err(damage(DamageKind::Content).into());
                }
            }
            at = at.after(&frame, crc);
            if is_taken {
                stopped = Some(at);
            }
        }
        Ok(stopped)
    }
}

/// Entries while they are read. Their payloads share one allocation.
struct Gathered {
    next: LogIndex,
    to: LogIndex,
    left: u64,
    complete: bool,
    entries: Vec<(EntryId, Kind, usize)>,
    payloads: BytesMut,
}

impl Gathered {
    fn new(from: LogIndex, to: LogIndex, limit_bytes: u64) -> Self {
        let (entries, payloads) = (Vec::new(), BytesMut::new());
        Self {
            next: from,
            to,
            left: limit_bytes,
            complete: false,
            entries,
            payloads,
        }
    }

    /// Whether the entry is within the limits; if so, its body is to follow.
    fn takes(&mut self, frame: &Frame) -> bool {
        let size = u64::from(frame.length) + Entry::OVERHEAD_BYTES;
        if size > self.left && !self.entries.is_empty() {
            self.complete = true;
            return false;
        }
        self.left = self.left.saturating_sub(size);
        self.entries
            .push((frame.id, frame.kind, frame.length as usize));
        self.payloads.reserve(frame.length as usize);
        self.complete = self.next >= self.to;
        self.next = self.next.next();
        true
    }

    fn take(&mut self, piece: &[u8], unmask: &mut Masking) {
        let start = self.payloads.len();
        self.payloads.extend_from_slice(piece);
        unmask.apply(self.payloads.get_mut(start..).unwrap_or_default());
    }

    fn into_entries(self) -> Entries {
        let mut payloads: Bytes = self.payloads.freeze();
        let mut next = |length: usize| payloads.split_to(length.min(payloads.len()));
        self.entries
            .into_iter()
            .map(|(id, kind, length)| Entry {
                index: id.index,
                term: id.term,
                payload: match kind {
                    Kind::Command => Payload::Command(next(length)),
                    Kind::Membership => Payload::Membership(next(length)),
                    Kind::Noop | Kind::Commit => Payload::Noop,
                },
            })
            .collect()
    }
}
