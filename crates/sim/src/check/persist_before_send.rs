//! PersistBeforeSend: whatever a message promises is on stable storage when it leaves: its term,
//! a vote, a campaign, a matched index, a part in the birth of a cluster (scenarios A01, A02, A20,
//! B15).

use quorate_core::{
    AppendOutcome, Body, HardState, LogIndex, Message, NodeId, SnapshotOutcome, Term,
};
use quorate_log::BirthStage;

use super::{Check, Property, broken};
use crate::shape::Shape;

/// `node` tells how far its part in the birth of its cluster has come; whether its disk `holds`
/// that.
pub(crate) fn tells_birth(node: NodeId, holds: bool, stage: &BirthStage) -> Check {
    if holds {
        return Ok(());
    }
    broken(
        Property::PersistBeforeSend,
        format_args!("{node} tells {stage:?}, which is not on its disk"),
    )
}

/// `message` leaves its sender, on whose stable storage are `saved` and `log`.
pub(crate) fn leaves(message: &Message, saved: &HardState, log: &Shape) -> Check {
    if message.term > saved.term {
        return unsaved(message, saved, log);
    }
    // A vote that was saved and then left behind by a newer term is still a saved vote.
    let vote_is_saved = |term: Term, to: NodeId| {
        saved.term > term || (saved.term == term && saved.vote == Some(to))
    };
    let kept = match &message.body {
        Body::Vote { .. } => vote_is_saved(message.term, message.from),
        Body::VoteReply {
            campaign,
            granted: true,
        } => vote_is_saved(*campaign, message.to),
        Body::AppendReply {
            asked,
            outcome: AppendOutcome::Matched(index),
            ..
        } => {
            // A leader of a later term may have replaced the entry since: then the answer is
            // only good for a leader that nobody follows any more.
            saved.term > *asked || *index <= log.last() || *index == LogIndex::NONE
        }
        Body::SnapshotReply {
            asked,
            last,
            outcome: SnapshotOutcome::Installed,
            ..
        } => saved.term > *asked || log.contains(*last),
        Body::SnapshotReply { .. }
        | Body::SnapshotOffer { .. }
        | Body::TimeoutNow { .. }
        | Body::Removed { .. }
        | Body::AppendReply {
            outcome: AppendOutcome::Conflict { .. },
            ..
        }
        | Body::VoteReply { granted: false, .. }
        | Body::PreVote { .. }
        | Body::PreVoteReply { .. }
        | Body::Append { .. }
        | Body::ReadIndex { .. }
        | Body::ReadIndexReply { .. } => true,
    };
    if kept {
        Ok(())
    } else {
        unsaved(message, saved, log)
    }
}

/// The message reveals what a crash could still undo.
fn unsaved(message: &Message, saved: &HardState, log: &Shape) -> Check {
    broken(
        Property::PersistBeforeSend,
        format_args!(
            "{} sends {:?} of {} with {:?} and a log that ends in {} on disk",
            message.from,
            message.body,
            message.term,
            saved,
            log.last_id()
        ),
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::check::testing::{i, must_fire, n, t};
    use quorate_core::{EntryId, Incarnation, Round};

    #[test]
    fn fires_when_a_birth_is_told_that_is_not_on_the_disk() {
        assert!(tells_birth(n(1), true, &BirthStage::New).is_ok());
        must_fire(
            Property::PersistBeforeSend,
            tells_birth(n(1), false, &BirthStage::New),
        );
    }

    fn message(term: u64, body: Body) -> Message {
        Message {
            from: n(1),
            to: n(2),
            term: t(term),
            sender: Incarnation::new(1),
            receiver: Incarnation::UNKNOWN,
            body,
        }
    }

    /// A disk with an empty log.
    fn disk(term: u64, vote: Option<u64>) -> HardState {
        HardState {
            term: t(term),
            vote: vote.map(n),
            floor: None,
        }
    }

    fn leaves(message: &Message, saved: &HardState) -> Check {
        super::leaves(message, saved, &Shape::default())
    }

    #[test]
    fn fires_when_a_term_or_vote_is_not_saved() {
        let grant = message(
            3,
            Body::VoteReply {
                campaign: t(3),
                granted: true,
            },
        );
        assert!(leaves(&grant, &disk(3, Some(2))).is_ok());
        must_fire(Property::PersistBeforeSend, leaves(&grant, &disk(3, None)));
        must_fire(
            Property::PersistBeforeSend,
            leaves(&grant, &disk(3, Some(3))),
        );
        must_fire(
            Property::PersistBeforeSend,
            leaves(&grant, &disk(2, Some(2))),
        );
        let campaign = message(
            3,
            Body::Vote {
                last: EntryId::NONE,
                transfer: false,
            },
        );
        assert!(leaves(&campaign, &disk(3, Some(1))).is_ok());
        must_fire(
            Property::PersistBeforeSend,
            leaves(&campaign, &disk(3, None)),
        );
    }

    #[test]
    fn fires_when_a_matched_index_is_not_on_disk() {
        let matched = |index| {
            let outcome = AppendOutcome::Matched(i(index));
            let round = Round::default();
            message(
                3,
                Body::AppendReply {
                    asked: t(3),
                    round,
                    outcome,
                    suspect: false,
                },
            )
        };
        assert!(leaves(&matched(0), &disk(3, None)).is_ok());
        must_fire(
            Property::PersistBeforeSend,
            leaves(&matched(1), &disk(3, None)),
        );
        assert!(
            leaves(&matched(1), &disk(4, None)).is_ok(),
            "the answer is out of date"
        );
    }

    #[test]
    fn fires_when_a_snapshot_said_to_be_installed_is_not_on_disk() {
        let outcome = |outcome| {
            let body = Body::SnapshotReply {
                asked: t(3),
                round: Round::default(),
                last: EntryId::new(i(1), t(1)),
                outcome,
                suspect: false,
            };
            message(3, body)
        };
        let installed = outcome(SnapshotOutcome::Installed);
        must_fire(
            Property::PersistBeforeSend,
            leaves(&installed, &disk(3, None)),
        );
        let lost = outcome(SnapshotOutcome::Lost);
        assert!(leaves(&lost, &disk(3, None)).is_ok());
    }
}
