//! How disks are harmed. What stands on that of a node that is down: flipped bits, lost and cut
//! files, and bytes of one place found at another. And under a node that runs: sectors that
//! cannot be read for a while, or read as something else. Writes that go astray are in
//! `astray.rs`; who may be harmed is in `atlas.rs`.

use quorate_core::NodeId;
use quorate_log::Lasting;

use super::atlas::Harm;
use super::{Happening, System};
use crate::check::Check;
use crate::knobs::{MILLI, SECOND};
use crate::site::Site;

/// Bytes of a sector.
const SECTOR: usize = 512;

impl System {
    /// Damages one file of `node`. Its log must notice, or not need what was damaged.
    pub(super) fn damage(&mut self, node: NodeId) -> Check {
        let host = &mut self.nodes[node];
        let names = host.disk.names();
        let place = self.choices.choose(names.len() as u64, Site::DamageExtent);
        let Some(name) = names.get(place as usize) else {
            return Ok(());
        };
        let spared = host.disk.fork();
        let kind = self.choices.choose(6, Site::DamageExtent);
        let (at, to) = (
            self.choices.choose(1 << 20, Site::DamageExtent) as usize,
            self.choices.choose(1 << 20, Site::DamageExtent) as usize,
        );
        match kind {
            0 => host.disk.lose(name),
            1 => host.disk.corrupt(name, |bytes| {
                bytes.truncate(at % bytes.len().max(1));
            }),
            2 => host.disk.corrupt(name, |bytes| move_sector(bytes, at, to)),
            3 => host.disk.corrupt(name, |bytes| {
                let length = bytes.len().max(1);
                let (first, last) = (at % length, (at % length + 512).min(length));
                if let Some(sector) = bytes.get_mut(first..last) {
                    sector.fill(0);
                }
            }),
            4 => {
                let segment = names.iter().rfind(|name| name.starts_with("segment-"));
                host.disk
                    .corrupt(segment.unwrap_or(name), |bytes| clear_last_sector(bytes));
            }
            _ => host.disk.corrupt(name, |bytes| {
                let place = at % bytes.len().max(1);
                if let Some(byte) = bytes.get_mut(place) {
                    *byte ^= 1 << (to % 8);
                }
            }),
        }
        let may_look_torn = kind < 5;
        let harm = Harm::Damaged {
            spared,
            may_look_torn,
            is_astray: false,
        };
        self.atlas.harm(node, harm);
        self.note(|| format!("damage of kind {kind} at {at} on the disk of {node}"));
        Ok(())
    }

    /// A sector in which old entries stand goes bad under a node that runs.
    pub(super) fn break_sector(&mut self, node: NodeId) {
        let ppm = self.knobs.disk_bytes.bad_sector_ppm;
        if !self.choices.chance(ppm, Site::BadSector) || !self.atlas.may_harm(node) {
            return;
        }
        let disk = &self.nodes[node].disk;
        let mut names = disk.names();
        names.retain(|name| name.starts_with("segment-"));
        let mut draw = |n: usize| self.choices.choose(n as u64, Site::BadSectorAt) as usize;
        // The newest is read most.
        let name = names.iter().rev().nth(draw(names.len()));
        let content = name.and_then(|name| disk.content(name));
        let (Some(name), Some(content)) = (name, content) else {
            return;
        };
        let end = content.iter().rposition(|byte| *byte != 0).unwrap_or(0);
        let at = draw(end + 1) as u64;
        let kind = draw(4);
        let other = draw(end + 1) / SECTOR * SECTOR;
        let harm = match kind {
            0 | 1 => Harm::Unreadable,
            _ => Harm::Misread,
        };
        match kind {
            0 | 1 => disk.break_sector(name, at, Lasting::UntilWritten),
            2 => {
                let instead = content.get(other..other + SECTOR).unwrap_or(&[0; SECTOR]);
                disk.misread_sector(name, at, instead, Lasting::UntilWritten);
            }
            // As it was before it was written.
            _ => disk.misread_sector(name, at, &[0; SECTOR], Lasting::UntilWritten),
        }
        let most = 2 * SECOND;
        let lasts = self.choices.log_between(MILLI, most, Site::BadSectorAt);
        self.note(|| format!("{harm:?} is the sector at {at} in the log of {node}"));
        self.atlas.harm(node, harm);
        self.counts.bad_sectors += 1;
        self.agenda.push(self.now + lasts, Happening::Mend(node));
    }

    /// The sectors of a disk read again as they were written, if it has bad ones.
    pub(super) fn mend_sectors(&mut self, node: NodeId) {
        if self.atlas.mends_sectors(node) {
            self.nodes[node].disk.mend_sectors();
        }
    }

    /// Somebody looks after a disk: there is room on it, it fails no more, and all of it is read.
    pub(super) fn look_after(&mut self, node: NodeId) {
        self.mend_sectors(node);
        if let Some(astray) = self.atlas.ends_astray(node) {
            astray.put_right(&self.nodes[node].disk);
        }
        let host = &mut self.nodes[node];
        host.is_full = false;
        host.disk.limit(u64::MAX);
        host.disk.forgive();
    }
}

/// The last sector in which anything stands is lost: where the newest batch ends, mostly.
fn clear_last_sector(bytes: &mut [u8]) {
    let Some(last) = bytes.iter().rposition(|byte| *byte != 0) else {
        return;
    };
    let (from, to) = (last - last % 512, bytes.len());
    if let Some(sector) = bytes.get_mut(from..to.min(from + 512)) {
        sector.fill(0);
    }
}

/// What was meant for one sector stands in another one.
fn move_sector(bytes: &mut [u8], from: usize, to: usize) {
    let sectors = bytes.len() / 512;
    if sectors == 0 {
        return;
    }
    let (from, to) = (from % sectors * 512, to % sectors * 512);
    bytes.copy_within(from..from + 512, to);
}
