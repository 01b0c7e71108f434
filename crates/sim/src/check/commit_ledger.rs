//! CommittedImmutable: the global committed log, as the first node to commit each index had it.
//! It only grows, every later commit agrees with it, and followers never run ahead of it.

use quorate_core::{LogIndex, Term};

use super::{Check, LifeId, Property, broken};
use crate::shape::Mark;

/// A committed entry.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Committed {
    /// The entry's term and the hash of the log up to it.
    pub(crate) mark: Mark,
    /// The term of the leader that committed it.
    pub(crate) by: Term,
}

/// Everything that was ever committed.
#[derive(Debug, Default)]
pub(crate) struct CommitLedger {
    entries: Vec<Committed>,
}

impl CommitLedger {
    /// Last committed index.
    pub(crate) fn last(&self) -> LogIndex {
        LogIndex::new(self.entries.len() as u64)
    }

    /// What is committed at `index`.
    pub(crate) fn get(&self, index: LogIndex) -> Option<&Committed> {
        self.entries
            .get(usize::try_from(index.get().checked_sub(1)?).ok()?)
    }

    /// The newest entry that a leader of a term before `term` committed.
    pub(crate) fn last_before(&self, term: Term) -> Option<(LogIndex, Mark)> {
        let place = self.entries.iter().rposition(|entry| entry.by < term)?;
        let entry = self.entries.get(place)?;
        Some((LogIndex::new(place as u64 + 1), entry.mark))
    }

    /// `life`, in `term`, considers the entry with `mark` at `index` committed.
    pub(crate) fn commits(
        &mut self,
        life: LifeId,
        leads: bool,
        term: Term,
        index: LogIndex,
        mark: Mark,
    ) -> Check {
        if let Some(known) = self.get(index) {
            if known.mark == mark {
                return Ok(());
            }
            return broken(
                Property::CommittedImmutable,
                format_args!(
                    "{life} commits {index}:{} where {index}:{} was committed in {}",
                    mark.term, known.mark.term, known.by
                ),
            );
        }
        if !leads || index != self.last().next() {
            return broken(
                Property::CommittedImmutable,
                format_args!("{life} commits {index} before any leader committed it"),
            );
        }
        self.entries.push(Committed { mark, by: term });
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::check::testing::{i, life, must_fire, t};

    fn mark(term: u64, hash: u64) -> Mark {
        Mark {
            term: t(term),
            hash,
            bytes: 0,
        }
    }

    #[test]
    fn fires_when_two_entries_are_committed_at_one_index() {
        let mut ledger = CommitLedger::default();
        assert!(
            ledger
                .commits(life(1), true, t(1), i(1), mark(1, 7))
                .is_ok()
        );
        assert!(
            ledger
                .commits(life(2), false, t(1), i(1), mark(1, 7))
                .is_ok()
        );
        must_fire(
            Property::CommittedImmutable,
            ledger.commits(life(3), true, t(2), i(1), mark(2, 8)),
        );
    }

    #[test]
    fn fires_when_a_follower_commits_first_or_an_index_is_skipped() {
        let mut ledger = CommitLedger::default();
        must_fire(
            Property::CommittedImmutable,
            ledger.commits(life(1), false, t(1), i(1), mark(1, 7)),
        );
        must_fire(
            Property::CommittedImmutable,
            ledger.commits(life(1), true, t(1), i(2), mark(1, 7)),
        );
    }

    #[test]
    fn remembers_by_whom_entries_were_committed() {
        let mut ledger = CommitLedger::default();
        assert!(
            ledger
                .commits(life(1), true, t(1), i(1), mark(1, 7))
                .is_ok()
        );
        assert!(
            ledger
                .commits(life(1), true, t(4), i(2), mark(1, 8))
                .is_ok()
        );
        assert_eq!(ledger.last_before(t(4)), Some((i(1), mark(1, 7))));
        assert_eq!(ledger.last_before(t(5)), Some((i(2), mark(1, 8))));
        assert_eq!(ledger.last_before(t(1)), None);
    }
}
