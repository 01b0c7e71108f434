//! What earlier runs found, so that a long run can be stopped and taken up again. A result is
//! good for the tree and the mutant it was found with, and for no other, unless one asks for less.

use std::fs;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::path::{Path, PathBuf};

use super::list::Mutant;
use super::trial::{Killer, Outcome, Trial};
use crate::failure::{Failure, Result};

/// The results kept in one folder.
pub(super) struct Results {
    folder: PathBuf,
    tree: u64,
    /// The commit of the tree, as git shows it.
    commit: String,
    keeps_kills: bool,
}

/// What was found, and the commit of the tree it was found with.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Found {
    pub(super) outcome: Outcome,
    pub(super) commit: String,
}

impl Results {
    /// The results for the tree with this fingerprint, at this commit. With `keeps_kills` a kill
    /// by an earlier tree counts, too.
    pub(super) fn at(folder: &Path, tree: u64, commit: String, keeps_kills: bool) -> Result<Self> {
        fs::create_dir_all(folder).map_err(Failure::at(folder))?;
        Ok(Self {
            folder: folder.to_path_buf(),
            tree,
            commit,
            keeps_kills,
        })
    }

    pub(super) fn commit(&self) -> &str {
        &self.commit
    }

    pub(super) fn load(&self, mutant: &Mutant) -> Option<Found> {
        let text = fs::read_to_string(self.path(&mutant.name)).ok()?;
        let (head, outcome) = text.split_once('\n')?;
        let (keys, commit) = head.rsplit_once(' ')?;
        let (definition, tree) = keys.split_once(' ')?;
        let outcome = read(outcome)?;
        let is_of_this_tree = tree == hash(&self.tree);
        let counts = is_of_this_tree || (self.keeps_kills && outcome.is_kill());
        if definition != hash(&mutant.definition()) || !counts {
            return None;
        }
        let commit = commit.to_owned();
        Some(Found { outcome, commit })
    }

    pub(super) fn save(&self, mutant: &Mutant, outcome: Outcome) -> Result<Found> {
        let path = self.path(&mutant.name);
        let (definition, tree) = (hash(&mutant.definition()), hash(&self.tree));
        let commit = self.commit.clone();
        let text = format!("{definition} {tree} {commit}\n{}", written(&outcome));
        fs::write(&path, text).map_err(Failure::at(&path))?;
        Ok(Found { outcome, commit })
    }

    /// Whether the trial is known to pass without a mutant.
    pub(super) fn is_sound(&self, trial: &Trial) -> bool {
        self.sound_path(trial).exists()
    }

    pub(super) fn mark_sound(&self, trial: &Trial) -> Result<()> {
        let path = self.sound_path(trial);
        fs::write(&path, trial.to_string()).map_err(Failure::at(&path))
    }

    fn sound_path(&self, trial: &Trial) -> PathBuf {
        let key = hash(&(self.tree, trial.to_string()));
        self.path(&format!("sound-{key}"))
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.join(format!("{name}.txt"))
    }
}

/// Forgets every result kept in `folder`.
pub(super) fn forget(folder: &Path) -> Result<()> {
    if folder.exists() {
        fs::remove_dir_all(folder).map_err(Failure::at(folder))?;
    }
    Ok(())
}

fn hash(what: &impl Hash) -> String {
    let mut hasher = DefaultHasher::new();
    what.hash(&mut hasher);
    format!("{:016x}", hasher.finish())
}

fn written(outcome: &Outcome) -> String {
    match outcome {
        Outcome::Killed {
            killer:
                Killer {
                    name,
                    seed,
                    events,
                    replay,
                },
            trial,
            seconds,
        } => {
            format!("killed\t{trial}\t{name}\t{seed}\t{events}\t{seconds}\t{replay}")
        }
        Outcome::Survived { tried } => format!("survived\t{tried}"),
        Outcome::NotBuilt { log } => format!("not-built\t{log}"),
    }
}

fn read(text: &str) -> Option<Outcome> {
    let fields: Vec<&str> = text.trim_end_matches('\n').split('\t').collect();
    match fields.as_slice() {
        ["killed", trial, name, seed, events, seconds, replay] => Some(Outcome::Killed {
            trial: (*trial).to_owned(),
            killer: Killer {
                name: (*name).to_owned(),
                seed: (*seed).to_owned(),
                events: (*events).to_owned(),
                replay: (*replay).to_owned(),
            },
            seconds: seconds.parse().ok()?,
        }),
        ["survived", tried] => Some(Outcome::Survived {
            tried: (*tried).to_owned(),
        }),
        ["not-built", log] => Some(Outcome::NotBuilt {
            log: (*log).to_owned(),
        }),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn outcome_reads_back_as_it_was_written() {
        let killer = Killer {
            name: "A".into(),
            seed: "7".into(),
            events: "-".into(),
            replay: "cargo run -- replay --seed 7".into(),
        };
        for outcome in [
            Outcome::Killed {
                trial: "explore systems 0..9".into(),
                killer,
                seconds: 1.5,
            },
            Outcome::Survived {
                tried: "explore 0..9, 3 s".into(),
            },
            Outcome::NotBuilt {
                log: "x.txt".into(),
            },
        ] {
            assert_eq!(read(&written(&outcome)), Some(outcome));
        }
        assert_eq!(read("killed\tA\n"), None, "a damaged result is no result");
    }
}
