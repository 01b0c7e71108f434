//! Pauses that come again and again, as those of a process that is given too little of its
//! processor: together they must not be an excuse for ever.

use quorate_core::{Action, Body, ChangeRefusal, Refusal, RoleName};

use super::support::bench::{Bench, heartbeat, node_of, vote_reply, vote_request};
use super::support::changes::{add_voter, answers, refused, settled_leader_of};
use super::support::outcomes::{ask_transfer, transfer_ends};
use super::support::{ELECTION_MAX_MS, ELECTION_MIN_MS, HEARTBEAT_MS, id, ms, n, r};

/// The next tick comes so much too late that it counts as a pause. What had come meanwhile is
/// taken right after it, with a tick of its own.
fn wake_late(bench: &mut Bench) -> Vec<Action> {
    bench.now = bench.engine.next_timeout().at;
    let mut actions = bench.sleep(ELECTION_MIN_MS / 4 + 1);
    actions.extend(bench.sleep(1));
    actions
}

/// Scenarios A09, A10
#[test]
fn a_leader_that_nobody_answers_stops_although_it_pauses_again_and_again() {
    let mut leader = settled_leader_of(3);
    let begun = leader.now;
    while leader.status().role == RoleName::Leader {
        let silent = leader.now.since(begun).as_millis();
        assert!(silent < 60_000, "its heartbeats keep others from leading");
        let _ = wake_late(&mut leader);
    }
}

/// It has heard nobody since the pause, and there is nothing for it to do before its heartbeat.
#[test]
fn a_leader_that_is_forgiven_a_pause_does_not_wake_at_once() {
    let mut leader = settled_leader_of(3);
    leader.now = leader.engine.next_timeout().at;
    let _ = leader.sleep(ELECTION_MAX_MS);
    assert_eq!(leader.status().role, RoleName::Leader, "it is forgiven");
    let next = leader.engine.next_timeout().at;
    assert_eq!(next, leader.now.after(ms(HEARTBEAT_MS)));
}

/// Scenario B17
#[test]
fn a_leader_whose_disk_is_stuck_stops_although_it_pauses_again_and_again() {
    let mut leader = settled_leader_of(3);
    let _ = leader.propose(&["x"]);
    let begun = leader.now;
    while leader.status().role == RoleName::Leader {
        let waited = leader.now.since(begun).as_millis();
        assert!(waited < 60_000, "nothing is written");
        let _ = wake_late(&mut leader);
        let _ = leader.confirmed_by([2, 3], 1);
    }
}

/// [Raft 5.2]
#[test]
fn a_node_whose_every_timeout_strikes_late_campaigns_all_the_same() {
    let mut bench = node_of(3).with_log(&[1]).start();
    for _ in 0..3 {
        let _ = wake_late(&mut bench);
    }
    assert_ne!(bench.status().role, RoleName::Follower);
}

/// Two that are heard in between are two.
#[test]
fn a_node_that_heard_its_leader_since_it_paused_is_forgiven_the_next_pause() {
    let mut bench = node_of(3).with_log(&[1]).start();
    for _ in 0..5 {
        let _ = wake_late(&mut bench);
        assert_eq!(bench.status().role, RoleName::Follower);
        let _ = bench.receive(2, 1, heartbeat(id(1, 1), 1));
    }
}

/// [Raft 5.2]: whoever gave its vote waits anew.
#[test]
fn a_node_that_voted_since_it_paused_is_forgiven_the_next_pause() {
    let mut bench = node_of(3).with_log(&[1]).start();
    for term in 2..6 {
        let _ = wake_late(&mut bench);
        assert_eq!(bench.status().role, RoleName::Follower);
        let _ = bench.sleep(ELECTION_MIN_MS / 4);
        let _ = bench.receive(2, term, vote_request(id(1, 1)));
        assert_eq!(bench.engine.hard_state().vote, Some(n(2)));
        let _ = bench.persist();
    }
}

/// A majority was heard when it was elected: nothing from before is held against it.
#[test]
fn a_node_that_led_since_it_paused_is_forgiven_the_next_pause() {
    let mut bench = node_of(3).with_log(&[1]).start();
    let _ = bench.receive(2, 1, heartbeat(id(1, 1), 1));
    let _ = wake_late(&mut bench);
    let _ = bench.receive(2, 1, Body::TimeoutNow { round: r(0) });
    let _ = bench.persist();
    let _ = bench.receive(3, 2, vote_reply(2, true));
    assert_eq!(bench.status().role, RoleName::Leader);
    while bench.status().role == RoleName::Leader {
        let _ = bench.time_out();
    }
    let _ = wake_late(&mut bench);
    assert_eq!(bench.status().role, RoleName::Follower);
}

/// [Thesis 4.2.1]: whoever asked gets an answer.
#[test]
fn adding_a_voter_that_gets_nothing_is_given_up_although_the_leader_pauses_again_and_again() {
    for (is_heard, timeouts) in [(false, 11), (true, 101)] {
        let mut leader = settled_leader_of(3);
        let mut actions = leader.change(add_voter(4));
        let _ = leader.persist();
        for _ in 0..timeouts * ELECTION_MAX_MS / HEARTBEAT_MS {
            actions.extend(leader.confirmed_by([2, 3], 2));
            if is_heard {
                actions.extend(leader.confirmed_by([4], 0));
            }
            actions.extend(wake_late(&mut leader));
        }
        assert_eq!(leader.status().role, RoleName::Leader);
        assert_eq!(answers(&actions), [refused(ChangeRefusal::NotCaughtUp)]);
    }
}

/// Scenario F05 [Thesis 3.10]: the word of its campaign waits in a queue of a process that slept.
#[test]
fn a_transfer_whose_deadline_passes_during_a_pause_is_not_given_up_before_the_target_is_heard() {
    for rests in [0, HEARTBEAT_MS, ELECTION_MAX_MS - 10] {
        let mut leader = settled_leader_of(3);
        let mut actions = ask_transfer(&mut leader, 1, Some(2));
        for _ in 0..rests / 10 {
            actions.extend(leader.sleep(10));
            actions.extend(leader.confirmed_by([2, 3], 1));
        }
        actions.extend(leader.sleep(10 * ELECTION_MAX_MS));
        assert_eq!(leader.status().counters.pauses, 1);
        assert_eq!(transfer_ends(&actions, 1), [], "it rested for {rests} ms");
        let campaign = Body::Vote {
            last: id(1, 1),
            transfer: true,
        };
        let actions = leader.receive(2, 2, campaign);
        assert_eq!(transfer_ends(&actions, 1), [Ok(2)]);
    }
}

/// Scenario F05: writes wait meanwhile.
#[test]
fn a_transfer_is_given_up_although_the_leader_pauses_again_and_again() {
    let mut leader = settled_leader_of(3);
    let begun = leader.now;
    let mut actions = ask_transfer(&mut leader, 1, Some(2));
    while transfer_ends(&actions, 1).is_empty() {
        let waited = leader.now.since(begun).as_millis();
        assert!(waited < 60_000, "nobody may write");
        actions.extend(wake_late(&mut leader));
        actions.extend(leader.confirmed_by([2, 3], 1));
    }
    assert_eq!(transfer_ends(&actions, 1), [Err(Refusal::TimedOut)]);
    assert_eq!(leader.status().role, RoleName::Leader);
}
