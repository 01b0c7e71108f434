//! What an engine says of itself to operators. A copy, not a view: taking it changes nothing.

use alloc::vec::Vec;

use crate::{EntryId, LogIndex, Membership, NodeId, RoleName, Term, Time};

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
    /// The membership in force, committed or not.
    pub membership: Membership,
    /// The index of its entry; `NONE` for the founders.
    pub membership_index: LogIndex,
    /// The last entry of the newest durable snapshot; `NONE` without one.
    pub snapshot: EntryId,
    /// The first index in the log.
    pub first: LogIndex,
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
    /// The node may have lost entries that it acknowledged, and does not campaign.
    pub suspect: bool,
    /// The node knows that it is no longer a member: it was told, or led until it was removed.
    pub removed: bool,
    /// To whom leadership is being handed over.
    pub transfer_target: Option<NodeId>,
    /// Until when reads are served without a round of questions; `None` without a lease.
    pub lease_until: Option<Time>,
    /// Bytes that may still be appended; `u64::MAX` until the host says.
    pub room_bytes: u64,
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
    /// Bytes of these.
    pub inflight_bytes: u64,
    /// How it is sent entries.
    pub mode: PeerMode,
    /// When it last answered in this term; the start of the term counts.
    pub heard_at: Time,
    /// It holds nearly everything, and keeps up.
    pub caught_up: bool,
    /// It may have lost entries that it acknowledged, as it says itself.
    pub suspect: bool,
    /// It lacked entries that it had acknowledged: it lost data.
    pub regressed: bool,
}

/// How a peer is sent entries.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PeerMode {
    /// Where its log ends is not known: one append at a time.
    Probe,
    /// Appends are sent ahead of the answers.
    Replicate,
    /// It receives a snapshot.
    Snapshot {
        /// The last entry of the snapshot.
        last: EntryId,
        /// Bytes that have arrived, as the peer said last.
        bytes: u64,
    },
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
    /// Ticks that came late enough to count as a pause of the process, and were forgiven.
    pub pauses: u64,
    /// Messages dropped because they were for or from another life, or made no sense.
    pub dropped: u64,
    /// Transfers of leadership that ended with the target's campaign.
    pub transfers: u64,
    /// Reads served on a lease.
    pub lease_reads: u64,
    /// Snapshots offered to a peer that did not have one on its way.
    pub snapshots_offered: u64,
    /// Snapshots of others installed.
    pub snapshots_installed: u64,
    /// Entries refused by a node without room on its disk.
    pub full_disks: u64,
    /// Acknowledged entries that a peer later did not have: lost data on that peer.
    pub peer_regressions: u64,
}
