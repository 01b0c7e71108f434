//! Reads on a lease [Thesis 6.4.1]: how long a leader may serve them without asking, and what
//! ends that early. Reads without a lease are in `paper_reads.rs`; that leases of different
//! leaders never overlap is in `lease_clocks.rs`.

use core::time::Duration;
use quorate_core::{Action, Body, Change, Event, Membership, ReadId, RoleName, Time};

use super::support::bench::{
    Bench, Past, heartbeat, matched, node_of, only_send, said_to, sends, vote_reply, vote_request,
};
use super::support::outcomes::{ask_change, ask_transfer, ready_reads};
use super::support::{ELECTION_MAX_MS, ELECTION_MIN_MS, HEARTBEAT_MS, i, id, ms, n, r, t};

/// The lease of every leader here, in milliseconds.
const LEASE_MS: u64 = 150;

fn with_lease(past: Past) -> Past {
    past.configured(|config| config.lease = Some(ms(LEASE_MS)))
}

/// Node 1 leads so many voters in term 1, its first entry is committed and applied, and nobody
/// has answered a round yet.
fn settled_leader(count: u64) -> Bench {
    let mut leader = with_lease(node_of(count)).leader();
    let _ = leader.persist();
    let others = leader.others();
    let _ = leader.confirmed_by(others, 1);
    leader
}

/// The next heartbeat leaves: the round it asks, and when.
fn ask_round(leader: &mut Bench) -> (u64, Time) {
    let actions = leader.time_out();
    let mut rounds = sends(&actions).into_iter().filter_map(|(_, message)| {
        let Body::Append { round, .. } = message.body else {
            return None;
        };
        Some(round.get())
    });
    (rounds.next().expect("a heartbeat"), leader.now)
}

/// Time passes in steps too small for a pause.
fn walk_to(bench: &mut Bench, at: Time) {
    while bench.now < at {
        let step = at.since(bench.now).min(ms(10));
        let _ = bench.sleep(u64::try_from(step.as_millis()).unwrap());
    }
}

/// These peers answer a round of term 1.
fn answer(leader: &mut Bench, peers: &[u64], round: u64) {
    for &peer in peers {
        let _ = leader.receive(peer, 1, matched(1, 1, r(round)));
    }
}

/// Whether a read that comes now is served without asking anybody.
fn serves_at_once(leader: &mut Bench, read: u64) -> bool {
    let actions = leader.read(read);
    let served = ready_reads(&actions).len() == 1;
    assert!(
        !served || sends(&actions).is_empty(),
        "a lease is there to save the round: {actions:?}"
    );
    served
}

const fn lease() -> Duration {
    ms(LEASE_MS)
}

/// [Thesis 6.4.1]
#[test]
fn a_leader_serves_reads_without_a_round_until_its_lease_ends() {
    let mut leader = settled_leader(3);
    assert_eq!(leader.status().lease_until, None, "nobody answered a round");
    let (round, asked) = ask_round(&mut leader);
    let _ = leader.sleep(10);
    answer(&mut leader, &[2], round);
    assert_eq!(leader.status().lease_until, Some(asked.after(lease())));
    assert!(serves_at_once(&mut leader, 1));
    walk_to(&mut leader, asked.after(ms(LEASE_MS - 1)));
    assert!(serves_at_once(&mut leader, 2), "one millisecond is left");
    let _ = leader.sleep(1);
    let actions = leader.read(3);
    assert_eq!(ready_reads(&actions), [], "n2 owes no silence any more");
    assert_eq!(said_to(&actions, 2).len(), 1, "the read asks a round");
    assert_eq!(leader.status().counters.lease_reads, 2);
}

/// Scenario E08
#[test]
fn a_lease_counts_from_when_the_round_was_asked_and_not_from_its_answer() {
    let mut leader = settled_leader(3);
    let (round, asked) = ask_round(&mut leader);
    walk_to(&mut leader, asked.after(ms(LEASE_MS - 10)));
    answer(&mut leader, &[2], round);
    assert_eq!(
        leader.status().lease_until,
        Some(asked.after(lease())),
        "n2 may have got the question long before its answer came"
    );
    walk_to(&mut leader, asked.after(lease()));
    assert!(!serves_at_once(&mut leader, 1));
    answer(&mut leader, &[3], round);
    assert!(!serves_at_once(&mut leader, 2), "an answer that came late");
}

