//! What operators do with drivers: members that come and go while the cluster works, leaders that
//! hand over, and that whoever asked is answered once.

#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]

use std::time::Duration;

use quorate::{
    Change, ChangeError, ChangeRefusal, Input, NodeId, PeerMessage, ProposeError, RoleName,
    StopCause, TransferError, TransferRefusal,
};
use quorate_core::{
    Body, EntryId, Incarnation, LogIndex, Membership, Message, Round, SnapshotMeta,
    SnapshotOutcome, Term, TransferId,
};

use crate::world::{CHANGES, Outcome, TRANSFERS, World, node_id};
use crate::{SECOND, sent_message};

/// The shortest election timeout: nobody is elected sooner without being asked to.
const ELECTION: Duration = Duration::from_millis(250);

fn add(id: u64) -> Change {
    let node = node_id(id);
    let address = format!("joined-{id}");
    Change::AddVoter { node, address }
}

fn voters(world: &World, id: u64) -> Vec<u64> {
    let status = world.nodes[&id].driver.status().unwrap();
    status
        .membership
        .voters()
        .iter()
        .map(|node| node.get())
        .collect()
}

/// A cluster with a ready leader to which node 4 has been added.
fn with_four() -> (World, u64) {
    let mut world = World::new();
    let leader = world.elect();
    world.propose(leader, 1);
    world.run(SECOND);
    world.join(4);
    world.change(leader, 1, add(4));
    world.run(SECOND);
    let outcome = world.outcome(CHANGES + 1);
    assert!(
        matches!(outcome, Some(Outcome::Changed(Ok(_)))),
        "{outcome:?}"
    );
    (world, leader)
}

/// Scenario H14
#[test]
fn a_fourth_node_is_added_and_everybody_knows_where_it_is() {
    let (mut world, leader) = with_four();
    for id in 1..=4 {
        assert_eq!(voters(&world, id), [1, 2, 3, 4]);
        let peers = &world.nodes[&id].peers;
        assert_eq!(peers[&4], "joined-4", "the address travels with the entry");
        assert_eq!(peers[&1], "founder-1", "and so do those of the founders");
    }
    world.propose(4, 2);
    world.run(SECOND);
    assert!(matches!(world.outcome(2), Some(Outcome::Applied(_))));
    assert_eq!(world.nodes[&4].applied, world.nodes[&leader].applied);

    // It counts: with two of four the cluster cannot commit, with three it can.
    let followers: Vec<u64> = (1..=3).filter(|&id| id != leader).collect();
    world.paused.extend(&followers);
    world.propose(leader, 3);
    world.run(SECOND / 5);
    assert_eq!(world.outcome(3), None, "two of four are no majority");
    world.paused.remove(&followers[0]);
    world.run(SECOND / 10);
    assert!(matches!(world.outcome(3), Some(Outcome::Applied(_))));
}

/// Scenarios A12, H14
#[test]
fn a_removed_node_hears_of_it_before_it_is_let_go() {
    let (mut world, leader) = with_four();
    let node = node_id(4);
    world.change(leader, 2, Change::Remove { node });
    world.run(SECOND);
    let outcome = world.outcome(CHANGES + 2);
    assert!(
        matches!(outcome, Some(Outcome::Changed(Ok(_)))),
        "{outcome:?}"
    );
    assert!(world.nodes[&4].driver.status().unwrap().removed);
    for id in 1..=3 {
        assert_eq!(voters(&world, id), [1, 2, 3]);
        assert!(!world.nodes[&id].peers.contains_key(&4), "let go of");
    }
    let terms = world.terms();
    world.run(SECOND * 10);
    assert_eq!(world.terms(), terms, "it disturbs nobody");
}

#[test]
fn a_leader_that_removes_itself_is_answered_and_replaced() {
    let mut world = World::new();
    let leader = world.elect();
    world.run(SECOND);
    let node = node_id(leader);
    world.change(leader, 1, Change::Remove { node });
    world.settle();
    let outcome = world.outcome(CHANGES + 1);
    assert!(
        matches!(outcome, Some(Outcome::Changed(Ok(_)))),
        "{outcome:?}"
    );
    world.run(ELECTION / 2);
    let next = world.leader().expect("it asked somebody to take over");
    assert_ne!(next, leader);
    world.propose(next, 1);
    world.run(SECOND);
    assert!(matches!(world.outcome(1), Some(Outcome::Applied(_))));
    assert!(!voters(&world, next).contains(&leader));
}

