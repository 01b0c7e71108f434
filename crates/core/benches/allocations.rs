//! How often an engine allocates: per committed entry, and on a tick with nothing to do. Time is
//! measured by `speed.rs`; that the counts here stay is asserted by `tests/allocations.rs`.
//!
//! Counted is every allocation of the pump: of one leader and two followers, and the vector that
//! `Event::Propose` takes. A reallocation counts as one. The commands themselves are static.

use std::time::Duration;

use allocation_counter::measure;
use quorate_core::ConfigError;

use self::pump::Cluster;

#[expect(dead_code, reason = "each user of the pump needs a part of it")]
mod pump;

/// So few that the account of the log's size, which has a line per MiB, does not grow in between.
const ENTRIES: u64 = 24_000;

fn main() -> Result<(), ConfigError> {
    println!("\nallocations per committed entry, 16-byte commands");
    println!("{:<36}{:>10}{:>10}", "", "count", "target");
    for (batch, target) in [(1u64, 8.0), (64, 1.0)] {
        // So small that it is full from the start: while it grows, so does the queue of its runs.
        let mut cluster = Cluster::elected(|config| config.window_bytes = 64 * 1024)?;
        let mut commit = || (0..ENTRIES / batch).for_each(|_| cluster.commit(batch as usize));
        commit();
        let count = measure(&mut commit).count_total as f64 / ENTRIES as f64;
        let verdict = if count <= target { "met" } else { "missed" };
        println!("batch {batch:<30}{count:>10.2}{target:>10.0}  {verdict}");
    }
    println!("\nallocations of a tick with nothing to do");
    let mut cluster = Cluster::elected(|_| {})?;
    for (name, is_leader) in [("leader", true), ("follower", false)] {
        let mut actions = 0;
        let tick = || actions = cluster.tick(is_leader, Duration::from_millis(1));
        let count = measure(tick).count_total;
        let verdict = if count == 0 && actions == 0 {
            "met"
        } else {
            "missed"
        };
        println!("{name:<36}{count:>10}{:>10}  {verdict}", 0);
    }
    Ok(())
}
