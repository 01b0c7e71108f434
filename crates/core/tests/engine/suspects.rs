//! Nodes that may have lost entries that they acknowledged: what they may not do, how their floor
//! protects what was committed, how the leader repairs them, and when they are whole again. How a
//! disk comes to be suspect is the log's.

use quorate_core::{
    Action, AppendOutcome, Body, ChangeRefusal, Entries, EntryId, Event, Floor, Incarnation,
    Message, RoleName, Round, SnapshotOutcome,
};

use super::support::bench::{
    Bench, append, conflict, heartbeat, is_told, life_of, matched, node_of, only_send,
    pre_vote_request, said_to, saved, vote_request,
};
use super::support::changes::{self, answers, members, promote, refused};
use super::support::outcomes::{ask_transfer, transfer_ends};
use super::support::snapshots::snapshot_reply;
use super::support::{HEARTBEAT_MS, entries, i, id, n, r, t};

/// Node 1 of three with a log of these terms, of which it may have lost the end.
fn suspect(terms: &[u64], floor: Floor) -> Bench {
    node_of(3).with_log(terms).with_floor(floor).start()
}

/// Whether an answer to an append says that its sender is suspect.
fn is_flagged(actions: &[Action]) -> bool {
    let Body::AppendReply { suspect, .. } = only_send(actions).1.body else {
        panic!("an answer to an append was expected: {actions:?}");
    };
    suspect
}

/// What a leader of `term` sends to one life of node 1, with the last index of its log.
fn from_leader(
    bench: &mut Bench,
    to: Incarnation,
    term: u64,
    body: (EntryId, Entries, u64),
) -> Vec<Action> {
    let (prev, entries, last) = body;
    bench.step(Event::Receive(Message {
        from: n(2),
        to: n(1),
        term: t(term),
        sender: life_of(2),
        receiver: to,
        body: Body::Append {
            prev,
            entries,
            commit: i(0),
            round: r(0),
            last: i(last),
        },
    }))
}

/// Scenario A20
#[test]
fn a_suspect_votes_and_pre_votes_only_for_logs_above_its_floor() {
    for (floor, last, granted) in [
        (Floor::At(id(5, 2)), id(4, 2), false),
        (Floor::At(id(5, 2)), id(9, 1), false),
        (Floor::At(id(5, 2)), id(5, 2), true),
        (Floor::At(id(5, 2)), id(3, 3), true),
        (Floor::AnyIndexOf(t(2)), id(900, 2), false),
        (Floor::AnyIndexOf(t(2)), id(3, 3), true),
    ] {
        let past = node_of(3).with_log(&[1, 2]).with_floor(floor);
        let mut bench = past.unled();
        let actions = bench.receive(2, 2, pre_vote_request(3, last));
        let pre =
            matches!(only_send(&actions).1.body, Body::PreVoteReply { granted, .. } if granted);
        assert_eq!(pre, granted, "{floor:?}: pre-vote for {last}");
        let actions = bench.receive(2, 3, vote_request(last));
        let vote = matches!(only_send(&actions).1.body, Body::VoteReply { granted, .. } if granted);
        assert_eq!(vote, granted, "{floor:?}: vote for {last}");
    }
}

/// Scenario A20: above the floor is not enough, the log itself counts as well.
#[test]
fn a_suspect_with_a_log_beyond_its_floor_still_compares_logs() {
    let past = node_of(3).with_log(&[1, 1, 1]);
    let mut bench = past.with_floor(Floor::At(id(1, 1))).unled();
    let actions = bench.receive(2, 2, vote_request(id(2, 1)));
    let refused = only_send(&actions).1.body
        == Body::VoteReply {
            campaign: t(2),
            granted: false,
        };
    assert!(refused, "i3 may be committed");
}

/// Scenario A20
#[test]
fn a_suspect_never_campaigns_and_says_so_in_its_status() {
    for floor in [Floor::At(id(5, 1)), Floor::AnyIndexOf(t(1))] {
        let mut bench = suspect(&[1], floor);
        assert!(bench.status().suspect);
        for _ in 0..10 {
            assert!(bench.time_out().is_empty(), "{floor:?}");
        }
        assert_eq!(bench.status().role, RoleName::Follower);
        assert_eq!(bench.status().counters.campaigns, 0);
    }
}

