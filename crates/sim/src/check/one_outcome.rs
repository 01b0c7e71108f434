//! OneOutcome: every request of a client has exactly one outcome while its node lives: a batch of
//! proposals within the step that handles it; a read, a change of the membership and a transfer of
//! leadership some time later (scenario E14). What was accepted is in the log where the answer
//! says.

use std::collections::BTreeSet;

use quorate_core::{ChangeId, ProposalId, ReadId, Request, TransferId};

use super::{Check, LifeId, Property, broken};

/// Requests without an outcome.
#[derive(Debug, Default)]
pub(crate) struct Outcomes {
    reads: BTreeSet<(LifeId, ReadId)>,
    changes: BTreeSet<(LifeId, ChangeId)>,
    transfers: BTreeSet<(LifeId, TransferId)>,
    proposal: Option<(LifeId, ProposalId)>,
}

impl Outcomes {
    /// `life` is given a request that may be answered later.
    pub(crate) fn asked(&mut self, life: LifeId, request: Request) {
        match request {
            Request::Read(read) => self.reads.insert((life, read)),
            Request::Change(change) => self.changes.insert((life, change)),
            Request::Transfer(transfer) => self.transfers.insert((life, transfer)),
            Request::Proposal(_) => unreachable!("a proposal is answered in its step"),
        };
    }

    /// `life` is given a batch of proposals.
    pub(crate) const fn proposed(&mut self, life: LifeId, proposal: ProposalId) {
        self.proposal = Some((life, proposal));
    }

    /// `life` tells the outcome of `request`.
    pub(crate) fn told(&mut self, life: LifeId, request: Request) -> Check {
        let was_open = match request {
            Request::Read(read) => self.reads.remove(&(life, read)),
            Request::Change(change) => self.changes.remove(&(life, change)),
            Request::Transfer(transfer) => self.transfers.remove(&(life, transfer)),
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

    /// What waits, for a violation.
    pub(crate) fn describe(&self) -> String {
        format!("{:?}, {:?}, {:?}", self.reads, self.changes, self.transfers)
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

    /// Requests that wait for an outcome.
    pub(crate) fn waiting(&self) -> usize {
        self.reads.len() + self.changes.len() + self.transfers.len()
    }

    /// `life` ended; nobody hears of its requests again.
    pub(crate) fn life_ends(&mut self, life: LifeId) {
        self.reads.retain(|(asked, _)| *asked != life);
        self.changes.retain(|(asked, _)| *asked != life);
        self.transfers.retain(|(asked, _)| *asked != life);
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
        checker.asked(life(1), Request::Read(ReadId::new(1)));
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
    fn fires_when_a_change_or_transfer_is_told_twice() {
        let mut checker = Outcomes::default();
        for request in [
            Request::Change(ChangeId::new(1)),
            Request::Transfer(TransferId::new(1)),
        ] {
            checker.asked(life(1), request);
            assert_eq!(checker.waiting(), 1);
            assert!(checker.told(life(1), request).is_ok());
            must_fire(Property::OneOutcome, checker.told(life(1), request));
        }
    }

    #[test]
    fn reads_of_a_life_end_with_it() {
        let mut checker = Outcomes::default();
        checker.asked(life(1), Request::Read(ReadId::new(1)));
        checker.asked(life(2), Request::Read(ReadId::new(1)));
        checker.life_ends(life(1));
        assert_eq!(checker.waiting(), 1);
    }
}
