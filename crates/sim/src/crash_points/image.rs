//! What every image that a crash leaves has to keep. How images come about is in `run.rs`.

use quorate_core::{Entries, Entry, HardState, NodeId, Payload, Term};
use quorate_log::{
    ClusterId, Crash, DirectoryId, Disk, FreshIds, Log, LogOptions, MemDisk, OpenError, Opened,
    Owner, Write,
};

use super::held::Held;
use super::survivors::Survivors;
use super::told::Told;
use super::watched::Watch;
use crate::digest::mix;

/// Of so many images, one is opened again and again, interrupted after every operation.
const INTERRUPTED_SHARE: u64 = 8;
/// Of so many images, one is damaged.
const DAMAGED_SHARE: u64 = 4;

/// The unit in which a disk loses what it held.
const SECTOR: usize = 512;

/// A directory as it was left by a crash, and how it is to be opened.
pub(super) struct Image<'a> {
    pub(super) disk: MemDisk,
    pub(super) told: &'a Told,
    pub(super) segment_bytes: u64,
    /// Whether the witness on disk is of the last batch. Until then, a sector of that batch that
    /// is lost cannot be told from one that was never written.
    pub(super) is_witnessed: bool,
    /// Decides what is tried with it, so that it is the same when it is tried again.
    pub(super) salt: u64,
    /// How many times a log was opened.
    pub(super) opens: &'a mut u64,
}

/// What is wrong, and where a second crash came if that is what it needs.
pub(super) type Wrong = (Option<(u64, Survivors)>, String);

/// Opens a log in memory. Where the directory is new, it gets ids that depend on `fresh`.
pub(super) fn open<D: Disk>(
    disk: D,
    segment_bytes: u64,
    fresh: u64,
) -> Result<Opened<D>, OpenError> {
    let Some(node) = NodeId::new(1) else {
        unreachable!("1 names a node")
    };
    let owner = Owner {
        cluster: ClusterId(0xC1),
        node,
    };
    let ids = u128::from(mix(fresh)) << 64 | u128::from(mix(!fresh));
    let fresh = FreshIds {
        directory: DirectoryId(ids),
        log: ids.rotate_left(32),
    };
    let mut options = LogOptions::default();
    options.segment_bytes = segment_bytes;
    Log::open(disk, owner, fresh, options)
}

