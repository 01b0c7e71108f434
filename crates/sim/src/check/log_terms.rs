//! LogTermsMonotonic: terms never fall along a log, and no entry is newer than the term of the
//! node that holds it.

use quorate_core::{EntryId, NodeId, Term};

use super::{Check, Property, broken};

/// `node`, in `current`, appends `entry` after an entry of term `before`.
pub(crate) fn appended(node: NodeId, current: Term, before: Term, entry: EntryId) -> Check {
    if before <= entry.term && entry.term <= current {
        return Ok(());
    }
    broken(
        Property::LogTermsMonotonic,
        format_args!("{node}, in {current}, appends {entry} after an entry of {before}"),
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::check::testing::{i, must_fire, n, t};

    #[test]
    fn fires_when_terms_fall_or_come_from_the_future() {
        let append = |current, before, term| {
            appended(n(1), t(current), t(before), EntryId::new(i(5), t(term)))
        };
        assert!(append(4, 2, 2).is_ok() && append(4, 2, 4).is_ok());
        must_fire(Property::LogTermsMonotonic, append(4, 3, 2));
        must_fire(Property::LogTermsMonotonic, append(4, 3, 5));
    }
}
