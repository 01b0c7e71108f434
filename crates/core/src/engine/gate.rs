//! The gate every message passes: is it for us, which term is it from, and who handles it.
//! Membership is not asked here: who may be listened to and who counts are different questions,
//! and only tallies ask the second (scenario A13).

use super::Engine;
use crate::snapshots::Offer;
use crate::{
    AppendOutcome, Body, EntryId, Incarnation, LogIndex, Message, NodeId, Round, SnapshotMeta,
    Term, WriteId,
};

impl Engine {
    pub(super) fn on_message(&mut self, message: Message) {
        let Message {
            from,
            to,
            term,
            sender,
            receiver,
            body,
        } = message;
        let is_for_us = to == self.config.id && from != self.config.id;
        // No honest node can reach the largest term, and nobody could campaign after it.
        let is_last_term = term.next() == term;
        if !is_for_us || is_last_term || (receiver != self.life && is_reply(&body)) {
            self.counters.dropped += 1;
            return;
        }
        let asker = (from, sender);
        if matches!(
            body,
            Body::PreVote { .. } | Body::Vote { .. } | Body::ReadIndex { .. }
        ) {
            self.tell_if_removed(asker);
        }
        if term > self.hard.term {
            if let Body::Vote {
                transfer: false, ..
            } = body
                && self.is_led()
            {
                // A disruptive candidate does not even move our term [Thesis 4.2.3].
                return self.answer_vote(asker, term, false);
            }
            if moves_term(&body) {
                self.adopt_term(term);
            }
        }
        self.dispatch(asker, (term, receiver), body);
    }

    fn dispatch(
        &mut self,
        asker: (NodeId, Incarnation),
        (term, receiver): (Term, Incarnation),
        body: Body,
    ) {
        let (from, life) = asker;
        let is_old = term < self.hard.term;
        match body {
            Body::PreVote { campaign, last } => self.on_pre_vote(asker, campaign, last),
            Body::PreVoteReply { campaign, granted } => {
                self.on_pre_vote_reply(from, campaign, granted);
            }
            // An old term is answered, not ignored: the answer carries ours (scenario A07).
            Body::Vote { .. } if is_old => self.answer_vote(asker, term, false),
            Body::Append { prev, round, .. } if is_old => {
                self.refuse_old_append(asker, term, prev.index, round);
            }
            Body::Vote { last, transfer } => self.on_vote(asker, last, transfer),
            Body::VoteReply { campaign, granted } => self.on_vote_reply(from, campaign, granted),
            Body::Append {
                prev,
                entries,
                commit,
                round,
                last,
            } => self.on_append(asker, prev, entries, commit, round, (receiver, last)),
            Body::AppendReply {
                asked,
                round,
                outcome,
                suspect,
            } => {
                if asked == self.hard.term {
                    self.on_append_reply(asker, round, outcome, suspect);
                }
            }
            Body::SnapshotOffer { snapshot, round } => {
                let offer = Offer {
                    from,
                    life,
                    term,
                    round,
                };
                self.on_offer_of_term(snapshot, offer);
            }
            Body::SnapshotReply {
                asked,
                round,
                last,
                outcome,
                suspect,
            } => {
                if asked == self.hard.term {
                    self.on_snapshot_reply(asker, (round, last), outcome, suspect);
                }
            }
            Body::TimeoutNow { .. } if is_old => self.counters.dropped += 1,
            Body::TimeoutNow { round } => self.on_timeout_now(from, receiver, round),
            Body::Removed { index } => self.on_removed(term, index),
            Body::ReadIndex { read } => self.on_read_index(asker, read),
            Body::ReadIndexReply { read, index } => self.on_read_index_reply(read, index),
        }
    }

    /// An offer of an older term is answered like an append of one.
    fn on_offer_of_term(&mut self, snapshot: SnapshotMeta, offer: Offer) {
        if offer.term < self.hard.term {
            let asker = (offer.from, offer.life);
            return self.refuse_old_append(asker, offer.term, snapshot.last.index, offer.round);
        }
        self.on_snapshot_offer(snapshot, offer);
    }

    /// Tells the leader of an older term that it is deposed: the answer carries our term.
    fn refuse_old_append(
        &mut self,
        (to, life): (NodeId, Incarnation),
        asked: Term,
        refused: LogIndex,
        round: Round,
    ) {
        let hint = EntryId::NONE;
        let body = Body::AppendReply {
            asked,
            round,
            outcome: AppendOutcome::Conflict { refused, hint },
            suspect: false,
        };
        let envelope = self.envelope(to, life);
        self.outbox.answer(WriteId::NONE, || envelope.with(body));
    }
}

/// Whether the message answers one of ours; answers to an earlier life are not for us.
const fn is_reply(body: &Body) -> bool {
    match body {
        Body::PreVoteReply { .. }
        | Body::VoteReply { .. }
        | Body::AppendReply { .. }
        | Body::SnapshotReply { .. }
        | Body::ReadIndexReply { .. } => true,
        Body::PreVote { .. }
        | Body::Vote { .. }
        | Body::Append { .. }
        | Body::SnapshotOffer { .. }
        | Body::TimeoutNow { .. }
        | Body::Removed { .. }
        | Body::ReadIndex { .. } => false,
    }
}

/// Whether a newer term in such a message is adopted. Asking for a pre-vote changes nothing, and
/// neither does a grant; a refusal tells the asker which term to catch up with (scenario A07).
/// Whoever is told that it was removed has no use for a term.
const fn moves_term(body: &Body) -> bool {
    match body {
        Body::PreVote { .. } | Body::PreVoteReply { granted: true, .. } | Body::Removed { .. } => {
            false
        }
        Body::PreVoteReply { granted: false, .. }
        | Body::Vote { .. }
        | Body::VoteReply { .. }
        | Body::Append { .. }
        | Body::AppendReply { .. }
        | Body::SnapshotOffer { .. }
        | Body::SnapshotReply { .. }
        | Body::TimeoutNow { .. }
        | Body::ReadIndex { .. }
        | Body::ReadIndexReply { .. } => true,
    }
}
