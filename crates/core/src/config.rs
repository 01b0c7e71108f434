//! The knobs of an engine, checked once. Relations between them are checked where the argument
//! for them is written down.

use core::time::Duration;

use crate::NodeId;

/// The settings of one engine. Fields may be changed freely before [`Config::validate`].
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Config {
    /// This node.
    pub id: NodeId,
    /// Seed of the election jitter. Give a fresh one at every start: nodes that draw the same
    /// numbers split their votes again and again.
    pub seed: u64,
    /// How often a leader tells its peers that it is there. Default 50 ms.
    pub heartbeat_interval: Duration,
    /// A follower campaigns after a silence drawn from this ... Default 250 ms.
    pub election_timeout_min: Duration,
    /// ... to this. Default 500 ms. Also how long a leader goes on without hearing a majority.
    pub election_timeout_max: Duration,
    /// A leader whose own disk has not finished a write for this long stops leading, and a node
    /// whose disk is stuck does not campaign (scenario B17). Default 2 s: above the stalls of a
    /// second that a busy disk shows now and then, which all nodes on it would see alike.
    pub storage_patience: Duration,
    /// Ask for pre-votes before a campaign, so that a node that was cut off does not depose a
    /// leader when it returns [Thesis 9.6]. Default on.
    pub pre_vote: bool,
    /// How soon this node campaigns, compared with others. Default [`Priority::Normal`].
    pub priority: Priority,
    /// How long a leader may serve reads on the strength of a majority's answer, counted from
    /// when it asked [Thesis 6.4.1]; `None` for a round of questions per read. Default `None`.
    /// Safe only while no clock of the cluster gains more than `clock_drift` on another within
    /// one election timeout.
    pub lease: Option<Duration>,
    /// See `lease`. Default 10 ms.
    pub clock_drift: Duration,
    /// Refuse a change of the membership after which no majority of the voters would be within
    /// reach (scenario C11). Default on; off to remove nodes that cannot be reached one by one.
    pub require_reachable_quorum: bool,
    /// A snapshot is due when so many bytes were applied since the last; `None` for never.
    /// Default 64 MiB.
    pub snapshot_bytes: Option<u64>,
    /// A snapshot is due when so many entries were applied since the last; `None` for never.
    /// Default `None`.
    pub snapshot_entries: Option<u64>,
    /// Entries kept behind a snapshot, for peers that lag a little. Default 10,000.
    pub trailing_entries: u64,
    /// Bytes of log kept for peers within reach that still need them, or will when the snapshot
    /// that they receive is installed (scenario D12). An entry from before this start counts as
    /// one without a payload. Default 256 MiB.
    pub max_retained_bytes: u64,
    /// The payload of one command, at most. Default 8 MiB.
    pub max_entry_bytes: u64,
    /// Entries in one message, at most (but always one entry). Default 1 MiB.
    pub max_append_bytes: u64,
    /// Unanswered appends to one peer, at most. Default 256.
    pub max_inflight_messages: usize,
    /// Bytes in unanswered appends to one peer; exceeded by one message at most.
    /// Default 16 MiB.
    pub max_inflight_bytes: u64,
    /// Bytes of entries appended by this leader and not yet committed; exceeded by one batch at
    /// most. Default 64 MiB.
    pub max_uncommitted_bytes: u64,
    /// Bytes of entries handed over and not yet applied; exceeded by one entry at most.
    /// Default 16 MiB.
    pub max_unapplied_bytes: u64,
    /// Bytes of recent entries kept in memory for peers and for apply. Default 32 MiB.
    pub window_bytes: u64,
}

impl Config {
    /// Defaults for a local network, for node `id`.
    #[must_use]
    pub const fn new(id: NodeId, seed: u64) -> Self {
        const MIB: u64 = 1024 * 1024;
        Self {
            id,
            seed,
            heartbeat_interval: Duration::from_millis(50),
            election_timeout_min: Duration::from_millis(250),
            election_timeout_max: Duration::from_millis(500),
            storage_patience: Duration::from_secs(2),
            pre_vote: true,
            priority: Priority::Normal,
            lease: None,
            clock_drift: Duration::from_millis(10),
            require_reachable_quorum: true,
            snapshot_bytes: Some(64 * MIB),
            snapshot_entries: None,
            trailing_entries: 10_000,
            max_retained_bytes: 256 * MIB,
            max_entry_bytes: 8 * MIB,
            max_append_bytes: MIB,
            max_inflight_messages: 256,
            max_inflight_bytes: 16 * MIB,
            max_uncommitted_bytes: 64 * MIB,
            max_unapplied_bytes: 16 * MIB,
            window_bytes: 32 * MIB,
        }
    }

