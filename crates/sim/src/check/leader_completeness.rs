//! LeaderCompleteness: a leader holds, from its election on, everything that leaders of earlier
//! terms have committed [Raft 5.4]. Checked at the election, with one comparison.

use quorate_core::{NodeId, Term};

use super::{Check, Property, broken, commit_ledger::CommitLedger};
use crate::shape::Shape;

/// `leader`, with `log`, was elected in `term`.
pub(crate) fn elected(leader: NodeId, term: Term, log: &Shape, ledger: &CommitLedger) -> Check {
    let Some((index, mark)) = ledger.last_before(term) else {
        return Ok(());
    };
    if log.mark(index) == Some(mark) {
        return Ok(());
    }
    broken(
        Property::LeaderCompleteness,
        format_args!(
            "{leader} leads {term} with a log that ends in {} and lacks committed {index}:{}",
            log.last_id(),
            mark.term
        ),
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::check::testing::{i, life, must_fire, n, t};

    #[test]
    fn fires_when_a_new_leader_lacks_a_committed_entry() {
        let full = Shape::of(&[1, 1]);
        let mut ledger = CommitLedger::default();
        for index in 1..=2 {
            let mark = full.mark(i(index)).unwrap();
            assert!(ledger.commits(life(1), true, t(1), i(index), mark).is_ok());
        }
        assert!(elected(n(2), t(2), &full, &ledger).is_ok());
        let elected = |log: &Shape| elected(n(2), t(2), log, &ledger);
        must_fire(Property::LeaderCompleteness, elected(&Shape::of(&[1])));
        must_fire(Property::LeaderCompleteness, elected(&Shape::of(&[1, 2])));
    }
}