/// Scenarios C03, C15
#[test]
fn a_change_that_is_lost_with_its_leader_is_unknown_and_taken_back() {
    let mut world = World::new();
    let leader = world.elect();
    world.run(SECOND);
    world.isolate(leader);
    let node = node_id(4);
    let address = "nowhere".to_owned();
    world.change(leader, 1, Change::AddLearner { node, address });
    world.settle();
    assert_eq!(
        world.outcome(CHANGES + 1),
        None,
        "it may still be committed"
    );
    assert!(world.nodes[&leader].peers.contains_key(&4), "in force");
    world.run(SECOND * 2);
    let unknown = Outcome::Changed(Err(ChangeError::Unknown));
    assert_eq!(world.outcome(CHANGES + 1), Some(&unknown));

    // Another leader puts something else at its index, which decides nothing any more.
    let next = world.elect();
    world.propose(next, 2);
    world.run(SECOND);
    world.cut.clear();
    world.run(SECOND * 2);
    assert_eq!(world.outcome(CHANGES + 1), Some(&unknown), "answered once");
    assert!(
        !world.nodes[&leader].peers.contains_key(&4),
        "the learner left with the entry"
    );
    assert_eq!(world.nodes[&leader].applied, world.nodes[&next].applied);
}

#[test]
fn what_cannot_be_changed_is_refused_with_the_reason() {
    let mut world = World::new();
    let leader = world.elect();
    world.run(SECOND);
    let follower = world.follower_of(leader);
    world.change(follower, 1, add(4));
    world.change(leader, 2, Change::Promote { node: node_id(9) });
    world.change(leader, 3, add(4));
    world.change(leader, 4, add(5));
    world.run(SECOND);
    let refused = |world: &World, number, expected| {
        let outcome = world.outcome(CHANGES + number).cloned();
        assert_eq!(outcome, Some(Outcome::Changed(Err(expected))));
    };
    let leads = Some(node_id(leader));
    refused(&world, 1, ChangeError::NotLeader { leader: leads });
    refused(&world, 2, ChangeRefusal::UnknownNode.into());
    refused(&world, 4, ChangeRefusal::InFlight.into());
    assert_eq!(world.outcome(CHANGES + 3), None, "nobody is there yet");
    world.run(SECOND * 10);
    refused(&world, 3, ChangeRefusal::NotCaughtUp.into());
}

/// Scenario H09
#[test]
fn operators_are_answered_when_a_node_stops_and_afterwards() {
    let mut world = World::with(|_, driver| driver.hand_over = false);
    let leader = world.elect();
    world.run(SECOND);
    let node = world.nodes.get_mut(&leader).unwrap();
    let stopped = Outcome::Changed(Err(ChangeError::Stopped));
    node.disk_hangs = true;
    world.isolate(leader);
    world.change(
        leader,
        1,
        Change::Remove {
            node: node_id(leader),
        },
    );
    world.transfer(leader, 1, None);
    world.settle();
    let node = world.nodes.get_mut(&leader).unwrap();
    node.inputs.push(Input::Shutdown);
    world.settle();
    assert_eq!(world.nodes[&leader].stopped, Some(StopCause::Shutdown));
    assert_eq!(world.outcome(CHANGES + 1), Some(&stopped));
    let transfer = Outcome::Transferred(Err(TransferError::Stopped));
    assert_eq!(world.outcome(TRANSFERS + 1), Some(&transfer));
}

#[test]
fn leadership_goes_where_it_is_sent() {
    let mut world = World::new();
    let leader = world.elect();
    world.run(SECOND);
    let target = world.follower_of(leader);
    world.transfer(leader, 1, Some(9));
    world.transfer(leader, 2, Some(target));
    world.run(ELECTION / 2);
    let unknown = Outcome::Transferred(Err(TransferRefusal::UnknownNode.into()));
    assert_eq!(world.outcome(TRANSFERS + 1), Some(&unknown));
    let done = Outcome::Transferred(Ok(node_id(target)));
    assert_eq!(world.outcome(TRANSFERS + 2), Some(&done));
    assert_eq!(world.leader(), Some(target));
}

/// Scenarios F03, F05
#[test]
fn proposals_are_refused_while_leadership_is_handed_over_and_taken_again_after() {
    let mut world = World::new();
    let leader = world.elect();
    world.run(SECOND);
    let target = world.follower_of(leader);
    let other = world.follower_of(target);
    world.paused.insert(target);
    world.transfer(leader, 1, Some(target));
    world.settle();
    world.propose(leader, 1);
    world.propose(other, 2);
    world.run(SECOND / 10);
    let refused = Outcome::Failed(ProposeError::HandingOver);
    assert_eq!(world.outcome(1), Some(&refused));
    assert_eq!(world.outcome(2), Some(&refused), "a forwarded one, too");
    assert!(!ProposeError::HandingOver.is_ambiguous());
    world.run(SECOND);
    let late = Outcome::Transferred(Err(TransferError::TimedOut));
    assert_eq!(world.outcome(TRANSFERS + 1), Some(&late));
    world.propose(leader, 3);
    world.run(SECOND / 10);
    assert!(matches!(world.outcome(3), Some(Outcome::Applied(_))));
}