/// The save that ends suspicion waits for the entries it rests on.
#[test]
fn a_suspect_is_whole_once_the_entry_at_its_floor_is_durable() {
    let mut bench = suspect(&[1, 1], Floor::At(id(4, 1)));
    let actions = bench.receive(2, 1, append(id(2, 1), entries(3, &[1]), 0));
    assert!(is_flagged(&actions));
    assert_eq!(saved(&bench.persist()), None, "i4 is missing");
    let actions = bench.receive(2, 1, append(id(3, 1), entries(4, &[1]), 0));
    assert!(is_flagged(&actions), "i4 is not durable yet");
    let actions = bench.receive(2, 1, heartbeat(id(4, 1), 0));
    assert!(is_flagged(&actions), "nor does a heartbeat make it so");
    assert_eq!(saved(&actions), None);
    let (write, state) = saved(&bench.persist()).expect("the floor is reached");
    assert_eq!((state.floor, state.term), (None, t(1)));
    let actions = bench.receive(2, 1, heartbeat(id(4, 1), 0));
    assert!(!is_flagged(&actions));
    assert_eq!(
        only_send(&actions).0,
        write,
        "it counts in full when that is saved"
    );
}

/// A newer term's entry stands for everything older that was committed.
#[test]
fn a_suspect_is_whole_with_a_newer_entry_at_a_lower_index() {
    for floor in [Floor::At(id(9, 1)), Floor::AnyIndexOf(t(1))] {
        let mut bench = suspect(&[1, 1], floor);
        let _ = bench.receive(2, 2, append(id(2, 1), entries(3, &[2]), 0));
        let _ = bench.persist();
        let actions = bench.persist();
        assert!(saved(&actions).is_none());
        assert!(!bench.status().suspect, "{floor:?}: i3 of t2 is durable");
    }
}

/// With an unknown floor only the leader of that term can say how much it ever was.
#[test]
fn a_suspect_with_an_unknown_floor_is_whole_when_it_holds_what_the_leader_told_first() {
    let mut bench = suspect(&[1], Floor::AnyIndexOf(t(1)));
    let life = bench.life;
    let body = (id(1, 1), entries(2, &[1]), 3);
    let _ = from_leader(&mut bench, life, 1, body);
    let _ = bench.persist();
    assert!(bench.status().suspect, "the leader's log ended at i3");
    let body = (id(2, 1), entries(3, &[1]), 90);
    let _ = from_leader(&mut bench, life, 1, body);
    let (_, state) = saved(&bench.persist()).expect("i3 is durable");
    assert_eq!(state.floor, None, "i4 to i90 came after this start");
}

/// What was told to an earlier life may be from before the entries that were lost.
#[test]
fn the_leaders_last_index_counts_only_when_told_to_this_life() {
    let mut bench = suspect(&[1], Floor::AnyIndexOf(t(1)));
    let earlier = Incarnation::new(bench.life.get() - 1);
    for to in [earlier, Incarnation::UNKNOWN] {
        let actions = from_leader(&mut bench, to, 1, (id(1, 1), Entries::empty(), 1));
        assert_eq!(saved(&actions), None, "a message to {to:?}");
        assert!(is_flagged(&actions));
    }
    let life = bench.life;
    let actions = from_leader(&mut bench, life, 1, (id(1, 1), Entries::empty(), 1));
    assert!(saved(&actions).is_some(), "the leader knows this life");
}

/// What no engine can have sent tells nothing, and does not keep the leader's word from counting.
#[test]
fn the_leaders_last_index_does_not_count_when_told_by_an_append_that_is_unsound() {
    let mut bench = suspect(&[1], Floor::AnyIndexOf(t(1)));
    let life = bench.life;
    let actions = from_leader(&mut bench, life, 1, (id(1, 1), entries(3, &[1]), 1));
    assert_eq!(actions, [], "i2 is missing between i1 and i3");
    let body = (id(1, 1), Entries::empty(), 3);
    let actions = from_leader(&mut bench, life, 1, body);
    assert_eq!(saved(&actions), None, "the leader's log ends at i3");
    let body = (id(1, 1), entries(2, &[1, 1]), 3);
    let _ = from_leader(&mut bench, life, 1, body);
    assert!(saved(&bench.persist()).is_some(), "i3 is durable");
}

