//! Both ends of a connection, joined by bytes: who gets through, who is told why not, and what
//! ends a connection.

use std::collections::BTreeMap;

use bytes::{Buf, Bytes};
use quorate_core::{Body, Incarnation, LogIndex, Message, NodeId, ReadId, Term};
use quorate_log::{ClusterId, DirectoryId};

use super::{Dialling, Incoming, LinkError, Local, Outgoing, Stranger};
use crate::PeerMessage;
use crate::wire::{HandshakeError, WireError, encode};

fn node(id: u64) -> NodeId {
    NodeId::new(id).unwrap()
}

fn local(id: u64) -> Local {
    Local {
        cluster: ClusterId(0xc1),
        node: node(id),
        incarnation: Incarnation::new(id * 11),
        directory: DirectoryId(u128::from(id)),
        address: format!("host-{id}:1"),
        peers: BTreeMap::new(),
        max_frame_bytes: 4096,
    }
}

fn forward(command_bytes: usize) -> PeerMessage {
    PeerMessage::Forward {
        request: 7,
        asker: Incarnation::new(1),
        leader: Incarnation::new(2),
        commands: vec![Bytes::from(vec![5; command_bytes])],
    }
}

fn raft(from: u64, to: u64) -> PeerMessage {
    PeerMessage::Raft(Message {
        from: node(from),
        to: node(to),
        term: Term::new(9),
        sender: Incarnation::new(11),
        receiver: Incarnation::new(22),
        body: Body::ReadIndexReply {
            read: ReadId::new(3),
            index: Some(LogIndex::new(4)),
        },
    })
}

/// Node 1's connection to node 2.
fn connected() -> (Outgoing, Incoming) {
    let (mut dialling, mut stranger) = (Dialling::new(&local(1), node(2)), Stranger::new());
    stranger.feed(&dialling.hello());
    let incoming = stranger.introduced(&local(2), |_| true).unwrap().unwrap();
    dialling.feed(&stranger.answer().unwrap());
    (dialling.introduced().unwrap().unwrap(), incoming)
}

/// What waits to be written, as bytes.
fn bytes(outgoing: &mut Outgoing) -> Bytes {
    let count = outgoing.unwritten().remaining();
    outgoing.unwritten().copy_to_bytes(count)
}

#[test]
fn messages_arrive_however_the_bytes_are_cut() {
    for piece in [1, 2, 3, 7, 64, 10_000] {
        let mut dialling = Dialling::new(&local(1), node(2));
        let mut stranger = Stranger::new();
        let mut incoming = None;
        for part in dialling.hello().chunks(piece) {
            assert!(incoming.is_none(), "introduced by half a handshake");
            stranger.feed(part);
            incoming = stranger.introduced(&local(2), |_| true).unwrap();
        }
        let mut incoming = incoming.unwrap();
        assert_eq!(incoming.hello(), &local(1).hello(node(2)));
        let mut outgoing = None;
        for part in stranger.answer().unwrap().chunks(piece) {
            dialling.feed(part);
            outgoing = dialling.introduced().unwrap();
        }
        assert_eq!(stranger.answer(), None, "a second answer is no handshake");

        let mut outgoing = outgoing.unwrap();
        outgoing.push_sign_of_life();
        let messages = [forward(3), raft(1, 2), forward(2000), forward(0)];
        messages.iter().for_each(|m| outgoing.push(m).unwrap());
        let mut arrived = Vec::new();
        for part in bytes(&mut outgoing).chunks(piece) {
            incoming.feed(part);
            while let Some(message) = incoming.next_message().unwrap() {
                arrived.push(message);
            }
        }
        assert_eq!(arrived, messages);
    }
}

/// A dialler may say more before it has its answer.
#[test]
fn what_follows_the_handshake_at_once_is_not_lost() {
    let mut stranger = Stranger::new();
    stranger.feed(&Dialling::new(&local(1), node(2)).hello());
    stranger.feed(&encode(&forward(1)).into_bytes());
    let mut incoming = stranger.introduced(&local(2), |_| true).unwrap().unwrap();
    assert_eq!(incoming.next_message(), Ok(Some(forward(1))));
}

/// Scenario H06
#[test]
fn both_ends_give_the_same_reason_unless_the_dialler_is_not_expected() {
    let other = Local {
        cluster: ClusterId(0xc2),
        ..local(1)
    };
    let ours = |error| LinkError::Handshake(error);
    let (one, two) = (ClusterId(0xc1), ClusterId(0xc2));
    let wrong_cluster = |ours, theirs| HandshakeError::WrongCluster { ours, theirs };
    let meets = |dialler: &Local, to: u64, acceptor: &Local| {
        let (mut dialling, mut stranger) = (Dialling::new(dialler, node(to)), Stranger::new());
        stranger.feed(&dialling.hello());
        let refusal = stranger.introduced(acceptor, |_| true).unwrap_err();
        dialling.feed(&stranger.answer().expect("the dialler cannot know why"));
        (refusal, dialling.introduced().unwrap_err())
    };
    assert_eq!(
        meets(&other, 2, &local(2)),
        (ours(wrong_cluster(one, two)), ours(wrong_cluster(two, one)))
    );
    // The address of node 3 leads to node 2.
    assert_eq!(
        meets(&local(1), 3, &local(2)),
        (
            ours(HandshakeError::WrongRecipient {
                node: node(2),
                intended: node(3)
            }),
            ours(HandshakeError::UnexpectedSender { from: node(2) })
        )
    );
    assert_eq!(
        meets(&local(2), 3, &local(2)),
        (
            ours(HandshakeError::Itself { node: node(2) }),
            ours(HandshakeError::Itself { node: node(2) })
        )
    );

    let mut stranger = Stranger::new();
    stranger.feed(&Dialling::new(&local(1), node(2)).hello());
    let mut asked = None;
    let refusal = stranger.introduced(&local(2), |hello| {
        asked = Some(hello.clone());
        false
    });
    assert_eq!(asked, Some(local(1).hello(node(2))));
    assert_eq!(
        refusal.unwrap_err(),
        ours(HandshakeError::UnexpectedSender { from: node(1) })
    );
    assert_eq!(
        stranger.answer(),
        None,
        "who is not welcome must not be welcomed"
    );
}

