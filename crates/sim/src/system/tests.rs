//! Whole systems keep every property, meet every kind of fault, and do the same every time. That
//! each checker can fire is shown beside it, and by the mutants.

use quorate::StorageJob;
use quorate_core::{Entry, HardState, LogIndex, NodeId, Payload, Term};
use quorate_log::Write;

use super::recovered::is_possible;
use crate::shape::Shape;
use crate::{Counts, Options, Outcome, Source, Tape, WorldName, run};

const FEW: Options = Options::new(2_000);

fn run_seed(seed: u64, options: Options) -> Outcome {
    run(WorldName::Systems, &Source::Seed(seed), options)
}

#[test]
fn systems_keep_every_property_under_two_hundred_seeds() {
    let mut total = Counts::default();
    for seed in 0..200 {
        let outcome = run_seed(seed, FEW);
        assert_eq!(outcome.violation, None, "seed {seed}");
        assert_eq!(outcome.counts.black_box_given_up, 0, "seed {seed}");
        total.add(&outcome.counts);
    }
    // A world in which nothing happens keeps every property and proves none.
    for (count, what) in [
        (total.committed, "commits"),
        (total.acked, "answered writes"),
        (total.reads, "reads"),
        (total.elections, "elections"),
        (total.truncations, "truncations"),
        (total.loads, "loads of old entries"),
        (total.load_failures, "failed loads"),
        (total.crashes_in_step, "crashes in a turn or a job"),
        (total.lost_writes, "lost sectors"),
        (total.blackouts, "losses of all power"),
        (total.storage_failures, "disk failures"),
        (total.directory_failures, "failures of directories"),
        (total.bad_sectors, "bad sectors"),
        (total.misdirected, "writes gone astray"),
        (total.lost_pages, "lost pages"),
        (total.stalls, "disk stalls"),
        (total.full_disks, "full disks"),
        (total.damages, "damaged logs"),
        (total.wipes, "empty directories"),
        (total.shutdowns, "orderly restarts"),
        (total.pauses, "pauses"),
        (total.cuts, "cuts of links"),
        (total.resets, "broken connections"),
        (total.reconnects, "connections that replaced one"),
        (total.silences, "connections given up in silence"),
        (total.corrupted, "damaged bytes on the wire"),
        (total.changes_committed, "changes of the membership"),
        (total.transfers, "transfers of leadership"),
        (total.given_up, "clients that gave up"),
        (total.steady_looks, "undisturbed leaders"),
        (total.early_requests, "votes asked for too early"),
        (total.uncalled_requests, "votes asked for without need"),
        (total.grants, "votes"),
        (total.pre_vote_campaigns, "campaigns after pre-votes"),
        (total.late_ticks, "late ticks"),
        (total.quorum_looks, "leaders that need a majority"),
        (total.quorums_lost, "lost majorities"),
        (total.slow_disk_looks, "leaders with a slow disk"),
        (total.disks_lost, "leaders with a stuck disk"),
        (total.full_waits, "full queues of requests"),
        (total.changes_made, "memberships of a leader"),
        (total.promotions, "new voters"),
        (total.notices, "removals told"),
        (total.transfer_looks, "transfers under way"),
        (total.transfers_told, "targets of a transfer"),
        (total.whole_logs, "whole logs"),
        (total.black_box, "histories checked without the log's word"),
    ] {
        assert!(count > 0, "no {what} in 200 seeds");
    }
    let (commits, events) = (total.committed, total.useful);
    let is_useful = commits * 200 > events;
    assert!(is_useful, "{commits} commits in {events} events are few");
}

/// The request that was granted came in the turn in which the driver shut down. An earlier one of
/// the same campaign had come too early, and was refused.
#[test]
fn a_promise_of_a_drivers_last_turn_is_judged_by_what_was_heard_in_it() {
    let outcome = run_seed(1877, Options::new(20_000));
    assert_eq!(outcome.violation, None);
}

#[test]
fn a_system_does_the_same_every_time_from_its_seed_and_from_its_tape() {
    let records = Options {
        records: true,
        ..Options::new(500)
    };
    for seed in 0..10 {
        let first = run_seed(seed, records);
        let traced = Options {
            trace_lines: 5,
            ..records
        };
        assert_eq!(first.digest, run_seed(seed, traced).digest, "seed {seed}");
        let tape = first.tape.expect("it was recorded");
        let again = run(WorldName::Systems, &Source::Tape(tape), records);
        assert_eq!(first.digest, again.digest, "seed {seed} is not its tape");
        assert_eq!(first.counts, again.counts);
    }
}

#[test]
fn the_calmest_system_serves_without_a_fault() {
    let calm = run(WorldName::Systems, &Source::Tape(Tape::default()), FEW);
    assert_eq!(calm.violation, None);
    let counts = calm.counts;
    assert!(counts.acked > 10, "{counts}");
    assert_eq!(counts.elections, 1, "nobody is disturbed");
    let faults = [counts.crashes, counts.cuts, counts.changes, counts.resets];
    assert_eq!(faults, [0; 4]);
}

/// Scenarios G01, G11
#[test]
fn a_start_may_find_what_was_under_way_up_to_some_point_and_nothing_less_than_was_acknowledged() {
    let state = |term| HardState {
        term: Term::new(term),
        vote: NodeId::new(1),
        floor: None,
    };
    let entry = |index, term| Entry {
        index: LogIndex::new(index),
        term: Term::new(term),
        payload: Payload::Noop,
    };
    let log = |terms: &[u64]| Shape::of(terms);
    let job = StorageJob::Write(vec![
        Write::HardState(state(2)),
        Write::Append(vec![entry(2, 2), entry(3, 2)].into()),
    ]);
    let found = |term, terms: &[u64]| {
        is_possible(
            &state(1),
            &log(&[1, 1]),
            Some(&job),
            &state(term),
            &log(terms),
        )
    };
    assert!(found(1, &[1, 1]), "nothing of the job was done");
    assert!(found(2, &[1, 1]), "the hard state was");
    assert!(found(2, &[1, 2]) && found(2, &[1, 2, 2]));
    assert!(!found(1, &[1]), "an acknowledged entry is missing");
    assert!(!found(1, &[1, 2]), "the entry came before its barrier");
    assert!(!found(2, &[1, 1, 2]), "nobody wrote that");
    assert!(!is_possible(
        &state(2),
        &log(&[1]),
        None,
        &state(1),
        &log(&[1])
    ));
}
