//! Handing leadership over [Thesis 3.10]: whom a leader takes, what it does meanwhile, and what
//! ends it. Each request has exactly one answer. That a lease ends with it is in
//! `paper_lease.rs`; who refuses the word to campaign is in `timeout_now.rs`.

use quorate_core::{
    Action, Body, Change, ChangeRefusal, Membership, Refusal, Request, RoleName, Round,
    TimeoutReason, TransferRefusal,
};

use super::support::bench::{
    Bench, heartbeat, is_told, life_of, matched, node_of, pre_vote_reply, said_to,
};
use super::support::outcomes::{
    ask_change, ask_transfer, proposal_refusal, read_refusal, ready_reads, refusals, transfer_ends,
};
use super::support::world::World;
use super::support::{ELECTION_MAX_MS, HEARTBEAT_MS, i, id, ms, n, r, t};

/// Node 1 leads voters 1 to `count` in term 1; everybody holds its first entry.
fn settled_leader(count: u64) -> Bench {
    let mut leader = node_of(count).leader();
    let _ = leader.persist();
    let others = leader.others();
    let _ = leader.confirmed_by(others, 1);
    leader
}

fn refused(why: TransferRefusal) -> Vec<Result<u64, Refusal>> {
    vec![Err(Refusal::Transfer(why))]
}

/// To whom these actions say that they should campaign.
fn told(actions: &[Action], count: u64) -> Vec<u64> {
    (1..=count).filter(|peer| is_told(actions, *peer)).collect()
}

/// The word of the target, in the term after `term`.
fn campaign_of(leader: &mut Bench, target: u64, last: u64) -> Vec<Action> {
    let vote = Body::Vote {
        last: id(last, 1),
        transfer: true,
    };
    leader.receive(target, 2, vote)
}

/// [Thesis 3.10]
#[test]
fn a_target_that_holds_everything_is_told_to_campaign_at_once() {
    let mut leader = settled_leader(3);
    let actions = ask_transfer(&mut leader, 7, Some(2));
    assert_eq!(told(&actions, 3), [2]);
    assert_eq!(transfer_ends(&actions, 7), [], "it may yet fail");
    assert_eq!(leader.status().transfer_target, Some(n(2)));
    let actions = campaign_of(&mut leader, 2, 1);
    assert_eq!(transfer_ends(&actions, 7), [Ok(2)]);
    assert_eq!(leader.status().role, RoleName::Follower);
    assert_eq!(leader.status().counters.transfers, 1);
    assert_eq!(leader.status().transfer_target, None);
}

/// Scenario F03
#[test]
fn a_target_that_lacks_something_is_told_when_it_has_confirmed_the_last_entry() {
    let mut leader = settled_leader(3);
    let _ = leader.propose(&["x", "y"]);
    let actions = ask_transfer(&mut leader, 1, Some(2));
    assert_eq!(told(&actions, 3), [], "n2 lacks i2 and i3");
    assert_eq!(told(&leader.confirmed_by([2], 2), 3), []);
    assert_eq!(told(&leader.confirmed_by([3], 3), 3), [], "that is n3");
    assert_eq!(told(&leader.confirmed_by([2], 3), 3), [2]);
    assert_eq!(told(&leader.confirmed_by([2], 3), 3), [], "once");
}

/// Scenario F03
#[test]
fn nothing_is_appended_from_the_request_until_the_transfer_ends() {
    let mut leader = settled_leader(3);
    let _ = leader.propose(&["x"]);
    for is_told in [false, true] {
        if is_told {
            let _ = leader.confirmed_by([2], 2);
        } else {
            let _ = ask_transfer(&mut leader, 1, Some(2));
        }
        let actions = leader.propose(&["y"]);
        assert_eq!(proposal_refusal(&actions), Some(Refusal::HandingOver));
        let address = String::new();
        let learner = Change::AddLearner {
            node: n(4),
            address,
        };
        let actions = ask_change(&mut leader, 1, learner);
        let reason = Refusal::Change(ChangeRefusal::HandingOver);
        assert_eq!(refusals(&actions).first().map(|end| end.1), Some(reason));
        assert_eq!(leader.status().last, i(2), "n2 would lose the election");
    }
}

