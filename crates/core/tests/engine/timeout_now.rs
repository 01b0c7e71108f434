//! The word to campaign now [Thesis 3.10]: who obeys it, how, and who must not. What the leader
//! that sends it does is in `paper_transfer.rs`.

use quorate_core::{
    Action, Body, Entries, Event, Floor, Incarnation, Membership, Message, RoleName,
};

use super::support::bench::{
    Bench, Past, append, has, heartbeat, life_of, node_of, said_to, saved, vote_reply,
};
use super::support::changes::{members, membership_entry};
use super::support::outcomes::tell_room;
use super::support::{ELECTION_MAX_MS, entries, i, id, ms, n, r, t};

/// The word to campaign, said in this round.
const fn word(round: u64) -> Body {
    Body::TimeoutNow { round: r(round) }
}

/// Node 1 is as far as its leader, in this round.
const fn heartbeat_in_round(round: u64) -> Body {
    Body::Append {
        prev: id(1, 1),
        entries: Entries::empty(),
        commit: i(1),
        round: r(round),
        last: i(1),
    }
}

/// Node 1 of three follows node 2 in term 1 and holds what it holds.
fn follower(past: Past) -> Bench {
    let mut bench = past.start();
    let _ = bench.receive(2, 1, heartbeat(id(1, 1), 1));
    bench
}

/// Scenario F01: the leader is heard by everybody, so a pre-vote would be refused.
#[test]
fn a_target_campaigns_at_once_and_without_asking_for_pre_votes() {
    let mut target = follower(node_of(3).with_log(&[1]));
    let actions = target.receive(2, 1, word(0));
    assert_eq!(target.status().role, RoleName::Candidate);
    let (write, state) = saved(&actions).expect("its own vote");
    assert_eq!((state.term, state.vote), (t(2), Some(n(1))));
    let vote = Body::Vote {
        last: id(1, 1),
        transfer: true,
    };
    for peer in [2, 3] {
        assert_eq!(said_to(&actions, peer), [&vote], "with the leader's word");
    }
    let is_early = |action: &Action| matches!(action, Action::Send { needs, .. } if *needs < write);
    assert!(!has(&actions, is_early), "t2 is not durable yet");
}

/// Scenario F02
#[test]
fn the_flag_of_a_transfer_holds_for_one_campaign() {
    for pre_vote in [true, false] {
        let past = node_of(3).with_log(&[1]);
        let mut target = follower(past.configured(|config| config.pre_vote = pre_vote));
        let _ = target.receive(2, 1, word(0));
        let _ = target.persist();
        let again = target.time_out();
        let asked = said_to(&again, 3);
        if pre_vote {
            assert!(matches!(asked[..], [Body::PreVote { .. }]), "{asked:?}");
            let reply = super::support::bench::pre_vote_reply(3, true);
            let won = target.receive(3, 2, reply);
            assert!(matches!(
                said_to(&won, 2)[..],
                [Body::Vote {
                    transfer: false,
                    ..
                }]
            ));
        } else {
            assert!(
                matches!(
                    asked[..],
                    [Body::Vote {
                        transfer: false,
                        ..
                    }]
                ),
                "{asked:?}"
            );
        }
    }
}

/// Scenario F02: no campaign of a node's own will carries the flag.
#[test]
fn a_campaign_after_a_timeout_has_no_flag() {
    let past = node_of(3).with_log(&[1]);
    let mut bench = past.configured(|config| config.pre_vote = false).start();
    let actions = bench.time_out();
    assert!(matches!(
        said_to(&actions, 2)[..],
        [Body::Vote {
            transfer: false,
            ..
        }]
    ));
}

/// Nobody campaigns although node `from` says so in this term.
fn ignores(bench: &mut Bench, from: u64, term: u64, why: &str) {
    let before = bench.status();
    let actions = bench.receive(from, term, word(0));
    let after = bench.status();
    assert_eq!(after.role, before.role, "{why}");
    assert_eq!(after.counters.campaigns, before.counters.campaigns, "{why}");
    for peer in [2, 3] {
        assert!(said_to(&actions, peer).is_empty(), "{why}: {actions:?}");
    }
}

/// [Thesis 3.10]
#[test]
fn only_the_leader_of_the_term_is_obeyed() {
    let mut bench = node_of(3).with_log(&[1]).start();
    ignores(&mut bench, 2, 1, "no leader is known");
    let _ = bench.receive(2, 1, heartbeat(id(1, 1), 1));
    ignores(&mut bench, 3, 1, "n3 does not lead");
    ignores(&mut bench, 4, 1, "n4 is not even a member");
    ignores(&mut bench, 2, 0, "a word of an older term");
    assert_eq!(bench.status().leader, Some(n(2)));
    ignores(&mut bench, 3, 2, "that n3 leads t2 is not known");
    assert_eq!(bench.status().term, t(2), "the term is adopted as of any");
}

/// [Thesis 3.10]
#[test]
fn a_leader_and_a_candidate_of_the_term_do_not_obey() {
    let mut leader = node_of(3).with_log(&[1]).leader();
    ignores(&mut leader, 2, 2, "it leads itself");
    let past = node_of(3).with_log(&[1]);
    let mut candidate = past.configured(|config| config.pre_vote = false).start();
    let _ = candidate.time_out();
    ignores(&mut candidate, 2, 2, "there is no leader in t2");
}

