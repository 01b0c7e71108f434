//! What an engine says of itself between events: when it wants to be woken and why, how its
//! priority moves that, how rarely it asks a peer that is silent, and what its status tells.

use core::time::Duration;
use quorate_core::{Body, Event, PeerMode, Priority, ReadId, RoleName, Time, TimeoutReason};

use super::support::bench::{Bench, append, appends_to, heartbeat, matched, node_of, said_to};
use super::support::outcomes::ask_transfer;
use super::support::world::World;
use super::support::{ELECTION_MAX_MS, ELECTION_MIN_MS, HEARTBEAT_MS, entries, i, id, ms, n, r, t};

fn due(bench: &Bench) -> (Time, TimeoutReason) {
    let timeout = bench.engine.next_timeout();
    (timeout.at, timeout.reason)
}

/// Every node waits for an election, a leader for its next heartbeat, a stopped one for nothing.
#[test]
fn every_role_names_what_it_waits_for() {
    let mut bench = node_of(3)
        .configured(|config| config.pre_vote = true)
        .start();
    assert_eq!(due(&bench).1, TimeoutReason::Election);
    let _ = bench.time_out();
    assert_eq!(bench.status().role, RoleName::PreCandidate);
    assert_eq!(due(&bench).1, TimeoutReason::Election, "it will ask again");
    let leader = node_of(3).leader();
    let heartbeat = (leader.now.after(ms(HEARTBEAT_MS)), TimeoutReason::Heartbeat);
    assert_eq!(due(&leader), heartbeat);
    let _ = bench.step(Event::StorageFailed);
    assert_eq!(due(&bench), (Time::NEVER, TimeoutReason::Idle));
}

/// A host's clock is monotonic; where it is not, time stands still until it has caught up.
#[test]
fn a_follower_is_no_less_patient_when_the_clock_went_back() {
    let mut bench = node_of(3).with_log(&[1]).start();
    let _ = bench.sleep(ELECTION_MIN_MS / 2);
    let heard_at = bench.now;
    let _ = bench.step(Event::Tick { now: Time::ZERO });
    let _ = bench.receive(2, 1, heartbeat(id(1, 1), 1));
    assert!(due(&bench).0 >= heard_at.after(ms(ELECTION_MIN_MS)));
}

/// Scenario F05
#[test]
fn a_leader_that_hands_over_names_the_end_of_its_patience() {
    let mut leader = node_of(3).leader();
    let _ = leader.persist();
    let _ = leader.confirmed_by([2, 3], 1);
    let _ = leader.sleep(10);
    let _ = ask_transfer(&mut leader, 1, Some(2));
    let deadline = leader.now.after(ms(ELECTION_MAX_MS));
    while due(&leader).1 == TimeoutReason::Heartbeat {
        let _ = leader.time_out();
        let _ = leader.confirmed_by([2, 3], 1);
    }
    assert_eq!(due(&leader), (deadline, TimeoutReason::Transfer));
}

/// Scenario E04
#[test]
fn a_follower_that_forwarded_a_read_names_the_end_of_its_patience() {
    let mut bench = node_of(3)
        .with_log(&[1])
        .configured(|config| config.priority = Priority::Low)
        .start();
    let _ = bench.receive(2, 1, heartbeat(id(1, 1), 1));
    let _ = bench.step(Event::Read {
        read: ReadId::new(1),
    });
    let at = bench.now.after(ms(ELECTION_MAX_MS));
    assert_eq!(due(&bench), (at, TimeoutReason::ReadTimeout));
}

/// Scenarios E04, B17: what the read needs is not known to be committed, or not durable here.
#[test]
fn a_follower_whose_read_cannot_be_served_names_the_end_of_its_patience() {
    for (commit, why) in [(2, "it is not durable"), (1, "it is not committed")] {
        let past = node_of(3).with_log(&[1]);
        let mut bench = past
            .configured(|config| config.priority = Priority::Low)
            .start();
        let _ = bench.receive(2, 1, append(id(1, 1), entries(2, &[1]), commit));
        if commit == 1 {
            let _ = bench.persist();
        }
        let read = ReadId::new(1);
        let _ = bench.step(Event::Read { read });
        let at = bench.now.after(ms(ELECTION_MAX_MS));
        let _ = bench.sleep(HEARTBEAT_MS / 2);
        let index = Some(i(2));
        let _ = bench.receive(2, 1, Body::ReadIndexReply { read, index });
        let at = at.after(ms(HEARTBEAT_MS / 2));
        assert_eq!(due(&bench), (at, TimeoutReason::ReadTimeout), "{why}");
    }
}

