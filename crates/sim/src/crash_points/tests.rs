//! Small explorations: enough to notice when the log or the exploration breaks. Long ones are for
//! the command line.

use quorate_core::{Entries, Entry, HardState, LogIndex, Payload, Term};
use quorate_log::Write;

use super::*;

const SEGMENT_BYTES: u64 = 4096;

fn options(seed: u64) -> Options {
    Options {
        subsets: 8,
        seed,
        segment_bytes: SEGMENT_BYTES,
        only: None,
    }
}

fn generated(seed: u64, calls: u64) -> Generated {
    Generated::new(seed, calls, SEGMENT_BYTES)
}

/// Scenario G11.
#[test]
fn every_crash_point_of_made_up_traces_leaves_what_was_acknowledged() {
    for seed in 0..3 {
        let report = explore(&mut generated(seed, 8), &options(seed));
        assert_eq!(report.failure, None, "seed {seed}");
        assert!(report.prefixes > 60, "{report:?}");
        assert!(report.images > 5 * report.prefixes, "{report:?}");
    }
}

#[test]
fn equal_seeds_try_the_same_and_others_do_not() {
    let report = |seed| explore(&mut generated(seed, 4), &options(seed));
    assert_eq!(report(5), report(5));
    assert_ne!(report(5), report(6));
}

fn append(index: u64, term: u64, bytes: usize) -> Write {
    let entry = Entry {
        index: LogIndex::new(index),
        term: Term::new(term),
        payload: Payload::Command(vec![7; bytes].into()),
    };
    Write::Append(Entries::from(vec![entry]))
}

fn term(term: u64) -> Write {
    Write::HardState(HardState {
        term: Term::new(term),
        ..HardState::default()
    })
}

/// A trace that was recorded has its own crashes, and goes on after them.
#[test]
fn recorded_trace_is_run_as_it_was() {
    let calls = vec![
        Call::Perform(vec![term(1), append(1, 1, 10)]),
        Call::Crash {
            during: Box::new(Call::Perform(vec![append(2, 1, 10)])),
            after: 1,
            survivors: Survivors::Listed(vec![false; 9]),
        },
        // The second entry is lost, so this is the next one.
        Call::Perform(vec![append(2, 1, 700), term(2), append(2, 2, 3500)]),
        Call::Reopen {
            close: true,
            segment_bytes: 8192,
        },
    ];
    let report = explore(&mut calls.into_iter(), &options(1));
    assert_eq!(report.failure, None);
    assert_eq!(report.calls, 5, "and the first start");
}

/// Scenario G03: what a failed sync was for may be seen and yet be gone after the next crash. An
/// open that took it for durable is found out, one crash later.
#[test]
fn log_goes_on_after_a_failed_sync_with_what_is_durable() {
    for (skip, old_content) in [(0, true), (0, false), (1, true), (1, false)] {
        let during = Box::new(Call::Perform(vec![append(2, 1, 700), term(2)]));
        let calls = vec![
            Call::Perform(vec![term(1), append(1, 1, 10)]),
            Call::FailSync {
                during,
                skip,
                old_content,
            },
            Call::Perform(vec![term(3), append(2, 3, 20)]),
        ];
        let report = explore(&mut calls.into_iter(), &options(1));
        assert_eq!(report.failure, None);
    }
}

/// The exploration itself can fail: a trace that claims what is not so is found out.
#[test]
fn call_that_the_log_refuses_is_a_failure_at_its_place() {
    let calls = vec![
        Call::Perform(vec![term(1), append(1, 1, 10)]),
        Call::Perform(vec![append(9, 1, 10)]),
    ];
    let report = explore(&mut calls.into_iter(), &options(1));
    let failure = report.failure.expect("the log has no entry 8");
    assert_eq!(failure.at.survivors, None);
    assert!(failure.to_string().contains("i9"), "{failure}");
}

#[test]
fn crash_point_that_is_named_is_the_only_one_tried() {
    let mut only = options(2);
    only.only = Some(Point {
        survivors: Some(Survivors::None),
        ..Point::all_at(30)
    });
    only.subsets = 0;
    let report = explore(&mut generated(2, 8), &only);
    assert_eq!(report.images, 1);
    only.only = Some(Point::all_at(30));
    assert!(explore(&mut generated(2, 8), &only).images > 3);
}
