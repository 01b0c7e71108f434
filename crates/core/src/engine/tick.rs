//! What the passing of time causes, and when the engine next wants to be told of it.

use core::ops::RangeInclusive;
use core::time::Duration;

use super::{Engine, Role};
use crate::quorum::reached_by_majority;
use crate::telemetry::tell;
use crate::timeout::{Timeout, TimeoutReason};
use crate::{Config, Priority, Time};

impl Engine {
    /// When the next tick has an effect, and which.
    #[must_use]
    pub fn next_timeout(&self) -> Timeout {
        if self.is_stopped {
            return Timeout::IDLE;
        }
        let timeout = match &self.role {
            Role::Leader(leadership) => {
                let heartbeat_at = leadership.heartbeat_at;
                let quorum_lost_at = self.quorum_lost_before(heartbeat_at);
                Timeout::new(heartbeat_at, TimeoutReason::Heartbeat)
                    .or_sooner(quorum_lost_at, TimeoutReason::CheckQuorum)
                    .or_sooner(self.storage_stalled_at(), TimeoutReason::StorageStall)
                    .or_sooner(leadership.transfer_deadline(), TimeoutReason::Transfer)
            }
            Role::Follower | Role::PreCandidate(_) | Role::Candidate(_) => {
                Timeout::new(self.election_at, TimeoutReason::Election)
            }
        };
        timeout
            .or_sooner(self.read_deadline(), TimeoutReason::ReadTimeout)
            .or_sooner(self.applies.retry_at(), TimeoutReason::LoadRetry)
            .or_sooner(self.snapshots.retry_at(), TimeoutReason::SnapshotRetry)
    }

    pub(super) fn on_tick(&mut self, now: Time) {
        let pause = self.pause_until(now);
        self.now = self.now.max(now);
        if let Some(pause) = pause {
            self.wake_after(pause);
        }
        self.applies.tick(self.now);
        self.snapshots.tick(self.now);
        self.expire_reads();
        match self.role {
            Role::Leader(_) => self.tick_leader(),
            Role::Follower | Role::PreCandidate(_) | Role::Candidate(_) => {
                if self.now >= self.election_at {
                    self.on_election_timeout();
                }
            }
        }
    }

    /// For how long the process did not run though it wanted to, if that counts as a pause.
    fn pause_until(&self, now: Time) -> Option<Duration> {
        let margin = self.config.election_timeout_min / 4;
        // Nothing is due before the last tick, so most ticks need not ask what is.
        if now.since(self.now) <= margin {
            return None;
        }
        let wanted_at = self.next_timeout().at.max(self.now);
        Some(now.since(wanted_at)).filter(|pause| *pause > margin)
    }

    /// The process did not run when it wanted to. Silence during that time says nothing of the
    /// others: their messages may be waiting in our queues. So a pause never starts an election
    /// by itself, nor does it end a leadership that the others may not have missed. But a host that
    /// is late again and again must not be without elections and check-quorum for ever: after one
    /// pause a leader is forgiven the next when a majority was heard in between, and any other when
    /// its election timeout was begun anew for another reason.
    fn wake_after(&mut self, pause: Duration) {
        let now = self.now;
        self.writes.forgive_pause(now);
        let heard_at = self.majority_heard_at();
        match &mut self.role {
            Role::Leader(leadership) => {
                leadership.lease.void();
                if let Some(joining) = &mut leadership.joining {
                    joining.heard_at = joining.heard_at.after(pause);
                    joining.headway.forgive(pause);
                }
                if let Some(transfer) = &mut leadership.transfer {
                    transfer.forgive(pause, now.after(self.config.heartbeat_interval));
                }
                if heard_at < Some(leadership.awake_since) {
                    return;
                }
                leadership.quorum_heard_at = now;
                leadership.awake_since = now;
            }
            Role::Follower | Role::PreCandidate(_) | Role::Candidate(_) => {
                if self.is_excused {
                    return;
                }
                self.restart_election_timer();
                self.is_excused = true;
            }
        }
        self.counters.pauses += 1;
    }