/// Scenario B17
#[test]
fn a_leader_whose_disk_owes_an_answer_names_the_end_of_its_patience() {
    let past = node_of(3).configured(|config| config.storage_patience = ms(HEARTBEAT_MS / 2));
    let leader = past.leader();
    let at = leader.now.after(ms(HEARTBEAT_MS / 2));
    assert_eq!(due(&leader), (at, TimeoutReason::StorageStall));
}

/// A snapshot that could not be taken is asked for again, not at once and not never.
#[test]
fn a_node_whose_snapshot_failed_names_when_it_asks_again() {
    let past = node_of(1).configured(|config| config.snapshot_entries = Some(1));
    let mut alone = past.leader();
    let _ = alone.persist();
    let _ = alone.sleep(HEARTBEAT_MS / 5);
    let is_due =
        |actions: &[quorate_core::Action]| actions.contains(&quorate_core::Action::SnapshotDue);
    let applied = alone.step(Event::Applied(i(1)));
    assert!(is_due(&applied), "{applied:?}");
    let _ = alone.step(Event::SnapshotFailed);
    let mut reasons = Vec::new();
    let mut asked = false;
    for _ in 0..2_000 {
        reasons.push(due(&alone).1);
        asked |= is_due(&alone.time_out());
    }
    assert!(reasons.contains(&TimeoutReason::SnapshotRetry));
    assert!(asked, "the log would grow for ever");
}

/// The election timeouts that a node of this priority draws.
fn draws(priority: Priority) -> Vec<Duration> {
    let past = node_of(3).with_log(&[1]);
    let mut bench = past.configured(|config| config.priority = priority).start();
    // One is drawn for each leader that it follows.
    let draw = |term| {
        let _ = bench.receive(2, term, heartbeat(id(1, 1), 0));
        bench.engine.next_timeout().at.since(bench.now)
    };
    (1..=500).map(draw).collect()
}

/// No preference may break the silence that a leader counts on.
#[test]
fn a_priority_moves_election_timeouts_and_never_below_the_minimum() {
    let (low, normal, high) = (
        draws(Priority::Low),
        draws(Priority::Normal),
        draws(Priority::High),
    );
    let middle = ms(u64::midpoint(ELECTION_MIN_MS, ELECTION_MAX_MS));
    for drawn in [&low, &normal, &high] {
        assert!(drawn.iter().all(|drawn| *drawn >= ms(ELECTION_MIN_MS)));
    }
    assert!(high.iter().all(|drawn| *drawn <= middle));
    assert!(low.iter().all(|drawn| *drawn >= ms(ELECTION_MAX_MS)));
    assert!(low.iter().all(|drawn| *drawn <= ms(2 * ELECTION_MAX_MS)));
    let spread = |drawn: &[Duration]| drawn.iter().max().unwrap() > drawn.iter().min().unwrap();
    assert!(
        spread(&low) && spread(&high),
        "or votes split again and again"
    );
    assert!(normal.iter().any(|drawn| *drawn > middle));
}

/// A preference is not a condition: the node with low priority leads when nobody else can.
#[test]
fn a_node_of_low_priority_leads_only_when_the_others_do_not() {
    for seed in 0..20 {
        let mut world = World::with(3, |config| {
            config.seed += seed * 1_000;
            if config.id == n(1) {
                config.priority = Priority::Low;
            }
        });
        world.advance(ms(2 * ELECTION_MAX_MS));
        let first = world.leader();
        assert_ne!(first, Some(1), "seed {seed}");
        // The only log that holds everything is its own.
        world.cut(&[3], &[1, 2]);
        world.cut(&[2], &[3]);
        world.advance(ms(6 * ELECTION_MAX_MS));
        assert!(world.leader().is_some(), "two of three go on");
    }
}

/// [Thesis 10.2.1]: a silent peer is probed ever more rarely, but never given up.
#[test]
fn a_silent_peer_is_probed_more_and_more_rarely_up_to_a_limit() {
    let mut leader = node_of(3).leader();
    let _ = leader.persist();
    let _ = leader.confirmed_by([2, 3], 1);
    let _ = leader.propose(&["x"]);
    let _ = leader.persist();
    let mut probed = Vec::new();
    for _ in 0..400 {
        let _ = leader.confirmed_by([2], 2);
        if !appends_to(&leader.time_out(), 3).is_empty() {
            probed.push(leader.now);
        }
    }
    let gaps: Vec<u128> = probed
        .windows(2)
        .map(|pair| pair[1].since(pair[0]).as_millis())
        .collect();
    assert!(gaps.is_sorted(), "{gaps:?}");
    let patience = u128::from(ELECTION_MIN_MS / 2);
    assert!(gaps[0] >= patience && gaps[0] <= 3 * patience, "{gaps:?}");
    assert_eq!(
        *gaps.last().unwrap(),
        16 * patience,
        "two seconds: {gaps:?}"
    );
    assert!(gaps.iter().filter(|gap| **gap == 16 * patience).count() > 3);
}

