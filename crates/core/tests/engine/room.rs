//! The room on a node's disk, as its host tells it ahead: nothing is appended that does not fit,
//! and who has none does not lead. That a write never finds a disk full is the log's and the
//! host's to show.

use quorate_core::{
    Action, AppendOutcome, Body, Change, Entries, Entry, Payload, Refusal, RoleName,
};

use super::support::bench::{
    Bench, append, heartbeat, is_told, node_of, only_send, pre_vote_reply, said_to, vote_reply,
    written,
};
use super::support::changes::add_learner;
use super::support::outcomes::{
    ask_change, ask_transfer, proposal_refusal, ready_reads, refusals, tell_room, transfer_ends,
};
use super::support::world::World;
use super::support::{ELECTION_MAX_MS, HEARTBEAT_MS, entries, i, id, ms, n};

/// What is kept back for the protocol: the first entry of a term, a change of the membership.
const RESERVE: u64 = 64 * 1024;

/// Node 1 leads voters 1 to `count` in term 1; everybody holds its first entry.
fn settled_leader(count: u64) -> Bench {
    let mut leader = node_of(count).leader();
    let _ = leader.persist();
    let others = leader.others();
    let _ = leader.confirmed_by(others, 1);
    leader
}

/// Node 1 of three follows node 2 in term 1 and holds one entry.
fn follower() -> Bench {
    let mut bench = node_of(3).with_log(&[1]).start();
    let _ = bench.receive(2, 1, heartbeat(id(1, 1), 1));
    bench
}

fn outcome(actions: &[Action]) -> AppendOutcome {
    let Body::AppendReply { outcome, .. } = only_send(actions).1.body else {
        panic!("an answer to an append was expected: {actions:?}");
    };
    outcome
}

/// Scenario G08
#[test]
fn a_leader_refuses_proposals_that_would_touch_its_reserve() {
    let mut leader = settled_leader(3);
    let size = Entry::OVERHEAD_BYTES + 1;
    let _ = tell_room(&mut leader, RESERVE + 2 * size);
    assert_eq!(proposal_refusal(&leader.propose(&["x"])), None);
    let two = leader.propose(&["y", "z"]);
    assert_eq!(proposal_refusal(&two), Some(Refusal::NoRoom), "all or none");
    assert_eq!(leader.status().last, i(2));
    assert_eq!(proposal_refusal(&leader.propose(&["y"])), None);
    assert_eq!(
        leader.status().room_bytes,
        RESERVE,
        "what is appended counts"
    );
    let actions = leader.propose(&["z"]);
    assert_eq!(proposal_refusal(&actions), Some(Refusal::NoRoom));
    let _ = tell_room(&mut leader, RESERVE + size);
    assert_eq!(proposal_refusal(&leader.propose(&["z"])), None, "recovered");
}

/// Scenario G08
#[test]
fn a_leader_without_room_hands_over_to_the_best_of_the_others() {
    let mut leader = settled_leader(3);
    let _ = leader.propose(&["x"]);
    let _ = leader.confirmed_by([3], 2);
    let actions = tell_room(&mut leader, RESERVE - 1);
    assert!(is_told(&actions, 3));
    assert_eq!(refusals(&actions), [], "nobody had asked for it");
    assert_eq!(
        proposal_refusal(&leader.propose(&["y"])),
        Some(Refusal::HandingOver)
    );
}

/// Scenario G08
#[test]
fn a_leader_without_room_and_without_a_successor_leads_on_and_serves_reads() {
    let mut alone = node_of(1).leader();
    let _ = alone.persist();
    let actions = tell_room(&mut alone, 0);
    assert_eq!(actions, [], "there is nobody to tell");
    assert_eq!(
        proposal_refusal(&alone.propose(&["x"])),
        Some(Refusal::NoRoom)
    );
    assert_eq!(ready_reads(&alone.read(1)), [(1, 1)]);
    let _ = tell_room(&mut alone, 2 * RESERVE);
    assert_eq!(proposal_refusal(&alone.propose(&["x"])), None, "recovered");
}

/// Scenario G08: a host that has told it need not tell it again. Nobody may write here until
/// another leads.
#[test]
fn a_leader_without_room_hands_over_as_soon_as_somebody_is_prepared() {
    let mut leader = node_of(3).leader();
    let _ = leader.persist();
    let actions = tell_room(&mut leader, 0);
    assert_eq!(said_to(&actions, 2), [] as [&Body; 0], "nobody is known");
    let _ = leader.confirmed_by([2], 1);
    let actions = leader.sleep(HEARTBEAT_MS);
    assert!(is_told(&actions, 2));
}

