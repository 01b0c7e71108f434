//! What an engine says of itself to operators. A copy, not a view: taking it changes nothing.

use alloc::vec::Vec;

use crate::{LogIndex, NodeId, RoleName, Term};

/// A snapshot of an engine's state.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Status {
    /// This node.
    pub id: NodeId,
    /// Its role.
    pub role: RoleName,
    /// Its term.
    pub term: Term,
    /// The leader of the term, where known.
    pub leader: Option<NodeId>,
    /// Last index of the log.
    pub last: LogIndex,
    /// Last index on stable storage.
    pub durable: LogIndex,
    /// Everything up to here is committed.
    pub commit: LogIndex,
    /// Everything up to here is applied.
    pub applied: LogIndex,
    /// A leader that has applied the first entry of its term: it sees everything that was
    /// acknowledged before it was elected (scenario B23).
    pub ready: bool,
    /// What a leader knows of its peers; empty elsewhere.
    pub peers: Vec<PeerStatus>,
    /// Counts since the start.
    pub counters: Counters,
}

/// What a leader knows of one peer.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct PeerStatus {
    /// The peer.
    pub id: NodeId,
    /// Its log equals the leader's up to here.
    pub matched: LogIndex,
    /// The next index it will be sent.
    pub next: LogIndex,
    /// Appends it has not answered yet.
    pub inflight: usize,
}

/// Counts of what happened since the start.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Counters {
    /// Campaigns started (not pre-votes).
    pub campaigns: u64,
    /// Elections won.
    pub elections_won: u64,
    /// Leaderships given up, for whatever reason.
    pub step_downs: u64,
    /// Of these, because no majority answered.
    pub quorum_losses: u64,
    /// Of these, because the leader's own disk did not answer.
    pub storage_stalls: u64,
    /// Ticks that came late enough to count as a pause of the process.
    pub pauses: u64,
    /// Messages dropped because they were for or from another life, or made no sense.
    pub dropped: u64,
    /// Acknowledged entries that a peer later did not have: lost data on that peer.
    pub peer_regressions: u64,
}
