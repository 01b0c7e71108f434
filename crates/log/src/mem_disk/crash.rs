//! What a crash leaves of a directory in memory.

use super::state::{Inode, NameChange, State, overlay};

/// The unit in which an interrupted write is old or new.
pub(super) const SECTOR: u64 = 512;

/// How a process ends.
pub enum Crash<'a> {
    /// The process alone: the system goes on, and everything it saw is still seen. Nothing
    /// becomes durable by it.
    Process,
    /// The power: of what was not synced survives what this function says, asked in the order
    /// in which it was written.
    Power(&'a mut dyn FnMut(Unsynced<'_>) -> bool),
}

/// Something that a loss of power may keep or lose.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unsynced<'a> {
    /// One write to one sector of 512 bytes.
    Sector {
        /// The file, by the name it last had.
        name: &'a str,
        /// Where the sector starts.
        offset: u64,
    },
    /// The length of a file, where a write moved it: it can survive without the content, which
    /// is zeros then.
    Length {
        /// The file, by the name it last had.
        name: &'a str,
        /// The length.
        length: u64,
    },
    /// A file got this name, or lost it.
    Name {
        /// The name.
        name: &'a str,
    },
}

impl State {
    /// Ends the process.
    pub(super) fn crash(&mut self, crash: Crash<'_>) {
        self.life += 1;
        self.locked = false;
        self.stop_at = None;
        let Crash::Power(keep) = crash else { return };
        let mut names: Vec<(u64, String)> = self
            .seen
            .iter()
            .map(|(name, inode)| (*inode, name.clone()))
            .collect();
        names.sort_unstable();
        for (number, inode) in &mut self.inodes {
            let at = names.binary_search_by_key(number, |(inode, _)| *inode);
            let name = at
                .ok()
                .and_then(|at| names.get(at))
                .map_or("", |(_, name)| name);
            lose_power(inode, name, keep);
        }
        for change in std::mem::take(&mut self.changes) {
            self.settle_name(change, keep);
        }
        self.seen.clone_from(&self.durable);
        self.drop_unnamed();
    }

    fn settle_name(&mut self, change: NameChange, keep: &mut dyn FnMut(Unsynced<'_>) -> bool) {
        match change {
            NameChange::Link(name, inode) => {
                if keep(Unsynced::Name { name: &name }) {
                    self.durable.insert(name, inode);
                }
            }
            NameChange::Rename(from, to, inode) => {
                if keep(Unsynced::Name { name: &to }) {
                    self.durable
                        .retain(|name, named| *name != from || *named != inode);
                    self.durable.insert(to, inode);
                }
            }
            NameChange::Unlink(name) => {
                if keep(Unsynced::Name { name: &name }) {
                    self.durable.remove(&name);
                }
            }
        }
    }
}

fn lose_power(inode: &mut Inode, name: &str, keep: &mut dyn FnMut(Unsynced<'_>) -> bool) {
    for (offset, data) in std::mem::take(&mut inode.writes) {
        let length = offset + data.len() as u64;
        let grows = length > inode.durable.len() as u64;
        if grows && keep(Unsynced::Length { name, length }) {
            overlay(&mut inode.durable, length, &[]);
        }
        let mut at = offset;
        let mut rest = data.as_slice();
        while !rest.is_empty() {
            let sector = at - at % SECTOR;
            let here = usize::try_from(sector + SECTOR - at).unwrap_or(usize::MAX);
            let (piece, after) = rest.split_at_checked(here).unwrap_or((rest, &[]));
            if keep(Unsynced::Sector {
                name,
                offset: sector,
            }) {
                overlay(&mut inode.durable, at, piece);
            }
            at += piece.len() as u64;
            rest = after;
        }
    }
    inode.seen.clone_from(&inode.durable);
}
