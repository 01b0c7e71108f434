//! Whether a leader and its voters are left alone, by the world's word: they run, the links
//! between them work and carry nothing late, and all that for a while. What decides an election
//! then has no excuse: that is asked here, after a turn, and answered in `check/no_churn.rs`.
//!
//! # What is no excuse
//! Disks that are slow, machines that lag, what users ask for, and whatever befalls a node that
//! the majority does not need. A disk excuses only its own leader, and only after its patience.

use quorate::{Output, StorageJob};
use quorate_core::{NodeId, RoleName, Term};

use super::System;
use super::ends::nanos;
use super::hearing::{Note, Said};
use super::node::Life;
use super::streams::Way;
use crate::check::{Check, LifeId, no_churn};
use crate::goals::Goal;
use crate::history::OpId;
use crate::world::node::Glimpse;

/// A skew is a part of this.
const MILLION: u64 = 1_000_000;

/// Turns from one look at a leadership to the next, for the count alone.
const LOOK_EVERY: u64 = 64;

/// How long somebody must have been left alone for the question, in nanoseconds of the world.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Span {
    /// Followers have heard their leader since: the shortest election timeout.
    Heartbeats,
    /// Their answers count for the leader: twice the longest.
    Answers,
}

impl System {
    /// A turn is over: whoever stands for election or gives leadership up had to.
    pub(super) fn observe_churn(
        &mut self,
        id: LifeId,
        before: Glimpse,
        outputs: &[Output<OpId, OpId>],
    ) -> Check {
        let now = self.now;
        let Some(life) = self.life(id) else {
            return Ok(());
        };
        let after = life.glimpse;
        let is_new = before.role != after.role || before.term != after.term;
        let is_elected = is_new && after.role == RoleName::Leader;
        if is_elected {
            life.hearing.led_at = life.hearing.now;
        }
        if is_elected || life.former.is_some() {
            life.hearing.steady_since = now;
        }
        if before.role == RoleName::Leader && is_new {
            self.observe_giving_up(id, before)?;
        } else if before.role == RoleName::Follower && is_new {
            self.observe_candidate(id, before)?;
        } else if after.role == RoleName::Leader && self.counts.steps.is_multiple_of(LOOK_EVERY) {
            let is_steady = self.is_steady_quorum(id, after.term, Span::Heartbeats);
            self.counts.steady_looks += u64::from(is_steady);
        }
        let is_write =
            |output: &Output<OpId, OpId>| matches!(output, Output::Store(StorageJob::Write(_)));
        if outputs.iter().any(is_write)
            && let Some(life) = self.life(id)
        {
            life.hearing.gives_a_job();
        }
        Ok(())
    }

    /// A follower stands for election, unless it only moved to another term.
    fn observe_candidate(&self, id: LifeId, before: Glimpse) -> Check {
        let Some(life) = self.nodes[id.node].life.as_deref() else {
            return Ok(());
        };
        let (after, next) = (life.glimpse, before.term.next());
        let is_own = match after.role {
            RoleName::Follower => false,
            RoleName::PreCandidate => after.term == before.term,
            RoleName::Candidate | RoleName::Leader => after.term == next,
        };
        if !is_own || life.hearing.was_told(next) {
            return Ok(());
        }
        match self.steady_leader_of(id, before.term) {
            Some(leader) => no_churn::stands(id, after.role, (leader, before.term)),
            None => Ok(()),
        }
    }

    /// A leader leads no more. In a newer term it had to.
    fn observe_giving_up(&mut self, id: LifeId, before: Glimpse) -> Check {
        let Some(life) = self.nodes[id.node].life.as_deref() else {
            return Ok(());
        };
        let (old, new) = (&before.counters, &life.glimpse.counters);
        if new.quorum_losses > old.quorum_losses {
            self.counts.quorums_lost += 1;
            let answering = self.answering(life, before.term, Span::Answers);
            let voters = life.membership.voters().len();
            return no_churn::loses_quorum(id, answering, voters as u64);
        }
        if new.storage_stalls > old.storage_stalls {
            self.counts.disks_lost += 1;
            let waited = life.hearing.now.since(life.hearing.writes_wait_since);
            return no_churn::loses_disk(id, waited, self.knobs.engine.storage_patience);
        }
        if life.glimpse.term > before.term {
            return Ok(());
        }
        no_churn::lays_down(id, life.membership.is_voter(id.node))
    }

    /// Whether somebody asks a follower for a vote, or the promise of one, in this turn, while its
    /// leader could reach it all the time.
    pub(super) fn is_asked_too_much(&self, id: LifeId, before: Glimpse) -> bool {
        let Some(life) = self.nodes[id.node].life.as_deref() else {
            return false;
        };
        let asks = |note: &Note| matches!(note.said, Said::Vote { .. } | Said::PreVote { .. });
        before.role == RoleName::Follower
            && life.hearing.notes.iter().any(asks)
            && self.steady_leader_of(id, before.term).is_some()
    }

