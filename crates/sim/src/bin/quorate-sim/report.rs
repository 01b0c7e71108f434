//! What a campaign says of itself. Steps alone prove nothing, so work that was done and faults
//! that were met are put beside the time that it took.

use crate::explore::Total;

/// Prints the sum of a campaign that kept every property, on `threads` threads in `seconds`.
pub(crate) fn print(total: &Total, threads: usize, seconds: f64) {
    let counts = &total.counts;
    print!("{counts}");
    println!("\ngoals, and how many seeds reached them:\n{}", total.goals);
    let line = |value: f64, what: &str| println!("{value:>14.1}  {what}");
    let events = counts.useful.max(1) as f64;
    line(
        events / counts.committed.max(1) as f64,
        "useful events per committed entry",
    );
    let (nanos, seed) = total.slowest;
    line(
        nanos as f64 / 1e6,
        &format!("ms to recover at worst (seed {seed})"),
    );
    let disk_faults = counts.stalls
        + counts.storage_failures
        + counts.load_failures
        + counts.snapshots_failed
        + counts.damages
        + counts.full_disks
        + counts.refused_for_room;
    for (count, what) in [
        (counts.committed, "commits per second"),
        (counts.elections, "elections per second"),
        (counts.crashes, "crashes per second"),
        (disk_faults, "disk faults per second"),
    ] {
        line(count as f64 / seconds, what);
    }
    println!(
        "{:>14}  seeds in {seconds:.1} s, all properties held",
        total.seeds
    );
    let per_core = events / seconds / threads.max(1) as f64;
    println!("{per_core:>14.0}  useful events per second on each of {threads} threads");
}
