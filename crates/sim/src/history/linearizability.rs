//! The black-box check: is there an order of all operations that explains every answer? It uses
//! no index and no term. Keys are independent of one another, so each is searched alone.
//!
//! A read of two keys counts as a read of each; that both were read at one moment is for the
//! witness to check.

use std::collections::BTreeSet;

use super::op::OpId;
use super::record::{History, Outcome, Record};
use super::search::{Call, Found, search};
use super::timeline::timeline;
use crate::check::{Property, Violation};

/// How many attempts to place an operation are made for each key.
pub const DEFAULT_STEPS: u64 = 200_000;

/// How many are made to find out whether a read can be left out of what is shown.
const TRIM_STEPS: u64 = 10_000;

/// What is known of operations without an outcome.
#[derive(Clone, Copy)]
pub enum Unknowns<'a> {
    /// In the end it could be seen which of them were done. The search is much shorter for it.
    Resolved(&'a dyn Fn(OpId) -> bool),
    /// Each may have been done at any time after it was asked for, or never.
    Open,
}

/// What the check came to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// There is an order for every key.
    Linearizable,
    /// There is none.
    Violated {
        /// The key with the fewest operations of those that have none.
        key: u8,
        /// What happened there up to the first answer that cannot be explained, one line for each
        /// operation, a column for each client.
        timeline: String,
    },
    /// The steps were used up at this key, and no other key is violated.
    GaveUp {
        /// The key.
        key: u8,
    },
}

impl Verdict {
    /// The verdict as the answer of a checker. One that gave up found nothing.
    ///
    /// # Errors
    /// There is no order.
    pub fn check(&self) -> Result<(), Violation> {
        match self {
            Self::Linearizable | Self::GaveUp { .. } => Ok(()),
            Self::Violated { timeline, .. } => Err(Violation {
                property: Property::ClientLinearizable,
                facts: timeline.clone(),
            }),
        }
    }
}

/// Searches an order of `history`, in at most `steps` steps for each key. What it does is decided
/// by its arguments alone, also when it gives up.
#[must_use]
pub fn check(history: &History, unknowns: Unknowns<'_>, steps: u64) -> Verdict {
    let mut gave_up = None;
    let mut worst: Option<(u8, Vec<Call>)> = None;
    for key in keys(history.records()) {
        let calls = calls_of(key, history.records(), unknowns);
        let mut left = steps;
        match search(&calls, &mut left) {
            Found::Order => {}
            Found::GaveUp => gave_up = gave_up.or(Some(key)),
            Found::None(_) => {
                if worst
                    .as_ref()
                    .is_none_or(|(_, most)| calls.len() < most.len())
                {
                    worst = Some((key, calls));
                }
            }
        }
    }
    match (worst, gave_up) {
        (Some((key, calls)), _) => Verdict::Violated {
            key,
            timeline: explain(key, &calls, steps),
        },
        (None, Some(key)) => Verdict::GaveUp { key },
        (None, None) => Verdict::Linearizable,
    }
}

fn keys(records: &[Record]) -> BTreeSet<u8> {
    let keys = records.iter().map(|record| record.op.keys());
    keys.flat_map(|(one, other)| other.into_iter().chain([one]))
        .collect()
}

/// The operations at `key`. What was not done is left out, and so are reads that nobody saw.
fn calls_of(key: u8, records: &[Record], unknowns: Unknowns<'_>) -> Vec<Call> {
    let is_here = |record: &&Record| {
        let (one, other) = record.op.keys();
        one == key || other == Some(key)
    };
    let call = |record: &Record| {
        let (returned, reply) = match record.completed {
            Some((_, Outcome::Failed)) => return None,
            Some((at, Outcome::Written { reply, .. } | Outcome::Read { reply, .. })) => {
                (Some(at), Some(reply.of_key(record.op, key)))
            }
            None | Some((_, Outcome::Unknown)) => (None, None),
        };
        let is_unknown = reply.is_none();
        let required = match unknowns {
            Unknowns::Resolved(done) if is_unknown => done(record.id),
            Unknowns::Resolved(_) => true,
            Unknowns::Open => !is_unknown,
        };
        let left_out = match unknowns {
            Unknowns::Resolved(_) => !required,
            Unknowns::Open => false,
        };
        if left_out || (is_unknown && record.op.is_read()) {
            return None;
        }
        Some(Call {
            id: record.id,
            client: record.client,
            op: record.op,
            reply,
            invoked: record.invoked,
            returned,
            required,
        })
    };
    records.iter().filter(is_here).filter_map(call).collect()
}

/// What had happened when `end` came: what was answered later was open then.
fn up_to(calls: &[Call], end: u64) -> Vec<Call> {
    let begun = calls.iter().filter(|call| call.invoked <= end);
    let then = begun.filter_map(|&call| {
        if call.returned.is_some_and(|at| at <= end) {
            return Some(call);
        }
        (!call.op.is_read()).then_some(Call {
            reply: None,
            returned: None,
            required: false,
            ..call
        })
    });
    then.collect()
}

/// Cuts a history that has no order to what shows it, and draws it.
fn explain(key: u8, calls: &[Call], steps: u64) -> String {
    let has_none =
        |calls: &[Call], mut steps: u64| matches!(search(calls, &mut steps), Found::None(_));
    // Whatever has an order, has one for every beginning of it.
    let mut ends: Vec<u64> = calls.iter().filter_map(|call| call.returned).collect();
    ends.sort_unstable();
    let first = ends.partition_point(|&end| !has_none(&up_to(calls, end), steps));
    // There may be no such end: what is seen to be done in the end can be the contradiction.
    let mut shown = ends
        .get(first)
        .map_or_else(|| calls.to_vec(), |&end| up_to(calls, end));
    // A read changes nothing: without it there is an order if there was one with it.
    let mut at = 0;
    while let Some(&call) = shown.get(at) {
        shown.remove(at);
        if !(call.op.is_read() && has_none(&shown, TRIM_STEPS)) {
            shown.insert(at, call);
            at += 1;
        }
    }
    let longest = match search(&shown, &mut { steps }) {
        Found::None(longest) => longest,
        Found::Order | Found::GaveUp => Vec::new(),
    };
    timeline(key, &shown, &longest)
}
