//! What checkers are told of a full system: after each turn what the driver shows, and of each
//! message what leaves. What is told of the disk is in `storage.rs` and `recovered.rs`, of state
//! machines in `machine.rs`, of clients in `clients.rs`.
//!
//! Nothing looks inside a driver: a leader's log is what its disk and its followers' disks hold.

use quorate::{Output, PeerMessage};
use quorate_core::{Body, EntryId, LogIndex, Message, NodeId, RoleName, Status, Term};

use super::System;
use crate::check::match_truth::Belief;
use crate::check::{
    Check, LifeId, Property, bounded_memory, broken, commit_current_term, commit_monotonic,
    commit_quorum, election_quorum, leader_completeness, match_truth, no_spin, persist_before_send,
};
use crate::history::OpId;
use crate::shape::Shape;
use crate::world::node::Glimpse;

impl System {
    /// A turn is over; its outputs are not performed yet.
    pub(super) fn observe_turn(&mut self, id: LifeId, outputs: &[Output<OpId, OpId>]) -> Check {
        let Some(life) = self.life(id) else {
            return Ok(());
        };
        let (before, members) = (life.glimpse, life.membership.clone());
        let is_over = |output: &Output<OpId, OpId>| matches!(output, Output::Stopped(_));
        if !outputs.iter().any(is_over) {
            no_spin::wants(id, life.hearing.now, life.driver.next_timeout())?;
        }
        let status = life.look();
        let Some(status) = status else {
            // What it promised in its last turn is judged by what it heard until then.
            self.observe_requests(id, before)?;
            return self.observe_end(id, before, members.voters(), outputs);
        };
        let after = life.glimpse;
        self.observe_decisions(id, before, &status, outputs)?;
        for word in [after.term.get(), after.last.get(), after.commit.get()] {
            self.digest.fold(word);
        }
        self.digest.fold(after.role as u64 ^ outputs.len() as u64);
        for member in status.membership.members() {
            self.nodes[member].was_member = true;
        }
        self.checks.terms.shows(id.node, after.term)?;
        commit_monotonic::shows(
            id.node,
            before.commit,
            after.commit,
            after.applied,
            after.last,
        )?;
        self.note_turn(id, before, &status, outputs);
        self.observe_role(id, before, after)?;
        self.observe_churn(id, before, outputs)?;
        if after.commit > before.commit {
            let voters = [members.voters(), status.membership.voters()];
            self.observe_commit(id, after.commit, voters, led(before, after, outputs))?;
        }
        if after.role == RoleName::Leader {
            self.observe_peers(id, &status)?;
        }
        self.observe_census(id, before, &status, outputs)
    }

    /// The driver has stopped in this turn, or was never born. What it let apply before was
    /// committed, and so was what it told others to be: it may be more than fits into the queue
    /// of its state machine.
    fn observe_end(
        &mut self,
        id: LifeId,
        before: Glimpse,
        voters: &[NodeId],
        outputs: &[Output<OpId, OpId>],
    ) -> Check {
        let mut last = LogIndex::NONE;
        for output in outputs {
            if let Output::Apply { entries, .. } = output {
                let applied = entries.last().map_or(last, |entry| entry.index);
                last = last.max(applied);
            }
            if let Output::Send {
                message: PeerMessage::Raft(message),
                ..
            } = output
                && let Body::Append { commit, .. } = &message.body
            {
                last = last.max(*commit);
            }
        }
        let led = (before.role == RoleName::Leader).then_some(before.term);
        self.observe_commit(id, last, [voters, voters], led)
    }

    /// An election was won, or lost.
    fn observe_role(&mut self, id: LifeId, before: Glimpse, after: Glimpse) -> Check {
        if before.role == after.role && before.term == after.term {
            return Ok(());
        }
        self.counts.step_downs += u64::from(before.role == RoleName::Leader);
        self.counts.campaigns += u64::from(after.role == RoleName::Candidate);
        if after.role != RoleName::Leader {
            return Ok(());
        }
        self.counts.elections += 1;
        self.schedule_fall(id);
        self.goals.takes_over(id.node, after.term);
        self.checks.votes.voted(id.node, after.term, id.node)?;
        self.checks.elections.leads(id, after.term)?;
        let node = &self.nodes[id.node];
        let Some(life) = node.life.as_deref() else {
            return Ok(());
        };
        let found = life.written.mark(before.last);
        let found = found.map(|mark| (before.last, mark));
        let (voters, ledger) = (life.membership.voters(), &self.checks.ledger);
        let holds = |node, index| self.nodes[node].stable.shape.mark(index);
        self.goals.elected(after.term, found, voters, ledger, holds);
        election_quorum::elected(id.node, after.term, &life.membership, &self.checks.votes)?;
        // Whatever it held when it asked for votes was durable by then.
        leader_completeness::elected(id.node, after.term, &life.written, &self.checks.ledger)
    }

    /// A commit index has moved. Leaders move it by what is durable on a majority.
    /// What anybody commits after it was committed first is compared when it is written, or
    /// applied.
    fn observe_commit(
        &mut self,
        id: LifeId,
        commit: LogIndex,
        voters: [&[NodeId]; 2],
        led: Option<Term>,
    ) -> Check {
        if commit > self.checks.ledger.last() {
            let Some(term) = led else {
                return broken(
                    Property::CommittedImmutable,
                    format_args!("{id} commits {commit} before any leader committed it"),
                );
            };
            self.commit_up_to(id, term, commit, voters)?;
        }
        Ok(())
    }

