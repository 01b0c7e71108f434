//! Starting with a snapshot [Raft 7]: which states on disk an engine takes over, what it makes of
//! them, and how a log that starts behind a snapshot is compared with others. Starting without
//! one is in `storage.rs`.

use fastrand::Rng;
use quorate_core::{
    Action, AppendOutcome, Body, Engine, EntryId, Event, HardState, Incarnation, LoadOutcome,
    LogIndex, Membership, RecoverError, Recovered, SnapshotMeta, Time,
};

use super::support::bench::{append, heartbeat, node_of, said_to, vote_of, vote_request, written};
use super::support::snapshots::{applied, restored, snapshot};
use super::support::{config, entries, i, id, ms, n, t, voters};

fn recover(recovered: Recovered) -> Result<Engine, RecoverError> {
    let config = config(n(1), 1).validate().unwrap();
    let life = Incarnation::new(1);
    Engine::recover(config, life, voters(3), Time::ZERO, recovered)
}

/// Entries 5 to 9 of term 3 behind a snapshot of the first six.
fn sound() -> Recovered {
    Recovered {
        hard_state: HardState {
            term: t(3),
            ..HardState::default()
        },
        snapshot: Some(snapshot(6, 3)),
        before: id(4, 2),
        term_starts: vec![id(5, 3)],
        last: i(9),
        ..Recovered::default()
    }
}

/// What a disk says of its end is believed or refused, and costs nothing either way.
#[test]
fn a_start_costs_the_same_however_far_the_log_is_said_to_reach() {
    let longest = u64::MAX / 2;
    for last in [longest, longest - 1, 1 << 50] {
        let long = Recovered {
            last: i(last),
            ..sound()
        };
        let engine = recover(long).expect("every index up to there can exist");
        assert_eq!(engine.last(), id(last, 3));
    }
    let beyond = Recovered {
        last: i(longest + 1),
        ..sound()
    };
    assert!(matches!(
        recover(beyond),
        Err(RecoverError::Unordered { .. })
    ));
}

/// No engine appends a membership without a voter: nobody could ever change it again.
#[test]
fn a_membership_of_nobody_is_refused_in_the_log_as_in_a_snapshot() {
    for at in [5, 8] {
        let nobody = Recovered {
            memberships: vec![(i(at), Membership::default())],
            ..sound()
        };
        let expected = RecoverError::Membership { at: i(at) };
        assert_eq!(recover(nobody).unwrap_err(), expected);
    }
}

/// Scenario D07: power failed between the snapshot and the log, and nobody cleaned up.
#[test]
fn a_log_that_does_not_continue_the_snapshot_is_refused() {
    assert!(recover(sound()).is_ok());
    let below = Recovered {
        snapshot: Some(snapshot(20, 3)),
        ..sound()
    };
    let expected = RecoverError::NotContinued {
        snapshot: id(20, 3),
    };
    assert_eq!(recover(below).unwrap_err(), expected, "it ends below");
    let parted = Recovered {
        snapshot: Some(snapshot(6, 2)),
        ..sound()
    };
    let expected = RecoverError::NotContinued { snapshot: id(6, 2) };
    assert_eq!(recover(parted).unwrap_err(), expected, "another entry 6");
    let discarded = Recovered {
        snapshot: Some(snapshot(20, 3)),
        before: id(20, 3),
        term_starts: Vec::new(),
        last: i(20),
        ..sound()
    };
    let engine = recover(discarded).unwrap();
    assert_eq!(engine.last(), id(20, 3), "cleaned up, it starts");
    assert_eq!(engine.status().commit, i(20));
}

/// Scenario D07
#[test]
fn a_gap_between_the_snapshot_and_the_log_is_refused() {
    let older = Recovered {
        snapshot: Some(snapshot(3, 2)),
        ..sound()
    };
    let expected = RecoverError::Gap {
        before: id(4, 2),
        snapshot: id(3, 2),
    };
    assert_eq!(recover(older).unwrap_err(), expected);
    let none = Recovered {
        snapshot: None,
        ..sound()
    };
    let expected = RecoverError::Gap {
        before: id(4, 2),
        snapshot: EntryId::NONE,
    };
    assert_eq!(recover(none).unwrap_err(), expected);
}