/// Scenario F07
#[test]
fn a_learner_and_a_node_that_is_no_member_do_not_obey() {
    let learner = Membership::new([n(2), n(3)], [n(1)]);
    let mut bench = follower(node_of(3).with_log(&[1]).among(learner));
    ignores(&mut bench, 2, 1, "a learner leads nobody");
    let others = Membership::new([n(2), n(3)], []);
    let mut bench = follower(node_of(3).with_log(&[1]).among(others));
    ignores(&mut bench, 2, 1, "nobody would count its own vote");
    let mut bench = follower(node_of(3).with_log(&[1]));
    let removal = membership_entry(2, 1, &members(&[2, 3], &[]));
    let _ = bench.receive(2, 1, append(id(1, 1), removal, 1));
    let _ = bench.persist();
    ignores(&mut bench, 2, 1, "it is being removed");
    let mut bench = follower(node_of(3).with_log(&[1]).among(Membership::default()));
    ignores(&mut bench, 2, 1, "it does not know whom to ask");
}

/// Scenario F07: nodes that could not do what a leader has to.
#[test]
fn a_suspect_a_full_and_a_stuck_disk_do_not_obey() {
    let floor = Floor::At(id(5, 1));
    let mut bench = follower(node_of(3).with_log(&[1]).with_floor(floor));
    ignores(&mut bench, 2, 1, "its log has a hole");
    let mut bench = follower(node_of(3).with_log(&[1]));
    let _ = tell_room(&mut bench, 1_000);
    ignores(
        &mut bench,
        2,
        1,
        "it could not append the entry of its term",
    );
    let mut bench = follower(node_of(3).with_log(&[1]));
    let _ = bench.receive(2, 1, append(id(1, 1), entries(2, &[1]), 1));
    let until = bench.now.after(ms(ELECTION_MAX_MS));
    while bench.now < until {
        let _ = bench.sleep(10);
        let _ = bench.receive(2, 1, heartbeat(id(1, 1), 1));
    }
    ignores(&mut bench, 2, 1, "its disk has not answered for 500 ms");
    let _ = bench.persist();
    let _ = bench.receive(2, 1, word(0));
    assert_eq!(bench.status().role, RoleName::Candidate, "it has now");
}

/// [Thesis 3.10] Scenario A02
#[test]
fn a_target_that_wins_leads_like_any_other() {
    let mut target = follower(node_of(3).with_log(&[1]));
    let _ = target.receive(2, 1, word(0));
    let _ = target.receive(3, 2, vote_reply(2, true));
    assert_eq!(
        target.status().role,
        RoleName::Candidate,
        "its own vote is not durable (A02)"
    );
    let _ = target.persist();
    assert_eq!(target.status().role, RoleName::Leader);
}

/// [Thesis 3.10]: a word that the network kept or doubled comes when its transfer is long given up.
#[test]
fn a_word_older_than_what_was_answered_since_is_not_obeyed() {
    let mut target = follower(node_of(3).with_log(&[1]));
    for (round, why) in [(4, "the leader was heard since"), (2, "so was the append")] {
        let _ = target.receive(2, 1, heartbeat_in_round(round));
        let dropped = target.status().counters.dropped;
        let actions = target.receive(2, 1, word(3));
        let status = target.status();
        assert_eq!(status.role, RoleName::Follower, "{why}: {actions:?}");
        assert_eq!(status.counters.dropped, dropped + 1, "{why}");
    }
    let actions = target.receive(2, 1, word(4));
    assert_eq!(target.status().role, RoleName::Candidate, "{actions:?}");
}

/// [Thesis 3.10]: as long as nothing newer was answered, the order on the way does not matter.
#[test]
fn a_word_that_overtakes_the_heartbeat_of_its_round_is_obeyed() {
    let mut target = follower(node_of(3).with_log(&[1]));
    let _ = target.receive(2, 1, heartbeat_in_round(4));
    let _ = target.receive(2, 1, word(5));
    assert_eq!(target.status().role, RoleName::Candidate);
}

/// Rounds are counted anew in each term: what was answered to the leader of an older one says
/// nothing.
#[test]
fn a_word_of_a_new_term_is_not_measured_by_the_rounds_of_an_old_one() {
    let mut target = follower(node_of(3).with_log(&[1]));
    let _ = target.receive(2, 1, heartbeat_in_round(9));
    let _ = target.receive(3, 2, heartbeat_in_round(0));
    let _ = target.receive(3, 2, word(0));
    assert_eq!(target.status().role, RoleName::Candidate);
}

/// Scenario F07: a target that restarted is told in its new life, if the leader still wants it.
#[test]
fn a_word_to_an_earlier_life_is_not_obeyed() {
    let mut target = follower(node_of(3).with_log(&[1]));
    let earlier = Incarnation::new(target.life.get() - 1);
    for receiver in [earlier, Incarnation::UNKNOWN] {
        let actions = target.step(Event::Receive(Message {
            from: n(2),
            to: n(1),
            term: t(1),
            sender: life_of(2),
            receiver,
            body: word(0),
        }));
        assert_eq!(target.status().role, RoleName::Follower, "{actions:?}");
    }
}
