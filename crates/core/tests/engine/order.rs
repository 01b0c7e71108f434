//! The order of the actions of one step, as hosts rely on it. `support/contract.rs` checks every
//! step of every test; here are the steps that put the most into one vector, and one that shows
//! that the check bites.

use std::panic::{AssertUnwindSafe, catch_unwind};

use quorate_core::{Action, WriteId};

use super::support::bench::{append, heartbeat, node_of, only_send, saved, sends, written};
use super::support::contract::Contract;
use super::support::{entries, id, ms};

/// Scenario A01
#[test]
fn a_step_that_adopts_a_term_and_appends_saves_writes_and_only_then_answers() {
    let mut bench = node_of(3).with_log(&[1, 1]).start();
    let actions = bench.receive(2, 6, append(id(1, 1), entries(2, &[5, 6]), 0));
    let (save, _) = saved(&actions).expect("term 6 is new");
    let (write, _) = written(&actions).expect("i2 and i3 are new");
    assert_eq!(write, save.next(), "hard state first: it is a barrier");
    assert_eq!(
        only_send(&actions).0,
        write,
        "the answer claims what the append writes"
    );
    let place = |wanted: fn(&Action) -> bool| actions.iter().position(wanted).unwrap();
    let save = place(|action| matches!(action, Action::SaveHardState { .. }));
    let write = place(|action| matches!(action, Action::AppendEntries { .. }));
    let send = place(|action| matches!(action, Action::Send { .. }));
    let notice = place(|action| matches!(action, Action::RoleChanged { .. }));
    assert!(
        save < write && write < send && send < notice,
        "{actions:#?}"
    );
}

/// [Thesis 10.2.1]
#[test]
fn a_leader_sends_entries_before_it_writes_them() {
    let mut leader = node_of(3).with_log(&[1]).leader();
    let _ = leader.persist();
    let _ = leader.confirmed_by([2, 3], 2);
    let actions = leader.propose(&["x"]);
    let (write, _) = written(&actions).unwrap();
    assert!(write > WriteId::NONE);
    assert!(
        matches!(
            actions[..],
            [
                Action::Send {
                    needs: WriteId::NONE,
                    ..
                },
                Action::Send {
                    needs: WriteId::NONE,
                    ..
                },
                Action::AppendEntries { .. },
                Action::Proposed { .. }
            ]
        ),
        "{actions:#?}"
    );
}

/// [Raft 5.1]: every message carries the term.
#[test]
fn every_message_waits_for_a_save_that_is_still_under_way() {
    let mut bench = node_of(3).with_log(&[1]).start();
    let actions = bench.receive(2, 6, heartbeat(id(1, 1), 0));
    let (save, _) = saved(&actions).unwrap();
    let later = bench.receive(2, 6, heartbeat(id(1, 1), 0));
    assert_eq!(only_send(&later).0, save, "term 6 is not durable yet");
    let _ = bench.persist();
    let durable = bench.receive(2, 6, heartbeat(id(1, 1), 0));
    assert_eq!(only_send(&durable).0, WriteId::NONE);
}

/// [Thesis 9.6]; pre-votes carry the term too.
#[test]
fn a_pre_vote_waits_for_a_term_that_is_still_being_saved() {
    let past = node_of(3).with_log(&[1]);
    let mut bench = past
        .configured(|config| config.election_timeout_max = ms(300))
        .start();
    let actions = bench.receive(2, 6, heartbeat(id(1, 1), 0));
    let (save, _) = saved(&actions).unwrap();
    let mut asked = 0;
    for _ in 0..3 {
        for (needs, _) in sends(&bench.time_out()) {
            asked += 1;
            assert_eq!(needs, save);
        }
        if asked > 0 {
            return;
        }
    }
    unreachable!("it never asked");
}

/// The contract check itself: an answer in front of the save it depends on is found.
#[test]
fn the_contract_check_finds_an_answer_before_its_save() {
    let mut bench = node_of(3).with_log(&[1]).unled();
    let vote = super::support::bench::vote_request(id(1, 1));
    let mut actions = bench.receive(2, 9, vote);
    assert!(matches!(
        actions[..2],
        [Action::SaveHardState { .. }, Action::Send { .. }]
    ));
    actions.swap(0, 1);
    let check = || Contract::default().check(&actions, WriteId::NONE);
    assert!(
        catch_unwind(AssertUnwindSafe(check)).is_err(),
        "the swap went unnoticed"
    );
}
