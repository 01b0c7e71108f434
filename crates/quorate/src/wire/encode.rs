//! From messages to headers. Payload bytes never pass through here: `encoded.rs` hands them on
//! as they are.

use bytes::Bytes;
use prost::Message as _;
use quorate_core::{
    AppendOutcome, Body, Entries, Entry, EntryId, LogIndex, Message, Payload, Refusal, Round,
    SnapshotMeta, SnapshotOutcome,
};
use quorate_log::{BirthStage, Founding};

use super::header::{
    self, Header, KIND_BITS, KIND_COMMAND, KIND_MEMBERSHIP, KIND_NOOP, Kind, RaftBody,
};
use super::packed::pack;
use crate::{ForwardOutcome, PeerMessage};

/// What the frame of this message says before its payload.
pub(super) fn header(message: &PeerMessage) -> Header {
    let kind = match message {
        PeerMessage::Raft(message) => Kind::Raft(raft(message)),
        PeerMessage::Forward {
            request,
            asker,
            leader,
            commands,
        } => Kind::Forward(header::Forward {
            request: *request,
            asker: asker.get(),
            leader: leader.get(),
            lengths: pack(commands.iter().map(|command| command.len() as u64)),
        }),
        PeerMessage::ForwardReply {
            request,
            asker,
            outcome,
        } => Kind::ForwardReply(header::ForwardReply {
            request: *request,
            asker: asker.get(),
            outcome: Some(forward_outcome(*outcome)),
        }),
        PeerMessage::Birth { directory, stage } => Kind::Birth(header::Birth {
            directory: Some(directory.0.into()),
            stage: Some(birth_stage(stage)),
        }),
    };
    Header { kind: Some(kind) }
}

fn raft(message: &Message) -> header::Raft {
    header::Raft {
        from: message.from.get(),
        to: message.to.get(),
        term: message.term.get(),
        sender: message.sender.get(),
        receiver: message.receiver.get(),
        body: Some(raft_body(&message.body)),
    }
}

fn raft_body(body: &Body) -> RaftBody {
    match body {
        Body::PreVote { campaign, last } => RaftBody::PreVote(header::PreVote {
            campaign: campaign.get(),
            last: Some((*last).into()),
        }),
        Body::PreVoteReply { campaign, granted } => RaftBody::PreVoteReply(header::VoteReply {
            campaign: campaign.get(),
            granted: *granted,
        }),
        Body::Vote { last, transfer } => RaftBody::Vote(header::Vote {
            last: Some((*last).into()),
            transfer: *transfer,
        }),
        Body::VoteReply { campaign, granted } => RaftBody::VoteReply(header::VoteReply {
            campaign: campaign.get(),
            granted: *granted,
        }),
        Body::Append {
            prev,
            entries,
            commit,
            round,
            last,
        } => RaftBody::Append(header::Append {
            commit: commit.get(),
            round: round.get(),
            last: last.get(),
            ..append(*prev, entries)
        }),
        Body::AppendReply {
            asked,
            round,
            outcome,
            suspect,
        } => RaftBody::AppendReply(header::AppendReply {
            asked: asked.get(),
            round: round.get(),
            suspect: *suspect,
            outcome: Some(append_outcome(*outcome)),
        }),
        Body::SnapshotOffer { snapshot, round } => {
            RaftBody::SnapshotOffer(snapshot_offer(snapshot, *round))
        }
        Body::SnapshotReply {
            asked,
            round,
            last,
            outcome,
            suspect,
        } => RaftBody::SnapshotReply(header::SnapshotReply {
            asked: asked.get(),
            round: round.get(),
            last: Some((*last).into()),
            suspect: *suspect,
            outcome: Some(match *outcome {
                SnapshotOutcome::Receiving { bytes } => header::SnapshotOutcome::Receiving(bytes),
                SnapshotOutcome::Installed => header::SnapshotOutcome::Installed(()),
                SnapshotOutcome::Lost => header::SnapshotOutcome::Lost(()),
            }),
        }),
        Body::TimeoutNow { round } => timeout_now(*round),
        Body::Removed { index } => RaftBody::Removed(header::Removed { index: index.get() }),
        Body::ReadIndex { read } => RaftBody::ReadIndex(header::ReadIndex { read: read.get() }),
        Body::ReadIndexReply { read, index } => RaftBody::ReadIndexReply(header::ReadIndexReply {
            read: read.get(),
            index: index.map(LogIndex::get),
        }),
    }
}

