//! Answering the campaigns of others. The rules of one vote per term and of the up-to-date log
//! are here and nowhere else.

use super::{Engine, Role};
use crate::{Body, EntryId, Floor, HardState, Incarnation, NodeId, Term};

impl Engine {
    /// Says whether a campaign of `from` in `campaign` would have our vote. Changes nothing here,
    /// neither term nor vote nor timer (scenario A04).
    pub(super) fn on_pre_vote(
        &mut self,
        (from, life): (NodeId, Incarnation),
        campaign: Term,
        last: EntryId,
    ) {
        let is_newer = campaign > self.hard.term;
        let is_free = is_newer && !self.is_led() && self.knows_members();
        let granted = is_free && self.is_recent_enough(last);
        let envelope = self.envelope(from, life);
        self.outbox
            .send(|| envelope.with(Body::PreVoteReply { campaign, granted }));
    }

    /// Grants or refuses a vote in the present term [Raft 5.2] [Raft 5.4.1].
    ///
    /// At most one candidate per term gets it, and only with a log at least as recent as ours.
    /// A grant restarts the election timer; a refusal does not.
    pub(super) fn on_vote(
        &mut self,
        (from, life): (NodeId, Incarnation),
        last: EntryId,
        transfer: bool,
    ) {
        let is_free = self.hard.vote.is_none_or(|vote| vote == from);
        // A leader of an older term may count on our silence even though we have adopted this
        // term since, or were restarted in it.
        let is_bound = self.is_led() && !transfer;
        // Whoever knows the leader of this term has no vote left to give in it.
        let is_open = is_free && self.leader.is_none() && !is_bound;
        let granted = is_open && self.knows_members() && self.is_recent_enough(last);
        if granted {
            if self.hard.vote.is_none() {
                self.save_hard_state(HardState {
                    vote: Some(from),
                    ..self.hard
                });
            }
            self.restart_election_timer();
        }
        self.answer_vote((from, life), self.hard.term, granted);
    }

    /// Answers a candidate. Also a refusal reveals our term, so it waits for the hard state.
    pub(super) fn answer_vote(
        &mut self,
        (to, life): (NodeId, Incarnation),
        campaign: Term,
        granted: bool,
    ) {
        let envelope = self.envelope(to, life);
        self.outbox.answer(crate::WriteId::NONE, || {
            envelope.with(Body::VoteReply { campaign, granted })
        });
    }

    /// Whether a leader was heard, or led here, within the shortest election timeout. Its
    /// followers owe it their silence, and after a restart a node cannot know whether it
    /// had promised it: the start counts as hearing [Thesis 4.2.3] [Thesis 6.4.1].
    pub(super) fn is_led(&self) -> bool {
        matches!(self.role, Role::Leader(_))
            || self.now.since(self.heard_leader_at) < self.config.election_timeout_min
    }

    /// Whether this node knows of any members. One that does not has nothing on its disk: it may
    /// have voted and acknowledged before it was wiped, and gives no vote until the log has come
    /// to it (scenario A20).
    fn knows_members(&self) -> bool {
        !self.memberships.latest().voters().is_empty()
    }

    /// The vote rule, with the floor of a node that may have lost entries.
    fn is_recent_enough(&self, last: EntryId) -> bool {
        let is_above_floor = match self.hard.floor {
            None => true,
            Some(Floor::At(floor)) => last.at_least_as_recent_as(floor),
            Some(Floor::AnyIndexOf(term)) => last.term > term,
        };
        is_above_floor && last.at_least_as_recent_as(self.log.last())
    }
}
