//! OneOutcome: every request of a client has exactly one outcome while its node lives: a batch of
//! proposals within the step that handles it, a read some time later (scenario E14). A batch that
//! was accepted is in the log where the answer says.

use std::collections::BTreeSet;

use quorate_core::{ProposalId, ReadId, Request};

use super::{Check, LifeId, Property, broken};

/// Requests without an outcome.
#[derive(Debug, Default)]
pub(crate) struct Outcomes {
    reads: BTreeSet<(LifeId, ReadId)>,
    proposal: Option<(LifeId, ProposalId)>,
}

impl Outcomes {
    /// `life` is given a read.
    pub(crate) fn read_asked(&mut self, life: LifeId, read: ReadId) {
        self.reads.insert((life, read));
    }

    /// `life` is given a batch of proposals.
    pub(crate) const fn proposed(&mut self, life: LifeId, proposal: ProposalId) {
        self.proposal = Some((life, proposal));
    }

    /// `life` tells the outcome of `request`.
    pub(crate) fn told(&mut self, life: LifeId, request: Request) -> Check {
        let was_open = match request {
            Request::Read(read) => self.reads.remove(&(life, read)),
            Request::Proposal(proposal) => self
                .proposal
                .take_if(|open| *open == (life, proposal))
                .is_some(),
        };
        if was_open {
            return Ok(());
        }
        broken(
            Property::OneOutcome,
            format_args!("{life} tells an outcome of {request:?}, which waits for none"),
        )
    }

    /// A step of `life` is over: a proposal must have been answered in it.
    pub(crate) fn step_ends(&mut self) -> Check {
        match self.proposal.take() {
            None => Ok(()),
            Some((life, proposal)) => broken(
                Property::OneOutcome,
                format_args!("{life} handled {proposal} without an outcome"),
            ),
        }
    }

    /// Reads that wait for an outcome.
    pub(crate) fn waiting(&self) -> usize {
        self.reads.len()
    }

    /// `life` ended; nobody hears of its requests again.
    pub(crate) fn life_ends(&mut self, life: LifeId) {
        self.reads.retain(|(asked, _)| *asked != life);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::check::testing::{life, must_fire};

    #[test]
    fn fires_when_an_outcome_is_told_twice_or_unasked() {
        let mut checker = Outcomes::default();
        let read = Request::Read(ReadId::new(1));
        checker.read_asked(life(1), ReadId::new(1));
        must_fire(Property::OneOutcome, checker.told(life(2), read));
        assert!(checker.told(life(1), read).is_ok());
        must_fire(Property::OneOutcome, checker.told(life(1), read));
        let batch = Request::Proposal(ProposalId::new(4));
        must_fire(Property::OneOutcome, checker.told(life(1), batch));
    }

    #[test]
    fn fires_when_a_proposal_is_not_answered_in_its_step() {
        let mut checker = Outcomes::default();
        checker.proposed(life(1), ProposalId::new(4));
        assert!(
            checker
                .told(life(1), Request::Proposal(ProposalId::new(4)))
                .is_ok()
        );
        assert!(checker.step_ends().is_ok());
        checker.proposed(life(1), ProposalId::new(5));
        must_fire(Property::OneOutcome, checker.step_ends());
    }

    #[test]
    fn reads_of_a_life_end_with_it() {
        let mut checker = Outcomes::default();
        checker.read_asked(life(1), ReadId::new(1));
        checker.read_asked(life(2), ReadId::new(1));
        checker.life_ends(life(1));
        assert_eq!(checker.waiting(), 1);
    }
}
