//! What checkers are told after a step: what the engine shows and what it wants written; and of
//! each message, when it leaves. How a step answers what caused it is in `cause.rs`.

use std::mem;

use quorate_core::{
    Action, Body, Entries, EntryId, LogIndex, Membership, Message, NodeId, RoleName, Term, Time,
};

use super::World;
use super::cause::Cause;
use super::node::Glimpse;
use crate::check::match_truth::Belief;
use crate::check::{
    Check, LifeId, Property, bounded_memory, broken, check_quorum, commit_current_term,
    commit_monotonic, commit_quorum, committed_truncation, election_quorum, leader_append_only,
    leader_completeness, log_terms, match_truth, pause,
};
use crate::shape::Shape;

impl World {
    /// Passes over a tick, in time, that asks for nothing, with an input behind it that is taken at
    /// the same moment; false for any other step. What the engine shows is looked at once, after
    /// that: there is a tick before every input, and nearly all do nothing. One may end a transfer
    /// without a word, if it was nobody's wish but the engine's.
    pub(super) fn passes_over_tick(&self, node: NodeId, cause: Cause, actions: &[Action]) -> bool {
        let silence = self.knobs.engine.election_timeout_min;
        let Some(life) = self.nodes[node].life.as_deref() else {
            return false;
        };
        let is_tick = matches!(cause, Cause::Tick) && actions.is_empty();
        let is_quiet = is_tick && life.glimpse.transfer_target.is_none();
        is_quiet && !life.inbox.is_empty() && !pause::is_late(life.due, life.ticked, silence)
    }

    /// An engine took an event and wants these actions performed.
    pub(super) fn observe(&mut self, node: NodeId, cause: Cause, actions: &[Action]) -> Check {
        let Some(life) = self.nodes[node].life.as_deref_mut() else {
            return Ok(());
        };
        let id = life.id;
        let status = life.engine.status();
        let after = &Glimpse::from(&status);
        let before = &mem::replace(&mut life.glimpse, *after);
        self.digest
            .fold(after.term.get() ^ (after.role as u64) << 62 ^ node.get() << 48);
        self.digest
            .fold(after.last.get() ^ after.commit.get() << 24 ^ (actions.len() as u64) << 48);
        self.note_step(id, before, &status, actions);
        self.observe_decision(id, cause, before, actions)?;
        self.observe_actions(id, before, after, actions)?;
        self.checks.terms.shows(node, after.term)?;
        self.observe_role(id, cause, before, after)?;
        self.observe_commit(id, before, after, &status.membership)?;
        self.observe_state(id, cause, before, after, &status, actions)?;
        if after.role == RoleName::Leader {
            self.observe_quorum(id)?;
            self.observe_answer(id, cause, before, &status)?;
            for peer in &status.peers {
                bounded_memory::awaits(node, peer.inflight, &self.knobs.engine)?;
                let belief = Belief {
                    peer: peer.id,
                    matched: peer.matched,
                    next: peer.next,
                };
                self.observe_belief(node, after.term, belief)?;
            }
        }
        Ok(())
    }

    /// The writes that a step asks for, as the log of the engine sees them.
    fn observe_actions(
        &mut self,
        id: LifeId,
        before: &Glimpse,
        after: &Glimpse,
        actions: &[Action],
    ) -> Check {
        for action in actions {
            if let Action::AppendEntries { entries, .. } = action {
                self.observe_append(id, before, after, entries)?;
            } else if let Action::InstallSnapshot {
                snapshot,
                discard_log,
                ..
            } = action
            {
                self.observe_install(id, before, snapshot, *discard_log)?;
            }
        }
        let keep = self.knobs.engine.election_timeout_max * 2;
        let Some(life) = self.life(id) else {
            return Ok(());
        };
        let written = life.log.last();
        let leads_in = (after.role == RoleName::Leader).then_some(after.term);
        life.ends.note(life.ticked, leads_in, written, keep);
        if written == after.last {
            return Ok(());
        }
        broken(
            Property::StatusTruth,
            format_args!(
                "{id} shows last {}; its writes end at {written}",
                after.last
            ),
        )
    }

