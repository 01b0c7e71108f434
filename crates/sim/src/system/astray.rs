//! Writes that go astray: the drive reports success, the bytes stand in another place than the
//! one they were meant for, and the node goes on (fault table row 11). What was changed by it is
//! remembered sector by sector, so that it can be put right, but for what was written since.

use quorate_core::NodeId;
use quorate_log::{DiskOperation, MemDisk};

use super::atlas::Harm;
use super::{Happening, System};
use crate::check::LifeId;
use crate::knobs::{MILLI, SECOND};
use crate::site::Site;

/// Bytes of a sector.
const SECTOR: usize = 512;
/// What is zeroed for later. Its name may be another's tomorrow.
const SPARE: &str = "spare";

/// What a write that went astray has changed.
#[derive(Debug)]
pub(super) struct Astray(Vec<Changed>);

/// A sector that holds something else than it should.
#[derive(Debug)]
struct Changed {
    name: String,
    at: usize,
    should: Vec<u8>,
    does: Vec<u8>,
}

impl Astray {
    /// Lets the first of these writes, which were made since `before` and in this order, go to a
    /// place in another file or in its own. Nothing, if there is none whose bytes still stand.
    fn strays(
        disk: &MemDisk,
        before: &MemDisk,
        writes: &[DiskOperation],
        (victim, to): (&str, usize),
    ) -> Option<Self> {
        let content = |disk: &MemDisk, name| disk.content(name).unwrap_or_default();
        let mut writes = writes.iter().filter_map(|operation| match operation {
            DiskOperation::Write {
                name,
                offset,
                bytes,
            } => Some((name.as_str(), *offset as usize, *bytes as usize)),
            DiskOperation::Create { .. }
            | DiskOperation::Rename { .. }
            | DiskOperation::Remove { .. }
            | DiskOperation::Sync { .. }
            | DiskOperation::SyncDir => None,
        });
        let (name, from, length) = writes.next()?;
        let (good, target) = (content(disk, name), content(disk, victim));
        let data = good.get(from..from + length)?;
        // A segment that was begun since was zeros before.
        let zeros = vec![0; length];
        let old = content(before, name);
        let old = old.get(from..from + length).unwrap_or(&zeros);
        disk.corrupt(name, |bytes| overlay(bytes, from, old));
        disk.corrupt(victim, |bytes| overlay(bytes, to, data));
        // What was written later stands where it should, also on top of this.
        for (over, from, length) in writes {
            let whole = if over == name { &good } else { &target };
            if over == name || over == victim {
                let part = whole.get(from..from + length).unwrap_or_default();
                disk.corrupt(over, |bytes| overlay(bytes, from, part));
            }
        }
        let mut astray = Self(Vec::new());
        astray.compare(name, &good, &content(disk, name));
        if victim != name {
            astray.compare(victim, &target, &content(disk, victim));
        }
        Some(astray)
    }

    /// Forgets the sectors that these later writes filled with the very bytes that the one that
    /// strayed had left there: two batches may end alike, and now that is what should stand there.
    fn note_writes(&mut self, disk: &MemDisk, writes: &[DiskOperation]) {
        self.0.retain(|sector| {
            let end = sector.at + sector.does.len();
            let fills = |operation: &DiskOperation| {
                matches!(operation, DiskOperation::Write { name, offset, bytes }
                    if *name == sector.name
                        && *offset as usize <= sector.at
                        && end <= (*offset + *bytes) as usize)
            };
            let content = || disk.content(&sector.name).unwrap_or_default();
            let is_same = || content().get(sector.at..end) == Some(&*sector.does);
            !writes.iter().any(fills) || !is_same()
        });
    }

    /// Puts every sector right that holds what the write left there: any other was written since.
    pub(super) fn put_right(&self, disk: &MemDisk) {
        for sector in &self.0 {
            disk.corrupt(&sector.name, |bytes| {
                let range = sector.at..sector.at + sector.does.len();
                if let Some(bytes) = bytes.get_mut(range).filter(|it| **it == *sector.does) {
                    bytes.copy_from_slice(&sector.should);
                }
            });
        }
    }

    /// Compares what a file holds with what it should hold.
    fn compare(&mut self, name: &str, should: &[u8], does: &[u8]) {
        let sectors = should.chunks(SECTOR).zip(does.chunks(SECTOR));
        for (place, (should, does)) in sectors.enumerate() {
            if should != does {
                self.0.push(Changed {
                    name: name.to_owned(),
                    at: place * SECTOR,
                    should: should.to_vec(),
                    does: does.to_vec(),
                });
            }
        }
    }
}

impl System {
    /// Whether a write of the next job of `node` goes astray: its disk as it was before, then.
    /// After one that did, the writes of all jobs are recorded.
    pub(super) fn begin_astray(&mut self, node: NodeId) -> Option<MemDisk> {
        let ppm = self.knobs.disk_bytes.astray_ppm;
        let strays = self.choices.chance(ppm, Site::Astray);
        let host = &self.nodes[node];
        if self.atlas.astray(node).is_some() {
            host.disk.record(true);
        }
        if !strays || !host.stable.is_born || !self.atlas.may_harm(node) {
            return None;
        }
        host.disk.record(true);
        Some(host.disk.fork())
    }

    /// The job is done. What it wrote, in whole or in part, after a write that went astray?
    pub(super) fn note_writes_after_astray(&mut self, node: NodeId) {
        if let Some(astray) = self.atlas.astray(node) {
            let disk = &self.nodes[node].disk;
            astray.note_writes(disk, &disk.record(false));
        }
    }

