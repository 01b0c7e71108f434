//! Opening a log: lock, identity, hard state, recovery, and then the writes after which what was
//! read counts as durable.

use std::io::IoSlice;

use quorate_core::{EntryId, LogIndex, Recovered};

use crate::batch::BatchBuilder;
use crate::create::{check_empty, create};
use crate::disk::{Disk, DiskFile};
use crate::error::{Damage, DamageKind, IoFailure, OpenError, Operation};
use crate::frame::LogSeed;
use crate::hard_state_file::{self, HardStateFile};
use crate::identity::Identity;
use crate::identity_file::{self, IdentityRecord};
use crate::log::Log;
use crate::options::{FreshIds, LogOptions, Owner};
use crate::reading::SegmentReader;
use crate::recovery::{Found, recover};
use crate::segment::{self, SPARE};
use crate::slots::Slot;
use crate::tail::Verdict;
use crate::window::WINDOW;
use crate::witness::{Witness, WitnessFile};

/// An open log and what it holds.
#[derive(Debug)]
pub struct Opened<D: Disk> {
    /// The log, ready for writes.
    pub log: Log<D>,
    /// Whose directory it is, and how far its birth has come.
    pub identity: Identity,
    /// What a node starts from. `applied` is `NONE`: the log does not know it.
    pub recovered: Recovered,
}

impl<D: Disk> Log<D> {
    /// Opens the log in a directory, or makes a new one where the directory is empty.
    ///
    /// When it returns, everything in [`Opened::recovered`] is durable, also what an earlier
    /// process had written without being told that it was.
    ///
    /// # Errors
    /// Refuses another's directory, one that is in use, one written by a newer version, and one
    /// in which anything is damaged. See [`OpenError`].
    pub fn open(
        mut disk: D,
        owner: Owner,
        fresh: FreshIds,
        options: LogOptions,
    ) -> Result<Opened<D>, OpenError> {
        if !options.is_valid() {
            return Err(OpenError::InvalidOptions { options });
        }
        if !disk.lock().map_err(IoFailure::at(Operation::Lock, "."))? {
            return Err(OpenError::InUse);
        }
        // A name that a crashed process made may be visible and not yet durable.
        disk.sync_dir()
            .map_err(IoFailure::at(Operation::Sync, "."))?;
        let record = identity(&disk, owner, fresh, options)?;
        let seed = LogSeed::of(record.log);
        let (mut hard_state, witness, newest) = HardStateFile::open(&disk, seed)?;
        let witness_file = WitnessFile::open(&disk, seed)?;
        let witness = witness.or_newer(witness_file.saved());
        let mut found = recover(&disk, seed, &segment_numbers(&disk)?, witness)?;
        check_term(&hard_state, &found)?;
        let witness = settle(&disk, &mut found, &mut hard_state, newest)?;
        let recovered = Recovered {
            hard_state: hard_state.saved(),
            // This version neither holds snapshots nor purges: the log starts at its first entry.
            snapshot: None,
            before: EntryId::NONE,
            term_starts: found.terms.starts().to_vec(),
            memberships: std::mem::take(&mut found.memberships),
            last: found.terms.last().index,
            applied: LogIndex::NONE,
        };
        let identity = record.identity.clone();
        let log = Self {
            disk,
            record,
            seed,
            options,
            hard_state,
            witness_file,
            witness,
            last_batch: found.last_batch,
            builder: BatchBuilder::new(seed, found.next),
            current: found.segment,
            prepared: None,
            spare: None,
            terms: found.terms,
            positions: found.positions,
            reader: SegmentReader::default(),
            poisoned: false,
        };
        Ok(Opened {
            log,
            identity,
            recovered,
        })
    }
}

/// Reads the identity, or makes the directory. Refuses another's (scenario G10), unless its first
/// start was cut short: nobody has used that, and it may have been the wrong name that was given.
fn identity<D: Disk>(
    disk: &D,
    owner: Owner,
    fresh: FreshIds,
    options: LogOptions,
) -> Result<IdentityRecord, OpenError> {
    let names = disk.list().map_err(IoFailure::at(Operation::List, "."))?;
    let Some(record) = IdentityRecord::read(disk)? else {
        check_empty(&names)?;
        return Ok(create(disk, &names, owner, fresh, options)?);
    };
    if !record.complete {
        return Ok(create(disk, &names, owner, fresh, options)?);
    }
    let found = Owner {
        cluster: record.identity.cluster,
        node: record.identity.node,
    };
    if found != owner {
        return Err(OpenError::WrongOwner {
            expected: owner,
            found,
        });
    }
    Ok(record)
}

fn segment_numbers<D: Disk>(disk: &D) -> Result<Vec<u32>, OpenError> {
    let names = disk.list().map_err(IoFailure::at(Operation::List, "."))?;
    let mut numbers: Vec<u32> = names
        .iter()
        .filter_map(|name| segment::number(name))
        .collect();
    numbers.sort_unstable();
    Ok(numbers)
}

/// An entry is written only after the term it belongs to was saved. A log beyond the saved term
/// means that the hard state went back in time, and a vote may be forgotten.
fn check_term<F: DiskFile>(
    hard_state: &HardStateFile<F>,
    found: &Found<F>,
) -> Result<(), OpenError> {
    let (last, saved) = (found.terms.last(), hard_state.saved().term);
    if last.term <= saved {
        return Ok(());
    }
    let file = hard_state_file::NAME.to_owned();
    let kind = DamageKind::TermBehindLog { last, saved };
    Err(Damage {
        file,
        offset: 0,
        index: Some(last.index),
        kind,
    }
    .into())
}

/// Makes what was read durable and everything beyond it zero. What a crashed process wrote may
/// be visible and not on the disk, and after a failed sync a second one proves nothing: only
/// what is written again and synced counts (scenario G03). Returns the witness of it, which the
/// hard state's copies carry.
fn settle<D: Disk>(
    disk: &D,
    found: &mut Found<D::File>,
    hard_state: &mut HardStateFile<D::File>,
    newest: Slot,
) -> Result<Witness, OpenError> {
    if let Verdict::Torn { file, offset } = &found.verdict {
        tracing::warn!(
            target: "quorate::log",
            file, offset,
            index = found.terms.last().index.next().get(),
            "an interrupted write was cut off; nothing in it was ever acknowledged"
        );
    }
    write_again(found)?;
    let unused = found.unused.as_deref();
    for name in [unused, Some(SPARE), Some(identity_file::TEMPORARY)]
        .into_iter()
        .flatten()
    {
        disk.remove(name)
            .map_err(IoFailure::at(Operation::Remove, name))?;
    }
    disk.sync_dir()
        .map_err(IoFailure::at(Operation::Sync, "."))?;
    let witness = Witness {
        batch: found.last_batch,
        next: found.next.number,
        segment: found.segment.number,
        end: u32::try_from(found.next.offset).unwrap_or(u32::MAX),
    };
    hard_state.rewrite(newest, witness)?;
    Ok(witness)
}

/// Writes the last batch again, the same bytes, and zeros over the rest of its segment.
fn write_again<F: DiskFile>(found: &mut Found<F>) -> Result<(), IoFailure> {
    let (mut at, end) = (found.last_batch_start, found.next.offset);
    let (window, file) = (&mut found.window, &mut found.segment.file);
    window.turn_to(found.segment.size);
    while at < end {
        let bytes = window.get(file, at, (end - at).min(WINDOW))?;
        at += file.write_all(&mut [IoSlice::new(bytes)], at)?.max(1);
    }
    file.write_zeros(end, found.segment.size)?;
    file.sync()
}
