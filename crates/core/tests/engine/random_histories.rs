//! Random histories of whole clusters: messages lost, repeated and reordered, links cut, disks
//! slow, nodes crashed with some of their unsynced writes. Safety is checked at every step by
//! `support/safety.rs`; at the end everything works again, and so must the cluster.

use fastrand::Rng;
use quorate_core::Event;

use super::support::trace::Keep;
use super::support::world::World;
use super::support::{ELECTION_MAX_MS, ms, n};

const STEPS: usize = 1_500;

/// How bad a history is.
#[derive(Clone, Copy, Debug)]
struct Weather {
    nodes: u64,
    seed: u64,
    pre_vote: bool,
    /// Messages lost or repeated, out of a hundred.
    loss: u8,
    /// Whether nodes crash and disks are slow.
    crashes: bool,
}

fn world(weather: Weather) -> World {
    let seed = weather.seed;
    World::with(weather.nodes, |config| {
        config.pre_vote = weather.pre_vote;
        config.seed += seed * 1_000;
        // Small limits, so that every one of them is met.
        config.max_append_bytes = 140 + seed % 3 * 200;
        config.max_inflight_messages = 1 + usize::try_from(seed % 4).unwrap();
        config.window_bytes = 100 + seed % 5 * 200;
        config.max_unapplied_bytes = 100 + seed % 2 * 400;
        config.max_uncommitted_bytes = 2_000;
    })
}

/// One thing happens.
fn happen(world: &mut World, rng: &mut Rng, weather: Weather) {
    let node = rng.u64(1..=weather.nodes);
    match rng.u8(0..100) {
        0..=49 => arrive(world, rng, weather.loss),
        50..=64 => {
            world.pump();
        }
        65..=79 => {
            world.now = world.now.after(ms(rng.u64(0..25)));
            for node in world.running() {
                if rng.u8(0..10) > 0 {
                    let now = world.now;
                    world.step(node, Event::Tick { now });
                }
            }
        }
        80..=87 => {
            let proposer = world.leader().unwrap_or(node);
            world.propose(proposer, &["x", "y"][..rng.usize(1..=2)]);
        }
        88..=90 => {
            world.read(node);
        }
        91 | 92 => {
            let other = rng.u64(1..=weather.nodes);
            world.net.cut((n(node), n(other)));
        }
        93 | 94 => world.net.heal(),
        95 | 96 if weather.crashes => {
            if world.running().contains(&node) {
                if rng.u8(0..4) > 0 {
                    return;
                }
                let pending = world.node(node).disk.pending();
                world.crash(node, rng.usize(0..=pending));
            } else {
                world.restart(node);
            }
        }
        97 if weather.crashes => world.node_mut(node).disk.is_held = rng.u8(0..4) == 0,
        98 if weather.crashes => release(world, node),
        _ => {
            let held = &mut world.node_mut(node).is_apply_held;
            *held = !*held;
        }
    }
}

/// Any message on its way arrives, is lost, or arrives twice.
pub(crate) fn arrive(world: &mut World, rng: &mut Rng, loss: u8) {
    if world.net.len() == 0 {
        return;
    }
    let position = rng.usize(0..world.net.len());
    let Some(message) = world.net.pop_at(position) else {
        return;
    };
    let luck = rng.u8(0..100);
    if luck < loss {
        return;
    }
    if luck < 2 * loss {
        world.net.send(message.clone());
    }
    world.deliver(message);
}

pub(crate) fn release(world: &mut World, node: u64) {
    world.node_mut(node).disk.is_held = false;
    if world.running().contains(&node) {
        world.sync(node);
    }
}

/// Everything works again: one leader, equal state machines, no read left waiting.
fn recovers(world: &mut World, weather: Weather) {
    world.net.heal();
    for node in 1..=weather.nodes {
        if !world.running().contains(&node) {
            world.restart(node);
        }
        release(world, node);
        let node = world.node_mut(node);
        node.is_apply_held = false;
        let applied = node.applied_index();
        node.inbox.push_back(Event::Applied(applied));
    }
    world.advance(ms(ELECTION_MAX_MS * 10));
    let leader = world.leader();
    let leader = leader.unwrap_or_else(|| panic!("nobody leads a healthy cluster: {weather:?}"));
    world.propose(leader, &["after"]);
    let read = world.read(weather.nodes);
    world.advance(ms(ELECTION_MAX_MS * 2));
    let expected = world.applied(leader);
    assert_eq!(
        expected.last().map(String::as_str),
        Some("after"),
        "{weather:?}"
    );
    for node in 1..=weather.nodes {
        assert_eq!(
            world.applied(node),
            expected,
            "n{node} differs: {weather:?}"
        );
        assert_eq!(world.status(node).leader, Some(n(leader)), "{weather:?}");
    }
    assert!(matches!(world.read_end(read), Some(Ok(_))), "{weather:?}");
    assert_eq!(
        world.safety.waiting_reads(),
        0,
        "a read never ended: {weather:?}"
    );
}

fn history(weather: Weather, keep: Keep) -> World {
    let mut world = world(weather);
    world.trace.keep = keep;
    let mut rng = Rng::with_seed(weather.seed);
    for _ in 0..STEPS {
        happen(&mut world, &mut rng, weather);
    }
    recovers(&mut world, weather);
    world
}

fn histories(count: u64, weather: impl Fn(u64) -> Weather) -> usize {
    let mut committed = 0;
    for seed in 0..count {
        let weather = weather(seed);
        let run = || history(weather, Keep::Nothing);
        let Ok(world) = std::panic::catch_unwind(run) else {
            // The same once more, written down.
            history(weather, Keep::Tail);
            unreachable!("{weather:?} does not fail twice");
        };
        committed += world.safety.committed().len();
    }
    committed
}

/// Messages are lost, repeated and reordered; links fail in one direction.
#[test]
fn a_cluster_is_safe_and_recovers_when_the_network_is_bad() {
    let committed = histories(60, |seed| Weather {
        nodes: [3, 5, 2, 4][usize::try_from(seed % 4).unwrap()],
        seed,
        pre_vote: seed % 3 > 0,
        loss: u8::try_from(seed % 5 * 4).unwrap(),
        crashes: false,
    });
    assert!(
        committed > 60 * 20,
        "only {committed} entries: the histories are idle"
    );
}

/// Nodes lose power with any part of their unsynced writes, and their disks stall.
#[test]
fn a_cluster_is_safe_and_recovers_when_nodes_crash_and_disks_are_slow() {
    let committed = histories(120, |seed| Weather {
        nodes: [3, 5, 1, 3, 4][usize::try_from(seed % 5).unwrap()],
        seed: seed + 10_000,
        pre_vote: seed % 2 > 0,
        loss: u8::try_from(seed % 4 * 4).unwrap(),
        crashes: true,
    });
    assert!(
        committed > 120 * 10,
        "only {committed} entries: the histories are idle"
    );
}

/// The same events in the same order give the same actions.
#[test]
fn a_history_repeats_exactly_from_its_seed() {
    let trace = |seed| {
        let weather = Weather {
            nodes: 3,
            seed,
            pre_vote: true,
            loss: 8,
            crashes: true,
        };
        let mut world = world(weather);
        world.trace.keep = Keep::All;
        world.trace.shows_heartbeats = true;
        let mut rng = Rng::with_seed(seed);
        for _ in 0..STEPS {
            happen(&mut world, &mut rng, weather);
        }
        world.trace.take()
    };
    assert_eq!(trace(42), trace(42), "a failure could not be replayed");
    assert_ne!(trace(42), trace(43), "another seed is another history");
}