    fn observe_append(
        &mut self,
        id: LifeId,
        before: &Glimpse,
        after: &Glimpse,
        entries: &Entries,
    ) -> Check {
        let Some(first) = entries.first().map(|entry| entry.index) else {
            return broken(
                Property::StatusTruth,
                format_args!("{id} writes no entries at all"),
            );
        };
        self.observe_room(id, entries.size_bytes())?;
        let Some(life) = self.nodes[id.node].life.as_deref_mut() else {
            return Ok(());
        };
        if after.role == RoleName::Leader {
            leader_append_only::writes(id.node, life.log.last(), first)?;
        }
        committed_truncation::writes(id.node, before.commit, first)?;
        if first <= life.log.last() {
            self.counts.truncations += 1;
            let elections = &self.checks.elections;
            self.goals.truncates(id.node, &life.log, first, elections);
            self.goals.replaces(id, first);
            life.log.truncate_from(first);
        }
        for entry in entries.iter() {
            self.observe_change(id, after, entry)?;
            let Some(life) = self.nodes[id.node].life.as_deref_mut() else {
                return Ok(());
            };
            let last = life.log.last_id();
            if entry.index != last.index.next() {
                return broken(
                    Property::StatusTruth,
                    format_args!("{id} writes {} behind {last}", entry.id()),
                );
            }
            log_terms::appended(id.node, after.term, last.term, entry.id())?;
            let mark = life.log.push(entry);
            self.checks.matching.appended(id.node, entry.index, mark)?;
        }
        Ok(())
    }

    /// A campaign or an election.
    fn observe_role(
        &mut self,
        id: LifeId,
        cause: Cause,
        before: &Glimpse,
        after: &Glimpse,
    ) -> Check {
        let is_same = before.role == after.role && before.term == after.term;
        if is_same {
            return Ok(());
        }
        if before.role == RoleName::Leader {
            self.counts.step_downs += 1;
        }
        let campaigns = after.role == RoleName::Candidate
            || (after.role == RoleName::Leader && before.term != after.term);
        if campaigns {
            self.counts.campaigns += 1;
            let is_told = matches!(cause, Cause::TimeoutNow { .. });
            let life = self.nodes[id.node].life.as_deref();
            if let Some(life) = life.filter(|life| life.pre_vote && !is_told) {
                let voters = &life.membership.1;
                self.checks.pre_votes.campaigns(id, after.term, voters)?;
            }
        }
        if after.role != RoleName::Leader {
            return Ok(());
        }
        self.counts.elections += 1;
        self.schedule_fall(id);
        self.checks.votes.voted(id.node, after.term, id.node)?;
        self.checks.elections.leads(id, after.term)?;
        let Some(life) = self.nodes[id.node].life.as_deref_mut() else {
            return Ok(());
        };
        let (votes, membership) = (&self.checks.votes, &life.membership.1);
        election_quorum::elected(id.node, after.term, membership, votes)?;
        let found = life.log.mark(before.last).map(|mark| (before.last, mark));
        let (voters, ledger) = (membership.voters(), &self.checks.ledger);
        let holds = |node, index| self.stables[node].shape().mark(index);
        self.goals.elected(after.term, found, voters, ledger, holds);
        life.elected_at = before.last;
        life.answered.clear();
        life.hearsay.clear();
        life.asked_in_vain.clear();
        life.counts_from = life.ticked;
        leader_completeness::elected(id.node, after.term, &life.log, &self.checks.ledger)
    }

    /// Only what is on disk can be loaded from there.
    pub(super) fn observe_load(&self, id: LifeId, from: LogIndex, to: EntryId) -> Check {
        let disk = &self.stables[id.node];
        if from <= to.index && from > disk.before().index && disk.shape().contains(to) {
            return Ok(());
        }
        broken(
            Property::StatusTruth,
            format_args!("{id} wants {from} up to {to} loaded, which is not on its disk"),
        )
    }

    /// A leader goes on leading: it must have heard a majority lately.
    fn observe_quorum(&self, id: LifeId) -> Check {
        let Some(life) = self.nodes[id.node].life.as_deref() else {
            return Ok(());
        };
        let config = &self.knobs.engine;
        // It notices at its next wake-up, which a heartbeat is at the latest.
        let limit = config.election_timeout_max + config.heartbeat_interval;
        let is_lately = |at: Time| life.ticked.since(at) <= limit;
        if is_lately(life.counts_from) {
            return Ok(());
        }
        let voters = life.membership.1.voters();
        let is_heard = |voter: &&NodeId| {
            let answered = life.answered.get(voter);
            **voter == id.node || answered.is_some_and(|at| is_lately(*at))
        };
        let heard = voters.iter().filter(is_heard).count();
        check_quorum::leads(id.node, heard as u64, voters.len() as u64, limit)
    }