    /// The job is done, and what it wrote was recorded: if it has succeeded, one of its writes
    /// went astray. The process dies some time after that.
    pub(super) fn end_astray(&mut self, id: LifeId, before: &MemDisk, has_succeeded: bool) {
        let disk = &self.nodes[id.node].disk;
        let mut writes = disk.record(false);
        if !has_succeeded {
            return;
        }
        writes.retain(|it| matches!(it, DiskOperation::Write { name, .. } if name != SPARE));
        let mut names = disk.names();
        names.retain(|name| name != SPARE);
        let mut draw = |n: usize| self.choices.choose(n.max(1) as u64, Site::AstrayAt) as usize;
        let write = draw(writes.len());
        let victim = draw(names.len());
        let Some(victim) = names.get(victim) else {
            return;
        };
        let content = disk.content(victim).unwrap_or_default();
        let end = content.iter().rposition(|byte| *byte != 0).unwrap_or(0);
        let to = draw(end / SECTOR + 1) * SECTOR;
        let rest = writes.get(write..).unwrap_or_default();
        let Some(astray) = Astray::strays(disk, before, rest, (victim, to)) else {
            return;
        };
        let text = format!("{:?} goes to {to} of {victim}", writes.get(write));
        self.note(|| format!("on {} {text}", id.node));
        self.atlas.harm(id.node, Harm::Astray(astray));
        self.counts.misdirected += 1;
        let lasts = self.choices.log_between(MILLI, 2 * SECOND, Site::AstrayAt);
        self.agenda.push(self.now + lasts, Happening::Fall(id));
    }

    /// A node is about to open a log of which a write went astray: what it should hold is kept.
    pub(super) fn spare_astray(&mut self, node: NodeId) {
        if let Some(Harm::Astray(astray)) = self.atlas.of(node) {
            let spared = self.nodes[node].disk.fork();
            astray.put_right(&spared);
            let harm = Harm::Damaged {
                spared,
                may_look_torn: true,
                is_astray: true,
            };
            self.atlas.harm(node, harm);
        }
    }
}

/// Writes `data` at `from`, as far as the file reaches.
fn overlay(file: &mut [u8], from: usize, data: &[u8]) {
    let rest = file.get_mut(from..).unwrap_or_default();
    for (byte, data) in rest.iter_mut().zip(data) {
        *byte = *data;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use quorate_log::{Disk, DiskFile};
    use std::io::IoSlice;

    /// Two copies of a record, each of a sector: the one write that goes astray may take the
    /// other copy only if that one was written before.
    #[test]
    fn what_is_written_after_a_write_that_strays_stands_on_top_of_it() {
        let write = |offset| DiskOperation::Write {
            name: "a".to_owned(),
            offset,
            bytes: SECTOR as u64,
        };
        let (first, second) = (write(0), write(SECTOR as u64));
        let stands = |writes: &[DiskOperation], to| {
            let disk = MemDisk::new();
            let mut file = disk.create("a").unwrap();
            let mut save = |one: u8, other: u8| {
                let copies = [[one; SECTOR], [other; SECTOR]].concat();
                file.write_at(&[IoSlice::new(&copies)], 0).unwrap();
            };
            save(1, 1);
            let before = disk.fork();
            save(2, 3);
            let good = disk.content("a");
            let astray = Astray::strays(&disk, &before, writes, ("a", to)).unwrap();
            let found = disk.content("a").unwrap();
            astray.put_right(&disk);
            assert_eq!(disk.content("a"), good);
            (found[0], found[SECTOR])
        };
        assert_eq!(stands(&[first, second.clone()], SECTOR), (1, 3));
        assert_eq!(stands(&[second], 0), (3, 1));
    }

    #[test]
    fn put_right_spares_what_was_written_since_as_it_stood_there() {
        let disk = MemDisk::new();
        let mut file = disk.create("a").unwrap();
        let should = vec![1; 2 * SECTOR];
        let does = vec![2; 2 * SECTOR];
        file.write_at(&[IoSlice::new(&does)], 0).unwrap();
        let mut astray = Astray(Vec::new());
        astray.compare("a", &should, &does);
        disk.record(true);
        file.write_at(&[IoSlice::new(&does[..SECTOR])], 0).unwrap();
        file.write_at(&[IoSlice::new(&does[1..SECTOR])], SECTOR as u64)
            .unwrap();
        astray.note_writes(&disk, &disk.record(false));
        astray.put_right(&disk);
        let content = disk.content("a").unwrap();
        assert_eq!(content[..SECTOR], does[..SECTOR], "all of it was written");
        assert_eq!(content[SECTOR..], should[SECTOR..], "not all of it was");
    }

    #[test]
    fn put_right_spares_what_was_written_since() {
        let disk = MemDisk::new();
        let mut file = disk.create("a").unwrap();
        let should = vec![1; 3 * SECTOR];
        file.write_at(&[IoSlice::new(&should)], 0).unwrap();
        let mut does = should.clone();
        overlay(&mut does, SECTOR, &[2; 9 * SECTOR]);
        assert_eq!(does.len(), should.len(), "a file does not grow by it");
        let mut astray = Astray(Vec::new());
        astray.compare("a", &should, &does);
        assert_eq!(astray.0.len(), 2, "the first sector is as it was");

        file.write_at(&[IoSlice::new(&does)], 0).unwrap();
        file.write_at(&[IoSlice::new(&[3; 8])], 2 * SECTOR as u64)
            .unwrap();
        astray.put_right(&disk);
        let content = disk.content("a").unwrap();
        assert_eq!(content[..2 * SECTOR], should[..2 * SECTOR]);
        assert_eq!(content[2 * SECTOR..][..8], [3; 8]);
        assert_eq!(content[2 * SECTOR..][8..], does[2 * SECTOR + 8..]);
    }
}
