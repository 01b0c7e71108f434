//! Random histories of clusters that compact their logs: snapshots at any node at any time, nodes
//! that lag, transfers that are slow or break, crashes with any part of the unsynced writes.
//! Safety is checked at every step; histories without snapshots are in `random_histories.rs`.

use fastrand::Rng;
use quorate_core::{Event, Status};

use super::random_histories::{arrive, release};
use super::support::trace::Keep;
use super::support::world::World;
use super::support::{ELECTION_MAX_MS, HEARTBEAT_MS, ms, n};

const STEPS: usize = 1_500;

/// How bad a history is.
#[derive(Clone, Copy, Debug)]
struct Weather {
    nodes: u64,
    seed: u64,
    /// Messages lost or repeated, out of a hundred.
    loss: u8,
    /// Whether nodes crash and disks are slow.
    crashes: bool,
}

fn world(weather: Weather) -> World {
    let seed = weather.seed;
    World::with(weather.nodes, |config| {
        config.seed += seed * 1_000;
        config.pre_vote = !seed.is_multiple_of(3);
        config.trailing_entries = [0, 0, 1, 4][usize::try_from(seed % 4).unwrap()];
        // Some leaders let go of what a peer within reach is being sent.
        config.max_retained_bytes = [1, 1 << 20][usize::try_from(seed / 4 % 2).unwrap()];
        config.snapshot_entries = [None, Some(3), Some(9)][usize::try_from(seed % 3).unwrap()];
        config.max_retained_bytes = [0, 300, 1 << 20][usize::try_from(seed / 2 % 3).unwrap()];
        config.max_append_bytes = 140 + seed % 3 * 200;
        config.max_inflight_messages = 1 + usize::try_from(seed % 4).unwrap();
        config.window_bytes = 100 + seed % 5 * 200;
        config.max_unapplied_bytes = 100 + seed % 2 * 400;
    })
}

/// One thing happens.
fn happen(world: &mut World, rng: &mut Rng, weather: Weather) {
    let node = rng.u64(1..=weather.nodes);
    match rng.u8(0..100) {
        0..=44 => arrive(world, rng, weather.loss),
        45..=58 => {
            world.pump();
        }
        59..=71 => pass_time(world, rng),
        72..=79 => {
            let proposer = world.leader().unwrap_or(node);
            world.propose(proposer, &["x", "y"][..rng.usize(1..=2)]);
        }
        80 | 81 => {
            world.read(node);
        }
        82..=85 => take_snapshot(world, node),
        86 => {
            let held = &mut world.node_mut(node).is_receive_held;
            *held = rng.bool();
        }
        87 | 88 => world.let_snapshot_arrive(node),
        89 => world.lose_snapshot(node),
        // Whole nodes are cut off for long, or they never lag far enough.
        90 | 91 => {
            let others: Vec<u64> = (1..=weather.nodes).filter(|&other| other != node).collect();
            world.cut(&[node], &others);
        }
        92 => world.net.cut((n(node), n(rng.u64(1..=weather.nodes)))),
        93 | 94 => world.net.heal(),
        95 | 96 if weather.crashes => crash_or_restart(world, rng, node),
        97 if weather.crashes => world.node_mut(node).disk.is_held = rng.u8(0..4) == 0,
        98 if weather.crashes => release(world, node),
        _ => {
            let held = &mut world.node_mut(node).is_apply_held;
            *held = !*held;
        }
    }
}

fn pass_time(world: &mut World, rng: &mut Rng) {
    world.now = world.now.after(ms(rng.u64(0..25)));
    for node in world.running() {
        if rng.u8(0..10) > 0 {
            let now = world.now;
            world.step(node, Event::Tick { now });
        }
    }
}

fn crash_or_restart(world: &mut World, rng: &mut Rng, node: u64) {
    if !world.running().contains(&node) {
        return world.restart(node);
    }
    if rng.u8(0..4) == 0 {
        let pending = world.node(node).disk.pending();
        world.crash(node, rng.usize(0..=pending));
    }
}

/// A snapshot that nobody asked for, where the state machine can be captured.
fn take_snapshot(world: &mut World, node: u64) {
    let state = world.node(node);
    let is_new = state.applied_index() > state.disk.newest_snapshot();
    if state.engine.is_some() && !state.is_apply_held && is_new {
        let applied = state.applied_index();
        world.step(node, Event::Applied(applied));
        // That may have made one due.
        if world.node(node).disk.newest_snapshot() < applied {
            world.take_snapshot(node);
        }
    }
}

