//! A cluster of real nodes in one process: what users see of it. What the protocol does is
//! tested in `quorate-core` and in the simulator.

mod joining;
mod support;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use quorate::transport::{Inbox, Local, Transport, TransportError};
use quorate::{
    ApplyContext, Bytes, DecodeError, Hub, LogIndex, MemDisk, Node, NodeConfig, NodeId,
    PeerMessage, ProposeError, ReadError, RoleName, StartError, StateMachine, StopReason,
};
use quorate_log::AfterFailedSync;
use support::{Cluster, HANG, List, POISON, node_id};

#[tokio::test]
async fn every_node_takes_proposals_and_reads() {
    let cluster = Cluster::start_with(|_| {}).await;
    cluster.leader().await;
    for item in 0..30 {
        let node = item % 3 + 1;
        let length = cluster.propose(node, item).await;
        assert_eq!(
            length as u64,
            item + 1,
            "the response is that of applying this very command"
        );
        let reader = (item + 1) % 3 + 1;
        let items = cluster.read(reader).await;
        assert_eq!(
            items,
            (0..=item).collect::<Vec<_>>(),
            "a read sees what was answered before"
        );
    }
    cluster.stop_all().await;
}

#[tokio::test]
async fn a_cluster_goes_on_without_its_leader_and_takes_it_back() {
    let mut cluster = Cluster::start_with(|_| {}).await;
    let leader = cluster.leader().await;
    cluster.propose(leader, 1).await;
    cluster.stop(leader).await;
    let next = cluster.leader().await;
    assert_ne!(next, leader);
    cluster.propose(next, 2).await;
    cluster.restart(leader).await;
    assert_eq!(
        cluster.read(leader).await,
        [1, 2],
        "it applies its log again and catches up"
    );
    cluster.stop_all().await;
}

#[tokio::test]
async fn a_whole_cluster_comes_back_with_everything_it_answered() {
    let mut cluster = Cluster::start_with(|_| {}).await;
    let leader = cluster.leader().await;
    for item in 0..10 {
        cluster.propose(leader, item).await;
    }
    for id in 1..=3 {
        cluster.stop(id).await;
    }
    for id in 1..=3 {
        cluster.restart(id).await;
    }
    for id in 1..=3 {
        assert_eq!(cluster.read(id).await, (0..10).collect::<Vec<_>>());
    }
    cluster.stop_all().await;
}

/// Scenarios E04, H01, H02
#[tokio::test]
async fn an_isolated_leader_answers_everybody_and_promises_nothing() {
    let cluster = Cluster::start_with(|_| {}).await;
    let leader = cluster.leader().await;
    cluster.hub.isolate(&[node_id(leader)]);
    let node = cluster.nodes[&leader].clone();
    let proposal = tokio::time::timeout(HANG, node.propose(7))
        .await
        .expect("it is answered");
    assert!(
        matches!(proposal, Err(ProposeError::Unknown)),
        "it was appended, and nobody can know what becomes of it: {proposal:?}"
    );
    let read = tokio::time::timeout(HANG, node.read_linearizable(|list| list.items.len())).await;
    assert!(matches!(
        read.expect("it is answered"),
        Err(ReadError::NotLeader { .. })
    ));
    cluster.stop_all().await;
}

/// Scenario H04
#[tokio::test]
async fn a_panicking_state_machine_stops_its_node_and_names_the_entry() {
    let cluster = Cluster::start_with(|_| {}).await;
    let leader = cluster.leader().await;
    let node = cluster.nodes[&leader].clone();
    let outcome = tokio::time::timeout(HANG, node.propose(POISON))
        .await
        .expect("it is answered");
    assert!(outcome.is_err_and(|error| error.is_ambiguous()));
    let reason = tokio::time::timeout(HANG, node.stopped())
        .await
        .expect("the node stops");
    assert!(
        matches!(reason, StopReason::ApplyPanicked { .. }),
        "{reason}"
    );
    cluster.stop_all().await;
}

/// Scenario E18
#[tokio::test]
async fn a_panicking_read_harms_nobody_else() {
    let cluster = Cluster::start_with(|_| {}).await;
    let leader = cluster.leader().await;
    let read = cluster.nodes[&leader]
        .read_linearizable(|_| panic!("on purpose"))
        .await;
    let read: Result<(), ReadError> = read;
    assert_eq!(read, Err(ReadError::Panicked));
    assert_eq!(cluster.propose(leader, 1).await, 1);
    cluster.stop_all().await;
}

