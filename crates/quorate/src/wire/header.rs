//! The protobuf structures of a frame's header, one for one what is on the wire. Field numbers are
//! never reused. Every choice (`oneof`) may arrive empty: then a newer version sent something this
//! one does not know. What the fields mean is said at the types they are made from.
//!
//! What a header may hold many of stays bytes here, until somebody has looked how many: lists of
//! numbers (`packed.rs`) and the founders.

use bytes::Bytes;
use prost::{Message, Oneof};

/// The header of every frame. Empty in a sign of life.
#[derive(Clone, PartialEq, Message)]
pub(super) struct Header {
    #[prost(oneof = "Kind", tags = "1, 2, 3, 4, 5")]
    pub(super) kind: Option<Kind>,
}

#[derive(Clone, PartialEq, Oneof)]
pub(super) enum Kind {
    #[prost(message, tag = "1")]
    Hello(Hello),
    #[prost(message, tag = "2")]
    Raft(Raft),
    #[prost(message, tag = "3")]
    Forward(Forward),
    #[prost(message, tag = "4")]
    ForwardReply(ForwardReply),
    #[prost(message, tag = "5")]
    Birth(Birth),
}

/// 128 bits. Random, so fixed fields are shorter than variable ones.
#[derive(Clone, Copy, PartialEq, Message)]
pub(super) struct Id128 {
    #[prost(fixed64, tag = "1")]
    pub(super) high: u64,
    #[prost(fixed64, tag = "2")]
    pub(super) low: u64,
}

#[derive(Clone, PartialEq, Message)]
pub(super) struct Hello {
    #[prost(uint32, tag = "1")]
    pub(super) oldest_version: u32,
    #[prost(uint32, tag = "2")]
    pub(super) newest_version: u32,
    #[prost(message, optional, tag = "3")]
    pub(super) cluster: Option<Id128>,
    #[prost(uint64, tag = "4")]
    pub(super) from: u64,
    #[prost(uint64, tag = "5")]
    pub(super) to: u64,
    #[prost(fixed64, tag = "6")]
    pub(super) incarnation: u64,
    #[prost(message, optional, tag = "7")]
    pub(super) directory: Option<Id128>,
    #[prost(string, tag = "8")]
    pub(super) address: String,
}

#[derive(Clone, PartialEq, Message)]
pub(super) struct Raft {
    #[prost(uint64, tag = "1")]
    pub(super) from: u64,
    #[prost(uint64, tag = "2")]
    pub(super) to: u64,
    #[prost(uint64, tag = "3")]
    pub(super) term: u64,
    #[prost(fixed64, tag = "4")]
    pub(super) sender: u64,
    #[prost(fixed64, tag = "5")]
    pub(super) receiver: u64,
    #[prost(
        oneof = "RaftBody",
        tags = "6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17"
    )]
    pub(super) body: Option<RaftBody>,
}

#[derive(Clone, PartialEq, Oneof)]
pub(super) enum RaftBody {
    #[prost(message, tag = "6")]
    PreVote(PreVote),
    #[prost(message, tag = "7")]
    PreVoteReply(VoteReply),
    #[prost(message, tag = "8")]
    Vote(Vote),
    #[prost(message, tag = "9")]
    VoteReply(VoteReply),
    #[prost(message, tag = "10")]
    Append(Append),
    #[prost(message, tag = "11")]
    AppendReply(AppendReply),
    #[prost(message, tag = "12")]
    ReadIndex(ReadIndex),
    #[prost(message, tag = "13")]
    ReadIndexReply(ReadIndexReply),
    #[prost(message, tag = "14")]
    SnapshotOffer(SnapshotOffer),
    #[prost(message, tag = "15")]
    SnapshotReply(SnapshotReply),
    #[prost(message, tag = "16")]
    TimeoutNow(TimeoutNow),
    #[prost(message, tag = "17")]
    Removed(Removed),
}

/// Missing where an entry id stands, it is the id before the first entry.
#[derive(Clone, Copy, PartialEq, Message)]
pub(super) struct EntryId {
    #[prost(uint64, tag = "1")]
    pub(super) index: u64,
    #[prost(uint64, tag = "2")]
    pub(super) term: u64,
}

#[derive(Clone, PartialEq, Message)]
pub(super) struct PreVote {
    #[prost(uint64, tag = "1")]
    pub(super) campaign: u64,
    #[prost(message, optional, tag = "2")]
    pub(super) last: Option<EntryId>,
}

