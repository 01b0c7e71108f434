//! Log compaction [Raft 7] [Thesis 5], the side of the node that has the snapshot: when one is
//! due, what its label must say, what is purged, and offering it to a peer that lags. Receiving
//! one is in `paper_install.rs`, starting with one in `recovery.rs`.

use quorate_core::{
    Action, Body, Entry, EntryId, Event, LoadId, LoadOutcome, LogIndex, PeerMode, SnapshotMeta,
    SnapshotOutcome,
};

use super::support::bench::{Bench, Past, appends_to, conflict, has, matched, node_of, said_to};
use super::support::snapshots::{dropped, offers_to, purged, snapshot, snapshot_reply};
use super::support::{ELECTION_MAX_MS, HEARTBEAT_MS, entries, i, id, ms, r, voters};

/// The leader of term 1 among three: entries 1 to `count` are committed, durable and applied.
fn leader_with(past: Past, count: u64) -> Bench {
    let mut leader = past.leader();
    let _ = leader.confirmed_by([2, 3], 1);
    for _ in 1..count {
        let _ = leader.propose(&["x"]);
    }
    let _ = leader.persist();
    let _ = leader.confirmed_by([2, 3], count);
    let _ = leader.step(Event::Applied(i(count)));
    assert_eq!(leader.status().applied, i(count));
    leader
}

/// A node that keeps so many entries behind a snapshot, and none for peers that lag.
fn keeping(trailing: u64) -> Past {
    node_of(3).configured(|config| {
        config.trailing_entries = trailing;
        config.max_retained_bytes = 1;
    })
}

fn take(bench: &mut Bench, index: u64) -> Vec<Action> {
    bench.step(Event::SnapshotTaken(snapshot(index, 1)))
}

/// Peer 3 of a leader with `count` entries lacks all of them: the leader offers what it has.
fn offering(past: Past, count: u64, at: u64) -> Bench {
    let mut leader = past.leader();
    let _ = leader.confirmed_by([2], 1);
    for _ in 1..count {
        let _ = leader.propose(&["x"]);
    }
    let _ = leader.persist();
    let _ = leader.confirmed_by([2], count);
    let _ = leader.step(Event::Applied(i(count)));
    let _ = take(&mut leader, at);
    let actions = leader.sleep(HEARTBEAT_MS);
    assert_eq!(offers_to(&actions, 3), [at], "it needs what was purged");
    leader
}

/// The same, though the leader would keep the entries for it: it was out of reach for so long, more
/// than ten election timeouts, that they went, and is back.
fn offering_to_silent(past: Past, count: u64, at: u64) -> Bench {
    let mut leader = past.leader();
    let _ = leader.confirmed_by([2], 1);
    for _ in 1..count {
        let _ = leader.propose(&["x"]);
    }
    let _ = leader.persist();
    let _ = leader.confirmed_by([2], count);
    let _ = leader.step(Event::Applied(i(count)));
    for _ in 0..11 * ELECTION_MAX_MS / HEARTBEAT_MS {
        let _ = leader.sleep(HEARTBEAT_MS);
        let _ = leader.receive(2, 1, matched(1, count, r(0)));
    }
    let _ = take(&mut leader, at);
    let actions = leader.receive(3, 1, matched(1, 0, r(0)));
    assert_eq!(offers_to(&actions, 3), [at], "it needs what was purged");
    leader
}

fn is_due(actions: &[Action]) -> bool {
    has(actions, |action| matches!(action, Action::SnapshotDue))
}

/// [Raft 7] [Thesis 5.1.2]
#[test]
fn a_snapshot_is_due_when_enough_was_applied_and_asked_for_once() {
    let past = keeping(0).configured(|config| config.snapshot_entries = Some(3));
    let mut leader = past.leader();
    let _ = leader.confirmed_by([2], 1);
    let _ = leader.propose(&["a", "b", "c"]);
    let _ = leader.persist();
    let _ = leader.confirmed_by([2], 4);
    assert!(!is_due(&leader.step(Event::Applied(i(2)))), "two entries");
    assert!(is_due(&leader.step(Event::Applied(i(3)))), "three entries");
    assert!(
        !is_due(&leader.step(Event::Applied(i(4)))),
        "one at a time, until the host answers"
    );
    assert!(!is_due(&take(&mut leader, 4)), "nothing is applied since");
}

