//! VoteUpToDate: a vote goes only to a candidate whose log is at least as recent as the voter's
//! at the moment of the decision [Raft 5.4.1] (scenario A16).

use quorate_core::{EntryId, NodeId};

use super::{Check, Property, broken};

/// `voter`, whose log ends in `own`, grants its vote to `candidate`, whose log ends in `theirs`.
pub(crate) fn granted(voter: NodeId, own: EntryId, candidate: NodeId, theirs: EntryId) -> Check {
    // Spelled out here rather than asked of the engine's own comparison, which is under test.
    let recent = theirs.term > own.term || (theirs.term == own.term && theirs.index >= own.index);
    if recent {
        return Ok(());
    }
    broken(
        Property::VoteUpToDate,
        format_args!("{voter}, whose log ends in {own}, votes for {candidate} with {theirs}"),
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::check::testing::{i, must_fire, n, t};

    #[test]
    fn fires_when_the_candidate_has_an_older_or_shorter_log() {
        let granted = |own: (u64, u64), theirs: (u64, u64)| {
            let id = |(index, term)| EntryId::new(i(index), t(term));
            super::granted(n(1), id(own), n(2), id(theirs))
        };
        assert!(granted((5, 1), (3, 2)).is_ok() && granted((5, 2), (5, 2)).is_ok());
        must_fire(Property::VoteUpToDate, granted((3, 2), (9, 1)));
        must_fire(Property::VoteUpToDate, granted((5, 2), (4, 2)));
    }
}
