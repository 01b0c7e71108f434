//! One file in memory: what a process sees of it, what would survive, and what was written in
//! between. What a file is called is in `names.rs`.

use super::crash::{Fate, Question, TearUnit};
use super::faults::AfterFailedSync;

/// A write that was not synced.
#[derive(Clone, Debug)]
struct Unsynced {
    offset: u64,
    data: Vec<u8>,
}

/// Buffers of writes that were synced or lost, to be used again.
pub(super) type Pool = Vec<Vec<u8>>;

/// Buffers kept for later. A job writes to few places between two syncs.
const POOLED: usize = 16;

/// A file.
#[derive(Clone, Debug, Default)]
pub(super) struct Image {
    /// What a process sees.
    seen: Vec<u8>,
    /// What survives.
    durable: Vec<u8>,
    /// What was written since the last sync, oldest first. Elsewhere the two images are alike,
    /// unless they have `strayed`.
    writes: Vec<Unsynced>,
    /// A failed sync left content that is seen and will never be durable.
    strayed: bool,
}

/// What a process does.
impl Image {
    /// What a process sees.
    pub(super) fn seen(&self) -> &[u8] {
        &self.seen
    }

    /// Writes `data`, unsynced.
    pub(super) fn write(&mut self, offset: u64, data: Vec<u8>) {
        overlay(&mut self.seen, offset, &data);
        self.writes.push(Unsynced { offset, data });
    }

    /// Makes durable what was written since the last sync, failed or not.
    pub(super) fn sync(&mut self, pool: &mut Pool) {
        for write in self.writes.drain(..) {
            overlay(&mut self.durable, write.offset, &write.data);
            recycle(pool, write.data);
        }
    }

    /// Makes nothing durable, now or later.
    pub(super) fn fail_sync(&mut self, after: AfterFailedSync, pool: &mut Pool) {
        match after {
            AfterFailedSync::NewContent => {
                self.strayed |= !self.writes.is_empty();
                self.forget_writes(pool);
            }
            AfterFailedSync::OldContent => self.revert(pool),
        }
    }
}

/// What a loss of power does.
impl Image {
    /// How many times a loss of power would ask.
    pub(super) fn questions(&self, unit: TearUnit) -> usize {
        let of = |write: &Unsynced| {
            let grows = end(write) > self.durable.len() as u64;
            usize::from(grows) + pieces(write.offset, &write.data, unit).count()
        };
        self.writes.iter().map(of).sum()
    }

    /// Keeps of what was not synced what `fate` says, asked in the order of the writes.
    pub(super) fn lose_power(
        &mut self,
        unit: TearUnit,
        pool: &mut Pool,
        mut fate: impl FnMut(Question) -> Fate,
    ) {
        for write in &self.writes {
            let length = end(write);
            let grows = length > self.durable.len() as u64;
            if grows && fate(Question::Length(length)) != Fate::Lost {
                overlay(&mut self.durable, length, &[]);
            }
            for (offset, piece) in pieces(write.offset, &write.data, unit) {
                match fate(Question::Piece(offset - offset % unit.bytes())) {
                    Fate::Kept => overlay(&mut self.durable, offset, piece),
                    Fate::Lost => {}
                    Fate::Garbage(seed) => {
                        overlay(&mut self.durable, offset, &garbage(seed, piece.len()));
                    }
                }
            }
        }
        self.revert(pool);
    }

    /// Lets a process see what is durable, and nothing else.
    fn revert(&mut self, pool: &mut Pool) {
        if self.strayed {
            self.seen.clone_from(&self.durable);
            self.strayed = false;
        } else {
            // The images differ only where something was written: most of a large file is spared.
            self.seen.resize(self.durable.len(), 0);
            for write in &self.writes {
                let from = clip(write.offset, self.durable.len());
                let to = clip(end(write), self.durable.len());
                if let (Some(seen), Some(durable)) =
                    (self.seen.get_mut(from..to), self.durable.get(from..to))
                {
                    seen.copy_from_slice(durable);
                }
            }
        }
        self.forget_writes(pool);
    }

