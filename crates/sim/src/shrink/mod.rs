//! Makes a failing run small: the same property violated by few choices and few events. A run is
//! made smaller by taking choices from its tape (`reduce.rs`); everything that is not on a tape
//! is as calm as can be, so what is left is what the failure needs.

use crate::check::{Property, Violation};
use crate::choice::Source;
use crate::run::{Options, Outcome, WorldName, run};
use crate::tape::Tape;
use crate::tape::text::Case;

use reduce::{Failure, Reducer};

mod reduce;

/// Runs that a reduction may take, unless told otherwise.
pub const DEFAULT_RUNS: u64 = 10_000;

/// A failing run, made small.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Shrunk {
    /// The small run.
    pub case: Case,
    /// What it violates.
    pub violation: Violation,
    /// Hash of everything that happens in it.
    pub digest: u64,
    /// Choices before.
    pub choices_before: u64,
    /// Happenings up to the violation, before and after.
    pub events_before: u64,
    /// ... and after.
    pub events_after: u64,
    /// Runs that it took.
    pub runs: u64,
    /// Nothing more could be taken away. If not so, the budget was used up before.
    pub is_smallest: bool,
}

/// Makes the run of `events` happenings that `source` gives small, in at most `runs` runs and only
/// until `is_over`. `None` if it violates nothing.
#[must_use]
pub fn shrink(
    world: WorldName,
    source: &Source,
    events: u64,
    runs: u64,
    is_over: impl FnMut() -> bool,
) -> Option<Shrunk> {
    let options = Options {
        records: true,
        ..Options::new(events)
    };
    let whole = run(world, source, options);
    let property = whole.violation.as_ref()?.property;
    let tape = whole.tape.clone()?;
    let (choices_before, events_before) = (tape.choices().len() as u64, whole.counts.events);
    // Where faults were still going on, nothing has to be run after them.
    let settles = events_before > events;
    let oracle = |tape: Tape, events: u64| {
        let options = Options {
            events,
            settles,
            ..options
        };
        failure(
            property,
            settles,
            events,
            run(world, &Source::Tape(tape), options),
        )
    };
    let first = failure(property, settles, events, whole)?;
    let mut reducer = Reducer::new(oracle, first, settles, runs, is_over);
    reducer.reduce();
    let is_smallest = !reducer.is_out_of_budget();
    let (best, runs) = reducer.end();
    let case = Case {
        world,
        events: best.events,
        tape: best.tape,
    };
    let again = run(
        world,
        &Source::Tape(case.tape.clone()),
        Options::new(case.events),
    );
    Some(Shrunk {
        case,
        violation: again.violation?,
        digest: again.digest,
        choices_before,
        events_before,
        events_after: again.counts.events,
        runs,
        is_smallest,
    })
}

/// The failure that a run is, if it violates `property`.
fn failure(property: Property, settles: bool, events: u64, outcome: Outcome) -> Option<Failure> {
    let is_same = outcome.violation?.property == property;
    let until = outcome.counts.events;
    is_same.then_some(Failure {
        tape: outcome.tape?,
        events: if settles { events } else { until },
        until,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Two crashes with an election between them are no mistake. But they are rare in a calm
    /// world, so what is left has to bring them about.
    fn crashes_twice(tape: Tape, events: u64) -> Option<Failure> {
        let options = Options {
            records: true,
            settles: false,
            ..Options::new(events)
        };
        let outcome = run(WorldName::Engines, &Source::Tape(tape), options);
        let counts = outcome.counts;
        let is_met = counts.crashes >= 2 && counts.elections >= 2 && counts.committed > 10;
        is_met.then_some(Failure {
            tape: outcome.tape?,
            events,
            until: counts.events,
        })
    }

    #[test]
    fn a_made_up_failure_shrinks_to_few_choices_and_is_still_one() {
        let (seed, events) = (4, 1500);
        let options = Options {
            records: true,
            settles: false,
            ..Options::new(events)
        };
        let tape = run(WorldName::Engines, &Source::Seed(seed), options).tape;
        let first = crashes_twice(tape.unwrap(), events).expect("the seed was chosen for it");
        let before = first.tape.choices().len();
        assert!(before > 1000, "{before} choices are few to begin with");
        let mut reducer = Reducer::new(crashes_twice, first, true, 3000, || false);
        reducer.reduce();
        let (best, runs) = reducer.end();
        assert!(best.tape.choices().len() <= 12, "{:?}", best.tape);
        assert!(best.events < events);
        assert!(runs <= 3000);
        let again = crashes_twice(best.tape.clone(), best.events);
        assert_eq!(again, Some(best), "the small run is not a failure");
    }

    #[test]
    fn a_reduction_ends_when_its_runs_are_used_up_or_its_time_is() {
        let options = Options {
            records: true,
            settles: false,
            ..Options::new(1500)
        };
        let tape = run(WorldName::Engines, &Source::Seed(4), options).tape;
        let first = crashes_twice(tape.unwrap(), 1500).unwrap();
        let mut reducer = Reducer::new(crashes_twice, first.clone(), true, 5, || false);
        reducer.reduce();
        assert!(reducer.is_out_of_budget());
        assert_eq!(reducer.end().1, 5);
        let mut reducer = Reducer::new(crashes_twice, first.clone(), true, 5, || true);
        reducer.reduce();
        assert!(reducer.is_out_of_budget());
        assert_eq!(reducer.end(), (first, 0));
    }

    #[test]
    fn a_run_that_violates_nothing_is_not_shrunk() {
        let shrunk = shrink(WorldName::Engines, &Source::Seed(1), 300, 10, || false);
        assert_eq!(shrunk, None);
    }
}