/// Scenarios F05, G08: a hand-over that fails leaves the leader where it was. It tries the others,
/// since the first may have no room either, and leaves them in peace until it is told again.
#[test]
fn a_leader_without_room_tries_every_other_node_once_for_each_time_it_is_told() {
    let mut leader = settled_leader(5);
    let mut actions = tell_room(&mut leader, 0);
    let (mut tried, mut is_free) = (Vec::new(), true);
    for _ in 0..6 * ELECTION_MAX_MS / HEARTBEAT_MS {
        let is_told = |peer: &u64| is_told(&actions, *peer);
        for told in [2, 3, 4, 5].into_iter().filter(is_told) {
            // The word is repeated while the transfer lasts.
            if tried.last() != Some(&told) {
                assert!(is_free, "others have their chance in between");
                tried.push(told);
            }
        }
        is_free = leader.status().transfer_target.is_none();
        let _ = leader.confirmed_by([2, 3, 4, 5], 1);
        actions = leader.sleep(HEARTBEAT_MS);
    }
    tried.sort_unstable();
    assert_eq!(tried, [2, 3, 4, 5], "each may be the only one with room");
    assert_eq!(leader.status().transfer_target, None);
    let _ = tell_room(&mut leader, 0);
    assert!(leader.status().transfer_target.is_some());
}

/// Scenario G08: whoever holds most may have no room either, and must not keep those from being
/// asked who hold a little less.
#[test]
fn a_leader_without_room_asks_who_holds_less_when_who_holds_most_did_not_take_over() {
    let mut leader = settled_leader(3);
    let _ = leader.propose(&["x"; 60]);
    let _ = leader.persist();
    let _ = leader.confirmed_by([2], 61);
    let _ = tell_room(&mut leader, 0);
    let mut targets = Vec::new();
    for held in 2..2 + 2 * ELECTION_MAX_MS / HEARTBEAT_MS {
        targets.extend(leader.status().transfer_target.map(|node| node.get()));
        let _ = leader.confirmed_by([2], 61);
        let _ = leader.confirmed_by([3], held);
        let _ = leader.sleep(HEARTBEAT_MS);
    }
    targets.dedup();
    assert_eq!(targets, [2, 3]);
}

/// Scenario G08: the users' own transfer came first, and came to nothing.
#[test]
fn a_leader_without_room_hands_over_when_a_transfer_that_ran_has_failed() {
    let mut leader = settled_leader(3);
    let _ = ask_transfer(&mut leader, 1, Some(2));
    let _ = tell_room(&mut leader, 0);
    let mut tried = vec![2];
    for _ in 0..3 * ELECTION_MAX_MS / HEARTBEAT_MS {
        let actions = leader.sleep(HEARTBEAT_MS);
        let is_told = |peer: &u64| is_told(&actions, *peer);
        tried.extend([2, 3].into_iter().filter(is_told));
        let _ = leader.confirmed_by([2, 3], 1);
    }
    // Each word is repeated while its transfer lasts.
    tried.dedup();
    assert_eq!(tried, [2, 3], "once, and not again whom it asked in vain");
}

/// Scenario G08: the last of its room went to what it appended itself.
#[test]
fn a_leader_that_used_up_its_room_hands_over() {
    let mut leader = settled_leader(3);
    let _ = tell_room(&mut leader, RESERVE);
    let _ = ask_change(&mut leader, 1, add_learner(4));
    let _ = leader.persist();
    let _ = leader.confirmed_by([2, 3], 2);
    let actions = leader.sleep(HEARTBEAT_MS);
    let is_told = |peer| is_told(&actions, peer);
    assert!(is_told(2) || is_told(3), "{actions:?}");
}

/// A user who asks for a transfer meanwhile is told that one runs.
#[test]
fn a_hand_over_for_want_of_room_counts_as_a_transfer() {
    let mut leader = settled_leader(3);
    let _ = tell_room(&mut leader, 0);
    let in_flight = Refusal::Transfer(quorate_core::TransferRefusal::InFlight);
    let actions = ask_transfer(&mut leader, 1, Some(2));
    assert_eq!(transfer_ends(&actions, 1), [Err(in_flight)]);
}

/// A change of the membership may use the reserve, and no more than there is.
#[test]
fn a_change_of_the_membership_is_refused_when_it_does_not_fit() {
    let mut leader = node_of(1).leader();
    let _ = leader.persist();
    let (node, address) = (n(2), "host2:7000".to_owned());
    let learner = Change::AddLearner { node, address };
    let _ = tell_room(&mut leader, 1);
    let actions = ask_change(&mut leader, 1, learner.clone());
    let reasons: Vec<_> = refusals(&actions).iter().map(|end| end.1).collect();
    assert_eq!(reasons, [Refusal::NoRoom]);
    assert_eq!(leader.status().last, i(1));
    let _ = tell_room(&mut leader, RESERVE / 2);
    let actions = ask_change(&mut leader, 2, learner);
    assert_eq!(refusals(&actions), []);
    assert_eq!(leader.status().last, i(2));
}

