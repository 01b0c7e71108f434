//! LogMatching: if two logs ever held an entry with the same index and term, they were equal up
//! to there [Raft 5.3]. One comparison per appended entry, since hashes are chained.

use quorate_core::{LogIndex, NodeId, Term};

use super::{Check, Property, broken};
use crate::shape::Mark;

/// Every (index, term) that was ever appended anywhere, with the hash of the log up to there.
#[derive(Debug, Default)]
pub(crate) struct LogMatching {
    /// By index; few terms ever compete for one.
    seen: Vec<Vec<Mark>>,
}

impl LogMatching {
    /// The log of `node` now holds an entry with `mark` at `index`.
    pub(crate) fn appended(&mut self, node: NodeId, index: LogIndex, mark: Mark) -> Check {
        let at = index.prev().get() as usize;
        if self.seen.len() <= at {
            self.seen.resize_with(at + 1, Vec::new);
        }
        let Some(marks) = self.seen.get_mut(at) else {
            return Ok(());
        };
        match marks.iter().find(|known| known.term == mark.term) {
            None => marks.push(mark),
            Some(known) if known.hash == mark.hash => {}
            Some(_) => return differs(node, index, mark.term),
        }
        Ok(())
    }
}

/// Two different histories lead to one (index, term).
fn differs(node: NodeId, index: LogIndex, term: Term) -> Check {
    broken(
        Property::LogMatching,
        format_args!("{node} reaches {index}:{term} by another history than an earlier log did"),
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::check::testing::{i, must_fire, n, t};

    #[test]
    fn fires_when_equal_ids_have_different_histories() {
        let mut checker = LogMatching::default();
        let mark = |term, hash| Mark {
            term: t(term),
            hash,
            bytes: 0,
        };
        assert!(checker.appended(n(1), i(2), mark(1, 7)).is_ok());
        assert!(checker.appended(n(2), i(2), mark(1, 7)).is_ok());
        assert!(
            checker.appended(n(2), i(2), mark(2, 9)).is_ok(),
            "another term, another entry"
        );
        must_fire(
            Property::LogMatching,
            checker.appended(n(3), i(2), mark(1, 8)),
        );
    }
}
