//! The two images of a directory in memory, and what each operation does to them: a write changes
//! what is seen, a sync what would survive. Failures on demand are decided here too.

use std::collections::BTreeMap;
use std::io::{self, ErrorKind, IoSlice};

use super::crash::SECTOR;

/// What the process sees after a sync failed. Either way nothing became durable, and the next
/// sync succeeds without making it so.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AfterFailedSync {
    /// What was written (ext4, XFS).
    NewContent,
    /// What was there before (btrfs).
    OldContent,
}

/// An operation that changed something, or made it durable.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum DiskOperation {
    /// A file was created.
    Create {
        /// Its name.
        name: String,
    },
    /// A file was renamed.
    Rename {
        /// Its name before.
        from: String,
        /// Its name since.
        to: String,
    },
    /// A file was removed.
    Remove {
        /// Its name.
        name: String,
    },
    /// Bytes were written.
    Write {
        /// The file, by the name it had then.
        name: String,
        /// Where.
        offset: u64,
        /// How many.
        bytes: u64,
    },
    /// A file was synced.
    Sync {
        /// The file, by the name it had then.
        name: String,
    },
    /// The directory was synced.
    SyncDir,
}

/// A file.
#[derive(Clone, Debug, Default)]
pub(super) struct Inode {
    /// What a process sees.
    pub(super) seen: Vec<u8>,
    /// What survives.
    pub(super) durable: Vec<u8>,
    /// What was written since the last sync, oldest first.
    pub(super) writes: Vec<(u64, Vec<u8>)>,
}

/// A change of the directory that was not synced.
#[derive(Clone, Debug)]
pub(super) enum NameChange {
    /// The name now stands for the file.
    Link(String, u64),
    /// The file has the second name instead of the first.
    Rename(String, String, u64),
    /// The name is gone.
    Unlink(String),
}

/// A directory.
#[derive(Clone, Debug)]
pub(super) struct State {
    pub(super) inodes: BTreeMap<u64, Inode>,
    pub(super) seen: BTreeMap<String, u64>,
    pub(super) durable: BTreeMap<String, u64>,
    pub(super) changes: Vec<NameChange>,
    pub(super) life: u64,
    pub(super) locked: bool,
    pub(super) stop_at: Option<u64>,
    next_inode: u64,
    operations: u64,
    recording: Option<Vec<DiskOperation>>,
    failing_sync: Option<(u64, AfterFailedSync)>,
    failing_write: Option<(u64, ErrorKind)>,
    failing_reads: Option<(u64, u64)>,
    longest_write: usize,
    limit: u64,
}

impl Default for State {
    fn default() -> Self {
        Self {
            inodes: BTreeMap::new(),
            seen: BTreeMap::new(),
            durable: BTreeMap::new(),
            changes: Vec::new(),
            life: 0,
            locked: false,
            stop_at: None,
            next_inode: 1,
            operations: 0,
            recording: None,
            failing_sync: None,
            failing_write: None,
            failing_reads: None,
            longest_write: usize::MAX,
            limit: u64::MAX,
        }
    }
}

/// What the experimenter does.
impl State {
    pub(super) const fn life(&self) -> u64 {
        self.life
    }

    pub(super) const fn operations(&self) -> u64 {
        self.operations
    }

    pub(super) const fn stop_after(&mut self, count: u64) {
        self.stop_at = Some(self.operations.saturating_add(count));
    }

    pub(super) fn record(&mut self, on: bool) -> Vec<DiskOperation> {
        let recorded = self.recording.take().unwrap_or_default();
        self.recording = on.then(Vec::new);
        recorded
    }

    pub(super) const fn fail_sync(&mut self, skip: u64, after: AfterFailedSync) {
        self.failing_sync = Some((skip, after));
    }

    pub(super) const fn fail_write(&mut self, skip: u64, kind: ErrorKind) {
        self.failing_write = Some((skip, kind));
    }

    pub(super) fn fail_reads(&mut self, at: Option<(&str, u64)>) {
        self.failing_reads = at.and_then(|(name, offset)| Some((*self.seen.get(name)?, offset)));
    }

    pub(super) fn shorten_writes(&mut self, bytes: usize) {
        self.longest_write = bytes.max(1);
    }

    pub(super) const fn limit(&mut self, bytes: u64) {
        self.limit = bytes;
    }

    pub(super) fn names(&self) -> Vec<String> {
        self.seen.keys().cloned().collect()
    }