    /// A leader of `term` has committed everything up to `commit`, for the first time.
    fn commit_up_to(
        &mut self,
        id: LifeId,
        term: Term,
        commit: LogIndex,
        voters: [&[NodeId]; 2],
    ) -> Check {
        let own = self.nodes[id.node].life.as_deref();
        if let Some(mark) = own.and_then(|life| life.written.mark(commit)) {
            let entry = EntryId::new(commit, mark.term);
            commit_current_term::commits(id.node, term, entry)?;
        }
        let ends_here = |shape: &Shape| shape.mark(commit).filter(|mark| mark.term == term);
        let holder = self
            .nodes
            .ids()
            .find(|node| ends_here(&self.nodes[*node].stable.shape).is_some());
        let Some(holder) = holder else {
            return broken(
                Property::CommittedOnDurableQuorum,
                format_args!("{id} of {term} commits {commit}, which is on no disk in this term"),
            );
        };
        let Some(mark) = ends_here(&self.nodes[holder].stable.shape) else {
            return Ok(());
        };
        let holds = |voter: &NodeId| self.nodes[*voter].stable.shape.mark(commit) == Some(mark);
        // The membership may have changed in this very turn, after the commit or before it.
        let [before, after] = voters;
        let by = |voters: &[NodeId]| {
            commit_quorum::commits(id.node, commit, mark, voters.iter().map(holds))
        };
        by(before).or_else(|_| by(after))?;
        let mut index = self.checks.ledger.last();
        let first = index;
        while index < commit {
            index = index.next();
            let shape = &self.nodes[holder].stable.shape;
            let Some(mark) = shape.mark(index) else {
                return Ok(());
            };
            let is_change = shape
                .membership_at(index)
                .is_some_and(|(since, _)| since == index);
            self.counts.changes_committed += u64::from(is_change);
            self.checks.ledger.commits(id, true, term, index, mark)?;
        }
        self.goals.committed(&self.checks.ledger);
        self.counts.committed += first.distance_to(commit);
        Ok(())
    }

    /// What a leader believes of its peers.
    fn observe_peers(&self, id: LifeId, status: &Status) -> Check {
        let Some(life) = self.nodes[id.node].life.as_deref() else {
            return Ok(());
        };
        for peer in &status.peers {
            bounded_memory::awaits(id.node, peer.inflight, &self.knobs.engine)?;
            let belief = Belief {
                peer: peer.id,
                matched: peer.matched,
                next: peer.next,
            };
            let disk = &self.nodes[peer.id].stable;
            let own = life.written.mark(peer.matched);
            match_truth::believes(
                (id.node, status.term),
                (status.last, own),
                belief,
                disk.hard.term,
                &disk.shape,
            )?;
        }
        Ok(())
    }

    /// A message leaves: what it reveals is on the disk.
    pub(super) fn observe_leaving(&mut self, id: LifeId, message: &PeerMessage) -> Check {
        let node = &self.nodes[id.node];
        let is_wiped = self.atlas.is_wiped(id.node);
        let message = match message {
            PeerMessage::Raft(message) => message,
            PeerMessage::Birth { stage, .. } => {
                // What a wiped node may say of its new directory is checked where it is written.
                let is_kept = is_wiped || node.stable.has_reached(stage);
                return persist_before_send::tells_birth(id.node, is_kept, stage);
            }
            PeerMessage::Forward { .. } | PeerMessage::ForwardReply { .. } => return Ok(()),
        };
        if is_wiped {
            return broken(
                Property::WipedSilent,
                format_args!("{id} lost its directory and says {message:?}"),
            );
        }
        let sender = node.life.as_deref();
        if sender.is_none_or(|life| life.incarnation != message.sender) {
            return broken(
                Property::StatusTruth,
                format_args!("{id} sends {message:?} in the name of another life"),
            );
        }
        persist_before_send::leaves(message, &node.stable.hard, &node.stable.shape)?;
        self.note_leaving(message);
        self.observe_vote(id, message)
    }

    fn observe_vote(&mut self, id: LifeId, message: &Message) -> Check {
        let voter = message.from;
        match &message.body {
            Body::Vote { .. } => self.checks.votes.voted(voter, message.term, voter),
            Body::VoteReply {
                campaign,
                granted: true,
            } => {
                self.checks.votes.voted(voter, *campaign, message.to)?;
                self.observe_grant(id, *campaign, message)
            }
            Body::PreVoteReply {
                campaign,
                granted: true,
            } => self.observe_grant(id, *campaign, message),
            Body::Removed { .. } => self.observe_notice(id, message),
            Body::Append { entries, .. } => {
                bounded_memory::sends(voter, entries, &self.knobs.engine)
            }
            Body::VoteReply { granted: false, .. }
            | Body::PreVote { .. }
            | Body::PreVoteReply { granted: false, .. }
            | Body::AppendReply { .. }
            | Body::SnapshotOffer { .. }
            | Body::SnapshotReply { .. }
            | Body::TimeoutNow { .. }
            | Body::ReadIndex { .. }
            | Body::ReadIndexReply { .. } => Ok(()),
        }
    }
}

/// The term that a node led in at some moment of a turn, if any.
fn led(before: Glimpse, after: Glimpse, outputs: &[Output<OpId, OpId>]) -> Option<Term> {
    if after.role == RoleName::Leader {
        return Some(after.term);
    }
    let mut announced = None;
    for output in outputs {
        if let Output::Leadership(leadership) = output
            && leadership.role == RoleName::Leader
        {
            announced = Some(leadership.term);
        }
    }
    announced.or((before.role == RoleName::Leader).then_some(before.term))
}
