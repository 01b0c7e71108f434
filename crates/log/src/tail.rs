//! Torn or damaged: what it means that no batch verifies where the next one would stand. The
//! case table is in `FORMAT.md`.
//!
//! An interrupted write leaves each sector it covers old or new, and a sector that was never
//! written is all zeros, which no sector of a batch is (`mask.rs`). So a batch that a crash
//! interrupted has a zero sector where its first bad frame stands, and nothing after it. Anything
//! else was acknowledged and has changed since, and must never be cut: the other nodes count on
//! it (scenario G01).

use quorate_core::LogIndex;

use crate::disk::DiskFile;
use crate::error::{Damage, DamageKind, OpenError};
use crate::frame::LogSeed;
use crate::segment::{FIRST_BATCH, Segment};
use crate::walk::Broken;
use crate::window::{Residue, Window};
use crate::witness::Witness;

/// A place where the next batch could stand, and does not verify.
pub(crate) struct End<'a, F> {
    /// The segment.
    pub(crate) segment: &'a Segment<F>,
    /// The byte in it.
    pub(crate) from: u64,
    /// What was found instead of a batch.
    pub(crate) broken: Broken,
}

/// The end of the log, as far as it verifies.
pub(crate) struct Tail<'a, F> {
    /// After the last batch.
    pub(crate) here: End<'a, F>,
    /// At the start of the following segment, if there is one.
    pub(crate) following: Option<End<'a, F>>,
    /// Whether there are segments after that one.
    pub(crate) more_segments: bool,
    /// The number of the last batch.
    pub(crate) last_batch: u64,
    /// The number of the next one.
    pub(crate) next_batch: u64,
    /// The index after the last entry.
    pub(crate) next_index: LogIndex,
    /// How far the log was durable.
    pub(crate) witness: Witness,
}

/// What stands beyond the end of the log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// Nothing.
    Clean,
    /// A batch that was interrupted, and never acknowledged.
    Torn {
        /// The file.
        file: String,
        /// The byte where the batch starts.
        offset: u64,
    },
}

impl<F: DiskFile> Tail<'_, F> {
    /// Decides.
    pub(crate) fn judge(&self, window: &mut Window, seed: LogSeed) -> Result<Verdict, OpenError> {
        let here = residue(window, seed, &self.here)?;
        let following = match &self.following {
            Some(end) => residue(window, seed, end)?,
            None => Residue {
                written: false,
                highest_batch: 0,
            },
        };
        let begun = self.following.as_ref().filter(|_| following.written);
        // A whole header there that follows another batch: the one it follows is missing here.
        let skipped = begun.is_some_and(|end| {
            end.broken.at == FIRST_BATCH
                && end.broken.kind == DamageKind::Chain
                && !end.broken.unwritten
        });
        let end = match begun {
            // The batch did not fit into the rest of its segment.
            Some(end) if !here.written && !skipped => end,
            Some(_) | None => &self.here,
        };
        let written = here.written || following.written;
        let lost = self.last_batch < self.witness.batch;
        let batch = end.broken.batch.unwrap_or(self.next_batch);
        let overtaken = here.highest_batch.max(following.highest_batch) > batch
            || (here.written && following.written)
            || skipped
            || self.more_segments;
        if !written && !lost && !overtaken {
            return Ok(Verdict::Clean);
        }
        if written && !end.broken.unwritten {
            return Err(self.damage(end, end.broken.kind));
        }
        if lost {
            let kind = DamageKind::Acknowledged {
                batch: self.witness.batch,
            };
            return Err(self.damage(end, kind));
        }
        if overtaken {
            return Err(self.damage(end, DamageKind::Overtaken));
        }
        Ok(Verdict::Torn {
            file: end.segment.file.name().to_owned(),
            offset: end.from,
        })
    }

    fn damage(&self, end: &End<'_, F>, kind: DamageKind) -> OpenError {
        let file = end.segment.file.name().to_owned();
        let index = Some(self.next_index);
        Damage {
            file,
            offset: end.broken.at,
            index,
            kind,
        }
        .into()
    }
}

fn residue<F: DiskFile>(
    window: &mut Window,
    seed: LogSeed,
    end: &End<'_, F>,
) -> Result<Residue, OpenError> {
    debug_assert!(
        end.from >= FIRST_BATCH,
        "the header of a segment is no residue"
    );
    window.turn_to(end.segment.size);
    let range = (end.from, end.segment.size);
    Ok(window.residue(&end.segment.file, seed, end.segment.number, range)?)
}