/// Scenario F09
#[test]
fn a_leader_that_is_shut_down_hands_over() {
    let mut world = World::new();
    let leader = world.elect();
    world.propose(leader, 1);
    world.run(SECOND);
    let node = world.nodes.get_mut(&leader).unwrap();
    node.inputs.push(Input::Shutdown);
    let asked_at = world.now;
    world.settle();
    world.run_until("another leads", |world| world.leader().is_some());
    assert_eq!(world.nodes[&leader].stopped, Some(StopCause::Shutdown));
    assert!(
        world.now.since(asked_at) < ELECTION,
        "nobody waited for an election timeout"
    );
}

/// Scenario F09: without it, the others have to notice.
#[test]
fn a_leader_that_does_not_hand_over_is_missed() {
    let mut world = World::with(|_, driver| driver.hand_over = false);
    let leader = world.elect();
    world.run(SECOND);
    let node = world.nodes.get_mut(&leader).unwrap();
    node.inputs.push(Input::Shutdown);
    world.settle();
    assert_eq!(world.nodes[&leader].stopped, Some(StopCause::Shutdown));
    world.run(ELECTION / 2);
    assert_eq!(world.leader(), None);
}

/// Scenarios F05, H09
#[test]
fn a_leader_that_nobody_follows_stops_within_an_election_timeout() {
    let mut world = World::new();
    let leader = world.elect();
    world.run(SECOND);
    world.isolate(leader);
    let node = world.nodes.get_mut(&leader).unwrap();
    // A shell that is told once says so in every turn.
    node.inputs.extend([Input::Shutdown, Input::Shutdown]);
    world.run(ELECTION * 2 + SECOND / 100);
    assert_eq!(world.nodes[&leader].stopped, Some(StopCause::Shutdown));
    assert_eq!(world.role(leader), RoleName::Leader, "until the end");
}

/// Scenarios F09, H09: it has nothing to hand over any more.
#[test]
fn a_leader_that_waits_for_an_operators_transfer_to_stop_does_so_when_it_is_done() {
    let mut world = World::new();
    let leader = world.elect();
    world.run(SECOND);
    let node = world.nodes.get_mut(&leader).unwrap();
    let transfer = TransferId::new(1);
    let target = Some(node_id(leader % 3 + 1));
    let asked = Input::TransferLeadership { transfer, target };
    node.inputs.extend([asked, Input::Shutdown]);
    world.run(SECOND / 10);
    let stopped = world.nodes[&leader].stopped;
    assert_eq!(stopped, Some(StopCause::Shutdown), "at once");
    let done = Outcome::Transferred(Ok(node_id(leader % 3 + 1)));
    assert_eq!(world.outcome(TRANSFERS + 1), Some(&done));
}

/// No snapshot can be had yet: whoever offers one is told so, and nothing breaks.
#[test]
fn a_snapshot_that_is_offered_is_declined() {
    let mut world = World::new();
    let leader = world.elect();
    world.run(SECOND);
    let follower = world.follower_of(leader);
    let term = world.nodes[&leader].driver.leadership().term;
    let last = EntryId::new(LogIndex::new(1000), Term::new(1));
    let snapshot = SnapshotMeta {
        last,
        membership: Membership::new([1, 2, 3].map(node_id), []),
        membership_index: LogIndex::NONE,
        length: 7,
        checksum: 7,
    };
    let offer = Message {
        from: node_id(leader),
        to: node_id(follower),
        term,
        sender: Incarnation::new(1),
        receiver: Incarnation::UNKNOWN,
        body: Body::SnapshotOffer {
            snapshot,
            round: Round::new(1),
        },
    };
    let from: NodeId = node_id(leader);
    let message = PeerMessage::Raft(offer);
    let node = world.nodes.get_mut(&follower).unwrap();
    let outputs = node.driver.turn(world.now, [Input::Peer { from, message }]);
    let is_lost = |message: &&PeerMessage| {
        let PeerMessage::Raft(message) = message else {
            return false;
        };
        let Body::SnapshotReply {
            outcome, last: of, ..
        } = message.body
        else {
            return false;
        };
        outcome == SnapshotOutcome::Lost && of == last
    };
    let answers = outputs.iter().filter_map(sent_message).filter(is_lost);
    assert_eq!(answers.count(), 1);
    world.run(SECOND);
    assert_eq!(world.nodes[&follower].stopped, None);
}
