//! The driver, three at a time, without threads: forwarding, batching, back-pressure, stalls and
//! the birth of a cluster.

mod forwarding;
mod hearsay;
mod membership;
mod world;

use std::time::Duration;

use quorate::{ForwardOutcome, Input, PeerMessage, ProposeError, ReadError, RoleName, StopCause};
use quorate_core::{Incarnation, Refusal, Violation};
use world::{Outcome, World, node_id};

const SECOND: Duration = Duration::from_secs(1);
const MINUTE: Duration = Duration::from_secs(60);

#[test]
fn a_follower_answers_with_its_own_apply() {
    let mut world = World::new();
    let leader = world.elect();
    let follower = world.follower_of(leader);
    world.propose(follower, 7);
    world.read(follower, 8);
    world.run(SECOND);
    assert!(matches!(world.outcome(7), Some(Outcome::Applied(_))));
    assert!(matches!(world.outcome(8), Some(Outcome::Read(_))));
    assert_eq!(
        world.nodes[&follower].driver.counters().forwarded_commands,
        1
    );
}

/// [Thesis 10.2.2]
#[test]
fn proposals_that_come_during_a_write_share_the_next_one() {
    let mut world = World::new();
    let leader = world.elect();
    world.run(SECOND);
    world.nodes.get_mut(&leader).unwrap().disk_hangs = true;
    for waiter in 0..100 {
        world.propose(leader, waiter);
        world.settle();
    }
    let node = world.nodes.get_mut(&leader).unwrap();
    node.jobs.clear();
    node.disk_hangs = false;
    world.run(SECOND);
    assert_eq!(
        world.nodes[&leader].jobs,
        [1, 99],
        "the first write, then all that waited"
    );
    assert!((0..100).all(|waiter| matches!(world.outcome(waiter), Some(Outcome::Applied(_)))));
}

/// Scenario B17: the others can commit without the leader's disk.
#[test]
fn proposals_do_not_wait_for_a_disk_that_hangs() {
    let mut world = World::new();
    let leader = world.elect();
    world.run(SECOND);
    let follower = world.follower_of(leader);
    let applied = world.nodes[&follower].applied;
    world.nodes.get_mut(&leader).unwrap().disk_hangs = true;
    world.propose(leader, 1);
    world.settle();
    world.propose(leader, 2);
    world.run(SECOND / 5);
    let both = applied.plus(2);
    assert_eq!(
        world.nodes[&follower].applied, both,
        "a majority of others has both"
    );
    assert_eq!(
        world.role(leader),
        RoleName::Leader,
        "it is not stuck for long enough"
    );
}

/// Scenario H04
#[test]
fn a_state_machine_that_hangs_for_ten_minutes_costs_no_election() {
    let mut world = World::with(|engine, driver| {
        engine.max_unapplied_bytes = 1024;
        driver.max_waiting_proposals = 500;
    });
    let leader = world.elect();
    world.run(SECOND);
    let terms = world.terms();
    world
        .nodes
        .values_mut()
        .for_each(|node| node.apply_hangs = true);
    let mut waiter = 0;
    for _ in 0..600 {
        world.run(SECOND);
        while world.nodes[&leader].driver.accepts_proposals() && waiter < 10_000 {
            world.propose(leader, waiter);
            world.settle();
            waiter += 1;
        }
    }
    assert_eq!(
        world.terms(),
        terms,
        "heartbeats do not wait for the state machine"
    );
    let handed_over = 1024 / 64 + 1;
    assert!(
        waiter <= 500 + handed_over,
        "the driver stops taking proposals at its limit"
    );
    for node in world.nodes.values() {
        let given: usize = node
            .unapplied
            .iter()
            .map(|(entries, _)| entries.len())
            .sum();
        assert!(
            given as u64 <= handed_over,
            "{given} entries wait for a machine that takes none"
        );
    }
    world
        .nodes
        .values_mut()
        .for_each(|node| node.apply_hangs = false);
    world.run(SECOND);
    assert!((0..waiter).all(|waiter| matches!(world.outcome(waiter), Some(Outcome::Applied(_)))));
    assert!(
        world.nodes[&leader].driver.accepts_proposals(),
        "and takes them again"
    );
}

