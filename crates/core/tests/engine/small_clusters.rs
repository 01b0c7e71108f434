//! Clusters of one and of two voters, which have no room for failures and work all the same:
//! they elect, commit, read and hold leases by the rules for any number.

use quorate_core::{Change, Refusal, RoleName};

use super::support::bench::{Bench, matched, node_of, said_to, sends};
use super::support::outcomes::{ask_change, ready_reads};
use super::support::world::World;
use super::support::{ELECTION_MAX_MS, ELECTION_MIN_MS, HEARTBEAT_MS, i, ms, n, r, t};

fn with_lease(count: u64) -> Bench {
    let past = node_of(count).configured(|config| config.lease = Some(ms(150)));
    let mut leader = past.leader();
    let _ = leader.persist();
    let others = leader.others();
    let _ = leader.confirmed_by(others, 1);
    leader
}

/// The round was asked of a voter that leaves before it answers: nobody is left to confirm it.
#[test]
fn a_read_that_waits_for_a_voter_that_left_is_confirmed_by_who_is_left() {
    let mut leader = node_of(2).leader();
    let _ = leader.persist();
    let _ = leader.confirmed_by([2], 1);
    assert_eq!(ready_reads(&leader.read(1)), [], "n2 is asked");
    let _ = ask_change(&mut leader, 1, Change::Remove { node: n(2) });
    let actions = leader.persist();
    assert_eq!(leader.status().commit, i(2), "n1 is alone");
    assert_eq!(ready_reads(&actions), [(1, 1)]);
}

/// [Raft 5.2]: a majority of one.
#[test]
fn a_single_voter_leads_commits_and_reads_without_saying_a_word() {
    let mut bench = node_of(1).start();
    let campaign = bench.time_out();
    assert_eq!(
        bench.status().role,
        RoleName::Candidate,
        "t1 is not durable"
    );
    let elected = bench.persist();
    assert_eq!(bench.status().role, RoleName::Leader);
    assert_eq!(bench.status().commit, i(0), "nothing is durable yet");
    let _ = bench.persist();
    assert_eq!(bench.status().commit, i(1));
    let proposed = bench.propose(&["x"]);
    assert_eq!(bench.status().commit, i(1), "its own disk decides (B15)");
    let _ = bench.persist();
    assert_eq!(bench.status().commit, i(2));
    assert_eq!(ready_reads(&bench.read(1)), [(1, 2)]);
    for actions in [campaign, elected, proposed] {
        assert_eq!(sends(&actions), [], "there is nobody to talk to");
    }
}

/// [Thesis 6.4.1]
#[test]
fn a_single_voter_has_a_lease_from_its_own_rounds() {
    let mut leader = with_lease(1);
    let _ = leader.sleep(HEARTBEAT_MS);
    assert_eq!(leader.status().lease_until, Some(leader.now.after(ms(150))));
    assert_eq!(ready_reads(&leader.read(1)), [(1, 1)]);
}

/// [Raft 5.3]: with two voters each entry needs both.
#[test]
fn two_voters_commit_only_what_both_hold() {
    let mut leader = node_of(2).leader();
    let _ = leader.persist();
    assert_eq!(leader.status().commit, i(0), "one of two");
    let _ = leader.confirmed_by([2], 1);
    assert_eq!(leader.status().commit, i(1));
    let _ = leader.propose(&["x"]);
    let _ = leader.confirmed_by([2], 2);
    assert_eq!(leader.status().commit, i(1), "it is on n2's disk alone");
    let _ = leader.persist();
    assert_eq!(leader.status().commit, i(2));
}

/// [Thesis 6.4] [Thesis 6.4.1]
#[test]
fn a_leader_of_two_asks_the_other_for_reads_and_for_its_lease() {
    let mut leader = with_lease(2);
    let actions = leader.read(1);
    assert_eq!(ready_reads(&actions), []);
    assert_eq!(said_to(&actions, 2).len(), 1);
    let asked = leader.now;
    let answered = leader.receive(2, 1, matched(1, 1, r(1)));
    assert_eq!(ready_reads(&answered), [(1, 1)]);
    assert_eq!(leader.status().lease_until, Some(asked.after(ms(150))));
    assert_eq!(ready_reads(&leader.read(2)), [(2, 1)], "on the lease");
}

/// Scenario A10: half is not a majority.
#[test]
fn a_leader_of_two_that_hears_nothing_stops_and_nobody_else_leads() {
    let mut world = World::new(2);
    world.elect(1);
    world.cut(&[1], &[2]);
    let read = world.read(1);
    world.advance(ms(4 * ELECTION_MAX_MS));
    assert_eq!(world.leader(), None);
    let gone = Refusal::NotLeader { leader: None };
    assert_eq!(world.read_end(read), Some(Err(gone)));
    assert_eq!(world.status(2).term, t(1), "pre-votes raise no term");
    world.net.heal();
    world.advance(ms(4 * ELECTION_MAX_MS));
    assert!(world.leader().is_some(), "both are there again");
}

/// [Thesis 3.10]
#[test]
fn two_voters_hand_over_to_each_other() {
    let mut world = World::new(2);
    world.elect(1);
    for (from, to) in [(1, 2), (2, 1)] {
        world.transfer(from, Some(to));
        world.settle();
        assert_eq!(world.leader(), Some(to));
        world.propose(to, &["x"]);
        world.settle();
    }
    assert_eq!(world.applied(1), ["x", "x"]);
    assert_eq!(world.status(1).leader, Some(n(1)));
}

/// A single voter waits for its start to be forgotten by nobody: it campaigns when its timer says.
#[test]
fn a_single_voter_that_restarts_leads_again_within_one_election_timeout() {
    let mut world = World::new(1);
    world.advance(ms(ELECTION_MAX_MS));
    world.propose(1, &["x"]);
    world.settle();
    world.crash(1, 0);
    world.restart(1);
    world.advance(ms(ELECTION_MIN_MS - 1));
    assert_eq!(world.leader(), None, "no timeout is below the shortest");
    world.advance(ms(ELECTION_MAX_MS - ELECTION_MIN_MS + 1));
    assert_eq!(world.leader(), Some(1));
    assert_eq!(world.applied(1), ["x"]);
}
