//! The TCP transport over loopback: what gets through, what is refused, and that a peer that is
//! gone, hung or hostile costs the others nothing. No test depends on speed; the time limits only
//! keep a hang from lasting for ever.
#![cfg(feature = "runtime")]
#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "tests may panic, and so may what they share"
)]

mod by_hand;
mod journal;
mod links;

use std::collections::BTreeMap;
use std::time::Duration;

use bytes::Bytes;
use quorate::transport::{Inbound, Inbox, Local, Tcp, Transport};
use quorate::wire::{Hello, VersionRange};
use quorate::{ForwardOutcome, PeerMessage};
use quorate_core::{
    AppendOutcome, Body, Entry, EntryId, Incarnation, LogIndex, Message, NodeId, Payload, ReadId,
    Refusal, Round, Term,
};
use quorate_log::{BirthStage, ClusterId, DirectoryId};
use tokio::sync::mpsc::Receiver;

const CLUSTER: ClusterId = ClusterId(0xc1);
const MAX_FRAME_BYTES: u32 = 1 << 20;
const HANG: Duration = Duration::from_secs(60);

fn node(id: u64) -> NodeId {
    NodeId::new(id).unwrap()
}

/// A transport that runs, and what it delivers.
struct Running {
    tcp: Tcp,
    inbox: Receiver<Inbound>,
}

fn start(tcp: Tcp, id: u64, life: u64, peers: &[(u64, String)]) -> Running {
    start_at(tcp, id, life, peers, String::new())
}

/// Starts a transport that tells strangers where it is.
fn start_at(mut tcp: Tcp, id: u64, life: u64, peers: &[(u64, String)], address: String) -> Running {
    let (sender, inbox) = Inbox::new(64);
    let local = Local {
        cluster: CLUSTER,
        node: node(id),
        incarnation: Incarnation::new(life),
        directory: DirectoryId(u128::from(id)),
        address,
        peers: addresses(peers),
        max_frame_bytes: MAX_FRAME_BYTES,
    };
    tcp.start(local, sender).unwrap();
    Running { tcp, inbox }
}

fn addresses(peers: &[(u64, String)]) -> BTreeMap<NodeId, String> {
    let addresses = peers.iter().cloned();
    addresses.map(|(id, address)| (node(id), address)).collect()
}

fn bind() -> (Tcp, String) {
    let tcp = Tcp::bind("127.0.0.1:0").unwrap();
    let address = tcp.local_address().to_string();
    (tcp, address)
}

fn forward(request: u64) -> PeerMessage {
    let asker = Incarnation::new(1);
    PeerMessage::Forward {
        request,
        asker,
        leader: Incarnation::new(2),
        commands: vec![Bytes::from_static(b"set")],
    }
}

fn request_of(inbound: &Inbound) -> u64 {
    match inbound.message {
        PeerMessage::Forward { request, .. } => request,
        PeerMessage::Raft(_) | PeerMessage::ForwardReply { .. } | PeerMessage::Birth { .. } => 0,
    }
}

/// A message of every kind from node 1 to node 2.
fn every_message() -> Vec<PeerMessage> {
    let last = EntryId::new(LogIndex::new(4), Term::new(2));
    let (campaign, round, granted) = (Term::new(9), Round::new(5), true);
    let (read, index, transfer) = (ReadId::new(1), None, false);
    let outcome = AppendOutcome::Conflict {
        refused: LogIndex::new(4),
        hint: last,
    };
    let bodies = [
        Body::PreVote { campaign, last },
        Body::PreVoteReply { campaign, granted },
        Body::Vote { last, transfer },
        Body::VoteReply { campaign, granted },
        Body::Append {
            prev: last,
            entries: vec![command(5, 10), command(6, 300_000), command(7, 0)].into(),
            commit: LogIndex::new(3),
            round,
            last: LogIndex::new(7),
        },
        Body::AppendReply {
            asked: campaign,
            round,
            outcome,
            suspect: false,
        },
        Body::ReadIndex { read },
        Body::ReadIndexReply { read, index },
    ];
    let mut messages: Vec<PeerMessage> = bodies.into_iter().map(raft).collect();
    messages.extend([
        forward(7),
        PeerMessage::ForwardReply {
            request: 7,
            asker: Incarnation::new(3),
            outcome: ForwardOutcome::Refused(Refusal::Overloaded),
        },
        PeerMessage::Birth {
            directory: DirectoryId(5),
            stage: BirthStage::New,
        },
    ]);
    messages
}

fn command(index: u64, bytes: usize) -> Entry {
    Entry {
        index: LogIndex::new(index),
        term: Term::new(2),
        payload: Payload::Command(Bytes::from(vec![index as u8; bytes])),
    }
}

fn raft(body: Body) -> PeerMessage {
    PeerMessage::Raft(Message {
        from: node(1),
        to: node(2),
        term: Term::new(9),
        sender: Incarnation::new(11),
        receiver: Incarnation::new(22),
        body,
    })
}

fn hello() -> Hello {
    Hello {
        versions: VersionRange::SUPPORTED,
        cluster: CLUSTER,
        from: node(2),
        to: node(1),
        incarnation: Incarnation::new(22),
        directory: DirectoryId(2),
        address: String::new(),
    }
}