/// [Thesis 6.4.1]
#[test]
fn a_lease_counts_from_the_newest_round_that_a_majority_answered() {
    let mut leader = settled_leader(5);
    let (first, asked_first) = ask_round(&mut leader);
    let (second, asked_second) = ask_round(&mut leader);
    answer(&mut leader, &[2], second);
    assert_eq!(leader.status().lease_until, None, "two of five");
    answer(&mut leader, &[3], first);
    let until = leader.status().lease_until;
    assert_eq!(until, Some(asked_first.after(lease())), "n3 sets the pace");
    answer(&mut leader, &[4], second);
    let until = leader.status().lease_until;
    assert_eq!(until, Some(asked_second.after(lease())));
    answer(&mut leader, &[5], first);
    assert_eq!(leader.status().lease_until, until, "n5 is not needed");
}

/// [Thesis 6.4]
#[test]
fn without_the_setting_there_is_no_lease_however_many_answer() {
    let mut leader = node_of(3).leader();
    let _ = leader.persist();
    let _ = leader.confirmed_by([2, 3], 1);
    let (round, _) = ask_round(&mut leader);
    answer(&mut leader, &[2, 3], round);
    assert_eq!(leader.status().lease_until, None);
    assert!(!serves_at_once(&mut leader, 1));
}

/// Scenario E06
#[test]
fn a_transfer_ends_the_lease_for_the_rest_of_the_term_even_if_it_fails() {
    let mut leader = settled_leader(3);
    let (round, _) = ask_round(&mut leader);
    answer(&mut leader, &[2, 3], round);
    assert!(serves_at_once(&mut leader, 1));
    let _ = ask_transfer(&mut leader, 1, Some(2));
    assert_eq!(leader.status().lease_until, None, "n2 may lead by now");
    let actions = leader.read(2);
    assert_eq!(ready_reads(&actions), [], "reads ask again");
    answer(&mut leader, &[2, 3], round + 1);
    // The target never takes over.
    for _ in 0..=ELECTION_MAX_MS / HEARTBEAT_MS {
        let (round, _) = ask_round(&mut leader);
        answer(&mut leader, &[2, 3], round);
    }
    assert_eq!(leader.status().transfer_target, None, "it has timed out");
    assert_eq!(
        leader.status().lease_until,
        None,
        "the word to campaign may still be on its way to n2"
    );
    assert!(!serves_at_once(&mut leader, 3));
}

/// Scenario E06: the next term starts with a clean slate.
#[test]
fn a_later_leadership_has_a_lease_again() {
    let mut leader = settled_leader(3);
    let _ = ask_transfer(&mut leader, 1, Some(2));
    let _ = leader.receive(2, 2, heartbeat(id(1, 1), 1));
    assert_eq!(leader.status().role, RoleName::Follower);
    let _ = leader.time_out();
    let _ = leader.persist();
    let _ = leader.receive(2, 3, vote_reply(3, true));
    let _ = leader.persist();
    let _ = leader.receive(2, 3, matched(3, 2, r(0)));
    let actions = leader.time_out();
    assert!(!said_to(&actions, 2).is_empty(), "a heartbeat");
    let _ = leader.receive(2, 3, matched(3, 2, r(1)));
    assert_eq!(leader.status().lease_until, Some(leader.now.after(lease())));
}

