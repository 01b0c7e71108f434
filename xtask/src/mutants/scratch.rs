//! The copy of the tree in which mutants are planted. It has a target folder of its own that
//! stays, so that a mutant costs the build of one crate and what depends on it.

use std::collections::BTreeSet;
use std::fs;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::path::{Path, PathBuf};
use std::process::Command;

use super::list::Mutant;
use crate::failure::{Failure, Result};
use crate::repo;

/// The copy, and what it is a copy of.
pub(super) struct Scratch {
    source: PathBuf,
    tree: PathBuf,
    target: PathBuf,
    logs: PathBuf,
    fingerprint: u64,
}

impl Scratch {
    /// Brings the copy under `folder` up to date with `source`.
    pub(super) fn of(source: &Path, folder: &Path) -> Result<Self> {
        let logs = folder.join("logs");
        fs::create_dir_all(&logs).map_err(Failure::at(&logs))?;
        let mut scratch = Self {
            source: source.to_path_buf(),
            tree: folder.join("work"),
            target: folder.join("build"),
            logs,
            fingerprint: 0,
        };
        scratch.fingerprint = scratch.sync()?;
        Ok(scratch)
    }

    /// A number that changes when any source of the product or its tests does; the chores are
    /// neither. The standard hasher has fixed keys: the same tree gives the same number tomorrow.
    pub(super) fn fingerprint(&self) -> u64 {
        self.fingerprint
    }

    /// Plants a mutant, in place of whichever was there.
    pub(super) fn plant(&self, mutant: &Mutant) -> Result<()> {
        self.restore()?;
        let source = self.source.join(&mutant.file);
        let text = fs::read_to_string(&source).map_err(Failure::at(&source))?;
        write_if_new(
            &self.tree.join(&mutant.file),
            mutant.apply(&text)?.as_bytes(),
        )
    }

    /// Makes the copy a copy again.
    pub(super) fn restore(&self) -> Result<()> {
        if self.sync()? == self.fingerprint {
            return Ok(());
        }
        Err(Failure::new("the sources changed meanwhile; start again"))
    }

    /// Sets `command` to build and run here.
    pub(super) fn prepare(&self, command: &mut Command) {
        command
            .current_dir(&self.tree)
            .env("CARGO_TARGET_DIR", &self.target)
            // What is lost in speed of the simulator is won many times over in building.
            .env("CARGO_PROFILE_RELEASE_LTO", "off")
            .env("CARGO_PROFILE_RELEASE_DEBUG", "false")
            .env("CARGO_PROFILE_RELEASE_CODEGEN_UNITS", "16")
            .env("CARGO_INCREMENTAL", "1");
    }

    /// Where a release binary of the copy is.
    pub(super) fn binary(&self, name: &str) -> PathBuf {
        self.target.join("release").join(name)
    }

    /// Where the output of the trial called `name` goes.
    pub(super) fn log(&self, name: &str) -> Result<PathBuf> {
        fs::create_dir_all(&self.logs).map_err(Failure::at(&self.logs))?;
        Ok(self.logs.join(format!("{name}.txt")))
    }

    /// Copies what differs and removes what is gone; a file that is the same keeps its time, so
    /// that cargo does not build it again. Returns the fingerprint of the source.
    fn sync(&self) -> Result<u64> {
        let mut hasher = DefaultHasher::new();
        let mut kept = BTreeSet::new();
        let mut paths = Vec::new();
        repo::walk(&self.source, &mut paths)?;
        paths.sort();
        for path in paths {
            let name = repo::relative(&self.source, &path);
            if !is_copied(&name) {
                continue;
            }
            let bytes = fs::read(&path).map_err(Failure::at(&path))?;
            if !name.starts_with("xtask/") {
                (&name, &bytes).hash(&mut hasher);
            }
            let copy = self.tree.join(&name);
            write_if_new(&copy, &bytes)?;
            kept.insert(copy);
        }
        let mut copies = Vec::new();
        repo::walk(&self.tree, &mut copies)?;
        for copy in copies.iter().filter(|copy| !kept.contains(*copy)) {
            fs::remove_file(copy).map_err(Failure::at(copy))?;
        }
        Ok(hasher.finish())
    }
}

/// The copy is the workspace and nothing else. The chores are a member of it and have to be
/// there; their tests are not among the trials.
fn is_copied(name: &str) -> bool {
    name.starts_with("crates/")
        || name.starts_with("xtask/")
        || matches!(name, "Cargo.toml" | "Cargo.lock")
        // Pages that crates include as documentation.
        || (name.ends_with(".md") && !name.contains('/'))
}

fn write_if_new(path: &Path, bytes: &[u8]) -> Result<()> {
    if fs::read(path).is_ok_and(|old| old == bytes) {
        return Ok(());
    }
    if let Some(folder) = path.parent() {
        fs::create_dir_all(folder).map_err(Failure::at(folder))?;
    }
    fs::write(path, bytes).map_err(Failure::at(path))
}