/// Scenario B17
#[test]
fn a_leader_whose_disk_hangs_is_replaced() {
    let mut world = World::new();
    let leader = world.elect();
    world.run(SECOND);
    world.nodes.get_mut(&leader).unwrap().disk_hangs = true;
    world.propose(leader, 1);
    world.run(SECOND * 3);
    assert_ne!(
        world.role(leader),
        RoleName::Leader,
        "it cannot finish its own writes"
    );
    let counters = world.nodes[&leader].driver.status().unwrap().counters;
    assert_eq!((counters.storage_stalls, counters.quorum_losses), (1, 0));
    let next = world.elect();
    world.propose(next, 2);
    world.run(SECOND);
    assert!(matches!(world.outcome(2), Some(Outcome::Applied(_))));
    let first = world.outcome(1);
    assert!(
        matches!(
            first,
            Some(Outcome::Applied(_) | Outcome::Failed(ProposeError::Unknown))
        ),
        "{first:?}"
    );
}

/// Scenarios H01, H02
#[test]
fn a_deposed_leader_answers_that_the_outcome_is_unknown() {
    let mut world = World::new();
    let leader = world.elect();
    world.isolate(leader);
    world.propose(leader, 1);
    world.read(leader, 2);
    world.run(SECOND * 2);
    assert_eq!(
        world.outcome(1),
        Some(&Outcome::Failed(ProposeError::Unknown))
    );
    let refused = Outcome::ReadFailed(ReadError::NotLeader { leader: None });
    assert_eq!(world.outcome(2), Some(&refused));
    let counters = world.nodes[&leader].driver.status().unwrap().counters;
    assert_eq!((counters.storage_stalls, counters.quorum_losses), (0, 1));
    let next = world.elect();
    world.propose(next, 3);
    world.cut.clear();
    world.run(SECOND * 2);
    assert!(matches!(world.outcome(3), Some(Outcome::Applied(_))));
}

/// Scenario H12
#[test]
fn a_forwarded_batch_is_not_passed_on_again() {
    let mut world = World::new();
    let leader = world.elect();
    let follower = world.follower_of(leader);
    let node = world.nodes.get_mut(&follower).unwrap();
    let forward = PeerMessage::Forward {
        request: 5,
        asker: Incarnation::new(77),
        leader: Incarnation::new(follower),
        commands: vec![quorate::Bytes::from_static(b"x")],
    };
    let from = node_id(leader % 3 + 2);
    let outputs = node.driver.turn(
        world.now,
        [Input::Peer {
            from,
            message: forward,
        }],
    );
    let refused = ForwardOutcome::Refused(Refusal::NotLeader {
        leader: Some(node_id(leader)),
    });
    let answer = PeerMessage::ForwardReply {
        request: 5,
        asker: Incarnation::new(77),
        outcome: refused,
    };
    let sent: Vec<_> = outputs.iter().filter_map(sent_message).collect();
    assert_eq!(sent, [&answer], "it names the leader and passes nothing on");
}

/// Scenario H12: a transport may repeat itself.
#[test]
fn a_repeated_forward_is_appended_once() {
    let mut world = World::new();
    let leader = world.elect();
    let from = node_id(world.follower_of(leader));
    let forward = |request| Input::Peer {
        from,
        message: PeerMessage::Forward {
            request,
            asker: Incarnation::new(77),
            leader: Incarnation::new(leader),
            commands: vec![quorate::Bytes::from_static(b"x")],
        },
    };
    let node = world.nodes.get_mut(&leader).unwrap();
    let last = |node: &world::Node| node.driver.status().unwrap().last;
    let before = last(node);
    node.inputs
        .extend([forward(1), forward(2), forward(1), forward(2)]);
    world.settle();
    assert_eq!(last(&world.nodes[&leader]), before.plus(2));
}

