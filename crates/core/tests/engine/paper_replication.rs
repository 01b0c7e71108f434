//! Replication, rule by rule [Raft 5.3]: what a follower makes of an append, how a leader finds
//! where two logs part. The pace of what it sends is in `paper_pacing.rs`.

use bytes::Bytes;
use quorate_core::{
    Action, AppendOutcome, Body, Entries, EntryId, Incarnation, Payload, RoleName, Violation,
};

use super::support::bench::{
    Bench, append, appends_to, conflict, heartbeat, matched, node_of, only_send, said_to, written,
};
use super::support::world::World;
use super::support::{HEARTBEAT_MS, entries, i, id, ms, n, r, t};

/// What the follower answered to the append in these actions.
fn outcome(actions: &[Action]) -> AppendOutcome {
    let Body::AppendReply { outcome, .. } = only_send(actions).1.body else {
        panic!("an append is answered: {actions:#?}");
    };
    outcome
}

fn follower(terms: &[u64]) -> Bench {
    node_of(3).with_log(terms).at_term(5).start()
}

/// [Raft 5.3]
#[test]
fn a_follower_appends_what_fits_behind_its_log_and_says_so_when_it_is_durable() {
    let mut bench = follower(&[1, 2]);
    let actions = bench.receive(2, 5, append(id(2, 2), entries(3, &[4, 5]), 0));
    let (write, appended) = written(&actions).expect("the entries are written");
    assert_eq!(*appended, entries(3, &[4, 5]));
    assert_eq!(outcome(&actions), AppendOutcome::Matched(i(4)));
    assert_eq!(
        only_send(&actions).0,
        write,
        "acknowledged once durable (B15)"
    );
    assert_eq!(bench.status().last, i(4));
}

/// [Raft 5.3]
#[test]
fn a_follower_refuses_an_append_behind_an_entry_it_lacks() {
    for (prev, hint, why) in [
        (id(4, 2), id(3, 2), "its log is shorter"),
        (id(3, 3), id(3, 2), "its entry there is of an older term"),
        (
            id(3, 1),
            id(2, 1),
            "its entry there is of a newer term: all of it is skipped",
        ),
    ] {
        let mut bench = follower(&[1, 1, 2]);
        let actions = bench.receive(2, 5, append(prev, entries(prev.index.get() + 1, &[5]), 0));
        let expected = AppendOutcome::Conflict {
            refused: prev.index,
            hint,
        };
        assert_eq!(outcome(&actions), expected, "{why}");
        assert_eq!(written(&actions), None, "{why}: nothing is written");
        assert_eq!(
            bench.status().leader,
            Some(n(2)),
            "{why}: its sender leads all the same"
        );
    }
}

/// [Raft 5.3]
#[test]
fn a_conflicting_entry_and_all_behind_it_are_replaced() {
    let mut bench = follower(&[1, 2, 2, 2]);
    let actions = bench.receive(2, 5, append(id(1, 1), entries(2, &[2, 3]), 0));
    let (_, replaced) = written(&actions).expect("the log changes");
    assert_eq!(
        *replaced,
        entries(3, &[3]),
        "i2 agrees and stays; i3 and i4 go"
    );
    assert_eq!(bench.status().last, i(3));
    assert_eq!(
        bench.status().durable,
        i(2),
        "the new i3 is not durable yet"
    );
    let _ = bench.persist();
    assert_eq!(bench.status().durable, i(3));
}

/// [Raft 5.3]; a late append must not cut off what came after it.
#[test]
fn entries_that_are_there_already_cut_nothing_off() {
    let mut bench = follower(&[1, 2, 2, 2]);
    let actions = bench.receive(2, 5, append(id(1, 1), entries(2, &[2]), 0));
    assert_eq!(written(&actions), None);
    assert_eq!(
        bench.status().last,
        i(4),
        "i3 and i4 may be acknowledged already"
    );
    assert_eq!(
        outcome(&actions),
        AppendOutcome::Matched(i(2)),
        "and no more is claimed"
    );
}