    /// Who leads `term`, if it could reach `id` all the time.
    pub(super) fn steady_leader_of(&self, id: LifeId, term: Term) -> Option<LifeId> {
        let leader = self.checks.elections.leader(term)?;
        let life = self.nodes[leader.node].life.as_deref()?;
        let leads = life.glimpse.role == RoleName::Leader && life.glimpse.term == term;
        let is_steady = leader != id && life.id == leader && leads;
        let span = Span::Heartbeats;
        let reaches = is_steady
            && self.is_left_alone(life, span)
            && self.is_reached(life, id.node, span).is_some();
        reaches.then_some(leader)
    }

    /// Whether a leader of `term` and a majority of its voters were left alone of late.
    pub(super) fn is_steady(&self, id: LifeId, term: Term) -> bool {
        self.is_steady_quorum(id, term, Span::Heartbeats)
    }

    /// Whether a leader and a majority of its voters are left alone.
    fn is_steady_quorum(&self, id: LifeId, term: Term, span: Span) -> bool {
        let Some(life) = self.nodes[id.node].life.as_deref() else {
            return false;
        };
        let voters = life.membership.voters().len() as u64;
        self.answering(life, term, span) > voters / 2
    }

    /// The job that ends now has taken its time at a leader: it leads on.
    pub(super) fn note_led_through(&mut self, id: LifeId, since: u64, term: Term) {
        let is_long = self.now - since > nanos(self.knobs.engine.election_timeout_min);
        let led = is_long && self.is_steady_quorum(id, term, Span::Heartbeats);
        let Some(life) = self.life(id) else { return };
        let leads = life.glimpse.role == RoleName::Leader && life.glimpse.term == term;
        self.goals.reach_if(led && leads, Goal::LeaderDiskEndured);
    }

    /// How many voters could hear a leader of `term` and answer it all the time, itself included.
    fn answering(&self, leader: &Life, term: Term, span: Span) -> u64 {
        if !self.is_left_alone(leader, span) {
            return 0;
        }
        let answers = |follower: &Life| {
            let answered = leader.hearing.answered.get(&follower.id.node);
            let is_saved = answered.is_some_and(|at| *at > leader.hearing.led_at);
            follower.glimpse.term == term && is_saved && self.carries(follower, leader, span)
        };
        let voters = leader.membership.voters().iter();
        let others = voters.filter(|voter| {
            let reached = self.is_reached(leader, **voter, span);
            reached.is_some_and(answers)
        });
        others.count() as u64 + u64::from(leader.membership.is_voter(leader.id.node))
    }

    /// The life of `node`, if `leader` could reach it all the time.
    fn is_reached(&self, leader: &Life, node: NodeId, span: Span) -> Option<&Life> {
        let follower = self.nodes[node].life.as_deref()?;
        let is_led = node != leader.id.node
            && leader.membership.contains(node)
            && self.is_left_alone(follower, span)
            && self.carries(leader, follower, span);
        is_led.then_some(follower)
    }

    /// Whether a process ran all the time, at one work.
    fn is_left_alone(&self, life: &Life, span: Span) -> bool {
        let since = life.hearing.steady_since.max(self.calm_since);
        let is_ending = life.is_leaving || life.has_stopped || life.storage.has_failed;
        !life.is_paused && !is_ending && self.is_long_ago(since, span)
    }

    /// Whether what `from` sent was with `to` soon, all the time.
    fn carries(&self, from: &Life, to: &Life, span: Span) -> bool {
        let stream = self.stream_to(from, to.id.node);
        let Some(stream) = stream.filter(|it| it.acceptor == Some(to.id)) else {
            return false;
        };
        let is_open = stream.speaks(Way::Out)
            && stream.speaks(Way::Back)
            && !stream.is_closed(Way::Out)
            && !stream.is_closed(Way::Back);
        let since = stream.dialled.since.max(stream.late_until(Way::Out));
        is_open
            && !stream.is_damaged(Way::Out)
            && !self.network.is_cut(from.id.node, to.id.node)
            && self.is_long_ago(since, span)
    }

    /// Whether `since` is so long ago that nothing of what was then matters any more; never in a
    /// world that is so slow that heartbeats may come too late without a fault.
    fn is_long_ago(&self, since: u64, span: Span) -> bool {
        let knobs = &self.knobs;
        let skew = knobs.process.skew_ppm;
        let engine = &knobs.engine;
        let shortest = nanos(engine.election_timeout_min);
        let lag = knobs.network.delay_max + knobs.process.jitter_max + 2 * knobs.stream.turn_max;
        // From one answer to the next, by the right time: the leader's clock may run slow, and a
        // follower's fast.
        let gap = nanos(engine.heartbeat_interval) * MILLION / (MILLION - skew) + 2 * lag;
        if gap * (MILLION + skew) / MILLION >= shortest {
            return false;
        }
        let needed = match span {
            Span::Heartbeats => shortest,
            Span::Answers => 2 * nanos(engine.election_timeout_max),
        };
        since.saturating_add(needed) <= self.now
    }
}
