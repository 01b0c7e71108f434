//! Receiving and installing a snapshot [Raft 7] [Thesis 5.1]: what is fetched and answered, what
//! becomes of log, membership and state machine, and what counts as durable meanwhile. Offering
//! one is in `paper_snapshots.rs`, losing power in between in `crash_points.rs`.

use quorate_core::{
    Action, AppendOutcome, Body, EntryId, Event, Membership, RoleName, SnapshotMeta,
    SnapshotOutcome, Violation, WriteId,
};

use super::support::bench::{Bench, append, heartbeat, node_of, only_send, vote_reply, written};
use super::support::snapshots::{
    answers, applied, dropped, fetched, installed, lost, offer, progress, purged, received,
    restored, snapshot,
};
use super::support::{HEARTBEAT_MS, entries, i, id, n, r, t, voters};

/// A follower with one entry for each of these terms, of which so many are applied.
fn follower(log: &[u64], applied: u64) -> Bench {
    node_of(3).with_log(log).applied(applied).start()
}

/// Peer 2 leads `term` and offers this snapshot; all of it arrives.
fn receive(bench: &mut Bench, term: u64, snapshot: SnapshotMeta) -> Vec<Action> {
    let last = snapshot.last;
    let _ = bench.receive(2, term, offer(snapshot));
    bench.step(received(last))
}

const fn receiving(bytes: u64) -> SnapshotOutcome {
    SnapshotOutcome::Receiving { bytes }
}

/// [Raft 7] [Thesis 5.1]
#[test]
fn an_offered_snapshot_is_fetched_and_the_offer_answered_at_once() {
    let mut bench = follower(&[1], 0);
    let actions = bench.receive(2, 1, offer(snapshot(9, 1)));
    assert_eq!(fetched(&actions), [(2, id(9, 1))]);
    assert_eq!(answers(&actions), [(WriteId::NONE, id(9, 1), receiving(0))]);
    assert_eq!(bench.status().leader, Some(n(2)), "who offers, leads");
    assert_eq!(bench.status().commit, i(0), "nothing is here yet");
}

/// Scenario D11
#[test]
fn a_repeated_offer_is_answered_and_the_snapshot_is_fetched_installed_and_restored_once() {
    let mut bench = follower(&[1], 0);
    let _ = bench.receive(2, 1, offer(snapshot(9, 1)));
    let last = id(9, 1);
    let _ = bench.step(progress(last, 60));
    let _ = bench.step(progress(id(8, 1), 99));
    let again = bench.receive(2, 1, offer(snapshot(9, 1)));
    assert_eq!(fetched(&again), [], "it is on its way");
    assert_eq!(answers(&again), [(WriteId::NONE, last, receiving(60))]);
    let actions = bench.step(received(last));
    let (write, ..) = installed(&actions).unwrap();
    for _ in 0..2 {
        let again = bench.receive(2, 1, offer(snapshot(9, 1)));
        let expected = [(write, last, SnapshotOutcome::Installed)];
        assert_eq!(answers(&again), expected, "as soon as it is durable");
        assert_eq!((fetched(&again), installed(&again)), (vec![], None));
        let again = bench.step(received(last));
        assert_eq!(again, [], "received once");
    }
    assert_eq!(restored(&bench.persist()), Some(last));
    let again = bench.receive(2, 1, offer(snapshot(9, 1)));
    let expected = [(WriteId::NONE, last, SnapshotOutcome::Installed)];
    assert_eq!(answers(&again), expected);
    assert_eq!(again.len(), 1, "and nothing else: {again:?}");
    assert_eq!(bench.status().counters.snapshots_installed, 1);
}

/// Scenario D11: what it would bring is committed here already.
#[test]
fn an_offer_of_what_is_committed_is_answered_as_installed_and_not_fetched() {
    let mut bench = follower(&[1; 6], 4);
    let _ = bench.receive(2, 1, heartbeat(id(4, 1), 4));
    for index in 1..=4 {
        let actions = bench.receive(2, 1, offer(snapshot(index, 1)));
        assert_eq!(fetched(&actions), []);
        let installed = SnapshotOutcome::Installed;
        assert_eq!(
            answers(&actions),
            [(WriteId::NONE, id(index, 1), installed)]
        );
    }
    let actions = bench.receive(2, 1, append(id(6, 1), entries(7, &[1]), 7));
    let (write, _) = written(&actions).unwrap();
    let actions = bench.receive(2, 1, offer(snapshot(7, 1)));
    let expected = [(write, id(7, 1), SnapshotOutcome::Installed)];
    assert_eq!(
        answers(&actions),
        expected,
        "7 is committed and not durable"
    );
}

