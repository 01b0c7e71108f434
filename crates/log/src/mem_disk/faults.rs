//! The faults that a disk in memory was told to have: which call fails, which write goes astray,
//! which sector cannot be read or reads as something else. What a crash destroys is in `crash.rs`.

use std::io::{self, ErrorKind};

use super::crash::SECTOR;

/// A call that a process makes to a disk or to a file on it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DiskCall {
    /// Taking the lock of the directory.
    Lock,
    /// Opening a file.
    Open,
    /// Creating a file.
    Create,
    /// Renaming a file.
    Rename,
    /// Removing a file.
    Remove,
    /// Listing the directory.
    List,
    /// Syncing the directory.
    SyncDir,
    /// Asking for the length of a file.
    Size,
    /// Reading.
    Read,
    /// Writing.
    Write,
    /// Syncing a file.
    Sync,
}

/// What the process sees after a sync failed. Either way nothing became durable, and the next
/// sync succeeds without making it so.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AfterFailedSync {
    /// What was written (ext4, XFS).
    NewContent,
    /// What was there before (btrfs).
    OldContent,
}

/// How long a sector stays bad.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lasting {
    /// For so many reads that touch it.
    Reads(u32),
    /// Until something is written to it: a drive puts another sector in its place then.
    UntilWritten,
}

/// A failure to come.
#[derive(Clone, Copy, Debug)]
struct FailingCall {
    /// The call that fails; any if there is none.
    call: Option<DiskCall>,
    skip: u64,
    kind: ErrorKind,
}

/// What a sync that goes wrong does.
#[derive(Clone, Copy, Debug)]
pub(super) enum BadSync {
    /// It fails, and says so.
    Fails(AfterFailedSync),
    /// It makes nothing durable, and says that it did.
    Lies,
}

/// A sector that does not read as what was written.
#[derive(Clone, Debug)]
struct BadSector {
    inode: u64,
    /// Where it starts.
    start: u64,
    /// What is read in its place; nothing if it cannot be read.
    instead: Option<Vec<u8>>,
    lasting: Lasting,
}

/// Where a write goes astray to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Astray {
    pub(super) inode: u64,
    pub(super) offset: u64,
}

/// Every fault to come.
#[derive(Clone, Debug, Default)]
pub(super) struct Faults {
    /// Calls so far.
    met: u64,
    /// Calls so far that failed because they were made to.
    failed: u64,
    calls: Vec<FailingCall>,
    sync: Option<(u64, BadSync)>,
    /// The next write to the first goes to the second.
    astray: Option<(u64, Astray)>,
    sectors: Vec<BadSector>,
    longest_write: Option<usize>,
}

/// What the experimenter asks for.
impl Faults {
    pub(super) fn fail_call(&mut self, call: Option<DiskCall>, skip: u64, kind: ErrorKind) {
        self.calls.push(FailingCall { call, skip, kind });
    }

    pub(super) const fn spoil_sync(&mut self, skip: u64, how: BadSync) {
        self.sync = Some((skip, how));
    }

    pub(super) const fn misdirect_write(&mut self, from: u64, to: Astray) {
        self.astray = Some((from, to));
    }

    /// The sector that holds `offset` cannot be read, or reads as `instead`.
    pub(super) fn spoil_sector(
        &mut self,
        inode: u64,
        offset: u64,
        instead: Option<Vec<u8>>,
        lasting: Lasting,
    ) {
        if lasting == Lasting::Reads(0) {
            return;
        }
        let start = offset - offset % SECTOR;
        self.sectors.push(BadSector {
            inode,
            start,
            instead,
            lasting,
        });
    }

    pub(super) fn shorten_writes(&mut self, bytes: usize) {
        self.longest_write = Some(bytes.max(1));
    }

    /// Forgets what is bound to a place: the files are others now.
    pub(super) fn forget_places(&mut self) {
        self.astray = None;
        self.sectors.clear();
    }

    /// Mends every sector.
    pub(super) fn mend_sectors(&mut self) {
        self.sectors.clear();
    }

    /// No call fails any more that was made to, and no sync.
    pub(super) fn forgive(&mut self) {
        self.calls.clear();
        self.sync = None;
    }

