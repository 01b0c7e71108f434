//! What of a full system is told to the watch over goals, where it takes more than a line: the
//! end of a turn, messages, jobs of the storage thread, and what a start finds.

use std::io::ErrorKind;

use quorate::{Output, PeerMessage, ProposeError, ReadError, StorageJob};
use quorate_core::{Body, HardState, Message, NodeId, Payload, RoleName, Status};
use quorate_log::{BirthStage, IoFailure, Operation, StorageError, Write};

use super::System;
use super::node::{Hang, Node};
use crate::check::LifeId;
use crate::goals::{Goal, Watch};
use crate::history::OpId;
use crate::shape::Shape;
use crate::world::node::Glimpse;

/// How the log names its files.
const SEGMENT: &str = "segment-";
const SPARE: &str = "spare";
const HARD_STATE: &str = "hard-state";
const DIRECTORY: &str = ".";

impl System {
    /// A turn is over.
    pub(super) fn note_turn(
        &mut self,
        id: LifeId,
        before: Glimpse,
        status: &Status,
        outputs: &[Output<OpId, OpId>],
    ) {
        let goals = &mut self.goals;
        goals.counted(&before.counters, &status.counters);
        let leads = status.role == RoleName::Leader;
        let led = before.role == RoleName::Leader && !leads;
        if led {
            goals.led(id.node, before.term, status);
        }
        // Not by itself, as a leader that removed itself.
        let is_told = status.removed && !before.removed && !led;
        goals.reach_if(is_told, Goal::RemovedTold);
        if leads {
            goals.awaits(&status.peers, &self.knobs.engine);
        }
        goals.sends(outputs.iter().filter_map(said));
        for output in outputs {
            match output {
                Output::ProposeFailed { error, .. } => {
                    let is_replaced = *error == ProposeError::Replaced;
                    goals.reach_if(is_replaced, Goal::CommandReplaced);
                    let is_much = *error == ProposeError::Overloaded;
                    goals.reach_if(is_much, Goal::UncommittedLimit);
                }
                Output::ReadFailed { error, .. } => {
                    let is_lost = matches!(error, ReadError::NotLeader { .. });
                    goals.reach_if(led && is_lost, Goal::ReadAborted);
                }
                Output::Send { .. }
                | Output::Store(_)
                | Output::Load { .. }
                | Output::Apply { .. }
                | Output::Read(_)
                | Output::Changed { .. }
                | Output::Transferred { .. }
                | Output::Peers(_)
                | Output::Leadership(_)
                | Output::Stopped(_) => {}
            }
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
                    Some((life.glimpse, life.written.last_id()))
                };
                let Some((_, own)) = end_of(message.from) else {
                    return;
                };
                let candidate = end_of(message.to);
                let candidate = candidate.filter(|(seen, _)| seen.is_candidate_of(*campaign));
                let last = candidate.map(|(_, last)| last);
                self.goals.refuses_vote(message.to, voted, own, last);
            }
            Body::TimeoutNow { .. } => {
                let life = self.nodes[message.from].life.as_deref();
                if life.is_some_and(|life| life.is_leaving) {
                    self.goals.leaves(message.term, message.to);
                }
            }
            Body::PreVote { .. }
            | Body::PreVoteReply { granted: true, .. }
            | Body::VoteReply { granted: true, .. }
            | Body::Append { .. }
            | Body::AppendReply { .. }
            | Body::SnapshotOffer { .. }
            | Body::SnapshotReply { .. }
            | Body::Removed { .. }
            | Body::ReadIndex { .. }
            | Body::ReadIndexReply { .. } => {}
        }
    }

    /// A job is on the disk.
    pub(super) fn note_durable(&mut self, node: NodeId, job: &StorageJob) {
        let StorageJob::Write(writes) = job else {
            return;
        };
        let is_append = |write: &Write| matches!(write, Write::Append(_));
        if !writes.iter().any(is_append) {
            return;
        }
        let host = &mut self.nodes[node];
        if host.has_met_full && !host.is_full {
            host.has_met_full = false;
            self.goals.reach(Goal::FullDiskRecovered);
        }
        let holds = |node, index| self.nodes[node].stable.shape.mark(index);
        self.goals.wrote(holds);
    }

    /// A job begins to hang, while somebody leads.
    pub(super) fn hang(&self) -> Option<Hang> {
        let lives = self.nodes.iter().filter_map(|node| node.life.as_deref());
        let mut leaders = lives.filter(|life| life.glimpse.role == RoleName::Leader);
        let leader = leaders.next()?;
        Some(Hang {
            since: self.now,
            leader: leader.id,
            term: leader.glimpse.term,
        })
    }

    /// A job ends: perhaps it has taken long.
    pub(super) fn note_end_of_hang(&mut self, id: LifeId) {
        let Some(life) = self.life(id) else { return };
        let follows = life.glimpse.role == RoleName::Follower;
        let Some(hang) = life.storage.hang.take() else {
            return;
        };
        if !follows {
            return self.note_led_through(id, hang.since, hang.term);
        }
        let election = self.knobs.engine.election_timeout_max.as_nanos();
        let is_long = u128::from(self.now - hang.since) > election;
        let leader = self.life(hang.leader).map(|life| life.glimpse);
        let leads = |seen: Glimpse| seen.role == RoleName::Leader && seen.term == hang.term;
        self.goals
            .reach_if(is_long && leader.is_some_and(leads), Goal::FollowerDiskHung);
    }

    /// A call to a disk failed on demand, and its log has told so.
    pub(super) fn note_failure(&mut self, failure: &IoFailure) {
        let is_log = failure.file.starts_with(SEGMENT);
        let is_hard = failure.file == HARD_STATE;
        let goals = &mut self.goals;
        match failure.operation {
            Operation::Sync => {
                goals.reach_if(is_hard, Goal::HardStateSyncFailed);
                goals.reach_if(is_log, Goal::LogSyncFailed);
                goals.reach_if(failure.file == DIRECTORY, Goal::DirectorySyncFailed);
            }
            Operation::Write => {
                let is_room = failure.source.kind() == ErrorKind::StorageFull;
                goals.reach_if(!is_room, Goal::WriteFailed);
            }
            Operation::Create => goals.reach(Goal::CreateFailed),
            Operation::Rename => goals.reach(Goal::RenameFailed),
            Operation::Remove => goals.reach(Goal::RemoveFailed),
            Operation::Lock | Operation::List | Operation::Open | Operation::Read => {}
        }
    }

    /// A crash is about to strike.
    pub(super) fn note_crash(&mut self, node: NodeId) {
        let host = &self.nodes[node];
        let Some(life) = host.life.as_deref().filter(|_| !self.atlas.is_wiped(node)) else {
            return;
        };
        let is_behind = life.machine.applied < life.glimpse.commit;
        self.goals.reach_if(is_behind, Goal::UnappliedAtCrash);
        let is_early = self.founders.contains_key(&node) && !host.stable.is_born;
        self.goals.reach_if(is_early, Goal::CrashBeforeBirth);
    }

    /// A crash has struck at an operation of the log.
    pub(super) fn note_cut(&mut self, error: &StorageError) {
        let (StorageError::Io(failure) | StorageError::Full(failure)) = error else {
            return;
        };
        let IoFailure {
            operation, file, ..
        } = failure;
        let is_spare = file == SPARE;
        let goal = match operation {
            Operation::Create if is_spare => Goal::CrashAtSegmentCreate,
            Operation::Write if is_spare => Goal::CrashAtSegmentWrite,
            Operation::Sync if is_spare => Goal::CrashAtSegmentSync,
            Operation::Rename if is_spare => Goal::CrashAtSegmentRename,
            Operation::Sync if file == DIRECTORY => Goal::CrashAtDirectorySync,
            Operation::Create
            | Operation::Write
            | Operation::Sync
            | Operation::Rename
            | Operation::Lock
            | Operation::List
            | Operation::Open
            | Operation::Read
            | Operation::Remove => return,
        };
        self.goals.reach(goal);
    }
}

