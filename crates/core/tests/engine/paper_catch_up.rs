//! How a new server becomes a voter: it learns first, and counts for nothing until it keeps up
//! [Thesis 4.2.1]. That the cluster serves its users meanwhile is here too [Thesis 4.2.4].

use quorate_core::{
    Action, AppendOutcome, Body, ChangeRefusal, EntryId, PeerMode, Refusal, RoleName, Round,
};

use super::support::bench::{
    Bench, conflict, has, heartbeat, life_of, matched, node_of, only_send, said_to, sends,
    vote_reply,
};
use super::support::changes::{
    add_learner, add_voter, answers, members, move_to, numbers, promote, refused, remove,
    settled_leader, settled_leader_of,
};
use super::support::world::World;
use super::support::{ELECTION_MAX_MS, ELECTION_MIN_MS, HEARTBEAT_MS, i, id, ms, n, t};

/// A leader of three that adds n4 as a voter. n4 is a learner by a committed entry, and has
/// nothing yet.
fn adding_a_voter() -> Bench {
    let mut leader = settled_leader_of(3);
    let actions = leader.change(add_voter(4));
    assert_eq!(answers(&actions), [], "it is answered when it is a voter");
    assert_eq!(
        numbers(&leader.status().membership),
        (vec![1, 2, 3], vec![4]),
        "it learns first"
    );
    let _ = leader.persist();
    let actions = leader.confirmed_by([2, 3], 2);
    assert_eq!(answers(&actions), [], "it holds nothing yet");
    assert_eq!(leader.status().commit, i(2));
    leader
}

/// Time passes while n2 and n3 answer, for as long as the log ends where it does.
fn pass(leader: &mut Bench, millis: u64) -> Vec<Action> {
    let mut all = Vec::new();
    for _ in 0..millis / HEARTBEAT_MS {
        all.extend(leader.sleep(HEARTBEAT_MS));
        let last = leader.status().last.get();
        all.extend(leader.persist());
        all.extend(leader.confirmed_by([2, 3], last));
    }
    all
}

/// n4 confirms an index in the newest round that the leader can have asked.
fn n4_confirms(leader: &mut Bench, index: u64) -> Vec<Action> {
    leader.confirmed_by([4], index)
}

/// Scenario C11 [Thesis 4.2.1]
#[test]
fn an_added_voter_counts_when_it_has_caught_up_and_not_before() {
    let mut leader = adding_a_voter();
    let actions = leader.receive(4, 1, conflict(1, 1, EntryId::NONE, Round::ZERO));
    assert_eq!(answers(&actions), []);
    let actions = n4_confirms(&mut leader, 2);
    assert_eq!(
        answers(&actions),
        [Ok(id(3, 1))],
        "the answer names the entry that makes it a voter"
    );
    assert_eq!(
        numbers(&leader.status().membership),
        (vec![1, 2, 3, 4], vec![])
    );
    let _ = leader.persist();
    let _ = leader.confirmed_by([2], 3);
    assert_eq!(leader.status().commit, i(2), "two of four are no majority");
    let _ = n4_confirms(&mut leader, 3);
    assert_eq!(
        leader.status().commit,
        i(3),
        "the new voter makes the third"
    );
}

/// Scenario C11 [Thesis 4.2.1] [Thesis 4.2.4]
#[test]
fn users_are_served_while_an_added_voter_catches_up_with_a_voter_down() {
    let mut leader = adding_a_voter();
    for index in 3..20 {
        let _ = leader.propose(&["x"]);
        let _ = leader.persist();
        let _ = leader.confirmed_by([2], index);
        assert_eq!(
            leader.status().commit,
            i(index),
            "n3 is down and n4 is empty, and still {{1 2}} are a majority of three"
        );
    }
}

