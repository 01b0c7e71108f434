//! Reads one batch, frame by frame, and says where it stops to verify. Whether that means torn
//! or damaged is decided in `tail.rs`.

use quorate_core::{DecodeMembershipError, EntryId, Membership};

use crate::batch::Start;
use crate::disk::DiskFile;
use crate::error::{DamageKind, IoFailure};
use crate::frame::{Frame, HEADER, Kind, LogSeed, Place, Verified};
use crate::mask::Masking;
use crate::segment::{SECTOR, Segment};
use crate::window::Window;

/// An entry of a batch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Placed {
    /// The entry.
    pub(crate) id: EntryId,
    /// Where its frame starts.
    pub(crate) place: Place,
    /// The membership that it holds, if that is what it holds. Nothing else of an entry is kept.
    pub(crate) membership: Option<Result<Membership, DecodeMembershipError>>,
}

/// What stands where a batch may start.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Walked {
    /// A whole batch.
    Committed(Committed),
    /// No whole batch.
    Broken(Broken),
}

/// A batch that verified.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Committed {
    /// Its number.
    pub(crate) number: u64,
    /// The first byte after it.
    pub(crate) end: u64,
    /// Checksum of its last header.
    pub(crate) chain: u32,
}

/// The first frame that did not verify.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Broken {
    /// The byte where it stands, or should.
    pub(crate) at: u64,
    /// The number of the batch, where any of its frames verified.
    pub(crate) batch: Option<u64>,
    /// Whether a whole sector that the frame touches is in the state it had before the batch
    /// was written.
    pub(crate) unwritten: bool,
    /// What is wrong with it.
    pub(crate) kind: DamageKind,
}

/// Reads the batch that may start at `start`, whose `number` is that of the last batch before.
/// Its entries go into `entries`; they count only if it committed.
pub(crate) fn walk<F: DiskFile>(
    window: &mut Window,
    segment: &Segment<F>,
    seed: LogSeed,
    start: Start,
    entries: &mut Vec<Placed>,
) -> Result<Walked, IoFailure> {
    entries.clear();
    let mut chain = start.chain;
    let mut number = None;
    let mut at = start.offset;
    loop {
        let broken = |unwritten, kind| {
            Walked::Broken(Broken {
                at,
                batch: number,
                unwritten,
                kind,
            })
        };
        let Some(Verified { frame, crc }) = frame_at(window, segment, seed, at)? else {
            let end = (at + HEADER).min(segment.size);
            let unwritten = window.touches_zero_sector(&segment.file, at, end)?;
            return Ok(broken(unwritten, DamageKind::Header));
        };
        if frame.batch <= start.number {
            // An older batch than the last one: what stood here before this batch.
            return Ok(broken(true, DamageKind::Chain));
        }
        if frame.previous != chain || number.is_some_and(|number| number != frame.batch) {
            return Ok(broken(false, DamageKind::Chain));
        }
        if !fits(&frame, segment.size) {
            return Ok(broken(false, DamageKind::Length));
        }
        number = Some(frame.batch);
        let mut body = MembershipBody::of(&frame, seed);
        if !window.body(&segment.file, &frame, |piece| body.take(piece))? {
            let unwritten = window.touches_zero_sector(&segment.file, at, frame.end())?;
            let broken = Broken {
                at,
                batch: number,
                unwritten,
                kind: DamageKind::Content,
            };
            return Ok(Walked::Broken(broken));
        }
        at = frame.end();
        chain = crc;
        match frame.kind {
            Kind::Noop | Kind::Command | Kind::Membership => entries.push(Placed {
                id: frame.id,
                place: frame.place,
                membership: body.decode(),
            }),
            Kind::Commit => {
                return Ok(Walked::Committed(Committed {
                    number: frame.batch,
                    end: at,
                    chain,
                }));
            }
        }
    }
}

/// Gathers the body of a frame that holds a membership; of any other frame nothing.
struct MembershipBody {
    bytes: Option<Vec<u8>>,
    unmask: Masking,
}

impl MembershipBody {
    /// Longer than any membership: what does not fit cannot be decoded anyway, and a length is
    /// not to be believed with memory.
    const MAX_BYTES: usize = Membership::MAX_MEMBERS * (Membership::MAX_ADDRESS_BYTES + 16) + 16;

    fn of(frame: &Frame, seed: LogSeed) -> Self {
        Self {
            bytes: matches!(frame.kind, Kind::Membership).then(Vec::new),
            unmask: Masking::new(seed, frame.mask),
        }
    }

    fn take(&mut self, piece: &[u8]) {
        if let Some(bytes) = &mut self.bytes
            && bytes.len() <= Self::MAX_BYTES
        {
            let start = bytes.len();
            bytes.extend_from_slice(piece);
            self.unmask
                .apply(bytes.get_mut(start..).unwrap_or_default());
        }
    }

    fn decode(self) -> Option<Result<Membership, DecodeMembershipError>> {
        self.bytes.map(|bytes| Membership::decode(&bytes))
    }
}

fn frame_at<F: DiskFile>(
    window: &mut Window,
    segment: &Segment<F>,
    seed: LogSeed,
    at: u64,
) -> Result<Option<Verified>, IoFailure> {
    match u32::try_from(at) {
        Ok(offset) if at < segment.size => window.frame(
            &segment.file,
            seed,
            Place {
                segment: segment.number,
                offset,
            },
        ),
        Ok(_) | Err(_) => Ok(None),
    }
}

/// Whether the frame leaves room for what must follow it in its segment.
const fn fits(frame: &Frame, size: u64) -> bool {
    match frame.kind {
        Kind::Noop | Kind::Command | Kind::Membership => frame.end() + HEADER <= size,
        Kind::Commit => frame.end() <= size && frame.end().is_multiple_of(SECTOR),
    }
}
