//! The command line of the simulator: explores many seeds, replays one, or crashes a log. What a
//! seed does is in the library.

use std::ops::Range;
use std::process::ExitCode;

use clap::{Args, Parser, Subcommand};
use quorate_sim::crash_points::Point;
use quorate_sim::{Case, Options, Source, WorldName};

use explore::Campaign;
use replay::Run;

mod crash_points;
mod explore;
mod replay;
mod report;
mod shrink;
mod twice;

/// Runs worlds of Raft engines under faults, one per seed, and checks every one of them.
///
/// Happenings are everything that comes about at its time: arrivals, wake-ups, ends of syncs,
/// faults, requests; `--events` counts those. Rates count useful events: each delivery to a node
/// that runs, each completion of a disk, and each other step of an engine that does something,
/// all of them once. A step that a delivery or a completion causes is not counted again, and ticks
/// in which an engine does nothing are not counted.
#[derive(Parser)]
#[command(name = "quorate-sim")]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Run many seeds and add up what happened. Stops at the first that fails.
    Explore {
        #[command(flatten)]
        seeds: Seeds,
        /// Shrink a failure at once.
        #[arg(long)]
        shrink: bool,
        /// Fail if a goal was missed, also in a campaign of few or short seeds. From 5,000 seeds
        /// of usual length on it does so anyway.
        #[arg(long)]
        goals: bool,
    },
    /// Crash a log after every operation on its disk, in every way that is worth trying.
    CrashPoints {
        /// The first seed.
        #[arg(long, default_value_t = 0)]
        seed: u64,
        /// How many seeds, from the first one on. Stops at the first that fails.
        #[arg(long, default_value_t = 1)]
        seeds: u64,
        /// Calls of a host in each seed.
        #[arg(long, default_value_t = 25)]
        calls: u64,
        /// Subsets of the unsynced writes that are drawn where not all can be tried.
        #[arg(long, default_value_t = 32)]
        subsets: u64,
        /// Only this crash point, as it was printed.
        #[arg(long)]
        at: Option<Point>,
    },
    /// Run one seed, or one tape, again.
    Replay {
        #[command(flatten)]
        which: Which,
        /// Print the trace only up to this event.
        #[arg(long)]
        stop_at: Option<u64>,
        /// Print the whole trace, not just its end.
        #[arg(long)]
        trace: bool,
    },
    /// Make a failing run small: the same violation by few choices and events.
    Shrink {
        #[command(flatten)]
        which: Which,
        #[command(flatten)]
        budget: shrink::Budget,
    },
    /// Print the hash of each seed.
    #[command(hide = true)]
    Digest {
        #[command(flatten)]
        seeds: Seeds,
        /// Run only every so manieth seed.
        #[arg(long, default_value_t = 1)]
        every: u64,
    },
}

/// Many seeds.
#[derive(Args)]
struct Seeds {
    /// The world.
    #[arg(long, default_value_t = WorldName::Engines)]
    world: WorldName,
    /// Seeds, as FROM..TO without TO.
    #[arg(long, value_parser = parse_range, default_value = "0..2000")]
    seeds: Range<u64>,
    /// Happenings under faults in each seed.
    #[arg(long, default_value_t = Options::DEFAULT_EVENTS)]
    events: u64,
    /// Seeds that run at the same time.
    #[arg(long, default_value_t = 2)]
    threads: usize,
}

impl Seeds {
    fn every(self, every: u64) -> Campaign {
        Campaign {
            world: self.world,
            seeds: self.seeds,
            every: every.max(1),
            events: self.events,
            threads: self.threads,
        }
    }
}

/// Which run is meant.
#[derive(Args)]
struct Which {
    /// The world.
    #[arg(long, default_value_t = WorldName::Engines)]
    world: WorldName,
    /// The seed.
    #[arg(long, required_unless_present = "tape")]
    seed: Option<u64>,
    /// Happenings under faults: as many as when the seed was explored.
    #[arg(long, default_value_t = Options::DEFAULT_EVENTS)]
    events: u64,
    /// A tape in place of world, seed and events.
    #[arg(long, conflicts_with_all = ["world", "seed", "events"])]
    tape: Option<Case>,
}

impl From<Which> for Run {
    fn from(which: Which) -> Self {
        match which.tape {
            Some(case) => case.into(),
            None => Self {
                world: which.world,
                // Without a tape there is a seed.
                source: Source::Seed(which.seed.unwrap_or_default()),
                events: which.events,
            },
        }
    }
}

fn main() -> ExitCode {
    match Cli::parse().command {
        Command::Explore {
            seeds,
            shrink,
            goals,
        } => explore::explore(&seeds.every(1), shrink, goals),
        Command::CrashPoints {
            seed,
            seeds,
            calls,
            subsets,
            at,
        } => {
            let seeds = seed..seed.saturating_add(seeds);
            crash_points::crash_points(seeds, calls, subsets, at.as_ref())
        }
        Command::Replay {
            which,
            stop_at,
            trace,
        } => replay::replay(&which.into(), stop_at, trace),
        Command::Shrink { which, budget } => shrink::shrink(&which.into(), &budget),
        Command::Digest { seeds, every } => twice::print(&seeds.every(every)),
    }
}

/// Parses `FROM..TO`.
fn parse_range(text: &str) -> Result<Range<u64>, String> {
    let (from, to) = text.split_once("..").ok_or("expected FROM..TO")?;
    let number = |text: &str| {
        text.parse::<u64>()
            .map_err(|error| format!("{text:?}: {error}"))
    };
    Ok(number(from)?..number(to)?)
}
