//! Campaigning: when a node stands for election, how it counts, and what it does when it wins.
//! How it answers the campaigns of others is in `vote.rs`.

use super::{Engine, Role};
use crate::{Body, Incarnation, NodeId, Payload, Term};

impl Engine {
    pub(super) fn on_election_timeout(&mut self) {
        if !self.may_campaign() {
            // It does not lead anybody anywhere, but it must not wait for a leader that is gone.
            self.step_down();
        } else if self.waits_for_own_vote() {
            // Its requests wait as well: nobody was asked, and a newer term would be as far away.
            self.restart_election_timer();
        } else if self.config.pre_vote {
            self.start_pre_vote();
        } else {
            self.start_campaign(false);
        }
    }

    /// A node may campaign even when its latest membership does not list it: others may need
    /// its log [Thesis 4.2.2]. It may not while it has no membership, is a learner, was removed
    /// and knows it, or may have lost entries, nor while its disk is full or does not answer: it
    /// could not save its own vote.
    pub(super) fn may_campaign(&self) -> bool {
        let membership = self.memberships.latest();
        let is_learner = membership.is_learner(self.config.id);
        let has_voters = !membership.voters().is_empty();
        let is_committed = self.memberships.latest_index() <= self.commit;
        let is_out = !membership.contains(self.config.id) && is_committed;
        let is_removed = is_out || self.is_removed() || self.room.is_low();
        let is_stalled = self.storage_stalled_at().is_some_and(|at| at <= self.now);
        let has_next_term = self.hard.term.next() > self.hard.term;
        let is_hindered = is_learner || is_removed || is_stalled;
        has_voters && has_next_term && !is_hindered && self.hard.floor.is_none()
    }

    /// Asks whether a campaign could succeed, before disturbing anybody with one [Thesis 9.6].
    fn start_pre_vote(&mut self) {
        self.become_pre_candidate();
        let campaign = self.hard.term.next();
        self.ask_voters(&Body::PreVote {
            campaign,
            last: self.log.last(),
        });
        self.count_pre_vote(self.config.id, true);
    }

    /// Stands for election in the next term [Raft 5.2]. The requests reveal the new term and
    /// leave once it is saved. `transfer`: the leader told us to, and its followers owe it no
    /// silence; that holds for this campaign only.
    pub(super) fn start_campaign(&mut self, transfer: bool) {
        self.become_candidate();
        self.ask_voters(&Body::Vote {
            last: self.log.last(),
            transfer,
        });
    }

    fn ask_voters(&mut self, body: &Body) {
        for &voter in self.memberships.latest().voters() {
            if voter != self.config.id {
                let envelope = self.envelope(voter, Incarnation::UNKNOWN);
                self.outbox.send(|| envelope.with(body.clone()));
            }
        }
    }

    pub(super) fn on_pre_vote_reply(&mut self, from: NodeId, campaign: Term, granted: bool) {
        if campaign == self.hard.term.next() {
            self.count_pre_vote(from, granted);
        }
    }

    fn count_pre_vote(&mut self, from: NodeId, granted: bool) {
        let Role::PreCandidate(votes) = &mut self.role else {
            return;
        };
        let membership = self.memberships.latest();
        votes.record(from, granted, membership);
        // Its disk may have become full or stuck since it asked.
        if votes.is_won(membership) && self.may_campaign() {
            self.start_campaign(false);
        }
    }

    pub(super) fn on_vote_reply(&mut self, from: NodeId, campaign: Term, granted: bool) {
        if campaign == self.hard.term {
            self.count_vote(from, granted);
        }
    }

    /// Whether this node campaigns and its disk has not taken its vote yet.
    const fn waits_for_own_vote(&self) -> bool {
        matches!(&self.role, Role::Candidate(campaign) if !campaign.has_asked)
    }

    /// The own vote counts when it is durable, not before (scenario A02). The requests leave then,
    /// and voters have to save their votes as well: they get a whole timeout for it.
    pub(super) fn count_own_vote(&mut self) {
        let Role::Candidate(campaign) = &mut self.role else {
            return;
        };
        if campaign.has_asked || !self.writes.is_confirmed(campaign.own_vote) {
            return;
        }
        campaign.has_asked = true;
        self.postpone_election();
        self.count_vote(self.config.id, true);
    }

    fn count_vote(&mut self, from: NodeId, granted: bool) {
        let Role::Candidate(campaign) = &mut self.role else {
            return;
        };
        let membership = self.memberships.latest();
        campaign.votes.record(from, granted, membership);
        // With every other vote in hand the own one may still be missing on disk. Leading is
        // then refused too: the term itself would not survive a restart.
        let is_own_vote_durable = self.writes.is_confirmed(campaign.own_vote);
        if is_own_vote_durable && campaign.votes.is_won(membership) {
            self.start_leading();
        }
    }

    /// The first entry of the term commits what earlier terms left behind and tells the leader
    /// what is committed [Raft 8].
    fn start_leading(&mut self) {
        self.become_leader();
        self.append_own([Payload::Noop]);
    }
}
