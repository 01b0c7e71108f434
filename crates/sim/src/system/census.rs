//! What checkers are told after a turn of memberships, removals and transfers of leadership, and
//! of the log where all of it was given to the storage thread. Logs, terms and commits are in
//! `observe.rs`.

use quorate::{Output, StorageJob, TransferError};
use quorate_core::{Body, LogIndex, Membership, Message, NodeId, RoleName, Status};

use super::System;
use super::hearing::{Note, Said};
use super::node::Request;
use crate::check::{
    Check, LifeId, Property, bounded_memory, broken, config_change, config_in_force, promoted,
    removed_silent, transfer, truthful_removal,
};
use crate::history::OpId;
use crate::world::node::Glimpse;

/// What comes out of a turn.
type Outputs = [Output<OpId, OpId>];

impl System {
    /// The memberships that a turn has made, and who takes part by them.
    pub(super) fn observe_census(
        &mut self,
        id: LifeId,
        before: Glimpse,
        status: &Status,
        outputs: &Outputs,
    ) -> Check {
        self.observe_change(id, before, status)?;
        self.observe_standing(id, before)?;
        self.observe_removal(id, before)?;
        self.observe_transfer(id, before, outputs)?;
        let keep = self.knobs.engine.election_timeout_max * 2;
        let Some(life) = self.life(id) else {
            return Ok(());
        };
        let leads_in = (status.role == RoleName::Leader).then_some(status.term);
        let now = life.hearing.now;
        life.hearing.ends.note(now, leads_in, status.last, keep);
        let is_moved =
            before.commit != status.commit || status.membership_index != life.hearing.since;
        life.hearing.since = status.membership_index;
        let is_job = |request: &Request| matches!(request, Request::Job(_));
        let stores = |output: &Output<OpId, OpId>| matches!(output, Output::Store(_));
        let is_written = !life.storage.requests.iter().any(is_job) && !outputs.iter().any(stores);
        if is_moved && is_written {
            self.observe_whole_log(id)?;
        }
        Ok(())
    }

    /// A leader has put a membership in the place of another.
    fn observe_change(&mut self, id: LifeId, before: Glimpse, status: &Status) -> Check {
        let Some(life) = self.nodes[id.node].life.as_deref() else {
            return Ok(());
        };
        let hearing = &life.hearing;
        let Some(former) = life.former.as_ref() else {
            return Ok(());
        };
        self.counts.changes_rolled_back += u64::from(status.membership_index < hearing.since);
        let leads = before.role == RoleName::Leader && status.role == RoleName::Leader;
        if !leads || before.term != status.term {
            return Ok(());
        }
        self.counts.changes_made += 1;
        config_change::differs_by_one(id, former, &status.membership)?;
        config_change::may_change(id, hearing.since, status.commit, hearing.elected_at)?;
        let ago = self.knobs.engine.election_timeout_max * 2;
        let needed = hearing.ends.before(hearing.now, ago);
        let needed = needed.max(hearing.elected_at);
        // What the leader has not written itself yet cannot be compared.
        let Some(mark) = life.written.mark(needed) else {
            return Ok(());
        };
        let is_new = |voter: &&NodeId| !former.is_voter(**voter);
        for &node in status.membership.voters().iter().filter(is_new) {
            let holds = self.nodes[node].stable.shape.mark(needed) == Some(mark);
            let is_suspect = status.peers.iter().any(|it| it.id == node && it.suspect);
            self.counts.promotions += 1;
            promoted::becomes_voter(id, node, needed, holds, is_suspect)?;
        }
        Ok(())
    }

    /// Whoever stands for election is prepared to lead, as far as it knows.
    fn observe_standing(&self, id: LifeId, before: Glimpse) -> Check {
        let Some(life) = self.nodes[id.node].life.as_deref() else {
            return Ok(());
        };
        let after = life.glimpse;
        let is_committed = life.hearing.since <= after.commit && life.former.is_none();
        if after.role == RoleName::Leader {
            removed_silent::leads_on(id, &life.membership, is_committed)?;
        } else if before.role == RoleName::Leader && before.term == after.term {
            removed_silent::leaves(id, &life.membership, is_committed, after.removed)?;
        }
        let is_same = before.role == after.role && before.term == after.term;
        if is_same || after.role == RoleName::Follower {
            return Ok(());
        }
        let was_committed = life.hearing.since <= before.commit && life.former.is_none();
        let is_told = before.removed && after.removed;
        removed_silent::campaigns(id, &life.membership, was_committed, is_told, before.suspect)
    }

