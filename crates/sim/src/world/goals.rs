//! What of a world of engines is told to the watch over goals, where it takes more than a line:
//! the end of a step, and messages.

use quorate_core::{
    Action, Body, LoadOutcome, LoadPurpose, Message, NodeId, Refusal, Request, RoleName,
    SnapshotMeta, Status,
};

use super::World;
use super::node::Glimpse;
use crate::check::LifeId;
use crate::goals::Goal;

impl World {
    /// A step is over.
    pub(super) fn note_step(
        &mut self,
        id: LifeId,
        before: &Glimpse,
        status: &Status,
        actions: &[Action],
    ) {
        let goals = &mut self.goals;
        goals.counted(&before.counters, &status.counters);
        let leads = status.role == RoleName::Leader;
        let led = before.role == RoleName::Leader && !leads;
        if led {
            goals.led(id.node, before.term, status);
        }
        if leads {
            goals.awaits(&status.peers, &self.knobs.engine);
        }
        if actions.is_empty() {
            return;
        }
        goals.sends(actions.iter().filter_map(said));
        for action in actions {
            match action {
                Action::Refused { request, reason } => {
                    self.note_refusal(*request, *reason, led);
                }
                Action::LoadEntries {
                    purpose: LoadPurpose::Replicate(_),
                    ..
                } => self.goals.reach(Goal::OldEntriesLoaded),
                Action::InstallSnapshot {
                    discard_log: true, ..
                } => self.goals.reach(Goal::LogDiscarded),
                // Not by itself, as a leader that removed itself.
                Action::Removed { .. } => self.goals.reach_if(!led, Goal::RemovedTold),
                Action::HandedOver { .. } => self.goals.reach(Goal::TransferCompleted),
                Action::ReadReady { .. } => {
                    let follows = status.role == RoleName::Follower;
                    self.goals.reach_if(follows, Goal::FollowerRead);
                }
                Action::ReceiveSnapshot { snapshot, .. } => {
                    let life = self.nodes[id.node].life.as_deref();
                    let coming = life.and_then(|life| life.receiving.as_ref());
                    let is_other = coming.is_some_and(|coming| coming.meta != *snapshot);
                    self.goals.reach_if(is_other, Goal::SnapshotSuperseded);
                }
                Action::Send { .. }
                | Action::LoadEntries { .. }
                | Action::SaveHardState { .. }
                | Action::AppendEntries { .. }
                | Action::InstallSnapshot { .. }
                | Action::RestoreSnapshot { .. }
                | Action::PurgeLog { .. }
                | Action::SnapshotDue
                | Action::DropSnapshot { .. }
                | Action::MembershipAppended { .. }
                | Action::MembershipChanged { .. }
                | Action::Apply { .. }
                | Action::Proposed { .. }
                | Action::RoleChanged { .. }
                | Action::Fatal(_) => {}
            }
        }
    }

    /// A request is refused, in a step in which the node perhaps stopped leading.
    fn note_refusal(&mut self, request: Request, reason: Refusal, led: bool) {
        let goals = &mut self.goals;
        match (request, reason) {
            (Request::Read(_), Refusal::NotLeader { .. }) => {
                goals.reach_if(led, Goal::ReadAborted);
            }
            (Request::Proposal(_), Refusal::Overloaded) => goals.reach(Goal::UncommittedLimit),
            (Request::Transfer(_), Refusal::TimedOut) => goals.reach(Goal::TransferTimedOut),
            (Request::Change(_), Refusal::Change(reason)) => goals.change_refused(reason),
            (
                Request::Proposal(_) | Request::Read(_) | Request::Change(_) | Request::Transfer(_),
                _,
            ) => {}
        }
    }

    /// A message leaves.
    pub(super) fn note_leaving(&mut self, message: &Message) {
        match &message.body {
            Body::Vote { .. } => self.goals.campaigns(message.from, message.term),
            Body::PreVoteReply { granted: false, .. } => self.goals.reach(Goal::PreVoteRefused),
            Body::VoteReply {
                campaign,
                granted: false,
            } => {
                let voted = self.checks.votes.of(message.from, *campaign);
                let end_of = |node: NodeId| {
                    let life = self.nodes[node].life.as_deref()?;
                    Some((life.glimpse, life.log.last_id()))
                };
                let Some((_, own)) = end_of(message.from) else {
                    return;
                };
                let candidate = end_of(message.to);
                let candidate = candidate.filter(|(seen, _)| seen.is_candidate_of(*campaign));
                let last = candidate.map(|(_, last)| last);
                self.goals.refuses_vote(message.to, voted, own, last);
            }
            Body::SnapshotOffer { snapshot, .. } => self.note_offer(message, snapshot),
            Body::PreVote { .. }
            | Body::PreVoteReply { granted: true, .. }
            | Body::VoteReply { granted: true, .. }
            | Body::Append { .. }
            | Body::AppendReply { .. }
            | Body::SnapshotReply { .. }
            | Body::TimeoutNow { .. }
            | Body::Removed { .. }
            | Body::ReadIndex { .. }
            | Body::ReadIndexReply { .. } => {}
        }
    }

    /// Old entries were read.
    pub(super) fn note_loaded(&mut self, id: LifeId, outcome: &LoadOutcome) {
        let life = self.nodes[id.node].life.as_deref();
        if let LoadOutcome::Found(entries) = outcome
            && let Some(last) = entries.last()
            && let Some(life) = life.filter(|life| last.index > life.glimpse.commit)
            && life.glimpse.role != RoleName::Leader
        {
            self.goals.loads_uncommitted(id, last.index);
        }
    }

    /// A snapshot is offered: perhaps to a node that holds another log than the sender.
    fn note_offer(&mut self, message: &Message, snapshot: &SnapshotMeta) {
        let Some(sender) = self.nodes[message.from].life.as_deref() else {
            return;
        };
        let theirs = self.stables[message.to].shape();
        let index = theirs.last().min(snapshot.last.index);
        let is_other = theirs.mark(index) != sender.log.mark(index);
        self.goals.reach_if(is_other, Goal::SnapshotToConflict);
        let Some(receiver) = self.nodes[message.to].life.as_deref() else {
            return;
        };
        let (glimpse, last) = (&receiver.glimpse, snapshot.last);
        let (since, members) = receiver.engine.membership_at(last.index);
        let is_elsewhere = last.index > glimpse.commit
            && receiver.log.contains(last)
            && since == snapshot.membership_index
            && *members != snapshot.membership;
        self.goals.reach_if(is_elsewhere, Goal::FoundersElsewhere);
    }
}

/// What an engine has to say to another.
const fn said(action: &Action) -> Option<&Message> {
    if let Action::Send { message, .. } = action {
        Some(message)
    } else {
        None
    }
}
