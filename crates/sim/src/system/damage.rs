//! Damage to what stands on the disk of a node that is down: flipped bits, lost and cut files,
//! and bytes of one place found at another.

use quorate_core::NodeId;

use super::System;
use crate::check::Check;
use crate::site::Site;

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
        host.spared = Some(spared);
        host.may_look_torn = kind < 5;
        self.note(|| format!("damage of kind {kind} at {at} on the disk of {node}"));
        Ok(())
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