/// [Raft 5.1]: its sender hears of the newer term.
#[test]
fn an_offer_of_an_older_term_is_refused_with_the_newer_one() {
    let mut bench = node_of(3).with_log(&[1]).at_term(5).start();
    let actions = bench.receive(2, 4, offer(snapshot(9, 1)));
    let (_, message) = only_send(&actions);
    assert_eq!(message.term, t(5));
    assert!(matches!(
        message.body,
        Body::AppendReply { asked, outcome: AppendOutcome::Conflict { .. }, .. } if asked == t(4)
    ));
    assert_eq!((fetched(&actions), bench.status().leader), (vec![], None));
}

/// [Raft 5.2] Scenario A17
#[test]
fn a_candidate_follows_the_leader_that_offers_it_a_snapshot() {
    let past = node_of(3).with_log(&[1]);
    let mut bench = past.configured(|config| config.pre_vote = false).start();
    let _ = bench.time_out();
    assert_eq!(bench.status().role, RoleName::Candidate);
    let _ = bench.receive(2, 2, offer(snapshot(9, 1)));
    assert_eq!(bench.status().role, RoleName::Follower);
    let _ = bench.receive(3, 3, offer(snapshot(9, 1)));
    assert_eq!(bench.status().term, t(3), "a newer term is adopted");
}

/// Scenario A18
#[test]
fn a_second_leader_of_the_term_that_offers_a_snapshot_stops_the_node() {
    let mut bench = follower(&[1], 0);
    let _ = bench.receive(2, 1, heartbeat(id(1, 1), 0));
    let actions = bench.receive(3, 1, offer(snapshot(9, 1)));
    let violation = Violation::TwoLeaders {
        term: t(1),
        known: n(2),
        claimed: n(3),
    };
    assert_eq!(actions, [Action::Fatal(violation)]);
}

/// Scenario B05: both cannot be true, and neither may be forgotten.
#[test]
fn a_snapshot_that_contradicts_a_committed_entry_stops_the_node() {
    let mut bench = follower(&[1, 1, 1], 3);
    let actions = bench.receive(2, 2, offer(snapshot(2, 2)));
    let violation = Violation::SnapshotConflict {
        committed: id(2, 1),
        offered: id(2, 2),
        leader: n(2),
    };
    assert_eq!(actions, [Action::Fatal(violation)]);
    assert!(bench.engine.is_stopped());
}

/// The wire promises nothing.
#[test]
fn an_offer_that_no_engine_can_have_made_is_dropped() {
    let sound = snapshot(9, 1);
    let ids = [id(0, 0), id(0, 1), id(9, 0), id(u64::MAX, 1), id(9, 2)];
    let mut offers = ids
        .map(|last| SnapshotMeta {
            last,
            ..sound.clone()
        })
        .to_vec();
    offers.push(SnapshotMeta {
        membership_index: i(10),
        ..sound.clone()
    });
    offers.push(SnapshotMeta {
        membership: voters(0),
        ..sound
    });
    for unsound in offers {
        let mut bench = follower(&[1], 0);
        let actions = bench.receive(2, 1, offer(unsound.clone()));
        assert_eq!(actions, [], "{unsound:?}");
        assert_eq!(bench.status().counters.dropped, 1);
    }
}

