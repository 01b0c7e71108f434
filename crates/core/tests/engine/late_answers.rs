//! Answers that come late or make no sense, at a leader: what it knows better must not move a peer
//! back to where it is sent everything, or a snapshot, once more (scenario B08).

use quorate_core::{Body, Event, PeerMode, SnapshotOutcome};

use super::support::bench::{Bench, appends_to, conflict, matched, node_of};
use super::support::changes::settled_leader_of;
use super::support::outcomes::ready_reads;
use super::support::snapshots::{offers_to, snapshot, snapshot_reply};
use super::support::{HEARTBEAT_MS, i, id, r, t};

/// How peer 3 is sent entries.
fn mode(leader: &Bench) -> PeerMode {
    leader.status().peers[1].mode
}

/// Scenario B08: no append ever started there.
#[test]
fn a_refusal_of_what_was_never_sent_moves_nothing() {
    let mut leader = node_of(3).with_log(&[1]).leader();
    let _ = leader.persist();
    let _ = leader.confirmed_by([2, 3], 2);
    for refused in [3, 4, 9] {
        let refusal = conflict(2, refused, id(1, 1), r(0));
        assert_eq!(leader.receive(3, 2, refusal), [], "refused {refused}");
        assert_eq!(mode(&leader), PeerMode::Replicate, "refused {refused}");
    }
    assert_eq!(appends_to(&leader.propose(&["x"]), 3), [(2, 1)]);
}

/// A leader whose log starts at 5 and that offered peer 3, which holds entry 1, a snapshot. Two
/// appends were on their way there before.
fn offering() -> Bench {
    let past = node_of(3).configured(|config| {
        config.trailing_entries = 0;
        config.max_retained_bytes = 1;
    });
    let mut leader = past.leader();
    let _ = leader.persist();
    let _ = leader.confirmed_by([2, 3], 1);
    let _ = leader.propose(&["a", "b"]);
    let _ = leader.propose(&["c"]);
    let _ = leader.persist();
    let _ = leader.confirmed_by([2], 4);
    let _ = leader.step(Event::Applied(i(4)));
    let _ = leader.step(Event::SnapshotTaken(snapshot(4, 1)));
    let mut offers = Vec::new();
    while offers.is_empty() {
        offers = offers_to(&leader.sleep(HEARTBEAT_MS), 3);
        let _ = leader.confirmed_by([2], 4);
    }
    assert_eq!(offers, [4], "it needs what was purged");
    leader
}

/// Scenarios B08, D12: the peer has begun to fetch the snapshot, and would have to begin anew with
/// a newer one.
#[test]
fn a_late_answer_to_an_append_ends_no_snapshot() {
    let receiving = PeerMode::Snapshot {
        last: id(4, 1),
        bytes: 40,
    };
    for late in [matched(1, 3, r(0)), conflict(1, 3, id(2, 1), r(0))] {
        let mut leader = offering();
        let begun = SnapshotOutcome::Receiving { bytes: 40 };
        let _ = leader.receive(3, 1, snapshot_reply(1, id(4, 1), begun));
        let _ = leader.propose(&["d"]);
        let actions = leader.receive(3, 1, late.clone());
        assert_eq!(appends_to(&actions, 3), [], "{late:?}");
        assert_eq!(offers_to(&actions, 3), [], "{late:?}");
        assert_eq!(mode(&leader), receiving, "{late:?}");
    }
}

/// Scenario E02: the wire promises nothing.
#[test]
fn an_answer_about_a_snapshot_in_a_round_that_was_not_asked_proves_nothing() {
    let mut leader = settled_leader_of(3);
    assert_eq!(ready_reads(&leader.read(7)), []);
    let reply = |round| Body::SnapshotReply {
        asked: t(1),
        round: r(round),
        last: id(9, 1),
        outcome: SnapshotOutcome::Receiving { bytes: 0 },
        suspect: false,
    };
    let dropped = leader.status().counters.dropped;
    let actions = leader.receive(3, 1, reply(2));
    assert_eq!(ready_reads(&actions), [], "nobody was asked that");
    assert_eq!(leader.status().counters.dropped, dropped + 1);
    let actions = leader.receive(3, 1, reply(1));
    assert_eq!(ready_reads(&actions), [(7, 1)]);
}
