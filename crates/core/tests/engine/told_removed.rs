//! What a voter makes of the word that it was removed when that word is wrong: it may stop
//! campaigning for a while, and not for ever (scenario A12). Words that are right are in
//! `paper_removal.rs`.

use quorate_core::{Action, Body, LogIndex};

use super::support::bench::{Bench, append, has, node_of, said_to};
use super::support::changes::{members, membership_entry};
use super::support::{entries, i, id, r};

/// Node 1 of three follows node 2 in term 1.
fn follower() -> Bench {
    let mut bench = node_of(3).with_log(&[1]).start();
    let _ = bench.receive(2, 1, told(id(1, 1).index, 1));
    bench
}

/// A heartbeat behind i1 of a leader whose log ends in `last`.
fn told(last: LogIndex, commit: u64) -> Body {
    Body::Append {
        prev: id(1, 1),
        entries: entries(1, &[]),
        commit: i(commit),
        round: r(0),
        last,
    }
}

fn hear_of_removal(bench: &mut Bench, term: u64, index: u64) {
    let index = i(index);
    let actions = bench.receive(3, term, Body::Removed { index });
    let is_told = |action: &Action| *action == Action::Removed { index };
    assert!(has(&actions, is_told), "{actions:?}");
    assert!(bench.status().removed);
    assert!(!campaigns(bench), "it believes that");
}

/// Whether it asks for pre-votes when its patience ends.
fn campaigns(bench: &mut Bench) -> bool {
    let actions = bench.time_out();
    !said_to(&actions, 2).is_empty()
}

const FAR: u64 = u64::MAX / 2;

#[test]
fn a_voter_whose_next_leaders_log_ends_below_its_removal_was_not_removed() {
    for (term, index) in [(1, 9), (1, FAR), (1 << 60, FAR)] {
        let mut bench = follower();
        hear_of_removal(&mut bench, term, index);
        let _ = bench.receive(3, 1, told(i(2), 1));
        assert!(bench.status().removed, "i{index} may have come since");
        let _ = bench.receive(3, 2, told(i(index), 1));
        assert!(bench.status().removed, "its log reaches so far");
        let _ = bench.receive(2, 3, told(i(8), 1));
        assert!(
            !bench.status().removed,
            "i{index} was committed before t3, says the word, and n2 does not hold it"
        );
        assert!(campaigns(&mut bench));
    }
}

/// Scenario A12: what no engine can have sent refutes nothing.
#[test]
fn a_voter_that_was_removed_learns_nothing_from_an_append_that_is_unsound() {
    let mut bench = follower();
    hear_of_removal(&mut bench, 1, 9);
    let mut body = told(i(2), 1);
    if let Body::Append { prev, .. } = &mut body {
        *prev = id(0, 1);
    }
    let _ = bench.receive(3, 2, body);
    assert!(bench.status().removed, "no entry has index zero");
    let _ = bench.receive(3, 2, told(i(8), 1));
    assert!(!bench.status().removed, "n3 leads, and does not hold i9");
}

#[test]
fn a_voter_that_is_listed_by_what_is_committed_was_not_removed() {
    let mut bench = follower();
    hear_of_removal(&mut bench, 1, 3);
    let _ = bench.receive(2, 1, append(id(1, 1), entries(2, &[1, 1]), 2));
    assert!(bench.status().removed, "i3 is not known to be committed");
    let _ = bench.receive(2, 1, append(id(3, 1), entries(4, &[1]), 3));
    assert!(!bench.status().removed, "i3 is no membership at all");
    let actions = bench.receive(3, 1, Body::Removed { index: i(3) });
    assert_eq!(actions, [], "nor is it told so again");
    let _ = bench.persist();
    assert!(campaigns(&mut bench));
}

#[test]
fn a_voter_that_is_added_in_a_later_term_is_one_wherever_it_was_removed() {
    let mut bench = follower();
    hear_of_removal(&mut bench, 1, FAR);
    let added = membership_entry(2, 2, &members(&[1, 2, 3, 4], &[]));
    let mut body = append(id(1, 1), added, 1);
    if let Body::Append { last, .. } = &mut body {
        *last = i(FAR);
    }
    let _ = bench.receive(2, 2, body);
    assert!(!bench.status().removed);
}

#[test]
fn a_removal_at_an_index_that_cannot_exist_is_not_believed() {
    let mut bench = follower();
    for index in [FAR + 1, u64::MAX] {
        let actions = bench.receive(3, 1, Body::Removed { index: i(index) });
        assert_eq!(actions, []);
        assert!(!bench.status().removed);
    }
    assert_eq!(bench.status().counters.dropped, 2);
    assert!(campaigns(&mut bench));
}