/// Scenario B02 [Raft 5.3]
#[test]
fn a_follower_commits_no_further_than_the_prefix_it_has_verified() {
    let mut bench = follower(&[1, 1, 2, 2, 2]);
    let _ = bench.receive(2, 5, heartbeat(id(2, 1), 9));
    assert_eq!(
        bench.status().commit,
        i(2),
        "i3 to i5 may be of a deposed leader"
    );
    let _ = bench.receive(2, 5, append(id(2, 1), entries(3, &[3]), 9));
    assert_eq!(bench.status().commit, i(3), "up to the last new entry");
}

/// Scenario B02
#[test]
fn a_refused_append_commits_nothing() {
    let mut bench = follower(&[1, 1]);
    let _ = bench.receive(2, 5, append(id(2, 4), entries(3, &[5]), 2));
    assert_eq!(bench.status().commit, i(0), "nothing was verified");
}

/// Scenario B05
#[test]
fn a_follower_stops_rather_than_replace_a_committed_entry() {
    for contradiction in [
        append(id(1, 1), entries(2, &[5]), 0),
        heartbeat(id(2, 3), 0),
        append(id(2, 3), entries(3, &[5]), 0),
    ] {
        let mut bench = follower(&[1, 2, 2]);
        let _ = bench.receive(2, 5, heartbeat(id(2, 2), 2));
        assert_eq!(bench.status().commit, i(2));
        let actions = bench.receive(2, 5, contradiction.clone());
        let is_conflict = matches!(
            actions[..],
            [Action::Fatal(Violation::CommittedConflict { committed, leader, .. })]
                if committed == id(2, 2) && leader == n(2)
        );
        assert!(is_conflict, "{contradiction:?} gave {actions:?}");
    }
}

/// Scenario B10
#[test]
fn an_append_from_below_the_commit_index_is_taken_as_known() {
    let mut bench = follower(&[1, 1, 2, 2]);
    let _ = bench.receive(2, 5, heartbeat(id(4, 2), 3));
    let actions = bench.receive(2, 5, append(id(1, 1), entries(2, &[1, 2]), 1));
    assert_eq!(outcome(&actions), AppendOutcome::Matched(i(3)));
    assert_eq!(written(&actions), None);
    assert_eq!(
        bench.status().commit,
        i(3),
        "the commit index does not fall"
    );
}

/// [Thesis 10.2.1]; heartbeats never wait for a slow fsync.
#[test]
fn an_answer_to_a_heartbeat_waits_for_no_log_write_and_claims_only_what_is_durable() {
    let mut bench = follower(&[1, 2]);
    let _ = bench.receive(2, 5, append(id(2, 2), entries(3, &[5, 5]), 0));
    let actions = bench.receive(2, 5, heartbeat(id(4, 5), 0));
    assert_eq!(only_send(&actions).0.get(), 0, "the answer leaves at once");
    assert_eq!(
        outcome(&actions),
        AppendOutcome::Matched(i(0)),
        "i3 and i4 are not durable, and less than they would look like a loss"
    );
    let _ = bench.persist();
    let actions = bench.receive(2, 5, heartbeat(id(4, 5), 0));
    assert_eq!(outcome(&actions), AppendOutcome::Matched(i(4)));
}

/// Scenario B15: the same entries again are acknowledged no earlier than the first time.
#[test]
fn a_repeated_append_waits_for_the_write_of_the_first() {
    let mut bench = follower(&[1, 2]);
    let first = bench.receive(2, 5, append(id(2, 2), entries(3, &[5]), 0));
    let again = bench.receive(2, 5, append(id(2, 2), entries(3, &[5]), 0));
    assert_eq!(written(&again), None, "it is written once");
    assert_eq!(only_send(&again).0, only_send(&first).0);
}

/// [Raft 5.3]
#[test]
fn a_new_leader_asserts_itself_with_an_entry_of_its_term() {
    let mut bench = node_of(3)
        .with_log(&[1, 2])
        .configured(|config| config.pre_vote = false)
        .start();
    let _ = bench.time_out();
    let _ = bench.persist();
    let actions = bench.receive(2, 3, super::support::bench::vote_reply(3, true));
    assert_eq!(bench.status().role, RoleName::Leader);
    for peer in [2, 3] {
        assert_eq!(
            appends_to(&actions, peer),
            [(2, 1)],
            "the no-op behind its own last entry"
        );
    }
    let (_, own) = written(&actions).expect("the no-op is written");
    assert_eq!(
        own.first().map(|entry| &entry.payload),
        Some(&Payload::Noop)
    );
    assert_eq!(own.last_id(), Some(id(3, 3)));
}