/// Scenario G03
#[tokio::test]
async fn a_failing_disk_stops_its_node_and_nobody_else() {
    let mut cluster = Cluster::start_with(|_| {}).await;
    let leader = cluster.leader().await;
    cluster.propose(leader, 1).await;
    cluster.disks[&leader].fail_sync(0, AfterFailedSync::NewContent);
    let node = cluster.nodes[&leader].clone();
    let outcome = tokio::time::timeout(HANG, node.propose(2))
        .await
        .expect("it is answered");
    // The others may have it: the leader's own disk is not needed for a majority.
    assert!(matches!(
        outcome,
        Ok(2) | Err(ProposeError::Stopped | ProposeError::Unknown)
    ));
    let reason = tokio::time::timeout(HANG, node.stopped())
        .await
        .expect("the node stops");
    assert!(
        matches!(reason, StopReason::StorageFailed { .. }),
        "{reason}"
    );
    cluster.nodes.remove(&leader);
    let next = cluster.leader().await;
    cluster.propose(next, 3).await;
    let items = cluster.read(next).await;
    assert_eq!(
        (items.first(), items.last()),
        (Some(&1), Some(&3)),
        "nothing answered is lost"
    );
    cluster.stop_all().await;
}

/// Scenario H09
#[tokio::test]
async fn shutdown_answers_everybody_and_can_be_repeated() {
    let cluster = Cluster::start_with(|_| {}).await;
    let leader = cluster.leader().await;
    cluster.hub.isolate(&[node_id(leader)]);
    let node = cluster.nodes[&leader].clone();
    let waiting = tokio::spawn({
        let node = node.clone();
        async move { node.propose(1).await }
    });
    tokio::time::timeout(HANG, node.shutdown())
        .await
        .expect("it does not wait for a majority");
    let outcome = waiting.await.unwrap();
    assert!(
        outcome.is_err(),
        "a proposal under way is answered: {outcome:?}"
    );
    node.shutdown().await;
    assert_eq!(node.stopped().await, StopReason::Requested);
    assert_eq!(node.propose(2).await, Err(ProposeError::Stopped));
    cluster.stop_all().await;
}

/// Scenarios B23, H09: whoever computes commands from the state goes by what is said here.
#[tokio::test]
async fn a_leader_that_stops_is_no_longer_said_to_lead() {
    let cluster = Cluster::start_with(|config| config.hand_over = false).await;
    let leader = cluster.leader().await;
    let node = cluster.nodes[&leader].clone();
    let mut watch = node.watch();
    assert!(watch.borrow_and_update().ready);
    node.shutdown().await;
    assert!(watch.has_changed().unwrap(), "who waits for it is woken");
    let known = *watch.borrow();
    assert_eq!((known.role, known.leader), (RoleName::Follower, None));
    assert!(!known.ready);
    cluster.stop_all().await;
}