    /// A node that believes since this turn that it was removed was told the truth.
    fn observe_removal(&mut self, id: LifeId, before: Glimpse) -> Check {
        let Some(life) = self.nodes[id.node].life.as_deref() else {
            return Ok(());
        };
        if before.removed || !life.glimpse.removed {
            return Ok(());
        }
        self.counts.removals_told += 1;
        let index = |note: &Note| match note.said {
            Said::Removed { index } => Some(index),
            Said::Append
            | Said::Answer { .. }
            | Said::Vote { .. }
            | Said::PreVote { .. }
            | Said::Promise { .. }
            | Said::TimeoutNow
            | Said::Other => None,
        };
        // A leader that removes itself sees that committed, and is told by nobody.
        let is_committed = life.hearing.since <= life.glimpse.commit;
        let by_itself = before.role == RoleName::Leader && is_committed;
        let by_itself = by_itself.then_some(life.hearing.since);
        let mut outcome = broken(
            Property::TruthfulRemoval,
            format_args!("{id} believes that it was removed, and nobody said so"),
        );
        let told = life.hearing.notes.iter().filter_map(index);
        for index in told.chain(by_itself) {
            let own = life.written.membership_at(life.written.last());
            // A later one that came to nothing is no better knowledge.
            let own = own.filter(|(since, _)| {
                let here = life.written.mark(*since);
                here.is_some() && here == self.checks.ledger.get(*since).map(|it| it.mark)
            });
            outcome = match self.committed_at(index) {
                Some(committed) => truthful_removal::told(id, index, committed, own),
                None => Ok(()),
            };
            if outcome.is_ok() {
                break;
            }
        }
        outcome
    }

    /// The membership that is committed at `index`, where some disk still tells.
    fn committed_at(&self, index: LogIndex) -> Option<&Membership> {
        let mark = self.checks.ledger.get(index)?.mark;
        let holds = |node: &NodeId| self.nodes[*node].stable.shape.mark(index) == Some(mark);
        let witness = self.nodes.ids().find(holds)?;
        let committed = self.nodes[witness].stable.shape.membership_at(index);
        Some(committed.map_or(&self.founding, |(_, membership)| membership))
    }

    /// Somebody is told that it was removed.
    pub(super) fn observe_notice(&mut self, id: LifeId, message: &Message) -> Check {
        let Body::Removed { index } = &message.body else {
            return Ok(());
        };
        self.counts.notices += 1;
        let Some(committed) = self.committed_at(*index) else {
            return Ok(());
        };
        let told = LifeId {
            node: message.to,
            number: id.number,
        };
        truthful_removal::told(told, *index, committed, None)
    }

    /// Leadership is being handed over, or not.
    fn observe_transfer(&mut self, id: LifeId, before: Glimpse, outputs: &Outputs) -> Check {
        let limit = self.knobs.engine.election_timeout_max;
        let Some(life) = self.nodes[id.node].life.as_deref_mut() else {
            return Ok(());
        };
        let (after, hearing) = (life.glimpse, &mut life.hearing);
        // One that is refused has not begun, and ends no other.
        let is_ended = |output: &Output<OpId, OpId>| match output {
            Output::Transferred { outcome, .. } => {
                !matches!(outcome, Err(TransferError::Refused(_)))
            }
            Output::Send { .. }
            | Output::Store(_)
            | Output::Load { .. }
            | Output::Apply { .. }
            | Output::Read(_)
            | Output::ProposeFailed { .. }
            | Output::ReadFailed { .. }
            | Output::Changed { .. }
            | Output::Peers(_)
            | Output::Leadership(_)
            | Output::Stopped(_) => false,
        };
        let is_same = after.transfer_target.is_some()
            && before.transfer_target == after.transfer_target
            && before.term == after.term
            && !outputs.iter().any(is_ended);
        if is_same {
            let since = hearing.now.since(hearing.transfer_since);
            let slept = hearing.now.since(hearing.before);
            let config = &self.knobs.engine;
            // One of these turns was late and is forgiven, others were not due before: which, only
            // it knows. So each may be the one, but they do not add up.
            if slept > config.election_timeout_min / 4 {
                let interval = config.heartbeat_interval;
                let excused = transfer::limit_after_pause((since, limit), slept, interval);
                hearing.transfer_limit = hearing.transfer_limit.max(excused);
            }
            self.counts.transfer_looks += 1;
            let appends = after.last > before.last;
            transfer::goes_on(id, appends, since, hearing.transfer_limit)?;
        } else {
            hearing.transfer_since = hearing.now;
            hearing.transfer_limit = limit;
        }
        for output in outputs {
            if let Output::Send { message, .. } = output
                && let quorate::PeerMessage::Raft(message) = message
            {
                self.observe_transfer_message(id, before, message)?;
            }
        }
        Ok(())
    }

