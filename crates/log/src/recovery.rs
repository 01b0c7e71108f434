//! Reads the log from its first segment to its end, in bounded memory, verifying every frame.
//! Changes nothing: that is done in `open.rs` once it is known that nothing is damaged.

use quorate_core::{LogIndex, Membership};

use crate::batch::Start;
use crate::disk::Disk;
use crate::error::{Damage, DamageKind, OpenError};
use crate::frame::LogSeed;
use crate::positions::Positions;
use crate::segment::{self, FIRST_BATCH, FIRST_SEGMENT, Segment};
use crate::tail::{End, Tail, Verdict};
use crate::terms::Terms;
use crate::walk::{Broken, Committed, Placed, Walked, walk};
use crate::window::Window;
use crate::witness::Witness;

/// The log as it was found.
pub(crate) struct Found<F> {
    /// The segment in which it ends.
    pub(crate) segment: Segment<F>,
    /// The following segment, in which no batch was committed.
    pub(crate) unused: Option<String>,
    /// Where the last batch starts; the end of the log if there is none.
    pub(crate) last_batch_start: u64,
    /// Where the next batch goes. Its number is one that nothing on disk can have.
    pub(crate) next: Start,
    /// The number of the last batch.
    pub(crate) last_batch: u64,
    /// The terms of the entries.
    pub(crate) terms: Terms,
    /// The places of the entries.
    pub(crate) positions: Positions,
    /// The memberships among the entries, in log order.
    pub(crate) memberships: Vec<(LogIndex, Membership)>,
    /// What was beyond the end.
    pub(crate) verdict: Verdict,
    /// What it was read through.
    pub(crate) window: Window,
}

/// Reads the log whose segments have these `numbers`, in ascending order.
pub(crate) fn recover<D: Disk>(
    disk: &D,
    seed: LogSeed,
    numbers: &[u32],
    witness: Witness,
) -> Result<Found<D::File>, OpenError> {
    let last_segment = check_complete(numbers)?;
    let mut reader = Reader::new(seed, witness);
    let mut segment = Segment::open(disk, seed, FIRST_SEGMENT)?;
    loop {
        let broken = match reader.next_batch(&segment, reader.end)? {
            Walked::Committed(batch) => {
                reader.accept(&segment, batch)?;
                continue;
            }
            Walked::Broken(broken) => broken,
        };
        let mut following = None;
        if segment.number < last_segment {
            let next = Segment::open(disk, seed, segment.number + 1)?;
            match reader.next_batch(&next, FIRST_BATCH)? {
                Walked::Committed(batch) => {
                    reader.end = FIRST_BATCH;
                    reader.accept(&next, batch)?;
                    segment = next;
                    continue;
                }
                Walked::Broken(broken) => following = Some((next, broken)),
            }
        }
        let more_segments = segment.number + 1 < last_segment;
        return reader.finish(segment, broken, following, more_segments);
    }
}

/// The number of the last segment; a gap in the numbers is damage.
fn check_complete(numbers: &[u32]) -> Result<u32, OpenError> {
    let mut expected = FIRST_SEGMENT;
    for number in numbers {
        if *number != expected {
            break;
        }
        expected += 1;
    }
    let complete = usize::try_from(expected - FIRST_SEGMENT) == Ok(numbers.len());
    if complete && !numbers.is_empty() {
        return Ok(expected - 1);
    }
    let file = segment::name(expected);
    Err(Damage {
        file,
        offset: 0,
        index: None,
        kind: DamageKind::Missing,
    }
    .into())
}

/// What is known of the log so far.
struct Reader {
    seed: LogSeed,
    witness: Witness,
    window: Window,
    entries: Vec<Placed>,
    terms: Terms,
    positions: Positions,
    memberships: Vec<(LogIndex, Membership)>,
    last_batch: u64,
    last_batch_start: u64,
    end: u64,
    chain: u32,
}

