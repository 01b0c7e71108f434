//! Pre-votes [Thesis 9.6] and leader stickiness [Thesis 4.2.3]: what keeps a node that was away,
//! or was removed, from disturbing a leader that works.

use quorate_core::{Body, RoleName};

use super::support::bench::{
    Bench, append, heartbeat, node_of, only_send, pre_vote_reply, pre_vote_request, said_to, saved,
    vote_reply, vote_request,
};
use super::support::world::World;
use super::support::{ELECTION_MAX_MS, ELECTION_MIN_MS, HEARTBEAT_MS, entries, id, ms, n, t};

fn grants_pre_vote(bench: &mut Bench, campaign: u64, last: quorate_core::EntryId) -> bool {
    let actions = bench.receive(2, campaign - 1, pre_vote_request(campaign, last));
    assert_eq!(
        saved(&actions),
        None,
        "a pre-vote changes nothing durable (A04)"
    );
    let (needs, reply) = only_send(&actions);
    assert_eq!(needs.get(), 0, "and so its answer waits for nothing");
    matches!(reply.body, Body::PreVoteReply { granted: true, .. })
}

/// [Thesis 9.6]
#[test]
fn a_silent_term_starts_with_pre_votes_and_leaves_the_term_alone() {
    let mut bench = node_of(3).with_log(&[1]).start();
    let actions = bench.time_out();
    assert_eq!(said_to(&actions, 2), [&pre_vote_request(2, id(1, 1))]);
    assert_eq!(saved(&actions), None, "asking changes nothing");
    assert_eq!(bench.status().term, t(1));
    assert_eq!(bench.status().role, RoleName::PreCandidate);
    let actions = bench.receive(3, 1, pre_vote_reply(2, true));
    assert_eq!(
        saved(&actions).map(|(_, state)| state.term),
        Some(t(2)),
        "now it campaigns"
    );
    assert_eq!(said_to(&actions, 2), [&vote_request(id(1, 1))]);
}

/// [Thesis 9.6]
#[test]
fn pre_votes_for_another_term_or_without_a_majority_start_no_campaign() {
    let mut bench = node_of(5).with_log(&[1]).start();
    let _ = bench.time_out();
    let _ = bench.receive(2, 1, pre_vote_reply(2, true));
    let _ = bench.receive(2, 1, pre_vote_reply(2, true));
    let _ = bench.receive(3, 1, pre_vote_reply(1, true));
    let _ = bench.receive(4, 1, pre_vote_reply(2, false));
    let _ = bench.receive(99, 1, pre_vote_reply(2, true));
    assert_eq!(
        bench.status().role,
        RoleName::PreCandidate,
        "two of five granted for term 2"
    );
    let _ = bench.receive(5, 1, pre_vote_reply(2, true));
    assert_eq!(bench.status().role, RoleName::Candidate);
}

/// [Thesis 9.6] [Raft 5.4.1]
#[test]
fn a_pre_vote_is_granted_like_a_vote_but_only_without_a_leader() {
    let past = || node_of(3).with_log(&[1, 2]).at_term(3);
    assert!(
        grants_pre_vote(&mut past().unled(), 4, id(2, 2)),
        "an equal log, a newer term"
    );
    assert!(
        !grants_pre_vote(&mut past().unled(), 4, id(9, 1)),
        "an older log"
    );
    assert!(
        !grants_pre_vote(&mut past().unled(), 3, id(2, 2)),
        "a term that is over"
    );
    let mut led = past().unled();
    let _ = led.receive(3, 3, heartbeat(id(2, 2), 0));
    assert!(
        !grants_pre_vote(&mut led, 4, id(2, 2)),
        "it has just heard a leader"
    );
    let _ = led.sleep(ELECTION_MIN_MS - 1);
    assert!(
        !grants_pre_vote(&mut led, 4, id(2, 2)),
        "that is not long ago"
    );
    let _ = led.sleep(1);
    assert!(
        grants_pre_vote(&mut led, 4, id(2, 2)),
        "the leader has been silent for too long"
    );
}

