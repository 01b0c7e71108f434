//! Learners with a past [Thesis 4.2.1]: one that has kept up for long and fell behind, and one that
//! lost what it had.

use quorate_core::{Action, Body, ChangeRefusal, EntryId, Incarnation};

use super::support::bench::{Bench, conflict, matched, node_of};
use super::support::changes::{add_voter, answers, members, promote, refused, settled_leader};
use super::support::{ELECTION_MAX_MS, HEARTBEAT_MS, id, r};

/// [Thesis 4.2.1]: the rounds that it may take count from when it is to be a voter.
#[test]
fn a_learner_that_has_learned_for_long_may_still_become_a_voter() {
    let mut leader = settled_leader(node_of(3).among(members(&[1, 2, 3], &[4])));
    for _ in 0..20 {
        let _ = leader.confirmed_by([4], 1);
    }
    let _ = leader.propose(&["x"]);
    let _ = leader.persist();
    for _ in 0..2 * ELECTION_MAX_MS / HEARTBEAT_MS {
        let _ = leader.sleep(HEARTBEAT_MS);
        let _ = leader.confirmed_by([2, 3], 2);
        let _ = leader.confirmed_by([4], 1);
    }
    let actions = leader.change(add_voter(4));
    assert_eq!(answers(&actions), [], "it has fallen behind");
    let _ = leader.persist();
    let actions = leader.confirmed_by([2, 3], 3);
    assert_eq!(answers(&actions), [], "none of its rounds was since");
    let actions = leader.confirmed_by([4], 2);
    assert_eq!(answers(&actions), [], "the first was too long");
    let actions = leader.confirmed_by([4], 3);
    assert_eq!(answers(&actions), [Ok(id(4, 1))], "the second is short");
}

/// What n4 says in the life in which its disk is empty.
fn wiped_n4_says(leader: &mut Bench, body: Body) -> Vec<Action> {
    leader.receive_from_life(4, Incarnation::new(4002), 1, body)
}

/// A leader of three and the learner n4, which held everything, and has just lost it.
fn leader_of_a_wiped_learner() -> Bench {
    let mut leader = settled_leader(node_of(3).among(members(&[1, 2, 3], &[4])));
    let _ = leader.confirmed_by([4], 1);
    let _ = leader.sleep(HEARTBEAT_MS);
    let _ = leader.confirmed_by([2, 3], 1);
    let _ = wiped_n4_says(&mut leader, conflict(1, 1, EntryId::NONE, r(1)));
    leader
}

/// Scenarios A20, C11: however short its last round was.
#[test]
fn a_learner_that_has_just_lost_its_log_has_not_caught_up() {
    let mut leader = leader_of_a_wiped_learner();
    let answer = leader.answer_to(promote(4));
    assert_eq!(answer, refused(ChangeRefusal::NotCaughtUp));
    let actions = leader.change(add_voter(4));
    assert_eq!(answers(&actions), [], "it holds nothing");
    let _ = leader.persist();
    let _ = leader.confirmed_by([2, 3], 2);
    let actions = wiped_n4_says(&mut leader, matched(1, 1, r(1)));
    assert_eq!(answers(&actions), [Ok(id(3, 1))], "it has it again");
}