#[derive(Clone, PartialEq, Message)]
pub(super) struct Vote {
    #[prost(message, optional, tag = "1")]
    pub(super) last: Option<EntryId>,
    #[prost(bool, tag = "2")]
    pub(super) transfer: bool,
}

/// Serves votes and pre-votes.
#[derive(Clone, PartialEq, Message)]
pub(super) struct VoteReply {
    #[prost(uint64, tag = "1")]
    pub(super) campaign: u64,
    #[prost(bool, tag = "2")]
    pub(super) granted: bool,
}

/// The entries follow `prev` without a gap, so their indexes are not sent. Terms are sent as
/// runs: there are far fewer terms than entries.
#[derive(Clone, PartialEq, Message)]
pub(super) struct Append {
    #[prost(message, optional, tag = "1")]
    pub(super) prev: Option<EntryId>,
    #[prost(uint64, tag = "2")]
    pub(super) commit: u64,
    #[prost(uint64, tag = "3")]
    pub(super) round: u64,
    /// The term of each run, ascending. Packed.
    #[prost(bytes = "bytes", tag = "4")]
    pub(super) run_terms: Bytes,
    /// How many entries each run has. Packed.
    #[prost(bytes = "bytes", tag = "5")]
    pub(super) run_lengths: Bytes,
    /// For each entry, eight times the length of its payload plus its kind. Packed.
    #[prost(bytes = "bytes", tag = "6")]
    pub(super) shapes: Bytes,
    /// The last index of the leader's log.
    #[prost(uint64, tag = "7")]
    pub(super) last: u64,
}

/// Kind of an entry without a payload.
pub(super) const KIND_NOOP: u64 = 0;
/// Kind of an entry that carries a user's command.
pub(super) const KIND_COMMAND: u64 = 1;
/// Kind of an entry that carries a membership.
pub(super) const KIND_MEMBERSHIP: u64 = 2;
/// Bits that the kind takes of an entry's shape.
pub(super) const KIND_BITS: u32 = 3;

#[derive(Clone, PartialEq, Message)]
pub(super) struct AppendReply {
    #[prost(uint64, tag = "1")]
    pub(super) asked: u64,
    #[prost(uint64, tag = "2")]
    pub(super) round: u64,
    #[prost(bool, tag = "3")]
    pub(super) suspect: bool,
    #[prost(oneof = "AppendOutcome", tags = "4, 5")]
    pub(super) outcome: Option<AppendOutcome>,
}

#[derive(Clone, PartialEq, Oneof)]
pub(super) enum AppendOutcome {
    #[prost(uint64, tag = "4")]
    Matched(u64),
    #[prost(message, tag = "5")]
    Conflict(Conflict),
}

#[derive(Clone, PartialEq, Message)]
pub(super) struct Conflict {
    #[prost(uint64, tag = "1")]
    pub(super) refused: u64,
    #[prost(message, optional, tag = "2")]
    pub(super) hint: Option<EntryId>,
}

#[derive(Clone, PartialEq, Message)]
pub(super) struct SnapshotMeta {
    #[prost(message, optional, tag = "1")]
    pub(super) last: Option<EntryId>,
    /// As in a membership entry.
    #[prost(bytes = "bytes", tag = "2")]
    pub(super) membership: Bytes,
    #[prost(uint64, tag = "3")]
    pub(super) membership_index: u64,
    #[prost(uint64, tag = "4")]
    pub(super) length: u64,
    #[prost(fixed64, tag = "5")]
    pub(super) checksum: u64,
}

#[derive(Clone, PartialEq, Message)]
pub(super) struct SnapshotOffer {
    #[prost(message, optional, tag = "1")]
    pub(super) snapshot: Option<SnapshotMeta>,
    #[prost(uint64, tag = "2")]
    pub(super) round: u64,
}

#[derive(Clone, PartialEq, Message)]
pub(super) struct SnapshotReply {
    #[prost(uint64, tag = "1")]
    pub(super) asked: u64,
    #[prost(uint64, tag = "2")]
    pub(super) round: u64,
    #[prost(message, optional, tag = "3")]
    pub(super) last: Option<EntryId>,
    #[prost(bool, tag = "4")]
    pub(super) suspect: bool,
    #[prost(oneof = "SnapshotOutcome", tags = "5, 6, 7")]
    pub(super) outcome: Option<SnapshotOutcome>,
}

#[derive(Clone, Copy, PartialEq, Oneof)]
pub(super) enum SnapshotOutcome {
    /// Bytes that are there.
    #[prost(uint64, tag = "5")]
    Receiving(u64),
    #[prost(message, tag = "6")]
    Installed(()),
    #[prost(message, tag = "7")]
    Lost(()),
}

