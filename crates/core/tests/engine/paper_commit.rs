//! Commitment, rule by rule: only entries of the leader's own term are counted [Raft 5.4.2], only
//! what is durable counts, and what follows for apply and for the leader's readiness.

use quorate_core::{Action, Body, Entries, LogIndex, Refusal, TimeoutReason};

use super::support::bench::{append, has, heartbeat, matched, node_of, said_to};
use super::support::world::World;
use super::support::{ELECTION_MAX_MS, HEARTBEAT_MS, entries, i, id, ms, n, r};

/// The indexes handed to the state machine.
fn applies(actions: &[Action]) -> Vec<u64> {
    let mut indexes = Vec::new();
    for action in actions {
        if let Action::Apply { entries } = action {
            indexes.extend(entries.iter().map(|entry| entry.index.get()));
        }
    }
    indexes
}

/// [Raft 5.4.2] figure 8, scenario B01
#[test]
fn a_leader_does_not_commit_an_older_terms_entry_by_counting_copies() {
    let mut leader = node_of(5).with_log(&[1, 2]).at_term(3).leader();
    let _ = leader.persist();
    let _ = leader.confirmed_by([2, 3, 4, 5], 2);
    assert_eq!(
        leader.status().commit,
        LogIndex::NONE,
        "i2 of t2 could still be overwritten"
    );
    let _ = leader.confirmed_by([2], 3);
    assert_eq!(
        leader.status().commit,
        LogIndex::NONE,
        "two of five hold the own entry"
    );
    let _ = leader.confirmed_by([3], 3);
    assert_eq!(
        leader.status().commit,
        i(3),
        "the current term's entry carries the rest"
    );
}

/// [Raft 5.3]
#[test]
fn an_entry_commits_exactly_when_a_majority_holds_it() {
    for count in 1..=7u64 {
        for holders in 1..=count {
            let mut leader = node_of(count).with_log(&[1]).leader();
            let _ = leader.persist();
            let _ = leader.confirmed_by(2..=holders, 2);
            let expected = if holders * 2 > count { i(2) } else { i(0) };
            assert_eq!(
                leader.status().commit,
                expected,
                "{holders} of {count} hold i2"
            );
        }
    }
}

/// Scenario B15 [Thesis 10.2.1]
#[test]
fn a_leader_counts_its_own_copy_only_when_it_is_durable() {
    let mut leader = node_of(3).with_log(&[1]).leader();
    let _ = leader.confirmed_by([2], 2);
    assert_eq!(leader.status().commit, i(0), "n2 alone is no majority");
    let _ = leader.persist();
    assert_eq!(leader.status().commit, i(2), "n1 and n2 are");
}

/// Scenario B15 [Thesis 10.2.1]
#[test]
fn the_others_commit_without_the_leaders_disk_and_it_applies_only_what_it_holds() {
    let mut leader = node_of(3).with_log(&[]).leader();
    let actions = leader.confirmed_by([2, 3], 1);
    assert_eq!(leader.status().commit, i(1), "two of three hold it");
    assert_eq!(
        applies(&actions),
        [],
        "a restart would undo an effect that was seen"
    );
    assert_eq!(applies(&leader.persist()), [1]);
}

/// [Raft 5.4.2]; strangers and learners do not count (scenario C12).
#[test]
fn copies_outside_the_voters_commit_nothing() {
    let members = quorate_core::Membership::new([n(1), n(2), n(3)], [n(4)]);
    let mut leader = node_of(3).with_log(&[1]).among(members).leader();
    let _ = leader.persist();
    let _ = leader.receive(4, 2, matched(2, 2, r(0)));
    let _ = leader.receive(9, 2, matched(2, 2, r(0)));
    assert_eq!(
        leader.status().commit,
        i(0),
        "a learner's copy is no vote for an entry"
    );
    assert_eq!(
        leader.status().peers.len(),
        3,
        "the learner is sent the log all the same"
    );
}

/// Scenario B13
#[test]
fn a_commit_is_told_at_once_to_peers_that_nothing_else_will_tell() {
    let mut leader = node_of(3).with_log(&[1]).leader();
    let _ = leader.persist();
    let actions = leader.confirmed_by([2], 2);
    let told = |body: &&Body| matches!(body, Body::Append { commit, .. } if *commit == i(2));
    assert_eq!(
        said_to(&actions, 2)
            .iter()
            .filter(|body| told(body))
            .count(),
        1
    );
    let actions = leader.confirmed_by([3], 2);
    assert_eq!(
        said_to(&actions, 3)
            .iter()
            .filter(|body| told(body))
            .count(),
        1
    );
    let actions = leader.confirmed_by([2, 3], 2);
    assert!(said_to(&actions, 2).is_empty(), "and told once");
}

