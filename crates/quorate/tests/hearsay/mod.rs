//! What is believed of other nodes: forwards and answers to them that come late or from a new
//! life, and messages in another node's name.

use quorate::{Bytes, ForwardOutcome, Input, PeerMessage, ProposeError};
use quorate_core::{Body, EntryId, Incarnation, Message};

use super::world::{Outcome, World, node_id};
use super::{SECOND, sent_message};

/// Scenario H12: numbers start again with each life.
#[test]
fn a_forward_of_a_new_life_is_appended_though_its_number_is_not_new() {
    let mut world = World::new();
    let leader = world.elect();
    let from = node_id(world.follower_of(leader));
    let forward = |life| Input::Peer {
        from,
        message: PeerMessage::Forward {
            request: 1,
            asker: Incarnation::new(life),
            commands: vec![Bytes::from_static(b"x")],
        },
    };
    let last = |world: &World| world.nodes[&leader].driver.status().unwrap().last;
    let before = last(&world);
    let node = world.nodes.get_mut(&leader).unwrap();
    node.inputs.extend([forward(77), forward(78)]);
    world.settle();
    assert_eq!(last(&world), before.plus(2));
}

/// The leader's answer took longer than the entries themselves: their responses are gone.
#[test]
fn an_answer_that_comes_after_its_entries_says_that_the_outcome_is_unknown() {
    let mut world = World::new();
    let leader = world.elect();
    let follower = world.follower_of(leader);
    let node = world.nodes.get_mut(&follower).unwrap();
    let (command, waiter) = (Bytes::from_static(b"x"), 1);
    let outputs = node
        .driver
        .turn(world.now, [Input::Propose { command, waiter }]);
    let mut sent = outputs.iter().filter_map(sent_message);
    let Some(PeerMessage::Forward { request, asker, .. }) = sent.next() else {
        panic!("it is passed on")
    };
    let (request, asker) = (*request, *asker);
    world.propose(leader, 2);
    world.run(SECOND / 10);
    let Some(Outcome::Applied(index)) = world.outcome(2) else {
        panic!("the leader commits")
    };
    let term = world.nodes[&leader].driver.leadership().term;
    let outcome = ForwardOutcome::Appended(EntryId::new(*index, term));
    let message = PeerMessage::ForwardReply {
        request,
        asker,
        outcome,
    };
    let from = node_id(leader);
    let node = world.nodes.get_mut(&follower).unwrap();
    node.inputs.push(Input::Peer { from, message });
    world.settle();
    let unknown = Outcome::Failed(ProposeError::Unknown);
    assert_eq!(world.outcome(1), Some(&unknown));
}

/// Who speaks is settled by the connection, not by what is said.
#[test]
fn a_message_in_the_name_of_another_node_is_not_heard() {
    let mut world = World::new();
    let leader = world.elect();
    let follower = world.follower_of(leader);
    let term = |world: &World| world.nodes[&follower].driver.leadership().term;
    let before = term(&world);
    let message = Message {
        from: node_id(leader),
        to: node_id(follower),
        term: before.next(),
        sender: Incarnation::new(leader),
        receiver: Incarnation::UNKNOWN,
        body: Body::TimeoutNow,
    };
    let from = node_id(6 - leader - follower);
    let message = PeerMessage::Raft(message);
    let node = world.nodes.get_mut(&follower).unwrap();
    node.inputs.push(Input::Peer { from, message });
    world.settle();
    assert_eq!(term(&world), before, "it took another node's word");
}
