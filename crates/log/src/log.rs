//! The open log: writes, in order, and what prepares for them. Opening is in `open.rs`, reading
//! in `reading.rs`.

use std::fmt;

use quorate_core::{Entries, Entry, HardState};

use crate::batch::{BatchBuilder, Start, entry_bytes};
use crate::disk::Disk;
use crate::error::{Misuse, StorageError};
use crate::frame::{HEADER, LogSeed};
use crate::hard_state_file::HardStateFile;
use crate::identity::{BirthStage, Identity};
use crate::identity_file::IdentityRecord;
use crate::options::LogOptions;
use crate::positions::Positions;
use crate::reading::SegmentReader;
use crate::segment::{FIRST_BATCH, FIRST_SEGMENT, SECTOR, Segment, Spare};
use crate::terms::Terms;
use crate::witness::{Witness, WitnessFile};

/// The durable log of one node. One writer, one thread: whoever calls waits for the disk.
///
/// The first failed write or sync poisons the log: what the disk holds since is unknown, so every
/// later call fails, and only opening the log anew finds out (scenario G03).
pub struct Log<D: Disk> {
    pub(crate) disk: D,
    pub(crate) record: IdentityRecord,
    pub(crate) seed: LogSeed,
    pub(crate) options: LogOptions,
    pub(crate) hard_state: HardStateFile<D::File>,
    pub(crate) witness_file: WitnessFile<D::File>,
    /// The newest witness on disk, in either file that has one.
    pub(crate) witness: Witness,
    /// The last batch that is durable.
    pub(crate) last_batch: u64,
    /// The next batch. It starts where the last one ended, in `current`.
    pub(crate) builder: BatchBuilder,
    pub(crate) current: Segment<D::File>,
    /// The segment after `current`, if it is ready.
    pub(crate) prepared: Option<Segment<D::File>>,
    /// The segment after `current` while it is not.
    pub(crate) spare: Option<Spare<D::File>>,
    pub(crate) terms: Terms,
    pub(crate) positions: Positions,
    pub(crate) reader: SegmentReader<D::File>,
    pub(crate) poisoned: bool,
}

/// One write to the log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Write {
    /// Save term, vote and floor. Everything before it is durable first.
    HardState(HardState),
    /// Drop every entry from the first index on, then append.
    Append(Entries),
}

/// What a job cost.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Performed {
    /// Batches of entries written.
    pub batches: u64,
    /// Times the disk was asked to make something durable. Preparing a segment is not counted.
    pub syncs: u64,
    /// Bytes written. Preparing a segment is not counted.
    pub bytes: u64,
}

impl<D: Disk> fmt::Debug for Log<D> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Log")
            .field("identity", self.identity())
            .field("hard_state", &self.hard_state.saved())
            .field("last", &self.terms.last())
            .field("poisoned", &self.poisoned)
            .finish_non_exhaustive()
    }
}

impl<D: Disk> Log<D> {
    /// Whose directory it is, and how far its birth has come.
    #[must_use]
    pub const fn identity(&self) -> &Identity {
        &self.record.identity
    }

    /// Performs writes, in order. All of them are durable on return.
    ///
    /// Every run of appends is one batch, one vectored write and one sync, as far as it fits
    /// into a segment.
    ///
    /// # Order
    /// A hard state is a barrier: what stands before it is durable before it is written, and it
    /// is before what stands after it is.
    ///
    /// # Errors
    /// The disk failed, or a write contradicts the log. Either poisons the log: any part of the
    /// writes may have been done.
    pub fn perform(&mut self, writes: &[Write]) -> Result<Performed, StorageError> {
        self.guarded(|log| {
            let mut done = Performed::default();
            for write in writes {
                match write {
                    Write::HardState(state) => log.save_hard_state(state, &mut done)?,
                    Write::Append(entries) => {
                        for entry in entries.iter() {
                            log.append(entry, &mut done)?;
                        }
                    }
                }
            }
            log.flush(&mut done)?;
            Ok(done)
        })
    }

    /// Records how far the birth of the cluster has come. Durable on return.
    ///
    /// # Errors
    /// The disk failed. Either stage may be found at the next start.
    pub fn set_stage(&mut self, stage: BirthStage) -> Result<(), StorageError> {
        self.guarded(|log| {
            log.record.identity.stage = stage;
            Ok(log.record.save(&log.disk)?)
        })
    }

    /// Prepares the next segment ahead of need, at most about `budget_bytes` of it, so that no
    /// append has to wait for it. Whether more is left to do. Call it after jobs and when idle.
    ///
    /// # Errors
    /// [`StorageError::Full`] does not poison the log: there is room in the present segment, and
    /// it can be tried again. Anything else does.
    pub fn housekeep(&mut self, budget_bytes: u64) -> Result<bool, StorageError> {
        self.check_usable()?;
        if self.prepared.is_some() {
            return Ok(false);
        }
        match self.prepare(self.options.segment_bytes, budget_bytes) {
            Err(StorageError::Io(failure)) if failure.is_full() => Err(StorageError::Full(failure)),
            outcome => {
                self.poisoned |= outcome.is_err();
                outcome
            }
        }
    }

    /// Writes the witness, if it is behind: from then on the last batch can be told from one
    /// that was torn, even by a disk that loses whole sectors of it. Call it once nothing was
    /// written for 100 ms.
    ///
    /// # Errors
    /// The disk failed.
    pub fn idle(&mut self) -> Result<(), StorageError> {
        self.guarded(|log| {
            if log.witness.batch < log.last_batch {
                log.save_witness(&mut Performed::default())?;
            }
            Ok(())
        })
    }