/// Scenario B13
#[test]
fn every_follower_reaches_the_leaders_commit_index_within_two_heartbeats() {
    let mut world = World::new(5);
    world.elect(1);
    world.propose(1, &["x"]);
    world.settle();
    world.net.drop_all((n(1), n(3)));
    world.advance(ms(2 * HEARTBEAT_MS));
    for node in 1..=5 {
        assert_eq!(world.status(node).commit, i(2), "n{node} idles behind");
    }
}

/// [Raft 5.3]
#[test]
fn entries_are_applied_in_order_and_once() {
    let mut bench = node_of(3).with_log(&[]).at_term(1).start();
    let _ = bench.receive(2, 1, append(id(0, 0), entries(1, &[1, 1, 1]), 2));
    assert_eq!(applies(&bench.persist()), [1, 2], "committed and durable");
    let again = bench.receive(2, 1, append(id(0, 0), entries(1, &[1, 1, 1]), 2));
    assert_eq!(applies(&again), [], "each entry once");
    assert_eq!(applies(&bench.receive(2, 1, heartbeat(id(3, 1), 3))), [3]);
}

/// Committed by the leader and not yet durable here: applied later.
#[test]
fn a_follower_applies_nothing_before_it_is_durable_there() {
    let mut bench = node_of(3).with_log(&[]).at_term(1).start();
    let actions = bench.receive(2, 1, append(id(0, 0), entries(1, &[1]), 1));
    assert_eq!(bench.status().commit, i(1));
    assert_eq!(
        applies(&actions),
        [],
        "a restart would undo an effect that was seen"
    );
    assert_eq!(applies(&bench.persist()), [1]);
}

/// A slow state machine is handed a bounded amount; replication goes on meanwhile (scenario H04).
#[test]
fn no_more_is_handed_over_than_the_limit_until_progress_is_reported() {
    let past = node_of(3)
        .with_log(&[])
        .configured(|config| config.max_unapplied_bytes = 200);
    let mut leader = past.leader();
    let _ = leader.persist();
    let _ = leader.confirmed_by([2], 1);
    let _ = leader.propose(&["a", "b", "c", "d", "e"]);
    let _ = leader.persist();
    let actions = leader.confirmed_by([2], 6);
    assert_eq!(
        leader.status().commit,
        i(6),
        "commitment does not wait for apply"
    );
    assert_eq!(
        applies(&actions),
        [2, 3, 4],
        "i4 reaches the limit, so it is the last"
    );
    let actions = leader.step(quorate_core::Event::Applied(i(3)));
    assert_eq!(applies(&actions), [5, 6], "i4 is out; the rest fits");
    assert_eq!(leader.status().applied, i(3));
}

/// The host cannot have applied what it was not given.
#[test]
fn reported_progress_beyond_what_was_handed_over_is_not_believed() {
    let mut leader = node_of(1).leader();
    let _ = leader.persist();
    let _ = leader.step(quorate_core::Event::Applied(i(900)));
    assert_eq!(leader.status().applied, i(1));
}

/// Scenario B23
#[test]
fn a_leader_is_ready_once_the_first_entry_of_its_term_is_applied() {
    let mut leader = node_of(3).with_log(&[1]).applied(1).leader();
    let _ = leader.persist();
    assert!(!leader.status().ready);
    let _ = leader.confirmed_by([2], 2);
    assert!(!leader.status().ready, "committed is not applied");
    let _ = leader.step(quorate_core::Event::Applied(i(2)));
    assert!(
        leader.status().ready,
        "it sees everything acknowledged before its term"
    );
}

