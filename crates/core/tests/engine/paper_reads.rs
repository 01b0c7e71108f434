//! Linearizable reads without writing to the log [Thesis 6.4] [Raft 8]: a read sees everything
//! that was committed anywhere when it was asked. `support/safety.rs` asserts that of every read
//! of a world; here are the rules that make it so.

use quorate_core::{Action, Body, Event, Incarnation, ReadId, Refusal, Request};

use super::support::bench::{
    Bench, append, has, heartbeat, life_of, matched, node_of, pre_vote_reply, said_to,
};
use super::support::world::World;
use super::support::{ELECTION_MAX_MS, HEARTBEAT_MS, entries, i, id, ms, n, r};

/// The reads that are ready, with their indexes.
fn ready(actions: &[Action]) -> Vec<(u64, u64)> {
    let mut ready = Vec::new();
    for action in actions {
        if let Action::ReadReady { read, index } = action {
            ready.push((read.get(), index.get()));
        }
    }
    ready
}

fn refused(actions: &[Action], read: u64, why: Refusal) -> bool {
    let request = Request::Read(ReadId::new(read));
    has(actions, |action| {
        *action
            == Action::Refused {
                request,
                reason: why,
            }
    })
}

/// Node 1 leads three with its first entry committed and applied.
fn settled_leader() -> Bench {
    let mut leader = node_of(3).leader();
    let _ = leader.persist();
    let _ = leader.confirmed_by([2], 1);
    leader
}

/// [Thesis 6.4]
#[test]
fn a_leader_serves_a_read_after_a_majority_answered_a_round_asked_for_it() {
    let mut leader = settled_leader();
    let actions = leader.read(7);
    for peer in [2, 3] {
        let asks = said_to(&actions, peer);
        assert!(
            matches!(asks[..], [Body::Append { round, .. }] if *round == r(1)),
            "{asks:?}"
        );
    }
    assert_eq!(ready(&actions), [], "nobody has answered");
    assert_eq!(ready(&leader.receive(2, 1, matched(1, 1, r(1)))), [(7, 1)]);
    assert_eq!(
        ready(&leader.receive(3, 1, matched(1, 1, r(1)))),
        [],
        "each read ends once (E14)"
    );
}

/// Scenario E02
#[test]
fn an_answer_to_a_round_before_the_read_proves_nothing() {
    let mut leader = settled_leader();
    let _ = leader.sleep(HEARTBEAT_MS);
    let _ = leader.read(7);
    let late = leader.receive(2, 1, matched(1, 1, r(1)));
    assert_eq!(ready(&late), [], "n2 may have elected another leader since");
    assert_eq!(ready(&leader.receive(2, 1, matched(1, 1, r(2)))), [(7, 1)]);
}

/// Scenario E02
#[test]
fn reads_that_come_during_a_round_wait_for_the_next() {
    let mut leader = settled_leader();
    let _ = leader.read(1);
    let _ = leader.read(2);
    let _ = leader.read(3);
    let actions = leader.receive(2, 1, matched(1, 1, r(1)));
    assert_eq!(ready(&actions), [(1, 1)]);
    assert_eq!(
        said_to(&actions, 3).len(),
        1,
        "the others share the next round"
    );
    assert_eq!(ready(&leader.receive(3, 1, matched(1, 1, r(1)))), []);
    assert_eq!(
        ready(&leader.receive(3, 1, matched(1, 1, r(2)))),
        [(2, 1), (3, 1)]
    );
}

/// Scenario E01 [Raft 8]
#[test]
fn a_read_waits_for_the_first_commit_of_the_leaders_term() {
    let mut leader = node_of(3).with_log(&[1, 1]).applied(2).leader();
    let _ = leader.persist();
    assert_eq!(
        said_to(&leader.read(7), 2),
        [] as [&Body; 0],
        "a round would prove too little"
    );
    let _ = leader.sleep(HEARTBEAT_MS);
    let _ = leader.receive(2, 2, matched(2, 0, r(1)));
    assert_eq!(
        ready(&leader.receive(3, 2, matched(2, 0, r(1)))),
        [],
        "i2 may not be all"
    );
    let _ = leader.receive(2, 2, matched(2, 3, r(1)));
    assert_eq!(ready(&leader.receive(2, 2, matched(2, 3, r(2)))), [(7, 3)]);
}

