//! Time and timers: what a tick may cause, pauses of the process, and what the engine announces.

use quorate_core::{Action, Event, RoleName, Time, TimeoutReason};

use super::support::bench::{heartbeat, node_of};
use super::support::world::World;
use super::support::{ELECTION_MAX_MS, ELECTION_MIN_MS, HEARTBEAT_MS, id, ms, n, t};

/// A tick before the announced time has no effect.
#[test]
fn nothing_happens_before_the_announced_timeout() {
    for mut bench in [
        node_of(3).with_log(&[1]).start(),
        node_of(3).with_log(&[1]).leader(),
    ] {
        let _ = bench.persist();
        for _ in 0..50 {
            let at = bench.engine.next_timeout().at;
            bench.now = Time::from_nanos(at.as_nanos() - 1);
            let early = bench.step(Event::Tick { now: bench.now });
            assert!(early.is_empty(), "a tick before {at} caused {early:?}");
            let _ = bench.time_out();
        }
    }
}

/// A clock that goes back changes nothing.
#[test]
fn an_earlier_time_is_ignored() {
    let mut bench = node_of(3).with_log(&[1]).start();
    let _ = bench.sleep(100);
    let due = bench.engine.next_timeout();
    assert!(bench.step(Event::Tick { now: Time::ZERO }).is_empty());
    assert_eq!(bench.engine.next_timeout(), due);
}

/// A process that slept has not heard because it did not listen: its messages may be waiting.
#[test]
fn a_pause_starts_no_election() {
    let mut bench = node_of(3).with_log(&[1]).start();
    assert!(
        bench.sleep(60_000).is_empty(),
        "a minute passed in one tick"
    );
    assert_eq!(bench.status().counters.pauses, 1);
    assert_eq!(bench.status().role, RoleName::Follower);
    let wait = bench.engine.next_timeout().at.since(bench.now);
    assert!(
        wait >= ms(ELECTION_MIN_MS),
        "the leader gets a whole timeout to be heard"
    );
}

/// A timer that is a little late is no pause, or a busy host would never elect.
#[test]
fn a_tick_that_is_a_little_late_still_campaigns() {
    let mut bench = node_of(3).with_log(&[1]).start();
    bench.now = bench
        .engine
        .next_timeout()
        .at
        .after(ms(ELECTION_MIN_MS / 4));
    let _ = bench.step(Event::Tick { now: bench.now });
    assert_eq!(bench.status().role, RoleName::PreCandidate);
    assert_eq!(bench.status().counters.pauses, 0);
}

/// The followers may not have missed a leader that slept; it goes on until they say otherwise.
#[test]
fn a_pause_does_not_end_a_leadership_by_itself() {
    let mut leader = node_of(3).with_log(&[1]).leader();
    let _ = leader.persist();
    let _ = leader.confirmed_by([2, 3], 2);
    let actions = leader.sleep(5_000);
    assert_eq!(leader.status().role, RoleName::Leader);
    assert!(
        !actions.is_empty(),
        "it tells its peers at once that it is there"
    );
    for _ in 0..=ELECTION_MAX_MS / HEARTBEAT_MS {
        let _ = leader.time_out();
    }
    assert_eq!(
        leader.status().counters.step_downs,
        1,
        "silence while it runs does"
    );
}

/// A host that is always late must not be without elections for ever.
#[test]
fn a_second_late_tick_in_a_row_is_not_forgiven() {
    let mut bench = node_of(3).with_log(&[1]).start();
    let _ = bench.sleep(5_000);
    assert_eq!(
        bench.status().role,
        RoleName::Follower,
        "one pause is forgiven"
    );
    let _ = bench.sleep(5_000);
    assert_eq!(
        bench.status().role,
        RoleName::PreCandidate,
        "two are a habit"
    );
    let mut leader = node_of(3).with_log(&[1]).leader();
    let _ = leader.persist();
    let _ = leader.sleep(5_000);
    assert_eq!(leader.status().role, RoleName::Leader);
    let _ = leader.sleep(5_000);
    assert_eq!(
        leader.status().role,
        RoleName::Follower,
        "nobody answered it for ten seconds"
    );
}

/// Scenario B17: the disk may have answered while the process slept.
#[test]
fn a_pause_is_not_held_against_the_disk() {
    let mut leader = node_of(1).with_log(&[1]).leader();
    let _ = leader.persist();
    let _ = leader.propose(&["x"]);
    let _ = leader.sleep(60_000);
    assert_eq!(leader.status().role, RoleName::Leader);
    let _ = leader.persist();
    assert_eq!(leader.status().commit, leader.status().last);
}

/// Scenario A10
#[test]
fn a_leader_says_that_it_waits_for_a_majority() {
    let mut leader = node_of(3).with_log(&[1]).leader();
    let _ = leader.persist();
    let _ = leader.sleep(HEARTBEAT_MS / 2);
    let _ = leader.confirmed_by([2], 2);
    let mut reasons = Vec::new();
    for _ in 0..=2 * ELECTION_MAX_MS / HEARTBEAT_MS {
        if leader.status().role == RoleName::Leader {
            reasons.push(leader.engine.next_timeout().reason);
            let _ = leader.time_out();
        }
    }
    assert_eq!(
        reasons.last(),
        Some(&TimeoutReason::CheckQuorum),
        "{reasons:?}"
    );
}

/// Hosts learn of every change of role, term and leader, once.
#[test]
fn role_changes_are_announced_once_per_step_with_the_final_state() {
    let changes = |actions: &[Action]| {
        let is_change = |action: &&Action| matches!(action, Action::RoleChanged { .. });
        actions
            .iter()
            .filter(is_change)
            .cloned()
            .collect::<Vec<_>>()
    };
    let mut bench = node_of(3).with_log(&[1]).start();
    let actions = bench.receive(2, 4, heartbeat(id(1, 1), 0));
    let followed = Action::RoleChanged {
        role: RoleName::Follower,
        term: t(4),
        leader: Some(n(2)),
    };
    assert_eq!(
        changes(&actions),
        [followed],
        "not first without and then with the leader"
    );
    let actions = bench.receive(2, 4, heartbeat(id(1, 1), 0));
    assert_eq!(changes(&actions), [], "nothing changed");
}

/// An idle leader with idle peers asks for a heartbeat per interval and for nothing else.
#[test]
fn an_idle_cluster_sends_two_messages_per_peer_and_interval() {
    let mut world = World::new(3);
    world.elect(1);
    world.advance(ms(HEARTBEAT_MS * 4));
    let before = world.performed;
    world.advance(ms(HEARTBEAT_MS * 100));
    let per_interval = (world.performed - before) as f64 / 100.0;
    assert!(
        (3.9..=4.1).contains(&per_interval),
        "{per_interval} actions per interval"
    );
}

/// Liveness: whatever seeds the timers have, a connected cluster elects within a few timeouts.
#[test]
fn a_new_cluster_elects_a_leader_within_a_few_timeouts() {
    for seed in 0..60 {
        for count in [1, 2, 3, 5, 7] {
            let mut world = World::with(count, |config| config.seed += seed * 1_000);
            world.advance(ms(ELECTION_MAX_MS * 4));
            assert!(world.leader().is_some(), "{count} nodes with seed {seed}");
        }
    }
}