/// [Thesis 5.1.2]
#[test]
fn a_snapshot_is_due_by_bytes_however_few_the_entries() {
    let bytes = 3 * Entry::OVERHEAD_BYTES;
    let past = keeping(0).configured(|config| config.snapshot_bytes = Some(bytes));
    let mut leader = leader_with(past, 2);
    let _ = leader.propose(&["much longer than all others"]);
    let _ = leader.persist();
    assert!(
        is_due(&leader.confirmed_by([2], 3)),
        "with what is handed over"
    );
}

/// Scenario D14
#[test]
fn a_snapshot_that_could_not_be_taken_is_asked_for_again_without_a_new_write() {
    let past = keeping(0).configured(|config| config.snapshot_entries = Some(3));
    let mut bench = past.with_log(&[1, 1, 1, 1]).applied(3).start();
    assert!(is_due(&bench.sleep(1)));
    assert!(!is_due(&bench.step(Event::SnapshotFailed)), "not at once");
    let at = bench.now.after(ms(HEARTBEAT_MS));
    assert_eq!(bench.engine.next_timeout().at, at, "it wants to be woken");
    assert!(!is_due(&bench.sleep(HEARTBEAT_MS - 1)));
    assert!(is_due(&bench.sleep(1)), "the log must not grow for ever");
    assert!(!is_due(&bench.sleep(1)));
}

/// Scenario D14: a host that is always wrong must not be asked without a pause.
#[test]
fn a_snapshot_whose_label_is_wrong_counts_as_one_that_could_not_be_taken() {
    let past = keeping(0).configured(|config| config.snapshot_entries = Some(3));
    let mut bench = past.with_log(&[1, 1, 1, 1]).applied(3).start();
    assert!(is_due(&bench.sleep(1)));
    let mut wrong = snapshot(3, 1);
    wrong.membership = voters(2);
    assert!(!is_due(&bench.step(Event::SnapshotTaken(wrong))), "not now");
    assert!(is_due(&bench.sleep(HEARTBEAT_MS)));
}

/// [Raft 7] [Thesis 5.1]: once it is durable, what it holds may go; a little is kept for those
/// that lag a little.
#[test]
fn a_snapshot_lets_the_log_before_it_go_but_for_what_trails() {
    let mut leader = leader_with(keeping(2), 6);
    let actions = take(&mut leader, 5);
    assert_eq!(purged(&actions), Some(id(3, 1)), "4 and 5 trail");
    assert_eq!(dropped(&actions), [], "the newest is kept");
    let status = leader.status();
    assert_eq!((status.first, status.snapshot), (i(4), id(5, 1)));
    let mut greedy = leader_with(keeping(100), 6);
    assert_eq!(purged(&take(&mut greedy, 5)), None, "all of it trails");
}

/// [Raft 7]: the snapshot before it can go.
#[test]
fn a_newer_snapshot_drops_the_one_before() {
    let mut leader = leader_with(keeping(0), 6);
    let _ = take(&mut leader, 3);
    let actions = take(&mut leader, 5);
    assert_eq!(dropped(&actions), [id(3, 1)]);
    assert_eq!(purged(&actions), Some(id(5, 1)));
}

/// Scenario D19: a label that does not say what the state holds would apply entries twice, or
/// never.
#[test]
fn a_snapshot_whose_label_cannot_be_right_is_dropped_and_nothing_is_purged() {
    let cases: [(&str, SnapshotMeta); 5] = [
        ("beyond what is applied", snapshot(7, 1)),
        ("of another term", snapshot(4, 2)),
        (
            "of nothing",
            SnapshotMeta {
                last: EntryId::NONE,
                ..snapshot(4, 1)
            },
        ),
        (
            "with another membership",
            SnapshotMeta {
                membership: voters(2),
                ..snapshot(4, 1)
            },
        ),
        (
            "with a membership from elsewhere",
            SnapshotMeta {
                membership_index: i(2),
                ..snapshot(4, 1)
            },
        ),
    ];
    for (what, label) in cases {
        let mut leader = leader_with(keeping(0), 6);
        let _ = leader.propose(&["not applied"]);
        let actions = leader.step(Event::SnapshotTaken(label.clone()));
        assert_eq!(purged(&actions), None, "{what}");
        assert_eq!(dropped(&actions), [label.last], "{what}");
        assert_eq!(leader.status().snapshot, EntryId::NONE, "{what}");
    }
}

