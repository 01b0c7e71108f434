//! A directory in memory, and what each call of a process does to it. The two images of each file
//! are in `image.rs`, those of the names in `names.rs`; which calls fail, in `faults.rs`.

use std::collections::BTreeMap;
use std::io::{self, ErrorKind, IoSlice};

use super::crash::{SECTOR, TearUnit};
use super::faults::{BadSync, DiskCall, Faults};
use super::image::{Image, Pool};
use super::names::Names;
use super::record::DiskOperation;

/// A directory.
#[derive(Clone, Debug)]
pub(super) struct State {
    pub(super) images: BTreeMap<u64, Image>,
    pub(super) names: Names,
    pub(super) pool: Pool,
    pub(super) faults: Faults,
    pub(super) tear_unit: TearUnit,
    /// Bytes that files may hold together.
    pub(super) capacity: u64,
    life: u64,
    locked: bool,
    stop_at: Option<u64>,
    next_inode: u64,
    operations: u64,
    recording: Option<Vec<DiskOperation>>,
}

impl Default for State {
    fn default() -> Self {
        Self {
            images: BTreeMap::new(),
            names: Names::default(),
            pool: Pool::new(),
            faults: Faults::default(),
            tear_unit: TearUnit::default(),
            capacity: u64::MAX,
            life: 0,
            locked: false,
            stop_at: None,
            next_inode: 1,
            operations: 0,
            recording: None,
        }
    }
}

/// What the experimenter does. More of it is in `hand.rs`.
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

    /// How many times a loss of power would ask what to keep.
    pub(super) fn unsynced(&self) -> usize {
        let questions = self.images.values();
        let in_files: usize = questions.map(|image| image.questions(self.tear_unit)).sum();
        in_files + self.names.unsynced()
    }

    /// Every handle is dead and the lock is free.
    pub(super) const fn end_process(&mut self) {
        self.life += 1;
        self.locked = false;
        self.stop_at = None;
    }

    /// Takes over the files of another directory as they are seen there, durably.
    pub(super) fn restore(&mut self, older: Self) {
        self.end_process();
        self.images = older.images;
        self.names = older.names;
        self.next_inode = self.next_inode.max(older.next_inode);
        self.images.values_mut().for_each(Image::settle);
        self.names.settle_all();
        self.drop_unnamed();
        self.faults.forget_places();
    }

    /// Forgets files that have no name any more and never will have one again.
    pub(super) fn drop_unnamed(&mut self) {
        if let Some(named) = self.names.take_named() {
            self.images.retain(|inode, _| named.contains(inode));
        }
    }
}

/// What a process does.
impl State {
    pub(super) fn lock(&mut self, life: u64) -> io::Result<bool> {
        self.check(life, DiskCall::Lock)?;
        Ok(!std::mem::replace(&mut self.locked, true))
    }

    pub(super) const fn unlock(&mut self, life: u64) {
        if self.life == life {
            self.locked = false;
        }
    }

    pub(super) fn open(&mut self, life: u64, name: &str) -> io::Result<Option<u64>> {
        self.check(life, DiskCall::Open)?;
        Ok(self.names.find(name))
    }

    pub(super) fn create(&mut self, life: u64, name: &str) -> io::Result<u64> {
        self.begin(life, |_| DiskOperation::Create {
            name: name.to_owned(),
        })?;
        self.faults.check(DiskCall::Create)?;
        if self.names.find(name).is_some() {
            return Err(ErrorKind::AlreadyExists.into());
        }
        let inode = self.next_inode;
        self.next_inode += 1;
        self.images.insert(inode, Image::default());
        self.names.link(name, inode);
        Ok(inode)
    }

    pub(super) fn rename(&mut self, life: u64, from: &str, to: &str) -> io::Result<()> {
        self.begin(life, |_| DiskOperation::Rename {
            from: from.to_owned(),
            to: to.to_owned(),
        })?;
        self.faults.check(DiskCall::Rename)?;
        self.names.rename(from, to)
    }

    pub(super) fn remove(&mut self, life: u64, name: &str) -> io::Result<()> {
        self.check_alive(life)?;
        if self.names.find(name).is_some() {
            self.begin(life, |_| DiskOperation::Remove {
                name: name.to_owned(),
            })?;
            self.faults.check(DiskCall::Remove)?;
            self.names.unlink(name);
        }
        Ok(())
    }

    pub(super) fn list(&mut self, life: u64) -> io::Result<Vec<String>> {
        self.check(life, DiskCall::List)?;
        Ok(self.names.list().cloned().collect())
    }

    pub(super) fn sync_dir(&mut self, life: u64) -> io::Result<()> {
        self.begin(life, |_| DiskOperation::SyncDir)?;
        self.faults.check(DiskCall::SyncDir)?;
        match self.faults.next_sync() {
            None => self.names.sync(),
            Some(BadSync::Lies) => self.names.lie_about_sync(),
            Some(BadSync::Fails(_)) => {
                let text = "the sync of the directory was made to fail";
                return Err(io::Error::other(text));
            }
        }
        self.drop_unnamed();
        Ok(())
    }