/// Scenario A04
#[test]
fn a_pre_vote_leaves_the_real_vote_alone() {
    let mut bench = node_of(3).with_log(&[1]).at_term(6).voted_for(3).start();
    let _ = bench.time_out();
    assert_eq!(
        bench.engine.hard_state().vote,
        Some(n(3)),
        "asking for pre-votes"
    );
    assert!(grants_pre_vote(&mut bench, 7, id(1, 1)));
    assert_eq!(bench.engine.hard_state().vote, Some(n(3)), "granting one");
    let actions = bench.receive(2, 6, vote_request(id(1, 1)));
    let refusal = Body::VoteReply {
        campaign: t(6),
        granted: false,
    };
    assert_eq!(
        only_send(&actions).1.body,
        refusal,
        "term 6 has had its vote"
    );
}

/// Scenario A07
#[test]
fn a_refusal_with_a_newer_term_moves_the_asker_there_and_a_grant_does_not() {
    let mut bench = node_of(5).with_log(&[1]).start();
    let _ = bench.time_out();
    let _ = bench.receive(2, 5, pre_vote_reply(2, true));
    assert_eq!(
        bench.status().term,
        t(1),
        "a grant promises nothing about terms"
    );
    let actions = bench.receive(3, 7, pre_vote_reply(2, false));
    assert_eq!(saved(&actions).map(|(_, state)| state.term), Some(t(7)));
    assert_eq!(
        bench.status().role,
        RoleName::Follower,
        "it asks again for term 8"
    );
    let _ = bench.persist();
    let actions = bench.time_out();
    assert_eq!(said_to(&actions, 3), [&pre_vote_request(8, id(1, 1))]);
}

/// Scenario A07: a pre-vote request from far ahead is answered, not obeyed.
#[test]
fn a_pre_vote_request_of_a_newer_term_moves_nobody() {
    let mut bench = node_of(3).with_log(&[1]).unled();
    let actions = bench.receive(2, 40, pre_vote_request(41, id(1, 1)));
    assert_eq!(only_send(&actions).1.term, t(1));
    assert_eq!(bench.status().term, t(1));
}

/// [Thesis 4.2.3] Scenarios A12, E10
#[test]
fn a_led_follower_refuses_a_candidate_without_adopting_its_term() {
    let mut bench = node_of(3).with_log(&[1]).unled();
    let _ = bench.receive(2, 1, heartbeat(id(1, 1), 0));
    let _ = bench.sleep(ELECTION_MIN_MS - 1);
    let actions = bench.receive(3, 9, vote_request(id(1, 1)));
    assert_eq!(only_send(&actions).1.body, vote_reply(9, false));
    assert_eq!(
        bench.status().term,
        t(1),
        "the leader it hears is not disturbed"
    );
    let _ = bench.sleep(1);
    let actions = bench.receive(3, 9, vote_request(id(1, 1)));
    assert_eq!(
        only_send(&actions).1.body,
        vote_reply(9, true),
        "now the leader is gone"
    );
}

/// [Thesis 4.2.3] Scenario E10: the follower's promise does not end with the leader's term.
#[test]
fn a_follower_that_was_just_led_refuses_its_vote_in_a_term_it_has_already_adopted() {
    let mut bench = node_of(3).with_log(&[1]).unled();
    let _ = bench.receive(2, 1, heartbeat(id(1, 1), 0));
    // A late refusal moves it to term 5 without a vote (scenario A07).
    let _ = bench.receive(3, 5, pre_vote_reply(2, false));
    let _ = bench.persist();
    let actions = bench.receive(3, 5, vote_request(id(1, 1)));
    let refused = "n2 may still hold a lease that counts on this node's silence";
    assert_eq!(
        only_send(&actions).1.body,
        vote_reply(5, false),
        "{refused}"
    );
    let _ = bench.sleep(ELECTION_MIN_MS);
    let actions = bench.receive(3, 5, vote_request(id(1, 1)));
    assert_eq!(
        only_send(&actions).1.body,
        vote_reply(5, true),
        "the promise has run out"
    );
}

/// [Thesis 4.2.3]
#[test]
fn a_leader_refuses_candidates_while_it_leads() {
    let mut bench = node_of(3).with_log(&[1]).leader();
    let actions = bench.receive(3, 9, vote_request(id(5, 8)));
    assert_eq!(said_to(&actions, 3), [&vote_reply(9, false)]);
    assert_eq!(bench.status().role, RoleName::Leader);
}

/// [Thesis 4.2.3]
#[test]
fn a_candidate_sent_by_the_leader_is_not_held_up_by_stickiness() {
    let mut bench = node_of(3).with_log(&[1]).unled();
    let _ = bench.receive(2, 1, heartbeat(id(1, 1), 0));
    let transfer = Body::Vote {
        last: id(1, 1),
        transfer: true,
    };
    let actions = bench.receive(3, 2, transfer);
    assert_eq!(only_send(&actions).1.body, vote_reply(2, true));
}

