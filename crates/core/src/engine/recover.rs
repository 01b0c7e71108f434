//! How an engine starts: new, or with what a host found on disk.

use alloc::vec::Vec;

use fastrand::Rng;

use super::tick::election_timeouts;
use super::{Engine, Role};
use crate::applies::Applies;
use crate::log::Log;
use crate::memberships::Memberships;
use crate::outbox::Outbox;
use crate::reads::{ConfirmedReads, ForwardedReads};
use crate::room::Room;
use crate::snapshots::Snapshots;
use crate::writes::Writes;
use crate::{
    Counters, EntryId, Incarnation, LoadId, LogIndex, Membership, RecoverError, Recovered,
    RoleName, Round, SnapshotMeta, Term, Time, ValidConfig,
};

impl Engine {
    /// A founder of a new cluster at its first start: an empty log and term zero.
    ///
    /// `founders` is the membership before the first entry of the log. A node that is to be
    /// added to a cluster has none: `Membership::default()`. It then waits to be spoken to.
    #[must_use]
    pub fn new(config: ValidConfig, life: Incarnation, founders: Membership, now: Time) -> Self {
        let state = Start {
            hard: crate::HardState::default(),
            log: Log::empty(),
            memberships: Memberships::new(LogIndex::NONE, founders),
            snapshot: None,
            applied: LogIndex::NONE,
        };
        Self::start(config, life, now, state)
    }

    /// A node that starts again with what it had on disk. A snapshot that the state machine does
    /// not hold yet is restored in the first step.
    ///
    /// # Errors
    /// State that no engine can have written.
    pub fn recover(
        config: ValidConfig,
        life: Incarnation,
        founders: Membership,
        now: Time,
        recovered: Recovered,
    ) -> Result<Self, RecoverError> {
        let Recovered {
            hard_state: hard,
            snapshot,
            before,
            term_starts,
            memberships,
            last,
            applied,
        } = recovered;
        let log = Log::recover(before, term_starts, last)?;
        if log.last().term > hard.term {
            return Err(RecoverError::TermBehindLog {
                last: log.last(),
                saved: hard.term,
            });
        }
        if applied > last {
            return Err(RecoverError::AppliedBeyondLog { applied, last });
        }
        check_snapshot(&log, snapshot.as_ref())?;
        let memberships = fold(&log, founders, snapshot.as_ref(), memberships)?;
        let state = Start {
            hard,
            log,
            memberships,
            snapshot,
            applied,
        };
        Ok(Self::start(config, life, now, state))
    }

    fn start(config: ValidConfig, life: Incarnation, now: Time, state: Start) -> Self {
        let Start {
            hard,
            log,
            memberships,
            snapshot,
            applied,
        } = state;
        let snapshots = Snapshots::recover(snapshot, applied);
        let mut engine = Self {
            life,
            now,
            rng: Rng::with_seed(config.seed),
            election_timeouts: election_timeouts(&config),
            role: Role::Follower,
            leader: None,
            heard_leader_at: now,
            election_at: now,
            election_timeout: 0,
            writes: Writes::new(log.last().index),
            // What the state machine has applied was committed (scenario D20), and so was what a
            // snapshot holds.
            commit: applied.max(snapshots.last().index),
            applies: Applies::new(applied),
            forwarded: ForwardedReads::default(),
            confirmed_reads: ConfirmedReads::default(),
            snapshots,
            room: Room::UNLIMITED,
            removed_at: None,
            leaders_last: None,
            answered: (Term::ZERO, Round::ZERO),
            last_load: LoadId::NONE,
            announced: (RoleName::Follower, hard.term, None),
            is_role_news: false,
            counters: Counters::default(),
            outbox: Outbox::default(),
            is_excused: false,
            is_stopped: false,
            config,
            hard,
            memberships,
            log,
        };
        engine.restart_election_timer();
        engine
    }
}

/// What an engine starts with, checked.
struct Start {
    hard: crate::HardState,
    log: Log,
    memberships: Memberships,
    snapshot: Option<SnapshotMeta>,
    applied: LogIndex,
}

/// The log has to go on where a snapshot ends, without a gap and with the same entry there
/// (scenario D07).
fn check_snapshot(log: &Log, snapshot: Option<&SnapshotMeta>) -> Result<(), RecoverError> {
    let before = log.before();
    let last = snapshot.map_or(EntryId::NONE, |snapshot| snapshot.last);
    if before.index > last.index {
        return Err(RecoverError::Gap {
            before,
            snapshot: last,
        });
    }
    if !log.contains(last) {
        return Err(RecoverError::NotContinued { snapshot: last });
    }
    if let Some(snapshot) = snapshot
        && (snapshot.membership_index > last.index || snapshot.membership.voters().is_empty())
    {
        return Err(RecoverError::Membership {
            at: snapshot.membership_index,
        });
    }
    Ok(())
}

/// The membership in force at every index, from where the newest snapshot ends or from the
/// founders.
fn fold(
    log: &Log,
    founders: Membership,
    snapshot: Option<&SnapshotMeta>,
    entries: Vec<(LogIndex, Membership)>,
) -> Result<Memberships, RecoverError> {
    let (held, mut memberships) = match snapshot {
        None => (LogIndex::NONE, Memberships::new(LogIndex::NONE, founders)),
        Some(snapshot) => (
            snapshot.last.index,
            Memberships::new(snapshot.membership_index, snapshot.membership.clone()),
        ),
    };
    let mut newest = log.before().index;
    for (at, membership) in entries {
        if at <= newest || at > log.last().index || membership.voters().is_empty() {
            return Err(RecoverError::Membership { at });
        }
        newest = at;
        if at > held {
            memberships.push(at, membership);
        }
    }
    Ok(memberships)
}
