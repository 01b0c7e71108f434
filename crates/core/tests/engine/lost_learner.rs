//! A learner that lost what it had: it begins to catch up anew [Thesis 4.2.1].

use quorate_core::{Action, Body, ChangeRefusal, EntryId, Incarnation};

use super::support::bench::{Bench, conflict, matched, node_of};
use super::support::changes::{add_voter, answers, members, promote, refused, settled_leader};
use super::support::{HEARTBEAT_MS, id, r};

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
