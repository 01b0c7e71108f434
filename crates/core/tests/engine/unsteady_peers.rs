//! Peers that come, go and lose what they were sent: what a leader that adds one makes of it
//! [Thesis 4.2.1], and what it keeps for one meanwhile (scenario D12).

use quorate_core::{Action, ChangeRefusal, Event, SnapshotOutcome};

use super::support::bench::{Bench, appends_to, heartbeat, matched, node_of};
use super::support::changes::{add_voter, answers, members, refused, remove, settled_leader};
use super::support::snapshots::{dropped, offers_to, purged, snapshot, snapshot_reply};
use super::support::{ELECTION_MAX_MS, HEARTBEAT_MS, i, id, r};

/// Entries up to `last` are committed and applied, with the help of n2 and n3.
fn commit(leader: &mut Bench, last: u64) {
    while leader.status().last < i(last) {
        let _ = leader.propose(&["x"]);
    }
    let _ = leader.persist();
    let _ = leader.confirmed_by([2, 3], last);
    let _ = leader.step(Event::Applied(i(last)));
}

/// Time passes while n2 and n3 answer.
fn pass(leader: &mut Bench, millis: u64) -> Vec<Action> {
    let mut all = Vec::new();
    for _ in 0..millis / HEARTBEAT_MS {
        all.extend(leader.sleep(HEARTBEAT_MS));
        let last = leader.status().last.get();
        all.extend(leader.confirmed_by([2, 3], last));
    }
    all
}

/// The learner n4 of three voters needs a snapshot of their four entries, and is offered it.
fn offering(retained_bytes: u64) -> Bench {
    let past = node_of(3).among(members(&[1, 2, 3], &[4]));
    let mut leader = settled_leader(past.configured(|config| {
        config.trailing_entries = 0;
        config.max_retained_bytes = retained_bytes;
    }));
    commit(&mut leader, 4);
    let _ = pass(&mut leader, 12 * ELECTION_MAX_MS);
    let mut taken = snapshot(4, 1);
    taken.membership = leader.status().membership;
    let _ = leader.step(Event::SnapshotTaken(taken));
    let actions = leader.receive(4, 1, matched(1, 0, r(0)));
    assert_eq!(offers_to(&actions, 4), [4], "it needs what was purged");
    leader
}

/// The same, and n4 is to be a voter.
fn adding_a_voter_by_snapshot() -> Bench {
    let mut leader = offering(0);
    let mut actions = leader.change(add_voter(4));
    actions.extend(leader.persist());
    actions.extend(leader.confirmed_by([2, 3], 5));
    let _ = leader.step(Event::Applied(i(5)));
    assert_eq!(answers(&actions), [], "it holds nothing yet");
    leader
}

/// What n4 says of the snapshot that ends in i4.
fn n4_says(leader: &mut Bench, outcome: SnapshotOutcome) -> Vec<Action> {
    leader.receive(4, 1, snapshot_reply(1, id(4, 1), outcome))
}

/// Of a hundred, so many bytes have arrived at n4.
fn n4_has(leader: &mut Bench, bytes: u64) -> Vec<Action> {
    n4_says(leader, SnapshotOutcome::Receiving { bytes })
}

/// [Thesis 4.2.1]: it has less than it had, and more every time.
#[test]
fn adding_a_voter_that_lost_its_snapshot_goes_on_while_that_comes_again() {
    let mut leader = adding_a_voter_by_snapshot();
    let mut all = n4_has(&mut leader, 90);
    all.extend(n4_says(&mut leader, SnapshotOutcome::Lost));
    for bytes in 0..80 {
        all.extend(n4_has(&mut leader, bytes));
        all.extend(pass(&mut leader, 2 * ELECTION_MAX_MS));
        assert_eq!(answers(&all), [], "{bytes} bytes are there again");
    }
    all.extend(n4_says(&mut leader, SnapshotOutcome::Installed));
    all.extend(leader.receive(4, 1, matched(1, 5, r(0))));
    all.extend(leader.receive(4, 1, matched(1, 5, r(0))));
    assert_eq!(answers(&all), [Ok(id(6, 1))]);
}

