//! Whether what a driver decided in a turn answers what it heard: votes, pre-votes, campaigns,
//! pauses, the silence of a majority, and answers to another life. A turn takes many inputs, so
//! a fact counts only where no order of them explains it otherwise. What a life heard is in
//! `hearing.rs`.
//!
//! # What cannot be seen
//! The time of a vote is that of its request: its answer waits for the disk. What changes and
//! changes back within a turn is not seen, nor which of a turn's inputs moved it. No node is
//! ever suspect here: a log that lost entries does not open, and that is what is checked.

use quorate::{Output, StorageJob};
use quorate_core::{Message, NodeId, RoleName, Status, Term, Time};
use quorate_log::Write;

use super::System;
use super::hearing::{Asked, Note, Said};
use super::node::Request;
use crate::check::{
    Check, LifeId, Property, bounded_memory, broken, check_quorum, no_churn, pause, pre_vote,
    stickiness, stuck_disk,
};
use crate::history::OpId;
use crate::world::node::Glimpse;

/// What comes out of a turn.
type Outputs = [Output<OpId, OpId>];

impl System {
    /// A turn of a node that takes part is over.
    pub(super) fn observe_decisions(
        &mut self,
        id: LifeId,
        before: Glimpse,
        status: &Status,
        outputs: &Outputs,
    ) -> Check {
        if status.suspect {
            return broken(
                Property::SuspectRule,
                format_args!("{id} is suspect, though its log opened with all that it held"),
            );
        }
        self.observe_requests(id, before)?;
        self.observe_campaigns(id, before, outputs)?;
        self.observe_pause(id, before)?;
        self.observe_dead_letters(id, before)?;
        self.observe_waiting(id, outputs)?;
        let Some(life) = self.life(id) else {
            return Ok(());
        };
        life.hearing.has_engine = true;
        if life.glimpse.role == RoleName::Leader {
            self.observe_quorum(id, before, status)?;
            self.observe_disk(id)?;
        }
        Ok(())
    }

    /// Takes note of what was heard, in order, and of who may be granted what it asks for.
    pub(super) fn observe_requests(&mut self, id: LifeId, before: Glimpse) -> Check {
        let silence = self.knobs.engine.election_timeout_min;
        let is_steady = self.is_asked_too_much(id, before);
        let Some(life) = self.nodes[id.node].life.as_deref_mut() else {
            return Ok(());
        };
        let (after, hearing) = (life.glimpse, &mut life.hearing);
        let (old, new) = (&before.counters, &after.counters);
        let campaigned = new.campaigns != old.campaigns;
        let gave_up =
            new.quorum_losses != old.quorum_losses || new.storage_stalls != old.storage_stalls;
        let led = before.role == RoleName::Leader && !gave_up && !campaigned;
        let led = led && life.membership.contains(id.node);
        let notes = std::mem::take(&mut hearing.notes);
        // The newest term that a message may have brought so far.
        let mut newest = before.term;
        let mut mover = Mover::Unknown;
        for note in notes.iter().filter(|note| !note.is_dead_letter) {
            let is_unmoved = newest == before.term && !campaigned;
            let is_led = hearing.now.since(hearing.leader_at) < silence;
            let heard = match led && is_unmoved {
                true => Some(hearing.now),
                false => is_led.then_some(hearing.leader_at),
            };
            let mut too_early = heard.map(|heard| (heard, hearing.now));
            match note.said {
                Said::Append if note.term == after.term || (note.term == newest && is_unmoved) => {
                    hearing.leader_at = hearing.now;
                }
                Said::Answer { asked } if asked == after.term => {
                    hearing.answered.insert(note.from, hearing.now);
                }
                Said::Vote { transfer } => {
                    self.counts.early_requests += u64::from(too_early.is_some());
                    let is_known = self.checks.votes.of(id.node, note.term) == Some(note.from);
                    let may_refuse = !transfer && !is_known;
                    too_early = too_early.filter(|_| may_refuse);
                    let is_led = is_steady && is_unmoved && may_refuse;
                    let request = Asked::new(note.term, too_early, is_led);
                    Asked::again(&mut hearing.votes, note.from, request);
                }
                Said::PreVote { campaign } => {
                    self.counts.early_requests += u64::from(too_early.is_some());
                    self.counts.uncalled_requests += u64::from(is_steady && is_unmoved);
                    let request = Asked::new(campaign, too_early, is_steady && is_unmoved);
                    Asked::again(&mut hearing.promises, note.from, request);
                }
                Said::Promise { campaign } => {
                    self.checks.pre_votes.promised(id, campaign, note.from);
                }
                Said::TimeoutNow => hearing.told.push((note.term, note.from)),
                Said::Append | Said::Answer { .. } | Said::Removed { .. } | Said::Other => {}
            }
            if note.term == after.term && after.term > before.term && !campaigned {
                mover = mover.and(note, too_early);
            }
            newest = newest.max(note.term);
        }
        hearing.notes = notes;
        match mover {
            Mover::TooEarly(candidate, (heard, now)) => {
                stickiness::yields(id, candidate, heard, now, silence)
            }
            Mover::Unknown | Mover::Another => Ok(()),
        }
    }

