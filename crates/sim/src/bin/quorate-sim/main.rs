//! The command line of the simulator: explores many seeds, replays one, or crashes a log. What a
//! seed does is in the library.

use std::process::ExitCode;

use clap::{Parser, Subcommand};
use quorate_sim::Options;
use quorate_sim::crash_points::Point;

mod crash_points;
mod explore;
mod replay;

/// Runs worlds of Raft engines under faults, one per seed, and checks every one of them.
#[derive(Parser)]
#[command(name = "quorate-sim")]
struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Run many seeds and add up what happened. Stops at the first that fails.
    Explore {
        /// Seeds, as FROM..TO without TO.
        #[arg(long, value_parser = parse_range, default_value = "0..2000")]
        seeds: std::ops::Range<u64>,
        /// Happenings under faults in each seed.
        #[arg(long, default_value_t = Options::DEFAULT_EVENTS)]
        events: u64,
        /// Seeds that run at the same time.
        #[arg(long, default_value_t = 2)]
        threads: usize,
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
    /// Run one seed again.
    Replay {
        /// The seed.
        #[arg(long)]
        seed: u64,
        /// Happenings under faults: as many as when the seed was explored.
        #[arg(long, default_value_t = Options::DEFAULT_EVENTS)]
        events: u64,
        /// Print the trace only up to this event.
        #[arg(long)]
        stop_at: Option<u64>,
        /// Print the whole trace, not just its end.
        #[arg(long)]
        trace: bool,
    },
}

fn main() -> ExitCode {
    match Args::parse().command {
        Command::Explore {
            seeds,
            events,
            threads,
        } => explore::explore(seeds, events, threads),
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
            seed,
            events,
            stop_at,
            trace,
        } => replay::replay(seed, events, stop_at, trace),
    }
}

/// Parses `FROM..TO`.
fn parse_range(text: &str) -> Result<std::ops::Range<u64>, String> {
    let (from, to) = text.split_once("..").ok_or("expected FROM..TO")?;
    let number = |text: &str| {
        text.parse::<u64>()
            .map_err(|error| format!("{text:?}: {error}"))
    };
    Ok(number(from)?..number(to)?)
}