/// Scenario E10: the silence that leases count on is broken by the leader's own word only.
#[test]
fn a_voter_that_hears_a_leader_votes_only_for_whom_that_leader_sent() {
    let mut voter = node_of(3).with_log(&[1]).start();
    let _ = voter.receive(2, 1, heartbeat(id(1, 1), 1));
    let granted = |actions: &[Action]| {
        let (_, message) = only_send(actions);
        matches!(message.body, Body::VoteReply { granted, .. } if granted)
    };
    let own_will = voter.receive(3, 2, vote_request(id(1, 1)));
    assert!(!granted(&own_will), "n2 may be serving reads on a lease");
    assert_eq!(voter.status().term, t(1), "it does not even move the term");
    let sent = Body::Vote {
        last: id(1, 1),
        transfer: true,
    };
    assert!(granted(&voter.receive(3, 2, sent)));
    assert!(
        !granted(&voter.receive(2, 3, vote_request(id(1, 1)))),
        "the flag spoke for n3 in t2, not for whoever comes next"
    );
}

/// Scenario E11
#[test]
fn a_pause_voids_the_lease_although_it_would_not_have_ended_yet() {
    let mut leader = settled_leader(3);
    let (round, asked) = ask_round(&mut leader);
    answer(&mut leader, &[2, 3], round);
    // Later than announced by more than a quarter of the election timeout.
    let _ = leader.sleep(HEARTBEAT_MS + ELECTION_MIN_MS / 4 + 1);
    assert!(leader.now < asked.after(lease()), "by this clock");
    assert_eq!(leader.status().counters.pauses, 1);
    assert!(!serves_at_once(&mut leader, 1), "by which clock?");
    answer(&mut leader, &[2, 3], round);
    let voided = leader.status().lease_until;
    assert_eq!(voided, None, "it answers what was asked before the pause");
    let (round, asked) = ask_round(&mut leader);
    answer(&mut leader, &[2], round);
    assert_eq!(leader.status().lease_until, Some(asked.after(lease())));
}

/// Scenario E11: a leader that nobody has answered since the last pause is not forgiven the next
/// one, and that ends no less what it asked in between.
#[test]
fn a_second_pause_voids_the_lease_too() {
    let mut leader = settled_leader(3);
    for pause in 1..=2 {
        let (round, _) = ask_round(&mut leader);
        leader.now = leader.engine.next_timeout().at;
        let _ = leader.sleep(ELECTION_MIN_MS / 4 + 1);
        if pause == 2 {
            answer(&mut leader, &[2, 3], round);
            assert_eq!(leader.status().lease_until, None, "asked before the pause");
        }
    }
}

/// Scenario E11
#[test]
fn a_leader_that_slept_for_long_serves_nothing_before_it_has_asked() {
    let mut leader = settled_leader(3);
    let (round, _) = ask_round(&mut leader);
    answer(&mut leader, &[2, 3], round);
    let _ = leader.sleep(10_000);
    assert_eq!(leader.status().role, RoleName::Leader, "it may still lead");
    assert!(!serves_at_once(&mut leader, 1));
}

/// Scenario E12: an hour back, and an hour ahead.
#[test]
fn a_clock_that_is_set_extends_no_lease() {
    let mut leader = settled_leader(3);
    let (round, asked) = ask_round(&mut leader);
    answer(&mut leader, &[2], round);
    let real = leader.now;
    let _ = leader.step(Event::Tick { now: Time::ZERO });
    assert_eq!(leader.status().lease_until, Some(asked.after(lease())));
    leader.now = real;
    walk_to(&mut leader, asked.after(lease()));
    assert!(!serves_at_once(&mut leader, 1), "no time was won");
    let _ = leader.step(Event::Tick { now: asked });
    assert!(!serves_at_once(&mut leader, 2), "nor comes any back");
    let (round, _) = ask_round(&mut leader);
    answer(&mut leader, &[2], round);
    let _ = leader.sleep(3_600_000);
    assert!(!serves_at_once(&mut leader, 3), "an hour is a pause");
    assert_eq!(leader.status().role, RoleName::Leader);
}