/// An answer to an earlier life of this node is about another batch of the same number.
#[test]
fn an_answer_to_an_earlier_life_decides_nothing() {
    let mut world = World::new();
    let leader = world.elect();
    let follower = world.follower_of(leader);
    world.cut.insert((follower, leader));
    world.propose(follower, 1);
    world.settle();
    let node = world.nodes.get_mut(&follower).unwrap();
    let stale = |request| Input::Peer {
        from: node_id(leader),
        message: PeerMessage::ForwardReply {
            request,
            asker: Incarnation::new(77),
            outcome: ForwardOutcome::Refused(Refusal::NotLeader { leader: None }),
        },
    };
    node.inputs.extend([stale(0), stale(1)]);
    world.settle();
    assert_eq!(world.outcome(1), None, "the batch may still be appended");
}

/// Scenario G03
#[test]
fn a_failed_write_stops_the_node_and_answers_everybody() {
    let mut world = World::new();
    let leader = world.elect();
    let node = world.nodes.get_mut(&leader).unwrap();
    node.disk_hangs = true;
    world.propose(leader, 1);
    world.settle();
    let node = world.nodes.get_mut(&leader).unwrap();
    node.inputs.push(Input::StorageFailed);
    world.settle();
    let cause = StopCause::Violation(Violation::StorageFailed);
    assert_eq!(world.nodes[&leader].stopped, Some(cause));
    assert_eq!(
        world.outcome(1),
        Some(&Outcome::Failed(ProposeError::Stopped))
    );
}

/// Scenario E04
#[test]
fn a_read_that_a_hanging_disk_keeps_back_is_answered_in_bounded_time() {
    let mut world = World::new();
    let leader = world.elect();
    world.run(SECOND);
    let follower = world.follower_of(leader);
    world.nodes.get_mut(&follower).unwrap().disk_hangs = true;
    world.propose(leader, 1);
    world.run(SECOND);
    world.read(follower, 2);
    world.run(SECOND * 10);
    let timed_out = Outcome::ReadFailed(ReadError::TimedOut);
    assert_eq!(
        world.outcome(2),
        Some(&timed_out),
        "its entries are not durable there"
    );
}

/// Scenario B21: what comes in one turn is taken in parts, and the rest refused when the leader
/// has enough.
#[test]
fn a_flood_of_large_commands_is_taken_only_up_to_the_limit() {
    let mut world = World::with(|engine, _| {
        engine.max_append_bytes = 64;
        engine.max_uncommitted_bytes = 4096;
    });
    let leader = world.elect();
    world.run(SECOND);
    world
        .nodes
        .values_mut()
        .for_each(|node| node.disk_hangs = true);
    for waiter in 0..1000 {
        world.propose(leader, waiter);
    }
    world.settle();
    let refused = Outcome::Failed(ProposeError::Overloaded);
    let refusals = (0..1000).filter(|&waiter| world.outcome(waiter) == Some(&refused));
    assert!(
        refusals.count() > 900,
        "4096 bytes hold some 57 entries of 8 + 64"
    );
    world
        .nodes
        .values_mut()
        .for_each(|node| node.disk_hangs = false);
    world.run(SECOND);
    assert!((0..1000).all(|waiter| world.outcome(waiter).is_some()));
}

/// Scenario B21: below the smallest limit one batch is taken, as below any.
#[test]
fn a_leader_whose_limit_is_one_byte_takes_proposals() {
    let mut world = World::with(|engine, _| engine.max_uncommitted_bytes = 1);
    let leader = world.elect();
    world.run(SECOND);
    let accepts = |world: &World| world.nodes[&leader].driver.accepts_proposals();
    assert!(accepts(&world), "nothing is uncommitted");
    world.isolate(leader);
    world.propose(leader, 1);
    world.settle();
    assert!(!accepts(&world), "something is");
}

fn sent_message(output: &world::Out) -> Option<&PeerMessage> {
    if let quorate::Output::Send { message, .. } = output {
        return Some(message);
    }
    None
}