/// [Thesis 4.2.1]
#[test]
fn adding_a_voter_is_given_up_after_ten_rounds_that_were_too_slow() {
    let mut leader = adding_a_voter();
    let mut all = Vec::new();
    for round in 1..=10 {
        let last = leader.status().last.get();
        let _ = leader.propose(&["x"]);
        // Longer than the shortest election timeout: as a voter it would delay commits by that.
        all.extend(pass(&mut leader, ELECTION_MIN_MS + 2 * HEARTBEAT_MS));
        assert_eq!(answers(&all), [], "round {round} is still going on");
        all.extend(n4_confirms(&mut leader, last));
    }
    assert_eq!(answers(&all), [refused(ChangeRefusal::NotCaughtUp)]);
    assert_eq!(
        numbers(&leader.status().membership),
        (vec![1, 2, 3], vec![4]),
        "it stays a learner"
    );
}

/// [Thesis 4.2.1]
#[test]
fn adding_a_voter_goes_on_with_a_round_that_is_fast_enough_after_slow_ones() {
    let mut leader = adding_a_voter();
    for _ in 0..5 {
        let last = leader.status().last.get();
        let _ = leader.propose(&["x"]);
        let _ = pass(&mut leader, ELECTION_MIN_MS + 2 * HEARTBEAT_MS);
        let actions = n4_confirms(&mut leader, last);
        assert_eq!(answers(&actions), []);
    }
    let last = leader.status().last.get();
    let _ = pass(&mut leader, HEARTBEAT_MS);
    let actions = n4_confirms(&mut leader, last);
    assert_eq!(answers(&actions), [Ok(id(last + 1, 1))]);
}

/// Scenario C11 [Thesis 4.2.1]
#[test]
fn a_learner_that_is_heard_again_has_not_caught_up_by_that() {
    let mut leader = settled_leader_of(3);
    let _ = leader.change(add_learner(4));
    let _ = leader.persist();
    let _ = leader.confirmed_by([2, 3], 2);
    let _ = n4_confirms(&mut leader, 2);
    let _ = leader.propose(&["x"]);
    let _ = pass(&mut leader, 2 * ELECTION_MAX_MS);
    let _ = leader.receive(4, 1, conflict(1, 3, id(2, 1), Round::ZERO));
    let refusal = refused(ChangeRefusal::NotCaughtUp);
    assert_eq!(leader.answer_to(promote(4)), refusal, "it lacks entry 3");
}

/// [Thesis 4.2.1]
#[test]
fn adding_a_voter_that_never_answers_is_given_up() {
    let mut leader = adding_a_voter();
    let actions = pass(&mut leader, 9 * ELECTION_MAX_MS);
    assert_eq!(answers(&actions), [], "it may be slow to start");
    let actions = pass(&mut leader, 2 * ELECTION_MAX_MS);
    assert_eq!(
        answers(&actions),
        [refused(ChangeRefusal::NotCaughtUp)],
        "whoever asked is told, once"
    );
    let actions = n4_confirms(&mut leader, 2);
    assert_eq!(answers(&actions), [], "it comes too late");
    assert_eq!(leader.status().membership.learners(), [n(4)]);
    assert_eq!(
        leader.answer_to(remove(4)),
        Ok(id(3, 1)),
        "the next change can be made"
    );
}

/// [Thesis 4.2.1]: its disk is full or stuck, so that it answers every heartbeat and holds nothing.
#[test]
fn adding_a_voter_that_answers_and_gets_nowhere_is_given_up() {
    let mut leader = adding_a_voter();
    let busy = |leader: &mut Bench, timeouts: u64| {
        let mut all = Vec::new();
        for _ in 0..timeouts * ELECTION_MAX_MS / HEARTBEAT_MS {
            all.extend(pass(leader, HEARTBEAT_MS));
            all.extend(n4_confirms(leader, 0));
        }
        answers(&all)
    };
    assert_eq!(busy(&mut leader, 99), [], "it may take its time");
    let _ = n4_confirms(&mut leader, 1);
    assert_eq!(busy(&mut leader, 99), [], "it has got something");
    let given_up = [refused(ChangeRefusal::NotCaughtUp)];
    assert_eq!(busy(&mut leader, 2), given_up);
    assert_eq!(busy(&mut leader, 101), [], "one answer for one change");
    assert_eq!(leader.answer_to(remove(4)), Ok(id(3, 1)));
}

