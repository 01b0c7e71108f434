//! When an engine wants to be woken, and why. The deadlines themselves are kept by those who
//! act on them.

use crate::Time;

/// The next time at which a tick has an effect.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Timeout {
    /// Deliver a tick at this time. [`Time::NEVER`] if nothing is due.
    pub at: Time,
    /// What will happen then.
    pub reason: TimeoutReason,
}

/// Why an engine wants to be woken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TimeoutReason {
    /// Nothing is due.
    Idle,
    /// No leader was heard: campaign.
    Election,
    /// Tell the peers that this leader is there.
    Heartbeat,
    /// A majority did not answer: stop leading.
    CheckQuorum,
    /// The leader's own disk does not answer: stop leading (scenario B17).
    StorageStall,
    /// A read has waited for too long: for the leader's answer, for entries, or for the disk.
    ReadTimeout,
    /// Try again to load entries from disk.
    LoadRetry,
    /// The target of a transfer has not taken over: take writes again.
    Transfer,
    /// A snapshot could not be taken: ask for it again.
    SnapshotRetry,
}

impl Timeout {
    /// No deadline.
    pub(crate) const IDLE: Self = Self {
        at: Time::NEVER,
        reason: TimeoutReason::Idle,
    };

    pub(crate) const fn new(at: Time, reason: TimeoutReason) -> Self {
        Self { at, reason }
    }

    /// The earlier of the two.
    pub(crate) fn or_sooner(self, at: Option<Time>, reason: TimeoutReason) -> Self {
        match at {
            Some(at) if at < self.at => Self { at, reason },
            Some(_) | None => self,
        }
    }
}
