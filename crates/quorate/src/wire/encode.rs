//! From messages to headers. Payload bytes never pass through here: `encoded.rs` hands them on
//! as they are.

use quorate_core::{AppendOutcome, Body, Entry, EntryId, LogIndex, Message, Payload, Refusal};
use quorate_core::{Entries, Round};
use quorate_log::{BirthStage, Founding};

use super::header::{self, Header, KIND_BITS, KIND_COMMAND, KIND_NOOP, Kind, RaftBody};
use crate::{ForwardOutcome, PeerMessage};

/// What the frame of this message says before its payload.
pub(super) fn header(message: &PeerMessage) -> Header {
    let kind = match message {
        PeerMessage::Raft(message) => Kind::Raft(raft(message)),
        PeerMessage::Forward {
            request,
            asker,
            commands,
        } => Kind::Forward(header::Forward {
            request: *request,
            asker: asker.get(),
            lengths: commands
                .iter()
                .map(|command| command.len() as u64)
                .collect(),
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
        } => RaftBody::Append(append(*prev, entries, *commit, *round)),
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
        Body::ReadIndex { read } => RaftBody::ReadIndex(header::ReadIndex { read: read.get() }),
        Body::ReadIndexReply { read, index } => RaftBody::ReadIndexReply(header::ReadIndexReply {
            read: read.get(),
            index: index.map(LogIndex::get),
        }),
    }
}

fn append(prev: EntryId, entries: &Entries, commit: LogIndex, round: Round) -> header::Append {
    debug_assert!(
        entries
            .first()
            .is_none_or(|first| first.index == prev.index.next()),
        "an append's entries follow prev, and are numbered by that at the receiver"
    );
    let mut append = header::Append {
        prev: Some(prev.into()),
        commit: commit.get(),
        round: round.get(),
        run_terms: Vec::new(),
        run_lengths: Vec::new(),
        shapes: entries.iter().map(shape).collect(),
    };
    for run in entries.chunk_by(|one, next| one.term == next.term) {
        append
            .run_terms
            .extend(run.first().map(|entry| entry.term.get()));
        append.run_lengths.push(run.len() as u64);
    }
    append
}

fn shape(entry: &Entry) -> u64 {
    let kind = match entry.payload {
        Payload::Noop => KIND_NOOP,
        Payload::Command(_) => KIND_COMMAND,
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
        ForwardOutcome::Refused(Refusal::NotLeader { leader }) => {
            Wire::NotLeader(leader.map_or(0, quorate_core::NodeId::get))
        }
        ForwardOutcome::Refused(Refusal::Overloaded) => Wire::Overloaded(()),
        ForwardOutcome::Refused(Refusal::TooLarge { limit_bytes }) => Wire::TooLarge(limit_bytes),
        ForwardOutcome::Refused(Refusal::TimedOut) => Wire::TimedOut(()),
    }
}

fn birth_stage(stage: &BirthStage) -> header::BirthStage {
    match stage {
        BirthStage::New => header::BirthStage::New(()),
        BirthStage::Prepared(founding) => header::BirthStage::Prepared(founders(founding)),
        BirthStage::Born(founding) => header::BirthStage::Born(founders(founding)),
    }
}

fn founders(founding: &Founding) -> header::Founding {
    let founders = founding
        .iter()
        .map(|(node, directory)| header::Founder {
            node: node.get(),
            directory: Some(directory.0.into()),
        })
        .collect();
    header::Founding { founders }
}