    /// The commit index moved, or stayed.
    fn observe_commit(
        &mut self,
        id: LifeId,
        before: &Glimpse,
        after: &Glimpse,
        in_force: &Membership,
    ) -> Check {
        let (node, commit) = (id.node, after.commit);
        commit_monotonic::shows(node, before.commit, commit, after.applied, after.last)?;
        if commit == before.commit {
            return Ok(());
        }
        // A leader whose removal is committed leads no more when the step is over.
        let led = before.role == RoleName::Leader && before.term == after.term;
        let leads = led || after.role == RoleName::Leader;
        let Some(life) = self.nodes[node].life.as_deref() else {
            return Ok(());
        };
        if commit > self.checks.ledger.last()
            && leads
            && let Some(mark) = life.log.mark(commit)
        {
            let holds = |voter: &NodeId| self.stables[*voter].holds(commit, mark);
            // A change may take force in the same step, behind the commit or before it.
            let by = |membership: &Membership| {
                commit_quorum::commits(node, commit, mark, membership.voters().iter().map(holds))
            };
            commit_current_term::commits(node, after.term, EntryId::new(commit, mark.term))?;
            by(&life.membership.1).or_else(|_| by(in_force))?;
        }
        let known = self.checks.ledger.last();
        let mut index = before.commit;
        while index < commit {
            index = index.next();
            let Some(mark) = life.log.mark(index) else {
                return Ok(());
            };
            if index > self.checks.ledger.last() {
                let in_force = life.log.membership_at(index);
                let is_change = in_force.is_some_and(|(since, _)| since == index);
                self.counts.changes_committed += u64::from(is_change);
            }
            self.checks
                .ledger
                .commits(id, leads, after.term, index, mark)?;
        }
        let news = known.distance_to(self.checks.ledger.last());
        if news > 0 {
            self.counts.committed += news;
            self.goals.committed(&self.checks.ledger);
        }
        Ok(())
    }

    /// What a leader believes of a peer.
    fn observe_belief(&self, leader: NodeId, term: Term, belief: Belief) -> Check {
        let empty = Shape::default();
        let log = self.nodes[leader]
            .life
            .as_deref()
            .map_or(&empty, |life| &life.log);
        let disk = &self.stables[belief.peer];
        // What was acknowledged before it was damaged was true then.
        let lost = disk
            .lost()
            .filter(|lost| lost.mark(belief.matched) == log.mark(belief.matched));
        let acknowledged = lost.unwrap_or(disk.shape());
        match_truth::believes(
            (leader, term),
            (log.last(), log.mark(belief.matched)),
            belief,
            disk.hard().term,
            acknowledged,
        )
    }

    /// A message leaves. What it promises is compared with the disk in `persist_before_send.rs`.
    pub(super) fn observe_leaving(&mut self, message: &Message) -> Check {
        let voter = message.from;
        let sender = self.nodes[voter].life.as_deref();
        if sender.is_none_or(|life| life.incarnation != message.sender) {
            return broken(
                Property::StatusTruth,
                format_args!("{voter} sends {message:?} in the name of another life"),
            );
        }
        self.note_leaving(message);
        match &message.body {
            Body::Vote { .. } => self.checks.votes.voted(voter, message.term, voter),
            Body::VoteReply {
                campaign,
                granted: true,
            } => self.checks.votes.voted(voter, *campaign, message.to),
            Body::Append { entries, .. } => {
                bounded_memory::sends(voter, entries, &self.knobs.engine)
            }
            Body::VoteReply { granted: false, .. }
            | Body::PreVote { .. }
            | Body::PreVoteReply { .. }
            | Body::AppendReply { .. }
            | Body::SnapshotOffer { .. }
            | Body::SnapshotReply { .. }
            | Body::TimeoutNow { .. }
            | Body::Removed { .. }
            | Body::ReadIndex { .. }
            | Body::ReadIndexReply { .. } => Ok(()),
        }
    }
}
