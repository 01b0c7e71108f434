//! Elections, rule by rule: terms, votes and timeouts [Raft 5.1] [Raft 5.2], the up-to-date log
//! [Raft 5.4.1], and what must be durable. Pre-votes and stickiness are in `paper_pre_vote.rs`.

use quorate_core::{
    Action, Body, EntryId, Floor, HardState, Membership, RoleName, TimeoutReason, Violation,
};

use super::support::bench::{
    Bench, append, heartbeat, node_of, only_send, pre_vote_reply, said_to, saved, sends, vote_of,
    vote_reply, vote_request,
};
use super::support::changes::{members, membership_entry};
use super::support::{ELECTION_MAX_MS, ELECTION_MIN_MS, id, n, t};

/// Asks node 1 for its vote; whether it was granted.
fn asks(bench: &mut Bench, candidate: u64, term: u64, last: EntryId) -> bool {
    let actions = bench.receive(candidate, term, vote_request(last));
    let (_, reply) = only_send(&actions);
    assert_eq!(reply.to, n(candidate), "the candidate is answered");
    matches!(reply.body, Body::VoteReply { granted: true, campaign } if campaign == t(term))
}

/// Node 1 of five, campaigning in term 1 with a durable vote.
fn candidate_of_five() -> Bench {
    let mut bench = node_of(5)
        .configured(|config| config.pre_vote = false)
        .start();
    let _ = bench.time_out();
    let _ = bench.persist();
    assert_eq!(bench.status().role, RoleName::Candidate);
    bench
}

/// [Raft 5.1]
#[test]
fn any_node_moves_to_a_newer_term_and_follows_when_a_message_carries_one() {
    let mut follower = node_of(3).with_log(&[1]).unled();
    let mut leader = node_of(3).with_log(&[1]).leader();
    let mut candidate = candidate_of_five();
    for bench in [&mut follower, &mut leader, &mut candidate] {
        let actions = bench.receive(2, 9, vote_reply(9, false));
        let (_, state) = saved(&actions).expect("a newer term is saved");
        assert_eq!(
            (state.term, state.vote),
            (t(9), None),
            "a new term starts without a vote"
        );
        assert_eq!(
            bench.status().role,
            RoleName::Follower,
            "whoever is behind follows"
        );
    }
}

/// [Raft 5.1]
#[test]
fn a_request_of_an_older_term_is_refused_with_the_newer_term() {
    let mut bench = node_of(3).with_log(&[1]).at_term(5).unled();
    let actions = bench.receive(2, 4, vote_request(id(9, 4)));
    assert_eq!(
        only_send(&actions).1.term,
        t(5),
        "the asker learns that it is behind"
    );
    assert_eq!(saved(&actions), None, "an old term changes nothing");
    let actions = bench.receive(2, 4, heartbeat(id(1, 1), 0));
    assert_eq!(
        only_send(&actions).1.term,
        t(5),
        "an old leader learns that it is deposed"
    );
    assert_eq!(
        bench.status().leader,
        None,
        "the leader of an old term leads nobody"
    );
}

/// [Raft 5.2]
#[test]
fn a_node_starts_as_follower_and_stays_one_while_it_hears_a_leader() {
    let mut bench = node_of(3).with_log(&[1]).start();
    assert_eq!(bench.status().role, RoleName::Follower);
    for _ in 0..100 {
        let _ = bench.sleep(ELECTION_MIN_MS - 1);
        let _ = bench.receive(2, 1, heartbeat(id(1, 1), 0));
    }
    assert_eq!(
        bench.status().role,
        RoleName::Follower,
        "the leader is there"
    );
    assert_eq!(bench.status().term, t(1), "nobody campaigned");
}

/// [Raft 5.2]
#[test]
fn a_follower_that_hears_nobody_campaigns_in_the_next_term_with_its_own_vote() {
    let mut bench = node_of(3)
        .with_log(&[1])
        .configured(|config| config.pre_vote = false)
        .start();
    assert_eq!(bench.engine.next_timeout().reason, TimeoutReason::Election);
    let actions = bench.time_out();
    let (write, state) = saved(&actions).expect("term and vote are saved");
    assert_eq!((state.term, state.vote), (t(2), Some(n(1))));
    for peer in [2, 3] {
        assert_eq!(
            said_to(&actions, peer),
            [&vote_request(id(1, 1))],
            "every voter is asked"
        );
    }
    for (needs, _) in sends(&actions) {
        assert_eq!(
            needs, write,
            "the request reveals the term: it is saved before (A01)"
        );
    }
}