/// A leader of a newer term tells nothing of what the term of the floor held.
#[test]
fn the_leaders_last_index_counts_only_in_the_term_of_the_floor() {
    let mut bench = suspect(&[1], Floor::AnyIndexOf(t(1)));
    let life = bench.life;
    let actions = from_leader(&mut bench, life, 2, (id(1, 1), Entries::empty(), 1));
    assert_eq!(
        saved(&actions).map(|(_, state)| state.floor.is_some()),
        Some(true)
    );
    assert_eq!(saved(&bench.persist()), None, "i1 is of t1");
    assert!(bench.status().suspect);
}

/// The leader of three with ten entries that everybody holds.
fn settled_leader() -> Bench {
    let mut leader = node_of(3).leader();
    let _ = leader.persist();
    let _ = leader.confirmed_by([2, 3], 1);
    let _ = leader.propose(&["a", "b", "c", "d", "e", "f", "g", "h", "i"]);
    let _ = leader.persist();
    let _ = leader.confirmed_by([2, 3], 10);
    assert_eq!(leader.status().commit, i(10));
    leader
}

/// Scenario A20: flagged or not, a peer that lost entries is sent them again, and what was
/// committed with its help stays committed.
#[test]
fn a_leader_repairs_a_peer_that_lost_entries_and_takes_no_commit_back() {
    for is_suspect in [true, false] {
        let mut leader = settled_leader();
        let _ = leader.sleep(HEARTBEAT_MS);
        let refusal = flag(conflict(1, 10, id(4, 1), r(1)), is_suspect);
        let actions = leader.receive(3, 1, refusal);
        let peer = leader.status().peers[1].clone();
        assert_eq!(
            (peer.matched, peer.suspect, peer.regressed),
            (i(4), is_suspect, true)
        );
        assert_eq!(leader.status().commit, i(10));
        assert_eq!(leader.status().counters.peer_regressions, 1);
        let sent = super::support::bench::appends_to(&actions, 3);
        assert_eq!(sent, [(4, 6)], "all that it lacks, at once");
        let _ = leader.receive(3, 1, flag(matched(1, 10, r(1)), false));
        let peer = leader.status().peers[1].clone();
        assert_eq!((peer.matched, peer.suspect), (i(10), false));
    }
}

fn flag(mut body: Body, is_suspect: bool) -> Body {
    if let Body::AppendReply { suspect, .. } = &mut body {
        *suspect = is_suspect;
    }
    body
}

/// Scenario A20: a heartbeat confirms less than was known.
#[test]
fn a_leader_believes_a_peer_that_confirms_less_than_before_in_a_later_round() {
    let mut leader = settled_leader();
    let late = leader.receive(3, 1, matched(1, 7, Round::ZERO));
    assert_eq!(late, [], "an answer from before i10 was confirmed");
    assert_eq!(leader.status().peers[1].matched, i(10));
    let _ = leader.sleep(HEARTBEAT_MS);
    let _ = leader.receive(3, 1, flag(matched(1, 7, r(1)), true));
    assert_eq!(leader.status().peers[1].matched, i(7));
    assert_eq!(leader.status().commit, i(10));
}

/// Scenarios A20, C11: it kept up, lost entries and does not know that it did.
#[test]
fn a_learner_that_lost_entries_is_not_promoted_before_it_has_caught_up_again() {
    for lost in [matched(1, 4, r(1)), conflict(1, 10, id(4, 1), r(1))] {
        let past = node_of(3).among(members(&[1, 2, 3], &[4]));
        let mut leader = changes::settled_leader(past);
        let _ = leader.confirmed_by([4], 1);
        let _ = leader.propose(&["b", "c", "d", "e", "f", "g", "h", "i", "j"]);
        let _ = leader.persist();
        let _ = leader.confirmed_by([2, 3, 4], 10);
        let _ = leader.sleep(HEARTBEAT_MS);
        let _ = leader.receive(4, 1, lost);
        assert_eq!(leader.status().peers[2].matched, i(4));
        let actions = leader.change(promote(4));
        assert_eq!(answers(&actions), [refused(ChangeRefusal::NotCaughtUp)]);
        let _ = leader.receive(4, 1, matched(1, 10, r(1)));
        let actions = leader.change(promote(4));
        assert_eq!(answers(&actions), [Ok(id(11, 1))]);
    }
}