    /// Bytes in all files, as [`State::limit`] counts them.
    pub(super) fn used_bytes(&self) -> u64 {
        let inode = |number| self.inodes.get(number);
        let files = self.seen.values().filter_map(inode);
        files.map(|inode| inode.seen.len() as u64).sum()
    }

    pub(super) fn content(&self, name: &str) -> Option<Vec<u8>> {
        Some(self.inodes.get(self.seen.get(name)?)?.seen.clone())
    }

    pub(super) fn corrupt(&mut self, name: &str, change: impl FnOnce(&mut Vec<u8>)) {
        let Some(number) = self.seen.get(name) else {
            return;
        };
        let Some(inode) = self.inodes.get_mut(number) else {
            return;
        };
        change(&mut inode.seen);
        inode.durable.clone_from(&inode.seen);
        inode.writes.clear();
    }

    pub(super) fn lose(&mut self, name: &str) {
        self.seen.remove(name);
        self.durable.remove(name);
    }
}

/// What a process does.
impl State {
    pub(super) fn lock(&mut self, life: u64) -> io::Result<bool> {
        self.check_alive(life)?;
        Ok(!std::mem::replace(&mut self.locked, true))
    }

    pub(super) const fn unlock(&mut self, life: u64) {
        if self.life == life {
            self.locked = false;
        }
    }

    pub(super) fn open(&self, life: u64, name: &str) -> io::Result<Option<u64>> {
        self.check_alive(life)?;
        Ok(self.seen.get(name).copied())
    }

    pub(super) fn create(&mut self, life: u64, name: &str) -> io::Result<u64> {
        self.begin(life, || DiskOperation::Create {
            name: name.to_owned(),
        })?;
        if self.seen.contains_key(name) {
            return Err(ErrorKind::AlreadyExists.into());
        }
        let inode = self.next_inode;
        self.next_inode += 1;
        self.inodes.insert(inode, Inode::default());
        self.seen.insert(name.to_owned(), inode);
        self.changes.push(NameChange::Link(name.to_owned(), inode));
        Ok(inode)
    }

    pub(super) fn rename(&mut self, life: u64, from: &str, to: &str) -> io::Result<()> {
        let (from, to) = (from.to_owned(), to.to_owned());
        self.begin(life, || DiskOperation::Rename {
            from: from.clone(),
            to: to.clone(),
        })?;
        let inode = self.seen.remove(&from).ok_or(ErrorKind::NotFound)?;
        self.seen.insert(to.clone(), inode);
        self.changes.push(NameChange::Rename(from, to, inode));
        Ok(())
    }

    pub(super) fn remove(&mut self, life: u64, name: &str) -> io::Result<()> {
        self.check_alive(life)?;
        if self.seen.contains_key(name) {
            self.begin(life, || DiskOperation::Remove {
                name: name.to_owned(),
            })?;
            self.seen.remove(name);
            self.changes.push(NameChange::Unlink(name.to_owned()));
        }
        Ok(())
    }

    pub(super) fn list(&self, life: u64) -> io::Result<Vec<String>> {
        self.check_alive(life)?;
        Ok(self.seen.keys().cloned().collect())
    }

    pub(super) fn sync_dir(&mut self, life: u64) -> io::Result<()> {
        self.begin(life, || DiskOperation::SyncDir)?;
        if self.sync_fails().is_some() {
            return Err(io::Error::other(
                "the sync of the directory was made to fail",
            ));
        }
        self.durable.clone_from(&self.seen);
        self.changes.clear();
        self.drop_unnamed();
        Ok(())
    }

    pub(super) fn size(&self, life: u64, inode: u64) -> io::Result<u64> {
        self.check_alive(life)?;
        Ok(self
            .inodes
            .get(&inode)
            .ok_or(ErrorKind::NotFound)?
            .seen
            .len() as u64)
    }

    pub(super) fn read(
        &self,
        life: u64,
        inode: u64,
        buffer: &mut [u8],
        offset: u64,
    ) -> io::Result<usize> {
        self.check_alive(life)?;
        let seen = &self.inodes.get(&inode).ok_or(ErrorKind::NotFound)?.seen;
        let rest = usize::try_from(offset)
            .ok()
            .and_then(|offset| seen.get(offset..));
        let rest = rest.unwrap_or_default();
        let count = rest.len().min(buffer.len());
        let touched = offset..offset + count as u64;
        if self
            .failing_reads
            .is_some_and(|(bad, at)| bad == inode && touched.contains(&at))
        {
            return Err(io::Error::other("the sector was made unreadable"));
        }
        if let (Some(to), Some(from)) = (buffer.get_mut(..count), rest.get(..count)) {
            to.copy_from_slice(from);
        }
        Ok(count)
    }

