//! Makes a directory that no log was ever in. A crash in the middle leaves one that is made anew
//! at the next start, never one that looks as if something were missing.

use crate::disk::Disk;
use crate::error::{Damage, DamageKind, IoFailure, OpenError, Operation};
use crate::frame::LogSeed;
use crate::hard_state_file::{self, HardStateFile};
use crate::identity::{BirthStage, Identity};
use crate::identity_file::{self, IdentityRecord};
use crate::options::{FreshIds, LogOptions, Owner};
use crate::segment::{self, FIRST_BATCH, FIRST_SEGMENT, SPARE, Spare};
use crate::witness::{self, Witness, WitnessFile};

/// The lock file of a real directory; there before anything else.
const LOCK: &str = "lock";

/// Refuses a directory without identity that is not empty: files of a log without their
/// identity are damage, not a new node, and files of anybody else are a mistake.
pub(crate) fn check_empty(names: &[String]) -> Result<(), OpenError> {
    for file in names {
        if is_of_a_log(file) {
            let kind = DamageKind::Missing;
            let file = identity_file::NAME.to_owned();
            return Err(Damage {
                file,
                offset: 0,
                index: None,
                kind,
            }
            .into());
        }
    }
    match names
        .iter()
        .find(|file| *file != LOCK && *file != identity_file::TEMPORARY)
    {
        Some(file) => Err(OpenError::NotEmpty { file: file.clone() }),
        None => Ok(()),
    }
}

fn is_of_a_log(file: &str) -> bool {
    file == hard_state_file::NAME
        || file == witness::NAME
        || file == SPARE
        || segment::number(file).is_some()
}

/// Makes everything: first an identity that says so, then the rest, then the final identity.
pub(crate) fn create<D: Disk>(
    disk: &D,
    names: &[String],
    owner: Owner,
    fresh: FreshIds,
    options: LogOptions,
) -> Result<IdentityRecord, IoFailure> {
    let identity = Identity {
        cluster: owner.cluster,
        node: owner.node,
        directory: fresh.directory,
        stage: BirthStage::New,
    };
    let mut record = IdentityRecord {
        identity,
        log: fresh.log,
        complete: false,
    };
    record.save(disk)?;
    for name in names.iter().filter(|name| is_of_a_log(name)) {
        disk.remove(name)
            .map_err(IoFailure::at(Operation::Remove, name))?;
    }
    let seed = LogSeed::of(record.log);
    let end = u32::try_from(FIRST_BATCH).unwrap_or_default();
    let witness = Witness {
        batch: 0,
        next: 1,
        segment: FIRST_SEGMENT,
        end,
    };
    HardStateFile::create(disk, seed, witness)?;
    WitnessFile::create(disk, seed, witness)?;
    Spare::create(disk)?.finish(disk, seed, FIRST_SEGMENT, options.segment_bytes)?;
    disk.sync_dir()
        .map_err(IoFailure::at(Operation::Sync, "."))?;
    record.complete = true;
    record.save(disk)?;
    Ok(record)
}