/// Scenario F03: a voter that joins is not promoted meanwhile.
#[test]
fn a_joining_voter_is_not_promoted_while_a_transfer_runs() {
    let mut leader = settled_leader(3);
    let (node, address) = (n(4), String::new());
    let _ = ask_change(&mut leader, 1, Change::AddVoter { node, address });
    let _ = leader.persist();
    let _ = leader.confirmed_by([2, 3], 2);
    let _ = ask_transfer(&mut leader, 1, Some(2));
    let _ = leader.confirmed_by([4], 2);
    assert_eq!(leader.status().last, i(2), "i3 would promote n4");
    while leader.status().transfer_target.is_some() {
        let _ = leader.time_out();
        let _ = leader.confirmed_by([2, 3, 4], 2);
    }
    assert_eq!(leader.status().last, i(3), "then it is");
}

/// Scenario F05
#[test]
fn a_transfer_that_takes_too_long_is_given_up_and_writes_go_on() {
    let mut leader = settled_leader(3);
    let _ = leader.sleep(HEARTBEAT_MS / 5);
    let asked = leader.now;
    let _ = ask_transfer(&mut leader, 1, Some(2));
    let deadline = asked.after(ms(ELECTION_MAX_MS));
    let mut ends = Vec::new();
    while ends.is_empty() {
        assert!(leader.now < deadline, "one election timeout");
        let timeout = leader.engine.next_timeout();
        let actions = leader.time_out();
        ends = transfer_ends(&actions, 1);
        assert_eq!(ends.is_empty(), timeout.reason != TimeoutReason::Transfer);
        let _ = leader.confirmed_by([2, 3], 1);
    }
    assert_eq!(ends, [Err(Refusal::TimedOut)]);
    assert_eq!(leader.now, deadline);
    assert_eq!(proposal_refusal(&leader.propose(&["x"])), None);
    let actions = ask_transfer(&mut leader, 2, Some(3));
    assert_eq!(transfer_ends(&actions, 2), [], "another may be tried");
    assert_eq!(leader.status().transfer_target, Some(n(3)));
}

/// Scenario F05
#[test]
fn heartbeats_and_rounds_for_reads_go_on_during_a_transfer() {
    let mut leader = settled_leader(3);
    let _ = ask_transfer(&mut leader, 1, Some(2));
    let actions = leader.sleep(HEARTBEAT_MS);
    for peer in [2, 3] {
        let said = said_to(&actions, peer);
        let heartbeats = said
            .iter()
            .filter(|body| !matches!(body, Body::TimeoutNow { .. }));
        assert_eq!(heartbeats.count(), 1, "n{peer} would campaign");
    }
    let _ = leader.read(1);
    assert_eq!(
        ready_reads(&leader.receive(3, 1, matched(1, 1, r(2)))),
        [(1, 1)]
    );
}

/// [Thesis 3.10]: the word to campaign may be lost, like any other.
#[test]
fn the_word_to_campaign_is_repeated_with_every_heartbeat_until_the_deadline() {
    let mut leader = settled_leader(3);
    let _ = leader.propose(&["x"]);
    let _ = leader.persist();
    let _ = ask_transfer(&mut leader, 1, Some(2));
    let actions = leader.sleep(HEARTBEAT_MS);
    assert_eq!(told(&actions, 3), [], "it lacks i2");
    assert_eq!(told(&leader.confirmed_by([2, 3], 2), 3), [2]);
    for _ in 0..3 {
        let actions = leader.sleep(HEARTBEAT_MS / 2);
        assert_eq!(told(&actions, 3), [], "between heartbeats there is no need");
        let actions = leader.sleep(HEARTBEAT_MS / 2);
        assert_eq!(told(&actions, 3), [2], "as if it were the first");
        assert_eq!(told(&leader.confirmed_by([2, 3], 2), 3), []);
    }
    while leader.status().transfer_target.is_some() {
        let _ = leader.time_out();
        let _ = leader.confirmed_by([2, 3], 2);
    }
    for _ in 0..3 {
        let actions = leader.sleep(HEARTBEAT_MS);
        assert_eq!(told(&actions, 3), [], "it leads on itself");
    }
}

