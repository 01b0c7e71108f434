//! Histories by hand. Each bad one is found by each checker that can know.

use super::*;
use crate::check::Property;

const APPEND: Op = Op::Append { key: 1 };
const READ: Op = Op::Read { key: 1 };

/// Both checkers are content.
fn passes(cluster: &Cluster) {
    assert_eq!(cluster.witnessed(), Ok(()));
    assert_eq!(cluster.searched(), Verdict::Linearizable);
    assert_eq!(cluster.searched_blindly(), Verdict::Linearizable);
}

/// The witness names `property`; the search finds no order, whatever it knows.
fn both_fire(property: Property, cluster: &Cluster) -> String {
    witness_fires(property, cluster);
    assert!(
        matches!(cluster.searched_blindly(), Verdict::Violated { key: 1, .. }),
        "an order was found"
    );
    let Verdict::Violated { key: 1, timeline } = cluster.searched() else {
        panic!("an order was found for {property:?}")
    };
    timeline
}

fn witness_fires(property: Property, cluster: &Cluster) {
    let violation = cluster.witnessed().expect_err("the witness is content");
    assert_eq!(violation.property, property, "{violation}");
}

fn cell_of(cluster: &Cluster) -> Cell {
    cluster.model.cell(1)
}

#[test]
fn overlapping_operations_may_take_effect_in_any_order() {
    let mut cluster = Cluster::new();
    let (one, other, read) = (
        cluster.ask(1, APPEND),
        cluster.ask(2, APPEND),
        cluster.ask(3, READ),
    );
    cluster.commit(other);
    cluster.serve(read);
    cluster.commit(one);
    cluster.acknowledge(one);
    cluster.acknowledge(other);
    let pair = cluster.ask(
        3,
        Op::ReadPair {
            first: 0,
            second: 1,
        },
    );
    cluster.serve(pair);
    passes(&cluster);
}

#[test]
fn unknown_write_may_be_done_late_or_never() {
    let mut cluster = Cluster::new();
    let (late, never) = (cluster.ask(1, APPEND), cluster.ask(2, APPEND));
    cluster.tell(late, Outcome::Unknown);
    cluster.tell(never, Outcome::Unknown);
    for round in 0..3 {
        if round == 1 {
            cluster.commit(late);
        }
        let read = cluster.ask(1, READ);
        cluster.serve(read);
    }
    passes(&cluster);
}

/// Scenario E01, as a client sees it.
#[test]
fn read_that_misses_an_acknowledged_write_is_found() {
    let mut cluster = Cluster::new();
    cluster.write(1, APPEND);
    let stale = cell_of(&cluster);
    cluster.write(1, APPEND);
    let read = cluster.ask(2, READ);
    cluster.answer(read, Reply::Cell(stale), 1);
    both_fire(Property::ReadFresh, &cluster);
}

/// The index says that the read is fresh; the answer is the old one all the same.
#[test]
fn stale_read_behind_an_index_that_lies_is_found() {
    let mut cluster = Cluster::new();
    cluster.write(1, APPEND);
    let stale = cell_of(&cluster);
    cluster.write(1, APPEND);
    let read = cluster.ask(2, READ);
    cluster.answer(read, Reply::Cell(stale), 2);
    both_fire(Property::ClientLinearizable, &cluster);
}

/// Scenario H01: acknowledged, and another command stands in its place.
#[test]
fn lost_update_is_found() {
    let mut cluster = Cluster::new();
    let (lost, other) = (cluster.ask(1, APPEND), cluster.ask(2, APPEND));
    cluster.commit(other);
    let (reply, entry) = (Reply::Length(1), entry(1));
    cluster.tell(lost, Outcome::Written { reply, entry });
    cluster.acknowledge(other);
    let read = cluster.ask(3, READ);
    cluster.serve(read);
    both_fire(Property::AckedNeverLost, &cluster);
}

/// Everything was right while clients were served; the log that stands in the end lacks a write.
#[test]
fn write_that_is_gone_in_the_end_is_found_by_the_witness() {
    let mut cluster = Cluster::new();
    cluster.write(1, APPEND);
    let gone = cluster.write(1, Op::Add { key: 1, by: 1 });
    cluster.write(1, APPEND);
    cluster.log.retain(|(_, id, _)| *id != gone);
    witness_fires(Property::AckedNeverLost, &cluster);
}

