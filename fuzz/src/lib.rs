//! Any bytes at all, as a sequence of events for one engine of a small cluster. Holds the run and
//! what it asserts: no panic, and that a twin which is told the same answers the same. How bytes
//! become numbers is in `draw.rs`, how numbers become events in `events.rs`.
#![forbid(unsafe_code)]

mod bodies;
mod draw;
mod events;
mod host;

use std::time::Duration;

use quorate_core::{
    Action, Config, Engine, EntryId, Floor, HardState, Incarnation, LogIndex, Membership, NodeId,
    Recovered, Term, Time,
};

use crate::draw::Draw;
use crate::host::Host;

/// The engine under test.
const SELF: NodeId = match NodeId::new(1) {
    Some(id) => id,
    None => panic!("only zero names nobody"),
};
const START: Time = Time::from_nanos(1_000_000_000);

/// What a run came to, for the tests of this crate.
#[derive(Debug, PartialEq, Eq)]
pub struct Outcome {
    /// Kind of each event, in order.
    pub events: Vec<&'static str>,
    /// Kind of each action, in order.
    pub actions: Vec<&'static str>,
}

/// Reads a start and then events from `bytes` until none are left.
///
/// # Panics
/// If the engine panics, if two engines that were told the same answer differently, or if one
/// goes on after it stopped.
pub fn run(bytes: &[u8]) -> Outcome {
    let mut draw = Draw::new(bytes);
    let mut outcome = Outcome {
        events: Vec::new(),
        actions: Vec::new(),
    };
    let start = Start::draw(&mut draw);
    let (Some(mut engine), Some(mut twin)) = (start.engine(), start.engine()) else {
        return outcome;
    };
    let mut host = Host::new(START, &start.terms);
    while !draw.is_empty() {
        let event = events::event(&mut draw, &engine, &host);
        outcome.events.push(events::name(&event));
        host.tells(&event);
        let was_stopped = engine.is_stopped();
        let actions = engine.step(event.clone());
        assert_eq!(
            actions,
            twin.step(event.clone()),
            "{event:?} was answered in two ways"
        );
        assert_eq!(engine.status(), twin.status(), "after {event:?}");
        assert_eq!(engine.next_timeout(), twin.next_timeout(), "{event:?}");
        assert!(
            !was_stopped || actions.is_empty(),
            "after its end it answered {event:?} with {actions:?}"
        );
        outcome.actions.extend(actions.iter().map(host::name));
        actions
            .iter()
            .for_each(|action: &Action| host.hears(action));
    }
    outcome
}

/// What a node finds when it starts.
struct Start {
    config: Config,
    life: Incarnation,
    members: Membership,
    hard_state: HardState,
    /// Of the entries in its log.
    terms: Vec<u64>,
    applied: LogIndex,
}

impl Start {
    fn draw(draw: &mut Draw<'_>) -> Self {
        let terms = draw.pick(&[&[][..], &[1], &[1, 1, 2], &[1, 1, 2, 3, 3], &[2, 5, 5, 5]]);
        let voters = (1..=draw.up_to(5)).filter_map(NodeId::new);
        // Out of the set, or in it as a learner, the node still has to answer.
        let (skipped, learner) = draw.pick(&[(0, 0), (0, 0), (0, 0), (0, 7), (1, 0), (1, 1)]);
        let members = Membership::new(voters.skip(skipped), NodeId::new(learner));
        let last = terms.last().copied().unwrap_or(0);
        let hard_state = HardState {
            term: Term::new(last + draw.up_to(2)),
            vote: NodeId::new(draw.up_to(3)),
            floor: draw.pick(&[
                None,
                None,
                Some(Floor::At(EntryId::new(LogIndex::new(4), Term::new(last)))),
                Some(Floor::AnyIndexOf(Term::new(last))),
            ]),
        };
        Self {
            config: config(draw),
            life: Incarnation::new(1001),
            members,
            hard_state,
            terms: terms.to_vec(),
            applied: LogIndex::new(draw.up_to(terms.len() as u64)),
        }
    }

    /// `None` if no node can start like this.
    fn engine(&self) -> Option<Engine> {
        let mut term_starts: Vec<EntryId> = Vec::new();
        for (index, &term) in (1..).zip(&self.terms) {
            let id = EntryId::new(LogIndex::new(index), Term::new(term));
            if term_starts.last().is_none_or(|start| start.term < id.term) {
                term_starts.push(id);
            }
        }
        let recovered = Recovered {
            hard_state: self.hard_state,
            term_starts,
            last: LogIndex::new(self.terms.len() as u64),
            applied: self.applied,
            ..Recovered::default()
        };
        let config = self.config.clone().validate().ok()?;
        Engine::recover(config, self.life, self.members.clone(), START, recovered).ok()
    }
}

/// Limits are small or as they come, so that each is met.
fn config(draw: &mut Draw<'_>) -> Config {
    let mut config = Config::new(SELF, draw.up_to(255));
    config.pre_vote = draw.flag();
    if draw.flag() {
        config.election_timeout_max = Duration::from_millis(300);
    }
    if draw.flag() {
        config.window_bytes = 200;
        config.max_append_bytes = 150;
        config.max_inflight_messages = 2;
        config.max_inflight_bytes = 400;
    }
    if draw.flag() {
        config.snapshot_entries = Some(2);
        config.trailing_entries = draw.up_to(2);
    }
    if draw.flag() {
        config.lease = Some(Duration::from_millis(150));
    }
    if draw.flag() {
        config.require_reachable_quorum = false;
    }
    if draw.flag() {
        config.max_entry_bytes = 3;
        config.max_unapplied_bytes = 100;
        config.max_uncommitted_bytes = 300;
    }
    config
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    /// What libFuzzer would start from, without libFuzzer.
    fn outcomes() -> Vec<Outcome> {
        let mut outcomes = Vec::new();
        for seed in 0..3_000 {
            let mut rng = fastrand::Rng::with_seed(seed);
            let bytes: Vec<u8> = (0..1_000).map(|_| rng.u8(..)).collect();
            outcomes.push(run(&bytes));
        }
        outcomes
    }

    #[test]
    fn any_bytes_reach_every_kind_of_event_and_action() {
        let outcomes = outcomes();
        let events: BTreeSet<_> = outcomes.iter().flat_map(|run| &run.events).collect();
        for kind in &events::KINDS {
            assert!(events.contains(kind), "no input is '{kind}'");
        }
        let actions: BTreeSet<_> = outcomes.iter().flat_map(|run| &run.actions).collect();
        for kind in &host::KINDS {
            assert!(actions.contains(kind), "no input leads to '{kind}'");
        }
    }

    #[test]
    fn same_bytes_give_the_same_run() {
        let bytes: Vec<u8> = (0..=255).cycle().take(3_000).collect();
        assert_eq!(run(&bytes), run(&bytes), "a crash could not be replayed");
    }

    #[test]
    fn no_bytes_are_a_run_without_events() {
        assert!(run(&[]).events.is_empty());
    }
}