/// Scenario F05: nothing of a transfer outlives the leadership.
#[test]
fn a_node_that_leads_again_takes_writes_whatever_became_of_its_transfer() {
    let mut leader = settled_leader(3);
    let _ = ask_transfer(&mut leader, 1, Some(2));
    let _ = campaign_of(&mut leader, 2, 1);
    let _ = leader.time_out();
    let _ = leader.persist();
    let vote = Body::VoteReply {
        campaign: t(3),
        granted: true,
    };
    let _ = leader.receive(3, 3, vote);
    assert_eq!(leader.status().role, RoleName::Leader);
    assert_eq!(leader.status().transfer_target, None);
    assert_eq!(proposal_refusal(&leader.propose(&["x"])), None);
}

/// Scenario F04
#[test]
fn a_target_is_refused_when_it_lags_further_than_a_timeout_may_make_good() {
    let mut leader = settled_leader(3);
    let _ = leader.propose(&vec!["x"; 10_001]);
    let actions = ask_transfer(&mut leader, 1, Some(2));
    let too_far = refused(TransferRefusal::TooFarBehind);
    assert_eq!(transfer_ends(&actions, 1), too_far);
    assert_eq!(proposal_refusal(&leader.propose(&["y"])), None);
    let _ = leader.confirmed_by([2], 3);
    let actions = ask_transfer(&mut leader, 2, Some(2));
    assert_eq!(transfer_ends(&actions, 2), [], "ten thousand are allowed");
}

/// Scenario F04
#[test]
fn a_target_is_refused_while_its_log_is_not_known_to_agree_or_it_is_silent() {
    let mut leader = node_of(3).leader();
    let too_far = refused(TransferRefusal::TooFarBehind);
    let actions = ask_transfer(&mut leader, 1, Some(2));
    assert_eq!(transfer_ends(&actions, 1), too_far, "n2 was never heard");
    let _ = leader.persist();
    let _ = leader.confirmed_by([2, 3], 1);
    for _ in 0..=ELECTION_MAX_MS / HEARTBEAT_MS {
        let _ = leader.sleep(HEARTBEAT_MS);
        let _ = leader.confirmed_by([3], 1);
    }
    let actions = ask_transfer(&mut leader, 2, Some(2));
    assert_eq!(transfer_ends(&actions, 2), too_far, "n2 fell silent");
}

/// Scenario F07
#[test]
fn a_target_that_cannot_lead_is_refused_with_the_reason() {
    let members = Membership::new([1, 2, 3].map(n), [n(4)]);
    let mut leader = node_of(3).among(members).leader();
    let _ = leader.persist();
    let _ = leader.confirmed_by([2, 4], 1);
    let _ = leader.receive(3, 1, suspect_matched(1));
    for (target, why) in [
        (1, TransferRefusal::Itself),
        (3, TransferRefusal::Suspect),
        (4, TransferRefusal::Learner),
        (5, TransferRefusal::UnknownNode),
    ] {
        let actions = ask_transfer(&mut leader, target, Some(target));
        assert_eq!(transfer_ends(&actions, target), refused(why));
        assert_eq!(told(&actions, 5), [], "n{target} cannot lead");
    }
    let _ = ask_transfer(&mut leader, 6, Some(2));
    let actions = ask_transfer(&mut leader, 7, None);
    assert_eq!(
        transfer_ends(&actions, 7),
        refused(TransferRefusal::InFlight)
    );
    assert_eq!(transfer_ends(&actions, 6), [], "the first goes on");
}

fn suspect_matched(index: u64) -> Body {
    Body::AppendReply {
        asked: t(1),
        round: Round::ZERO,
        outcome: quorate_core::AppendOutcome::Matched(i(index)),
        suspect: true,
    }
}

/// Scenario F07
#[test]
fn a_node_that_does_not_lead_refuses_and_names_the_leader() {
    let mut bench = node_of(3).with_log(&[1]).start();
    let _ = bench.receive(2, 1, heartbeat(id(1, 1), 1));
    let leader = Some(n(2));
    let actions = ask_transfer(&mut bench, 1, Some(3));
    assert_eq!(
        transfer_ends(&actions, 1),
        [Err(Refusal::NotLeader { leader })]
    );
    let mut candidate = node_of(3)
        .configured(|config| config.pre_vote = false)
        .start();
    let _ = candidate.time_out();
    assert_eq!(candidate.status().role, RoleName::Candidate);
    let actions = ask_transfer(&mut candidate, 2, None);
    assert_eq!(
        transfer_ends(&actions, 2),
        [Err(Refusal::NotLeader { leader: None })]
    );
}

