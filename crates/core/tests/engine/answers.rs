//! Every request has exactly one answer, whatever happens to the leadership meanwhile: reads,
//! transfers, proposals and changes of the membership in random histories (scenario E14).

use std::collections::BTreeMap;

use fastrand::Rng;
use quorate_core::{
    Action, Body, Change, ChangeId, EntryId, Event, Floor, Membership, NodeId, ProposalId, ReadId,
    Refusal, Request, TransferId,
};

use super::support::bench::{appends_to, heartbeat, node_of, written};
use super::support::changes::settled_leader_of;
use super::support::outcomes::{proposal_refusal, read_refusal, request_key, tell_room};
use super::support::world::World;
use super::support::{ELECTION_MAX_MS, HEARTBEAT_MS, i, id, ms, n};

const NODES: u64 = 4;

/// Requests and how often each was answered.
type Asked = BTreeMap<(NodeId, (u8, u64)), usize>;

/// A user or an operator asks a node for something; `None` where nobody runs.
fn ask(world: &mut World, rng: &mut Rng, asked: &mut Asked) {
    let node = if rng.bool() {
        world.leader().unwrap_or(1)
    } else {
        rng.u64(1..=NODES)
    };
    let name = world.names + 1;
    let request = match rng.u8(0..10) {
        0..=2 => {
            let _ = world.read(node);
            Request::Read(ReadId::new(name))
        }
        3..=5 => {
            let target = rng.bool().then(|| rng.u64(1..=NODES + 1));
            let _ = world.transfer(node, target);
            Request::Transfer(TransferId::new(name))
        }
        6..=8 => {
            world.propose(node, &["x"]);
            Request::Proposal(ProposalId::new(name))
        }
        _ => {
            let who = n(rng.u64(1..=NODES));
            let address = String::new();
            let what = match rng.u8(0..3) {
                0 => Change::Remove { node: who },
                1 => Change::AddVoter { node: who, address },
                _ => Change::AddLearner { node: who, address },
            };
            let _ = world.change(node, what);
            Request::Change(ChangeId::new(name))
        }
    };
    asked.insert((n(node), request_key(request)), 0);
}

fn happen(world: &mut World, rng: &mut Rng, asked: &mut Asked) {
    let node = rng.u64(1..=NODES);
    match rng.u8(0..100) {
        0..=54 => {
            if world.net.len() > 0
                && let Some(message) = world.net.pop_at(rng.usize(0..world.net.len()))
                && rng.u8(0..20) > 0
            {
                world.deliver(message);
            }
        }
        55..=74 => {
            world.now = world.now.after(ms(rng.u64(0..20)));
            for node in world.running() {
                let now = world.now;
                world.step(node, Event::Tick { now });
            }
        }
        75..=90 => ask(world, rng, asked),
        91..=93 => world.net.cut((n(node), n(rng.u64(1..=NODES)))),
        94..=95 => world.net.heal(),
        96 => world.node_mut(node).disk.is_held = true,
        _ => {
            world.node_mut(node).disk.is_held = false;
            world.sync(node);
        }
    }
    world.pump_all();
}

/// Scenario E14
#[test]
fn every_request_has_exactly_one_answer_in_random_histories() {
    let mut answered = BTreeMap::new();
    for seed in 0..60 {
        let mut world = World::with(NODES, |config| {
            config.seed += seed * 1_000;
            config.lease = (seed % 2 == 0).then(|| ms(150));
        });
        let mut rng = Rng::with_seed(seed);
        let mut asked = Asked::new();
        for _ in 0..2_000 {
            happen(&mut world, &mut rng, &mut asked);
        }
        world.net.heal();
        for node in 1..=NODES {
            world.node_mut(node).disk.is_held = false;
            world.sync(node);
        }
        // Longer than the longest patience: a silent node that was to become a voter.
        world.advance(ms(30 * ELECTION_MAX_MS));
        for (node, request) in &world.answers {
            let key = (*node, request_key(*request));
            let count = asked.get_mut(&key);
            *count.unwrap_or_else(|| panic!("seed {seed}: nobody asked {request:?}")) += 1;
        }
        for ((node, request), count) in asked {
            assert_eq!(count, 1, "seed {seed}: answers of {node} to {request:?}");
            *answered.entry(request.0).or_insert(0) += 1;
        }
    }
    assert!(answered.values().all(|&count| count > 500), "{answered:?}");
}

/// Scenarios E04, E14: a node that does not campaign loses its leader like any other.
#[test]
fn a_read_that_waits_for_a_lost_leader_ends_also_at_nodes_that_may_not_campaign() {
    let learner = Membership::new([n(2), n(3)], [n(1)]);
    for (past, why) in [
        (node_of(3).with_log(&[1]).among(learner), "a learner"),
        (
            node_of(3).with_log(&[1]).with_floor(Floor::At(id(9, 1))),
            "a suspect",
        ),
        (node_of(3).with_log(&[1]), "a full disk"),
    ] {
        let mut bench = past.start();
        if why == "a full disk" {
            let _ = tell_room(&mut bench, 0);
        }
        let _ = bench.receive(2, 1, heartbeat(id(1, 1), 1));
        let _ = bench.read(1);
        let read = ReadId::new(1);
        let index = Some(i(5));
        let _ = bench.receive(2, 1, Body::ReadIndexReply { read, index });
        let mut ends = Vec::new();
        for _ in 0..=ELECTION_MAX_MS / HEARTBEAT_MS {
            ends.extend(read_refusal(&bench.sleep(HEARTBEAT_MS), 1));
        }
        assert_eq!(ends, [Refusal::NotLeader { leader: None }], "{why}");
        assert_eq!(bench.status().leader, None, "{why}");
    }
}

/// All of nothing is appended: whoever waits for the entry at `first` must not be answered by that
/// of somebody else.
#[test]
fn a_batch_without_commands_names_nobodys_entry() {
    let mut leader = settled_leader_of(3);
    let actions = leader.propose(&[]);
    let (proposal, first) = (ProposalId::new(1), EntryId::NONE);
    assert_eq!(actions, [Action::Proposed { proposal, first }]);
    let actions = leader.propose(&["x"]);
    assert_eq!(appends_to(&actions, 2), [(1, 1)], "the next is appended");
    assert_eq!(written(&actions).unwrap().1.last_id(), Some(id(2, 1)));
    let _ = leader.receive(2, 5, heartbeat(id(2, 1), 1));
    let refusal = proposal_refusal(&leader.propose(&[]));
    let leader = Some(n(2));
    assert_eq!(refusal, Some(Refusal::NotLeader { leader }), "as any other");
}