/// Scenario D08: going back to an older snapshot loses nothing while the log reaches back to it.
#[test]
fn an_older_snapshot_serves_only_with_the_log_behind_it() {
    let older = Recovered {
        snapshot: Some(snapshot(4, 2)),
        ..sound()
    };
    let engine = recover(older.clone()).unwrap();
    assert_eq!(engine.last(), id(9, 3), "all it acknowledged is there");
    let mut bench = node_of(3).with_log(&[2, 2, 2, 2, 3, 3, 3, 3, 3]);
    bench = bench.with_snapshot(snapshot(4, 2), 4);
    let mut bench = bench.unled();
    let actions = bench.receive(2, 4, vote_request(id(8, 3)));
    assert_eq!(vote_of(&actions), None, "so it elects nobody who lacks it");
    let purged = Recovered {
        before: id(6, 3),
        term_starts: vec![id(7, 3)],
        ..older
    };
    assert!(matches!(recover(purged), Err(RecoverError::Gap { .. })));
}

/// A label that names a membership from behind its own end: two would be in force at once.
#[test]
fn a_snapshot_with_a_membership_from_its_future_is_refused() {
    let mut recovered = sound();
    recovered.snapshot = Some(SnapshotMeta {
        membership_index: i(8),
        ..snapshot(6, 3)
    });
    recovered.memberships = vec![(i(7), voters(5))];
    let expected = RecoverError::Membership { at: i(8) };
    assert_eq!(recover(recovered).unwrap_err(), expected);
}

/// Scenario A16: the snapshot's last entry is the log's, where nothing follows.
#[test]
fn a_log_of_nothing_but_a_snapshot_is_as_recent_as_the_snapshot() {
    let past = || node_of(3).with_snapshot(snapshot(7, 3), 7);
    let voted = |last: EntryId| {
        let mut bench = past().unled();
        let actions = bench.receive(2, 9, vote_request(last));
        vote_of(&actions) == Some(n(2))
    };
    assert!(voted(id(7, 3)), "equal");
    assert!(voted(id(8, 3)) && voted(id(1, 4)), "more recent");
    assert!(!voted(id(6, 3)) && !voted(id(9, 2)), "less recent");
    let mut bench = past().start();
    let mut asked = Vec::new();
    for _ in 0..2 {
        for body in said_to(&bench.time_out(), 2) {
            if let Body::PreVote { last, .. } = body {
                asked.push(*last);
            }
        }
    }
    assert!(!asked.is_empty() && asked.iter().all(|last| *last == id(7, 3)));
}

/// Scenario B10: what was purged was committed, so it agrees.
#[test]
fn an_append_from_below_the_snapshot_is_agreed_to_and_cuts_nothing() {
    let log = [3; 12];
    let past = || node_of(3).with_log(&log).with_snapshot(snapshot(10, 3), 10);
    let mut bench = past().start();
    let late = append(id(5, 3), entries(6, &[3, 3, 3]), 7);
    let actions = bench.receive(2, 3, late);
    let said = said_to(&actions, 2);
    assert!(
        matches!(said[..], [Body::AppendReply { outcome, .. }]
            if *outcome == AppendOutcome::Matched(i(8))),
        "no conflict, which would walk the leader back to a snapshot: {said:?}"
    );
    assert_eq!(bench.engine.last(), id(12, 3));
    let across = append(id(8, 3), entries(9, &[3, 3, 3, 3, 3]), 7);
    let actions = bench.receive(2, 3, across);
    let (_, written) = written(&actions).unwrap();
    assert_eq!(written.first().map(|first| first.index), Some(i(13)));
    let actions = bench.receive(2, 3, heartbeat(EntryId::NONE, 0));
    assert!(matches!(
        said_to(&actions, 2)[..],
        [Body::AppendReply {
            outcome: AppendOutcome::Matched(LogIndex::NONE),
            ..
        }]
    ));
}

/// [Raft 7]: with the snapshot first, at the first step of a new life.
#[test]
fn a_restarted_node_restores_its_snapshot_and_then_applies_the_rest() {
    let past = node_of(3)
        .with_log(&[1; 6])
        .with_snapshot(snapshot(4, 1), 2);
    let mut bench = past.start();
    assert_eq!(
        bench.status().commit,
        i(4),
        "what a snapshot holds is committed"
    );
    let actions = bench.sleep(1);
    assert_eq!(restored(&actions), Some(id(4, 1)));
    assert_eq!(restored(&bench.sleep(1)), None, "once");
    let _ = bench.step(Event::Applied(i(4)));
    let actions = bench.receive(2, 1, heartbeat(id(6, 1), 6));
    let load = actions.iter().find_map(|action| {
        let Action::LoadEntries { load, from, .. } = action else {
            return None;
        };
        Some((*load, *from))
    });
    let (load, from) = load.unwrap();
    assert_eq!(from, i(5), "and not from where the log starts");
    let outcome = LoadOutcome::Found(entries(5, &[1, 1]));
    assert_eq!(
        applied(&bench.step(Event::Loaded { load, outcome })),
        [5, 6]
    );
}

