//! The names in a directory in memory: those that a process sees, and those that would survive.
//! What is in the files is in `image.rs`.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{self, ErrorKind};

/// A change that was not synced.
#[derive(Clone, Debug)]
enum Change {
    /// The name now stands for the file.
    Link(String, u64),
    /// The file has the second name instead of the first.
    Rename(String, String, u64),
    /// The name is gone.
    Unlink(String),
}

impl Change {
    /// The name that is new, or gone.
    fn name(&self) -> &str {
        match self {
            Self::Link(name, _) | Self::Rename(_, name, _) | Self::Unlink(name) => name,
        }
    }
}

/// A directory: which file each name stands for.
#[derive(Clone, Debug, Default)]
pub(super) struct Names {
    seen: BTreeMap<String, u64>,
    durable: BTreeMap<String, u64>,
    /// Oldest first.
    changes: Vec<Change>,
    /// A file may have lost its last name.
    orphans: bool,
    /// A sync lied: names are seen that will never be durable.
    strayed: bool,
}

impl Names {
    /// The file of this name.
    pub(super) fn find(&self, name: &str) -> Option<u64> {
        self.seen.get(name).copied()
    }

    /// The name of a file, if it has one.
    pub(super) fn name_of(&self, inode: u64) -> Option<&str> {
        let mut all = self.seen.iter();
        all.find_map(|(name, named)| (*named == inode).then_some(name.as_str()))
    }

    /// All names, in order.
    pub(super) fn list(&self) -> impl Iterator<Item = &String> {
        self.seen.keys()
    }

    /// The files that have a name.
    pub(super) fn inodes(&self) -> impl Iterator<Item = &u64> {
        self.seen.values()
    }

    /// Gives a new file its name.
    pub(super) fn link(&mut self, name: &str, inode: u64) {
        self.seen.insert(name.to_owned(), inode);
        self.changes.push(Change::Link(name.to_owned(), inode));
    }

    /// Gives a file another name.
    pub(super) fn rename(&mut self, from: &str, to: &str) -> io::Result<()> {
        let inode = self.seen.remove(from).ok_or(ErrorKind::NotFound)?;
        self.orphans |= self.seen.insert(to.to_owned(), inode).is_some();
        let change = Change::Rename(from.to_owned(), to.to_owned(), inode);
        self.changes.push(change);
        Ok(())
    }

    /// Takes a name away.
    pub(super) fn unlink(&mut self, name: &str) {
        self.orphans |= self.seen.remove(name).is_some();
        self.changes.push(Change::Unlink(name.to_owned()));
    }

    /// Makes every change durable.
    pub(super) fn sync(&mut self) {
        for change in std::mem::take(&mut self.changes) {
            self.settle(change);
        }
    }

    /// Makes no change durable, now or later, and says nothing.
    pub(super) fn lie_about_sync(&mut self) {
        self.strayed |= !self.changes.is_empty();
        self.changes.clear();
    }

    /// How many changes are not durable.
    pub(super) const fn unsynced(&self) -> usize {
        self.changes.len()
    }

    /// Keeps those changes of which `keep` says so, asked in their order.
    pub(super) fn lose_power(&mut self, mut keep: impl FnMut(&str) -> bool) {
        if self.changes.is_empty() && !self.strayed {
            return;
        }
        for change in std::mem::take(&mut self.changes) {
            if keep(change.name()) {
                self.settle(change);
            }
        }
        self.seen.clone_from(&self.durable);
        self.strayed = false;
        self.orphans = true;
    }

    /// Takes a name away behind everybody's back, durably.
    pub(super) fn lose(&mut self, name: &str) {
        self.seen.remove(name);
        self.durable.remove(name);
        self.changes.retain(|change| change.name() != name);
        self.orphans = true;
    }

    /// Makes every name that is seen durable, and no other.
    pub(super) fn settle_all(&mut self) {
        self.changes.clear();
        self.durable.clone_from(&self.seen);
        self.strayed = false;
        self.orphans = true;
    }

    /// The files that have a name, or could have one again after a loss of power; `None` if no
    /// file lost its name since this was asked.
    pub(super) fn take_named(&mut self) -> Option<BTreeSet<u64>> {
        let named = || self.seen.values().chain(self.durable.values()).copied();
        std::mem::take(&mut self.orphans).then(|| named().collect())
    }

    fn settle(&mut self, change: Change) {
        match change {
            Change::Link(name, inode) => {
                self.durable.insert(name, inode);
            }
            Change::Rename(from, to, inode) => {
                if self.durable.get(&from) == Some(&inode) {
                    self.durable.remove(&from);
                }
                self.durable.insert(to, inode);
            }
            Change::Unlink(name) => {
                self.durable.remove(&name);
            }
        }
    }
}
