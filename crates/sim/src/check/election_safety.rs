//! ElectionSafety: at most one leader per term, over the whole history, crashes included
//! [Raft 5.2]. How a leader is elected is not looked at here.

use std::collections::BTreeMap;

use quorate_core::Term;

use super::{Check, LifeId, Property, broken};

/// Who led which term.
#[derive(Debug, Default)]
pub(crate) struct ElectionSafety {
    leaders: BTreeMap<Term, LifeId>,
}

impl ElectionSafety {
    /// Who led `term`, if anybody did.
    pub(crate) fn leader(&self, term: Term) -> Option<LifeId> {
        self.leaders.get(&term).copied()
    }

    /// `leader` leads `term`. A later life of the same node counts as another leader: it does
    /// not know what the earlier one appended.
    pub(crate) fn leads(&mut self, leader: LifeId, term: Term) -> Check {
        let known = *self.leaders.entry(term).or_insert(leader);
        if known == leader {
            return Ok(());
        }
        broken(
            Property::ElectionSafety,
            format_args!("{known} and {leader} both lead {term}"),
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::check::testing::{life, must_fire, n, t};

    #[test]
    fn fires_when_two_nodes_or_two_lives_lead_one_term() {
        let mut checker = ElectionSafety::default();
        assert!(checker.leads(life(1), t(1)).is_ok());
        assert!(
            checker.leads(life(1), t(1)).is_ok(),
            "one leader may be seen many times"
        );
        assert!(checker.leads(life(2), t(2)).is_ok());
        must_fire(Property::ElectionSafety, checker.leads(life(2), t(1)));
        must_fire(
            Property::ElectionSafety,
            checker.leads(
                LifeId {
                    node: n(1),
                    number: 2,
                },
                t(1),
            ),
        );
    }
}