impl Node {
    /// What a process sees in the segments, if a crash cut a job short.
    pub(super) fn segments_if_torn(&self) -> Option<Vec<(String, Vec<u8>)>> {
        self.stable.under_way.as_ref()?;
        let mut names = self.disk.names();
        names.retain(|name| name.starts_with(SEGMENT));
        let content = |name: String| {
            let bytes = self.disk.content(&name).unwrap_or_default();
            (name, bytes)
        };
        Some(names.into_iter().map(content).collect())
    }
}

/// Whether there was no room.
pub(super) fn is_full(error: &StorageError) -> bool {
    if let StorageError::Io(failure) = error {
        failure.source.kind() == ErrorKind::StorageFull
    } else {
        matches!(error, StorageError::Full(_))
    }
}

/// What an engine has to say to another.
const fn said(output: &Output<OpId, OpId>) -> Option<&Message> {
    if let Output::Send {
        message: PeerMessage::Raft(message),
        ..
    } = output
    {
        Some(message)
    } else {
        None
    }
}

/// After a crash in the middle of a job, this was found.
pub(super) fn recovered(
    goals: &mut Watch,
    job: &StorageJob,
    stage: &BirthStage,
    hard: &HardState,
    log: &Shape,
) {
    let writes = match job {
        StorageJob::Write(writes) => writes,
        StorageJob::Stage(wanted) => {
            goals.reach_if(stage != wanted, Goal::TornStage);
            goals.reach_if(stage == wanted, Goal::UntoldFound);
            return;
        }
    };
    let (mut is_any, mut is_all) = (false, true);
    for write in writes {
        match write {
            Write::HardState(state) => {
                let is_found = state == hard;
                is_any |= is_found;
                is_all &= is_found;
                goals.reach_if(!is_found, Goal::TornHardState);
            }
            Write::Append(entries) => {
                for entry in entries.iter() {
                    let is_found = log.contains(entry.id());
                    is_any |= is_found;
                    is_all &= is_found;
                    goals.reach_if(!is_found, Goal::TornEntries);
                    let is_change = matches!(entry.payload, Payload::Membership(_));
                    goals.reach_if(!is_found && is_change, Goal::TornMembership);
                }
            }
        }
    }
    goals.reach_if(is_any && !is_all, Goal::TornInPart);
    goals.reach_if(is_all, Goal::UntoldFound);
}
