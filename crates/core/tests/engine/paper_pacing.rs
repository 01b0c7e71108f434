//! The pace of a leader [Thesis 10.2.1]: pipelining, limits in messages and bytes, and what a peer
//! that is slow or away costs. How logs are compared and repaired is in `paper_replication.rs`.

use quorate_core::{Action, Entry, Refusal};

use super::support::bench::{appends_to, has, node_of};
use super::support::{HEARTBEAT_MS, i};

/// [Thesis 10.2.1] Scenario B20
#[test]
fn every_entry_is_sent_once_to_a_peer_that_keeps_up() {
    let mut bench = node_of(3).with_log(&[1]).leader();
    let _ = bench.persist();
    let _ = bench.confirmed_by([2, 3], 2);
    let mut sent = Vec::new();
    for _ in 0..50 {
        sent.extend(appends_to(&bench.propose(&["x"]), 2));
    }
    let expected: Vec<(u64, usize)> = (2..52).map(|prev| (prev, 1)).collect();
    assert_eq!(
        sent, expected,
        "pipelined, each entry in one message and no other"
    );
}

/// [Raft 5.3]
#[test]
fn a_peer_that_was_never_heard_is_sent_one_append_at_a_time() {
    let mut bench = node_of(3).with_log(&[1]).leader();
    for _ in 0..10 {
        assert_eq!(
            appends_to(&bench.propose(&["x"]), 2),
            [],
            "the no-op is still unanswered"
        );
    }
    let actions = bench.confirmed_by([2], 2);
    assert_eq!(
        appends_to(&actions, 2),
        [(2, 10)],
        "then all that waited, in one message"
    );
}

/// [Thesis 10.2.1]
#[test]
fn appends_stay_within_their_limits_in_messages_and_bytes() {
    let size = Entry::OVERHEAD_BYTES + 1;
    let past = node_of(3).with_log(&[1]).configured(|config| {
        config.max_append_bytes = 2 * size;
        config.max_inflight_messages = 3;
    });
    let mut bench = past.leader();
    let _ = bench.persist();
    let _ = bench.propose(&["a", "b", "c", "d", "e", "f", "g", "h", "i"]);
    let actions = bench.confirmed_by([2], 2);
    assert_eq!(
        appends_to(&actions, 2),
        [(2, 2), (4, 2), (6, 2)],
        "three messages of two entries"
    );
    let actions = bench.confirmed_by([2], 4);
    assert_eq!(
        appends_to(&actions, 2),
        [(8, 2)],
        "one is answered, so one follows"
    );
}

/// Scenario B19
#[test]
fn an_entry_above_every_limit_is_still_sent_alone() {
    let past = node_of(3).with_log(&[1]).configured(|config| {
        config.max_append_bytes = 10;
        config.max_inflight_bytes = 10;
    });
    let mut bench = past.leader();
    let _ = bench.persist();
    let _ = bench.confirmed_by([2], 2);
    assert_eq!(
        appends_to(&bench.propose(&["longer than the limit"]), 2),
        [(2, 1)]
    );
    let _ = bench.propose(&["next"]);
    assert_eq!(appends_to(&bench.confirmed_by([2], 3), 2), [(3, 1)]);
}

/// Scenario B19
#[test]
fn a_command_above_the_entry_limit_is_refused_with_its_whole_batch() {
    let mut bench = node_of(1)
        .configured(|config| config.max_entry_bytes = 8)
        .leader();
    let last = bench.status().last;
    let actions = bench.propose(&["fits", "does not fit"]);
    let refused = Refusal::TooLarge { limit_bytes: 8 };
    let is_refused =
        |action: &Action| matches!(action, Action::Refused { reason, .. } if *reason == refused);
    assert!(has(&actions, is_refused), "{actions:?}");
    assert_eq!(bench.status().last, last, "all or none");
    let _ = bench.propose(&["8 bytes."]);
    assert_eq!(bench.status().last, last.next(), "the limit itself fits");
}

/// Scenario B18: a peer that never answers costs a bounded number of messages.
#[test]
fn a_silent_peer_is_sent_a_heartbeat_per_interval_and_little_else() {
    let mut bench = node_of(3).with_log(&[1]).leader();
    let _ = bench.persist();
    let _ = bench.confirmed_by([2, 3], 2);
    let mut appends = 0;
    for index in 3..203 {
        let _ = bench.propose(&["x"]);
        let _ = bench.persist();
        let _ = bench.confirmed_by([2], index);
        let actions = bench.sleep(HEARTBEAT_MS);
        appends += appends_to(&actions, 3).len();
    }
    assert_eq!(
        bench.status().commit,
        i(202),
        "the others commit undisturbed"
    );
    assert!(
        appends <= 80,
        "{appends} appends in 200 intervals to a peer that is away"
    );
    assert_eq!(bench.status().peers[1].inflight, 1, "nothing piles up");
}