    /// Checks the settings and seals them.
    ///
    /// # Errors
    /// Says which relation does not hold.
    pub fn validate(self) -> Result<ValidConfig, ConfigError> {
        if self.heartbeat_interval.is_zero() {
            return Err(ConfigError::Zero {
                field: "heartbeat_interval",
            });
        }
        if self.storage_patience.is_zero() {
            return Err(ConfigError::Zero {
                field: "storage_patience",
            });
        }
        // One lost heartbeat must not start an election.
        if self.election_timeout_min < self.heartbeat_interval.saturating_mul(2) {
            return Err(ConfigError::ElectionBelowHeartbeat);
        }
        // Without a spread, nodes that time out together do so for ever [Raft 9.3].
        if self.election_timeout_max <= self.election_timeout_min {
            return Err(ConfigError::NoElectionSpread);
        }
        if let Some(lease) = self.lease {
            // Counted from when the question left, a lease must end before any voter may give
            // its vote away again, even on the fastest clock, and though a host may be a
            // heartbeat late with a tick; otherwise two leaders serve reads (scenario E08).
            let margin = self.clock_drift.saturating_add(self.heartbeat_interval);
            let longest = self.election_timeout_min.saturating_sub(margin);
            if lease.is_zero() || lease > longest {
                return Err(ConfigError::LeaseTooLong { lease, longest });
            }
        }
        for (field, value) in [
            ("snapshot_bytes", self.snapshot_bytes.unwrap_or(u64::MAX)),
            (
                "snapshot_entries",
                self.snapshot_entries.unwrap_or(u64::MAX),
            ),
            ("max_entry_bytes", self.max_entry_bytes),
            ("max_append_bytes", self.max_append_bytes),
            ("max_inflight_messages", self.max_inflight_messages as u64),
            ("max_inflight_bytes", self.max_inflight_bytes),
            ("max_uncommitted_bytes", self.max_uncommitted_bytes),
            ("max_unapplied_bytes", self.max_unapplied_bytes),
            ("window_bytes", self.window_bytes),
        ] {
            if value == 0 {
                return Err(ConfigError::Zero { field });
            }
        }
        Ok(ValidConfig(self))
    }
}

/// How soon a node campaigns when nobody leads. Only a preference: the node that holds
/// everything and is heard first still wins, and no timeout is ever below the shortest.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Priority {
    /// After the others: its timeouts lie beyond the longest of theirs.
    Low,
    /// Somewhere between the shortest and the longest timeout.
    #[default]
    Normal,
    /// Before most others: its timeouts lie in the lower half of the range.
    High,
}

/// Settings that passed [`Config::validate`]; the only ones an engine accepts.
#[derive(Clone, Debug)]
pub struct ValidConfig(Config);

impl core::ops::Deref for ValidConfig {
    type Target = Config;

    fn deref(&self) -> &Config {
        &self.0
    }
}

/// Why settings were refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ConfigError {
    /// A limit or interval is zero.
    #[error("{field} must be above zero")]
    Zero {
        /// Which.
        field: &'static str,
    },
    /// The minimum election timeout is under two heartbeat intervals.
    #[error("election_timeout_min must be at least twice heartbeat_interval")]
    ElectionBelowHeartbeat,
    /// The lease could outlive the silence that voters owe the leader.
    #[error("a lease of {lease:?} is not safe; it must be above zero and at most {longest:?}")]
    LeaseTooLong {
        /// The lease asked for.
        lease: Duration,
        /// The longest that is safe with these timeouts.
        longest: Duration,
    },
    /// The election timeout has no range to be drawn from.
    #[error("election_timeout_max must be above election_timeout_min")]
    NoElectionSpread,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config() -> Config {
        Config::new(NodeId::new(1).unwrap(), 7)
    }

    #[test]
    fn defaults_are_valid() {
        assert!(config().validate().is_ok());
    }

    #[test]
    fn timeouts_that_cause_needless_elections_are_refused() {
        let mut short = config();
        short.election_timeout_min = short.heartbeat_interval;
        assert_eq!(
            short.validate().unwrap_err(),
            ConfigError::ElectionBelowHeartbeat
        );
        let mut fixed = config();
        fixed.election_timeout_max = fixed.election_timeout_min;
        assert_eq!(fixed.validate().unwrap_err(), ConfigError::NoElectionSpread);
    }

    /// Scenario E08
    #[test]
    fn a_lease_that_could_outlive_the_voters_silence_is_refused() {
        let mut lease = config();
        lease.lease = Some(Duration::from_millis(190));
        assert!(
            lease.clone().validate().is_ok(),
            "250 less a heartbeat of 50 and 10 of drift"
        );
        lease.lease = Some(Duration::from_millis(191));
        assert!(matches!(
            lease.clone().validate(),
            Err(ConfigError::LeaseTooLong { .. })
        ));
        lease.lease = Some(Duration::ZERO);
        assert!(lease.validate().is_err(), "a lease of nothing is no lease");
    }

    #[test]
    fn zero_limits_are_refused_by_name() {
        let mut zero = config();
        zero.max_append_bytes = 0;
        assert_eq!(
            zero.validate().unwrap_err(),
            ConfigError::Zero {
                field: "max_append_bytes"
            }
        );
    }
}
