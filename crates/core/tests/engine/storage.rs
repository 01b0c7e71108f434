//! The engine and its disk: writes and their confirmation, recovery, and loading of entries that
//! have left memory. The order of actions within a step is in `order.rs`.

use quorate_core::{
    Action, Body, Engine, EntryId, Event, HardState, Incarnation, LoadId, LoadOutcome, LoadPurpose,
    RecoverError, Recovered, RoleName, TimeoutReason, Violation, WriteId,
};

use super::support::bench::{
    append, has, heartbeat, node_of, only_send, pre_vote_reply, said_to, vote_reply, written,
};
use super::support::world::World;
use super::support::{ELECTION_MIN_MS, HEARTBEAT_MS, config, entries, i, id, ms, n, t, voters};

/// The loads asked for: number, first and last index, purpose.
fn loads(actions: &[Action]) -> Vec<(LoadId, u64, u64, LoadPurpose)> {
    let mut loads = Vec::new();
    for action in actions {
        if let Action::LoadEntries {
            load,
            from,
            to,
            purpose,
            ..
        } = action
        {
            loads.push((*load, from.get(), to.index.get(), *purpose));
        }
    }
    loads
}

fn recover(recovered: Recovered) -> Result<Engine, RecoverError> {
    let config = config(n(1), 1).validate().unwrap();
    Engine::recover(
        config,
        Incarnation::new(1),
        voters(3),
        Default::default(),
        recovered,
    )
}

/// Completions are matched by write, never by index: a confirmation of replaced entries is none.
#[test]
fn a_confirmation_does_not_count_for_entries_that_were_replaced_since() {
    let mut bench = node_of(3).with_log(&[1]).start();
    let actions = bench.receive(2, 1, append(id(1, 1), entries(2, &[1, 1, 1]), 0));
    let (old, _) = written(&actions).unwrap();
    let actions = bench.receive(3, 2, append(id(2, 1), entries(3, &[2, 2]), 0));
    let (new, _) = written(&actions).unwrap();
    assert_eq!(only_send(&actions).0, new);
    let _ = bench.step(Event::Persisted(old));
    assert_eq!(bench.status().durable, i(2), "i3 and i4 of term 1 are gone");
    let _ = bench.step(Event::Persisted(new));
    assert_eq!(bench.status().durable, i(4));
}

/// The host is not believed where it must be mistaken.
#[test]
fn a_write_that_was_never_asked_for_confirms_nothing() {
    let mut bench = node_of(3).with_log(&[1]).start();
    let _ = bench.receive(2, 1, append(id(1, 1), entries(2, &[1]), 0));
    let _ = bench.step(Event::Persisted(WriteId::new(900)));
    assert_eq!(bench.status().durable, i(1));
}

/// Scenario G03: after a failed write nothing is sent, written or answered any more.
#[test]
fn an_engine_stops_for_good_when_storage_fails() {
    let mut bench = node_of(3).with_log(&[1]).leader();
    let actions = bench.step(Event::StorageFailed);
    assert_eq!(actions, [Action::Fatal(Violation::StorageFailed)]);
    assert!(bench.engine.is_stopped());
    assert!(bench.sleep(5_000).is_empty());
    assert!(bench.confirmed_by([2, 3], 2).is_empty());
    assert_eq!(bench.engine.next_timeout().reason, TimeoutReason::Idle);
}

/// [Raft 5.1] [Raft 5.2]
#[test]
fn a_node_starts_again_with_the_term_vote_and_log_it_had() {
    let hard_state = HardState {
        term: t(7),
        vote: Some(n(3)),
        floor: None,
    };
    let term_starts = vec![id(1, 2), id(4, 6)];
    let recovered = Recovered {
        hard_state,
        term_starts,
        last: i(9),
        ..Recovered::default()
    };
    let engine = recover(recovered).unwrap();
    assert_eq!(engine.hard_state(), hard_state);
    assert_eq!(engine.last(), id(9, 6));
    assert_eq!(engine.status().durable, i(9), "what is on disk is durable");
    assert_eq!(
        engine.status().commit,
        i(0),
        "what is committed is not known yet"
    );
}

/// No engine can have written these.
#[test]
fn recovered_state_that_contradicts_itself_is_refused() {
    let term_starts = vec![id(1, 2)];
    let state = |term| HardState {
        term: t(term),
        ..HardState::default()
    };
    let log = Recovered {
        hard_state: state(2),
        term_starts,
        last: i(5),
        ..Recovered::default()
    };
    assert!(recover(log.clone()).is_ok());
    let behind = Recovered {
        hard_state: state(1),
        ..log.clone()
    };
    let expected = RecoverError::TermBehindLog {
        last: id(5, 2),
        saved: t(1),
    };
    assert_eq!(recover(behind).unwrap_err(), expected);
    let ahead = Recovered {
        applied: i(6),
        ..log.clone()
    };
    let expected = RecoverError::AppliedBeyondLog {
        applied: i(6),
        last: i(5),
    };
    assert_eq!(recover(ahead).unwrap_err(), expected);
    let falling = Recovered {
        term_starts: vec![id(1, 2), id(3, 1)],
        ..log.clone()
    };
    assert!(matches!(
        recover(falling),
        Err(RecoverError::Unordered { .. })
    ));
    let endless = Recovered {
        last: i(u64::MAX),
        ..log
    };
    assert!(recover(endless).is_err(), "no entry could follow");
}