impl Image<'_> {
    /// Tries everything that is to be tried with this image.
    pub(super) fn check(mut self) -> Result<(), Wrong> {
        if mix(self.salt ^ 1).is_multiple_of(INTERRUPTED_SHARE) {
            self.interrupt()?;
        }
        if mix(self.salt ^ 2).is_multiple_of(DAMAGED_SHARE) {
            self.damage().map_err(|what| (None, what))?;
        }
        self.recover(self.disk.fork())
            .and_then(|(log, held)| self.go_on(log, held))
            .map_err(|what| (None, what))
    }

    /// Opens `disk`, and looks whether a crash may have left what is in it.
    fn recover(&mut self, disk: MemDisk) -> Result<(Kept, Held), String> {
        let (kept, held, directory) = self.reopen(disk)?;
        self.told.allows(&held, directory)?;
        Ok((kept, held))
    }

    fn reopen(&mut self, disk: MemDisk) -> Result<(Kept, Held, DirectoryId), String> {
        *self.opens += 1;
        let mut opened = open(disk.clone(), self.segment_bytes, *self.opens)
            .map_err(|error| format!("it cannot be opened: {error}"))?;
        let held = Held::of(&mut opened)?;
        let directory = opened.identity.directory;
        let log = opened.log;
        Ok((Kept { disk, log }, held, directory))
    }

    /// Uses the log, and loses the power: everything is there again, and nothing of what was cut
    /// comes back.
    fn go_on(&mut self, mut kept: Kept, mut held: Held) -> Result<(), String> {
        let job = job(&held, mix(self.salt ^ 3) % 4);
        let performed = kept.log.perform(&job);
        performed.map_err(|error| format!("it cannot be written after the crash: {error}"))?;
        job.iter().for_each(|write| held.write(write));
        kept.disk.crash(Crash::Power(&mut |_| false));
        let (_, found, _) = self
            .reopen(kept.disk)
            .map_err(|what| format!("after the recovery, {what}"))?;
        if found == held {
            return Ok(());
        }
        let difference = held.difference(&found);
        Err(format!("after the recovery and {job:?}, {difference}"))
    }

    /// Crashes again after every operation of the recovery.
    fn interrupt(&mut self) -> Result<(), Wrong> {
        let whole = self.disk.fork();
        let watch = Watch::new(&whole);
        *self.opens += 1;
        let before = whole.operations();
        // What comes of it is checked elsewhere; here it is interrupted.
        drop(open(watch.handle(), self.segment_bytes, *self.opens));
        for image in watch.take() {
            let operations = image.operations() - before;
            let drawn = Survivors::Drawn(mix(self.salt ^ operations) >> 16);
            for survivors in [Survivors::Process, Survivors::None, Survivors::All, drawn] {
                let crashed = image.fork();
                survivors.crash(&crashed);
                self.recover(crashed)
                    .map_err(|what| (Some((operations, survivors)), what))?;
            }
        }
        Ok(())
    }

    /// Flips one bit, loses a file, or wipes a sector where the log can know that it was written:
    /// the log refuses to open, or lacks nothing.
    fn damage(&mut self) -> Result<(), String> {
        let disk = self.disk.fork();
        let names = disk.list().unwrap_or_default();
        let pick = mix(self.salt ^ 4);
        let at = pick.checked_rem(names.len() as u64).unwrap_or(0);
        let Some(name) = usize::try_from(at).ok().and_then(|at| names.get(at)) else {
            return Ok(());
        };
        let loses = (pick >> 33).is_multiple_of(4);
        let wipes = self.is_witnessed && pick & (1 << 32) != 0;
        let mut place = 0;
        if loses {
            disk.lose(name);
        }
        disk.corrupt(name, |bytes| {
            place = mix(pick).checked_rem(bytes.len() as u64).unwrap_or(0);
            let byte = usize::try_from(place).unwrap_or(usize::MAX);
            if wipes {
                let sector = bytes.chunks_mut(SECTOR).nth(byte / SECTOR);
                sector.unwrap_or_default().fill(0);
            } else if let Some(byte) = bytes.get_mut(byte) {
                *byte ^= 1 << (pick >> 61);
            }
        });
        *self.opens += 1;
        let Ok(mut opened) = open(disk, self.segment_bytes, *self.opens) else {
            return Ok(());
        };
        let directory = opened.identity.directory;
        let found = Held::of(&mut opened);
        found
            .and_then(|found| self.told.allows(&found, directory))
            .map_err(|what| {
                let damage = match (loses, wipes) {
                    (true, _) => "all lost",
                    (false, true) => "a sector wiped",
                    (false, false) => "a bit flipped",
                };
                format!("with {damage} at byte {place} of {name}, {what}")
            })
    }
}

/// An open log and its disk.
struct Kept {
    disk: MemDisk,
    log: Log<MemDisk>,
}

/// Something to do with a log that holds `held`.
fn job(held: &Held, kind: u64) -> Vec<Write> {
    let term = held.hard_state.term.next();
    let state = Write::HardState(HardState {
        term,
        vote: None,
        floor: held.hard_state.floor,
    });
    let last = held.last().index;
    let entry = |index, term: Term, bytes: usize| Entry {
        index,
        term,
        payload: Payload::Command(vec![0xA5; bytes].into()),
    };
    let append = |entry| Write::Append(Entries::from(vec![entry]));
    match kind {
        0 => Vec::new(),
        1 => vec![state, append(entry(last.next(), term, 20))],
        // In the place of the last entry.
        2 => {
            let at = last.prev().next();
            vec![state, append(entry(at, term, 700))]
        }
        // More than is left of any segment of the least size.
        _ => vec![
            state,
            append(entry(last.next(), term, 20)),
            append(entry(last.next().next(), term, 4000)),
        ],
    }
}
