//! TermMonotonic: a saved term never falls and a saved vote never changes within its term; the
//! term that a running node shows never falls either, and starts at the saved one.

use quorate_core::{HardState, NodeId, Term};

use super::{Check, Property, broken};
use crate::roster::Roster;

/// The newest saved state and the newest shown term of each node.
#[derive(Debug)]
pub(crate) struct TermMonotonic {
    saved: Roster<HardState>,
    shown: Roster<Term>,
}

impl TermMonotonic {
    /// For nodes that never ran.
    pub(crate) fn new(nodes: u64) -> Self {
        Self {
            saved: Roster::new(nodes, |_| HardState::default()),
            shown: Roster::new(nodes, |_| Term::ZERO),
        }
    }

    /// `state` is now on the stable storage of `node`.
    pub(crate) fn saved(&mut self, node: NodeId, state: &HardState) -> Check {
        let before = self.saved[node];
        self.saved[node] = *state;
        let vote_changed = before.vote.is_some() && before.vote != state.vote;
        if state.term < before.term || (state.term == before.term && vote_changed) {
            return broken(
                Property::TermMonotonic,
                format_args!("{node} saved {state:?} over {before:?}"),
            );
        }
        Ok(())
    }

    /// `node` starts from what it had saved: what it only showed before is forgotten.
    pub(crate) fn starts(&mut self, node: NodeId) {
        self.shown[node] = self.saved[node].term;
    }

    /// A running `node` shows `term`.
    pub(crate) fn shows(&mut self, node: NodeId, term: Term) -> Check {
        let before = self.shown[node];
        self.shown[node] = term;
        if term < before {
            return broken(
                Property::TermMonotonic,
                format_args!("{node} went back from {before} to {term}"),
            );
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::check::testing::{must_fire, n, t};

    fn state(term: u64, vote: Option<u64>) -> HardState {
        HardState {
            term: t(term),
            vote: vote.map(n),
            floor: None,
        }
    }

    #[test]
    fn fires_when_a_saved_term_falls_or_a_saved_vote_changes() {
        let mut checker = TermMonotonic::new(2);
        assert!(checker.saved(n(1), &state(3, None)).is_ok());
        assert!(checker.saved(n(1), &state(3, Some(2))).is_ok());
        must_fire(
            Property::TermMonotonic,
            checker.saved(n(1), &state(3, Some(1))),
        );
        must_fire(
            Property::TermMonotonic,
            checker.saved(n(1), &state(2, None)),
        );
    }

    #[test]
    fn fires_when_a_running_node_shows_an_older_term_than_it_saved() {
        let mut checker = TermMonotonic::new(1);
        assert!(checker.shows(n(1), t(9)).is_ok());
        assert!(checker.saved(n(1), &state(4, None)).is_ok());
        checker.starts(n(1));
        assert!(
            checker.shows(n(1), t(4)).is_ok(),
            "an unsaved term may be forgotten"
        );
        must_fire(Property::TermMonotonic, checker.shows(n(1), t(3)));
    }
}
