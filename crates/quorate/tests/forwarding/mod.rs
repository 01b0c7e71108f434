//! Forwards and lives: what is passed on to a leader is for one life of it, and from one life of
//! the asker.

#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]

use std::time::Duration;

use quorate::{Bytes, ForwardOutcome, Input, PeerMessage, ProposeError};
use quorate_core::{Body, EntryId, Incarnation, LogIndex, Message, Priority, Refusal};

use super::sent_message;
use super::world::{Outcome, World, node_id};

/// Has a follower pass proposal 1 on, and catches what it sends.
fn caught_forward(world: &mut World, follower: u64) -> PeerMessage {
    let (command, waiter) = (Bytes::copy_from_slice(&1u64.to_le_bytes()), 1);
    let node = world.nodes.get_mut(&follower).unwrap();
    let propose = Input::Propose { command, waiter };
    let outputs = node.driver.turn(world.now, [propose]);
    let mut sent = outputs.iter().filter_map(sent_message);
    let forward = sent.find(|message| matches!(message, PeerMessage::Forward { .. }));
    forward.expect("it is passed on").clone()
}

fn deliver(world: &mut World, from: u64, to: u64, message: PeerMessage) {
    let from = node_id(from);
    let node = world.nodes.get_mut(&to).unwrap();
    node.inputs.push(Input::Peer { from, message });
    world.settle();
}

fn last(world: &World, id: u64) -> LogIndex {
    world.nodes[&id].driver.status().unwrap().last
}

/// Scenarios H02, H12: the first copy was appended, and the life that did it is over. Its next
/// life does not lead, and knows nothing of it.
#[test]
fn a_forward_that_reaches_a_later_life_of_the_leader_has_an_unknown_outcome() {
    let mut world = World::new();
    let leader = world.elect();
    let follower = world.follower_of(leader);
    let before = last(&world, leader);
    let forward = caught_forward(&mut world, follower);
    world.cut.insert((leader, follower));
    deliver(&mut world, follower, leader, forward.clone());
    assert_eq!(last(&world, leader), before.next(), "it is in the log");
    world.start(leader);
    world.cut.clear();
    deliver(&mut world, follower, leader, forward);
    let unknown = Outcome::Failed(ProposeError::Unknown);
    assert_eq!(world.outcome(1), Some(&unknown), "it may be committed yet");
}

/// Scenario H12: what was known of the life of the leader before it does not count.
#[test]
fn a_follower_passes_proposals_on_to_the_next_leader_too() {
    let mut world = World::new();
    let first = world.elect();
    world.propose(world.follower_of(first), 1);
    world.run(Duration::from_secs(1));
    world.isolate(first);
    world.run(Duration::from_secs(3));
    let next = world.leader().unwrap();
    let follower = (1..=3).find(|id| ![first, next].contains(id)).unwrap();
    world.propose(follower, 2);
    world.run(Duration::from_secs(1));
    for waiter in [1, 2] {
        let outcome = world.outcome(waiter);
        assert!(matches!(outcome, Some(Outcome::Applied(_))), "{outcome:?}");
    }
}

/// Scenario H01: the leader is heard, so that nothing else has to happen there before.
#[test]
fn a_follower_that_passed_a_batch_on_wakes_at_the_end_of_its_patience() {
    let mut world = World::with(|engine, _| engine.priority = Priority::Low);
    let leader = world.elect();
    let follower = world.follower_of(leader);
    world.run(Duration::from_millis(100));
    let _lost = caught_forward(&mut world, follower);
    let at = world.now.after(Duration::from_secs(1));
    world.run(Duration::from_millis(900));
    assert_eq!(world.nodes[&follower].driver.next_timeout(), at);
}

/// Scenario H12: the asker was restarted in between.
#[test]
fn a_repeated_forward_of_an_earlier_life_is_not_appended_again() {
    let mut world = World::new();
    let leader = world.elect();
    let from = node_id(world.follower_of(leader));
    let forward = |life, request| Input::Peer {
        from,
        message: PeerMessage::Forward {
            request,
            asker: Incarnation::new(life),
            leader: Incarnation::new(leader),
            commands: vec![Bytes::from_static(b"x")],
        },
    };
    let before = last(&world, leader);
    let node = world.nodes.get_mut(&leader).unwrap();
    let copies = [
        forward(77, 5),
        forward(78, 0),
        forward(77, 5),
        forward(78, 0),
    ];
    node.inputs.extend(copies);
    world.settle();
    assert_eq!(last(&world, leader), before.plus(2));
}

/// Scenario H01: nobody would answer, and the user need not wait for that.
#[test]
fn a_new_life_of_the_leader_ends_the_wait_for_the_old_one() {
    let mut world = World::new();
    let leader = world.elect();
    let follower = world.follower_of(leader);
    caught_forward(&mut world, follower);
    let term = world.nodes[&follower].driver.leadership().term;
    let speaks = |term, life| {
        PeerMessage::Raft(Message {
            from: node_id(leader),
            to: node_id(follower),
            term,
            sender: Incarnation::new(life),
            receiver: Incarnation::UNKNOWN,
            body: Body::PreVote {
                campaign: term.next(),
                last: EntryId::NONE,
            },
        })
    };
    let before = quorate_core::Term::new(term.get() - 1);
    deliver(&mut world, leader, follower, speaks(before, 98));
    deliver(&mut world, leader, follower, speaks(term, leader));
    assert_eq!(world.outcome(1), None, "an earlier life, and the same");
    deliver(&mut world, leader, follower, speaks(term, 99));
    let unknown = Outcome::Failed(ProposeError::Unknown);
    assert_eq!(world.outcome(1), Some(&unknown));

    world.propose(follower, 2);
    world.settle();
    let refused = Outcome::Failed(ProposeError::NotLeader { leader: None });
    assert_eq!(world.outcome(2), Some(&refused), "nobody could take it");
    let counters = world.nodes[&follower].driver.counters();
    assert_eq!(counters.forwarded_commands, 1);
}

#[test]
fn an_answer_of_a_node_that_was_not_asked_decides_nothing() {
    let mut world = World::new();
    let leader = world.elect();
    let follower = world.follower_of(leader);
    let other = world.follower_of(follower);
    let PeerMessage::Forward { request, asker, .. } = caught_forward(&mut world, follower) else {
        panic!("a forward was caught")
    };
    let answer = PeerMessage::ForwardReply {
        request,
        asker,
        outcome: ForwardOutcome::Refused(Refusal::NotLeader { leader: None }),
    };
    deliver(&mut world, other, follower, answer.clone());
    assert_eq!(world.outcome(1), None, "the leader may append it yet");
    deliver(&mut world, leader, follower, answer);
    assert!(matches!(world.outcome(1), Some(Outcome::Failed(_))));
}