    /// A vote, or the promise of one, leaves.
    pub(super) fn observe_grant(&mut self, id: LifeId, campaign: Term, message: &Message) -> Check {
        let Some(life) = self.nodes[id.node].life.as_deref() else {
            return Ok(());
        };
        let is_vote = matches!(message.body, quorate_core::Body::VoteReply { .. });
        let known = match is_vote {
            true => &life.hearing.votes,
            false => &life.hearing.promises,
        };
        let asked = known.get(&message.to);
        let Some(asked) = asked.filter(|asked| asked.campaign == campaign) else {
            return Ok(());
        };
        self.counts.grants += 1;
        if let Some((heard, now)) = asked.too_early {
            let silence = self.knobs.engine.election_timeout_min;
            stickiness::yields(id, message.to, heard, now, silence)?;
        }
        no_churn::yields(id, message.to, campaign, asked.is_led)
    }

    /// Campaigns of this turn follow pre-votes; and answering one saves nothing.
    fn observe_campaigns(&mut self, id: LifeId, before: Glimpse, outputs: &Outputs) -> Check {
        let Some(life) = self.nodes[id.node].life.as_deref() else {
            return Ok(());
        };
        let (after, hearing) = (life.glimpse, &life.hearing);
        for output in outputs {
            let Output::Leadership(told) = output else {
                continue;
            };
            let stands = matches!(told.role, RoleName::Candidate | RoleName::Leader);
            if !stands || told.term <= before.term || !hearing.pre_vote {
                continue;
            }
            if hearing.was_told(told.term) {
                continue;
            }
            self.counts.pre_vote_campaigns += 1;
            let by = |membership| self.checks.pre_votes.campaigns(id, told.term, membership);
            let former = life.former.as_ref().unwrap_or(&life.membership);
            by(&life.membership).or_else(|_| by(former))?;
        }
        let is_pre_vote = |note: &Note| matches!(note.said, Said::PreVote { .. });
        let asks_only = hearing.has_only_messages && hearing.notes.iter().all(is_pre_vote);
        let is_same = before.counters.campaigns == after.counters.campaigns;
        if asks_only && is_same && hearing.has_engine {
            pre_vote::answered(id.node, outputs.iter().any(saves))?;
        }
        Ok(())
    }

    /// A turn that came late makes no follower campaign.
    fn observe_pause(&mut self, id: LifeId, before: Glimpse) -> Check {
        let config = &self.knobs.engine;
        let Some(life) = self.nodes[id.node].life.as_deref() else {
            return Ok(());
        };
        let (after, hearing) = (life.glimpse, &life.hearing);
        let slept = hearing.now.since(hearing.before);
        let margin = config.election_timeout_min / 4;
        if slept > config.heartbeat_interval + margin && hearing.is_forgiven {
            let (old, new) = (&before.counters, &after.counters);
            let gives_up =
                new.quorum_losses > old.quorum_losses || new.storage_stalls > old.storage_stalls;
            pause::led_late(id.node, slept, gives_up)?;
        }
        // Whatever the election timeout was, it ended before that.
        let is_late = slept > config.election_timeout_max + margin;
        let is_told = |note: &Note| note.said == Said::TimeoutNow;
        if !is_late || !hearing.is_forgiven || hearing.notes.iter().any(is_told) {
            return Ok(());
        }
        self.counts.late_ticks += 1;
        let role = match after.counters.campaigns > before.counters.campaigns {
            true => RoleName::Candidate,
            false => after.role,
        };
        pause::ticked_late(id.node, slept, before.role, role)
    }

    /// Answers to another life are dropped, and counted.
    fn observe_dead_letters(&mut self, id: LifeId, before: Glimpse) -> Check {
        let Some(life) = self.nodes[id.node].life.as_deref() else {
            return Ok(());
        };
        let dead = life.hearing.notes.iter().filter(|note| note.is_dead_letter);
        let (dead, after) = (dead.count() as u64, life.glimpse.counters.dropped);
        self.counts.dead_letters += dead;
        if !life.hearing.has_engine || after - before.counters.dropped >= dead {
            return Ok(());
        }
        broken(
            Property::StatusTruth,
            format_args!("{id} heard {dead} answers to another life and did not drop them"),
        )
    }