/// A learner whose own entry is never committed cannot become a voter.
#[test]
fn adding_a_voter_whose_first_step_is_never_committed_is_given_up() {
    let mut leader = settled_leader_of(3);
    let mut all = leader.change(add_voter(4));
    for _ in 0..101 * ELECTION_MAX_MS / HEARTBEAT_MS {
        all.extend(leader.sleep(HEARTBEAT_MS));
        // The disks of n2 and n3 are full.
        all.extend(leader.confirmed_by([2, 3], 1));
        all.extend(leader.persist());
        all.extend(n4_confirms(&mut leader, 2));
    }
    assert_eq!(leader.status().role, RoleName::Leader);
    assert_eq!(answers(&all), [refused(ChangeRefusal::NotCaughtUp)]);
}

/// [Thesis 4.2.1]
#[test]
fn a_removal_that_is_refused_ends_the_wait_for_the_node_as_well() {
    let mut leader = adding_a_voter();
    let _ = leader.sleep(3 * ELECTION_MAX_MS);
    let actions = leader.change(remove(4));
    assert_eq!(
        answers(&actions),
        [
            refused(ChangeRefusal::NotCaughtUp),
            refused(ChangeRefusal::QuorumUnreachable)
        ]
    );
}

/// [Thesis 4.2.1]
#[test]
fn no_other_change_is_made_while_a_voter_is_being_added() {
    let mut leader = adding_a_voter();
    for change in [remove(3), add_learner(5), add_voter(4), promote(4)] {
        assert_eq!(leader.answer_to(change), refused(ChangeRefusal::InFlight));
    }
    assert_eq!(leader.status().last, i(2), "the log stays as it is");
}

/// [Thesis 4.2.1]
#[test]
fn removing_a_node_ends_the_wait_for_it_to_catch_up() {
    let mut leader = adding_a_voter();
    let actions = leader.change(remove(4));
    assert_eq!(
        answers(&actions),
        [refused(ChangeRefusal::NotCaughtUp), Ok(id(3, 1))],
        "both who asked are answered"
    );
    let mut later = leader.persist();
    later.extend(leader.confirmed_by([2, 3, 4], 3));
    assert_eq!(answers(&later), [], "one answer for one change");
    assert_eq!(
        numbers(&leader.status().membership),
        (vec![1, 2, 3], vec![])
    );
}

#[test]
fn a_leader_that_steps_down_while_it_adds_a_voter_says_so_once() {
    let mut leader = adding_a_voter();
    let mut actions = leader.receive(2, 5, heartbeat(id(2, 1), 2));
    actions.extend(leader.persist());
    let not_leader = Err(Refusal::NotLeader { leader: None });
    assert_eq!(answers(&actions), [not_leader], "it cannot go on with it");
    let mut later = leader.sleep(ELECTION_MAX_MS);
    later.extend(n4_confirms(&mut leader, 2));
    assert_eq!(answers(&later), [], "one answer for one change");
}

/// Scenario C11
#[test]
fn adding_a_voter_is_refused_in_the_end_when_too_few_would_be_within_reach() {
    let mut leader = adding_a_voter();
    // The process slept: the leader is forgiven, but has not heard of n2 and n3 since.
    let _ = leader.sleep(3 * ELECTION_MAX_MS);
    assert_eq!(leader.status().role, RoleName::Leader);
    let actions = n4_confirms(&mut leader, 2);
    assert_eq!(answers(&actions), [], "that round was slow");
    let actions = n4_confirms(&mut leader, 2);
    let reason = ChangeRefusal::QuorumUnreachable;
    assert_eq!(
        answers(&actions),
        [refused(reason)],
        "{{1 4}} could commit nothing"
    );
    assert_eq!(leader.status().last, i(2), "it stays a learner");
}

