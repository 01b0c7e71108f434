//! `quorate-kv demo`: three server processes, a load from an unmodified Redis client library, the
//! leader killed in the middle of it, and a count of what was lost. This file is the order of
//! events; the processes are in `cluster.rs`, the load in `workload.rs`, what was promised to the
//! clients in `history.rs`, and the verdict in `report.rs`.

mod client;
mod cluster;
mod history;
mod report;
mod verify;
mod workload;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use clap::Args;
use tokio::signal::unix::{SignalKind, signal};
use tokio::time::sleep;

use cluster::Cluster;
use history::History;
pub use report::Verdict;
use workload::Load;

/// What the demo does.
#[derive(Args, Clone, Debug)]
pub struct Options {
    /// Writes to be acknowledged before the demo ends
    #[arg(long, default_value_t = 10_000, value_parser = clap::value_parser!(u64).range(1..))]
    pub writes: u64,
    /// Clients that write and read at the same time
    #[arg(long, default_value_t = 8, value_parser = clap::value_parser!(u16).range(1..=1000))]
    pub clients: u16,
    /// Times that the leader is killed
    #[arg(long, default_value_t = 1)]
    pub kills: u16,
    /// Leave the cluster running at the end
    #[arg(long)]
    pub keep: bool,
}

/// Why the demo came to no verdict.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DemoError {
    /// The system did not give what a cluster needs.
    #[error("cannot {action}")]
    System {
        /// What was tried.
        action: &'static str,
        /// Why it failed.
        source: std::io::Error,
    },
    /// A server ended or does not answer.
    #[error("node {id} {what}; its log is {}", log.display())]
    Server {
        /// The node.
        id: usize,
        /// What is wrong with it.
        what: &'static str,
        /// Where it wrote what happened.
        log: PathBuf,
    },
    /// The nodes do not agree on a leader.
    #[error("no leader was elected within {} seconds; the logs are in {}", ELECTION_MAX.as_secs(),
        logs.display())]
    NoLeader {
        /// Where the nodes wrote what happened.
        logs: PathBuf,
    },
    /// The load does not get on.
    #[error("no write was acknowledged for {} seconds; the logs are in {}", STALL_MAX.as_secs(),
        logs.display())]
    Stalled {
        /// Where the nodes wrote what happened.
        logs: PathBuf,
    },
    /// A client of the demo ended early.
    #[error("a client of the demo failed")]
    Client(#[from] tokio::task::JoinError),
    /// The user asked for an end.
    #[error("interrupted; the servers were stopped")]
    Interrupted,
}

/// How long an election may take on a machine with little time to spare.
const ELECTION_MAX: Duration = Duration::from_secs(30);
/// How long the load may stand still.
const STALL_MAX: Duration = Duration::from_secs(60);
/// How often progress is told.
const PROGRESS_EVERY: Duration = Duration::from_secs(1);
/// How often the demo looks whether what it waits for has happened.
const POLL_EVERY: Duration = Duration::from_millis(5);

/// Runs the demo. The servers are stopped whatever happens, unless `keep` is given and all is
/// well.
///
/// # Errors
/// There is no verdict: something else than the cluster's promises failed.
pub async fn run(options: &Options) -> Result<Verdict, DemoError> {
    let system = |source| DemoError::System {
        action: "wait for signals",
        source,
    };
    let mut interrupt = signal(SignalKind::interrupt()).map_err(system)?;
    let mut terminate = signal(SignalKind::terminate()).map_err(system)?;
    tokio::select! {
        verdict = perform(options) => verdict,
        _ = interrupt.recv() => Err(DemoError::Interrupted),
        _ = terminate.recv() => Err(DemoError::Interrupted),
    }
}

