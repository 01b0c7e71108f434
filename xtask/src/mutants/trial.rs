//! One attempt to kill a mutant: what is built and run, for how long, and how its output is
//! read. Changes no source; that is `scratch.rs`.

use std::fmt;
use std::fs::{self, File};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use super::scratch::Scratch;
use crate::command::cargo;
use crate::failure::{Failure, Result};

/// A mutant that is not found within this long is not found.
const BUDGET: Duration = Duration::from_secs(60);

/// Seeds of the systems world that take less than the budget, and how long each goes on: many
/// short lives find more than a few long ones, because most mistakes show at starts and faults.
const SYSTEM_SEEDS: &str = "0..1500";
const SYSTEM_EVENTS: Option<u64> = Some(5000);

/// What must find a mistake.
#[derive(Debug)]
pub(super) enum Trial {
    /// The simulator, on a range of seeds.
    Explore {
        world: World,
        seeds: String,
        /// Happenings in each seed, where that is not what the simulator would do by itself.
        events: Option<u64>,
    },
    /// The tests of a package whose names contain the filter.
    Test {
        package: String,
        filter: Option<String>,
    },
}

/// What the simulator is made of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum World {
    Engines,
    Systems,
}

impl World {
    const fn name(self) -> &'static str {
        match self {
            Self::Engines => "engines",
            Self::Systems => "systems",
        }
    }

    fn parse(text: &str) -> Option<Self> {
        [Self::Engines, Self::Systems]
            .into_iter()
            .find(|world| world.name() == text)
    }
}

impl Trial {
    /// For a mutant of `file` that does not say otherwise: seeds of the world that the file is
    /// part of, then the tests of its crate.
    pub(super) fn usual(file: &str) -> Vec<Self> {
        let (world, seeds, events, package) = if file.starts_with("crates/quorate/") {
            (World::Systems, SYSTEM_SEEDS, SYSTEM_EVENTS, "quorate")
        } else if file.starts_with("crates/log/") {
            (World::Systems, SYSTEM_SEEDS, SYSTEM_EVENTS, "quorate-log")
        } else {
            (World::Engines, "0..2000", None, "quorate-core")
        };
        let seeds = Self::Explore {
            world,
            seeds: seeds.to_owned(),
            events,
        };
        let tests = Self::Test {
            package: package.to_owned(),
            filter: None,
        };
        vec![seeds, tests]
    }

    pub(super) fn parse(text: &str) -> Option<Self> {
        let words: Vec<&str> = text.split_whitespace().collect();
        match words.as_slice() {
            ["explore", rest @ ..] => explore(rest),
            ["test", package] => Some(Self::Test {
                package: (*package).to_owned(),
                filter: None,
            }),
            ["test", package, filter] => Some(Self::Test {
                package: (*package).to_owned(),
                filter: Some((*filter).to_owned()),
            }),
            _ => None,
        }
    }

    /// Builds and runs in the scratch tree. The output is kept under `name`.
    pub(super) fn run(&self, scratch: &Scratch, name: &str) -> Result<Outcome> {
        let log = scratch.log(name)?;
        let build = self.command(scratch, true);
        if !bounded(build, &log, Duration::MAX)?.is_some_and(|status| status.success()) {
            return Ok(Outcome::NotBuilt {
                log: log.display().to_string(),
            });
        }
        let start = Instant::now();
        let status = bounded(self.command(scratch, false), &log, BUDGET)?;
        let seconds = start.elapsed().as_secs_f64();
        let output = fs::read_to_string(&log).map_err(Failure::at(&log))?;
        let killer = match (status, self) {
            (Some(status), _) if status.success() => None,
            (_, Self::Explore { .. }) => violation(&output).or_else(|| goal_missed(&output)),
            // Some mistakes make one test fail and another wait for ever.
            (_, Self::Test { .. }) => failed_test(&output),
        };
        Ok(match killer {
            Some(killer) => Outcome::Killed {
                trial: self.to_string(),
                killer,
                seconds,
            },
            None if status.is_some_and(|status| !status.success()) => {
                return Err(Failure::new(format!(
                    "'{self}' failed and did not say what it found; see {}",
                    log.display()
                )));
            }
            None => Outcome::Survived {
                tried: format!("{self}, {seconds:.0} s"),
            },
        })
    }

