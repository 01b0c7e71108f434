//! SnapshotRestore: a state machine is replaced only by a snapshot that is on disk and ahead of
//! it, and holds at every moment exactly the effect of the committed log up to where it says it
//! is (scenarios D01, D16).

use quorate_core::{EntryId, LogIndex};

use super::{Check, LifeId, Property, broken, commit_ledger::CommitLedger};

/// The machine of `life`, which was handed entries up to `handed`, is to be replaced by the
/// snapshot up to `last`, which is on disk or not.
pub(crate) fn restores(life: LifeId, handed: LogIndex, last: EntryId, is_on_disk: bool) -> Check {
    if handed < last.index && is_on_disk {
        return Ok(());
    }
    broken(
        Property::SnapshotRestore,
        format_args!(
            "{life} restores a snapshot up to {last} (on disk: {is_on_disk}) over a machine that \
             was handed {handed}"
        ),
    )
}

/// The machine of `life` says that it has applied everything up to `applied`; what it did apply
/// has the chain `state`.
pub(crate) fn shows(life: LifeId, applied: LogIndex, state: u64, ledger: &CommitLedger) -> Check {
    let committed = ledger.get(applied).map(|entry| entry.mark.hash);
    if committed == Some(state) {
        return Ok(());
    }
    broken(
        Property::SnapshotRestore,
        format_args!(
            "the machine of {life} at {applied} holds another state than the committed log makes"
        ),
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::check::testing::{i, life, must_fire, t};
    use crate::shape::Shape;

    #[test]
    fn fires_when_a_restore_goes_back_or_comes_before_the_disk() {
        let restores = |handed, on_disk| {
            super::restores(life(1), i(handed), EntryId::new(i(5), t(1)), on_disk)
        };
        assert!(restores(4, true).is_ok());
        must_fire(Property::SnapshotRestore, restores(5, true));
        must_fire(Property::SnapshotRestore, restores(4, false));
    }

    #[test]
    fn fires_when_a_machine_holds_another_state_than_its_label_says() {
        let log = Shape::of(&[1, 1]);
        let mut ledger = CommitLedger::default();
        for index in 1..=2 {
            let mark = log.mark(i(index)).unwrap();
            assert!(ledger.commits(life(1), true, t(1), i(index), mark).is_ok());
        }
        let state = log.mark(i(1)).unwrap().hash;
        assert!(shows(life(1), i(1), state, &ledger).is_ok());
        must_fire(
            Property::SnapshotRestore,
            shows(life(1), i(2), state, &ledger),
        );
    }
}
