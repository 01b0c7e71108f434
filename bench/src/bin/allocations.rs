//! Allocations per committed entry, of every engine.

use allocation_counter::measure;
use quorate_bench::{Failure, peers};

const ENTRIES: usize = 64_000;

fn main() -> Result<(), Failure> {
    for batch in [1, 64] {
        println!("\nallocations per committed entry, batch {batch}");
        for peer in peers() {
            let mut cluster = (peer.cluster)()?;
            let mut commit = || (0..ENTRIES / batch).for_each(|_| cluster.commit(batch));
            commit();
            let count = measure(&mut commit).count_total as f64 / ENTRIES as f64;
            println!("{:<16}{count:>10.2}", peer.name);
        }
    }
    Ok(())
}