    fn command(&self, scratch: &Scratch, build_only: bool) -> Command {
        let mut command = match self {
            Self::Explore {
                world,
                seeds,
                events,
            } if !build_only => {
                let mut command = Command::new(scratch.binary("quorate-sim"));
                command.args(["explore", "--world", world.name(), "--seeds", seeds]);
                if let Some(events) = events {
                    command.args(["--events", &events.to_string()]);
                }
                command
            }
            Self::Explore { .. } => {
                let mut command = Command::new(cargo());
                command.args(["build", "--release", "-p", "quorate-sim"]);
                command
            }
            Self::Test { package, filter } => {
                let mut command = Command::new(cargo());
                command.args(["test", "-p", package]);
                if build_only {
                    command.arg("--no-run");
                } else {
                    command.arg("--");
                    command.args(filter);
                }
                command
            }
        };
        scratch.prepare(&mut command);
        command
    }
}

impl fmt::Display for Trial {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Explore {
                world,
                seeds,
                events: None,
            } => write!(f, "explore {} {seeds}", world.name()),
            Self::Explore {
                world,
                seeds,
                events: Some(events),
            } => write!(f, "explore {} {seeds} events {events}", world.name()),
            Self::Test {
                package,
                filter: None,
            } => write!(f, "test {package}"),
            Self::Test {
                package,
                filter: Some(filter),
            } => write!(f, "test {package} {filter}"),
        }
    }
}

/// What found a mistake.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Killer {
    /// The violated property or the failed test.
    pub(super) name: String,
    pub(super) seed: String,
    pub(super) events: String,
    /// The command that shows it again in the harmed copy; empty for a test, whose name says it.
    pub(super) replay: String,
}

/// How a trial ended.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Outcome {
    Killed {
        /// The trial that did it.
        trial: String,
        killer: Killer,
        seconds: f64,
    },
    Survived {
        tried: String,
    },
    NotBuilt {
        log: String,
    },
}

impl Outcome {
    pub(super) fn is_kill(&self) -> bool {
        matches!(self, Self::Killed { .. })
    }
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Killed {
                trial,
                killer,
                seconds,
            } => {
                write!(
                    f,
                    "killed by {} of '{trial}' in {seconds:.1} s",
                    killer.name
                )?;
                if !killer.replay.is_empty() {
                    write!(f, "; replay: {}", killer.replay)?;
                }
                Ok(())
            }
            Self::Survived { tried } => write!(f, "survived {tried}"),
            Self::NotBuilt { log } => write!(f, "does not build, see {log}"),
        }
    }
}

/// Reads `[WORLD] FROM..TO [events COUNT]`.
fn explore(words: &[&str]) -> Option<Trial> {
    let (world, words) = match words {
        [world, rest @ ..] if World::parse(world).is_some() => (World::parse(world)?, rest),
        rest => (World::Engines, rest),
    };
    let (seeds, events) = match words {
        [seeds] => (seeds, None),
        [seeds, "events", events] => (seeds, Some(events.parse().ok()?)),
        _ => return None,
    };
    seeds.contains("..").then(|| Trial::Explore {
        world,
        seeds: (*seeds).to_owned(),
        events,
    })
}

/// Reads the simulator's verdict. One that cannot be replayed is no verdict.
fn violation(output: &str) -> Option<Killer> {
    let replay = output
        .lines()
        .find_map(|line| line.strip_prefix("replay:"))?;
    let violation = output
        .lines()
        .find_map(|line| line.strip_prefix("violation:"))?;
    let name = violation.split_whitespace().next()?;
    Some(Killer {
        name: name.trim_end_matches(':').to_owned(),
        seed: value_of(replay, "--seed"),
        events: value_of(replay, "--stop-at"),
        replay: replay.trim().to_owned(),
    })
}

/// The first goal that a campaign without a violation missed: of a mistake that makes nothing go
/// wrong, only something never happen.
fn goal_missed(output: &str) -> Option<Killer> {
    let mut lines = output.lines();
    lines.find(|line| line.starts_with("goals missed"))?;
    let (goal, _) = lines.next()?.split_once(':')?;
    Some(Killer {
        name: format!("goal {}", goal.trim()),
        seed: "-".to_owned(),
        events: "-".to_owned(),
        replay: String::new(),
    })
}

fn value_of(line: &str, flag: &str) -> String {
    let mut words = line.split_whitespace().skip_while(|word| *word != flag);
    words.nth(1).unwrap_or("-").to_owned()
}

/// The first failed test in what `cargo test` printed.
fn failed_test(output: &str) -> Option<Killer> {
    let name = output.lines().find_map(|line| {
        line.strip_prefix("test ")
            .and_then(|rest| rest.strip_suffix(" ... FAILED"))
    })?;
    let name = name.rsplit("::").next().unwrap_or(name);
    Some(Killer {
        name: name.to_owned(),
        seed: "-".to_owned(),
        events: "-".to_owned(),
        replay: String::new(),
    })
}