async fn perform(options: &Options) -> Result<Verdict, DemoError> {
    let narrator = Narrator {
        started: Instant::now(),
    };
    let mut cluster = Cluster::start(options.keep).await?;
    for server in cluster.servers() {
        narrator.say(&format!(
            "node {} serves clients at {}",
            server.id(),
            server.address()
        ));
    }
    let leader = cluster.await_leader(0).await?;
    narrator.say(&format!("node {} leads in term {}", leader.id, leader.term));

    let history = Arc::new(History::new(options.clients.into(), options.writes));
    let load = Load::start(&cluster.addresses(), &history);
    let logs = cluster.directory();
    let show = async {
        let leaderless = kill_leaders(options, &mut cluster, &history, narrator).await?;
        Ok::<_, DemoError>((leaderless, load.finish().await?))
    };
    let (leaderless, measured) = tokio::select! {
        outcome = show => outcome?,
        () = tell_progress(&history, narrator) => return Err(DemoError::Stalled { logs }),
    };

    narrator.say("checking every acknowledged write through every node");
    let lost = verify::every_node(&cluster, &history).await?;
    let verdict = Verdict::new(&history, &measured, lost, leaderless);
    println!("\n{verdict}");
    if !verdict.passed() {
        println!(
            "\nthe data and the logs of the servers are in {}",
            cluster.preserve().display()
        );
    } else if options.keep {
        farewell(&mut cluster);
    }
    Ok(verdict)
}

/// Kills the leader and brings it back, as often as asked for, at even distances of the load.
/// Answers the longest time without a leader.
async fn kill_leaders(
    options: &Options,
    cluster: &mut Cluster,
    history: &History,
    narrator: Narrator,
) -> Result<Duration, DemoError> {
    let mut longest = Duration::ZERO;
    let stretch = options.writes / (u64::from(options.kills) + 1);
    for kill in 1..=u64::from(options.kills) {
        history.acknowledged_reaches(stretch * kill).await;
        let old = cluster.await_leader(0).await?;
        cluster.kill(old.id).await?;
        let killed = Instant::now();
        narrator.say(&format!(
            "node {}, the leader, was killed (SIGKILL)",
            old.id
        ));
        let new = cluster.await_leader(old.term + 1).await?;
        let leaderless = killed.elapsed();
        longest = longest.max(leaderless);
        narrator.say(&format!(
            "node {} leads in term {}, {} ms later",
            new.id,
            new.term,
            leaderless.as_millis()
        ));
        // The others go on alone for a while, so that the old leader has something to catch up.
        history
            .acknowledged_reaches(stretch * kill + stretch / 4)
            .await;
        cluster.restart(old.id).await?;
        narrator.say(&format!("node {} is back and has caught up", old.id));
    }
    Ok(longest)
}

/// Says how far the load has come. Ends only if it does not get on any more.
async fn tell_progress(history: &History, narrator: Narrator) {
    let (mut last, mut moved) = (0, Instant::now());
    while moved.elapsed() < STALL_MAX {
        sleep(PROGRESS_EVERY).await;
        let done = history.acknowledged();
        if done != last {
            (last, moved) = (done, Instant::now());
            narrator.say(&format!(
                "{done} of {} writes acknowledged",
                history.wanted()
            ));
        } else if done >= history.wanted() {
            // Waiting for a node to catch up has a limit of its own.
            moved = Instant::now();
        }
    }
}

fn farewell(cluster: &mut Cluster) {
    let directory = cluster.leave_running();
    println!("\nThe cluster goes on. Talk to any node:");
    let mut processes = String::new();
    for server in cluster.servers() {
        let (id, port, process) = (server.id(), server.address().port(), server.process());
        println!("  redis-cli -p {port}    # node {id}, process {process}");
        processes.push_str(&format!(" {process}"));
    }
    println!(
        "The data is in {}. To stop the servers: kill{processes}",
        directory.display()
    );
}

/// Says what happens, and when.
#[derive(Clone, Copy)]
struct Narrator {
    started: Instant,
}

impl Narrator {
    fn say(self, what: &str) {
        println!("[{:6.2} s] {what}", self.started.elapsed().as_secs_f64());
    }
}
