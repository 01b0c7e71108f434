//! Time and timers: what a tick may cause, pauses of the process, and what the engine announces.

use quorate_core::{Action, Event, RoleName, SnapshotOutcome, Time, TimeoutReason};

use super::support::bench::{Bench, heartbeat, matched, node_of};
use super::support::changes::{add_voter, answers, settled_leader_of};
use super::support::snapshots::{dropped, offers_to, purged, snapshot, snapshot_reply};
use super::support::world::World;
use super::support::{ELECTION_MAX_MS, ELECTION_MIN_MS, HEARTBEAT_MS, i, id, ms, n, r, t};

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

/// A leader that has entries up to `last`, committed and applied, with n3 out of reach.
fn commit_without_n3(leader: &mut Bench, last: u64) {
    while leader.status().last < i(last) {
        let _ = leader.propose(&["x"]);
    }
    let _ = leader.persist();
    let _ = leader.confirmed_by([2], last);
    let _ = leader.step(Event::Applied(i(last)));
}

/// Scenario D12: nobody is out of reach because this leader did not listen for a while.
#[test]
fn a_pause_lets_nothing_go_that_a_peer_is_receiving_or_needs_next() {
    let past = node_of(3).configured(|config| config.trailing_entries = 0);
    let mut leader = past.leader();
    commit_without_n3(&mut leader, 4);
    for _ in 0..11 * ELECTION_MAX_MS / HEARTBEAT_MS {
        let _ = leader.sleep(HEARTBEAT_MS);
        let _ = leader.confirmed_by([2], 4);
    }
    let actions = leader.step(Event::SnapshotTaken(snapshot(4, 1)));
    assert_eq!(purged(&actions), Some(id(4, 1)), "n3 is out of reach");
    let actions = leader.receive(3, 1, matched(1, 0, r(0)));
    assert_eq!(offers_to(&actions, 3), [4], "and back");
    let receiving = SnapshotOutcome::Receiving { bytes: 50 };
    let _ = leader.receive(3, 1, snapshot_reply(1, id(4, 1), receiving));
    commit_without_n3(&mut leader, 5);
    let actions = leader.step(Event::SnapshotTaken(snapshot(5, 1)));
    assert_eq!((purged(&actions), dropped(&actions)), (None, vec![]));
    let actions = leader.sleep(40 * ELECTION_MAX_MS);
    assert_eq!(leader.status().counters.pauses, 1);
    assert_eq!(dropped(&actions), [], "it would have to begin again");
    assert_eq!(purged(&actions), None, "and again, with the next");
    assert_eq!(offers_to(&actions, 3), [4], "it goes on with what it has");
    let mut later = Vec::new();
    for _ in 0..11 * ELECTION_MAX_MS / HEARTBEAT_MS {
        later.extend(leader.sleep(HEARTBEAT_MS));
        let _ = leader.confirmed_by([2], 5);
    }
    assert_eq!(dropped(&later), [id(4, 1)], "now n3 had its chance");
}

/// [Thesis 4.2.1]
#[test]
fn a_pause_does_not_end_the_wait_for_a_node_to_catch_up() {
    let mut leader = settled_leader_of(3);
    let _ = leader.change(add_voter(4));
    let _ = leader.persist();
    let _ = leader.confirmed_by([2, 3], 2);
    let actions = leader.sleep(200 * ELECTION_MAX_MS);
    assert_eq!(leader.status().counters.pauses, 1);
    assert_eq!(answers(&actions), [], "it was not silent: nobody listened");
    let mut later = Vec::new();
    for _ in 0..11 * ELECTION_MAX_MS / HEARTBEAT_MS {
        later.extend(leader.sleep(HEARTBEAT_MS));
        let _ = leader.confirmed_by([2, 3], 2);
    }
    assert_eq!(answers(&later).len(), 1, "now it was");
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

/// Liveness: a leader would go on with such disks, so one has to be found. A vote is saved twice
/// before it counts, by whoever asks and by whoever gives it.
#[test]
fn a_cluster_whose_disks_take_longer_than_half_an_election_timeout_elects_a_leader() {
    const SAVING_MS: u64 = ELECTION_MAX_MS * 3 / 5;
    for seed in 0..20 {
        let mut world = World::with(3, |config| {
            config.seed += seed * 1_000;
            config.storage_patience = ms(2_000);
        });
        let mut busy_since = [None; 3];
        for id in [1, 2, 3] {
            world.node_mut(id).disk.is_held = true;
        }
        while world
            .leader()
            .is_none_or(|leader| world.status(leader).commit == i(0))
        {
            assert!(world.now < Time::ZERO.after(ms(20_000)), "seed {seed}");
            world.advance(ms(10));
            for (id, since) in (1..).zip(&mut busy_since) {
                let has_work = world.node(id).disk.pending() > 0;
                let begun = *since.get_or_insert(world.now);
                if !has_work {
                    *since = None;
                } else if world.now.since(begun) >= ms(SAVING_MS) {
                    world.sync(id);
                    *since = None;
                }
            }
        }
    }
}
