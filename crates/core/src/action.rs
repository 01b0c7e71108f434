//! Everything an engine can ask of its host. The enum is closed: a new effect is meant to break
//! every host at compile time. The order of the actions of a step is laid down in `outbox.rs`.

use crate::{
    Entries, EntryId, HardState, LoadId, LogIndex, Message, NodeId, ProposalId, ReadId, Term,
    WriteId,
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
        /// Where its first command stands.
        first: EntryId,
    },
    /// The read may be served once everything up to `index` is applied; every `Apply` up to
    /// there has been given before.
    ReadReady {
        /// Which read.
        read: ReadId,
        /// What the read must at least see.
        index: LogIndex,
    },
    /// A proposal or read was refused, with nothing done: it is safe to ask again.
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
}

/// Why a request was refused. In every case nothing was appended.
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
    /// The leader did not answer in time.
    TimedOut,
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