/// The founders stand in no entry: they need not agree on addresses, and a node that was added
/// does not know them. A node that dropped such an offer would be offered it for ever, and be sent
/// nothing else.
#[test]
fn an_offer_that_names_the_founders_otherwise_than_here_is_taken() {
    let founders = voters(3).with_address(n(1), "here:1");
    for members in [founders, Membership::default()] {
        let past = node_of(3).with_log(&[1; 5]).applied(2);
        let mut bench = past.among(members).start();
        let mut offered = snapshot(4, 1);
        offered.membership = voters(3).with_address(n(1), "there:1");
        let actions = receive(&mut bench, 1, offered);
        let (_, last, discards_log) = installed(&actions).expect("it is as good as any");
        assert_eq!((last, discards_log), (id(4, 1), false));
        assert_eq!(restored(&bench.persist()), Some(id(4, 1)));
    }
}

/// What the log holds as an entry cannot be otherwise elsewhere, nor can the founders themselves.
#[test]
fn an_offer_that_names_other_members_than_the_log_is_dropped() {
    let mut others = snapshot(4, 1);
    others.membership = voters(4);
    let mut later = snapshot(4, 1);
    later.membership_index = i(3);
    for unsound in [others, later] {
        let mut bench = follower(&[1; 5], 2);
        assert_eq!(bench.receive(2, 1, offer(unsound)), []);
        assert_eq!(bench.status().counters.dropped, 1);
    }
}

/// Scenario D04: whatever contradicts the snapshot is gone, at its end and behind.
#[test]
fn a_snapshot_replaces_a_log_that_parts_from_it() {
    for log in [&[1, 1, 1][..], &[1, 1, 1, 1, 1, 1, 1], &[1]] {
        let mut bench = node_of(3).with_log(log).applied(1).at_term(2).start();
        let actions = receive(&mut bench, 2, snapshot(3, 2));
        let (write, last, discards_log) = installed(&actions).unwrap();
        assert_eq!((last, discards_log), (id(3, 2), true), "{log:?}");
        assert_eq!(bench.engine.last(), id(3, 2), "nothing lies behind");
        assert_eq!(bench.status().commit, i(3));
        let after = bench.receive(2, 2, append(id(3, 2), entries(4, &[2]), 4));
        assert_eq!(written(&after).map(|(_, new)| new.len()), Some(1));
        assert!(written(&after).unwrap().0 > write, "in the order of writes");
        let _ = bench.persist();
        let (first, snapshot) = (bench.status().first, bench.status().snapshot);
        assert_eq!((first, snapshot), (i(4), id(3, 2)));
    }
}

/// Scenario D04 [Raft 7]: what lies behind the snapshot and does not contradict it is kept.
#[test]
fn a_snapshot_leaves_a_log_that_goes_on_from_it_alone() {
    let past = node_of(3).with_log(&[1, 1, 2, 2, 2]).applied(1);
    let mut bench = past
        .configured(|config| config.trailing_entries = 1)
        .start();
    let actions = receive(&mut bench, 2, snapshot(4, 2));
    assert_eq!(
        installed(&actions).map(|(.., discards)| discards),
        Some(false)
    );
    assert_eq!(
        (bench.engine.last(), bench.status().commit),
        (id(5, 2), i(4))
    );
    assert_eq!(
        bench.status().durable,
        i(5),
        "the log is as durable as it was"
    );
    assert_eq!(purged(&actions), None, "not before it is durable");
    let actions = bench.persist();
    assert_eq!(purged(&actions), Some(id(3, 2)), "one entry trails");
    assert_eq!(restored(&actions), Some(id(4, 2)));
    assert_eq!(bench.status().first, i(4));
}

/// Scenario D16: an answer that leaves before would count a copy that power can take.
#[test]
fn installed_is_answered_when_it_is_durable() {
    let mut bench = follower(&[1], 0);
    let actions = receive(&mut bench, 1, snapshot(9, 1));
    let (write, ..) = installed(&actions).unwrap();
    let expected = [(write, id(9, 1), SnapshotOutcome::Installed)];
    assert_eq!(answers(&actions), expected);
    assert_eq!(
        bench.status().snapshot,
        EntryId::NONE,
        "it is not there yet"
    );
    let heard = bench.receive(2, 1, heartbeat(id(9, 1), 9));
    let (needs, message) = only_send(&heard);
    let Body::AppendReply {
        outcome: AppendOutcome::Matched(claimed),
        ..
    } = message.body
    else {
        panic!("it agrees: {message:?}");
    };
    assert!(needs >= write || claimed < i(9), "{claimed} is not durable");
}

