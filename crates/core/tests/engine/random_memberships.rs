//! Random histories of clusters whose members change while messages are lost, links are cut and
//! nodes crash. Which members a node goes by is worked out here once more from its log, by other
//! means than the engine's. Histories without changes are in `random_histories.rs`.

use std::collections::BTreeMap;

use fastrand::Rng;
use quorate_core::{ChangeId, Entry, Event, Incarnation, LogIndex, Membership, Payload};

use super::support::changes::{add_learner, add_voter, move_to, promote, remove};
use super::support::disk::entry_at;
use super::support::node::Node;
use super::support::trace::Keep;
use super::support::world::World;
use super::support::{ELECTION_MAX_MS, i, ms, n, voters};

const STEPS: usize = 1_500;
const FOUNDERS: u64 = 3;
/// Founders, and others that may join.
const NODES: u64 = 6;

/// A change that was asked for: by which life of which node it has to be answered.
type Asked = (ChangeId, u64, Incarnation);

fn world(seed: u64) -> World {
    let adjust = |config: &mut quorate_core::Config| {
        config.pre_vote = !seed.is_multiple_of(3);
        config.require_reachable_quorum = seed.is_multiple_of(2);
        config.seed += seed * 1_000;
        config.max_append_bytes = 140 + seed % 3 * 200;
        config.max_inflight_messages = 1 + usize::try_from(seed % 4).unwrap();
        config.window_bytes = 200 + seed % 5 * 200;
        config.trailing_entries = seed % 7;
        config.snapshot_entries = Some(5 + seed % 9);
    };
    let mut world = World::with(FOUNDERS, adjust);
    while world.nodes.len() < usize::try_from(NODES).unwrap() {
        world.join(adjust);
    }
    world
}

/// What each server is in a membership: a voter or not.
fn roles(membership: &Membership) -> BTreeMap<u64, bool> {
    let role = |node: quorate_core::NodeId| (node.get(), membership.is_voter(node));
    membership.members().map(role).collect()
}

/// How many servers two memberships differ by.
fn distance(one: &Membership, other: &Membership) -> usize {
    let (one, other) = (roles(one), roles(other));
    let changed = |(id, role): &(&u64, &bool)| other.get(id) != Some(role);
    let gone = one.iter().filter(changed).count();
    gone + other.keys().filter(|id| !one.contains_key(id)).count()
}

/// The memberships in a log, with the index and term of each.
fn memberships(log: &[Entry]) -> Vec<(&Entry, Membership)> {
    let mut found = Vec::new();
    for entry in log {
        if let Payload::Membership(bytes) = &entry.payload {
            found.push((entry, Membership::decode(bytes).unwrap()));
        }
    }
    found
}

/// Scenarios C01, C02, C03, C05, C13: what a node goes by follows from its log alone, and no log
/// ever holds what would let two majorities miss each other.
fn check(node: &Node, committed: &[Entry]) {
    let Some(engine) = &node.engine else { return };
    let (status, log) = (engine.status(), node.disk.log_as_written());
    let is_founder = node.id.get() <= FOUNDERS;
    // Then a snapshot took the place of the log's start, and told who the members were.
    let begins_later = status.first > i(1);
    let base = if is_founder || begins_later {
        voters(FOUNDERS)
    } else {
        Membership::default()
    };
    let changes = memberships(&log);
    let newest = changes.last();
    let expected = newest.map_or((LogIndex::NONE, &base), |(entry, membership)| {
        (entry.index, membership)
    });
    assert_eq!(
        (status.membership_index, &status.membership),
        expected,
        "{} goes by other members than its log says",
        node.id
    );
    let is_open = |entry: &Entry| entry_at(committed, entry.index) != Some(entry);
    let open = changes.iter().filter(|(entry, _)| is_open(entry)).count();
    assert!(open <= 1, "{} holds {open} open changes (C02)", node.id);
    let mut before = voters(FOUNDERS);
    for (entry, membership) in changes {
        assert!(
            distance(&before, &membership) <= 1,
            "{} changes more than one server at {}",
            node.id,
            entry.id()
        );
        let before_entry = entry_at(&log, entry.index.prev());
        assert_eq!(
            before_entry.map(|before| before.term),
            Some(entry.term),
            "{} is the first of its term (C01)",
            entry.id()
        );
        before = membership;
    }
}