/// [Thesis 6.4.1]: a majority of those who vote now.
#[test]
fn a_lease_is_counted_anew_when_the_membership_changes() {
    let members = Membership::new([1, 2, 3].map(n), [n(4)]);
    let mut leader = with_lease(node_of(3).among(members)).leader();
    let _ = leader.persist();
    let _ = leader.confirmed_by([2, 3, 4], 1);
    let (round, asked) = ask_round(&mut leader);
    answer(&mut leader, &[4], round);
    assert_eq!(leader.status().lease_until, None, "a learner's answer");
    answer(&mut leader, &[2], round);
    let until = Some(asked.after(lease()));
    assert_eq!(leader.status().lease_until, until, "two of three");
    let _ = ask_change(&mut leader, 1, Change::Promote { node: n(4) });
    assert_eq!(leader.status().membership.voters().len(), 4);
    assert_eq!(
        leader.status().lease_until,
        until,
        "n4 is the third of four"
    );

    let mut leader = settled_leader(4);
    let (round, asked) = ask_round(&mut leader);
    answer(&mut leader, &[2], round);
    assert_eq!(leader.status().lease_until, None, "two of four");
    let _ = ask_change(&mut leader, 1, Change::Remove { node: n(4) });
    let until = leader.status().lease_until;
    assert_eq!(until, Some(asked.after(lease())), "two of three");
}

/// [Thesis 6.4.1]: adding a voter takes a lease away that rested on too few.
#[test]
fn a_lease_ends_when_a_new_voter_makes_its_majority_too_small() {
    let members = Membership::new([1, 2, 3].map(n), [n(4)]);
    let mut leader = with_lease(node_of(3).among(members)).leader();
    let _ = leader.persist();
    let _ = leader.confirmed_by([2, 3, 4], 1);
    let (round, asked) = ask_round(&mut leader);
    answer(&mut leader, &[2], round);
    assert!(serves_at_once(&mut leader, 1));
    let _ = ask_change(&mut leader, 1, Change::Promote { node: n(4) });
    assert_eq!(leader.status().lease_until, None, "two of four");
    assert!(!serves_at_once(&mut leader, 2));
    answer(&mut leader, &[3], round);
    assert_eq!(leader.status().lease_until, Some(asked.after(lease())));
}

/// [Thesis 6.4]
#[test]
fn a_forwarded_read_is_answered_at_once_under_a_lease() {
    let mut leader = settled_leader(3);
    let (round, _) = ask_round(&mut leader);
    answer(&mut leader, &[3], round);
    let read = ReadId::new(9);
    let actions = leader.receive(2, 1, Body::ReadIndex { read });
    let index = Some(i(1));
    assert_eq!(
        only_send(&actions).1.body,
        Body::ReadIndexReply { read, index },
        "no round is asked"
    );
}

/// Scenario E01
#[test]
fn a_lease_serves_nothing_before_an_entry_of_the_own_term_is_committed() {
    let mut leader = with_lease(node_of(3).with_log(&[1, 1]).applied(2)).leader();
    let _ = leader.persist();
    let _ = leader.time_out();
    for peer in [2, 3] {
        let _ = leader.receive(peer, 2, matched(2, 0, r(1)));
    }
    assert_eq!(leader.status().lease_until, None, "though they are silent");
    let read = leader.read(7);
    assert_eq!(
        ready_reads(&read),
        [],
        "i2 may not be all that is committed"
    );
    let _ = leader.receive(2, 2, matched(2, 3, r(1)));
    let confirmed = leader.receive(2, 2, matched(2, 3, r(2)));
    assert_eq!(ready_reads(&confirmed), [(7, 3)]);
    assert!(leader.status().lease_until.is_some());
    assert!(serves_at_once(&mut leader, 8));
}

/// Scenario E17
#[test]
fn a_lease_read_waits_for_what_apply_has_not_been_handed() {
    let mut leader = with_lease(node_of(3)).leader();
    let _ = leader.confirmed_by([2, 3], 1);
    let (round, _) = ask_round(&mut leader);
    answer(&mut leader, &[2], round);
    assert_eq!(leader.status().commit, i(1));
    assert!(!leader.status().ready, "nothing is applied yet");
    assert_eq!(ready_reads(&leader.read(7)), [], "i1 is not durable here");
    let actions = leader.persist();
    let apply = actions
        .iter()
        .position(|action| matches!(action, Action::Apply { .. }));
    let ready = actions
        .iter()
        .position(|action| matches!(action, Action::ReadReady { .. }));
    assert!(apply.is_some() && apply < ready, "{actions:?}");
}