/// Scenario A20: what a peer lost does not commit anything new.
#[test]
fn entries_that_a_peer_lost_do_not_count_toward_later_commits() {
    let mut leader = settled_leader();
    let _ = leader.propose(&["x"]);
    let _ = leader.confirmed_by([3], 11);
    assert_eq!(leader.status().commit, i(10), "i11 is not durable here");
    let _ = leader.sleep(HEARTBEAT_MS);
    let _ = leader.receive(3, 1, flag(conflict(1, 11, id(4, 1), r(1)), true));
    let _ = leader.persist();
    assert_eq!(leader.status().commit, i(10), "n3 has lost i11");
    let _ = leader.receive(3, 1, flag(matched(1, 11, r(1)), true));
    assert_eq!(leader.status().commit, i(11), "now it is on two disks");
}

/// Scenario F07
#[test]
fn a_suspect_is_no_target_of_a_transfer_until_it_is_whole() {
    let mut leader = settled_leader();
    let _ = leader.receive(3, 1, flag(matched(1, 10, r(0)), true));
    let actions = ask_transfer(&mut leader, 1, Some(3));
    let suspect = quorate_core::TransferRefusal::Suspect;
    assert_eq!(
        transfer_ends(&actions, 1),
        [Err(quorate_core::Refusal::Transfer(suspect))]
    );
    let _ = leader.receive(3, 1, matched(1, 10, r(0)));
    let actions = ask_transfer(&mut leader, 2, Some(3));
    assert!(is_told(&actions, 3));
}

/// Scenario F07: what an earlier life of it said is not what it is now.
#[test]
fn a_late_answer_of_an_earlier_life_makes_no_suspect_whole() {
    for late in [
        matched(1, 10, r(0)),
        snapshot_reply(1, id(10, 1), SnapshotOutcome::Installed),
    ] {
        let mut leader = settled_leader();
        let _ = leader.sleep(HEARTBEAT_MS);
        let answer = flag(matched(1, 10, r(1)), true);
        let _ = leader.receive_from_life(3, Incarnation::new(3002), 1, answer);
        let _ = leader.receive(3, 1, late);
        let is_suspect = leader.status().peers[1].suspect;
        assert!(is_suspect, "it has started anew since");
        let actions = ask_transfer(&mut leader, 1, Some(3));
        assert_eq!(said_to(&actions, 3), [] as [&Body; 0]);
    }
}

/// Scenarios A20, F07: a message that the network held back reached the next life, and was answered
/// before what the earlier life had said to a newer one arrived.
#[test]
fn a_late_answer_of_an_earlier_life_to_a_newer_round_brings_nothing_back() {
    let (mut leader, next_life) = (settled_leader(), Incarnation::new(3002));
    let _ = leader.propose(&["x"]);
    let _ = leader.sleep(HEARTBEAT_MS);
    let _ = leader.sleep(HEARTBEAT_MS);
    let lost = flag(conflict(1, 10, id(4, 1), r(1)), true);
    let _ = leader.receive_from_life(3, next_life, 1, lost);
    let _ = leader.receive(3, 1, matched(1, 11, r(2)));
    let peer = leader.status().peers[1].clone();
    assert_eq!((peer.matched, peer.suspect), (i(4), true));
    let _ = leader.persist();
    assert_eq!(leader.status().commit, i(10), "n3 has lost i11");
    let _ = leader.sleep(HEARTBEAT_MS);
    let _ = leader.receive_from_life(3, next_life, 1, flag(matched(1, 11, r(3)), true));
    assert_eq!(leader.status().commit, i(11), "now it is on two disks");
}

/// Every answer to an append carries the flag, also a refusal.
#[test]
fn every_answer_of_a_suspect_is_flagged() {
    let mut bench = suspect(&[1, 1], Floor::At(id(9, 1)));
    for body in [
        heartbeat(id(2, 1), 0),
        heartbeat(id(5, 1), 0),
        append(id(2, 1), entries(3, &[1]), 0),
    ] {
        let actions = bench.receive(2, 1, body);
        assert!(is_flagged(&actions), "{actions:?}");
    }
    let refused = bench.receive(2, 1, heartbeat(id(7, 1), 0));
    assert!(matches!(
        only_send(&refused).1.body,
        Body::AppendReply {
            outcome: AppendOutcome::Conflict { .. },
            suspect: true,
            ..
        }
    ));
}