/// Scenario D01: one queue, each index once, and the state machine never goes back.
#[test]
fn restore_and_apply_are_in_order_and_no_index_comes_twice() {
    let mut bench = follower(&[1], 1);
    let actions = bench.receive(2, 1, append(id(1, 1), entries(2, &[1, 1, 1, 1]), 3));
    assert_eq!(applied(&actions), [], "not durable yet");
    let actions = receive(&mut bench, 1, snapshot(4, 1));
    assert_eq!(applied(&actions), []);
    let (write, _, discards_log) = installed(&actions).unwrap();
    assert!(!discards_log);
    let before = WriteId::new(write.get() - 1);
    let actions = bench.step(Event::Persisted(before));
    assert_eq!(applied(&actions), [], "2 and 3 are in the snapshot");
    let more = bench.receive(2, 1, append(id(5, 1), entries(6, &[1]), 6));
    assert_eq!(applied(&more), [], "nothing overtakes the restore");
    let actions = bench.step(Event::Persisted(write));
    let restore = |action: &Action| matches!(action, Action::RestoreSnapshot { .. });
    let apply = |action: &Action| matches!(action, Action::Apply { .. });
    let place = |wanted: &dyn Fn(&Action) -> bool| actions.iter().position(wanted);
    assert!(place(&restore).unwrap() < place(&apply).unwrap());
    assert_eq!(applied(&actions), [5], "from behind the snapshot");
    assert_eq!(applied(&bench.persist()), [6]);
}

/// Scenario C05: the members that the snapshot names, and from where their entry stood.
#[test]
fn the_membership_of_an_installed_snapshot_is_in_force() {
    let mut bench = follower(&[1], 0);
    let members = SnapshotMeta {
        membership: voters(5),
        membership_index: i(6),
        ..snapshot(9, 1)
    };
    let actions = receive(&mut bench, 1, members);
    let told = Action::MembershipChanged {
        index: i(6),
        membership: voters(5),
    };
    assert!(actions.contains(&told), "{actions:?}");
    let status = bench.status();
    assert_eq!(
        (status.membership_index, status.membership),
        (i(6), voters(5))
    );
    assert_eq!(bench.engine.membership_at(i(9)), (i(6), &voters(5)));
}

/// [Thesis 5.1]: whoever leads has everything that was committed.
#[test]
fn a_snapshot_that_arrives_when_the_node_leads_is_dropped() {
    let past = node_of(3).with_log(&[1, 1]);
    let mut bench = past.configured(|config| config.pre_vote = false).start();
    let _ = bench.receive(2, 1, offer(snapshot(9, 1)));
    let _ = bench.time_out();
    let _ = bench.persist();
    let _ = bench.receive(3, 2, vote_reply(2, true));
    assert_eq!(bench.status().role, RoleName::Leader);
    let last = id(9, 1);
    let actions = bench.step(received(last));
    assert_eq!((installed(&actions), dropped(&actions)), (None, vec![last]));
    assert_eq!(bench.engine.last(), id(3, 2));
}

/// [Raft 7]: entries came first.
#[test]
fn a_snapshot_is_dropped_when_its_entries_are_committed_before_it_arrives() {
    let mut bench = follower(&[1], 1);
    let _ = bench.receive(2, 1, offer(snapshot(3, 1)));
    let actions = bench.receive(2, 1, append(id(1, 1), entries(2, &[1, 1]), 2));
    assert_eq!(dropped(&actions), [], "3 is not committed");
    let actions = bench.receive(2, 1, heartbeat(id(3, 1), 3));
    assert_eq!(dropped(&actions), [id(3, 1)]);
    let late = bench.step(received(id(3, 1)));
    assert_eq!(late, [], "nobody waits for it any more");
}

/// The host is not believed where it must be mistaken.
#[test]
fn a_snapshot_that_was_never_offered_is_not_installed() {
    let mut bench = follower(&[1], 1);
    let _ = bench.receive(2, 1, offer(snapshot(9, 1)));
    for last in [id(8, 1), id(9, 2), EntryId::NONE] {
        assert_eq!(bench.step(received(last)), []);
        assert_eq!(bench.step(lost(last)), []);
    }
}