/// Scenario G08
#[test]
fn a_follower_without_room_answers_as_to_a_heartbeat_and_appends_nothing() {
    let mut bench = follower();
    let _ = tell_room(&mut bench, Entry::OVERHEAD_BYTES);
    let body = append(id(1, 1), entries(2, &[1]), 2);
    let actions = bench.receive(2, 1, body.clone());
    assert!(written(&actions).is_none(), "{actions:?}");
    assert_eq!(outcome(&actions), AppendOutcome::Matched(i(1)));
    assert_eq!(bench.status().last, i(1));
    assert_eq!(bench.status().commit, i(1), "i2 is committed and not here");
    assert_eq!(
        bench.status().leader,
        Some(n(2)),
        "it is heard all the same"
    );
    assert_eq!(bench.status().counters.full_disks, 1);
    let _ = tell_room(&mut bench, RESERVE);
    let actions = bench.receive(2, 1, body);
    assert!(written(&actions).is_some(), "there is room again");
    assert_eq!(outcome(&actions), AppendOutcome::Matched(i(2)));
    assert_eq!(bench.status().commit, i(2));
}

/// Scenario G08: what is there already needs no room.
#[test]
fn a_follower_without_room_confirms_what_it_holds_already() {
    let mut bench = follower();
    let held = append(id(1, 1), entries(2, &[1, 1]), 1);
    let _ = bench.receive(2, 1, held.clone());
    let _ = bench.persist();
    let _ = tell_room(&mut bench, 0);
    let actions = bench.receive(2, 1, held);
    assert_eq!(
        outcome(&actions),
        AppendOutcome::Matched(i(3)),
        "its first answer was lost, and i3 may need this one to commit"
    );
    let longer = append(id(1, 1), entries(2, &[1, 1, 1]), 1);
    let actions = bench.receive(2, 1, longer);
    assert!(written(&actions).is_none());
    assert_eq!(outcome(&actions), AppendOutcome::Matched(i(1)));
}

/// Scenario G08
#[test]
fn a_node_without_room_stands_for_no_election() {
    let mut bench = node_of(3).with_log(&[1]).start();
    let _ = tell_room(&mut bench, RESERVE - 1);
    for _ in 0..5 {
        assert!(
            bench.time_out().is_empty(),
            "it could not even start a term"
        );
    }
    let _ = tell_room(&mut bench, RESERVE);
    let _ = bench.time_out();
    assert_eq!(bench.status().role, RoleName::PreCandidate);
}

/// Scenario G08: the first entry of its term would not fit any more.
#[test]
fn a_candidate_whose_disk_fills_up_stands_down() {
    for pre_vote in [true, false] {
        let past = node_of(3).with_log(&[1]);
        let mut bench = past.configured(|config| config.pre_vote = pre_vote).start();
        let _ = bench.time_out();
        let _ = bench.persist();
        let _ = tell_room(&mut bench, 0);
        let actions = if pre_vote {
            bench.receive(2, 1, pre_vote_reply(2, true))
        } else {
            bench.receive(2, 2, vote_reply(2, true))
        };
        assert!(written(&actions).is_none(), "no append exceeds the room");
        assert_eq!(bench.status().role, RoleName::Follower);
    }
}

/// A vote takes no room in the log.
#[test]
fn a_node_without_room_still_votes() {
    let mut bench = node_of(3).with_log(&[1]).unled();
    let _ = tell_room(&mut bench, 0);
    let actions = bench.receive(2, 2, super::support::bench::vote_request(id(1, 1)));
    assert!(matches!(
        only_send(&actions).1.body,
        Body::VoteReply { granted: true, .. }
    ));
}

/// Scenario G08: the others go on, and the full node catches up when it has room.
#[test]
fn a_cluster_with_one_full_disk_commits_and_heals() {
    let mut world = World::new(3);
    world.elect(1);
    world.step(3, quorate_core::Event::Room { bytes: 40 });
    for _ in 0..5 {
        world.propose(1, &["x"]);
        world.advance(ms(HEARTBEAT_MS));
    }
    assert_eq!(world.status(1).commit, i(6), "n1 and n2 suffice");
    assert!(world.status(3).last < i(6));
    world.step(3, quorate_core::Event::Room { bytes: RESERVE });
    world.advance(ms(2 * ELECTION_MAX_MS));
    assert_eq!(world.status(3).commit, i(6));
    assert_eq!(world.leader(), Some(1), "nobody lost its place");
}

/// The sizes of an append are those of its entries.
#[test]
fn an_append_fits_exactly_or_not_at_all() {
    let entry = Entry {
        index: i(2),
        term: quorate_core::Term::new(1),
        payload: Payload::Command("0123456789".into()),
    };
    let one: Entries = core::iter::once(entry).collect();
    let size = one.size_bytes();
    for (room, taken) in [(size, true), (size - 1, false)] {
        let mut bench = follower();
        let _ = tell_room(&mut bench, room);
        let actions = bench.receive(2, 1, append(id(1, 1), one.clone(), 1));
        assert_eq!(written(&actions).is_some(), taken, "{room} bytes of room");
    }
    let mut bench = follower();
    let _ = tell_room(&mut bench, 0);
    let _ = bench.receive(2, 1, append(id(1, 1), Entries::empty(), 1));
    assert_eq!(
        bench.status().counters.full_disks,
        0,
        "a heartbeat needs none"
    );
}