/// Scenario E15
#[test]
fn a_read_is_ready_only_behind_the_apply_that_reaches_its_index() {
    let mut leader = node_of(3).leader();
    let _ = leader.confirmed_by([2, 3], 1);
    let _ = leader.read(7);
    let confirmed = leader.receive(2, 1, matched(1, 1, r(1)));
    assert_eq!(
        ready(&confirmed),
        [],
        "i1 is not durable here, so it is not applied"
    );
    let actions = leader.persist();
    let kinds: Vec<bool> = actions
        .iter()
        .map(|action| matches!(action, Action::Apply { .. }))
        .collect();
    assert_eq!(
        kinds,
        [true, false],
        "apply first, then the read: {actions:?}"
    );
    assert_eq!(ready(&actions), [(7, 1)]);
}

/// [Thesis 6.4]; answers of learners and strangers count for nothing.
#[test]
fn a_round_is_confirmed_by_voters_only() {
    let members = quorate_core::Membership::new([n(1), n(2), n(3)], [n(4)]);
    let mut leader = node_of(3).among(members).leader();
    let _ = leader.persist();
    let _ = leader.confirmed_by([2], 1);
    let _ = leader.read(7);
    assert_eq!(ready(&leader.receive(4, 1, matched(1, 1, r(1)))), []);
    assert_eq!(ready(&leader.receive(9, 1, matched(1, 1, r(1)))), []);
    assert_eq!(ready(&leader.receive(3, 1, matched(1, 1, r(1)))), [(7, 1)]);
}

/// Scenario E14
#[test]
fn every_read_of_a_deposed_leader_is_refused_once_and_never_served() {
    let mut leader = settled_leader();
    let _ = leader.read(1);
    let _ = leader.read(2);
    let actions = leader.receive(3, 5, pre_vote_reply(2, false));
    let gone = Refusal::NotLeader { leader: None };
    assert!(
        refused(&actions, 1, gone) && refused(&actions, 2, gone),
        "{actions:?}"
    );
    let late = leader.receive(2, 5, matched(1, 1, r(1)));
    assert_eq!(ready(&late), [], "the answer proves what was, not what is");
}

/// Scenario E04
#[test]
fn a_read_at_an_isolated_leader_ends_within_one_election_timeout() {
    let mut world = World::new(3);
    world.elect(1);
    world.cut(&[1], &[2, 3]);
    let read = world.read(1);
    world.advance(ms(ELECTION_MAX_MS + HEARTBEAT_MS));
    let end = world.read_end(read);
    assert_eq!(
        end,
        Some(Err(Refusal::NotLeader { leader: None })),
        "no answer, and no stale one"
    );
}

/// Scenario E04
#[test]
fn a_read_forwarded_to_a_leader_that_is_gone_ends_within_one_election_timeout() {
    let mut world = World::new(3);
    world.elect(1);
    world.crash(1, 0);
    let read = world.read(2);
    world.advance(ms(ELECTION_MAX_MS + HEARTBEAT_MS));
    assert!(
        matches!(world.read_end(read), Some(Err(_))),
        "{:?}",
        world.read_end(read)
    );
}

/// Scenario E04: the leader is there, and its answer is lost.
#[test]
fn a_forwarded_read_that_is_never_answered_times_out_while_the_leader_is_heard() {
    let mut bench = node_of(3).with_log(&[1]).start();
    let _ = bench.receive(2, 1, heartbeat(id(1, 1), 1));
    let _ = bench.read(7);
    for _ in 0..ELECTION_MAX_MS / HEARTBEAT_MS - 1 {
        assert_eq!(bench.sleep(HEARTBEAT_MS), [], "the answer may still come");
        let _ = bench.receive(2, 1, heartbeat(id(1, 1), 1));
    }
    assert!(refused(&bench.sleep(HEARTBEAT_MS), 7, Refusal::TimedOut));
}