/// A log that was purged says nothing of what stood before.
#[test]
fn end_of_a_log_is_enough_to_end_with() {
    let mut cluster = Cluster::new();
    cluster.write(1, APPEND);
    cluster.write(1, APPEND);
    cluster.log.remove(0);
    assert_eq!(cluster.witnessed(), Ok(()));
}

/// Scenario H03.
#[test]
fn write_that_is_done_twice_is_found() {
    let mut cluster = Cluster::new();
    let add = cluster.write(1, Op::Add { key: 1, by: 2 });
    cluster.commit(add);
    let read = cluster.ask(2, READ);
    cluster.serve(read);
    both_fire(Property::ExactlyOnce, &cluster);
}

/// An unknown write is seen, and then it is not.
#[test]
fn unknown_write_that_was_seen_and_is_gone_is_found() {
    let mut cluster = Cluster::new();
    let before = cell_of(&cluster);
    let write = cluster.ask(1, APPEND);
    cluster.tell(write, Outcome::Unknown);
    cluster.commit(write);
    let seen = cluster.ask(2, READ);
    cluster.serve(seen);
    let gone = cluster.ask(2, READ);
    cluster.answer(gone, Reply::Cell(before), 1);
    both_fire(Property::ClientLinearizable, &cluster);
}

/// The second write was asked for after the first was acknowledged, and stands before it.
#[test]
fn writes_of_two_clients_in_the_wrong_order_are_found() {
    let mut cluster = Cluster::new();
    let first = cluster.ask(1, APPEND);
    cluster.tell(
        first,
        Outcome::Written {
            reply: Reply::Length(2),
            entry: entry(2),
        },
    );
    let second = cluster.ask(2, APPEND);
    cluster.commit(second);
    cluster.commit(first);
    cluster.acknowledge(second);
    // The acknowledgement came before the commit.
    both_fire(Property::AckedNeverLost, &cluster);
}

/// As before, and the log told of both before anybody was answered.
#[test]
fn entry_below_what_was_acknowledged_before_the_question_is_found() {
    let mut cluster = Cluster::new();
    cluster.write(1, APPEND);
    let read = cluster.ask(2, Op::Read { key: 9 });
    cluster.answer(read, Reply::Cell(Cell::default()), 5);
    let late = cluster.ask(3, APPEND);
    cluster.commit(late);
    witness_fires(Property::StateMachineSafety, &cluster);
}

/// A commit is told before the question: the witness must see that it is older.
#[test]
fn write_acknowledged_below_an_older_answer_is_found_by_the_witness() {
    let mut witness = Witness::default();
    let (id, op) = (OpId(1), APPEND);
    let (other, read) = (OpId(2), READ);
    witness.invoked(other, 2, read);
    let applied = LogIndex::new(1);
    let reply = Reply::Cell(Cell::default());
    assert!(
        witness
            .completed(other, Outcome::Read { reply, applied })
            .is_ok()
    );
    witness.invoked(id, 1, op);
    let late = witness.committed(entry(1), &op.encode(id, 0));
    assert_eq!(
        late.expect_err("too late").property,
        Property::StateMachineSafety
    );
    let reply = Reply::Length(1);
    let told = witness.completed(
        id,
        Outcome::Written {
            reply,
            entry: entry(1),
        },
    );
    assert!(told.is_err());
}

#[test]
fn value_that_nobody_wrote_is_found() {
    let mut cluster = Cluster::new();
    cluster.write(1, Op::Put { key: 1, value: 3 });
    let read = cluster.ask(2, READ);
    let mut cell = cell_of(&cluster);
    cell.number = 4;
    cluster.answer(read, Reply::Cell(cell), 1);
    both_fire(Property::ClientLinearizable, &cluster);
}

#[test]
fn wrong_answer_of_a_write_is_found() {
    let mut cluster = Cluster::new();
    cluster.write(1, Op::Add { key: 1, by: 1 });
    let cas = cluster.ask(
        2,
        Op::Cas {
            key: 1,
            expect: 1,
            new: 7,
        },
    );
    cluster.commit(cas);
    let reply = Reply::Before(0);
    let entry = entry(2);
    cluster.tell(cas, Outcome::Written { reply, entry });
    both_fire(Property::ClientLinearizable, &cluster);
}