/// Runs `command` with its output going to `log`. `None` if it was still running when its time
/// was up; then it and whatever it started is killed.
fn bounded(mut command: Command, log: &Path, budget: Duration) -> Result<Option<ExitStatus>> {
    let output = File::create(log).map_err(Failure::at(log))?;
    let errors = output.try_clone().map_err(Failure::at(log))?;
    let start = Instant::now();
    let mut child = command
        .stdin(Stdio::null())
        .stdout(output)
        .stderr(errors)
        // cargo starts the tests; a group of their own lets both be ended by one id.
        .process_group(0)
        .spawn()
        .map_err(|error| Failure::new(format!("{:?}: {error}", command.get_program())))?;
    loop {
        if let Some(status) = child.try_wait().map_err(Failure::at(log))? {
            return Ok(Some(status));
        }
        if start.elapsed() > budget {
            let group = format!("-{}", child.id());
            let _ = Command::new("kill").args(["-KILL", "--", &group]).status();
            child.wait().map_err(Failure::at(log))?;
            return Ok(None);
        }
        std::thread::sleep(Duration::from_millis(20));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn violation_counts_only_with_a_line_to_replay_it() {
        let output = "..\nviolation: ElectionSafety: n1 and n2 lead t3\n\
                      replay: cargo run -- run --seed 17 --stop-at 1234\n";
        let killer = violation(output).unwrap();
        assert_eq!(killer.name, "ElectionSafety");
        assert_eq!(
            (killer.seed.as_str(), killer.events.as_str()),
            ("17", "1234")
        );
        assert_eq!(
            violation("violation: ElectionSafety\n"),
            None,
            "it cannot be replayed"
        );
        assert_eq!(
            violation("replay: x\n"),
            None,
            "it does not say what was violated"
        );
    }

    #[test]
    fn campaign_that_missed_a_goal_names_it() {
        let output = "goals, and how many seeds reached them:\n  0  split vote\n\
                      goals missed, 2 of them:\n  SplitVote: split vote\n  Other: another\n";
        assert_eq!(goal_missed(output).unwrap().name, "goal SplitVote");
        assert_eq!(goal_missed("all properties held\n"), None);
    }

    #[test]
    fn trial_reads_back_as_it_is_shown() {
        for text in [
            "explore engines 0..9",
            "explore systems 0..9 events 500",
            "test quorate-log",
            "test quorate-log torn",
        ] {
            assert_eq!(Trial::parse(text).unwrap().to_string(), text);
        }
        for text in [
            "explore",
            "explore systems",
            "explore planets 0..9",
            "explore 0..9 events",
            "explore 0..9 events many",
        ] {
            assert!(Trial::parse(text).is_none(), "'{text}' means nothing");
        }
    }

    #[test]
    fn usual_trials_fit_the_file() {
        let usual = |file| {
            let trials = Trial::usual(file);
            trials.iter().map(ToString::to_string).collect::<Vec<_>>()
        };
        let host = usual("crates/quorate/src/driver.rs");
        assert!(host[0].starts_with("explore systems "), "{host:?}");
        assert_eq!(host[1], "test quorate");
        assert_eq!(usual("crates/log/src/log.rs")[1], "test quorate-log");
        let engine = usual("crates/core/src/engine.rs");
        assert!(engine[0].starts_with("explore engines "), "{engine:?}");
        assert_eq!(engine[1], "test quorate-core");
    }

    #[test]
    fn first_failed_test_is_named() {
        let output = "test a::b ... ok\ntest a::c ... FAILED\ntest d ... FAILED\n";
        assert_eq!(failed_test(output).unwrap().name, "c");
        assert_eq!(failed_test("test a ... ok\n"), None);
    }

    #[test]
    fn program_that_outlives_its_budget_is_ended() {
        let log = std::env::temp_dir().join(format!("quorate-xtask-{}", std::process::id()));
        let mut endless = Command::new("sleep");
        endless.arg("1000");
        let ended = bounded(endless, &log, Duration::ZERO).unwrap();
        assert_eq!(ended, None, "a mutant that loops would hang the chore");
        let finished = bounded(Command::new("true"), &log, Duration::MAX).unwrap();
        assert!(finished.is_some_and(|status| status.success()));
        fs::remove_file(&log).unwrap();
    }
}
