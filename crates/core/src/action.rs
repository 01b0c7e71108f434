//! Everything an engine can ask of its host. The enum is closed: a new effect is meant to break
//! every host at compile time. The order of the actions of a step is laid down in `outbox.rs`.

use crate::{
    ChangeId, ChangeRefusal, Entries, EntryId, HardState, LoadId, LogIndex, Membership, Message,
    NodeId, ProposalId, ReadId, SnapshotMeta, Term, TransferId, WriteId,
};

/// An effect, to be performed by the host.
///
/// # Order
/// The actions of a step are in causal order. Performing them one by one, in order, waiting for
/// each write to be durable and reporting it with
/// [`Event::Persisted`](crate::Event::Persisted), is always right. A host that overlaps disk and
/// network follows `needs` of each [`Action::Send`] instead of waiting.
#[derive(Clone, Debug, PartialEq, Eq)]
#[must_use = "unperformed actions lose votes and entries; perform them in order"]
pub enum Action {
    /// Send a message. Delivery may fail, repeat or reorder.
    Send {
        /// It may leave once every write up to this one is durable.
        needs: WriteId,
        /// What to send.
        message: Message,
    },
    /// Read entries from the durable log. Answered by [`Event::Loaded`](crate::Event::Loaded).
    LoadEntries {
        /// Names the request in the answer.
        load: LoadId,
        /// First index wanted.
        from: LogIndex,
        /// Last entry wanted, with its term: a log that holds another entry there has changed
        /// since, and the answer is "gone".
        to: EntryId,
        /// Stop before exceeding this, but return at least one entry.
        limit_bytes: u64,
        /// What the entries are for.
        purpose: LoadPurpose,
    },
    /// Save term, vote and floor as one unit. A barrier: everything earlier is durable before it
    /// starts, and it is before anything later starts.
    SaveHardState {
        /// Place in the order of writes.
        write: WriteId,
        /// What to save.
        state: HardState,
    },
    /// Drop every entry from the first index of `entries` on, then append `entries`.
    AppendEntries {
        /// Place in the order of writes.
        write: WriteId,
        /// Never empty; starts at most one above the last index of the log.
        entries: Entries,
    },
    /// Make the received snapshot the node's own, in one atomic step that is durable when it is
    /// reported. A barrier, like [`Action::SaveHardState`].
    InstallSnapshot {
        /// Place in the order of writes.
        write: WriteId,
        /// Which snapshot; received before.
        snapshot: SnapshotMeta,
        /// The log does not continue the snapshot: once that is durable, drop all of the log, so
        /// that the next entry is the one behind the snapshot. Otherwise the log stays.
        discard_log: bool,
    },
    /// Replace the state machine by the durable snapshot, in order with [`Action::Apply`].
    /// Reported by [`Event::Applied`](crate::Event::Applied) of its index.
    RestoreSnapshot {
        /// Which snapshot.
        snapshot: SnapshotMeta,
    },
    /// Entries up to this one are no longer needed: a durable snapshot holds their effect. The
    /// host may keep some longer, and must give them up oldest first.
    PurgeLog {
        /// The last entry that may go.
        through: EntryId,
    },
    /// A snapshot is due: capture the state machine as of what it has applied, write it, and
    /// answer with [`Event::SnapshotTaken`](crate::Event::SnapshotTaken) or
    /// [`Event::SnapshotFailed`](crate::Event::SnapshotFailed). It is not asked again before.
    SnapshotDue,
    /// Get the bytes of this snapshot from that node, on a connection of their own, and report
    /// what comes of it. Asking again for the same snapshot names another source for the rest.
    ReceiveSnapshot {
        /// The leader that offered it.
        from: NodeId,
        /// Which snapshot.
        snapshot: SnapshotMeta,
    },
    /// This snapshot, whole or in part, is not needed any more.
    DropSnapshot {
        /// Which snapshot.
        snapshot: SnapshotMeta,
    },
    /// Hand committed entries to the state machine, in order. Each is locally durable; each is
    /// handed over exactly once per incarnation.
    Apply {
        /// Never empty; starts one above the last entry handed over.
        entries: Entries,
    },
    /// The batch of proposals was appended with consecutive indexes. It is not yet committed:
    /// that is so when an entry of this term at this index is applied.
    Proposed {
        /// Which batch.
        proposal: ProposalId,
        /// Where its first command stands; `NONE` for a batch without commands, of which nothing
        /// stands anywhere.
        first: EntryId,
    },
    /// The change of the membership was appended, whole: of `AddVoter` it is the promotion. It is
    /// in force, and not yet committed: that is so when an entry of this term at this index is
    /// applied.
    MembershipAppended {
        /// Which change.
        change: ChangeId,
        /// Where it stands.
        entry: EntryId,
    },
    /// Another membership is in force: appended, taken back with the entry that held it, or
    /// installed with a snapshot. Connections follow it.
    MembershipChanged {
        /// The index of its entry; `NONE` for the founders.
        index: LogIndex,
        /// The membership.
        membership: Membership,
    },
    /// This node is no longer a member: one that is has said so, or it led until that was
    /// committed. It does not campaign any more; if it is added again, it hears of that from the
    /// leader.
    Removed {
        /// The index of the membership that does not list it.
        index: LogIndex,
    },
    /// Leadership has left this node for the target's campaign.
    HandedOver {
        /// Which transfer.
        transfer: TransferId,
        /// Who was told to campaign.
        target: NodeId,
    },
    /// The read may be served once everything up to `index` is applied; every `Apply` up to
    /// there has been given before.
    ReadReady {
        /// Which read.
        read: ReadId,
        /// What the read must at least see.
        index: LogIndex,
    },
    /// A request was refused, with nothing done: it is safe to ask again.
    Refused {
        /// What was refused.
        request: Request,
        /// Why.
        reason: Refusal,
    },
    /// The node's role, term or known leader changed.
    RoleChanged {
        /// The role it has now.
        role: RoleName,
        /// The term it is in.
        term: Term,
        /// The leader of that term, where known.
        leader: Option<NodeId>,
    },
    /// The engine has stopped for good: every later step returns nothing. Nothing may be written
    /// any more.
    Fatal(Violation),
}