/// [Raft 5.2]
#[test]
fn a_leader_tells_every_peer_at_each_heartbeat_interval() {
    let mut bench = node_of(5).with_log(&[1]).leader();
    let _ = bench.persist();
    for _ in 0..5 {
        let actions = bench.sleep(HEARTBEAT_MS);
        for peer in bench.others() {
            let beats = said_to(&actions, peer);
            assert!(
                matches!(beats[..], [Body::Append { .. }, ..]),
                "n{peer} hears the leader"
            );
        }
        let _ = bench.confirmed_by([2, 3], 2);
        assert!(
            said_to(&bench.sleep(HEARTBEAT_MS - 1), 2).is_empty(),
            "and not more often"
        );
        let _ = bench.sleep(1);
    }
}

/// Scenarios B06, B08
#[test]
fn a_heartbeat_speaks_only_of_what_its_receiver_has_confirmed() {
    let mut bench = node_of(3).with_log(&[1, 1, 1]).leader();
    let _ = bench.persist();
    let _ = bench.confirmed_by([2], 4);
    assert_eq!(bench.status().commit, i(4));
    let actions = bench.sleep(HEARTBEAT_MS);
    assert_eq!(
        said_to(&actions, 3),
        [&Body::Append {
            prev: EntryId::NONE,
            entries: Entries::empty(),
            commit: i(0),
            round: r(1),
            last: i(4),
        }],
        "n3 confirmed nothing, so it can refuse nothing and run past nothing"
    );
    assert_eq!(
        said_to(&actions, 2),
        [&Body::Append {
            prev: id(4, 2),
            entries: Entries::empty(),
            commit: i(4),
            round: r(1),
            last: i(4),
        }]
    );
}

/// [Raft 5.3]
#[test]
fn a_leader_goes_back_to_where_a_refusal_points_and_not_below_what_is_confirmed() {
    let mut bench = node_of(3).with_log(&[1, 1, 2, 2]).leader();
    let _ = bench.receive(2, 3, conflict(3, 4, id(2, 1), r(0)));
    assert_eq!(bench.status().peers[0].next, i(3), "behind the hint");
    let _ = bench.receive(3, 3, conflict(3, 4, id(4, 1), r(0)));
    assert_eq!(
        bench.status().peers[1].next,
        i(3),
        "own entries of newer terms are skipped too"
    );
}

/// Scenario B08
#[test]
fn a_refusal_of_another_place_than_the_one_probed_is_late() {
    let mut bench = node_of(3).with_log(&[1, 1, 1, 1, 1]).leader();
    let _ = bench.receive(2, 2, conflict(2, 5, id(4, 1), r(0)));
    assert_eq!(bench.status().peers[0].next, i(5));
    let _ = bench.receive(2, 2, conflict(2, 2, id(1, 1), r(0)));
    assert_eq!(
        bench.status().peers[0].next,
        i(5),
        "the probe behind i4 is still out"
    );
    let _ = bench.receive(2, 2, conflict(2, 4, id(1, 1), r(0)));
    assert_eq!(bench.status().peers[0].next, i(2), "this one answers it");
}

/// Scenario B08
#[test]
fn a_refusal_that_points_forward_moves_the_leader_back_all_the_same() {
    let mut bench = node_of(3).with_log(&[1, 1, 1]).leader();
    let _ = bench.receive(2, 2, conflict(2, 3, id(u64::MAX, 1), r(0)));
    assert_eq!(
        bench.status().peers[0].next,
        i(3),
        "or a confused peer is probed for ever"
    );
}

/// Scenario B11
#[test]
fn the_leader_needs_one_probe_per_term_to_find_where_long_logs_part() {
    let mut world = World::new(3);
    let mut terms = vec![1; 5];
    terms.extend(std::iter::repeat_n(3, 2_000));
    terms.extend(std::iter::repeat_n(4, 2_000));
    let state = |term| quorate_core::HardState {
        term: t(term),
        ..Default::default()
    };
    world.reinstall(2, state(4), &terms);
    let mut newer = vec![1; 5];
    newer.extend(std::iter::repeat_n(2, 1_000));
    newer.extend(std::iter::repeat_n(8, 10));
    world.reinstall(1, state(8), &newer);
    world.reinstall(3, state(8), &newer);
    world.elect(1);
    let expected = world.terms(1);
    assert_eq!(world.terms(2), expected);
    let conflicts = world.trace.tail().matches("conflict").count();
    assert!(
        conflicts <= 3,
        "{conflicts} probes for logs that part by three terms"
    );
}