    /// A target is told to campaign, or campaigns as if it had been.
    fn observe_transfer_message(
        &mut self,
        id: LifeId,
        before: Glimpse,
        message: &Message,
    ) -> Check {
        let Some(life) = self.nodes[id.node].life.as_deref() else {
            return Ok(());
        };
        let leads = before.role == RoleName::Leader && before.term == message.term;
        let target = message.to;
        if matches!(message.body, Body::Vote { transfer: true, .. }) {
            return transfer::skips_silence(id, life.hearing.was_told(message.term));
        }
        if !matches!(message.body, Body::TimeoutNow { .. }) || !leads {
            return Ok(());
        }
        self.counts.transfers_told += 1;
        // Nothing was appended since the target held everything.
        let (disk, last) = (&self.nodes[target].stable, before.last);
        let mark = life.written.mark(last);
        let holds = mark.is_none() || disk.shape.mark(last) == mark;
        let holds = holds || disk.hard.term > message.term;
        let former = life.former.as_ref();
        let is_voter = life.membership.is_voter(target)
            || former.is_some_and(|membership| membership.is_voter(target));
        transfer::tells(id, target, is_voter, holds)
    }

    /// All of the engine's log was given to the storage thread: it is what the engine shows.
    pub(super) fn observe_whole_log(&mut self, id: LifeId) -> Check {
        let node = &self.nodes[id.node];
        let Some(life) = node
            .life
            .as_deref()
            .filter(|_| !self.atlas.is_wiped(id.node))
        else {
            return Ok(());
        };
        let (shown, log) = (life.glimpse, &life.written);
        if log.last() != shown.last {
            return broken(
                Property::StatusTruth,
                format_args!(
                    "{id} shows last {}; its writes end at {}",
                    shown.last,
                    log.last()
                ),
            );
        }
        self.counts.whole_logs += 1;
        let force = (life.hearing.since, &life.membership);
        let in_log = log.membership_at(log.last());
        let is_founder = self.founders.contains_key(&id.node);
        config_in_force::shows(id, force, in_log, &self.founding, is_founder)?;
        let committed = log.mark(shown.commit);
        let known = self.checks.ledger.get(shown.commit).map(|it| it.mark);
        if committed != known && shown.commit != LogIndex::NONE {
            return broken(
                Property::CommittedImmutable,
                format_args!(
                    "{id} holds {committed:?} at its commit {}; committed was {known:?}",
                    shown.commit
                ),
            );
        }
        if shown.role == RoleName::Leader {
            let since = shown.commit.max(life.hearing.elected_at);
            let bytes_at = |index| log.mark(index).map_or(0, |mark| mark.bytes);
            let uncommitted = bytes_at(shown.last).saturating_sub(bytes_at(since));
            return bounded_memory::holds_uncommitted(id.node, uncommitted, &self.knobs.engine);
        }
        Ok(())
    }

    /// A job is given out: the one before it has come back.
    pub(super) fn observe_job(&self, id: LifeId, job: &StorageJob) -> Check {
        let Some(life) = self.nodes[id.node].life.as_deref() else {
            return Ok(());
        };
        let is_job = |request: &Request| matches!(request, Request::Job(_));
        if !life.storage.requests.iter().any(is_job) {
            return Ok(());
        }
        broken(
            Property::BoundedMemory,
            format_args!("{id} gives out {job:?} while another job is under way"),
        )
    }
}
