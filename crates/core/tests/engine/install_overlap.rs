//! What happens while the installation of a snapshot is on its way to the disk: other writes,
//! applies, loads, heartbeats and elections meet it. The rules of installing are in
//! `paper_install.rs`.

use quorate_core::{
    Action, AppendOutcome, Body, Entry, EntryId, Event, LoadOutcome, LogIndex, RoleName,
    SnapshotMeta,
};

use super::support::bench::{
    Bench, append, conflict, has, heartbeat, node_of, only_send, said_to, vote_reply, written,
};
use super::support::snapshots::{
    applied, dropped, installed, offer, offers_to, received, restored, snapshot,
};
use super::support::{HEARTBEAT_MS, entries, i, id, ms, n, r, voters};

/// A follower with one entry for each of these terms, of which so many are applied.
fn follower(log: &[u64], applied: u64) -> Bench {
    node_of(3).with_log(log).applied(applied).start()
}

/// Peer 2 leads `term` and offers this snapshot; all of it arrives.
fn receive(bench: &mut Bench, term: u64, snapshot: SnapshotMeta) -> Vec<Action> {
    let (last, checksum) = (snapshot.last, snapshot.checksum);
    let _ = bench.receive(2, term, offer(snapshot));
    bench.step(Event::SnapshotReceived { last, checksum })
}

/// Scenario D01: handed over before the install, reported after it.
#[test]
fn applies_that_are_still_running_do_not_count_beyond_the_restore() {
    let mut bench = follower(&[1], 1);
    let _ = bench.receive(2, 1, append(id(1, 1), entries(2, &[1, 1]), 3));
    assert_eq!(applied(&bench.persist()), [2, 3]);
    let _ = receive(&mut bench, 1, snapshot(9, 1));
    assert_eq!(restored(&bench.persist()), Some(id(9, 1)));
    let _ = bench.step(Event::Applied(i(3)));
    assert_eq!(bench.status().applied, i(3));
    let mut taken = snapshot(9, 1);
    taken.checksum += 1;
    let actions = bench.step(Event::SnapshotTaken(taken));
    assert_eq!(dropped(&actions), [id(9, 1)], "9 is not applied yet");
    let _ = bench.step(Event::Applied(i(9)));
    assert_eq!(bench.status().applied, i(9));
}

/// Scenario D16 [Thesis 10.2.1]: the log on its way to the disk is not what will be there.
#[test]
fn writes_under_way_count_for_nothing_when_the_snapshot_replaces_them() {
    let mut bench = follower(&[1; 4], 2);
    let actions = bench.receive(2, 1, append(id(4, 1), entries(5, &[1, 1]), 2));
    let (log, _) = written(&actions).unwrap();
    let actions = receive(&mut bench, 1, snapshot(9, 1));
    let (write, ..) = installed(&actions).unwrap();
    assert_eq!(
        bench.status().durable,
        i(2),
        "only what was committed is sure"
    );
    let _ = bench.step(Event::Persisted(log));
    assert_eq!(bench.status().durable, i(2), "5 and 6 go with the log");
    let actions = bench.receive(2, 1, append(id(9, 1), entries(10, &[1]), 10));
    let (next, _) = written(&actions).unwrap();
    let _ = bench.step(Event::Persisted(write));
    assert_eq!(bench.status().durable, i(9));
    let actions = bench.step(Event::Persisted(next));
    assert_eq!(
        (bench.status().durable, applied(&actions)),
        (i(10), vec![10])
    );
}

/// Scenario A20: a heartbeat during the install must not look as if the disk had lost entries.
#[test]
fn a_node_that_installs_does_not_seem_to_have_lost_what_it_acknowledged() {
    let mut bench = follower(&[1; 4], 2);
    let actions = bench.receive(2, 1, append(id(4, 1), entries(5, &[1, 1]), 2));
    let _ = bench.persist();
    assert_eq!(said_to(&actions, 2).len(), 1, "it acknowledges 6");
    let _ = receive(&mut bench, 1, snapshot(9, 1));
    let actions = bench.receive(2, 1, heartbeat(id(6, 1), 2));
    let (_, message) = only_send(&actions);
    let Body::AppendReply {
        outcome: AppendOutcome::Matched(index),
        ..
    } = message.body
    else {
        panic!("it agrees: {message:?}");
    };
    assert!(
        index == LogIndex::NONE || index >= i(6),
        "{index} is less than it said: the leader reports a damaged disk"
    );
}