/// Scenario A20: an acknowledged entry that is missing later is noticed and kills nobody.
#[test]
fn a_leader_survives_a_peer_that_lost_what_it_had_confirmed() {
    let mut bench = node_of(3).with_log(&[1]).leader();
    let _ = bench.persist();
    let _ = bench.confirmed_by([2], 2);
    let _ = bench.sleep(HEARTBEAT_MS);
    let _ = bench.receive(2, 2, conflict(2, 2, EntryId::NONE, r(1)));
    assert_eq!(
        bench.status().counters.peer_regressions,
        1,
        "operators are told"
    );
    assert_eq!(
        (
            bench.status().peers[0].matched,
            bench.status().peers[0].regressed
        ),
        (i(0), true),
        "it is sent again what it lost"
    );
    assert_eq!(bench.status().commit, i(2));
}

/// Scenario A20: which of two lives is over shows in the rounds that they answer, not in which was
/// heard first.
#[test]
fn a_late_answer_of_an_earlier_life_neither_counts_nor_silences_the_present_one() {
    let mut leader = node_of(3).with_log(&[1]).leader();
    let _ = leader.persist();
    let (early, present) = (Incarnation::new(70), Incarnation::new(9));
    let _ = leader.sleep(HEARTBEAT_MS);
    let _ = leader.receive_from_life(2, present, 2, matched(2, 0, r(1)));
    let _ = leader.receive_from_life(2, early, 2, matched(2, 2, r(1)));
    assert_eq!(
        leader.status().commit,
        i(0),
        "what the earlier life held may be gone"
    );
    let _ = leader.receive_from_life(2, present, 2, matched(2, 2, r(1)));
    assert_eq!(
        leader.status().commit,
        i(2),
        "it is the present life that is heard"
    );
}

/// Scenario B08
#[test]
fn an_answer_to_an_earlier_leadership_or_an_unasked_round_confirms_nothing() {
    let mut bench = node_of(3).with_log(&[1, 1]).leader();
    let _ = bench.persist();
    let _ = bench.receive(2, 2, matched(1, 3, r(0)));
    assert_eq!(bench.status().peers[0].matched, i(0), "it answers term 1");
    let _ = bench.receive(2, 2, matched(2, 3, r(7)));
    assert_eq!(
        bench.status().peers[0].matched,
        i(0),
        "round 7 was never asked"
    );
    let _ = bench.receive(2, 2, matched(2, 9, r(0)));
    assert_eq!(bench.status().peers[0].matched, i(0), "i9 was never sent");
    let _ = bench.receive(2, 2, matched(2, 3, r(0)));
    assert_eq!(bench.status().peers[0].matched, i(3));
}

/// Scenario B18 [Raft 5.3]
#[test]
fn lost_appends_are_sent_again_whatever_is_lost() {
    for lost in [2u64, 3] {
        let mut world = World::new(3);
        world.elect(1);
        world.propose(1, &["a"]);
        world.propose(1, &["b"]);
        world.net.drop_all((n(1), n(lost)));
        world.settle();
        world.advance(ms(400));
        assert_eq!(
            world.applied(lost),
            ["a", "b"],
            "n{lost} caught up without a new write"
        );
    }
}

/// A follower keeps the leader's bytes.
#[test]
fn commands_reach_every_state_machine_unchanged_and_in_order() {
    let mut world = World::new(3);
    world.elect(2);
    world.propose(2, &["one", "two"]);
    world.propose(2, &["three"]);
    world.settle();
    for node in 1..=3 {
        assert_eq!(world.applied(node), ["one", "two", "three"]);
    }
    let entry = &world.node(3).disk.log()[1];
    assert_eq!(entry.payload, Payload::Command(Bytes::from_static(b"one")));
}