impl Reader {
    fn new(seed: LogSeed, witness: Witness) -> Self {
        Self {
            seed,
            witness,
            window: Window::default(),
            entries: Vec::new(),
            terms: Terms::default(),
            positions: Positions::default(),
            memberships: Vec::new(),
            last_batch: 0,
            last_batch_start: FIRST_BATCH,
            end: FIRST_BATCH,
            chain: 0,
        }
    }

    fn next_batch<F: crate::DiskFile>(
        &mut self,
        segment: &Segment<F>,
        offset: u64,
    ) -> Result<Walked, OpenError> {
        if offset == FIRST_BATCH {
            self.window.turn_to(segment.size);
        }
        let (chain, number) = (self.chain, self.last_batch);
        let start = Start {
            segment: segment.number,
            offset,
            chain,
            number,
        };
        Ok(walk(
            &mut self.window,
            segment,
            self.seed,
            start,
            &mut self.entries,
        )?)
    }

    /// Takes over the batch at `end` that was just read.
    fn accept<F: crate::DiskFile>(
        &mut self,
        segment: &Segment<F>,
        batch: Committed,
    ) -> Result<(), OpenError> {
        let start = self.end;
        let damage = |index, offset: u64, kind| Damage {
            file: segment.file.name().to_owned(),
            offset,
            index: Some(index),
            kind,
        };
        let witness = self.witness;
        let is_witnessed = batch.number == witness.batch;
        let elsewhere = (segment.number, batch.end) != (witness.segment, u64::from(witness.end));
        let passes_witness = self.last_batch < witness.batch && batch.number > witness.batch;
        if passes_witness || (is_witnessed && elsewhere) {
            let kind = DamageKind::Acknowledged {
                batch: witness.batch,
            };
            return Err(damage(self.next_index(), start, kind).into());
        }
        for entry in self.entries.drain(..) {
            let (index, offset) = (entry.id.index, u64::from(entry.place.offset));
            if !self.terms.append(entry.id) {
                return Err(damage(index, offset, DamageKind::Chain).into());
            }
            self.positions.note(index, entry.place);
            // The entry replaces whatever stood from its index on, memberships too (scenario C03).
            while self.memberships.pop_if(|(at, _)| *at >= index).is_some() {}
            if let Some(membership) = entry.membership {
                let membership =
                    membership.map_err(|_| damage(index, offset, DamageKind::Membership))?;
                self.memberships.push((index, membership));
            }
        }
        self.last_batch = batch.number;
        self.last_batch_start = start;
        self.end = batch.end;
        self.chain = batch.chain;
        Ok(())
    }

    fn next_index(&self) -> LogIndex {
        self.terms.last().index.next()
    }

    fn finish<F: crate::DiskFile>(
        mut self,
        segment: Segment<F>,
        broken: Broken,
        following: Option<(Segment<F>, Broken)>,
        more_segments: bool,
    ) -> Result<Found<F>, OpenError> {
        // The witness knows which numbers an earlier process may have begun to use.
        let next_batch = if self.witness.batch == self.last_batch {
            self.witness.next
        } else {
            self.last_batch + 1
        };
        let tail = Tail {
            here: End {
                segment: &segment,
                from: self.end,
                broken,
            },
            following: following.as_ref().map(|(segment, broken)| End {
                segment,
                from: FIRST_BATCH,
                broken: *broken,
            }),
            more_segments,
            last_batch: self.last_batch,
            next_batch,
            next_index: self.next_index(),
            witness: self.witness,
        };
        let verdict = tail.judge(&mut self.window, self.seed)?;
        let number = next_batch + 1;
        Ok(Found {
            next: Start {
                segment: segment.number,
                offset: self.end,
                chain: self.chain,
                number,
            },
            unused: following.map(|(following, _)| following.file.name().to_owned()),
            last_batch_start: self.last_batch_start,
            last_batch: self.last_batch,
            terms: self.terms,
            positions: self.positions,
            memberships: self.memberships,
            verdict,
            window: self.window,
            segment,
        })
    }
}
