//! Messages of every kind for the tests of the codec, which are in the files below.

mod damage;
mod hostile;
mod memory;
mod round_trip;

use bytes::Bytes;
use quorate_core::{
    AppendOutcome, Body, Entries, Entry, EntryId, Incarnation, LogIndex, Membership, Message,
    NodeId, Payload, ReadId, Refusal, Round, SnapshotMeta, SnapshotOutcome, Term,
};
use quorate_log::{BirthStage, DirectoryId, Founding};

use super::frame::{PREFIX_BYTES, START_BYTES, checksum_start, prefix};
use crate::{ForwardOutcome, PeerMessage};

fn node(id: u64) -> NodeId {
    NodeId::new(id).unwrap()
}

fn raft(body: Body) -> PeerMessage {
    PeerMessage::Raft(Message {
        from: node(1),
        to: node(u64::MAX),
        term: Term::new(7),
        sender: Incarnation::new(0xfeed_beef_0000_0001),
        receiver: Incarnation::UNKNOWN,
        body,
    })
}

fn id(index: u64, term: u64) -> EntryId {
    EntryId::new(LogIndex::new(index), Term::new(term))
}

/// Voters, a learner, and addresses of some of them.
fn membership() -> Membership {
    Membership::new([1, 2, 3].map(node), [node(u64::MAX)])
        .with_address(node(2), "two:7000")
        .with_address(node(u64::MAX), "x".repeat(Membership::MAX_ADDRESS_BYTES))
}

/// Entries of several terms, no-ops and a membership among them, with payloads of these lengths.
fn entries(first: u64, lengths: &[usize]) -> Entries {
    let entry = |(place, &length): (usize, &usize)| {
        let place = place as u64;
        let payload = if place % 3 == 2 {
            Payload::Noop
        } else if place == 4 {
            Payload::Membership(membership().encode())
        } else {
            Payload::Command(Bytes::from(vec![place as u8; length]))
        };
        Entry {
            index: LogIndex::new(first + place),
            term: Term::new(3 + place / 2),
            payload,
        }
    };
    lengths
        .iter()
        .enumerate()
        .map(entry)
        .collect::<Vec<_>>()
        .into()
}

fn append(lengths: &[usize]) -> PeerMessage {
    raft(Body::Append {
        prev: id(41, 3),
        entries: entries(42, lengths),
        commit: LogIndex::new(40),
        round: Round::new(9),
        last: LogIndex::new(41 + lengths.len() as u64),
    })
}

fn founding() -> Founding {
    (1..=3)
        .map(|founder| (node(founder), DirectoryId(u128::MAX - u128::from(founder))))
        .collect()
}

/// Every kind of message, with every kind of content.
fn every_message() -> Vec<PeerMessage> {
    let mut messages: Vec<PeerMessage> = elections().into_iter().map(raft).collect();
    messages.extend([
        append(&[]),
        append(&[1]),
        append(&[0, 5, 0, 300, 1023, 0, 1024, 5]),
        append(&[70_000, 3, 0, 4096, 4096, 0, 9]),
    ]);
    messages.extend(append_replies().into_iter().map(raft));
    messages.extend(handovers().into_iter().map(raft));
    messages.extend(read_indexes().into_iter().map(raft));
    messages.extend(forwards());
    let stages = [
        BirthStage::New,
        BirthStage::Prepared(founding()),
        BirthStage::Born(founding()),
    ];
    for (stage, directory) in stages.into_iter().zip(0..) {
        let directory = DirectoryId(directory);
        messages.push(PeerMessage::Birth { directory, stage });
    }
    messages
}

fn elections() -> Vec<Body> {
    let campaign = Term::new(u64::MAX);
    let last = EntryId::NONE;
    let mut bodies = vec![Body::PreVote { campaign, last }];
    for flag in [true, false] {
        let (last, transfer, granted) = (id(5, 4), flag, flag);
        bodies.extend([
            Body::PreVoteReply { campaign, granted },
            Body::Vote { last, transfer },
            Body::VoteReply { campaign, granted },
        ]);
    }
    bodies
}