/// [Thesis 3.10]
#[test]
fn the_best_target_is_the_fit_voter_that_holds_most() {
    let mut leader = settled_leader(5);
    let _ = leader.propose(&["x", "y", "z"]);
    let _ = leader.confirmed_by([2], 2);
    let _ = leader.confirmed_by([3], 3);
    let _ = leader.receive(4, 1, suspect_matched(4));
    let actions = ask_transfer(&mut leader, 1, None);
    assert_eq!(transfer_ends(&actions, 1), []);
    assert_eq!(leader.status().transfer_target, Some(n(3)), "n4 is suspect");
}

/// Scenario F07
#[test]
fn a_leader_without_anybody_to_take_over_says_so_and_leads_on() {
    let mut alone = settled_leader(1);
    let nobody = refused(TransferRefusal::NoTarget);
    let actions = ask_transfer(&mut alone, 1, None);
    assert_eq!(transfer_ends(&actions, 1), nobody);
    assert_eq!(proposal_refusal(&alone.propose(&["x"])), None);
    let mut unheard = node_of(3).leader();
    let actions = ask_transfer(&mut unheard, 2, None);
    assert_eq!(transfer_ends(&actions, 2), nobody);
}

/// Scenario C19
#[test]
fn a_target_is_not_removed_while_the_transfer_runs_and_can_be_after_it() {
    let mut leader = settled_leader(3);
    let _ = ask_transfer(&mut leader, 1, Some(3));
    let actions = ask_change(&mut leader, 1, Change::Remove { node: n(3) });
    let request = Request::Change(quorate_core::ChangeId::new(1));
    let reason = Refusal::Change(ChangeRefusal::HandingOver);
    assert_eq!(refusals(&actions), [(request, reason)]);
    while leader.status().transfer_target.is_some() {
        let _ = leader.time_out();
        let _ = leader.confirmed_by([2, 3], 1);
    }
    let actions = ask_change(&mut leader, 2, Change::Remove { node: n(3) });
    assert_eq!(refusals(&actions), []);
    let actions = ask_transfer(&mut leader, 2, Some(3));
    let unknown = refused(TransferRefusal::UnknownNode);
    assert_eq!(transfer_ends(&actions, 2), unknown, "it is on its way out");
    assert_eq!(proposal_refusal(&leader.propose(&["x"])), None);
}

/// Scenario C19: with the leader itself removed and gone, its transfer is over too.
#[test]
fn a_leader_that_leaves_after_its_removal_answers_its_transfer() {
    let mut leader = settled_leader(3);
    let _ = ask_change(&mut leader, 1, Change::Remove { node: n(1) });
    let _ = leader.confirmed_by([3], 1);
    let _ = ask_transfer(&mut leader, 1, Some(3));
    let _ = leader.persist();
    let _ = leader.confirmed_by([2], 2);
    let actions = leader.confirmed_by([3], 2);
    assert_eq!(leader.status().role, RoleName::Follower);
    assert_eq!(told(&actions, 3), [3]);
    assert_eq!(transfer_ends(&actions, 1).len(), 1, "{actions:#?}");
}

/// Scenario E14: an unfinished transfer ends with the leadership, and not as a success.
#[test]
fn a_transfer_whose_target_was_not_told_is_refused_when_the_leader_is_deposed() {
    let mut leader = settled_leader(3);
    let _ = leader.propose(&["x"]);
    let _ = ask_transfer(&mut leader, 1, Some(2));
    let actions = leader.receive(3, 5, pre_vote_reply(2, false));
    let gone = Refusal::NotLeader { leader: None };
    assert_eq!(transfer_ends(&actions, 1), [Err(gone)]);
    assert_eq!(leader.status().counters.transfers, 0);
}

/// Scenario E14
#[test]
fn a_transfer_ends_once_when_the_leader_loses_its_majority() {
    let mut leader = settled_leader(3);
    let _ = leader.sleep(HEARTBEAT_MS / 2);
    let _ = ask_transfer(&mut leader, 1, Some(2));
    let mut ends = Vec::new();
    while leader.status().role == RoleName::Leader {
        ends.extend(transfer_ends(&leader.time_out(), 1));
    }
    let gone = Refusal::NotLeader { leader: None };
    assert_eq!(ends, [Err(gone)]);
    assert_eq!(leader.status().counters.quorum_losses, 1);
}

