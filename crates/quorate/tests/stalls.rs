//! Users can stall their state machine and their runtime; neither may cost a leader its place.
//! In a test binary of its own and one at a time, because they ask about real time: the shell's
//! threads are what is tested. What the driver does is tested without them in `driver.rs`.

#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]

mod support;

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use support::{Cluster, HANG};

/// How long users misbehave: many election timeouts.
const STALL: Duration = Duration::from_secs(10);

/// Held by the test that runs: each needs the machine's cores to itself.
static ALONE: Mutex<()> = Mutex::new(());

fn terms(cluster: &Cluster) -> Vec<u64> {
    let term = |node: &quorate::Node<support::List>| node.watch().borrow().term.get();
    cluster.nodes.values().map(term).collect()
}

/// Scenario H04. On a single-threaded runtime, which has nothing to spare.
#[test]
fn a_state_machine_that_blocks_causes_no_election() {
    let _alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
    let users = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    users.block_on(stall_the_state_machine());
}

async fn stall_the_state_machine() {
    let cluster = Cluster::start_with(|config| {
        config.queue = 64;
        config.engine.max_unapplied_bytes = 4096;
    })
    .await;
    let leader = cluster.leader().await;
    let before = terms(&cluster);
    cluster.gates.values().for_each(support::Gate::close);
    let node = cluster.nodes[&leader].clone();
    let load: Vec<_> = (0..2000)
        .map(|item| {
            let node = node.clone();
            tokio::spawn(async move { node.propose(item).await })
        })
        .collect();
    tokio::time::sleep(STALL).await;
    assert_eq!(
        terms(&cluster),
        before,
        "heartbeats do not wait for the state machine"
    );
    assert!(
        cluster.nodes[&leader].watch().borrow().ready,
        "the leader still leads"
    );
    cluster.gates.values().for_each(support::Gate::open);
    for proposal in load {
        let outcome = tokio::time::timeout(HANG, proposal)
            .await
            .expect("it is answered");
        assert!(outcome.unwrap().is_ok(), "nothing was lost by waiting");
    }
    assert_eq!(cluster.read(leader).await.len(), 2000);
    cluster.stop_all().await;
}

/// Every worker of the user's runtime spins; the node's thread has a runtime of its own.
#[test]
fn a_user_runtime_that_spins_causes_no_election() {
    let _alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
    let users = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .unwrap();
    // Twice the default timeouts: this machine's cores are all spinning, and the test asks about
    // the runtime, not about the scheduler.
    let cluster = users.block_on(Cluster::start_with(|config| {
        config.engine.election_timeout_min = Duration::from_millis(500);
        config.engine.election_timeout_max = Duration::from_millis(1000);
    }));
    users.block_on(cluster.leader());
    let before = terms(&cluster);
    let is_over = Arc::new(AtomicBool::new(false));
    for _ in 0..2 {
        let is_over = Arc::clone(&is_over);
        users.spawn(async move {
            while !is_over.load(Ordering::Relaxed) {
                std::hint::spin_loop();
            }
        });
    }
    let start = Instant::now();
    while start.elapsed() < STALL {
        std::thread::sleep(Duration::from_millis(100));
    }
    assert_eq!(
        terms(&cluster),
        before,
        "no runtime of the user's carries a heartbeat"
    );
    is_over.store(true, Ordering::Relaxed);
    users.block_on(async {
        let leader = cluster.leader().await;
        assert_eq!(cluster.propose(leader, 1).await, 1);
        cluster.stop_all().await;
    });
}