/// Scenario D08: going back would lose what was purged for the newer one.
#[test]
fn a_snapshot_older_than_the_newest_is_dropped() {
    let mut leader = leader_with(keeping(10), 6);
    let _ = take(&mut leader, 5);
    let actions = take(&mut leader, 4);
    assert_eq!(dropped(&actions), [id(4, 1)]);
    assert_eq!(leader.status().snapshot, id(5, 1));
}

/// Scenario D08: the same label and checksum may be the same file.
#[test]
fn the_newest_snapshot_is_never_dropped_when_it_is_reported_twice() {
    let mut leader = leader_with(keeping(0), 6);
    let _ = take(&mut leader, 5);
    let actions = take(&mut leader, 5);
    assert_eq!(
        dropped(&actions),
        [],
        "the log up to 5 is gone: nothing else holds it"
    );
}

/// Scenario C05 [Thesis 5.1.1]: the full set, the sender included, and where it came from.
#[test]
fn an_offered_snapshot_names_every_member_and_the_index_of_their_entry() {
    let mut leader = offering(keeping(0), 4, 4);
    let actions = leader.sleep(200);
    let said = said_to(&actions, 3);
    let is_offer = |body: &&&Body| matches!(body, Body::SnapshotOffer { .. });
    let Some(Body::SnapshotOffer { snapshot, .. }) = said.iter().find(is_offer) else {
        panic!("the offer is repeated: {said:?}");
    };
    assert_eq!(snapshot.membership, voters(3), "node 1, which sends, too");
    assert_eq!(snapshot.membership_index, LogIndex::NONE);
    assert_eq!(*snapshot, super::support::snapshots::snapshot(4, 1));
}

/// [Raft 7]: a peer that needs what was purged gets the snapshot, and entries from behind it.
#[test]
fn a_peer_below_the_log_is_offered_the_snapshot_and_then_sent_what_follows() {
    let mut leader = offering(keeping(0), 4, 4);
    let _ = leader.propose(&["y"]);
    let installed = snapshot_reply(1, id(4, 1), SnapshotOutcome::Installed);
    let actions = leader.receive(3, 1, installed);
    assert_eq!(appends_to(&actions, 3), [(4, 1)]);
    assert_eq!(leader.status().peers[1].matched, i(4));
    assert_eq!(leader.status().counters.snapshots_offered, 1);
}

/// Scenario D16: counted from when it is durable there, and not from when the bytes have left.
#[test]
fn match_moves_when_the_snapshot_is_installed_and_not_when_it_is_received() {
    let mut leader = offering(keeping(0), 4, 4);
    for bytes in [0, 40, 100] {
        let receiving = SnapshotOutcome::Receiving { bytes };
        let actions = leader.receive(3, 1, snapshot_reply(1, id(4, 1), receiving));
        assert_eq!(appends_to(&actions, 3), [], "it cannot use them yet");
        let peer = &leader.status().peers[1];
        assert_eq!(peer.matched, i(0), "{bytes} bytes are no entry");
        let last = id(4, 1);
        assert_eq!(peer.mode, PeerMode::Snapshot { last, bytes });
    }
    let _ = leader.propose(&["y"]);
    let _ = leader.persist();
    let lost = snapshot_reply(1, id(4, 1), SnapshotOutcome::Lost);
    let _ = leader.receive(3, 1, lost);
    assert_eq!(leader.status().commit, i(4), "and commits nothing");
    let installed = snapshot_reply(1, id(4, 1), SnapshotOutcome::Installed);
    let _ = leader.receive(3, 1, installed);
    assert_eq!(leader.status().peers[1].matched, i(4));
}

/// Scenario D16: the wire promises nothing.
#[test]
fn an_installed_snapshot_that_was_never_offered_confirms_nothing() {
    let mut leader = offering(keeping(0), 4, 4);
    let before = leader.status().counters.dropped;
    for last in [id(3, 1), id(4, 9), id(9, 1)] {
        let reply = snapshot_reply(1, last, SnapshotOutcome::Installed);
        let _ = leader.receive(3, 1, reply);
        assert_eq!(leader.status().peers[1].matched, i(0), "{last}");
    }
    assert_eq!(leader.status().counters.dropped, before + 3);
    let old = snapshot_reply(0, id(4, 1), SnapshotOutcome::Installed);
    let _ = leader.receive(3, 1, old);
    assert_eq!(leader.status().peers[1].matched, i(0), "of an older term");
}

