//! SnapshotCommitted: the label of a snapshot names a committed entry and the membership that was
//! in force there, the full set (scenarios C05, D19). Where the founders are stands in no entry.

use quorate_core::{LogIndex, Membership, SnapshotMeta};

use super::commit_ledger::CommitLedger;
use super::config_in_force::are_alike;
use super::{Check, LifeId, Property, broken};

/// `life` captures its state machine under `label`; the committed log says that `in_force` was
/// the membership there.
pub(crate) fn captured(
    life: LifeId,
    label: &SnapshotMeta,
    in_force: (LogIndex, &Membership),
    ledger: &CommitLedger,
) -> Check {
    let committed = ledger.get(label.last.index).map(|entry| entry.mark.term);
    let is_same = (label.membership_index, &label.membership) == in_force;
    let is_founding = label.membership_index == LogIndex::NONE && in_force.0 == LogIndex::NONE;
    let is_true = is_same || (is_founding && are_alike(&label.membership, in_force.1));
    if committed == Some(label.last.term) && is_true {
        return Ok(());
    }
    broken(
        Property::SnapshotCommitted,
        format_args!("{life} labels its snapshot {label:?}; in force there: {in_force:?}"),
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::check::testing::{i, life, must_fire, n, t};
    use crate::shape::Shape;
    use quorate_core::EntryId;

    #[test]
    fn fires_when_a_label_names_another_entry_or_membership() {
        let founders = Membership::new([n(1), n(2)], []);
        let mut ledger = CommitLedger::default();
        let mark = Shape::of(&[1]).mark(i(1)).unwrap();
        assert!(ledger.commits(life(1), true, t(1), i(1), mark).is_ok());
        let captured = |index, term, membership| {
            let label = SnapshotMeta {
                last: EntryId::new(i(index), t(term)),
                membership,
                membership_index: i(0),
                length: 1,
                checksum: 1,
            };
            super::captured(life(1), &label, (i(0), &founders), &ledger)
        };
        assert!(captured(1, 1, founders.clone()).is_ok());
        let elsewhere = founders.clone().with_address(n(1), "b");
        assert!(captured(1, 1, elsewhere).is_ok());
        must_fire(
            Property::SnapshotCommitted,
            captured(1, 2, founders.clone()),
        );
        must_fire(
            Property::SnapshotCommitted,
            captured(2, 1, founders.clone()),
        );
        must_fire(
            Property::SnapshotCommitted,
            captured(1, 1, Membership::default()),
        );
    }
}