#[test]
fn a_forward_that_gets_lost_is_answered_in_bounded_time() {
    let mut world = World::new();
    let leader = world.elect();
    let follower = world.follower_of(leader);
    world.cut.insert((follower, leader));
    world.propose(follower, 1);
    world.read(follower, 2);
    world.run(SECOND * 3);
    assert_eq!(
        world.outcome(1),
        Some(&Outcome::Failed(ProposeError::Unknown))
    );
    assert!(matches!(world.outcome(2), Some(Outcome::ReadFailed(_))));
}

/// Scenarios H09, E14
#[test]
fn everybody_is_answered_once_when_a_node_stops() {
    let mut world = World::with(|_, driver| driver.hand_over = false);
    let leader = world.elect();
    world.isolate(leader);
    for waiter in 0..10 {
        world.propose(leader, waiter);
        world.read(leader, 100 + waiter);
        world.settle();
    }
    let node = world.nodes.get_mut(&leader).unwrap();
    node.inputs.push(Input::Shutdown);
    world.settle();
    assert_eq!(world.nodes[&leader].stopped, Some(StopCause::Shutdown));
    for waiter in 0..10 {
        assert_eq!(
            world.outcome(waiter),
            Some(&Outcome::Failed(ProposeError::Stopped))
        );
        let read = world.outcome(100 + waiter);
        assert_eq!(read, Some(&Outcome::ReadFailed(ReadError::Stopped)));
    }
}

/// Scenario A20: two of three hold a write, one of them is wiped, the other pauses.
#[test]
fn a_wiped_node_neither_votes_nor_counts() {
    let mut world = World::new();
    let leader = world.elect();
    let holder = world.follower_of(leader);
    let other = world.follower_of(holder);
    world.isolate(other);
    world.propose(leader, 1);
    world.run(SECOND);
    assert!(
        matches!(world.outcome(1), Some(Outcome::Applied(_))),
        "leader and holder have it"
    );
    world.cut.clear();
    world.paused.insert(leader);
    world.wipe(holder);
    world.run(MINUTE);
    assert_eq!(
        world.leader().filter(|&id| id != leader),
        None,
        "nobody may elect a new leader"
    );
    assert!(
        world.nodes[&holder].driver.status().is_none(),
        "the wiped node takes no part"
    );
    world.paused.clear();
    let leader = world.elect();
    world.propose(leader, 2);
    world.read(leader, 3);
    world.run(SECOND);
    assert!(matches!(world.outcome(2), Some(Outcome::Applied(_))));
    let Some(Outcome::Read(seen)) = world.outcome(3) else {
        panic!("the read is served")
    };
    let Some(Outcome::Applied(first)) = world.outcome(1) else {
        panic!("it was answered")
    };
    assert!(seen >= first, "nothing that was answered is lost");
}

#[test]
fn a_restarted_cluster_applies_its_log_again() {
    let mut world = World::with(|engine, _| engine.window_bytes = 256);
    let leader = world.elect();
    for waiter in 0..200 {
        world.propose(leader, waiter);
    }
    world.run(SECOND);
    let applied = world.nodes[&leader].applied;
    for id in 1..=3 {
        world.start(id);
    }
    world.elect();
    world.run(SECOND);
    for node in world.nodes.values() {
        assert!(
            node.applied > applied,
            "a new no-op follows what was committed before"
        );
    }
}

/// Scenarios B18, B11
#[test]
fn a_node_that_was_away_catches_up_from_the_disk() {
    let mut world = World::with(|engine, _| {
        engine.window_bytes = 512;
        engine.max_append_bytes = 1024;
    });
    let leader = world.elect();
    let away = world.follower_of(leader);
    world.isolate(away);
    for waiter in 0..500 {
        world.propose(leader, waiter);
        world.settle();
    }
    world.run(SECOND * 2);
    world.cut.clear();
    world.run(SECOND * 5);
    let leader = world.elect();
    assert_eq!(world.nodes[&away].applied, world.nodes[&leader].applied);
}