/// Scenario D17: it must not elect another while it receives.
#[test]
fn a_peer_that_receives_a_snapshot_is_sent_every_heartbeat() {
    let mut leader = offering(keeping(0), 4, 4);
    let mut heartbeats = 0;
    for _ in 0..20 {
        let _ = leader.receive(2, 1, matched(1, 4, r(0)));
        for body in said_to(&leader.sleep(HEARTBEAT_MS), 3) {
            if let Body::Append {
                prev,
                entries,
                commit,
                ..
            } = body
            {
                assert_eq!((*prev, entries.len()), (EntryId::NONE, 0));
                assert_eq!(*commit, i(0), "no more than it has (B06)");
                heartbeats += 1;
            }
        }
    }
    assert_eq!(heartbeats, 20);
}

/// Scenario D04: offers are repeated because they may be lost, never faster than answers can come.
#[test]
fn an_offer_without_an_answer_is_repeated_now_and_then() {
    let mut leader = offering(keeping(0), 4, 4);
    let mut offers = 0;
    for _ in 0..100 {
        let _ = leader.receive(2, 1, matched(1, 4, r(0)));
        offers += offers_to(&leader.sleep(HEARTBEAT_MS), 3).len();
    }
    assert!(
        (20..=40).contains(&offers),
        "{offers} offers in five seconds"
    );
    assert_eq!(
        leader.status().counters.snapshots_offered,
        1,
        "it is one and the same"
    );
}

/// [Thesis 5.1]: the answer to a lost one is the newest, after a while.
#[test]
fn a_peer_that_could_not_get_its_snapshot_is_offered_the_newest_but_not_at_once() {
    let mut leader = offering(keeping(0), 4, 4);
    let _ = leader.propose(&["y"]);
    let _ = leader.persist();
    let _ = leader.confirmed_by([2], 5);
    let _ = leader.step(Event::Applied(i(5)));
    assert_eq!(dropped(&take(&mut leader, 5)), [], "4 is on its way");
    let lost = snapshot_reply(1, id(4, 1), SnapshotOutcome::Lost);
    let actions = leader.receive(3, 1, lost);
    assert_eq!(offers_to(&actions, 3), [], "it may fail again and again");
    let mut offers = Vec::new();
    let mut gone = Vec::new();
    for _ in 0..3 {
        let actions = leader.sleep(HEARTBEAT_MS);
        offers.extend(offers_to(&actions, 3));
        gone.extend(dropped(&actions));
    }
    assert_eq!((offers, gone), (vec![5], vec![id(4, 1)]));
}

/// Scenario D12: what it needs next stays, and so does what it is receiving.
#[test]
fn entries_behind_a_snapshot_that_is_received_are_kept_and_go_afterwards() {
    let past = keeping(0).configured(|config| config.max_retained_bytes = 5000);
    let mut leader = offering_to_silent(past, 4, 4);
    for index in 5..=20 {
        let _ = leader.propose(&["y"]);
        let _ = leader.persist();
        let _ = leader.confirmed_by([2], index);
        let _ = leader.step(Event::Applied(i(index)));
        let actions = take(&mut leader, index);
        assert_eq!(purged(&actions), None, "5 is needed next");
        let superseded: Vec<_> = (5..index).map(|old| id(old, 1)).collect();
        let gone = dropped(&actions);
        assert!(
            gone.iter().all(|last| superseded.contains(last)),
            "{gone:?}: 4 is being sent, {index} is the newest"
        );
    }
    let installed = snapshot_reply(1, id(4, 1), SnapshotOutcome::Installed);
    let actions = leader.receive(3, 1, installed);
    assert_eq!(appends_to(&actions, 3), [(4, 16)], "no second snapshot");
    assert_eq!(
        purged(&leader.sleep(HEARTBEAT_MS)),
        None,
        "they may be lost"
    );
    let _ = leader.confirmed_by([3], 20);
    let actions = leader.sleep(HEARTBEAT_MS);
    assert_eq!(purged(&actions), Some(id(20, 1)));
}

/// Scenario D12: but not without end.
#[test]
fn a_slow_receiver_does_not_hold_more_log_than_the_limit() {
    let past = keeping(0).configured(|config| config.max_retained_bytes = 500);
    let mut leader = offering_to_silent(past, 4, 4);
    let mut went = None;
    for index in 5..=60 {
        let _ = leader.propose(&["y"]);
        let _ = leader.persist();
        let _ = leader.confirmed_by([2], index);
        let _ = leader.step(Event::Applied(i(index)));
        went = went.or(purged(&take(&mut leader, index)));
    }
    assert!(went.is_some(), "56 entries are more than 500 bytes");
    let installed = snapshot_reply(1, id(4, 1), SnapshotOutcome::Installed);
    let actions = leader.receive(3, 1, installed);
    assert_eq!(offers_to(&actions, 3), [60], "so it needs the newest");
}