/// Scenario D20: a state machine on disk that is ahead of the snapshot is not taken back.
#[test]
fn a_state_machine_ahead_of_the_snapshot_is_not_restored() {
    for (held, expected) in [(3, Some(id(4, 1))), (4, None), (6, None)] {
        let past = node_of(3)
            .with_log(&[1; 6])
            .with_snapshot(snapshot(4, 1), 2);
        let mut bench = past.applied(held).start();
        assert_eq!(bench.status().commit, i(held.max(4)));
        assert_eq!(restored(&bench.sleep(1)), expected, "it holds {held}");
    }
}

/// A whole history, and what of it a disk holds.
#[derive(Debug)]
struct History {
    /// The term of every entry.
    terms: Vec<u64>,
    /// The entries that hold a membership.
    memberships: Vec<(LogIndex, Membership)>,
    /// Ends of the purged part and of the snapshot; zero for none.
    purged: u64,
    held: u64,
    recovered: Recovered,
}

impl History {
    /// The state that an engine leaves after a history of up to twelve entries.
    fn draw(rng: &mut Rng) -> Self {
        let mut term = 1;
        let count = rng.u64(0..=12);
        let mut terms = Vec::new();
        let mut memberships = Vec::new();
        for index in 1..=count {
            term += u64::from(rng.u8(0..4) == 0);
            terms.push(term);
            if rng.u8(0..3) == 0 {
                memberships.push((i(index), voters(rng.u64(1..=6))));
            }
        }
        let held = rng.u64(0..=count);
        let purged = rng.u64(0..=held);
        let mut history = Self {
            terms,
            memberships,
            purged,
            held,
            recovered: Recovered::default(),
        };
        history.recovered = history.on_disk(rng);
        history
    }

    fn id(&self, index: u64) -> EntryId {
        let place = usize::try_from(index).unwrap();
        let term = place.checked_sub(1).map_or(0, |place| self.terms[place]);
        id(index, term)
    }

    fn last(&self) -> u64 {
        self.terms.len() as u64
    }

    /// The membership in force at `index`, by looking at every entry.
    fn membership_at(&self, index: u64) -> (LogIndex, Membership) {
        let founders = (LogIndex::NONE, voters(3));
        let mut until = self.memberships.iter().filter(|(at, _)| *at <= i(index));
        until.next_back().cloned().unwrap_or(founders)
    }

    fn on_disk(&self, rng: &mut Rng) -> Recovered {
        let in_log = self.purged + 1..=self.last();
        let is_start = |index: &u64| {
            let before = (*index > self.purged + 1).then(|| self.id(index - 1).term);
            before != Some(self.id(*index).term)
        };
        let (membership_index, membership) = self.membership_at(self.held);
        let snapshot = SnapshotMeta {
            membership,
            membership_index,
            ..snapshot(self.held, self.id(self.held).term.get())
        };
        let logged = self
            .memberships
            .iter()
            .filter(|(at, _)| *at > i(self.purged));
        Recovered {
            hard_state: HardState {
                term: t(self.id(self.last()).term.get() + rng.u64(0..3)),
                ..HardState::default()
            },
            snapshot: (self.held > 0).then_some(snapshot),
            before: self.id(self.purged),
            term_starts: in_log
                .filter(is_start)
                .map(|index| self.id(index))
                .collect(),
            memberships: logged.cloned().collect(),
            last: i(self.last()),
            applied: i(rng.u64(0..=self.last())),
        }
    }
}