/// Scenario E04: the followers are there, and have no room for the first entry of the term.
#[test]
fn a_read_that_waits_for_a_first_commit_times_out_with_its_own_patience() {
    let mut leader = node_of(3).with_log(&[1, 1]).applied(2).leader();
    let _ = leader.persist();
    let mut beat = |round: u64| {
        let read = [0, 8].contains(&round).then(|| leader.read(round));
        let actions = leader.sleep(HEARTBEAT_MS);
        let _ = leader.receive(2, 2, matched(2, 0, r(round + 1)));
        assert_eq!(read.unwrap_or_default(), [], "it waits");
        actions
    };
    let beats = ELECTION_MAX_MS / HEARTBEAT_MS;
    for round in 0..beats - 1 {
        assert!(!refused(&beat(round), 0, Refusal::TimedOut), "too early");
    }
    let actions = beat(beats - 1);
    assert!(refused(&actions, 0, Refusal::TimedOut));
    assert!(!refused(&actions, 8, Refusal::TimedOut), "it came later");
    let _ = leader.receive(2, 2, matched(2, 3, r(beats)));
    let actions = leader.receive(2, 2, matched(2, 3, r(beats + 1)));
    assert_eq!(ready(&actions), [(8, 3)]);
}

/// Scenario E04: a follower's read does not outlive its patience at the leader, and its user hears
/// of it before that of the follower is over.
#[test]
fn a_followers_read_that_waits_for_a_first_commit_is_answered_when_it_times_out() {
    let mut leader = node_of(3).with_log(&[1, 1]).applied(2).leader();
    let _ = leader.persist();
    let read = ReadId::new(7);
    assert_eq!(
        leader.receive(3, 2, Body::ReadIndex { read }),
        [],
        "it waits"
    );
    let mut said = Vec::new();
    for round in 0..ELECTION_MAX_MS / HEARTBEAT_MS {
        let actions = leader.sleep(HEARTBEAT_MS);
        said.extend(said_to(&actions, 3).into_iter().cloned());
        let _ = leader.receive(2, 2, matched(2, 0, r(round + 1)));
    }
    let index = None;
    assert!(
        said.contains(&Body::ReadIndexReply { read, index }),
        "{said:?}"
    );
}

/// Scenario E04: the index is known, and what it needs never comes.
#[test]
fn a_read_at_a_follower_that_is_cut_off_behind_its_index_ends() {
    let mut world = World::new(3);
    world.elect(1);
    world.net.delay((n(1), n(3)));
    world.propose(1, &["x"]);
    world.settle();
    world.net.drop_all((n(1), n(3)));
    world.net.let_go((n(1), n(3)));
    let read = world.read(3);
    world.settle();
    assert_eq!(
        world.read_end(read),
        None,
        "n3 lacks i2, which the read must see"
    );
    world.cut(&[3], &[1, 2]);
    world.advance(ms(2 * ELECTION_MAX_MS));
    assert!(
        matches!(world.read_end(read), Some(Err(_))),
        "it waits for a leader that is gone"
    );
}

/// Scenarios B17, E04: the leader is heard, what the read needs is committed and known here, and
/// the disk does not take it.
#[test]
fn a_read_at_a_follower_whose_disk_is_stuck_ends() {
    let mut bench = node_of(3).with_log(&[1]).start();
    let _ = bench.receive(2, 1, append(id(1, 1), entries(2, &[1]), 2));
    let read = ReadId::new(7);
    let _ = bench.read(7);
    let index = Some(i(2));
    let _ = bench.receive(2, 1, Body::ReadIndexReply { read, index });
    let mut waited = 0;
    while !refused(&bench.sleep(HEARTBEAT_MS), 7, Refusal::TimedOut) {
        let _ = bench.receive(2, 1, heartbeat(id(1, 1), 2));
        waited += HEARTBEAT_MS;
        assert!(waited <= ELECTION_MAX_MS, "as long as a disk may take");
    }
    assert_eq!(ready(&bench.persist()), [], "each read ends once (E14)");
}

/// [Thesis 6.4]
#[test]
fn a_read_at_any_node_sees_what_was_committed_before_it() {
    let mut world = World::new(5);
    world.elect(3);
    world.propose(3, &["x"]);
    world.settle();
    for node in 1..=5 {
        let read = world.read(node);
        world.settle();
        assert_eq!(world.read_end(read), Some(Ok(i(2))), "at n{node}");
    }
}

/// [Thesis 6.4]
#[test]
fn a_follower_without_a_leader_refuses_reads_at_once() {
    let mut bench = node_of(3).with_log(&[1]).start();
    assert!(refused(
        &bench.read(1),
        1,
        Refusal::NotLeader { leader: None }
    ));
}