#[derive(Clone, PartialEq, Message)]
pub(super) struct TimeoutNow {
    #[prost(uint64, tag = "1")]
    pub(super) round: u64,
}

#[derive(Clone, PartialEq, Message)]
pub(super) struct Removed {
    #[prost(uint64, tag = "1")]
    pub(super) index: u64,
}

#[derive(Clone, PartialEq, Message)]
pub(super) struct ReadIndex {
    #[prost(uint64, tag = "1")]
    pub(super) read: u64,
}

#[derive(Clone, PartialEq, Message)]
pub(super) struct ReadIndexReply {
    #[prost(uint64, tag = "1")]
    pub(super) read: u64,
    #[prost(uint64, optional, tag = "2")]
    pub(super) index: Option<u64>,
}

#[derive(Clone, PartialEq, Message)]
pub(super) struct Forward {
    #[prost(uint64, tag = "1")]
    pub(super) request: u64,
    #[prost(fixed64, tag = "2")]
    pub(super) asker: u64,
    /// Of each command, in bytes. Packed.
    #[prost(bytes = "bytes", tag = "3")]
    pub(super) lengths: Bytes,
    #[prost(fixed64, tag = "4")]
    pub(super) leader: u64,
}

#[derive(Clone, PartialEq, Message)]
pub(super) struct ForwardReply {
    #[prost(uint64, tag = "1")]
    pub(super) request: u64,
    #[prost(fixed64, tag = "2")]
    pub(super) asker: u64,
    #[prost(oneof = "ForwardOutcome", tags = "3, 4, 5, 6, 7, 8, 9, 10")]
    pub(super) outcome: Option<ForwardOutcome>,
}

#[derive(Clone, Copy, PartialEq, Oneof)]
pub(super) enum ForwardOutcome {
    #[prost(message, tag = "3")]
    Appended(EntryId),
    /// The leader, or zero where none is known.
    #[prost(uint64, tag = "4")]
    NotLeader(u64),
    #[prost(message, tag = "5")]
    Overloaded(()),
    /// The limit, in bytes.
    #[prost(uint64, tag = "6")]
    TooLarge(u64),
    #[prost(message, tag = "7")]
    TimedOut(()),
    #[prost(message, tag = "8")]
    HandingOver(()),
    #[prost(message, tag = "9")]
    NoRoom(()),
    #[prost(message, tag = "10")]
    OtherLife(()),
}

#[derive(Clone, PartialEq, Message)]
pub(super) struct Birth {
    #[prost(message, optional, tag = "1")]
    pub(super) directory: Option<Id128>,
    #[prost(oneof = "BirthStage", tags = "2, 3, 4")]
    pub(super) stage: Option<BirthStage>,
}

#[derive(Clone, PartialEq, Oneof)]
pub(super) enum BirthStage {
    #[prost(message, tag = "2")]
    New(()),
    /// A [`Founding`].
    #[prost(bytes = "bytes", tag = "3")]
    Prepared(Bytes),
    /// A [`Founding`].
    #[prost(bytes = "bytes", tag = "4")]
    Born(Bytes),
}

#[derive(Clone, PartialEq, Message)]
pub(super) struct Founding {
    #[prost(message, repeated, tag = "1")]
    pub(super) founders: Vec<Founder>,
}

#[derive(Clone, PartialEq, Message)]
pub(super) struct Founder {
    #[prost(uint64, tag = "1")]
    pub(super) node: u64,
    #[prost(message, optional, tag = "2")]
    pub(super) directory: Option<Id128>,
}

impl From<u128> for Id128 {
    fn from(id: u128) -> Self {
        #[expect(
            clippy::cast_possible_truncation,
            reason = "the halves are what is wanted"
        )]
        Self {
            high: (id >> 64) as u64,
            low: id as u64,
        }
    }
}

impl From<Id128> for u128 {
    fn from(id: Id128) -> Self {
        (Self::from(id.high) << 64) | Self::from(id.low)
    }
}

impl From<quorate_core::EntryId> for EntryId {
    fn from(id: quorate_core::EntryId) -> Self {
        Self {
            index: id.index.get(),
            term: id.term.get(),
        }
    }
}

impl From<EntryId> for quorate_core::EntryId {
    fn from(id: EntryId) -> Self {
        Self::new(
            quorate_core::LogIndex::new(id.index),
            quorate_core::Term::new(id.term),
        )
    }
}