/// One thing happens.
fn happen(world: &mut World, rng: &mut Rng, asked: &mut Vec<Asked>) {
    let node = rng.u64(1..=NODES);
    match rng.u8(0..100) {
        0..=49 => arrive(world, rng),
        50..=61 => {
            world.pump();
        }
        62..=77 => {
            world.now = world.now.after(ms(rng.u64(0..25)));
            for node in world.running() {
                let now = world.now;
                world.step(node, Event::Tick { now });
            }
        }
        78..=82 => world.propose(world.leader().unwrap_or(node), &["x"]),
        83..=90 => ask(world, rng, asked),
        91 | 92 => world.net.cut((n(node), n(rng.u64(1..=NODES)))),
        93 | 94 => world.net.heal(),
        95 if rng.u8(0..4) == 0 => {
            world.transfer(world.leader().unwrap_or(node), None);
        }
        _ if world.running().contains(&node) => {
            if rng.u8(0..8) == 0 {
                let pending = world.node(node).disk.pending();
                world.crash(node, rng.usize(0..=pending));
            }
        }
        _ => world.restart(node),
    }
}

/// Any message on its way arrives, or is lost.
fn arrive(world: &mut World, rng: &mut Rng) {
    if world.net.len() > 0
        && let Some(message) = world.net.pop_at(rng.usize(0..world.net.len()))
        && rng.u8(0..100) >= 4
    {
        world.deliver(message);
    }
}

/// An operator wants something, mostly of the leader.
fn ask(world: &mut World, rng: &mut Rng, asked: &mut Vec<Asked>) {
    let at = match world.leader() {
        Some(leader) if rng.u8(0..8) > 0 => leader,
        Some(_) | None => rng.u64(1..=NODES),
    };
    let node = rng.u64(1..=NODES);
    let what = match rng.u8(0..8) {
        0 | 1 => add_voter(node),
        2 => add_learner(node),
        3 | 4 => promote(node),
        5 | 6 => remove(node),
        _ => move_to(node, "elsewhere:7000"),
    };
    if world.node(at).engine.is_some() {
        let life = world.node(at).life;
        asked.push((world.change(at, what), at, life));
    }
}

/// Everything works again: one leader, its members hold the same, every change is answered once.
fn recovers(world: &mut World, seed: u64, asked: &[Asked]) {
    world.net.heal();
    for node in 1..=NODES {
        if !world.running().contains(&node) {
            world.restart(node);
        }
    }
    world.advance(ms(ELECTION_MAX_MS * 30));
    let leader = world.leader();
    let leader = leader.unwrap_or_else(|| panic!("nobody leads a healthy cluster: seed {seed}"));
    world.propose(leader, &["after"]);
    world.advance(ms(ELECTION_MAX_MS * 2));
    let expected = world.applied(leader);
    assert_eq!(expected.last().map(String::as_str), Some("after"), "{seed}");
    let membership = world.status(leader).membership;
    for member in membership.members() {
        let member = member.get();
        assert_eq!(world.applied(member), expected, "n{member}: seed {seed}");
        assert_eq!(world.status(member).membership, membership, "seed {seed}");
    }
    for node in &world.nodes {
        check(node, world.safety.committed());
    }
    for &(change, node, life) in asked {
        let end = world.change_end(change);
        let is_alive = world.node(node).life == life;
        assert!(
            end.is_some() || !is_alive,
            "{change} has no answer: seed {seed}"
        );
    }
}

fn history(seed: u64, keep: Keep) -> World {
    let mut world = world(seed);
    world.trace.keep = keep;
    let mut rng = Rng::with_seed(seed);
    let mut asked = Vec::new();
    for _ in 0..STEPS {
        happen(&mut world, &mut rng, &mut asked);
        for node in &world.nodes {
            check(node, world.safety.committed());
        }
    }
    recovers(&mut world, seed, &asked);
    world
}

/// Scenario C20
#[test]
fn a_cluster_is_safe_and_recovers_when_its_members_change_and_nodes_crash() {
    let (mut changes, seeds) = (0, 60);
    for seed in 0..seeds {
        let run = || history(seed, Keep::Nothing);
        let Ok(world) = std::panic::catch_unwind(run) else {
            // The same once more, written down.
            history(seed, Keep::Tail);
            unreachable!("seed {seed} does not fail twice");
        };
        changes += memberships(world.safety.committed()).len();
    }
    let enough = usize::try_from(seeds).unwrap() * 2;
    assert!(
        changes > enough,
        "only {changes} changes: the histories are idle"
    );
}