/// [Raft 5.2] [Raft 9.3]
#[test]
fn election_timeouts_are_drawn_anew_from_the_whole_range() {
    let mut drawn = Vec::new();
    for seed in 0..200 {
        let mut bench = node_of(3).configured(|config| config.seed = seed).start();
        let _ = bench.receive(2, 1, heartbeat(EntryId::NONE, 0));
        let wait = bench.engine.next_timeout().at.since(bench.now);
        drawn.push(u64::try_from(wait.as_millis()).unwrap());
    }
    let (min, max) = (*drawn.iter().min().unwrap(), *drawn.iter().max().unwrap());
    assert!(
        min >= ELECTION_MIN_MS && max <= ELECTION_MAX_MS,
        "drawn from {min} to {max} ms"
    );
    let spread = (ELECTION_MAX_MS - ELECTION_MIN_MS) / 10;
    assert!(min < ELECTION_MIN_MS + spread, "the lower end is drawn too");
    assert!(max > ELECTION_MAX_MS - spread, "the upper end is drawn too");
}

/// [Raft 5.2]
#[test]
fn a_candidate_leads_exactly_when_a_majority_of_the_voters_granted() {
    for count in 1..=7u64 {
        for granted in 0..count {
            let past = node_of(count).configured(|config| config.pre_vote = false);
            let mut bench = past.start();
            let _ = bench.time_out();
            let _ = bench.persist();
            for voter in 2..=granted + 1 {
                let _ = bench.receive(voter, 1, vote_reply(1, true));
            }
            let leads = bench.status().role == RoleName::Leader;
            let votes = granted + 1;
            assert_eq!(leads, votes * 2 > count, "{votes} votes of {count}");
        }
    }
}

/// [Raft 5.2]
#[test]
fn repeated_refused_and_foreign_votes_do_not_elect() {
    let mut bench = candidate_of_five();
    for _ in 0..3 {
        let _ = bench.receive(2, 1, vote_reply(1, true));
    }
    let _ = bench.receive(3, 1, vote_reply(1, false));
    let _ = bench.receive(77, 1, vote_reply(1, true));
    assert_eq!(
        bench.status().role,
        RoleName::Candidate,
        "two of five voters granted"
    );
    let _ = bench.receive(4, 1, vote_reply(1, true));
    assert_eq!(bench.status().role, RoleName::Leader, "three did");
}

/// [Raft 5.2]
#[test]
fn a_vote_of_an_earlier_campaign_does_not_count_in_a_later_one() {
    let mut bench = candidate_of_five();
    let _ = bench.time_out();
    let _ = bench.persist();
    assert_eq!(bench.status().term, t(2), "it campaigns again");
    for voter in [2, 3, 4, 5] {
        let _ = bench.receive(voter, 1, vote_reply(1, true));
    }
    assert_eq!(
        bench.status().role,
        RoleName::Candidate,
        "those votes were for term 1"
    );
}

/// [Raft 5.2]
#[test]
fn a_candidate_follows_the_leader_of_its_term_even_when_the_logs_conflict() {
    // Scenario A17
    let mut bench = node_of(3)
        .with_log(&[1])
        .configured(|config| config.pre_vote = false)
        .start();
    let _ = bench.time_out();
    let actions = bench.receive(2, 2, heartbeat(id(9, 2), 0));
    assert_eq!(
        bench.status().role,
        RoleName::Follower,
        "its term has a leader"
    );
    assert_eq!(bench.status().leader, Some(n(2)));
    assert_eq!(
        said_to(&actions, 2).len(),
        1,
        "and is told where the logs part"
    );
}

/// [Raft 5.2]
#[test]
fn a_node_votes_once_per_term_first_come_first_served() {
    let mut bench = node_of(5).with_log(&[1]).unled();
    assert!(
        asks(&mut bench, 3, 2, id(1, 1)),
        "the first candidate gets the vote"
    );
    assert!(
        !asks(&mut bench, 4, 2, id(9, 1)),
        "the second does not, whatever its log"
    );
    assert!(asks(&mut bench, 3, 2, id(1, 1)), "the first is told again");
    let _ = bench.persist();
    assert!(
        asks(&mut bench, 4, 3, id(1, 1)),
        "a newer term has a vote of its own"
    );
}