    fn forget_writes(&mut self, pool: &mut Pool) {
        for write in self.writes.drain(..) {
            recycle(pool, write.data);
        }
    }
}

/// What happens behind everybody's back, durably.
impl Image {
    /// Changes the content to whatever `change` makes of it. What was unsynced is durable then.
    pub(super) fn change(&mut self, change: impl FnOnce(&mut Vec<u8>)) {
        change(&mut self.seen);
        self.durable.clone_from(&self.seen);
        self.writes.clear();
        self.strayed = false;
    }

    /// Flips a bit. What is unsynced stays so, and is not touched by it.
    pub(super) fn flip(&mut self, offset: u64, bit: u8) {
        for image in [&mut self.seen, &mut self.durable] {
            let byte = usize::try_from(offset)
                .ok()
                .and_then(|at| image.get_mut(at));
            if let Some(byte) = byte {
                *byte ^= 1 << (bit % 8);
            }
        }
    }

    /// Writes `data` as far as the file reaches.
    pub(super) fn scribble(&mut self, offset: u64, data: &[u8]) {
        for image in [&mut self.seen, &mut self.durable] {
            let from = clip(offset, image.len());
            let to = clip(offset.saturating_add(data.len() as u64), image.len());
            if let Some(target) = image.get_mut(from..to) {
                let (data, _) = data.split_at_checked(target.len()).unwrap_or((data, &[]));
                target.copy_from_slice(data);
            }
        }
    }

    /// Cuts the file to `length`, if it is longer, and what is unsynced beyond.
    pub(super) fn truncate(&mut self, length: u64) {
        for image in [&mut self.seen, &mut self.durable] {
            image.truncate(clip(length, image.len()));
        }
        self.writes.retain_mut(|write| {
            let left = length.saturating_sub(write.offset);
            write.data.truncate(clip(left, write.data.len()));
            left > 0
        });
    }

    /// Makes everything that is seen durable.
    pub(super) fn settle(&mut self) {
        self.change(|_| {});
    }
}

/// The first byte after a write.
const fn end(write: &Unsynced) -> u64 {
    write.offset + write.data.len() as u64
}

/// The parts of a write that fall into one unit each, with the offset of each.
fn pieces(offset: u64, data: &[u8], unit: TearUnit) -> impl Iterator<Item = (u64, &[u8])> {
    let (mut at, mut rest) = (offset, data);
    std::iter::from_fn(move || {
        if rest.is_empty() {
            return None;
        }
        let here = clip(unit.bytes() - at % unit.bytes(), rest.len());
        let (piece, after) = rest.split_at_checked(here)?;
        let found = (at, piece);
        at += piece.len() as u64;
        rest = after;
        Some(found)
    })
}

/// Bytes that nobody wrote, repeatable.
fn garbage(seed: u64, length: usize) -> Vec<u8> {
    let words = (0..).map(|word| crate::mask::mix(seed.wrapping_add(word)));
    words.flat_map(u64::to_le_bytes).take(length).collect()
}

/// `offset` as an index, no larger than `length`.
fn clip(offset: u64, length: usize) -> usize {
    usize::try_from(offset).map_or(length, |offset| offset.min(length))
}

fn recycle(pool: &mut Pool, mut buffer: Vec<u8>) {
    if pool.len() < POOLED {
        buffer.clear();
        pool.push(buffer);
    }
}

/// Lays `data` over `image` at `offset`, with zeros before it where the image was shorter.
fn overlay(image: &mut Vec<u8>, offset: u64, data: &[u8]) {
    let Ok(start) = usize::try_from(offset) else {
        return;
    };
    if image.len() < start {
        image.resize(start, 0);
    }
    let overlap = data.len().min(image.len() - start);
    let (over, beyond) = data.split_at_checked(overlap).unwrap_or((data, &[]));
    if let Some(target) = image.get_mut(start..start + overlap) {
        target.copy_from_slice(over);
    }
    image.extend_from_slice(beyond);
}