    /// How many calls and syncs are to fail, or to lie, still.
    pub(super) fn to_come(&self) -> usize {
        self.calls.len() + usize::from(self.sync.is_some())
    }

    /// Calls so far that failed because they were made to.
    pub(super) const fn failed(&self) -> u64 {
        self.failed
    }
}

/// What a call of the process meets.
impl Faults {
    /// The error of this call, if it is one that fails. Every failure to come that is waiting for
    /// such a call comes nearer.
    pub(super) fn check(&mut self, call: DiskCall) -> io::Result<()> {
        self.met += 1;
        if self.calls.is_empty() {
            return Ok(());
        }
        let mut failure = None;
        self.calls.retain_mut(|failing| {
            let is_meant = failing.call.is_none_or(|wanted| wanted == call);
            if is_meant && failing.skip == 0 && failure.is_none() {
                failure = Some(failing.kind);
                return false;
            }
            failing.skip = failing.skip.saturating_sub(u64::from(is_meant));
            true
        });
        self.failed += u64::from(failure.is_some());
        failure.map_or(Ok(()), |kind| Err(kind.into()))
    }

    /// What is wrong with this sync, of a file or of the directory.
    pub(super) fn next_sync(&mut self) -> Option<BadSync> {
        let (skip, how) = self.sync.as_mut()?;
        if *skip > 0 {
            *skip -= 1;
            return None;
        }
        let how = *how;
        self.sync = None;
        self.failed += u64::from(matches!(how, BadSync::Fails(_)));
        Some(how)
    }

    /// How many bytes of a write of so many are written.
    pub(super) fn bytes_written(&self, bytes: usize) -> usize {
        self.longest_write.map_or(bytes, |most| most.min(bytes))
    }

    /// Where this write to the file goes instead, if it goes astray. It mends what it covers, if
    /// it does not.
    pub(super) fn next_write(&mut self, inode: u64, offset: u64, bytes: usize) -> Option<Astray> {
        if let Some((_, to)) = self.astray.take_if(|(from, _)| *from == inode) {
            return Some(to);
        }
        let end = offset + bytes as u64;
        self.sectors.retain(|sector| {
            let covered = offset < sector.start + SECTOR && end > sector.start;
            sector.inode != inode || !covered || sector.lasting != Lasting::UntilWritten
        });
        None
    }

    /// Makes of what was read at `offset` what the sectors give. Returns how much of it can be
    /// read.
    pub(super) fn spoil_read(
        &mut self,
        inode: u64,
        offset: u64,
        buffer: &mut [u8],
    ) -> io::Result<usize> {
        let mut count = buffer.len();
        let asked = count;
        for sector in &mut self.sectors {
            let end = offset + count as u64;
            let (from, to) = (sector.start.max(offset), (sector.start + SECTOR).min(end));
            if sector.inode != inode || from >= to {
                continue;
            }
            let (skip, length) = (index(from - offset), index(to - from));
            match &sector.instead {
                // What precedes the sector is read, and only the next read meets it.
                None if skip > 0 => {
                    count = skip;
                    continue;
                }
                None => count = 0,
                Some(instead) => {
                    let instead = instead.iter().skip(index(from - sector.start));
                    for (byte, instead) in buffer.iter_mut().skip(skip).take(length).zip(instead) {
                        *byte = *instead;
                    }
                }
            }
            if let Lasting::Reads(left) = &mut sector.lasting {
                *left = left.saturating_sub(1);
            }
            if sector.instead.is_none() {
                break;
            }
        }
        self.sectors
            .retain(|sector| sector.lasting != Lasting::Reads(0));
        if count == 0 && asked > 0 {
            self.failed += 1;
            return Err(io::Error::other("the sector was made unreadable"));
        }
        Ok(count)
    }

    /// Calls of any sort so far.
    pub(super) const fn met(&self) -> u64 {
        self.met
    }

    /// Whether every sector reads as what was written to it.
    pub(super) const fn sectors_are_sound(&self) -> bool {
        self.sectors.is_empty()
    }
}

fn index(offset: u64) -> usize {
    usize::try_from(offset).unwrap_or(usize::MAX)
}
