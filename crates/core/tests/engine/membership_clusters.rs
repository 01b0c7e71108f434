//! What whole clusters make of changes of the membership: restarts, snapshots and removals that
//! cross each other, and that no engine changes anything by itself. The rules for one node are in
//! `paper_membership.rs`, `paper_catch_up.rs` and `paper_removal.rs`.

use quorate_core::{Floor, HardState, LogIndex, Payload, RoleName};

use super::support::changes::{add_learner, add_voter, members, promote, remove};
use super::support::world::World;
use super::support::{ELECTION_MAX_MS, i, id, ms, n, t};

/// Scenario C13
#[test]
fn a_node_starts_again_as_what_its_snapshot_and_its_log_make_it() {
    for takes_snapshot in [false, true] {
        let mut world = World::with(3, |config| config.trailing_entries = 0);
        world.elect(1);
        let joiner = world.join(|config| config.trailing_entries = 0);
        world.change(1, add_learner(joiner));
        world.settle();
        let restarts_as = |world: &mut World, expected: (Vec<u64>, Vec<u64>)| {
            if takes_snapshot {
                world.take_snapshot(joiner);
                world.pump_all();
                assert!(world.status(joiner).first > i(1), "the entry is purged");
            }
            let since = world.status(joiner).membership_index;
            world.crash(joiner, 0);
            world.restart(joiner);
            assert_eq!(world.members_at(joiner), expected);
            assert_eq!(world.status(joiner).membership_index, since);
        };
        restarts_as(&mut world, (vec![1, 2, 3], vec![4]));
        world.advance(ms(ELECTION_MAX_MS));
        world.change(1, promote(joiner));
        world.settle();
        restarts_as(&mut world, (vec![1, 2, 3, 4], vec![]));
        world.advance(ms(ELECTION_MAX_MS));
        world.change(1, remove(2));
        world.settle();
        restarts_as(&mut world, (vec![1, 3, 4], vec![]));
    }
}

/// Scenario C15 Scenario C03
#[test]
fn the_fate_of_a_change_is_told_by_index_and_term_together() {
    let mut world = World::new(3);
    world.elect(1);
    let joiner = world.join(|_| {});
    world.cut(&[1, joiner], &[2, 3]);
    let lost = world.change(1, add_learner(joiner));
    world.elect(2);
    world.net.heal();
    world.advance(ms(2 * ELECTION_MAX_MS));
    assert_eq!(world.change_end(lost), Some(Ok(id(2, 1))));
    let committed = world.safety.committed();
    assert_eq!(committed[1].id(), id(2, 2), "another entry stands there");
    assert!(world.status(1).commit >= i(2), "and is committed at n1 too");
    assert_eq!(world.status(1).membership, members(&[1, 2, 3], &[]));
}

/// Scenario C19
#[test]
fn a_learner_that_is_removed_while_it_receives_a_snapshot_holds_nothing_back() {
    let mut world = World::with(3, |config| config.trailing_entries = 0);
    world.elect(1);
    world.propose(1, &["a", "b", "c"]);
    world.settle();
    world.take_snapshot(1);
    world.settle();
    let joiner = world.join(|_| {});
    world.node_mut(joiner).is_receive_held = true;
    world.change(1, add_learner(joiner));
    world.settle();
    world.change(1, remove(joiner));
    world.settle();
    let is_peer = |world: &World| {
        let peers = world.status(1).peers;
        peers.iter().any(|peer| peer.id == n(joiner))
    };
    assert!(!is_peer(&world), "its transfer is over");
    world.let_snapshot_arrive(joiner);
    world.advance(ms(ELECTION_MAX_MS));
    assert!(!is_peer(&world), "a late answer brings it back to nobody");
    world.propose(1, &["d"]);
    world.settle();
    world.take_snapshot(1);
    world.settle();
    let status = world.status(1);
    assert_eq!(
        status.first,
        status.last.next(),
        "nothing is kept for a node that left"
    );
}

/// Scenario C20
#[test]
fn a_node_with_an_old_membership_and_one_that_lost_its_disk_elect_nobody() {
    let mut world = World::with(3, |config| config.pre_vote = false);
    world.elect(1);
    world.cut(&[1], &[2, 3]);
    world.elect(2);
    for leaving in [1, 3] {
        world.change(2, remove(leaving));
        world.settle();
    }
    assert_eq!(world.members_at(2), (vec![2], vec![]));
    let term = world.status(3).term;
    world.crash(2, 0);
    let lost = HardState {
        term,
        vote: None,
        floor: Some(Floor::AnyIndexOf(term)),
    };
    world.reinstall(3, lost, &[]);
    world.net.heal();
    for _ in 0..20 {
        world.advance(ms(ELECTION_MAX_MS));
        for outsider in [1, 3] {
            assert_ne!(
                world.status(outsider).role,
                RoleName::Leader,
                "n2 alone decides"
            );
        }
    }
}

/// Scenario C22
#[test]
fn no_engine_removes_anybody_however_long_it_is_silent() {
    let mut world = World::with(5, |_| {});
    world.elect(1);
    let joiner = world.join(|_| {});
    world.change(1, add_voter(joiner));
    world.advance(ms(ELECTION_MAX_MS));
    for round in 0..10 {
        let silent = [2 + round % 5, 2 + (round + 1) % 5];
        for node in silent {
            world.crash(node, 0);
        }
        world.advance(ms(10 * ELECTION_MAX_MS));
        for node in silent {
            world.restart(node);
        }
        world.advance(ms(4 * ELECTION_MAX_MS));
    }
    let is_change = |entry: &&quorate_core::Entry| matches!(entry.payload, Payload::Membership(_));
    let changes = world.safety.committed().iter().filter(is_change).count();
    assert_eq!(changes, 2, "only what was asked for: to learn, and to vote");
    for node in 1..=6 {
        assert_eq!(world.members_at(node).0.len(), 6);
    }
    assert!(world.status(1).commit > LogIndex::NONE && world.status(1).term >= t(1));
}
