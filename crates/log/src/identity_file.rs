//! The identity file: whose directory this is, which log is in it, and how far its birth has
//! come. It is the only file replaced as a whole, by rename.

use std::io::IoSlice;

use bytes::{Buf, BufMut};
use crc32c::crc32c;
use quorate_core::NodeId;

use crate::disk::Disk;
use crate::error::{Damage, DamageKind, IoFailure, OpenError, Operation};
use crate::identity::{BirthStage, ClusterId, DirectoryId, Founding, Identity};
use crate::named_file::NamedFile;
use crate::segment::FORMAT_VERSION;

/// The file.
pub(crate) const NAME: &str = "identity";
/// The next version of it while it is being written. Means nothing at a restart.
pub(crate) const TEMPORARY: &str = "identity.new";
const MAGIC: [u8; 4] = *b"QIdy";
/// Bytes before those that the checksum covers.
const UNCOVERED: usize = 8;
/// Bytes with no founders.
const FIXED: usize = 84;
/// Bytes of a founder.
const FOUNDER: usize = 24;
/// No cluster has so many founders; keeps a size that rotted from being believed.
const MAX_FOUNDERS: usize = 4096;

const NEW: u32 = 1;
const PREPARED: u32 = 2;
const BORN: u32 = 3;

/// Everything the file says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct IdentityRecord {
    /// What others may know.
    pub(crate) identity: Identity,
    /// The random id of the log.
    pub(crate) log: u128,
    /// Whether the other files were completed. Until then the directory was never in use, and
    /// is made anew.
    pub(crate) complete: bool,
}

impl IdentityRecord {
    /// Reads the file, if it is there.
    pub(crate) fn read<D: Disk>(disk: &D) -> Result<Option<Self>, OpenError> {
        let Some(file) = NamedFile::open(disk, NAME)? else {
            return Ok(None);
        };
        let damaged = |kind| Damage {
            file: NAME.to_owned(),
            offset: 0,
            index: None,
            kind,
        };
        let size = usize::try_from(file.size()?).unwrap_or(usize::MAX);
        if !(FIXED..=FIXED + MAX_FOUNDERS * FOUNDER).contains(&size) {
            return Err(damaged(DamageKind::Length).into());
        }
        let mut bytes = vec![0u8; size];
        file.read(&mut bytes, 0)?;
        let mut rest = bytes.as_slice();
        if !rest.starts_with(&MAGIC) {
            return Err(damaged(DamageKind::Header).into());
        }
        rest.advance(MAGIC.len());
        if rest.get_u32_le() != crc32c(rest) {
            return Err(damaged(DamageKind::Content).into());
        }
        let version = rest.get_u32_le();
        if version != FORMAT_VERSION {
            return Err(OpenError::NewerFormat {
                file: NAME.to_owned(),
                version,
            });
        }
        decode(rest)
            .map(Some)
            .ok_or_else(|| damaged(DamageKind::Content).into())
    }

    /// Replaces the file, durably. An interrupted save leaves the old one.
    pub(crate) fn save<D: Disk>(&self, disk: &D) -> Result<(), IoFailure> {
        disk.remove(TEMPORARY)
            .map_err(IoFailure::at(Operation::Remove, TEMPORARY))?;
        let mut file = NamedFile::create(disk, TEMPORARY)?;
        file.write_all(&mut [IoSlice::new(&self.encode())], 0)?;
        file.sync()?;
        file.rename(disk, NAME)
    }

    fn encode(&self) -> Vec<u8> {
        let (stage, founding) = match &self.identity.stage {
            BirthStage::New => (NEW, None),
            BirthStage::Prepared(founding) => (PREPARED, Some(founding)),
            BirthStage::Born(founding) => (BORN, Some(founding)),
        };
        let mut covered = Vec::with_capacity(FIXED);
        covered.put_u32_le(FORMAT_VERSION);
        covered.put_u128_le(self.log);
        covered.put_u128_le(self.identity.cluster.0);
        covered.put_u128_le(self.identity.directory.0);
        covered.put_u64_le(self.identity.node.get());
        covered.put_u32_le(u32::from(self.complete));
        covered.put_u32_le(stage);
        let founders = founding.into_iter().flatten();
        covered.put_u64_le(founders.clone().count() as u64);
        for (node, directory) in founders {
            covered.put_u64_le(node.get());
            covered.put_u128_le(directory.0);
        }
        let mut bytes = Vec::with_capacity(covered.len() + UNCOVERED);
        bytes.put_slice(&MAGIC);
        bytes.put_u32_le(crc32c(&covered));
        bytes.put_slice(&covered);
        bytes
    }
}

/// The record after the version; `None` if it cannot have been written by this program.
fn decode(mut rest: &[u8]) -> Option<IdentityRecord> {
    let log = rest.try_get_u128_le().ok()?;
    let cluster = ClusterId(rest.try_get_u128_le().ok()?);
    let directory = DirectoryId(rest.try_get_u128_le().ok()?);
    let node = NodeId::new(rest.try_get_u64_le().ok()?)?;
    let complete = rest.try_get_u32_le().ok()? == 1;
    let stage = rest.try_get_u32_le().ok()?;
    let founders = usize::try_from(rest.try_get_u64_le().ok()?).ok()?;
    if founders > MAX_FOUNDERS || rest.len() != founders * FOUNDER {
        return None;
    }
    let mut founding = Founding::new();
    for _ in 0..founders {
        let founder = NodeId::new(rest.try_get_u64_le().ok()?)?;
        founding.insert(founder, DirectoryId(rest.try_get_u128_le().ok()?));
    }
    let stage = match stage {
        NEW => BirthStage::New,
        PREPARED => BirthStage::Prepared(founding),
        BORN => BirthStage::Born(founding),
        _ => return None,
    };
    let identity = Identity {
        cluster,
        node,
        directory,
        stage,
    };
    Some(IdentityRecord {
        identity,
        log,
        complete,
    })
}