/// Scenario B21
#[test]
fn a_leader_without_a_majority_takes_commands_up_to_its_limit() {
    let past = node_of(3)
        .with_log(&[1])
        .configured(|config| config.max_uncommitted_bytes = 1_000);
    let mut leader = past.leader();
    let _ = leader.persist();
    for _ in 0..100 {
        let _ = leader.propose(&["x"]);
    }
    assert!(
        leader.engine.uncommitted_bytes() <= 1_100,
        "one batch above the limit at most"
    );
    let last = leader.status().last;
    let actions = leader.propose(&["y"]);
    let is_refused = |action: &Action| {
        matches!(
            action,
            Action::Refused {
                reason: Refusal::Overloaded,
                ..
            }
        )
    };
    assert!(has(&actions, is_refused), "{actions:?}");
    assert_eq!(leader.status().last, last, "refused means not appended");
    let _ = leader.persist();
    let _ = leader.confirmed_by([2], 2);
    let _ = leader.confirmed_by([2], last.get());
    assert_eq!(leader.engine.uncommitted_bytes(), 0);
    let actions = leader.propose(&["z"]);
    assert!(has(&actions, |action| matches!(
        action,
        Action::Proposed { .. }
    )));
}

/// Only the leader appends (H02: the refusal says that nothing was done).
#[test]
fn a_follower_refuses_proposals_and_names_the_leader() {
    let mut bench = node_of(3).with_log(&[1]).start();
    let refused = |actions: &[Action], by| {
        let reason = Refusal::NotLeader { leader: by };
        has(
            actions,
            |action| matches!(action, Action::Refused { reason: why, .. } if *why == reason),
        )
    };
    assert!(refused(&bench.propose(&["x"]), None), "no leader is known");
    let _ = bench.receive(3, 1, heartbeat(id(1, 1), 0));
    assert!(refused(&bench.propose(&["x"]), Some(n(3))));
    assert_eq!(bench.status().last, i(1));
}

/// Scenario B17
#[test]
fn a_leader_whose_disk_does_not_answer_steps_down_and_does_not_stand_again() {
    let mut leader = node_of(3).with_log(&[1]).leader();
    let _ = leader.persist();
    let _ = leader.sleep(HEARTBEAT_MS / 2);
    let _ = leader.propose(&["x"]);
    let mut reasons = Vec::new();
    for _ in 0..=ELECTION_MAX_MS / HEARTBEAT_MS {
        let _ = leader.confirmed_by([2, 3], 2);
        reasons.push(leader.engine.next_timeout().reason);
        let _ = leader.time_out();
    }
    assert!(
        !leader.status().ready && leader.status().counters.step_downs == 1,
        "it gave up"
    );
    assert!(
        reasons.contains(&TimeoutReason::StorageStall),
        "{reasons:?}"
    );
    for _ in 0..10 {
        let _ = leader.time_out();
    }
    assert_eq!(
        leader.status().counters.campaigns,
        1,
        "it could not save its own vote"
    );
    let _ = leader.persist();
    let _ = leader.time_out();
    assert_eq!(
        leader.status().counters.campaigns,
        2,
        "with its disk back it may stand again"
    );
}

/// An append without entries at the end of a log of three, all of t1, in this round.
fn told(commit: u64, round: u64) -> Body {
    Body::Append {
        prev: id(3, 1),
        entries: Entries::empty(),
        commit: i(commit),
        round: r(round),
        last: i(3),
    }
}

/// Scenario B13, [Thesis 6.2] [Thesis 6.4]: what a leader asks is answered, what it tells is not.
#[test]
fn a_commit_told_in_a_round_that_was_answered_is_taken_without_an_answer() {
    let mut bench = node_of(3).with_log(&[1, 1, 1]).start();
    let asked = bench.receive(2, 1, told(1, 4));
    assert_eq!(said_to(&asked, 2).len(), 1, "the first of its round");
    let commit_told = bench.receive(2, 1, told(2, 4));
    assert!(said_to(&commit_told, 2).is_empty());
    assert_eq!(bench.status().commit, i(2));
    let repeated = bench.receive(2, 1, told(2, 4));
    assert_eq!(said_to(&repeated, 2).len(), 1, "it tells no commit");
    let next_round = bench.receive(2, 1, told(3, 5));
    assert_eq!(said_to(&next_round, 2).len(), 1, "a new round asks");
}

/// Rounds start again with every leadership: one that is numbered like the last still asks.
#[test]
fn a_commit_told_by_a_new_leader_is_answered_once() {
    let mut bench = node_of(3).with_log(&[1, 1, 1]).start();
    let _ = bench.receive(2, 1, told(1, 4));
    let of_a_new_term = bench.receive(3, 2, told(2, 4));
    assert_eq!(said_to(&of_a_new_term, 3).len(), 1);
    let commit_told = bench.receive(3, 2, told(3, 4));
    assert!(said_to(&commit_told, 3).is_empty(), "t2 has its answer");
}
