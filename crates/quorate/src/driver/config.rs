//! What a driver is told at its start, and what it counts.

use std::collections::BTreeMap;

use quorate_core::{Incarnation, NodeId, ValidConfig};

/// What a driver needs to know at a start.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct DriverConfig {
    /// The engine's settings.
    pub engine: ValidConfig,
    /// A fresh, unpredictable number for this start.
    pub life: Incarnation,
    /// The founders of the cluster and their addresses. A node that is not among them waits to
    /// be added.
    pub founders: BTreeMap<NodeId, String>,
    /// Whether a leader that is to stop hands over first, for one election timeout at most.
    pub hand_over: bool,
    /// Proposals that may wait for their outcome, at most. Beyond it
    /// [`Driver::accepts_proposals`](crate::Driver::accepts_proposals) says no.
    pub max_waiting_proposals: usize,
    /// Reads that may wait, at most.
    pub max_waiting_reads: usize,
}

impl DriverConfig {
    /// A configuration with default limits.
    #[must_use]
    pub fn new(engine: ValidConfig, life: Incarnation, founders: BTreeMap<NodeId, String>) -> Self {
        let (max_waiting_proposals, max_waiting_reads) = (65_536, 65_536);
        Self {
            engine,
            life,
            founders,
            hand_over: true,
            max_waiting_proposals,
            max_waiting_reads,
        }
    }
}

/// What a driver has counted since its start.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct DriverCounters {
    /// Commands that this node has appended as a leader, its own users' and forwarded ones.
    pub appended_commands: u64,
    /// Storage jobs given out.
    pub storage_jobs: u64,
    /// Proposals passed on to a leader.
    pub forwarded_commands: u64,
}