    pub(super) fn size(&mut self, life: u64, inode: u64) -> io::Result<u64> {
        self.check(life, DiskCall::Size)?;
        let image = self.images.get(&inode).ok_or(ErrorKind::NotFound)?;
        Ok(image.seen().len() as u64)
    }

    pub(super) fn read(
        &mut self,
        life: u64,
        inode: u64,
        buffer: &mut [u8],
        offset: u64,
    ) -> io::Result<usize> {
        self.check(life, DiskCall::Read)?;
        let image = self.images.get(&inode).ok_or(ErrorKind::NotFound)?;
        let start = usize::try_from(offset).ok();
        let rest = start.and_then(|start| image.seen().get(start..));
        let rest = rest.unwrap_or_default();
        let count = rest.len().min(buffer.len());
        let (Some(to), Some(from)) = (buffer.get_mut(..count), rest.get(..count)) else {
            return Ok(0);
        };
        to.copy_from_slice(from);
        if self.faults.sectors_are_sound() {
            return Ok(count);
        }
        self.faults.spoil_read(inode, offset, to)
    }

    pub(super) fn write(
        &mut self,
        life: u64,
        inode: u64,
        buffers: &[IoSlice<'_>],
        offset: u64,
    ) -> io::Result<usize> {
        let bytes = buffers.iter().map(|some| some.len()).sum();
        let bytes = self.faults.bytes_written(bytes);
        self.begin(life, |names| DiskOperation::Write {
            name: names.name_of(inode).unwrap_or_default().to_owned(),
            offset,
            bytes: bytes as u64,
        })?;
        let failure = self.faults.check(DiskCall::Write);
        let bytes = if failure.is_ok() {
            bytes
        } else {
            whole_sectors(offset, bytes / 2)
        };
        let bytes = self.room(inode, offset, bytes)?;
        let mut data = self.pool.pop().unwrap_or_default();
        for buffer in buffers {
            let left = buffer.get(..bytes - data.len()).unwrap_or(buffer);
            data.extend_from_slice(left);
        }
        if let Some(to) = self.faults.next_write(inode, offset, bytes) {
            if let Some(image) = self.images.get_mut(&to.inode) {
                image.scribble(to.offset, &data);
            }
        } else {
            let image = self.images.get_mut(&inode).ok_or(ErrorKind::NotFound)?;
            image.write(offset, data);
        }
        failure.map(|()| bytes)
    }

    pub(super) fn sync(&mut self, life: u64, inode: u64) -> io::Result<()> {
        self.begin(life, |names| DiskOperation::Sync {
            name: names.name_of(inode).unwrap_or_default().to_owned(),
        })?;
        let failure = self.faults.check(DiskCall::Sync);
        let bad = self.faults.next_sync();
        let image = self.images.get_mut(&inode).ok_or(ErrorKind::NotFound)?;
        match (failure, bad) {
            (Ok(()), None) => image.sync(&mut self.pool),
            (Ok(()), Some(BadSync::Lies)) => {
                image.fail_sync(super::AfterFailedSync::NewContent, &mut self.pool);
            }
            (Ok(()), Some(BadSync::Fails(after))) => {
                image.fail_sync(after, &mut self.pool);
                return Err(io::Error::other("the sync was made to fail"));
            }
            (Err(error), _) => {
                image.fail_sync(super::AfterFailedSync::NewContent, &mut self.pool);
                return Err(error);
            }
        }
        Ok(())
    }

    /// How many of so many bytes there is room for: a full disk takes what still fits, and then
    /// nothing.
    fn room(&self, inode: u64, offset: u64, bytes: usize) -> io::Result<usize> {
        if self.capacity == u64::MAX {
            return Ok(bytes);
        }
        let room = self.capacity.saturating_sub(self.used_bytes());
        let most = self.length(&inode).saturating_add(room);
        let fits = usize::try_from(most.saturating_sub(offset)).unwrap_or(usize::MAX);
        if bytes <= fits {
            return Ok(bytes);
        }
        match whole_sectors(offset, fits) {
            0 => Err(ErrorKind::StorageFull.into()),
            fits => Ok(fits),
        }
    }

    /// Bytes in all files that have a name.
    pub(super) fn used_bytes(&self) -> u64 {
        self.names.inodes().map(|inode| self.length(inode)).sum()
    }

    fn length(&self, inode: &u64) -> u64 {
        let image = self.images.get(inode);
        image.map_or(0, |image| image.seen().len() as u64)
    }

    fn check(&mut self, life: u64, call: DiskCall) -> io::Result<()> {
        self.check_alive(life)?;
        self.faults.check(call)
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

    fn begin(
        &mut self,
        life: u64,
        operation: impl FnOnce(&Names) -> DiskOperation,
    ) -> io::Result<()> {
        self.check_alive(life)?;
        self.operations += 1;
        if let Some(recording) = &mut self.recording {
            recording.push(operation(&self.names));
        }
        Ok(())
    }
}

/// How many of so many bytes from `offset` on leave no sector changed in part: a system works
/// with whole sectors, whatever stops it.
fn whole_sectors(offset: u64, bytes: usize) -> usize {
    let end = offset + bytes as u64;
    let end = end - end % SECTOR;
    usize::try_from(end.saturating_sub(offset)).unwrap_or(bytes)
}
