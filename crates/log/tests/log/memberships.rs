//! Memberships: each comes back with the index of its entry, and leaves with it.

use quorate_core::{Entry, EntryId, Membership, NodeId, Payload, Term};
use quorate_log::{Damage, DamageKind, MemDisk, OpenError};

use crate::common::*;

/// Scenarios C03, C05
#[test]
fn a_membership_leaves_with_the_entry_that_held_it() {
    let disk = MemDisk::new();
    let mut log = open(&disk).unwrap().log;
    let (three, four) = (members(&[1, 2, 3], "a:1"), members(&[1, 2, 3, 4], "\0"));
    log.perform(&[
        term(2),
        append([
            membership(1, 1, &three),
            noop(2, 2),
            membership(3, 2, &four),
        ]),
    ])
    .unwrap();
    drop(log);
    let opened = open(&disk).unwrap();
    let both = [(index(1), three.clone()), (index(3), four)];
    assert_eq!(opened.recovered.memberships, both);
    assert_eq!(opened.recovered.before, EntryId::NONE);

    let mut log = opened.log;
    log.perform(&[append([entry(2, 2, "in the place of the no-op")])])
        .unwrap();
    drop(log);
    assert_eq!(
        open(&disk).unwrap().recovered.memberships,
        [(index(1), three)],
        "an entry below it was replaced, and it went with the rest"
    );
}

/// The largest membership there can be, of zeros wherever it may hold some.
#[test]
fn the_largest_membership_comes_back() {
    let disk = MemDisk::new();
    let mut log = open(&disk).unwrap().log;
    let nodes = || (1..=Membership::MAX_MEMBERS as u64).filter_map(NodeId::new);
    let largest = nodes().fold(Membership::new(nodes(), []), |membership, node| {
        membership.with_address(node, "\0".repeat(Membership::MAX_ADDRESS_BYTES))
    });
    let write = append([membership(1, 1, &largest)]);
    log.perform(&[term(1), write.clone()]).unwrap();
    drop(log);
    let mut model = Model::default();
    model.perform(&term(1));
    model.perform(&write);
    reopen_as(&disk, &model);
}

#[test]
fn a_membership_that_verifies_and_makes_no_sense_is_refused_with_its_place() {
    // The second is longer than any membership can be, and has a segment of its own.
    for (length, file, offset) in [(7, segment(1), 512 + 56), (400_000, segment(2), 512)] {
        let disk = MemDisk::new();
        let mut log = open(&disk).unwrap().log;
        let nonsense = Entry {
            index: index(2),
            term: Term::new(1),
            payload: Payload::Membership(vec![1; length].into()),
        };
        log.perform(&[term(1), append([noop(1, 1), nonsense])])
            .unwrap();
        drop(log);
        let Err(OpenError::Damaged(damage)) = open(&disk) else {
            panic!("{length} bytes of nonsense were taken for a membership")
        };
        let expected = Damage {
            file,
            offset,
            index: Some(index(2)),
            kind: DamageKind::Membership,
        };
        assert_eq!(damage, expected);
    }
}