    /// The users' requests that wait in a driver are bounded.
    fn observe_waiting(&mut self, id: LifeId, outputs: &Outputs) -> Check {
        let limit = self.knobs.client.waiting_max;
        let nodes = self.nodes.count();
        let Some(life) = self.nodes[id.node].life.as_deref_mut() else {
            return Ok(());
        };
        let loads = |output: &&Output<OpId, OpId>| matches!(output, Output::Load { .. });
        if let Some(newest) = outputs.iter().rfind(loads) {
            let open = life.storage.requests.iter();
            let open = open.filter(|it| matches!(it, Request::Load { .. }));
            let open = open.count() + outputs.iter().filter(loads).count();
            if let Output::Load { from, .. } = newest {
                bounded_memory::loads(id.node, open, nodes, *from)?;
            }
        }
        let hearing = &mut life.hearing;
        let (proposals, reads) = hearing.waiting;
        let taken = hearing.taken;
        if taken.0 + taken.1 > 0 {
            self.counts.full_waits += u64::from(proposals + 1 >= limit || reads + 1 >= limit);
            bounded_memory::takes(id.node, "proposals", proposals, limit)?;
            bounded_memory::takes(id.node, "reads", reads, limit)?;
        }
        let (mut decided, mut read) = (0, 0);
        for output in outputs {
            match output {
                Output::Apply { waiters, .. } => decided += waiters.len(),
                Output::ProposeFailed { .. } => decided += 1,
                Output::Read(_) | Output::ReadFailed { .. } => read += 1,
                Output::Send { .. }
                | Output::Store(_)
                | Output::Load { .. }
                | Output::Changed { .. }
                | Output::Transferred { .. }
                | Output::Peers(_)
                | Output::Leadership(_)
                | Output::Stopped(_) => {}
            }
        }
        hearing.waiting = (
            (proposals + taken.0).saturating_sub(decided),
            (reads + taken.1).saturating_sub(read),
        );
        Ok(())
    }

    /// A leader goes on leading: its disk must have answered lately.
    fn observe_disk(&mut self, id: LifeId) -> Check {
        let config = &self.knobs.engine;
        let Some(life) = self.nodes[id.node].life.as_deref() else {
            return Ok(());
        };
        let hearing = &life.hearing;
        let is_job = |request: &Request| matches!(request, Request::Job(_));
        if !life.storage.requests.iter().any(is_job) {
            return Ok(());
        }
        let waits = hearing
            .now
            .since(hearing.job_given_at.max(hearing.counts_from));
        // What it does later than that it takes for a pause.
        let limit = config.storage_patience + config.heartbeat_interval;
        let limit = limit + config.election_timeout_min / 4;
        self.counts.slow_disk_looks += u64::from(waits > limit / 2);
        stuck_disk::leads(id, waits, limit)
    }

    /// A leader goes on leading: it must have heard a majority lately.
    fn observe_quorum(&mut self, id: LifeId, before: Glimpse, status: &Status) -> Check {
        let config = &self.knobs.engine;
        let Some(life) = self.nodes[id.node].life.as_deref_mut() else {
            return Ok(());
        };
        for peer in &status.peers {
            bounded_memory::awaits(id.node, peer.inflight, config)?;
        }
        let hearing = &mut life.hearing;
        let is_elected = before.role != RoleName::Leader || before.term != status.term;
        if is_elected {
            hearing.elected_at = before.last;
        }
        if is_elected || life.former.is_some() {
            hearing.counts_from = hearing.now;
        }
        // It notices at its next wake-up, which a heartbeat is at the latest.
        let limit = config.election_timeout_max + config.heartbeat_interval;
        let now = hearing.now;
        let is_lately = |at: Time| now.since(at) <= limit;
        if is_lately(hearing.counts_from) {
            return Ok(());
        }
        let voters = status.membership.voters();
        let is_heard = |voter: &&NodeId| {
            let answered = hearing.answered.get(voter);
            **voter == id.node || answered.is_some_and(|at| is_lately(*at))
        };
        let heard = voters.iter().filter(is_heard).count();
        self.counts.quorum_looks += u64::from(voters.len() > 1);
        check_quorum::leads(id.node, heard as u64, voters.len() as u64, limit)
    }
}

/// What brought the term that a node is in after a turn.
#[derive(Clone, Copy)]
enum Mover {
    /// No message that could have.
    Unknown,
    /// Only candidates that it owed its silence.
    TooEarly(NodeId, (Time, Time)),
    /// Perhaps something else.
    Another,
}

impl Mover {
    /// This message may have brought it, too.
    const fn and(self, note: &Note, too_early: Option<(Time, Time)>) -> Self {
        match (self, note.said, too_early) {
            (Self::Unknown | Self::TooEarly(..), Said::Vote { .. }, Some(when)) => {
                Self::TooEarly(note.from, when)
            }
            _ => Self::Another,
        }
    }
}

/// Whether an output has a hard state saved.
fn saves(output: &Output<OpId, OpId>) -> bool {
    let is_state = |write: &Write| matches!(write, Write::HardState(_));
    matches!(output, Output::Store(StorageJob::Write(writes)) if writes.iter().any(is_state))
}