/// [Thesis 10.2.1]
#[test]
fn a_peer_that_is_heard_again_gets_everything_at_the_usual_pace() {
    let mut leader = node_of(3).leader();
    let _ = leader.persist();
    let _ = leader.confirmed_by([2, 3], 1);
    let _ = leader.propose(&["x"]);
    let _ = leader.persist();
    for _ in 0..200 {
        let _ = leader.confirmed_by([2], 2);
        let _ = leader.time_out();
    }
    let actions = leader.confirmed_by([3], 2);
    assert_eq!(
        leader.status().peers[1].mode,
        PeerMode::Replicate,
        "{actions:?}"
    );
    let sent = appends_to(&leader.propose(&["y", "z"]), 3);
    assert_eq!(sent, [(2, 2)], "ahead of its answers again");
    // That is lost: it is noticed after the usual patience, not the long one.
    let lost_at = leader.now;
    loop {
        let _ = leader.confirmed_by([2], 4);
        if !appends_to(&leader.time_out(), 3).is_empty() {
            break;
        }
    }
    let waited = leader.now.since(lost_at);
    assert!(
        waited <= ms(ELECTION_MIN_MS / 2 + HEARTBEAT_MS),
        "{waited:?}"
    );
}

/// [Thesis 9.6] [Thesis 10.2.1]: entries in flight leave room for no more than the limits.
#[test]
fn a_peer_that_answers_heartbeats_but_no_appends_is_not_flooded() {
    let past = node_of(3).configured(|config| config.max_inflight_messages = 4);
    let mut leader = past.leader();
    let _ = leader.persist();
    let _ = leader.confirmed_by([2, 3], 1);
    let mut sent = 0;
    for round in 1..=100 {
        sent += appends_to(&leader.propose(&["x"]), 3).len();
        sent += appends_to(&leader.sleep(HEARTBEAT_MS), 3).len();
        let _ = leader.persist();
        let last = leader.status().last.get();
        let _ = leader.confirmed_by([2], last);
        let _ = leader.receive(3, 1, matched(1, 1, r(round)));
        assert!(leader.status().peers[1].inflight <= 4);
    }
    assert!(sent <= 4 + 100, "{sent} appends in a hundred intervals");
    assert_eq!(leader.status().commit, leader.status().last);
}

/// Operators read these, and so does the simulator.
#[test]
fn a_status_tells_what_a_leader_knows() {
    let mut leader = node_of(3).with_log(&[1, 1]).applied(2).leader();
    let status = leader.status();
    assert_eq!(
        (status.id, status.term, status.leader),
        (n(1), t(2), Some(n(1)))
    );
    assert_eq!(
        (status.last, status.durable),
        (i(3), i(2)),
        "i3 is on its way"
    );
    assert!(!status.ready, "its first entry is not applied");
    let _ = leader.persist();
    let _ = leader.confirmed_by([2], 3);
    let _ = leader.step(Event::Applied(i(3)));
    let _ = leader.propose(&["x"]);
    let status = leader.status();
    assert!(status.ready);
    assert_eq!(
        (status.commit, status.applied, status.first),
        (i(3), i(3), i(1))
    );
    let [second, third] = &status.peers[..] else {
        panic!("two peers: {:?}", status.peers);
    };
    assert_eq!((second.id, second.matched, second.next), (n(2), i(3), i(5)));
    assert_eq!((second.mode, second.inflight), (PeerMode::Replicate, 1));
    assert!(second.inflight_bytes > 0);
    assert_eq!(
        (third.id, third.matched, third.mode),
        (n(3), i(0), PeerMode::Probe)
    );
    assert_eq!(status.counters.elections_won, 1);
}

/// A follower's status has no peers, and forgets those it had as leader.
#[test]
fn a_status_of_a_follower_names_its_leader_and_no_peers() {
    let mut bench = node_of(3).with_log(&[1]).leader();
    let _ = bench.receive(2, 3, append(id(1, 1), entries(2, &[3]), 1));
    let status = bench.status();
    assert_eq!(
        (status.role, status.leader),
        (RoleName::Follower, Some(n(2)))
    );
    assert!(status.peers.is_empty());
    assert_eq!(status.counters.step_downs, 1);
    let actions = bench.receive(3, 3, Body::TimeoutNow { round: r(0) });
    assert!(said_to(&actions, 2).is_empty());
}