/// Scenario E14
#[test]
fn reads_at_a_leader_that_hands_over_end_once() {
    let mut leader = settled_leader(3);
    let _ = leader.read(1);
    let _ = ask_transfer(&mut leader, 1, Some(2));
    let _ = leader.read(2);
    let actions = campaign_of(&mut leader, 2, 1);
    for read in [1, 2] {
        assert!(read_refusal(&actions, read).is_some(), "read {read}");
    }
    assert_eq!(transfer_ends(&actions, 1), [Ok(2)]);
    let late = leader.receive(3, 1, matched(1, 1, r(2)));
    assert_eq!(ready_reads(&late), [], "n2 may have committed since");
}

/// Scenario F01
#[test]
fn a_transfer_to_any_voter_succeeds_at_once_with_default_settings() {
    for target in 2..=5 {
        let mut world = World::new(5);
        world.elect(1);
        world.propose(1, &["x"]);
        world.settle();
        world.transfer(1, Some(target));
        world.settle();
        assert_eq!(world.leader(), Some(target));
        assert_eq!(world.status(target).term, t(2), "one campaign");
        let campaigns: u64 = (1..=5)
            .map(|node| world.status(node).counters.campaigns)
            .sum();
        assert_eq!(campaigns, 2, "no time passed and nobody else stood");
    }
}

/// Scenario F05: whichever message is lost, writes go on within two election timeouts.
#[test]
fn writes_go_on_within_two_timeouts_of_a_transfer_whatever_message_is_lost() {
    for lost in 0..12 {
        let mut world = World::new(3);
        world.elect(1);
        world.transfer(1, Some(2));
        let mut arrived = 0;
        loop {
            world.pump_all();
            let Some(message) = world.net.pop() else {
                break;
            };
            if arrived != lost {
                world.deliver(message);
            }
            arrived += 1;
        }
        world.advance(ms(2 * ELECTION_MAX_MS));
        let leader = world.leader().expect("somebody leads");
        world.propose(leader, &["after"]);
        world.settle();
        let applied = world.applied(leader);
        assert_eq!(applied, ["after"], "message {lost} was lost");
    }
}

/// [Thesis 3.10]
#[test]
fn a_target_that_restarts_in_the_meantime_is_told_in_its_new_life() {
    let mut leader = settled_leader(3);
    let _ = leader.propose(&["x"]);
    let _ = ask_transfer(&mut leader, 1, Some(2));
    let new_life = quorate_core::Incarnation::new(life_of(2).get() + 1);
    let _ = leader.sleep(HEARTBEAT_MS);
    let body = matched(1, 2, r(1));
    let actions = leader.receive_from_life(2, new_life, 1, body);
    let sends = super::support::bench::sends(&actions);
    let word = sends
        .iter()
        .find(|send| matches!(send.1.body, Body::TimeoutNow { .. }));
    assert_eq!(word.map(|send| send.1.receiver), Some(new_life));
}

/// [Thesis 4.2.2]: who has failed to take over is asked last, but who lacks something never.
#[test]
fn a_leader_that_removed_itself_tells_nobody_to_campaign_who_lacks_an_entry() {
    let mut leader = settled_leader(4);
    for (transfer, target) in [(1, 2), (2, 3)] {
        let _ = ask_transfer(&mut leader, transfer, Some(target));
        for _ in 0..ELECTION_MAX_MS / HEARTBEAT_MS + 1 {
            let _ = leader.sleep(HEARTBEAT_MS);
            let _ = leader.confirmed_by([2, 3, 4], 1);
        }
    }
    let _ = ask_change(&mut leader, 3, Change::Remove { node: n(1) });
    let _ = leader.persist();
    let mut actions = leader.confirmed_by([2, 3], 2);
    actions.extend(leader.confirmed_by([4], 1));
    assert_eq!(
        leader.status().role,
        RoleName::Follower,
        "its removal is committed"
    );
    let told = told(&actions, 4);
    assert!(
        told == [2] || told == [3],
        "{told:?}: n4 would campaign without the entry that removes n1"
    );
}
