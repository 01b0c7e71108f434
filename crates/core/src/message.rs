//! What engines say to each other. How it becomes bytes is the host's; whether it is believed is
//! decided in `engine/`.

use crate::{Entries, EntryId, Incarnation, LogIndex, NodeId, ReadId, Round, SnapshotMeta, Term};

/// A message between two engines.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Message {
    /// Who sent it.
    pub from: NodeId,
    /// Whom it is for.
    pub to: NodeId,
    /// The sender's term, already durable there when the message leaves.
    pub term: Term,
    /// The sender's present life.
    pub sender: Incarnation,
    /// The life of the receiver, as far as the sender knows; [`Incarnation::UNKNOWN`] where it
    /// has not heard from it yet. In a reply it is that of the asker, and any other life drops
    /// the reply. A request is taken by any life: its answer tells the sender of the new one.
    pub receiver: Incarnation,
    /// What it says.
    pub body: Body,
}

/// All of a message but what it says.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Envelope {
    pub(crate) from: NodeId,
    pub(crate) to: NodeId,
    pub(crate) term: Term,
    pub(crate) sender: Incarnation,
    pub(crate) receiver: Incarnation,
}

impl Envelope {
    /// The message that says `body`.
    #[inline(always)]
    pub(crate) fn with(self, body: Body) -> Message {
        let Self {
            from,
            to,
            term,
            sender,
            receiver,
        } = self;
        Message {
            from,
            to,
            term,
            sender,
            receiver,
            body,
        }
    }
}

/// The kinds of message. Each reply names the request it answers (term, and round or id), so
/// that a late one is recognised.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Body {
    /// Would you vote for me? Changes no durable state at either end [Thesis 9.6].
    PreVote {
        /// The term the sender would campaign in.
        campaign: Term,
        /// The sender's last entry.
        last: EntryId,
    },
    /// Answer to [`Body::PreVote`].
    PreVoteReply {
        /// The term asked about.
        campaign: Term,
        /// Whether a vote could be had.
        granted: bool,
    },
    /// Vote for me in the message's term [Raft 5.2].
    Vote {
        /// The candidate's last entry.
        last: EntryId,
        /// The leader told the candidate to campaign: leader stickiness does not apply
        /// [Thesis 4.2.3].
        transfer: bool,
    },
    /// Answer to [`Body::Vote`].
    VoteReply {
        /// The term of the campaign answered.
        campaign: Term,
        /// Whether the vote was given. Durable before it leaves.
        granted: bool,
    },
    /// Entries to append; without entries a heartbeat [Raft 5.3]. One that only raises the commit
    /// index, in a round that was answered before, is not answered.
    Append {
        /// The entry before the first of `entries`.
        prev: EntryId,
        /// What to append.
        entries: Entries,
        /// The leader's commit index.
        commit: LogIndex,
        /// The leader's newest round.
        round: Round,
        /// The last index of the leader's log. A node that may have lost entries learns from it
        /// how much it can ever have acknowledged in this term.
        last: LogIndex,
    },
    /// Answer to [`Body::Append`].
    AppendReply {
        /// The term of the request.
        asked: Term,
        /// The round of the request.
        round: Round,
        /// What became of it.
        outcome: AppendOutcome,
        /// The sender may have lost entries that it acknowledged.
        suspect: bool,
    },
    /// The leader's log does not reach back to what the receiver needs; it has this snapshot.
    SnapshotOffer {
        /// The snapshot.
        snapshot: SnapshotMeta,
        /// The leader's newest round.
        round: Round,
    },
    /// Answer to [`Body::SnapshotOffer`].
    SnapshotReply {
        /// The term of the request.
        asked: Term,
        /// The round of the request.
        round: Round,
        /// The last entry of the snapshot offered.
        last: EntryId,
        /// What becomes of it.
        outcome: SnapshotOutcome,
        /// The sender may have lost entries that it acknowledged.
        suspect: bool,
    },
    /// Campaign now: you hold everything, and I hand over [Thesis 3.10].
    TimeoutNow {
        /// The leader's newest round. Whoever answered a newer one in this term has heard from
        /// the leader since: the word is late, and its transfer may have been given up.
        round: Round,
    },
    /// You are in no committed membership up to mine.
    Removed {
        /// The index of the membership that does not list the receiver.
        index: LogIndex,
    },
    /// A follower asks the leader for a read index [Thesis 6.4].
    ReadIndex {
        /// The asker's name for it.
        read: ReadId,
    },
    /// Answer to [`Body::ReadIndex`].
    ReadIndexReply {
        /// The read answered.
        read: ReadId,
        /// Reads that see this index are linearizable. `None`: ask another node.
        index: Option<LogIndex>,
    },
}

/// What a follower did with an append.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AppendOutcome {
    /// Everything up to here equals the leader's log and is durable.
    Matched(LogIndex),
    /// The entry before the first one is missing or has another term.
    Conflict {
        /// The `prev` index that was refused, so that a late refusal is recognised (scenario B08).
        refused: LogIndex,
        /// The newest entry of the follower that may still match: the leader continues below
        /// it, skipping whole terms [Raft 5.3].
        hint: EntryId,
    },
}

/// What a follower makes of the offer of a snapshot.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SnapshotOutcome {
    /// It is on its way; so much is here.
    Receiving {
        /// Bytes so far.
        bytes: u64,
    },
    /// Everything up to its last entry equals the leader's log and is durable.
    Installed,
    /// It could not be had. Offer one again.
    Lost,
}