/// Scenario D20
#[test]
fn a_state_machine_that_keeps_its_own_state_is_not_given_entries_again() {
    let mut bench = node_of(3).with_log(&[1, 1, 1, 1]).applied(3).start();
    assert_eq!(bench.status().commit, i(3), "what is applied was committed");
    let actions = bench.receive(2, 1, heartbeat(id(4, 1), 4));
    let (load, from, to, purpose) = loads(&actions)[0];
    assert_eq!((from, to, purpose), (4, 4, LoadPurpose::Apply));
    let found = LoadOutcome::Found(entries(4, &[1]));
    let actions = bench.step(Event::Loaded {
        load,
        outcome: found,
    });
    assert!(has(&actions, |action| matches!(
        action,
        Action::Apply { entries } if entries.len() == 1 && entries[0].index == i(4)
    )));
}

/// Scenario D20 [Raft 8]
#[test]
fn a_restarted_cluster_applies_its_log_without_a_write_of_any_client() {
    let mut world = World::with(3, |config| config.max_append_bytes = 200);
    world.elect(1);
    for command in ["a", "b", "c", "d", "e", "f", "g"] {
        world.propose(1, &[command]);
        world.settle();
    }
    for node in 1..=3 {
        world.crash(node, 0);
        world.restart(node);
    }
    world.advance(ms(2_000));
    for node in 1..=3 {
        assert_eq!(
            world.applied(node),
            ["a", "b", "c", "d", "e", "f", "g"],
            "n{node}"
        );
    }
}

/// What is read back is checked like what comes from a peer, and asked for again.
#[test]
fn loaded_entries_that_are_not_the_logs_own_are_not_applied() {
    let mut bench = node_of(3).with_log(&[1, 1, 1]).start();
    let mut actions = bench.receive(2, 1, heartbeat(id(3, 1), 3));
    for wrong in [
        LoadOutcome::Found(entries(1, &[9])),
        LoadOutcome::Found(entries(2, &[1])),
        LoadOutcome::Found(entries(1, &[1, 1, 1, 1])),
        LoadOutcome::Found(quorate_core::Entries::empty()),
        LoadOutcome::Failed,
    ] {
        let (load, from, to, _) = loads(&actions)[0];
        assert_eq!((from, to), (1, 3), "the whole gap is asked for");
        let nothing = bench.step(Event::Loaded {
            load,
            outcome: wrong.clone(),
        });
        assert!(nothing.is_empty(), "{wrong:?} was taken: {nothing:?}");
        let _ = bench.receive(2, 1, heartbeat(id(3, 1), 3));
        let early = bench.sleep(HEARTBEAT_MS - 1);
        assert!(loads(&early).is_empty(), "not at once after {wrong:?}");
        actions = bench.sleep(1);
        assert_eq!(
            loads(&actions).len(),
            1,
            "after {wrong:?} it is tried again"
        );
    }
}

/// What a disk returned beyond what was asked for may be replaced before it is committed.
#[test]
fn entries_loaded_beyond_the_commit_are_not_applied_when_others_have_replaced_them() {
    let mut bench = node_of(3).with_log(&[1, 1, 1]).start();
    let actions = bench.receive(2, 1, heartbeat(id(3, 1), 1));
    let (load, _, to, _) = loads(&actions)[0];
    assert_eq!(to, 1, "no more is committed");
    let outcome = LoadOutcome::Found(entries(1, &[1, 1, 1]));
    let _ = bench.step(Event::Loaded { load, outcome });
    let _ = bench.receive(3, 2, append(id(1, 1), entries(2, &[2, 2]), 3));
    let actions = bench.persist();
    let apply = Action::Apply {
        entries: entries(2, &[2, 2]),
    };
    assert!(actions.contains(&apply), "{actions:?}");
}

/// A committed entry that is not on disk was lost there: serving on would hide it.
#[test]
fn a_node_stops_when_a_committed_entry_is_missing_on_its_disk() {
    let mut bench = node_of(3).with_log(&[1, 1]).start();
    let actions = bench.receive(2, 1, heartbeat(id(2, 1), 2));
    let (load, ..) = loads(&actions)[0];
    let actions = bench.step(Event::Loaded {
        load,
        outcome: LoadOutcome::Gone,
    });
    assert_eq!(
        actions,
        [Action::Fatal(Violation::CommittedMissing { from: i(1) })]
    );
}

