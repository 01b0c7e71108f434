//! What is believed of other nodes: forwards and answers to them that come late or from a new
//! life, and messages in another node's name.

use quorate::{Bytes, ForwardOutcome, Input, PeerMessage, ProposeError};
use quorate_core::{Body, Entry, EntryId, Incarnation, Message, Payload, Round};

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
            leader: Incarnation::new(leader),
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
        body: Body::TimeoutNow { round: Round::ZERO },
    };
    let from = node_id(6 - leader - follower);
    let message = PeerMessage::Raft(message);
    let node = world.nodes.get_mut(&follower).unwrap();
    node.inputs.push(Input::Peer { from, message });
    world.settle();
    assert_eq!(term(&world), before, "it took another node's word");
}

/// Scenario H02: the leader came back in a later term, and its answer is the first that is heard
/// of that. The entry it speaks of is no more committed than the one that stood there before,
/// which another leader then commits.
#[test]
fn an_entry_that_an_uncommitted_one_replaced_is_not_said_to_be_lost() {
    let mut world = World::new();
    let leader = world.elect();
    world.run(SECOND);
    let follower = world.follower_of(leader);
    world.isolate(follower);
    let term = world.nodes[&follower].driver.leadership().term;
    let node = world.nodes.get_mut(&follower).unwrap();
    let prev = EntryId::new(node.driver.status().unwrap().last, term);
    let index = prev.index.next();
    for (waiter, term) in [(1u64, term), (2, term.next())] {
        let command = Bytes::copy_from_slice(&waiter.to_le_bytes());
        let propose = Input::Propose { command, waiter };
        let outputs = node.driver.turn(world.now, [propose]);
        let Some(&PeerMessage::Forward { request, asker, .. }) =
            outputs.iter().find_map(sent_message)
        else {
            panic!("it is passed on")
        };
        let outcome = ForwardOutcome::Appended(EntryId::new(index, term));
        let message = PeerMessage::ForwardReply {
            request,
            asker,
            outcome,
        };
        let from = node_id(leader);
        node.inputs.push(Input::Peer { from, message });
    }
    let other = 6 - leader - follower;
    let command = Payload::Command(Bytes::copy_from_slice(&1u64.to_le_bytes()));
    let entries = [
        (index, term, command),
        (index.next(), term.next().next(), Payload::Noop),
    ];
    let entries = entries.map(|(index, term, payload)| Entry {
        index,
        term,
        payload,
    });
    let message = PeerMessage::Raft(Message {
        from: node_id(other),
        to: node_id(follower),
        term: term.next().next(),
        sender: Incarnation::new(other),
        receiver: Incarnation::UNKNOWN,
        body: Body::Append {
            prev,
            entries: entries.into_iter().collect(),
            commit: index.next(),
            round: Round::new(1),
            last: index.next(),
        },
    });
    let from = node_id(other);
    node.inputs.push(Input::Peer { from, message });
    world.settle();
    assert_eq!(world.nodes[&follower].applied, index.next());
    let unknown = Outcome::Failed(ProposeError::Unknown);
    assert_eq!(world.outcome(1), Some(&unknown), "it was committed");
    assert_eq!(world.outcome(2), Some(&unknown));
}

/// Scenario B19: limits may differ while they are being changed.
#[test]
fn a_command_too_large_for_the_leader_is_refused_alone() {
    let mut world = World::with(|engine, _| engine.max_entry_bytes = 10);
    let leader = world.elect();
    let follower = world.follower_of(leader);
    world.tune = |_, _| {};
    world.start(follower);
    world.run(SECOND);
    assert_eq!(world.elect(), leader);
    world.propose(follower, 1);
    let (command, waiter) = (Bytes::from_static(b"eleven byte"), 2);
    let node = world.nodes.get_mut(&follower).unwrap();
    node.inputs.push(Input::Propose { command, waiter });
    world.settle();
    let too_large = ProposeError::TooLarge { limit_bytes: 10 };
    assert_eq!(world.outcome(2), Some(&Outcome::Failed(too_large)));
    let retry = ProposeError::NotLeader {
        leader: Some(node_id(leader)),
    };
    assert_eq!(world.outcome(1), Some(&Outcome::Failed(retry)));
}