/// [Thesis 10.2.1]: what is in flight may arrive; only what is lost is needed again.
#[test]
fn a_purge_past_a_pipelined_peer_costs_nothing_unless_appends_are_lost() {
    let mut leader = leader_with(keeping(0), 2);
    let _ = leader.propose(&["a"]);
    let _ = leader.propose(&["b"]);
    let _ = leader.persist();
    let _ = leader.confirmed_by([2], 4);
    let _ = leader.step(Event::Applied(i(4)));
    assert_eq!(purged(&take(&mut leader, 4)), Some(id(4, 1)));
    assert_eq!(
        leader.status().peers[1].matched,
        i(2),
        "3 and 4 are in flight"
    );
    let actions = leader.propose(&["c"]);
    assert_eq!(appends_to(&actions, 3), [(4, 1)], "the pipeline goes on");
    assert_eq!(appends_to(&leader.confirmed_by([3], 4), 3), []);
    let mut offers = 0;
    for _ in 0..10 {
        let _ = leader.confirmed_by([2], 5);
        offers += offers_to(&leader.sleep(HEARTBEAT_MS), 3).len();
    }
    assert_eq!(offers, 0, "5 is still there to be sent again");
}

/// [Raft 7]
#[test]
fn a_pipelined_peer_that_lost_what_was_purged_is_offered_the_snapshot() {
    let mut leader = leader_with(keeping(0), 2);
    let _ = leader.propose(&["a"]);
    let _ = leader.persist();
    let _ = leader.confirmed_by([2], 3);
    let _ = leader.step(Event::Applied(i(3)));
    let _ = take(&mut leader, 3);
    let mut offers = Vec::new();
    for _ in 0..4 {
        let _ = leader.confirmed_by([2], 3);
        offers.extend(offers_to(&leader.sleep(HEARTBEAT_MS), 3));
    }
    assert_eq!(offers.first(), Some(&3), "3 was lost on the way");
}

/// The load of an entry for peer 3 that is under way.
fn loading(past: Past, hint: EntryId) -> (Bench, LoadId) {
    let mut leader = past.with_log(&[1, 1, 1, 1, 1, 1]).applied(6).leader();
    let _ = leader.persist();
    let actions = leader.receive(3, 2, conflict(2, 6, hint, r(0)));
    let load = actions.iter().find_map(|action| {
        let Action::LoadEntries { load, .. } = action else {
            return None;
        };
        Some(*load)
    });
    (leader, load.expect("the entries are on disk only"))
}

/// [Raft 7]: the purge came between the question and the answer.
#[test]
fn a_peer_whose_entries_are_gone_from_disk_is_offered_the_snapshot() {
    let (mut leader, load) = loading(keeping(0), id(2, 1));
    assert_eq!(purged(&take(&mut leader, 5)), Some(id(5, 1)));
    let outcome = LoadOutcome::Gone;
    let mut actions = leader.step(Event::Loaded { load, outcome });
    actions.extend(leader.sleep(HEARTBEAT_MS));
    assert_eq!(offers_to(&actions, 3), [5]);
}

/// Loaded before the purge, delivered behind it: the entry before the first is not known any
/// more, wherever the purge ended.
#[test]
fn entries_loaded_before_a_purge_are_not_sent_when_their_start_was_purged() {
    for through in 3..=5 {
        let (mut leader, load) = loading(keeping(0), id(2, 1));
        let _ = take(&mut leader, through);
        let outcome = LoadOutcome::Found(entries(3, &[1, 1, 1, 1]));
        let mut actions = leader.step(Event::Loaded { load, outcome });
        assert_eq!(appends_to(&actions, 3), [], "purged through {through}");
        actions.extend(leader.sleep(HEARTBEAT_MS));
        assert_eq!(offers_to(&actions, 3), [through]);
    }
    let (mut leader, load) = loading(keeping(0), id(2, 1));
    let _ = take(&mut leader, 2);
    let outcome = LoadOutcome::Found(entries(3, &[1, 1, 1, 1]));
    let actions = leader.step(Event::Loaded { load, outcome });
    assert_eq!(
        appends_to(&actions, 3),
        [(2, 4)],
        "behind the purge they are good"
    );
}