/// [Raft 5.3]
#[test]
fn entries_below_memory_are_loaded_for_a_peer_that_lags() {
    let mut leader = node_of(3).with_log(&[1, 1, 1, 1]).leader();
    let refusal = super::support::bench::conflict(2, 4, EntryId::NONE, super::support::r(0));
    let actions = leader.receive(2, 2, refusal.clone());
    let (load, from, to, purpose) = loads(&actions)[0];
    assert_eq!((from, to, purpose), (1, 4, LoadPurpose::Replicate(n(2))));
    let again = leader.receive(2, 2, refusal);
    assert_eq!(loads(&again), [], "one load at a time");
    let stale = LoadId::new(load.get() + 7);
    let found = LoadOutcome::Found(entries(1, &[1, 1]));
    let ignored = leader.step(Event::Loaded {
        load: stale,
        outcome: found.clone(),
    });
    assert_eq!(
        said_to(&ignored, 2).len(),
        0,
        "that load was never asked for"
    );
    let actions = leader.step(Event::Loaded {
        load,
        outcome: found,
    });
    let sent = said_to(&actions, 2);
    let Body::Append {
        prev,
        entries: found,
        ..
    } = sent[0]
    else {
        panic!("entries are sent: {sent:?}");
    };
    assert_eq!((*prev, found), (EntryId::NONE, &entries(1, &[1, 1])));
}

/// A load for a peer that finds nothing harms nobody; it is asked again with the next answer.
#[test]
fn a_failed_load_for_a_peer_is_asked_again() {
    let mut leader = node_of(3).with_log(&[1, 1, 1, 1]).leader();
    let refusal = super::support::bench::conflict(2, 4, EntryId::NONE, super::support::r(0));
    let mut actions = leader.receive(2, 2, refusal);
    for outcome in [
        LoadOutcome::Failed,
        LoadOutcome::Gone,
        LoadOutcome::Found(entries(3, &[1])),
    ] {
        let (load, ..) = loads(&actions)[0];
        let nothing = leader.step(Event::Loaded { load, outcome });
        assert_eq!(said_to(&nothing, 2).len(), 0);
        actions = leader.confirmed_by([2], 0);
        assert_eq!(loads(&actions).len(), 1, "the peer still needs them");
    }
}

/// What is not durable can be read from nowhere else, however small the window.
#[test]
fn entries_stay_in_memory_until_they_are_durable() {
    let past = node_of(3).configured(|config| config.window_bytes = 1);
    let mut leader = past.leader();
    for _ in 0..5 {
        let _ = leader.propose(&["x"]);
    }
    let actions = leader.confirmed_by([2], 1);
    assert_eq!(loads(&actions), [], "i2 to i6 are not on disk yet");
    assert!(has(&actions, |action| matches!(
        action,
        Action::Send { .. }
    )));
    let _ = leader.persist();
    let actions = leader.confirmed_by([3], 1);
    assert_eq!(
        loads(&actions).len(),
        1,
        "now they are, and memory is let go"
    );
}

/// Memory holds a window; the rest is on disk and comes from there.
#[test]
fn a_peer_catches_up_over_any_distance_with_a_small_window() {
    let mut world = World::with(3, |config| {
        config.window_bytes = 300;
        config.max_append_bytes = 500;
    });
    world.elect(1);
    world.cut(&[3], &[1, 2]);
    let commands: Vec<String> = (0..200).map(|command| command.to_string()).collect();
    for command in &commands {
        world.propose(1, &[command]);
        world.settle();
    }
    world.net.heal();
    world.advance(ms(1_000));
    assert_eq!(world.applied(3), commands);
}

/// Scenario A02: its requests wait for that as well, so nobody can have answered.
#[test]
fn a_candidate_whose_own_vote_is_not_durable_waits_for_its_disk_and_begins_no_other_term() {
    for pre_vote in [true, false] {
        let past = node_of(3).with_log(&[1]).configured(|config| {
            config.pre_vote = pre_vote;
            config.storage_patience = ms(60_000);
        });
        let mut bench = past.start();
        let _ = bench.time_out();
        if pre_vote {
            let _ = bench.receive(2, 1, pre_vote_reply(2, true));
        }
        for _ in 0..5 {
            assert_eq!(bench.status().role, RoleName::Candidate);
            assert_eq!(bench.time_out(), [], "it would ask in vain");
        }
        let due = bench.engine.next_timeout().at;
        let saving = ELECTION_MIN_MS / 5;
        let _ = bench.sleep(saving);
        let _ = bench.persist();
        let later = bench.engine.next_timeout().at;
        assert_eq!(later, due.after(ms(saving)), "voters have to save theirs");
        let _ = bench.receive(2, 2, vote_reply(2, true));
        assert_eq!(bench.status().role, RoleName::Leader);
    }
}

/// Scenario B17: a disk that is stuck is no reason to wait for ever.
#[test]
fn a_candidate_whose_own_vote_is_stuck_stands_down() {
    let past = node_of(3).with_log(&[1]);
    let mut bench = past.configured(|config| config.pre_vote = false).start();
    let _ = bench.time_out();
    for _ in 0..3 {
        let _ = bench.time_out();
    }
    assert_eq!(bench.status().role, RoleName::Follower);
    assert_eq!(bench.status().counters.campaigns, 1);
}