/// Scenario H09
#[tokio::test]
async fn shutdown_does_not_wait_for_a_state_machine_that_hangs() {
    let cluster = Cluster::start_with(|_| {}).await;
    let leader = cluster.leader().await;
    cluster.gates[&leader].close();
    let node = cluster.nodes[&leader].clone();
    let waiting = tokio::spawn({
        let node = node.clone();
        async move { node.propose(1).await }
    });
    let appended = async {
        while node.status().counters.appended_commands == 0 {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(HANG, appended)
        .await
        .expect("it is taken");
    tokio::time::timeout(HANG, node.shutdown())
        .await
        .expect("it stops all the same");
    let outcome = tokio::time::timeout(HANG, waiting)
        .await
        .expect("it is answered while the state machine still hangs");
    assert!(
        matches!(
            outcome,
            Ok(Err(ProposeError::Stopped | ProposeError::Unknown))
        ),
        "{outcome:?}"
    );
    cluster.stop_all().await;
}

/// Scenario G09: the lock goes with the node, so that it can start again in the same process.
#[tokio::test]
async fn a_node_stops_when_its_last_handle_is_dropped() {
    let mut cluster = Cluster::start_with(|_| {}).await;
    let leader = cluster.leader().await;
    let mut watch = cluster.nodes[&leader].watch();
    drop(cluster.nodes.remove(&leader));
    let closed = async { while watch.changed().await.is_ok() {} };
    tokio::time::timeout(HANG, closed)
        .await
        .expect("the node goes away");
    assert_ne!(cluster.leader().await, leader);
    cluster.stop_all().await;
}

/// Scenario B19
#[tokio::test]
async fn an_oversized_command_is_refused_alone() {
    let cluster = Cluster::start_with(|config| config.engine.max_entry_bytes = 7).await;
    let leader = cluster.leader().await;
    let outcome = cluster.nodes[&leader].propose(1).await;
    assert_eq!(outcome, Err(ProposeError::TooLarge { limit_bytes: 7 }));
    assert!(!outcome.unwrap_err().is_ambiguous());
    cluster.stop_all().await;
}

#[tokio::test]
async fn a_node_starts_with_any_limit_of_its_queue() {
    let limits: [fn(&mut NodeConfig); 2] = [
        |config| config.queue = 0,
        |config| config.queue = usize::MAX,
    ];
    for limit in limits {
        let cluster = Cluster::start_with(limit).await;
        let leader = cluster.leader().await;
        assert_eq!(cluster.propose(leader, 1).await, 1);
        cluster.stop_all().await;
    }
}

/// A machine that claims to hold what its log does not.
struct Ahead;

impl StateMachine for Ahead {
    type Command = ();
    type Response = ();

    fn encode((): &()) -> Bytes {
        Bytes::new()
    }

    fn decode(_: Bytes) -> Result<(), DecodeError> {
        Ok(())
    }

    fn apply(&mut self, _: ApplyContext, (): ()) {}

    fn last_applied(&self) -> LogIndex {
        LogIndex::new(7)
    }
}

/// A transport that does not start.
struct Refusing;

impl Transport for Refusing {
    fn start(&mut self, _: Local, _: Inbox) -> Result<(), TransportError> {
        Err(TransportError::Used)
    }

    fn set_peers(&mut self, _: BTreeMap<NodeId, String>) {}

    fn send(&mut self, _: NodeId, _: PeerMessage) {}

    fn shutdown(&mut self) {}
}

/// Scenario H09: what was wrong is repaired, and the next start finds the disk unlocked.
#[tokio::test]
async fn a_start_that_fails_leaves_nothing_running() {
    let config = || {
        let founders = [(node_id(1), String::new())].into();
        let mut config = NodeConfig::new(node_id(1), "test", founders);
        config.log.segment_bytes = 4096;
        config
    };
    let disk = MemDisk::new();
    let hub = Hub::new();
    for _ in 0..50 {
        let start = Node::start(config(), Ahead, disk.clone(), hub.transport());
        let outcome = start.await.map(drop);
        assert!(
            matches!(outcome, Err(StartError::Recover(_))),
            "{outcome:?}"
        );
        let start = Node::start(config(), List::default(), disk.clone(), Refusing);
        let outcome = start.await.map(drop);
        assert!(
            matches!(outcome, Err(StartError::Transport(_))),
            "{outcome:?}"
        );
    }
    let start = Node::start(config(), List::default(), disk, hub.transport());
    start.await.unwrap().shutdown().await;
}

/// A transport with a task that lasts as long as its runtime does, and ends slowly.
struct Lasting(Arc<AtomicBool>);

/// Says at last that it is gone.
struct SlowEnd(Arc<AtomicBool>);

impl Drop for SlowEnd {
    fn drop(&mut self) {
        std::thread::sleep(Duration::from_millis(300));
        self.0.store(true, Ordering::SeqCst);
    }
}

impl Transport for Lasting {
    fn start(&mut self, _: Local, _: Inbox) -> Result<(), TransportError> {
        let end = SlowEnd(Arc::clone(&self.0));
        tokio::spawn(async move {
            let _end = end;
            std::future::pending::<()>().await;
        });
        Ok(())
    }

    fn set_peers(&mut self, _: BTreeMap<NodeId, String>) {}

    fn send(&mut self, _: NodeId, _: PeerMessage) {}

    fn shutdown(&mut self) {}
}

/// Scenario H09: a listener may be among what its transport leaves to the runtime, and the next
/// start in the same process needs its port.
#[tokio::test]
async fn a_node_has_stopped_when_everything_of_its_transport_is_gone() {
    let is_gone = Arc::new(AtomicBool::new(false));
    let founders = [(node_id(1), String::new())].into();
    let mut config = NodeConfig::new(node_id(1), "test", founders);
    config.log.segment_bytes = 4096;
    let transport = Lasting(Arc::clone(&is_gone));
    let start = Node::start(config, List::default(), MemDisk::new(), transport);
    start.await.unwrap().shutdown().await;
    assert!(is_gone.load(Ordering::SeqCst));
}