/// [Thesis 6.4]; the index of the leader may be ahead of what the follower holds.
#[test]
fn a_forwarded_read_waits_at_the_follower_until_it_has_applied_that_far() {
    let mut bench = node_of(3).at_term(1).start();
    let _ = bench.receive(2, 1, append(id(0, 0), entries(1, &[1]), 1));
    let _ = bench.persist();
    let actions = bench.read(4);
    assert_eq!(
        said_to(&actions, 2),
        [&Body::ReadIndex {
            read: ReadId::new(4)
        }]
    );
    let answer = Body::ReadIndexReply {
        read: ReadId::new(4),
        index: Some(i(2)),
    };
    assert_eq!(
        ready(&bench.receive(2, 1, answer.clone())),
        [],
        "i2 is not here yet"
    );
    let _ = bench.receive(2, 1, append(id(1, 1), entries(2, &[1]), 2));
    assert_eq!(ready(&bench.persist()), [(4, 2)]);
    assert_eq!(
        ready(&bench.receive(2, 1, answer)),
        [],
        "each read ends once (E14)"
    );
}

/// A read of an earlier life of the node has nobody who waits for it.
#[test]
fn an_answer_to_an_earlier_life_is_dropped() {
    let mut bench = node_of(3).with_log(&[1]).start();
    let _ = bench.receive(2, 1, heartbeat(id(1, 1), 1));
    let _ = bench.read(1);
    let dropped = bench.status().counters.dropped;
    let actions = bench.step(Event::Receive(quorate_core::Message {
        from: n(2),
        to: n(1),
        term: quorate_core::Term::new(1),
        sender: life_of(2),
        receiver: Incarnation::new(bench.life.get() - 1),
        body: Body::ReadIndexReply {
            read: ReadId::new(1),
            index: Some(i(0)),
        },
    }));
    assert_eq!(ready(&actions), [], "that read 1 was of another life");
    assert_eq!(bench.status().counters.dropped, dropped + 1);
}

/// A node that does not lead says so; the asker may ask another.
#[test]
fn a_forwarded_read_is_sent_on_when_its_receiver_no_longer_leads() {
    let mut bench = node_of(3).with_log(&[1]).start();
    let read = ReadId::new(9);
    let actions = bench.receive(2, 1, Body::ReadIndex { read });
    assert_eq!(
        said_to(&actions, 2),
        [&Body::ReadIndexReply { read, index: None }]
    );
    let _ = bench.receive(3, 1, heartbeat(id(1, 1), 0));
    let _ = bench.read(5);
    let no = Body::ReadIndexReply {
        read: ReadId::new(5),
        index: None,
    };
    assert!(refused(
        &bench.receive(3, 1, no),
        5,
        Refusal::NotLeader { leader: None }
    ));
}

/// Memory is bounded: whoever asks too much is refused, not queued.
#[test]
fn waiting_reads_are_bounded_at_leader_and_follower() {
    let mut leader = settled_leader();
    let mut follower = node_of(3).with_log(&[1]).start();
    let _ = follower.receive(2, 1, heartbeat(id(1, 1), 0));
    for bench in [&mut leader, &mut follower] {
        let mut overloaded = 0;
        for read in 0..6_000 {
            let actions = bench.read(read);
            overloaded += u64::from(refused(&actions, read, Refusal::Overloaded));
        }
        assert!(overloaded > 0, "six thousand reads wait without a bound");
    }
}

/// Memory is bounded also where indexes are known and apply is slow (scenario E15).
#[test]
fn reads_that_wait_for_a_slow_state_machine_are_bounded() {
    let mut bench = node_of(3).with_log(&[1]).start();
    let _ = bench.receive(2, 1, heartbeat(id(1, 1), 0));
    let mut overloaded = 0;
    for read in 0..6_000 {
        overloaded += u64::from(refused(&bench.read(read), read, Refusal::Overloaded));
        let answer = Body::ReadIndexReply {
            read: ReadId::new(read),
            index: Some(i(5)),
        };
        let _ = bench.receive(2, 1, answer);
    }
    assert!(
        overloaded > 0,
        "six thousand reads wait for i5 without a bound"
    );
}