/// Scenario C11
#[test]
fn a_learner_that_lags_is_silent_or_never_answered_is_not_promoted() {
    let mut leader = settled_leader(node_of(3).among(members(&[1, 2, 3], &[4])));
    let answer = leader.answer_to(promote(4));
    assert_eq!(answer, refused(ChangeRefusal::NotCaughtUp), "never heard");
    let _ = leader.propose(&["x"]);
    let _ = pass(&mut leader, 2 * ELECTION_MAX_MS);
    let _ = n4_confirms(&mut leader, 1);
    let answer = leader.answer_to(promote(4));
    assert_eq!(answer, refused(ChangeRefusal::NotCaughtUp), "it was slow");
    let _ = n4_confirms(&mut leader, 2);
    let _ = pass(&mut leader, 2 * ELECTION_MAX_MS);
    let answer = leader.answer_to(promote(4));
    assert_eq!(answer, refused(ChangeRefusal::NotCaughtUp), "it is silent");
    assert_eq!(leader.status().last, i(2), "the log stays as it is");
    for _ in 0..2 {
        let _ = n4_confirms(&mut leader, 2);
    }
    let answer = leader.answer_to(promote(4));
    assert_eq!(answer, Ok(id(3, 1)), "the last round was short");
}

/// Scenario C11
#[test]
fn a_suspect_learner_is_not_promoted() {
    let mut leader = settled_leader(node_of(3).among(members(&[1, 2, 3], &[4])));
    let says = |suspect| Body::AppendReply {
        asked: t(1),
        round: Round::ZERO,
        outcome: AppendOutcome::Matched(i(1)),
        suspect,
    };
    let _ = leader.receive(4, 1, says(true));
    let answer = leader.answer_to(promote(4));
    assert_eq!(
        answer,
        refused(ChangeRefusal::NotCaughtUp),
        "it may lack what it acknowledged"
    );
    let _ = leader.receive(4, 1, says(false));
    assert_eq!(leader.answer_to(promote(4)), Ok(id(2, 1)));
}

/// Scenario C11
#[test]
fn a_change_after_which_no_majority_would_be_within_reach_needs_the_override() {
    for is_required in [true, false] {
        let past = node_of(5).configured(|config| config.require_reachable_quorum = is_required);
        let mut leader = settled_leader(past);
        for _ in 0..12 {
            let _ = leader.sleep(HEARTBEAT_MS);
            let _ = leader.confirmed_by([2, 3], 1);
        }
        // {1 2 3} of five are there. Without n3, two of four would be.
        let answer = leader.answer_to(remove(3));
        if is_required {
            let reason = ChangeRefusal::QuorumUnreachable;
            assert_eq!(answer, refused(reason), "nothing could be committed");
            assert_eq!(leader.status().last, i(1), "the log stays as it is");
            let answer = leader.answer_to(remove(5));
            assert_eq!(answer, Ok(id(2, 1)), "three of four are there");
        } else {
            assert_eq!(answer, Ok(id(2, 1)), "the operator knows better");
        }
    }
}

/// Scenario C11: if the leader went, nobody could be elected before the suspect is repaired.
#[test]
fn a_change_that_leaves_the_majority_to_a_suspect_is_refused() {
    let mut leader = settled_leader(node_of(3));
    let says = |suspect| Body::AppendReply {
        asked: t(1),
        round: Round::ZERO,
        outcome: AppendOutcome::Matched(i(1)),
        suspect,
    };
    let _ = leader.receive(3, 1, says(true));
    let reason = ChangeRefusal::QuorumUnreachable;
    assert_eq!(leader.answer_to(remove(2)), refused(reason));
    let _ = leader.receive(3, 1, says(false));
    assert_eq!(leader.answer_to(remove(2)), Ok(id(2, 1)));
}

