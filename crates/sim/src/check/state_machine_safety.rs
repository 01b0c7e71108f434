//! StateMachineSafety: every node applies the one committed log: in order, without gaps, each
//! entry once per life, and only what is already on its own disk [Raft 5.4.3].

use quorate_core::LogIndex;

use super::{Check, LifeId, Property, broken, commit_ledger::CommitLedger};
use crate::shape::{Mark, Shape};

/// What was applied at each index, by whoever came first.
#[derive(Debug, Default)]
pub(crate) struct StateMachineSafety {
    applied: Vec<Mark>,
}

impl StateMachineSafety {
    /// `life`, whose last applied index is `before`, is given the entry at `index` to apply. Its
    /// durable log is `disk`.
    pub(crate) fn applies(
        &mut self,
        life: LifeId,
        before: LogIndex,
        index: LogIndex,
        disk: &Shape,
        ledger: &CommitLedger,
    ) -> Check {
        if index != before.next() {
            return self.broken(life, index, format_args!("right after {before}"));
        }
        let Some(mark) = disk.mark(index) else {
            return self.broken(life, index, format_args!("which is not on its disk"));
        };
        if ledger
            .get(index)
            .is_none_or(|committed| committed.mark != mark)
        {
            return self.broken(life, index, format_args!("which is not committed"));
        }
        match self.applied.get(index.prev().get() as usize) {
            None => self.applied.push(mark),
            Some(known) if *known == mark => {}
            Some(known) => {
                let known = known.term;
                return self.broken(
                    life,
                    index,
                    format_args!("where another applied one of {known}"),
                );
            }
        }
        Ok(())
    }

    fn broken(&self, life: LifeId, index: LogIndex, facts: std::fmt::Arguments<'_>) -> Check {
        broken(
            Property::StateMachineSafety,
            format_args!("{life} applies {index} {facts}"),
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::check::testing::{i, life, must_fire, t};

    #[test]
    fn fires_on_gaps_repeats_and_entries_that_are_not_committed_or_not_durable() {
        let log = Shape::of(&[1, 1, 1]);
        let mut ledger = CommitLedger::default();
        for index in 1..=2 {
            let mark = log.mark(i(index)).unwrap();
            assert!(ledger.commits(life(1), true, t(1), i(index), mark).is_ok());
        }
        let mut checker = StateMachineSafety::default();
        let mut applies = |before, index, disk: &Shape| {
            checker.applies(life(1), i(before), i(index), disk, &ledger)
        };
        assert!(applies(0, 1, &log).is_ok());
        assert!(applies(1, 2, &log).is_ok());
        must_fire(Property::StateMachineSafety, applies(0, 2, &log));
        must_fire(Property::StateMachineSafety, applies(2, 2, &log));
        must_fire(Property::StateMachineSafety, applies(2, 3, &log));
        must_fire(
            Property::StateMachineSafety,
            applies(1, 2, &Shape::of(&[1])),
        );
        must_fire(
            Property::StateMachineSafety,
            applies(1, 2, &Shape::of(&[1, 2])),
        );
    }
}