/// [Thesis 6.4.1]; in its saved term and in a newer one.
#[test]
fn a_restarted_node_votes_for_nobody_for_one_minimum_election_timeout() {
    for term in [4, 5] {
        let past = node_of(3).with_log(&[1]).at_term(4);
        let mut bench = past
            .configured(|config| config.election_timeout_max = ms(9_000))
            .start();
        for _ in 0..5 {
            let actions = bench.receive(2, term, vote_request(id(1, 1)));
            assert_eq!(
                only_send(&actions).1.body,
                vote_reply(term, false),
                "it may have promised a leader its silence just before it stopped"
            );
            let _ = bench.sleep(ELECTION_MIN_MS / 5);
        }
        let actions = bench.receive(2, term, vote_request(id(1, 1)));
        assert_eq!(
            only_send(&actions).1.body,
            vote_reply(term, true),
            "the time is over"
        );
    }
}

/// Scenario A11
#[test]
fn the_term_of_an_isolated_node_never_grows() {
    let mut world = World::new(5);
    world.elect(1);
    for _ in 0..3 {
        world.cut(&[4, 5], &[1, 2, 3]);
        world.advance(ms(4_000));
        assert_eq!(
            world.status(5).term,
            t(1),
            "a minority cannot even agree to campaign"
        );
        world.net.heal();
        world.advance(ms(1_000));
        assert_eq!(world.leader(), Some(1), "nobody deposed the leader");
        assert_eq!(world.status(1).term, t(1));
        assert_eq!(
            world.status(5).leader,
            Some(n(1)),
            "the isolated node follows again"
        );
    }
}

/// Scenario A10 [Thesis 6.2]
#[test]
fn a_leader_that_hears_no_majority_falls_silent_within_one_election_timeout() {
    let mut world = World::new(3);
    world.elect(1);
    world.net.cut((n(2), n(1)));
    world.net.cut((n(3), n(1)));
    world.advance(ms(2_000));
    assert_ne!(
        world.status(1).role,
        RoleName::Leader,
        "its heartbeats kept the others quiet"
    );
    let leader = world
        .leader()
        .expect("the others elected one of themselves");
    assert_ne!(leader, 1);
    world.propose(leader, &["x"]);
    world.settle();
    assert_eq!(world.applied(leader), ["x"]);
}

/// Scenario B17: it would campaign with a vote that it cannot save.
#[test]
fn a_node_whose_disk_got_stuck_since_it_asked_does_not_campaign() {
    let mut bench = node_of(3).with_log(&[1]).start();
    let _ = bench.receive(2, 1, append(id(1, 1), entries(2, &[1]), 1));
    let stuck_at = bench.now.after(ms(ELECTION_MAX_MS));
    let _ = bench.time_out();
    let left = stuck_at.since(bench.now).as_millis();
    let _ = bench.sleep(left as u64 + 1);
    assert_eq!(bench.status().role, RoleName::PreCandidate);
    let actions = bench.receive(3, 1, pre_vote_reply(2, true));
    assert_eq!(
        saved(&actions),
        None,
        "its disk has not answered for 500 ms"
    );
    assert_eq!(said_to(&actions, 2), [] as [&Body; 0]);
    let _ = bench.persist();
    let actions = bench.receive(3, 1, pre_vote_reply(2, true));
    assert_eq!(said_to(&actions, 2), [&vote_request(id(2, 1))]);
}

/// Scenario A10
#[test]
fn a_follower_that_cannot_send_does_not_campaign() {
    let mut world = World::new(3);
    world.elect(1);
    world.net.cut((n(3), n(1)));
    world.net.cut((n(3), n(2)));
    world.advance(ms(4_000));
    assert_eq!(world.status(3).leader, Some(n(1)));
    assert_eq!(world.leader(), Some(1));
    assert_eq!(world.status(1).term, t(1));
}

/// [Thesis 6.2]; the positive twin: a majority that answers is enough.
#[test]
fn a_leader_with_a_majority_stays_however_many_others_are_silent() {
    let mut world = World::new(5);
    world.elect(1);
    world.cut(&[4, 5], &[1, 2, 3]);
    world.advance(ms(HEARTBEAT_MS * 200));
    assert_eq!((world.leader(), world.status(1).term), (Some(1), t(1)));
}
