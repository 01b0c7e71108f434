//! What earlier runs found, so that a long run can be stopped and taken up again. A result is
//! good for the tree and the mutant it was found with, and for no other.

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
}

impl Results {
    /// The results for the tree with this fingerprint; `fresh` forgets them.
    pub(super) fn at(folder: &Path, tree: u64, fresh: bool) -> Result<Self> {
        if fresh && folder.exists() {
            fs::remove_dir_all(folder).map_err(Failure::at(folder))?;
        }
        fs::create_dir_all(folder).map_err(Failure::at(folder))?;
        Ok(Self {
            folder: folder.to_path_buf(),
            tree,
        })
    }

    pub(super) fn load(&self, mutant: &Mutant) -> Option<Outcome> {
        let path = self.path(&mutant.name);
        let text = fs::read_to_string(path).ok()?;
        let (key, outcome) = text.split_once('\n')?;
        if key != self.key(&mutant.definition()) {
            return None;
        }
        read(outcome)
    }

    pub(super) fn save(&self, mutant: &Mutant, outcome: &Outcome) -> Result<()> {
        let path = self.path(&mutant.name);
        let text = format!("{}\n{}", self.key(&mutant.definition()), written(outcome));
        fs::write(&path, text).map_err(Failure::at(&path))
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
        self.path(&format!("sound-{}", self.key(&trial.to_string())))
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.join(format!("{name}.txt"))
    }

    fn key(&self, definition: &str) -> String {
        let mut hasher = DefaultHasher::new();
        (self.tree, definition).hash(&mut hasher);
        format!("{:016x}", hasher.finish())
    }
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
            seconds,
        } => {
            format!("killed\t{name}\t{seed}\t{events}\t{seconds}\t{replay}")
        }
        Outcome::Survived { tried } => format!("survived\t{tried}"),
        Outcome::NotBuilt { log } => format!("not-built\t{log}"),
    }
}

fn read(text: &str) -> Option<Outcome> {
    let fields: Vec<&str> = text.trim_end_matches('\n').split('\t').collect();
    match fields.as_slice() {
        ["killed", name, seed, events, seconds, replay] => Some(Outcome::Killed {
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