/// Scenario H07
#[test]
fn handshake_is_given_no_more_memory_than_it_takes() {
    let frame = encode(&forward(4000)).into_bytes();
    let announced = &frame[..8];
    let mut stranger = Stranger::new();
    stranger.feed(announced);
    assert!(matches!(
        stranger.introduced(&local(2), |_| true),
        Err(LinkError::Wire(WireError::TooLong { .. }))
    ));
    let mut dialling = Dialling::new(&local(1), node(2));
    dialling.feed(announced);
    assert!(matches!(
        dialling.introduced(),
        Err(LinkError::Wire(WireError::TooLong { .. }))
    ));
    let (_, mut incoming) = connected();
    incoming.feed(announced);
    assert_eq!(incoming.next_message(), Ok(None), "it is a peer by now");
}

/// Scenario H06
#[test]
fn engine_message_that_names_other_nodes_ends_the_connection() {
    for (from, to) in [(2, 1), (3, 2), (1, 3)] {
        let (mut outgoing, mut incoming) = connected();
        outgoing.push(&raft(1, 2)).unwrap();
        outgoing.push(&raft(from, to)).unwrap();
        incoming.feed(&bytes(&mut outgoing));
        assert_eq!(incoming.next_message(), Ok(Some(raft(1, 2))));
        assert_eq!(incoming.next_message(), Err(LinkError::WrongNames));
    }
}

/// Every frame that differs from `good` in one bit, and the byte that it is in.
fn damaged(good: &[u8]) -> impl Iterator<Item = (usize, Vec<u8>)> {
    (0..good.len() * 8).map(|bit| {
        let mut damaged = good.to_vec();
        damaged[bit / 8] ^= 1 << (bit % 8);
        (bit / 8, damaged)
    })
}

/// Scenario H07: at once, though nothing follows. A length that is believed, damaged, makes the
/// receiver take what follows for the rest of the frame: up to 64 MiB of messages, or hours of
/// heartbeats, on a connection that looks alive to both ends.
#[test]
fn damaged_bit_ends_the_connection_at_once_and_delivers_nothing_wrong() {
    let (mut outgoing, _) = connected();
    outgoing.push(&forward(3)).unwrap();
    let good = bytes(&mut outgoing);
    for (at, damaged) in damaged(&good) {
        let (_, mut incoming) = connected();
        incoming.feed(&good);
        incoming.feed(&damaged);
        assert_eq!(incoming.next_message(), Ok(Some(forward(3))));
        let refused = incoming.next_message();
        assert!(
            matches!(refused, Err(LinkError::Wire(_))),
            "byte {at}: {refused:?}"
        );
    }
}

/// Scenario H07
#[test]
fn damaged_handshake_is_refused_at_once_by_both_ends() {
    let (mut dialling, mut stranger) = (Dialling::new(&local(1), node(2)), Stranger::new());
    for (at, damaged) in damaged(&dialling.hello()) {
        let mut stranger = Stranger::new();
        stranger.feed(&damaged);
        let refused = stranger.introduced(&local(2), |_| true);
        assert!(
            matches!(refused, Err(LinkError::Wire(_))),
            "byte {at}: {refused:?}"
        );
        assert_eq!(stranger.answer(), None, "nobody knows whom to answer");
    }
    stranger.feed(&dialling.hello());
    stranger.introduced(&local(2), |_| true).unwrap();
    for (at, damaged) in damaged(&stranger.answer().unwrap()) {
        dialling = Dialling::new(&local(1), node(2));
        dialling.feed(&damaged);
        let refused = dialling.introduced();
        assert!(
            matches!(refused, Err(LinkError::Wire(_))),
            "byte {at}: {refused:?}"
        );
    }
}

/// Scenario B19
#[test]
fn message_that_is_too_large_is_dropped_and_the_connection_goes_on() {
    let (mut outgoing, mut incoming) = connected();
    outgoing.push(&forward(1)).unwrap();
    assert!(matches!(
        outgoing.push(&forward(5000)),
        Err(WireError::TooLong { .. })
    ));
    outgoing.push(&forward(2)).unwrap();
    incoming.feed(&bytes(&mut outgoing));
    assert_eq!(incoming.next_message(), Ok(Some(forward(1))));
    assert_eq!(incoming.next_message(), Ok(Some(forward(2))));
    assert_eq!(incoming.next_message(), Ok(None));
}

#[test]
fn long_queue_is_written_in_pieces() {
    let (mut outgoing, _) = connected();
    let mut pushed = 0;
    while !outgoing.is_full() {
        outgoing.push(&forward(4000)).unwrap();
        pushed += 4000;
    }
    assert!((100_000..1 << 20).contains(&pushed), "{pushed} bytes");
    bytes(&mut outgoing);
    assert!(!outgoing.is_full());
}
