//! When the next snapshot is due after one that nobody asked for: a host may take one whenever it
//! wants, and what that does not hold still counts. Snapshots that are asked for are in
//! `paper_snapshots.rs`.

use quorate_core::{Action, Entry, Event};

use super::support::bench::{Bench, append, heartbeat, node_of};
use super::support::snapshots::snapshot;
use super::support::{HEARTBEAT_MS, entries, i, id};

/// A follower that has applied i1 and i2. A snapshot is due by the bytes of two entries.
fn follower() -> Bench {
    let bytes = 2 * Entry::OVERHEAD_BYTES + 6;
    let past = node_of(3).configured(|config| config.snapshot_bytes = Some(bytes));
    past.with_log(&[1, 1]).applied(2).start()
}

/// Entries `first` to `last` come, are committed and applied.
fn apply(bench: &mut Bench, first: u64, last: u64) -> Vec<Action> {
    let terms: Vec<u64> = (first..=last).map(|_| 1).collect();
    let new = append(id(first - 1, 1), entries(first, &terms), last);
    let mut actions = bench.receive(2, 1, new);
    actions.extend(bench.persist());
    actions.extend(bench.step(Event::Applied(i(last))));
    actions
}

/// Whether one is due now, or after the pause that follows one that was of no use.
fn is_due(bench: &mut Bench, mut actions: Vec<Action>) -> bool {
    actions.extend(bench.receive(2, 1, heartbeat(id(2, 1), 2)));
    actions.extend(bench.sleep(HEARTBEAT_MS));
    actions.contains(&Action::SnapshotDue)
}

fn tell(bench: &mut Bench, last: u64) -> Vec<Action> {
    bench.step(Event::SnapshotTaken(snapshot(last, 1)))
}

/// Scenario D14: the answer may never come, and nobody would ask again.
#[test]
fn a_snapshot_told_twice_while_another_is_asked_for_leaves_that_due() {
    let mut bench = follower();
    let _ = tell(&mut bench, 2);
    let actions = apply(&mut bench, 3, 4);
    assert!(actions.contains(&Action::SnapshotDue));
    let actions = tell(&mut bench, 2);
    assert!(!actions.contains(&Action::SnapshotDue), "not at once");
    assert!(is_due(&mut bench, actions), "i3 and i4 are in none");
}

/// Scenario D14
#[test]
fn a_snapshot_that_nobody_asked_for_leaves_counted_what_it_does_not_hold() {
    for (last, is_due_at_once, is_due_later) in
        [(2, true, true), (3, false, true), (4, false, false)]
    {
        let mut bench = follower();
        let actions = apply(&mut bench, 3, 4);
        assert!(actions.contains(&Action::SnapshotDue));
        let actions = tell(&mut bench, last);
        let due = is_due(&mut bench, actions);
        assert_eq!(due, is_due_at_once, "one up to {last}");
        let actions = apply(&mut bench, 5, 5);
        let due_later = due || is_due(&mut bench, actions);
        assert_eq!(due_later, is_due_later, "one up to {last}, and an entry");
    }
}