/// A load that was asked for earlier may be performed behind the install, and find nothing.
#[test]
fn entries_to_apply_that_went_with_the_log_are_not_missed() {
    let mut bench = follower(&[1; 4], 0);
    let actions = bench.receive(2, 1, heartbeat(id(4, 1), 3));
    let load = actions.iter().find_map(|action| {
        let Action::LoadEntries { load, .. } = action else {
            return None;
        };
        Some(*load)
    });
    let load = load.expect("they are on disk only");
    let _ = receive(&mut bench, 1, snapshot(9, 1));
    let outcome = LoadOutcome::Gone;
    let actions = bench.step(Event::Loaded { load, outcome });
    assert!(!has(&actions, |action| matches!(action, Action::Fatal(_))));
    assert_eq!(restored(&bench.persist()), Some(id(9, 1)));
}

/// [Raft 7]: until it is durable, there is none to offer, and the log is as if it were.
#[test]
fn a_node_that_wins_while_it_installs_leads_from_behind_the_snapshot() {
    let past = node_of(3).with_log(&[1, 1]);
    let mut bench = past.configured(|config| config.pre_vote = false).start();
    let (last, checksum) = (id(9, 1), snapshot(9, 1).checksum);
    let _ = bench.receive(2, 1, offer(snapshot(9, 1)));
    let _ = bench.time_out();
    let _ = bench.persist();
    let _ = bench.step(Event::SnapshotReceived { last, checksum });
    let actions = bench.receive(3, 2, vote_reply(2, true));
    assert_eq!(bench.status().role, RoleName::Leader);
    let (_, first) = written(&actions).unwrap();
    assert_eq!(first.last_id(), Some(id(10, 2)));
    let _ = bench.receive(3, 2, conflict(2, 9, id(2, 1), r(0)));
    let actions = bench.persist();
    assert_eq!(restored(&actions), Some(id(9, 1)));
    bench.now = bench.now.after(ms(HEARTBEAT_MS));
    let actions = bench.step(Event::Tick { now: bench.now });
    assert_eq!(offers_to(&actions, 3), [9]);
}

/// A follower that was asked for a snapshot of entry 4, because of the bytes of two entries.
fn asked_by_bytes() -> Bench {
    let bytes = 2 * Entry::OVERHEAD_BYTES;
    let past = node_of(3).configured(|config| config.snapshot_bytes = Some(bytes));
    let mut bench = past.with_log(&[1, 1]).applied(2).start();
    let _ = bench.receive(2, 1, append(id(2, 1), entries(3, &[1, 1]), 4));
    assert!(bench.persist().contains(&Action::SnapshotDue));
    let _ = bench.step(Event::Applied(i(4)));
    bench
}

/// Scenario D11: two installs at once would leave nobody to drop the first when it is replaced.
#[test]
fn a_snapshot_that_arrives_while_another_is_installed_is_dropped() {
    let mut bench = follower(&[1, 1], 2);
    assert!(installed(&receive(&mut bench, 1, snapshot(9, 1))).is_some());
    let actions = receive(&mut bench, 1, snapshot(20, 1));
    assert_eq!(installed(&actions), None, "one at a time");
    assert_eq!(dropped(&actions), [id(20, 1)]);
    assert_eq!(restored(&bench.persist()), Some(id(9, 1)));
    let actions = receive(&mut bench, 1, snapshot(20, 1));
    assert!(installed(&actions).is_some(), "it is offered again");
    assert_eq!(dropped(&bench.persist()), [id(9, 1)]);
}

/// Scenario D14: what would be taken is older than what comes.
#[test]
fn no_snapshot_is_asked_for_while_one_is_installed() {
    let past = node_of(3).configured(|config| config.snapshot_entries = Some(4));
    let mut bench = past.with_log(&[1, 1]).applied(2).start();
    let _ = bench.receive(2, 1, append(id(2, 1), entries(3, &[1, 1]), 4));
    let _ = bench.persist();
    let _ = receive(&mut bench, 1, snapshot(9, 1));
    assert_eq!(bench.step(Event::Applied(i(4))), [], "four entries");
    let _ = bench.persist();
    assert_eq!(bench.step(Event::Applied(i(9))), [], "all are in one");
}

/// Scenario D14: nothing that was counted is in a snapshot of nothing.
#[test]
fn a_snapshot_of_nothing_counts_as_one_that_could_not_be_taken() {
    let mut bench = asked_by_bytes();
    let nothing = SnapshotMeta {
        last: EntryId::NONE,
        ..snapshot(4, 1)
    };
    assert_eq!(dropped(&bench.step(Event::SnapshotTaken(nothing))).len(), 1);
    assert!(bench.sleep(HEARTBEAT_MS).contains(&Action::SnapshotDue));
}