/// Everything works again: the cluster agrees, and then comes to rest.
fn recovers(world: &mut World, weather: Weather) {
    world.net.heal();
    for node in 1..=weather.nodes {
        if !world.running().contains(&node) {
            world.restart(node);
        }
        release(world, node);
        world.let_snapshot_arrive(node);
        let node = world.node_mut(node);
        node.is_apply_held = false;
        let applied = node.applied_index();
        node.inbox.push_back(Event::Applied(applied));
    }
    world.advance(ms(ELECTION_MAX_MS * 10));
    let leader = world.leader();
    let leader = leader.unwrap_or_else(|| panic!("nobody leads a healthy cluster: {weather:?}"));
    world.propose(leader, &["after"]);
    world.advance(ms(ELECTION_MAX_MS * 2));
    let expected = world.applied(leader);
    assert_eq!(
        expected.last().map(String::as_str),
        Some("after"),
        "{weather:?}"
    );
    let offered = world.status(leader).counters.snapshots_offered;
    world.propose(leader, &["rest"]);
    world.advance(ms(HEARTBEAT_MS * 20));
    let expected = world.applied(leader);
    for node in 1..=weather.nodes {
        assert_eq!(
            world.applied(node),
            expected,
            "n{node} differs: {weather:?}"
        );
        let status = world.status(node);
        assert_eq!(status.leader, Some(n(leader)), "{weather:?}");
        is_tidy(world, &status, weather);
    }
    assert_eq!(
        world.status(leader).counters.snapshots_offered,
        offered,
        "snapshots without end in a quiet network (D04): {weather:?}"
    );
    assert_eq!(world.safety.waiting_reads(), 0, "{weather:?}");
}

/// No disk lost anything, so nobody is accused of it; and no log outgrows its snapshots.
fn is_tidy(world: &World, status: &Status, weather: Weather) {
    let id = status.id;
    assert_eq!(status.counters.peer_regressions, 0, "{id}: {weather:?}");
    assert_eq!(
        status.snapshot.index,
        world.node(id.get()).disk.newest_snapshot()
    );
    let limits = match weather.seed % 3 {
        1 => Some(3),
        2 => Some(9),
        _ => None,
    };
    if let Some(limit) = limits {
        let behind = status.snapshot.index.distance_to(status.applied);
        assert!(
            behind <= limit,
            "{id} takes no snapshots (D14): {weather:?}"
        );
    }
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

fn histories(count: u64, weather: impl Fn(u64) -> Weather) {
    let (mut installed, mut offered, mut committed) = (0, 0, 0);
    for seed in 0..count {
        let weather = weather(seed);
        let run = || history(weather, Keep::Nothing);
        let Ok(world) = std::panic::catch_unwind(run) else {
            // The same once more, written down.
            history(weather, Keep::Tail);
            unreachable!("{weather:?} does not fail twice");
        };
        committed += world.safety.committed().len();
        for node in 1..=weather.nodes {
            let counters = world.status(node).counters;
            installed += counters.snapshots_installed;
            offered += counters.snapshots_offered;
        }
    }
    let enough = committed > usize::try_from(count * 10).unwrap() && installed > count / 2;
    assert!(
        enough && offered > count / 2,
        "{committed} entries, {offered} offers, {installed} installations: the histories are idle"
    );
}

/// Scenarios D01, D04, D11, D12, D17: snapshots are on their way while everything else goes on.
#[test]
fn a_cluster_with_snapshots_is_safe_and_recovers_when_the_network_is_bad() {
    histories(150, |seed| Weather {
        nodes: [3, 5, 3, 4][usize::try_from(seed % 4).unwrap()],
        seed,
        loss: u8::try_from(seed % 5 * 4).unwrap(),
        crashes: false,
    });
}

/// Scenarios D07, D16: and power fails in between.
#[test]
fn a_cluster_with_snapshots_is_safe_and_recovers_when_nodes_crash_and_disks_are_slow() {
    histories(300, |seed| Weather {
        nodes: [3, 5, 1, 3, 4][usize::try_from(seed % 5).unwrap()],
        seed: seed + 20_000,
        loss: u8::try_from(seed % 4 * 4).unwrap(),
        crashes: true,
    });
}

/// An engine depends on its seed and its events alone: the same history, to the letter.
#[test]
fn a_history_is_the_same_every_time() {
    let told = |seed| {
        let weather = Weather {
            nodes: 3,
            seed,
            loss: 8,
            crashes: true,
        };
        let mut world = history(weather, Keep::All);
        (world.performed, world.trace.take())
    };
    let (first, again, other) = (told(31), told(31), told(32));
    assert!(first.1.len() > 500, "{} lines prove little", first.1.len());
    assert!(first == again, "the second run took another course");
    assert!(first != other, "the seed changes nothing");
}
