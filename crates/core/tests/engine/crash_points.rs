//! Power fails between any two actions of any node: the history goes on safely, and after a
//! restart everything that was committed is there. `support/safety.rs` checks every step.

use std::panic::{AssertUnwindSafe, catch_unwind};

use super::support::trace::Keep;
use super::support::world::World;
use super::support::{HEARTBEAT_MS, ms};

/// A day in the life of a cluster, with elections, writes, reads, a partition and its repair.
fn live(world: &mut World) {
    world.advance(ms(900));
    act(world, "a");
    world.advance(ms(HEARTBEAT_MS));
    if let Some(leader) = world.leader() {
        let others: Vec<u64> = (1..=3).filter(|&node| node != leader).collect();
        world.cut(&[leader], &others);
        act(world, "lost");
        world.advance(ms(1_400));
    }
    act(world, "b");
    world.net.heal();
    world.advance(ms(HEARTBEAT_MS * 4));
    act(world, "c");
    world.advance(ms(HEARTBEAT_MS * 4));
}

/// A day with snapshots: one node lags until its entries are gone, gets a snapshot, and then
/// everybody takes some.
fn live_with_snapshots(world: &mut World) {
    world.advance(ms(900));
    act(world, "a");
    let Some(leader) = world.leader() else { return };
    let lagging = leader % 3 + 1;
    let others: Vec<u64> = (1..=3).filter(|&node| node != lagging).collect();
    world.cut(&[lagging], &others);
    for command in ["b", "c"] {
        act(world, command);
        world.advance(ms(HEARTBEAT_MS));
        snapshot(world, leader);
    }
    world.net.heal();
    world.advance(ms(HEARTBEAT_MS * 6));
    act(world, "d");
    for node in 1..=3 {
        snapshot(world, node);
    }
    act(world, "e");
    world.advance(ms(HEARTBEAT_MS * 4));
}

/// Takes a snapshot at a node that runs and has applied something since its last.
fn snapshot(world: &mut World, node: u64) {
    let state = world.node(node);
    if state.engine.is_some() && state.applied_index() > state.disk.newest_snapshot() {
        world.take_snapshot(node);
        world.settle();
    }
}

/// Writes at the leader and reads at every node.
fn act(world: &mut World, command: &str) {
    if let Some(leader) = world.leader() {
        world.propose(leader, &[command]);
        world.propose(leader, &[command, command]);
    }
    for node in 1..=3 {
        world.read(node);
    }
    world.settle();
}

/// Everybody is back: a leader is found, a write succeeds, and all agree.
fn recovers(world: &mut World, stop: u64) {
    for node in 1..=3 {
        if !world.running().contains(&node) {
            world.restart(node);
        }
    }
    world.net.heal();
    world.advance(ms(3_000));
    let leader = world.leader();
    let leader = leader.unwrap_or_else(|| panic!("no leader after a stop at action {stop}"));
    world.propose(leader, &["after"]);
    world.advance(ms(HEARTBEAT_MS * 4));
    let expected = world.applied(leader);
    assert_eq!(
        expected.last().map(String::as_str),
        Some("after"),
        "stop at action {stop}"
    );
    for node in 1..=3 {
        assert_eq!(
            world.applied(node),
            expected,
            "n{node}, stop at action {stop}"
        );
    }
    assert_eq!(
        world.safety.waiting_reads(),
        0,
        "a read never ended, stop at action {stop}"
    );
}

fn stop_after_every_action(live: impl Fn(&mut World), prepare: impl Fn() -> World) -> u64 {
    let mut whole = prepare();
    live(&mut whole);
    let actions = whole.performed;
    let stop_at = |stop, keep| {
        let mut world = prepare();
        world.trace.keep = keep;
        world.stop_at = Some(stop);
        live(&mut world);
        recovers(&mut world, stop);
    };
    for stop in 0..actions {
        let run = AssertUnwindSafe(|| stop_at(stop, Keep::Nothing));
        if catch_unwind(run).is_err() {
            // The same once more, written down.
            stop_at(stop, Keep::Tail);
        }
    }
    actions
}

/// A host that performs one action after the other, as the contract says is always right.
#[test]
fn a_cluster_survives_a_stop_between_any_two_actions() {
    let stops = stop_after_every_action(live, || {
        let mut world = World::new(3);
        world.is_sequential = true;
        world
    });
    assert!(stops > 200, "only {stops} actions were tried");
}

/// A host that overlaps disk and network as `needs` allows: what was not synced is gone.
#[test]
fn a_cluster_survives_a_stop_at_any_action_when_unsynced_writes_are_lost() {
    let stops = stop_after_every_action(live, || World::with(3, |config| config.pre_vote = false));
    assert!(stops > 200, "only {stops} actions were tried");
}

/// A cluster that keeps nothing behind a snapshot.
fn compacting() -> World {
    World::with(3, |config| {
        config.trailing_entries = 0;
        config.max_retained_bytes = 1;
    })
}

/// Scenarios D01, D07, D16: between snapshot, log and state machine, whatever survives of the
/// writes under way.
#[test]
fn a_cluster_with_snapshots_survives_a_stop_between_any_two_actions() {
    let stops = stop_after_every_action(live_with_snapshots, || {
        let mut world = compacting();
        world.is_sequential = true;
        world
    });
    assert!(stops > 200, "only {stops} actions were tried");
    for keeps in [0, 1, usize::MAX] {
        stop_after_every_action(live_with_snapshots, || {
            let mut world = compacting();
            world.stop_keeps = keeps;
            world
        });
    }
}

/// What the test above rests on: the day has every step of an installation in it.
#[test]
fn the_day_with_snapshots_installs_one() {
    let mut world = compacting();
    world.trace.keep = Keep::All;
    live_with_snapshots(&mut world);
    let history = world.trace.tail();
    for step in [
        "install snapshot",
        "instead of the log",
        "restore",
        "purge",
        "receive",
        "drop",
    ] {
        assert!(history.contains(step), "no {step} in\n{history}");
    }
}
