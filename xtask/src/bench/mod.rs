//! Measures a three-node cluster against what the machine's disk and loopback allow, in the same
//! run. Holds the procedure and the verdict; ratios are judged, never absolute times.

mod client;
mod cluster;
mod floor;
mod machine;

use std::path::Path;
use std::time::Duration;

use self::cluster::Cluster;
use self::floor::Floor;
use self::machine::Load;
use crate::command::Step;
use crate::failure::{Failure, Result};
use crate::repo;

/// Clean rounds wanted; the verdict is their median.
const ROUNDS: usize = 7;
/// Rounds tried before giving the machine up as too busy.
const ROUNDS_MAX: usize = 21;
/// Writes in a round of one client.
const WRITES: usize = 300;
/// Turns that the floor and the writes take in a round.
const TURNS: usize = 10;
const CLIENTS: usize = 256;
/// Writes in a round of many clients.
const WRITES_OF_MANY: usize = 20_000;
/// One write at one client may take this many times the floor.
const LATENCY_RATIO_MAX: f64 = 2.5;
/// With many clients, an fsync carries at least so many writes on average.
const WRITES_PER_FSYNC_MIN: f64 = 40.0;

/// Runs the one bench there is, `quick`.
pub(crate) fn run(root: &Path, args: &[String]) -> Result<()> {
    if args != ["quick"] {
        return Err(Failure::new("usage: cargo xtask bench quick"));
    }
    Step::cargo("build", "build --release -p quorate-kv").run(root)?;
    let target = repo::target(root);
    let folder = target.join("bench");
    let mut floor = Floor::in_folder(&folder)?;
    let cluster = Cluster::start(&target.join("release").join("quorate-kv"), &folder)?;
    // Counts come first: they hold on a busy machine too.
    let carried = group_commit(&cluster)?;
    let ratio = latency(&cluster, &mut floor)?;
    let passed = ratio <= LATENCY_RATIO_MAX && carried >= WRITES_PER_FSYNC_MIN;
    println!("\none client: {ratio:.2} times the floor (at most {LATENCY_RATIO_MAX})");
    println!("{CLIENTS} clients: {carried:.1} writes per fsync (at least {WRITES_PER_FSYNC_MIN})");
    if passed {
        Ok(())
    } else {
        Err(Failure::new("the bench missed its mark"))
    }
}

/// Floor and cluster in turns, so that whatever slows the machine down slows both.
fn latency(cluster: &Cluster, floor: &mut Floor) -> Result<f64> {
    println!("\nround      fsync x3   round trip    one write   ratio    idle  others");
    let mut ratios = Vec::new();
    for round in 1..=ROUNDS_MAX {
        match latency_round(cluster, floor) {
            Ok((line, load, ratio)) => {
                println!("{round:>5} {line}");
                if load.is_clean() {
                    ratios.push(ratio);
                }
            }
            // On a busy machine a leader may lose its majority in the middle.
            Err(failure) => println!("{round:>5} {failure}"),
        }
        if ratios.len() == ROUNDS {
            return Ok(median(ratios));
        }
    }
    Err(Failure::new(format!(
        "other programs kept the machine busy: only {} of {ROUNDS_MAX} rounds were clean",
        ratios.len()
    )))
}

/// One round: its line of the table, the machine's load, and the ratio.
fn latency_round(cluster: &Cluster, floor: &mut Floor) -> Result<(String, Load, f64)> {
    let leader = cluster.wait_for_leader()?;
    let mut connection = client::Connection::to(cluster.address(leader))?;
    // The first writes pay for page faults that no later one sees.
    client::write_latencies(&mut connection, WRITES / 10)?;
    let before = Load::now(&cluster.pids())?;
    let (mut syncs, mut trips, mut writes) = (Vec::new(), Vec::new(), Vec::new());
    // In short turns, so that the disk's and the scheduler's moods come over all three alike.
    for _ in 0..TURNS {
        syncs.extend(floor.sync_of_three()?);
        trips.extend(floor.round_trip()?);
        writes.extend(client::write_latencies(&mut connection, WRITES / TURNS)?);
    }
    let (sync, trip, write) = (median(syncs), median(trips), median(writes));
    let load = Load::now(&cluster.pids())?.since(&before);
    let ratio = write.as_secs_f64() / (sync + 2 * trip).as_secs_f64();
    let line = format!(
        "{:>10} us {:>9} us {:>9} us {ratio:>7.2} {load}",
        sync.as_micros(),
        trip.as_micros(),
        write.as_micros()
    );
    Ok((line, load, ratio))
}

/// Writes per fsync at the leader while many clients write.
fn group_commit(cluster: &Cluster) -> Result<f64> {
    println!("\nround    writes    fsyncs   per fsync   writes/s    idle  others");
    let mut carried = Vec::new();
    for round in 1..=3 {
        let leader = cluster.wait_for_leader()?;
        let before = (cluster.fsyncs(leader)?, Load::now(&cluster.pids())?);
        let elapsed = client::write_from_many(cluster.address(leader), CLIENTS, WRITES_OF_MANY)?;
        let load = Load::now(&cluster.pids())?.since(&before.1);
        let fsyncs = cluster.fsyncs(leader)?.saturating_sub(before.0);
        if fsyncs == 0 {
            return Err(Failure::new(
                "the leader acknowledged writes without any fsync",
            ));
        }
        let per_fsync = WRITES_OF_MANY as f64 / fsyncs as f64;
        println!(
            "{round:>5} {WRITES_OF_MANY:>9} {fsyncs:>9} {per_fsync:>11.1} {:>10.0} {load}",
            WRITES_OF_MANY as f64 / elapsed.as_secs_f64()
        );
        carried.push(per_fsync);
    }
    Ok(median(carried))
}

/// The middle one; of an even number, the later of the two.
fn median<T: PartialOrd + Copy + Default>(mut samples: Vec<T>) -> T {
    samples.sort_by(|a, b| a.partial_cmp(b).unwrap_or(std::cmp::Ordering::Equal));
    samples.get(samples.len() / 2).copied().unwrap_or_default()
}

/// How long anything here waits for an answer before it gives up.
const PATIENCE: Duration = Duration::from_secs(20);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn median_is_the_middle_whatever_the_order() {
        assert_eq!(median(vec![3.0, 1.0, 2.0]), 2.0);
        assert_eq!(median(vec![4, 1, 3, 2]), 3);
        assert_eq!(median(Vec::<u64>::new()), 0);
    }
}