/// [Raft 5.2]: whoever leads the term has the votes of a majority, and this one would be wasted.
#[test]
fn a_node_that_knows_the_leader_of_a_term_gives_no_vote_in_it() {
    let mut bench = node_of(5).with_log(&[1]).at_term(2).unled();
    let _ = bench.receive(2, 2, heartbeat(id(1, 1), 1));
    let transfer = Body::Vote {
        last: id(9, 1),
        transfer: true,
    };
    let actions = bench.receive(3, 2, transfer);
    assert_eq!(saved(&actions), None, "nor does a vote delay its election");
    assert_eq!(said_to(&actions, 3), [&vote_reply(2, false)]);
}

/// [Raft 5.2]; the vote survives a restart.
#[test]
fn a_restarted_node_keeps_the_vote_it_gave() {
    let mut bench = node_of(5).with_log(&[1]).at_term(2).voted_for(3).unled();
    assert!(!asks(&mut bench, 4, 2, id(9, 2)), "term 2 has had its vote");
    assert!(
        asks(&mut bench, 3, 2, id(1, 1)),
        "whoever had it still has it"
    );
}

/// Scenario A01
#[test]
fn a_granted_vote_waits_until_it_is_durable() {
    let mut bench = node_of(3).with_log(&[1]).unled();
    let actions = bench.receive(2, 2, vote_request(id(1, 1)));
    let (write, _) = saved(&actions).expect("the vote is saved");
    assert_eq!(vote_of(&actions), Some(n(2)));
    assert_eq!(
        only_send(&actions).0,
        write,
        "the answer leaves when the vote is durable"
    );
    let again = bench.receive(2, 2, vote_request(id(1, 1)));
    assert_eq!(
        only_send(&again).0,
        write,
        "asked again, it still waits for the same write"
    );
    let _ = bench.persist();
    let later = bench.receive(2, 2, vote_request(id(1, 1)));
    assert_eq!(
        only_send(&later).0.get(),
        0,
        "a durable vote is told at once"
    );
}

/// Scenario A02 [Thesis 3.8]
#[test]
fn a_candidate_does_not_lead_before_its_own_vote_is_durable() {
    for count in [1, 3, 5] {
        let past = node_of(count).configured(|config| config.pre_vote = false);
        let mut bench = past.start();
        let _ = bench.time_out();
        for voter in bench.others() {
            let _ = bench.receive(voter, 1, vote_reply(1, true));
        }
        assert_eq!(
            bench.status().role,
            RoleName::Candidate,
            "of {count} voters all others granted, and a restart would forget the term"
        );
        let _ = bench.persist();
        assert_eq!(
            bench.status().role,
            RoleName::Leader,
            "the own vote is durable now"
        );
    }
}

/// Scenario A03
#[test]
fn term_and_vote_are_saved_as_one() {
    let mut bench = node_of(3).with_log(&[1]).unled();
    let actions = bench.receive(2, 6, vote_request(id(1, 1)));
    let saves = actions
        .iter()
        .filter(|action| matches!(action, Action::SaveHardState { .. }));
    assert_eq!(saves.count(), 1, "two saves could be torn apart");
    let expected = HardState {
        term: t(6),
        vote: Some(n(2)),
        floor: None,
    };
    assert_eq!(saved(&actions).map(|(_, state)| state), Some(expected));
}

/// [Raft 5.4.1] Scenario A16
#[test]
fn a_vote_goes_only_to_a_log_at_least_as_recent() {
    for (candidate, granted, why) in [
        (id(3, 2), true, "an equal log"),
        (id(4, 2), true, "a longer log of the same term"),
        (id(1, 3), true, "a shorter log of a newer term"),
        (id(2, 2), false, "a shorter log of the same term"),
        (id(9, 1), false, "a longer log of an older term"),
        (EntryId::NONE, false, "an empty log"),
    ] {
        let mut bench = node_of(3).with_log(&[1, 1, 2]).unled();
        assert_eq!(asks(&mut bench, 2, 7, candidate), granted, "{why}");
        assert_eq!(bench.status().term, t(7), "the term is adopted either way");
    }
}