/// [Thesis 4.2.1]: the bytes of the next snapshot are no less worth than those of the first.
#[test]
fn adding_a_voter_goes_on_while_a_second_snapshot_arrives() {
    let mut leader = adding_a_voter_by_snapshot();
    let mut all = pass(&mut leader, ELECTION_MAX_MS);
    all.extend(n4_has(&mut leader, 90));
    let mut newer = snapshot(5, 1);
    newer.membership = leader.status().membership;
    newer.membership_index = i(5);
    all.extend(leader.step(Event::SnapshotTaken(newer)));
    all.extend(n4_says(&mut leader, SnapshotOutcome::Installed));
    assert_eq!(offers_to(&all, 4).last(), Some(&5));
    for bytes in 0..80 {
        let receiving = SnapshotOutcome::Receiving { bytes };
        all.extend(leader.receive(4, 1, snapshot_reply(1, id(5, 1), receiving)));
        all.extend(pass(&mut leader, 2 * ELECTION_MAX_MS));
        assert_eq!(answers(&all), [], "{bytes} bytes of the second");
    }
}

/// [Thesis 4.2.1]: whoever asked gets an answer.
#[test]
fn adding_a_voter_that_loses_its_snapshot_again_and_again_is_given_up() {
    let mut leader = adding_a_voter_by_snapshot();
    let (mut all, mut lost) = (Vec::new(), 0);
    while answers(&all).is_empty() {
        assert!(lost < 1000, "nobody waits for that long");
        for bytes in [0, 30, 60] {
            all.extend(n4_has(&mut leader, bytes));
            all.extend(pass(&mut leader, ELECTION_MAX_MS));
        }
        all.extend(n4_says(&mut leader, SnapshotOutcome::Lost));
        lost += 1;
    }
    assert!(lost > 10, "it was given its chances");
    assert_eq!(answers(&all), [refused(ChangeRefusal::NotCaughtUp)]);
}

/// A leader from which n4 has half of a snapshot when a newer one is taken; what that caused.
fn leader_with_a_newer_snapshot() -> (Bench, Vec<Action>) {
    let mut leader = offering(u64::MAX);
    let _ = n4_has(&mut leader, 50);
    commit(&mut leader, 6);
    let mut newer = snapshot(6, 1);
    newer.membership = leader.status().membership;
    let actions = leader.step(Event::SnapshotTaken(newer));
    (leader, actions)
}

/// Scenario D12: a link that flaps, or a process that is started anew, is back within seconds.
#[test]
fn a_peer_that_is_out_of_reach_for_a_few_timeouts_goes_on_with_its_snapshot() {
    let (mut leader, mut actions) = leader_with_a_newer_snapshot();
    for _ in 0..3 {
        actions.extend(pass(&mut leader, 9 * ELECTION_MAX_MS));
        actions.extend(n4_has(&mut leader, 50));
    }
    let offers = offers_to(&actions, 4);
    assert!(offers.iter().all(|last| *last == 4), "{offers:?}");
    assert_eq!((purged(&actions), dropped(&actions)), (None, vec![]));
    let actions = n4_says(&mut leader, SnapshotOutcome::Installed);
    assert_eq!(appends_to(&actions, 4), [(4, 2)], "and with what follows");
    let _ = leader.receive(4, 1, matched(1, 0, r(0)));
}

/// Scenario D12: nothing is kept for one that does not come back.
#[test]
fn a_peer_that_is_down_for_long_keeps_nothing_from_being_dropped() {
    let (mut leader, _) = leader_with_a_newer_snapshot();
    let actions = pass(&mut leader, 11 * ELECTION_MAX_MS);
    assert_eq!(dropped(&actions), [id(4, 1)]);
    assert_eq!(purged(&actions), Some(id(6, 1)));
    assert_eq!(offers_to(&actions, 4).last(), Some(&6));
}

/// Scenario D12: nobody receives it from a node that does not lead, nor needs what follows.
#[test]
fn a_leader_that_steps_down_lets_go_of_what_it_kept_for_a_peer() {
    let (mut leader, _) = leader_with_a_newer_snapshot();
    let actions = leader.receive(2, 2, heartbeat(id(6, 1), 6));
    assert_eq!(dropped(&actions), [id(4, 1)]);
    assert_eq!(purged(&actions), Some(id(6, 1)));
}

/// Scenario C11: of a peer that was silent from the start of the term on nobody knows that it is
/// there.
#[test]
fn a_change_that_leaves_the_majority_to_a_peer_that_was_never_heard_is_refused() {
    let mut leader = node_of(3).leader();
    let _ = leader.persist();
    let _ = leader.confirmed_by([2], 1);
    let reason = ChangeRefusal::QuorumUnreachable;
    assert_eq!(leader.answer_to(remove(2)), refused(reason));
    assert_eq!(leader.answer_to(remove(3)), Ok(id(2, 1)));
}