/// Scenario H02: told to have failed for good, and done all the same, before or after.
#[test]
fn rejected_write_that_is_done_is_found() {
    for is_before in [true, false] {
        let mut cluster = Cluster::new();
        let write = cluster.ask(1, APPEND);
        if is_before {
            cluster.commit(write);
        }
        cluster.tell(write, Outcome::Failed);
        if !is_before {
            cluster.commit(write);
        }
        let read = cluster.ask(2, READ);
        cluster.serve(read);
        both_fire(Property::RejectedNeverApplied, &cluster);
    }
}

#[test]
fn command_that_nobody_asked_for_or_that_changed_is_found_by_the_witness() {
    let mut witness = Witness::default();
    let op = Op::Put { key: 1, value: 3 };
    witness.invoked(OpId(1), 1, op);
    let mut changed = op.encode(OpId(1), 100).to_vec();
    changed[99] ^= 1;
    let other = Op::Put { key: 1, value: 4 };
    for bytes in [
        op.encode(OpId(2), 0),
        other.encode(OpId(1), 0),
        changed.into(),
    ] {
        let found = witness.committed(entry(1), &bytes);
        assert_eq!(
            found.expect_err("accepted").property,
            Property::ClientLinearizable
        );
    }
    assert!(witness.committed(entry(1), &op.encode(OpId(1), 0)).is_ok());
}

/// Scenario E14.
#[test]
fn second_outcome_is_found_by_the_witness() {
    let mut cluster = Cluster::new();
    let write = cluster.write(1, APPEND);
    cluster.tell(write, Outcome::Unknown);
    witness_fires(Property::OneOutcome, &cluster);
}

/// What both keys held never stood together; each alone can be explained.
#[test]
fn torn_read_of_two_keys_is_found_by_the_witness() {
    let mut cluster = Cluster::new();
    let pair = Op::ReadPair {
        first: 1,
        second: 2,
    };
    let read = cluster.ask(1, pair);
    cluster.write(2, APPEND);
    let first = cell_of(&cluster);
    cluster.write(2, APPEND);
    cluster.write(2, Op::Append { key: 2 });
    let second = cluster.model.cell(2);
    cluster.answer(read, Reply::Pair(first, second), 3);
    witness_fires(Property::ClientLinearizable, &cluster);
    assert_eq!(cluster.searched(), Verdict::Linearizable);
}

#[test]
fn timeline_shows_the_contradiction_and_nothing_else() {
    let mut cluster = Cluster::new();
    cluster.write(3, Op::Append { key: 2 });
    cluster.write(1, APPEND);
    for _ in 0..3 {
        let read = cluster.ask(3, READ);
        cluster.serve(read);
    }
    let open = cluster.ask(4, APPEND);
    let read = cluster.ask(2, READ);
    cluster.answer(read, Reply::Cell(Cell::default()), 1);
    cluster.commit(open);
    cluster.acknowledge(open);
    let after = cluster.ask(2, READ);
    cluster.serve(after);
    let timeline = both_fire(Property::ReadFresh, &cluster);
    let expected = "\
no order explains what clients saw at key 1
  asked   told | client 1                | client 2                | client 4
      3      4 | #2 append k1 = length 1 |                         |
     11      - |                         |                         | #6 append k1, unknown
     12     13 |                         | #7 read k1 = [] 0       |
as far as it goes: #2 #6";
    assert_eq!(timeline, expected);
}

#[test]
fn search_gives_up_when_its_steps_are_used_up() {
    let mut cluster = Cluster::new();
    cluster.write(1, APPEND);
    cluster.write(1, APPEND);
    assert_eq!(
        check(&cluster.history, Unknowns::Open, 1),
        Verdict::GaveUp { key: 1 }
    );
    assert_eq!(Verdict::GaveUp { key: 1 }.check(), Ok(()));
}

/// A record that is full holds what happened until then, so that it can still be explained.
#[test]
fn record_that_is_full_is_still_linearizable() {
    for limit in 1..6 {
        let mut cluster = Cluster::new();
        cluster.history = History::new(limit);
        let (one, other) = (cluster.ask(1, APPEND), cluster.ask(2, APPEND));
        cluster.commit(other);
        cluster.acknowledge(other);
        let read = cluster.ask(2, READ);
        cluster.commit(one);
        cluster.serve(read);
        cluster.write(2, APPEND);
        cluster.acknowledge(one);
        assert_eq!(cluster.history.records().len(), limit.min(4));
        assert_eq!(cluster.history.is_closed(), limit < 4);
        passes(&cluster);
    }
}