    pub(super) fn write(
        &mut self,
        life: u64,
        inode: u64,
        buffers: &[IoSlice<'_>],
        offset: u64,
    ) -> io::Result<usize> {
        let mut data: Vec<u8> = Vec::with_capacity(buffers.iter().map(|some| some.len()).sum());
        for buffer in buffers {
            data.extend_from_slice(buffer);
        }
        data.truncate(self.longest_write);
        let name = self.name_of(inode);
        let bytes = data.len() as u64;
        self.begin(life, || DiskOperation::Write {
            name,
            offset,
            bytes,
        })?;
        let failure = countdown(&mut self.failing_write);
        if failure.is_some() {
            // A sector is written or it is not.
            let end = offset + data.len() as u64 / 2;
            let kept = (end - end % SECTOR).saturating_sub(offset);
            data.truncate(usize::try_from(kept).unwrap_or(usize::MAX));
        }
        let used = self.used_bytes();
        let file = self.inodes.get_mut(&inode).ok_or(ErrorKind::NotFound)?;
        let end = offset + data.len() as u64;
        let growth = end.saturating_sub(file.seen.len() as u64);
        if growth > 0 && used + growth > self.limit {
            return Err(ErrorKind::StorageFull.into());
        }
        overlay(&mut file.seen, offset, &data);
        let count = data.len();
        file.writes.push((offset, data));
        failure.map_or(Ok(count), |kind| Err(kind.into()))
    }

    pub(super) fn sync(&mut self, life: u64, inode: u64) -> io::Result<()> {
        let name = self.name_of(inode);
        self.begin(life, || DiskOperation::Sync { name })?;
        let failure = self.sync_fails();
        let file = self.inodes.get_mut(&inode).ok_or(ErrorKind::NotFound)?;
        match failure {
            None => {
                for (offset, data) in file.writes.drain(..) {
                    overlay(&mut file.durable, offset, &data);
                }
                return Ok(());
            }
            Some(AfterFailedSync::NewContent) => {}
            Some(AfterFailedSync::OldContent) => file.seen.clone_from(&file.durable),
        }
        file.writes.clear();
        Err(io::Error::other("the sync was made to fail"))
    }

    /// Forgets files that have no name any more and never will have one again.
    pub(super) fn drop_unnamed(&mut self) {
        let (seen, durable) = (&self.seen, &self.durable);
        self.inodes.retain(|inode, _| {
            seen.values()
                .chain(durable.values())
                .any(|named| named == inode)
        });
    }

    /// The name of a file, for the record; empty where nobody records.
    fn name_of(&self, inode: u64) -> String {
        if self.recording.is_none() {
            return String::new();
        }
        let name = self.seen.iter().find(|(_, named)| **named == inode);
        name.map(|(name, _)| name.clone()).unwrap_or_default()
    }

    fn sync_fails(&mut self) -> Option<AfterFailedSync> {
        countdown(&mut self.failing_sync)
    }

    fn check_alive(&self, life: u64) -> io::Result<()> {
        if self.life != life {
            return Err(io::Error::other(
                "the process that had this handle has crashed",
            ));
        }
        if self.stop_at.is_some_and(|stop| self.operations >= stop) {
            return Err(io::Error::other("the world was stopped"));
        }
        Ok(())
    }

    fn begin(&mut self, life: u64, operation: impl FnOnce() -> DiskOperation) -> io::Result<()> {
        self.check_alive(life)?;
        self.operations += 1;
        if let Some(recording) = &mut self.recording {
            recording.push(operation());
        }
        Ok(())
    }
}

/// Counts down to a failure; gives it when it is due, once.
fn countdown<T: Copy>(failing: &mut Option<(u64, T)>) -> Option<T> {
    match failing {
        Some((0, failure)) => {
            let failure = *failure;
            *failing = None;
            Some(failure)
        }
        Some((skip, _)) => {
            *skip -= 1;
            None
        }
        None => None,
    }
}

/// Lays `data` over `image` at `offset`, with zeros before it where the image was shorter.
pub(super) fn overlay(image: &mut Vec<u8>, offset: u64, data: &[u8]) {
    let Ok(start) = usize::try_from(offset) else {
        return;
    };
    let end = start + data.len();
    if image.len() < end {
        image.resize(end, 0);
    }
    if let Some(target) = image.get_mut(start..end) {
        target.copy_from_slice(data);
    }
}