/// What loaded entries are for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LoadPurpose {
    /// To be applied to the local state machine.
    Apply,
    /// To be sent to this peer.
    Replicate(NodeId),
}

/// What was refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Request {
    /// A batch of proposals.
    Proposal(ProposalId),
    /// A read.
    Read(ReadId),
    /// A change of the membership.
    Change(ChangeId),
    /// A transfer of leadership.
    Transfer(TransferId),
}

/// Why a request was refused. In every case nothing was appended, but that a change that adds a
/// voter may have made it a learner.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// This node does not lead, or no longer does.
    NotLeader {
        /// Who does, where known.
        leader: Option<NodeId>,
    },
    /// Too many bytes are appended and not yet committed.
    Overloaded,
    /// A command is larger than an entry may be.
    TooLarge {
        /// The limit, in bytes.
        limit_bytes: u64,
    },
    /// The leader did not answer in time or bring the entries that a read needs, this node's disk
    /// did not take them in time, or the target of a transfer did not win in time.
    TimedOut,
    /// Leadership is being handed over: ask the next leader.
    HandingOver,
    /// The disk of this leader has no room.
    NoRoom,
    /// The membership is not changed.
    Change(ChangeRefusal),
    /// Leadership is not transferred.
    Transfer(TransferRefusal),
}

/// Why leadership is not transferred (scenario F07).
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TransferRefusal {
    /// Another transfer is under way.
    #[error("another transfer is under way")]
    InFlight,
    /// This node leads already.
    #[error("the target leads already")]
    Itself,
    /// The target is no member.
    #[error("the target is not a member")]
    UnknownNode,
    /// The target is a learner.
    #[error("the target is a learner")]
    Learner,
    /// The target may have lost entries that it acknowledged.
    #[error("the target may have lost entries")]
    Suspect,
    /// The target lags too far, or was not heard lately (scenario F04).
    #[error("the target lags too far behind")]
    TooFarBehind,
    /// No other voter is prepared to lead.
    #[error("no other voter is prepared to lead")]
    NoTarget,
}

/// The role of a node, without its state.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RoleName {
    /// Follows a leader, or waits for one.
    Follower,
    /// Asks whether a campaign could succeed.
    PreCandidate,
    /// Campaigns for votes.
    Candidate,
    /// Leads.
    Leader,
}

/// Why an engine stopped: a fact that can only be true if a safety property was broken
/// somewhere, or a disk that can no longer be trusted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Violation {
    /// Two leaders claim one term (scenario A18).
    #[error("both {known} and {claimed} lead {term}")]
    TwoLeaders {
        /// The term.
        term: Term,
        /// The leader this node knew, perhaps itself.
        known: NodeId,
        /// The other.
        claimed: NodeId,
    },
    /// A leader sent an entry that contradicts a committed one (scenario B05).
    #[error("{leader} sent {offered} where {committed} is committed")]
    CommittedConflict {
        /// What this node has committed.
        committed: EntryId,
        /// What the leader says stands there.
        offered: EntryId,
        /// The leader.
        leader: NodeId,
    },
    /// A leader offered a snapshot that contradicts a committed entry.
    #[error("{leader} offered a snapshot up to {offered} where {committed} is committed")]
    SnapshotConflict {
        /// What this node has committed.
        committed: EntryId,
        /// The last entry of the snapshot.
        offered: EntryId,
        /// The leader.
        leader: NodeId,
    },
    /// The durable log ends before an entry known to be committed.
    #[error("committed entries from {from} on are missing from the log on disk")]
    CommittedMissing {
        /// The first missing index.
        from: LogIndex,
    },
    /// A write to stable storage failed.
    #[error("storage failed; what it holds can no longer be trusted")]
    StorageFailed,
}