/// [Raft 5.2]
#[test]
fn granting_a_vote_restarts_the_election_timer_and_refusing_does_not() {
    let mut bench = node_of(3).with_log(&[1, 2]).unled();
    let before = bench.engine.next_timeout().at;
    let _ = bench.sleep(5_000);
    assert!(!asks(&mut bench, 2, 3, id(1, 1)), "the log is too old");
    assert_eq!(
        bench.engine.next_timeout().at,
        before,
        "a hopeless candidate delays nobody"
    );
    assert!(asks(&mut bench, 3, 4, id(2, 2)));
    assert_ne!(
        bench.engine.next_timeout().at,
        before,
        "a fair candidate gets its time"
    );
}

/// Scenario A18
#[test]
fn a_node_stops_when_two_nodes_lead_one_term() {
    let mut follower = node_of(3).with_log(&[1]).start();
    let _ = follower.receive(2, 1, heartbeat(id(1, 1), 0));
    let actions = follower.receive(3, 1, heartbeat(id(1, 1), 0));
    let expected = Violation::TwoLeaders {
        term: t(1),
        known: n(2),
        claimed: n(3),
    };
    assert_eq!(
        actions,
        [Action::Fatal(expected)],
        "both are named, and nothing is written"
    );
    assert!(follower.engine.is_stopped());
    assert!(
        follower.propose(&["x"]).is_empty(),
        "a stopped engine does nothing more"
    );

    let mut leader = node_of(3).with_log(&[1]).leader();
    let actions = leader.receive(3, 2, heartbeat(id(1, 1), 0));
    let expected = Violation::TwoLeaders {
        term: t(2),
        known: n(1),
        claimed: n(3),
    };
    assert_eq!(
        actions,
        [Action::Fatal(expected)],
        "the leader itself is one of them"
    );
}

/// A node that may have lost entries it acknowledged must not help an older log to win, nor win.
#[test]
fn a_damaged_node_votes_only_above_its_floor_and_does_not_campaign() {
    for (floor, candidate, granted) in [
        (Floor::At(id(5, 2)), id(4, 2), false),
        (Floor::At(id(5, 2)), id(5, 2), true),
        (Floor::AnyIndexOf(t(2)), id(900, 2), false),
        (Floor::AnyIndexOf(t(2)), id(3, 3), true),
    ] {
        let mut bench = node_of(3).with_log(&[1, 2]).with_floor(floor).unled();
        assert_eq!(
            asks(&mut bench, 2, 7, candidate),
            granted,
            "{floor:?} against {candidate}"
        );
    }
    let floor = Floor::At(id(5, 2));
    let mut bench = node_of(3).with_log(&[1, 2]).with_floor(floor).start();
    for _ in 0..5 {
        assert!(
            bench.time_out().is_empty(),
            "it would elect a log with a hole"
        );
    }
}

/// Scenario C07: a learner receives the log and counts for nothing.
#[test]
fn a_learner_never_campaigns() {
    let members = quorate_core::Membership::new([n(2), n(3)], [n(1)]);
    let mut bench = node_of(3).with_log(&[1]).among(members).start();
    for _ in 0..5 {
        assert!(
            bench.time_out().is_empty(),
            "a learner has no part in elections"
        );
    }
    assert_eq!(bench.status().term, t(1));
}

/// [Raft 5.2]; a grant of a pre-vote is not a vote.
#[test]
fn a_pre_vote_grant_does_not_count_as_a_vote() {
    let mut bench = candidate_of_five();
    for voter in [2, 3, 4, 5] {
        let _ = bench.receive(voter, 1, pre_vote_reply(2, true));
    }
    assert_eq!(bench.status().role, RoleName::Candidate);
}

/// Scenario A20: it may have voted before it was wiped, whatever others believe.
#[test]
fn a_node_without_members_gives_no_vote_until_the_log_has_come_to_it() {
    let mut bench = node_of(3).among(Membership::default()).unled();
    assert!(!asks(&mut bench, 2, 1, id(1, 1)));
    let founders = membership_entry(1, 2, &members(&[1, 2, 3], &[]));
    let _ = bench.receive(2, 2, append(EntryId::NONE, founders, 1));
    let _ = bench.persist();
    let _ = bench.sleep(ELECTION_MIN_MS);
    assert!(asks(&mut bench, 3, 3, id(1, 2)), "now it is a voter");
}
