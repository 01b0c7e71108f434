//! Time per committed entry, of every engine, in turns.

use std::time::Instant;

use quorate_bench::{Failure, peers};

const ROUNDS: usize = 7;
const ENTRIES: usize = 64_000;

fn main() -> Result<(), Failure> {
    for batch in [1, 64] {
        println!("\nns per committed entry, batch {batch}");
        println!("{:<16}{:>10}{:>10}{:>10}", "", "median", "fastest", "ratio");
        let peers = peers();
        let mut nanos = vec![Vec::new(); peers.len()];
        // Every round has new clusters: not all of the logs forget old entries.
        for _ in 0..ROUNDS {
            for (peer, nanos) in peers.iter().zip(&mut nanos) {
                let mut cluster = (peer.cluster)()?;
                (0..ENTRIES / batch / 8).for_each(|_| cluster.commit(batch));
                let start = Instant::now();
                (0..ENTRIES / batch).for_each(|_| cluster.commit(batch));
                nanos.push(start.elapsed().as_nanos() as f64 / ENTRIES as f64);
            }
        }
        let mut ours = None;
        for (peer, mut nanos) in peers.iter().zip(nanos) {
            nanos.sort_by(f64::total_cmp);
            let (median, fastest) = (nanos[ROUNDS / 2], nanos[0]);
            let ratio = median / *ours.get_or_insert(median);
            println!(
                "{:<16}{median:>10.0}{fastest:>10.0}{ratio:>9.1}x",
                peer.name
            );
        }
    }
    Ok(())
}