fn timeout_now(round: Round) -> RaftBody {
    RaftBody::TimeoutNow(header::TimeoutNow { round: round.get() })
}

fn snapshot_offer(snapshot: &SnapshotMeta, round: Round) -> header::SnapshotOffer {
    header::SnapshotOffer {
        snapshot: Some(header::SnapshotMeta {
            last: Some(snapshot.last.into()),
            membership: snapshot.membership.encode(),
            membership_index: snapshot.membership_index.get(),
            length: snapshot.length,
            checksum: snapshot.checksum,
        }),
        round: round.get(),
    }
}

/// The entries behind `prev`; the rest is left out.
fn append(prev: EntryId, entries: &Entries) -> header::Append {
    debug_assert!(
        entries
            .first()
            .is_none_or(|first| first.index == prev.index.next()),
        "an append's entries follow prev, and are numbered by that at the receiver"
    );
    let runs = || entries.chunk_by(|one, next| one.term == next.term);
    header::Append {
        prev: Some(prev.into()),
        run_terms: pack(runs().filter_map(|run| Some(run.first()?.term.get()))),
        run_lengths: pack(runs().map(|run| run.len() as u64)),
        shapes: pack(entries.iter().map(shape)),
        ..header::Append::default()
    }
}

fn shape(entry: &Entry) -> u64 {
    let kind = match entry.payload {
        Payload::Noop => KIND_NOOP,
        Payload::Command(_) => KIND_COMMAND,
        Payload::Membership(_) => KIND_MEMBERSHIP,
    };
    ((entry.payload.bytes().len() as u64) << KIND_BITS) | kind
}

fn append_outcome(outcome: AppendOutcome) -> header::AppendOutcome {
    match outcome {
        AppendOutcome::Matched(index) => header::AppendOutcome::Matched(index.get()),
        AppendOutcome::Conflict { refused, hint } => {
            header::AppendOutcome::Conflict(header::Conflict {
                refused: refused.get(),
                hint: Some(hint.into()),
            })
        }
    }
}

fn forward_outcome(outcome: ForwardOutcome) -> header::ForwardOutcome {
    use header::ForwardOutcome as Wire;
    match outcome {
        ForwardOutcome::Appended(first) => Wire::Appended(first.into()),
        ForwardOutcome::OtherLife => Wire::OtherLife(()),
        ForwardOutcome::Refused(Refusal::NotLeader { leader }) => {
            Wire::NotLeader(leader.map_or(0, quorate_core::NodeId::get))
        }
        ForwardOutcome::Refused(Refusal::Overloaded) => Wire::Overloaded(()),
        ForwardOutcome::Refused(Refusal::TooLarge { limit_bytes }) => Wire::TooLarge(limit_bytes),
        ForwardOutcome::Refused(Refusal::TimedOut) => Wire::TimedOut(()),
        ForwardOutcome::Refused(Refusal::HandingOver) => Wire::HandingOver(()),
        ForwardOutcome::Refused(Refusal::NoRoom) => Wire::NoRoom(()),
        // Reasons that no proposal is refused for. What matters of any is that nothing was
        // appended.
        ForwardOutcome::Refused(Refusal::Change(_) | Refusal::Transfer(_)) => Wire::NotLeader(0),
    }
}

fn birth_stage(stage: &BirthStage) -> header::BirthStage {
    match stage {
        BirthStage::New => header::BirthStage::New(()),
        BirthStage::Prepared(founding) => header::BirthStage::Prepared(founders(founding)),
        BirthStage::Born(founding) => header::BirthStage::Born(founders(founding)),
    }
}

fn founders(founding: &Founding) -> Bytes {
    let founders = founding
        .iter()
        .map(|(node, directory)| header::Founder {
            node: node.get(),
            directory: Some(directory.0.into()),
        })
        .collect();
    header::Founding { founders }.encode_to_vec().into()
}