    /// Shuts the log down in order. Dropping it instead loses nothing that was acknowledged.
    ///
    /// # Errors
    /// The disk failed.
    pub fn close(mut self) -> Result<(), StorageError> {
        self.idle()
    }

    /// Refuses to go on after a failed write.
    pub(crate) const fn check_usable(&self) -> Result<(), StorageError> {
        if self.poisoned {
            Err(StorageError::Poisoned)
        } else {
            Ok(())
        }
    }

    fn guarded<T>(
        &mut self,
        work: impl FnOnce(&mut Self) -> Result<T, StorageError>,
    ) -> Result<T, StorageError> {
        self.check_usable()?;
        let outcome = work(self);
        if let Err(error) = &outcome {
            self.poisoned = true;
            tracing::error!(target: "quorate::log", %error, "a write failed; the log is closed");
        }
        outcome
    }

    fn save_hard_state(
        &mut self,
        state: &HardState,
        done: &mut Performed,
    ) -> Result<(), StorageError> {
        let saved = self.hard_state.saved();
        if state.term < saved.term {
            return Err(Misuse::FallingTerm {
                saved: saved.term,
                term: state.term,
            }
            .into());
        }
        if state.term == saved.term && saved.vote.is_some() && state.vote != saved.vote {
            return Err(Misuse::ChangedVote { term: state.term }.into());
        }
        self.flush(done)?;
        let witness = self.current_witness();
        self.hard_state.save(state, witness)?;
        self.witness = witness;
        done.syncs += 2;
        done.bytes += 2 * SECTOR;
        Ok(())
    }

    fn append(&mut self, entry: &Entry, done: &mut Performed) -> Result<(), StorageError> {
        let saved = self.hard_state.saved().term;
        if entry.term > saved {
            return Err(Misuse::BeyondSavedTerm {
                entry: entry.id(),
                saved,
            }
            .into());
        }
        let last = self.terms.last();
        if !self.terms.append(entry.id()) {
            return Err(Misuse::OutOfOrder {
                entry: entry.id(),
                last,
            }
            .into());
        }
        let bytes = entry_bytes(entry);
        if self.builder.end_with(bytes) > self.current.size {
            self.flush(done)?;
            self.rotate(bytes)?;
        }
        let place = self
            .builder
            .push(entry)
            .ok_or(Misuse::TooLarge { entry: entry.id() })?;
        self.positions.note(entry.index, place);
        Ok(())
    }

    /// Writes the batch, if anything is in it, and waits until it is durable.
    fn flush(&mut self, done: &mut Performed) -> Result<(), StorageError> {
        if self.builder.is_empty() {
            return Ok(());
        }
        self.builder.close();
        done.bytes += self.builder.write(&mut self.current.file)?;
        self.current.file.sync()?;
        done.batches += 1;
        done.syncs += 1;
        let start = self.builder.start();
        self.last_batch = start.number;
        self.builder.begin(Start {
            offset: self.builder.end(),
            chain: self.builder.chain(),
            number: start.number + 1,
            ..start
        });
        // From here on the loss of the whole new segment can be told from its never having
        // been used.
        if start.offset == FIRST_BATCH && start.segment > FIRST_SEGMENT {
            self.save_witness(done)?;
        }
        Ok(())
    }

    /// Goes on in the next segment, one in which an entry of `bytes` has room.
    fn rotate(&mut self, bytes: u64) -> Result<(), StorageError> {
        let needed = (FIRST_BATCH + bytes + HEADER).next_multiple_of(SECTOR);
        let start = self.builder.start();
        if self
            .prepared
            .as_ref()
            .is_none_or(|segment| segment.size < needed)
        {
            // A prepared one that is too small is replaced: it was never used.
            self.prepared = None;
            self.prepare(self.options.segment_bytes.max(needed), u64::MAX / 2)?;
        }
        if let Some(segment) = self.prepared.take() {
            let start = Start {
                segment: segment.number,
                offset: FIRST_BATCH,
                ..start
            };
            self.builder.begin(start);
            self.current = segment;
        }
        Ok(())
    }

    /// Prepares some of the following segment. Whether more is left.
    fn prepare(&mut self, size: u64, budget_bytes: u64) -> Result<bool, StorageError> {
        let mut spare = match self.spare.take() {
            Some(spare) => spare,
            None => Spare::create(&self.disk)?,
        };
        let zeroed = spare.zero(size, budget_bytes);
        if matches!(zeroed, Ok(true)) {
            let number = self.current.number + 1;
            self.prepared = Some(spare.finish(&self.disk, self.seed, number, size)?);
        } else {
            self.spare = Some(spare);
        }
        Ok(!zeroed?)
    }

    fn current_witness(&self) -> Witness {
        let next = self.builder.start();
        Witness {
            batch: self.last_batch,
            next: next.number,
            segment: next.segment,
            end: u32::try_from(next.offset).unwrap_or(u32::MAX),
        }
    }

    fn save_witness(&mut self, done: &mut Performed) -> Result<(), StorageError> {
        let witness = self.current_witness();
        self.witness_file.save(witness)?;
        self.witness = witness;
        done.syncs += 1;
        done.bytes += SECTOR;
        Ok(())
    }
}