fn append_replies() -> Vec<Body> {
    let refused = LogIndex::new(9);
    let outcomes = [
        AppendOutcome::Matched(LogIndex::NONE),
        AppendOutcome::Matched(LogIndex::new(77)),
        AppendOutcome::Conflict {
            refused,
            hint: id(4, 2),
        },
    ];
    let reply = |outcome| Body::AppendReply {
        asked: Term::new(7),
        round: Round::new(2),
        outcome,
        suspect: matches!(outcome, AppendOutcome::Matched(_)),
    };
    outcomes.into_iter().map(reply).collect()
}

fn snapshot() -> SnapshotMeta {
    SnapshotMeta {
        last: id(30, 3),
        membership: membership(),
        membership_index: LogIndex::new(12),
        length: 1 << 40,
        checksum: u64::MAX,
    }
}

/// Snapshots, and what is said to a successor and to those who were removed.
fn handovers() -> Vec<Body> {
    let (round, asked) = (Round::new(3), Term::new(7));
    let mut bodies = vec![
        Body::SnapshotOffer {
            snapshot: snapshot(),
            round,
        },
        Body::TimeoutNow { round },
        Body::Removed {
            index: LogIndex::new(9),
        },
    ];
    let outcomes = [
        SnapshotOutcome::Receiving { bytes: 0 },
        SnapshotOutcome::Receiving { bytes: u64::MAX },
        SnapshotOutcome::Installed,
        SnapshotOutcome::Lost,
    ];
    bodies.extend(outcomes.map(|outcome| Body::SnapshotReply {
        asked,
        round,
        last: id(30, 3),
        outcome,
        suspect: outcome == SnapshotOutcome::Lost,
    }));
    bodies
}

fn read_indexes() -> Vec<Body> {
    let read = ReadId::new(12);
    let mut bodies = vec![Body::ReadIndex { read }];
    for index in [None, Some(LogIndex::NONE), Some(LogIndex::new(3))] {
        bodies.push(Body::ReadIndexReply { read, index });
    }
    bodies
}

fn forwards() -> Vec<PeerMessage> {
    let (request, asker, leader) = (3, Incarnation::new(u64::MAX), Incarnation::new(5));
    let refusals = [
        Refusal::NotLeader { leader: None },
        Refusal::NotLeader {
            leader: Some(node(2)),
        },
        Refusal::Overloaded,
        Refusal::TooLarge { limit_bytes: 0 },
        Refusal::TimedOut,
        Refusal::HandingOver,
        Refusal::NoRoom,
    ];
    let appended = ForwardOutcome::Appended(id(6, 5));
    let outcomes = refusals.into_iter().map(ForwardOutcome::Refused);
    let replies = outcomes
        .chain([appended, ForwardOutcome::OtherLife])
        .map(|outcome| PeerMessage::ForwardReply {
            request,
            asker,
            outcome,
        });
    let small = Bytes::from_static(b"set a 1");
    let large = Bytes::from(vec![5; 9000]);
    let batches = [vec![], vec![small, Bytes::new(), large]];
    let asks = batches.into_iter().map(|commands| PeerMessage::Forward {
        request,
        asker,
        leader,
        commands,
    });
    asks.chain(replies).collect()
}

/// A frame whose checksum is right, whatever its header holds.
fn frame(header: &[u8], payload: &[u8]) -> Bytes {
    let follows = PREFIX_BYTES - START_BYTES + header.len() + payload.len();
    let length = u32::try_from(follows).unwrap();
    let header_length = u32::try_from(header.len()).unwrap();
    let checksum = crc32c::crc32c_append(checksum_start(length, header_length), header);
    let checksum = crc32c::crc32c_append(checksum, payload);
    let prefix = prefix(length, checksum, header_length);
    [&prefix[..], header, payload].concat().into()
}