/// Scenario C12
#[test]
fn what_a_learner_says_commits_elects_and_confirms_nothing() {
    let learners = members(&[1, 2, 3], &[4, 5]);
    let mut leader = settled_leader(node_of(3).among(learners.clone()));
    let _ = leader.propose(&["x"]);
    let _ = leader.persist();
    let _ = leader.confirmed_by([4, 5], 2);
    assert_eq!(leader.status().commit, i(1), "learners do not commit");
    let _ = leader.read(1);
    let round = Round::new(1);
    let is_ready = |action: &Action| matches!(action, Action::ReadReady { .. });
    for learner in [4, 5] {
        let actions = leader.receive(learner, 1, matched(1, 2, round));
        assert!(!has(&actions, is_ready), "learners do not prove who leads");
    }
    for _ in 0..ELECTION_MAX_MS / HEARTBEAT_MS + 1 {
        let _ = leader.sleep(HEARTBEAT_MS);
        let _ = leader.confirmed_by([4, 5], 2);
    }
    assert_eq!(
        leader.status().role,
        RoleName::Follower,
        "learners do not keep a leader in office"
    );
    let mut candidate = node_of(3)
        .among(learners)
        .configured(|config| config.pre_vote = false)
        .start();
    let actions = candidate.time_out();
    assert_eq!(said_to(&actions, 4).len(), 0, "learners are not asked");
    let _ = candidate.persist();
    for learner in [4, 5] {
        let _ = candidate.receive(learner, 1, vote_reply(1, true));
    }
    assert_eq!(candidate.status().role, RoleName::Candidate);
}

/// Scenario C12
#[test]
fn a_learner_answers_but_never_campaigns() {
    let mut learner = node_of(3)
        .among(members(&[2, 3], &[1]))
        .with_log(&[1])
        .start();
    let actions = learner.receive(2, 1, heartbeat(id(1, 1), 1));
    assert_eq!(only_send(&actions).1.receiver, life_of(2));
    for _ in 0..10 {
        let actions = learner.time_out();
        assert_eq!(sends(&actions), [], "it waits to be spoken to");
    }
    assert_eq!(learner.status().role, RoleName::Follower);
}

/// Scenario C12 [Thesis 4.2.1]
#[test]
fn a_learner_catches_up_from_nothing_while_leaders_change() {
    let mut world = World::with(3, |config| {
        config.max_append_bytes = 200;
        config.max_inflight_messages = 1;
        config.window_bytes = 400;
    });
    world.elect(1);
    for _ in 0..30 {
        world.propose(1, &["a", "b"]);
        world.settle();
    }
    let joiner = world.join(|_| {});
    world.change(1, add_learner(joiner));
    for leader in [2, 3, 1] {
        for other in [1, 2, 3] {
            world.net.delay((n(other), n(joiner)));
        }
        world.settle();
        for _ in 0..4 {
            for other in [1, 2, 3] {
                if let Some(message) = world.net.pop_on((n(other), n(joiner))) {
                    world.deliver(message);
                    world.settle();
                }
            }
        }
        world.elect(leader);
    }
    world.net.heal();
    world.advance(ms(4 * ELECTION_MAX_MS));
    let (leader, learner) = (world.status(1), world.status(joiner));
    assert_eq!(learner.commit, leader.commit, "no leader forgets a learner");
    assert_eq!(world.applied(joiner), world.applied(1));
    assert_eq!(learner.membership, leader.membership);
}

/// Scenario C12 Scenario C05
#[test]
fn a_learner_catches_up_from_a_snapshot_and_knows_every_member_from_it() {
    let mut world = World::with(3, |config| config.trailing_entries = 0);
    world.elect(1);
    for _ in 0..10 {
        world.propose(1, &["a"]);
        world.settle();
    }
    world.change(1, move_to(1, "one:1"));
    world.settle();
    world.take_snapshot(1);
    world.settle();
    assert!(world.status(1).first > i(1), "the log begins later");
    let joiner = world.join(|_| {});
    let change = world.change(1, add_learner(joiner));
    world.node_mut(joiner).is_receive_held = true;
    world.settle();
    let peers = world.status(1).peers;
    let peer = peers.iter().find(|peer| peer.id == n(joiner)).unwrap();
    assert!(matches!(peer.mode, PeerMode::Snapshot { .. }), "{peer:?}");
    world.let_snapshot_arrive(joiner);
    world.settle();
    assert!(matches!(world.change_end(change), Some(Ok(_))));
    let (leader, learner) = (world.status(1), world.status(joiner));
    assert_eq!(learner.commit, leader.commit);
    assert_eq!(
        learner.membership, leader.membership,
        "the sender is in the set, with its address"
    );
}