/// Scenario D14: the bytes that were counted when it was asked for are in the newer one.
#[test]
fn a_snapshot_that_is_overtaken_by_an_install_makes_none_due_again() {
    for is_installed in [false, true] {
        let mut bench = asked_by_bytes();
        let _ = receive(&mut bench, 1, snapshot(50, 1));
        let report = |bench: &mut Bench| {
            let actions = bench.step(Event::SnapshotTaken(snapshot(4, 1)));
            assert_eq!(dropped(&actions), [id(4, 1)]);
        };
        if !is_installed {
            report(&mut bench);
        }
        let _ = bench.persist();
        let _ = bench.step(Event::Applied(i(50)));
        if is_installed {
            report(&mut bench);
        }
        let _ = bench.receive(2, 1, append(id(50, 1), entries(51, &[1]), 51));
        let _ = bench.persist();
        let _ = bench.step(Event::Applied(i(51)));
        let _ = bench.receive(2, 1, heartbeat(id(51, 1), 51));
        assert_eq!(bench.sleep(HEARTBEAT_MS), [], "one entry is not enough");
    }
}

/// Scenario D08: a snapshot is dropped by its name. The one that was installed says where the
/// founders are as the leader was told; this node may have been told otherwise.
#[test]
fn a_snapshot_taken_of_what_was_installed_does_not_have_that_dropped() {
    let founders = voters(3).with_address(n(1), "here:1");
    let past = node_of(3).with_log(&[1; 5]).among(founders);
    let mut bench = past.applied(2).start();
    let _ = receive(&mut bench, 1, snapshot(4, 1));
    assert_eq!(restored(&bench.persist()), Some(id(4, 1)));
    let _ = bench.step(Event::Applied(i(4)));
    let mut taken = snapshot(4, 1);
    taken.membership = bench.engine.membership_at(i(4)).1.clone();
    assert_ne!(taken, snapshot(4, 1), "the same bytes under the same name");
    assert_eq!(dropped(&bench.step(Event::SnapshotTaken(taken))), []);
}

/// Scenario D08: what a host says of a snapshot can be wrong, and must not cost the one that is on
/// its way to the disk under the same name.
#[test]
fn a_snapshot_that_is_being_installed_is_not_dropped_when_one_of_its_name_is_reported() {
    let mut bench = follower(&[1], 1);
    let _ = receive(&mut bench, 1, snapshot(9, 1));
    let actions = bench.step(Event::SnapshotTaken(snapshot(9, 1)));
    assert_eq!(dropped(&actions), [], "nothing of 9 can be applied here");
    assert_eq!(restored(&bench.persist()), Some(id(9, 1)));
    let _ = receive(&mut bench, 1, snapshot(12, 1));
    let actions = bench.step(Event::SnapshotTaken(snapshot(9, 1)));
    assert_eq!(dropped(&actions), [], "nor the newest meanwhile");
}

/// Scenario D08: nor the one that has come in part.
#[test]
fn a_snapshot_that_is_arriving_is_not_dropped_when_one_of_its_name_is_reported() {
    let mut bench = follower(&[1], 1);
    let _ = bench.receive(2, 1, offer(snapshot(9, 1)));
    let actions = bench.step(Event::SnapshotTaken(snapshot(9, 1)));
    assert_eq!(dropped(&actions), [], "it is still wanted");
    let mut other = snapshot(9, 1);
    other.checksum += 1;
    let actions = bench.step(Event::SnapshotTaken(other));
    assert_eq!(dropped(&actions), [id(9, 1)], "that is another");
    assert!(installed(&bench.step(received(id(9, 1)))).is_some());
}

/// What was applied before the install is in the snapshot that was installed, whether one was asked
/// for because of it or not.
#[test]
fn bytes_that_an_installed_snapshot_holds_make_none_due() {
    for is_asked in [false, true] {
        let bytes = if is_asked { 2 } else { 3 } * Entry::OVERHEAD_BYTES;
        let past = node_of(3).configured(|config| config.snapshot_bytes = Some(bytes));
        let mut bench = past.with_log(&[1, 1]).applied(2).start();
        let _ = bench.receive(2, 1, append(id(2, 1), entries(3, &[1, 1]), 4));
        let actions = bench.persist();
        assert_eq!(actions.contains(&Action::SnapshotDue), is_asked);
        let _ = receive(&mut bench, 1, snapshot(50, 1));
        let _ = bench.persist();
        let _ = bench.step(Event::Applied(i(50)));
        let mut actions = bench.step(Event::SnapshotFailed);
        let _ = bench.receive(2, 1, append(id(50, 1), entries(51, &[1]), 51));
        actions.extend(bench.persist());
        actions.extend(bench.step(Event::Applied(i(51))));
        actions.extend(bench.sleep(HEARTBEAT_MS));
        let is_due = actions.contains(&Action::SnapshotDue);
        assert!(!is_due, "one entry is not enough: {actions:?}");
    }
}