    fn tick_leader(&mut self) {
        if self.is_quorum_lost() {
            self.counters.quorum_losses += 1;
            tell!(INFO, node = %self.config.id, term = %self.hard.term, "no majority answered");
            return self.step_down();
        }
        if self.storage_stalled_at().is_some_and(|at| at <= self.now) {
            self.counters.storage_stalls += 1;
            tell!(WARN, node = %self.config.id, term = %self.hard.term, "own disk does not answer");
            return self.step_down();
        }
        let was_free = self.transfer_target().is_none();
        self.expire_transfer();
        let Role::Leader(leadership) = &mut self.role else {
            return;
        };
        if self.now < leadership.heartbeat_at {
            return;
        }
        leadership.heartbeat_at = self.now.after(self.config.heartbeat_interval);
        leadership.round = leadership.round.next();
        self.note_quorum();
        let patience = self.resend_patience();
        self.broadcast_heartbeat();
        self.repeat_word();
        self.resend_lost(patience);
        self.compact();
        // Between two transfers others have their chance: a change, or a transfer of a user's.
        if was_free {
            self.yield_without_room();
        }
    }

    /// When this leader stops because no majority has answered, if that is before `end`. It must
    /// stop: its heartbeats may be all that keeps others from electing a leader that can commit
    /// (scenario A09).
    fn quorum_lost_before(&self, end: Time) -> Option<Time> {
        let Role::Leader(leadership) = &self.role else {
            return None;
        };
        let patience = self.config.election_timeout_max;
        if leadership.quorum_heard_at.after(patience) >= end {
            return None;
        }
        let heard_at = self.majority_heard_at()?.max(leadership.quorum_heard_at);
        Some(heard_at.after(patience)).filter(|lost_at| *lost_at < end)
    }

    fn is_quorum_lost(&mut self) -> bool {
        let (now, patience) = (self.now, self.config.election_timeout_max);
        let is_over = |engine: &Self| match &engine.role {
            Role::Leader(leadership) => leadership.quorum_heard_at.after(patience) <= now,
            Role::Follower | Role::PreCandidate(_) | Role::Candidate(_) => false,
        };
        if !is_over(self) {
            return false;
        }
        self.note_quorum();
        is_over(self)
    }

    /// Takes note of when a majority was heard last. While that is recent nobody need look again:
    /// it can only become later.
    fn note_quorum(&mut self) {
        let heard_at = self.majority_heard_at().unwrap_or_default();
        // A leader that is its own majority is heard whenever somebody asks.
        let heard_at = heard_at.min(self.now);
        if let Role::Leader(leadership) = &mut self.role {
            leadership.quorum_heard_at = leadership.quorum_heard_at.max(heard_at);
        }
    }

    /// When a majority had answered last, this node counted as if it always did.
    fn majority_heard_at(&self) -> Option<Time> {
        let Role::Leader(leadership) = &self.role else {
            return None;
        };
        reached_by_majority(self.memberships.latest(), |voter| {
            if voter == self.config.id {
                return Time::NEVER;
            }
            leadership
                .peer(voter)
                .map_or(Time::ZERO, |peer| peer.heard_at)
        })
    }

    /// When this leader stops because its own disk does not answer (scenario B17).
    pub(super) fn storage_stalled_at(&self) -> Option<Time> {
        let waiting_since = self.writes.waiting_since()?;
        Some(waiting_since.after(self.config.storage_patience))
    }

    /// How long a read waits for others: as long as a leader may go on without a majority.
    pub(super) fn read_patience(&self) -> Duration {
        self.config.election_timeout_max
    }

    /// How long a peer may owe an answer before what was sent counts as lost.
    fn resend_patience(&self) -> Duration {
        self.config.election_timeout_min / 2
    }

    /// Draws the next election timeout [Raft 5.2].
    pub(super) fn restart_election_timer(&mut self) {
        self.election_timeout = self.rng.u64(self.election_timeouts.clone());
        self.postpone_election();
    }

    /// The leader was heard: the timeout that was drawn counts from now. To draw another at every
    /// append would make ties no rarer.
    pub(super) fn postpone_election(&mut self) {
        self.election_at = self.now.after_nanos(self.election_timeout);
        self.is_excused = false;
    }
}

/// The election timeouts of a node, in nanoseconds. A preference moves them within the range or
/// beyond it, never below.
pub(super) fn election_timeouts(config: &Config) -> RangeInclusive<u64> {
    let shortest = crate::time::nanos(config.election_timeout_min);
    let longest = crate::time::nanos(config.election_timeout_max);
    let spread = longest.saturating_sub(shortest);
    match config.priority {
        Priority::High => shortest..=shortest.saturating_add(spread / 2),
        Priority::Normal => shortest..=longest,
        Priority::Low => longest..=longest.saturating_add(spread),
    }
}