/// [Thesis 5.1]
#[test]
fn a_snapshot_that_is_lost_on_the_way_is_said_so_and_fetched_anew_when_offered_again() {
    let mut bench = follower(&[1], 0);
    let _ = bench.receive(2, 1, offer(snapshot(9, 1)));
    let last = id(9, 1);
    let _ = bench.step(progress(last, 60));
    let actions = bench.step(lost(last));
    assert_eq!(
        answers(&actions),
        [(WriteId::NONE, last, SnapshotOutcome::Lost)]
    );
    let actions = bench.receive(2, 1, offer(snapshot(9, 1)));
    assert_eq!(fetched(&actions), [(2, last)]);
    assert_eq!(answers(&actions), [(WriteId::NONE, last, receiving(0))]);
}

/// [Raft 5.2]: the newer leader's word counts, one snapshot at a time.
#[test]
fn a_snapshot_of_a_newer_leader_takes_the_place_of_the_one_on_its_way() {
    let mut bench = follower(&[1], 0);
    let _ = bench.receive(2, 1, offer(snapshot(9, 1)));
    let actions = bench.receive(3, 2, offer(snapshot(12, 1)));
    assert_eq!(fetched(&actions), [(3, id(12, 1))]);
    assert_eq!(dropped(&actions), [id(9, 1)]);
    let late = bench.step(received(id(9, 1)));
    assert_eq!(late, [], "it is not wanted any more");
    let actions = bench.step(received(id(12, 1)));
    assert_eq!(
        installed(&actions).map(|(_, last, _)| last),
        Some(id(12, 1))
    );
}

/// The deposed leader may be gone, and with it the rest of the bytes.
#[test]
fn the_same_snapshot_is_fetched_from_the_newer_leader_that_offers_it() {
    let mut bench = follower(&[1], 0);
    let _ = bench.receive(2, 1, offer(snapshot(9, 1)));
    let last = id(9, 1);
    let _ = bench.step(progress(last, 60));
    let actions = bench.receive(3, 2, offer(snapshot(9, 1)));
    assert_eq!(fetched(&actions), [(3, last)], "the rest of it");
    assert_eq!(dropped(&actions), [], "what has arrived is of use");
    assert_eq!(
        answers(&actions).last().map(|answer| answer.2),
        Some(receiving(60))
    );
    let again = bench.receive(3, 2, offer(snapshot(9, 1)));
    assert_eq!(fetched(&again), [], "it was asked there");
}

/// Scenario D11: repeated by the network, it must not start the transfer over.
#[test]
fn a_late_copy_of_an_earlier_offer_does_not_take_the_place_of_the_newer_one() {
    let mut bench = follower(&[1], 0);
    let offered = |index, round| Body::SnapshotOffer {
        snapshot: snapshot(index, 1),
        round: r(round),
    };
    let _ = bench.receive(2, 1, offered(9, 4));
    let _ = bench.receive(2, 1, offered(12, 7));
    let actions = bench.receive(2, 1, offered(9, 4));
    assert_eq!((fetched(&actions), dropped(&actions)), (vec![], vec![]));
    let actions = bench.step(received(id(12, 1)));
    assert_eq!(
        installed(&actions).map(|(_, last, _)| last),
        Some(id(12, 1))
    );
}

/// Scenario D17
#[test]
fn a_node_that_receives_a_snapshot_hears_its_leader_and_does_not_campaign() {
    let mut bench = follower(&[1], 1);
    let _ = bench.receive(2, 1, offer(snapshot(9, 1)));
    for _ in 0..40 {
        let _ = bench.sleep(HEARTBEAT_MS);
        let _ = bench.receive(2, 1, heartbeat(EntryId::NONE, 0));
    }
    for _ in 0..10 {
        let _ = bench.sleep(200);
        let actions = bench.receive(2, 1, offer(snapshot(9, 1)));
        assert_eq!(answers(&actions).len(), 1, "an offer is a sign of life too");
    }
    assert_eq!(bench.status().role, RoleName::Follower);
    assert_eq!(bench.status().leader, Some(n(2)));
    assert_eq!(bench.status().counters.campaigns, 0);
}
