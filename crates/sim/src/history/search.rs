//! The search for an order of the operations at one key: each takes effect between question and
//! answer, and answers what it answers in that order (Wing and Gong's search, with Lowe's memory
//! of what was tried). What is searched, and what a failure means, is in `linearizability.rs`.

use std::collections::BTreeSet;

use super::cell::{Cell, Reply};
use super::op::{Op, OpId};
use crate::digest::mix;

/// One operation, as far as it concerns one key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Call {
    pub(super) id: OpId,
    pub(super) client: u32,
    pub(super) op: Op,
    /// What it answered; `None` if nobody was told.
    pub(super) reply: Option<Reply>,
    pub(super) invoked: u64,
    /// Before when it took effect; `None` if it may be any time after the question.
    pub(super) returned: Option<u64>,
    /// Whether it took effect, or only may have.
    pub(super) required: bool,
}

/// What the search came to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Found {
    /// An order that explains everything.
    Order,
    /// There is none. The longest beginning of one.
    None(Vec<OpId>),
    /// The steps were used up.
    GaveUp,
}

/// Looks for an order of `calls`, in at most `steps` attempts to place one, of which it takes
/// away what it used.
pub(super) fn search(calls: &[Call], steps: &mut u64) -> Found {
    let mut calls = calls.to_vec();
    // Those without an end stand apart: they are few, and would keep the window open.
    calls.sort_by_key(|call| (call.returned.is_none(), call.invoked));
    let mut search = Search {
        returned: calls.partition_point(|call| call.returned.is_some()),
        required: calls.iter().filter(|call| call.required).count(),
        done: vec![false; calls.len()],
        low: 0,
        cell: Cell::default(),
        set: 0,
        seen: BTreeSet::new(),
        placed: Vec::new(),
        longest: Vec::new(),
        calls,
    };
    search.run(steps)
}

struct Search {
    /// Those with an end by their beginning, then those without.
    calls: Vec<Call>,
    /// How many have an end.
    returned: usize,
    /// How many that took effect are not placed yet.
    required: usize,
    done: Vec<bool>,
    /// All with an end before this one are placed.
    low: usize,
    /// The state after those that are placed.
    cell: Cell,
    /// Which ones are placed, as the sum of their names.
    set: u128,
    /// What was tried: which ones were placed, and the state after them.
    seen: BTreeSet<(u128, Cell)>,
    placed: Vec<Placed>,
    longest: Vec<OpId>,
}

/// One step of the order.
struct Placed {
    at: usize,
    /// The state before.
    before: Cell,
    /// It changes nothing here, and as its answer is known, nowhere else: if there is an order at
    /// all, there is one in which it stands here.
    harmless: bool,
}

impl Search {
    fn run(&mut self, steps: &mut u64) -> Found {
        let mut from = 0;
        while self.required > 0 {
            if *steps == 0 {
                return Found::GaveUp;
            }
            if self.place_one(from, steps) {
                from = 0;
                continue;
            }
            if self.placed.len() > self.longest.len() {
                self.longest = self.order();
            }
            let Some(next) = self.take_back() else {
                return Found::None(std::mem::take(&mut self.longest));
            };
            from = next;
        }
        Found::Order
    }

    /// Places the first call that can stand next, among those from `from` on.
    fn place_one(&mut self, from: usize, steps: &mut u64) -> bool {
        // Nothing may stand next that was asked for after another one was answered.
        let mut bound = u64::MAX;
        let mut at = self.low;
        while let Some(&call) = self.calls.get(at) {
            let is_open = at >= self.returned;
            let free = self.done.get(at) == Some(&false);
            if free && call.invoked < bound {
                if at >= from {
                    *steps = steps.saturating_sub(1);
                    if self.place(at, call) {
                        return true;
                    }
                }
                bound = bound.min(call.returned.unwrap_or(u64::MAX));
            } else if free && !is_open {
                at = self.returned;
                continue;
            }
            at += 1;
        }
        false
    }

    fn place(&mut self, at: usize, call: Call) -> bool {
        let mut after = self.cell;
        let reply = after.apply(call.id, call.op);
        if call.reply.is_some_and(|told| told != reply) {
            return false;
        }
        let changes = after != self.cell;
        if !changes && !call.required {
            return false;
        }
        let set = self.set ^ name(at);
        if !self.seen.insert((set, after)) {
            return false;
        }
        self.placed.push(Placed {
            at,
            before: self.cell,
            harmless: !changes && call.reply.is_some(),
        });
        self.mark(at, call.required);
        (self.set, self.cell) = (set, after);
        while self.low < self.returned && self.done.get(self.low) == Some(&true) {
            self.low += 1;
        }
        true
    }

    /// Takes back the last step that leaves a choice. Where to go on choosing.
    fn take_back(&mut self) -> Option<usize> {
        while let Some(last) = self.placed.pop() {
            let required = self.calls.get(last.at).is_some_and(|call| call.required);
            if let Some(done) = self.done.get_mut(last.at) {
                *done = false;
            }
            self.required += usize::from(required);
            self.set ^= name(last.at);
            self.cell = last.before;
            if last.at < self.returned {
                self.low = self.low.min(last.at);
            }
            if !last.harmless {
                return Some(last.at + 1);
            }
        }
        None
    }

    fn mark(&mut self, at: usize, required: bool) {
        if let Some(done) = self.done.get_mut(at) {
            *done = true;
        }
        self.required -= usize::from(required);
    }

    fn order(&self) -> Vec<OpId> {
        let calls = self
            .placed
            .iter()
            .filter_map(|step| self.calls.get(step.at));
        calls.map(|call| call.id).collect()
    }
}

/// A number for the call at `at`, such that different sets of calls have different sums.
const fn name(at: usize) -> u128 {
    let at = at as u64;
    ((mix(at ^ 0x5345_4152_4348) as u128) << 64) | mix(!at) as u128
}