/// Scenarios C13, D07, D20: whatever an engine left is taken over as it was.
#[test]
fn every_state_that_an_engine_can_leave_is_recovered_as_it_was() {
    let mut rng = Rng::with_seed(11);
    for _ in 0..3_000 {
        let history = History::draw(&mut rng);
        let applied = history.recovered.applied;
        let engine = recover(history.recovered.clone());
        let mut engine = engine.unwrap_or_else(|error| panic!("{error}: {history:?}"));
        let status = engine.status();
        let last = history.id(history.last());
        assert_eq!(engine.last(), last, "{history:?}");
        assert_eq!(status.durable, last.index, "what is on disk is durable");
        assert_eq!(status.commit, applied.max(i(history.held)), "{history:?}");
        assert_eq!(status.first, i(history.purged + 1), "{history:?}");
        assert_eq!(status.snapshot, history.id(history.held), "{history:?}");
        let (index, membership) = history.membership_at(history.last());
        assert_eq!(
            (status.membership_index, status.membership),
            (index, membership)
        );
        for at in history.held..=history.last() {
            let (index, membership) = history.membership_at(at);
            assert_eq!(
                engine.membership_at(i(at)),
                (index, &membership),
                "{history:?}"
            );
        }
        let actions = engine.step(Event::Tick {
            now: Time::ZERO.after(ms(1)),
        });
        let expected = (applied < i(history.held)).then(|| history.id(history.held));
        assert_eq!(restored(&actions), expected, "{history:?}");
    }
}

/// One thing about a state that no engine can have written; `None` where it does not apply.
fn spoil(history: &History, rng: &mut Rng) -> Option<Recovered> {
    let mut spoilt = history.recovered.clone();
    let last = history.last();
    let beyond = i(last + rng.u64(1..5));
    match rng.u8(0..13) {
        0 => spoilt.applied = beyond,
        1 => spoilt.last = i(u64::MAX),
        2 => spoilt.last = i(history.purged.checked_sub(1)?),
        3 => spoilt.hard_state.term = t(history.id(last).term.get().checked_sub(1)?),
        4 => spoilt.memberships.push((beyond, voters(3))),
        5 => spoilt
            .memberships
            .insert(0, (i(rng.u64(0..=history.purged)), voters(3))),
        6 => {
            let twice = spoilt.memberships.last()?.clone();
            spoilt.memberships.push(twice);
        }
        7 => spoilt.snapshot.as_mut()?.last.term = t(77),
        8 => spoilt.snapshot.as_mut()?.last.index = beyond,
        9 => spoilt.snapshot.as_mut()?.membership_index = i(history.held + 1),
        10 => {
            if history.purged == 0 {
                return None;
            }
            spoilt.snapshot = None;
        }
        11 => {
            let newest = *spoilt.term_starts.last()?;
            spoilt.term_starts.push(newest);
        }
        _ => {
            spoilt.term_starts.first()?;
            spoilt.term_starts.remove(0);
        }
    }
    Some(spoilt)
}

/// Scenario D07: a disk is not believed where it cannot be right.
#[test]
fn no_state_that_contradicts_itself_is_taken_over() {
    let mut rng = Rng::with_seed(12);
    let mut spoilt = 0;
    for _ in 0..6_000 {
        let history = History::draw(&mut rng);
        if let Some(state) = spoil(&history, &mut rng) {
            spoilt += 1;
            assert!(recover(state.clone()).is_err(), "{history:?}\nas {state:?}");
        }
    }
    assert!(spoilt > 4_000, "only {spoilt} were tried");
}

/// Replaces one field by whatever comes.
fn scramble(recovered: &mut Recovered, rng: &mut Rng) {
    let field = rng.u8(0..7);
    let mut number = || *rng.choice(&[0, 1, 1, 2, 3, 4, 5, 9, u64::MAX]).unwrap();
    let pair = id(number(), number());
    match field {
        0 => recovered.before = pair,
        1 => {
            recovered.snapshot = Some(SnapshotMeta {
                last: pair,
                membership_index: i(number()),
                membership: voters(number() % 4),
                ..snapshot(1, 1)
            });
        }
        2 => recovered.term_starts.push(pair),
        3 => recovered
            .memberships
            .push((pair.index, voters(number() % 4))),
        4 => recovered.last = pair.index,
        5 => recovered.applied = pair.index,
        _ => recovered.hard_state.term = pair.term,
    }
}

/// Numbers drawn at random are refused, or make an engine that runs.
#[test]
fn no_state_at_all_makes_a_start_panic() {
    let mut rng = Rng::with_seed(13);
    let mut started = 0;
    for _ in 0..20_000 {
        let mut recovered = History::draw(&mut rng).recovered;
        for _ in 0..rng.u8(1..4) {
            scramble(&mut recovered, &mut rng);
        }
        if let Ok(mut engine) = recover(recovered) {
            started += 1;
            for step in 1..20 {
                let now = Time::ZERO.after(ms(step * 100));
                let _ = engine.step(Event::Tick { now });
            }
        }
    }
    assert!(started > 1_000, "only {started} were sound");
}
