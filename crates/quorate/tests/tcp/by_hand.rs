//! A transport that is talked to by hand: strangers and hostile frames are refused, and the
//! stream keeps its place.

use quorate::wire::{Decoder, decode, encode};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::timeout;

use super::*;

/// A connection that plays a peer by hand.
async fn dial_by_hand(address: &str, hello: Hello) -> TcpStream {
    let mut stream = TcpStream::connect(address).await.unwrap();
    stream.write_all(&hello.encode()).await.unwrap();
    stream
}

/// A guest is let in at `address`: what it listens with where it says it is, and its connection.
pub(super) async fn visit(address: &str) -> (TcpListener, TcpStream) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let guest = Hello {
        address: listener.local_addr().unwrap().to_string(),
        ..hello()
    };
    let mut stream = dial_by_hand(address, guest).await;
    let answer = timeout(HANG, stream.read_u8()).await.expect("no answer");
    assert!(answer.is_ok(), "it is no guest");
    (listener, stream)
}

/// Scenario A13: nodes that were removed long ago, and look in again.
#[tokio::test]
async fn guests_that_have_left_do_not_keep_others_out() {
    let (tcp, address) = bind();
    let _one = start(tcp, 1, 11, &[]);
    let knock = async |id| {
        let guest = Hello {
            from: node(id),
            address: "127.0.0.1:1".to_owned(),
            ..hello()
        };
        let mut stream = dial_by_hand(&address, guest).await;
        let answer = timeout(HANG, stream.read_u8()).await;
        let is_welcome = answer.expect("neither let in nor refused").is_ok();
        is_welcome.then_some(stream)
    };
    for id in 2..60 {
        // Whoever left just now may not be missed yet.
        let let_in = async {
            loop {
                if let Some(stream) = knock(id).await {
                    return stream;
                }
            }
        };
        drop(timeout(HANG, let_in).await.expect("kept out for ever"));
    }
}

/// Everything the other end sends until it closes.
pub(super) async fn read_to_close(stream: &mut TcpStream) -> Vec<u8> {
    let mut bytes = Vec::new();
    let read = async {
        // A reset is a way of closing, too.
        let mut chunk = [0; 4096];
        while let Ok(count @ 1..) = stream.read(&mut chunk).await {
            bytes.extend_from_slice(&chunk[..count]);
        }
    };
    timeout(HANG, read)
        .await
        .expect("the connection stays open");
    bytes
}

/// Scenario H06
#[tokio::test]
async fn strangers_are_refused_and_nothing_they_send_is_delivered() {
    let (tcp, address) = bind();
    let mut one = start(tcp, 1, 11, &[(2, "127.0.0.1:1".to_owned())]);
    let strangers = [
        (
            Hello {
                cluster: ClusterId(0xbad),
                ..hello()
            },
            true,
        ),
        (
            Hello {
                to: node(3),
                ..hello()
            },
            true,
        ),
        (
            Hello {
                from: node(1),
                ..hello()
            },
            true,
        ),
        (
            Hello {
                from: node(9),
                ..hello()
            },
            false,
        ),
    ];
    for (stranger, answered) in strangers {
        let mut stream = dial_by_hand(&address, stranger).await;
        // The acceptor may have closed before this is written.
        let _ = stream.write_all(&encode(&forward(5)).into_bytes()).await;
        let answer = read_to_close(&mut stream).await;
        assert!(
            answered || answer.is_empty(),
            "who is not welcome must not be welcomed"
        );
    }

    // The twin is let in, and what it says is the first thing to arrive.
    let mut stream = dial_by_hand(&address, hello()).await;
    stream
        .write_all(&encode(&forward(6)).into_bytes())
        .await
        .unwrap();
    let inbound = timeout(HANG, one.inbox.recv()).await.unwrap().unwrap();
    assert_eq!(
        inbound,
        Inbound {
            from: node(2),
            message: forward(6)
        }
    );
}

/// Scenarios H06, H07, B19
#[tokio::test]
async fn connection_is_closed_when_a_frame_is_oversized_damaged_or_misnamed() {
    let (tcp, address) = bind();
    let mut one = start(tcp, 1, 11, &[(2, "127.0.0.1:1".to_owned())]);
    let mut damaged = encode(&forward(5)).into_bytes().to_vec();
    *damaged.last_mut().unwrap() ^= 1;
    // Says that it is from node 1 to node 2, on a connection in the other direction.
    let misnamed = encode(&every_message()[0]).into_bytes().to_vec();
    // Of these two only the start is sent: nothing may be waited for.
    let start = |bytes: &[u8]| bytes[..8].to_vec();
    let oversized = PeerMessage::Forward {
        request: 5,
        asker: Incarnation::new(1),
        leader: Incarnation::new(2),
        commands: vec![Bytes::from(vec![0; MAX_FRAME_BYTES as usize])],
    };
    let oversized = start(&encode(&oversized).into_bytes());
    let mut longer = start(&encode(&forward(5)).into_bytes());
    longer[2] ^= 1;
    for hostile in [oversized, longer, damaged, misnamed] {
        let mut stream = dial_by_hand(&address, hello()).await;
        stream
            .write_all(&encode(&forward(1)).into_bytes())
            .await
            .unwrap();
        let inbound = timeout(HANG, one.inbox.recv()).await.unwrap().unwrap();
        assert_eq!(request_of(&inbound), 1, "something hostile was delivered");
        stream.write_all(&hostile).await.unwrap();
        read_to_close(&mut stream).await;
    }
}

/// A peer that restarts leaves a connection behind that nobody will ever close.
#[tokio::test]
async fn newer_connection_replaces_the_older_one_of_the_same_peer() {
    let (tcp, address) = bind();
    let mut one = start(tcp, 1, 11, &[(2, "127.0.0.1:1".to_owned())]);
    let mut older = dial_by_hand(&address, hello()).await;
    older
        .write_all(&encode(&forward(1)).into_bytes())
        .await
        .unwrap();
    assert_eq!(request_of(&one.inbox.recv().await.unwrap()), 1);
    let mut newer = dial_by_hand(&address, hello()).await;
    for request in 2..=4 {
        newer
            .write_all(&encode(&forward(request)).into_bytes())
            .await
            .unwrap();
        assert_eq!(request_of(&one.inbox.recv().await.unwrap()), request);
        // Refused or lost, but not read: the connection was given up before the other was read.
        let _ = older.write_all(&encode(&forward(9)).into_bytes()).await;
    }
    read_to_close(&mut older).await;
}

/// While the inbox is full nothing is read, and nothing is lost that was read.
#[tokio::test]
async fn full_inbox_holds_the_stream_back_without_losing_its_place() {
    let (tcp, address) = bind();
    let mut one = start(tcp, 1, 11, &[(2, "127.0.0.1:1".to_owned())]);
    let mut stream = dial_by_hand(&address, hello()).await;
    let count = 5_000;
    let write = async {
        for request in 1..=count {
            stream
                .write_all(&encode(&forward(request)).into_bytes())
                .await
                .unwrap();
        }
    };
    let read = async {
        for request in 1..=count {
            assert_eq!(request_of(&one.inbox.recv().await.unwrap()), request);
        }
    };
    timeout(HANG, async { tokio::join!(write, read) })
        .await
        .expect("the stream stalled");
}

/// Scenario H13: a connection on which nothing happens shows that both ends are there.
#[tokio::test]
async fn idle_connection_carries_signs_of_life() {
    let (tcp, address) = bind();
    let _one = start(tcp, 1, 11, &[(2, "127.0.0.1:1".to_owned())]);
    let mut stream = dial_by_hand(&address, hello()).await;
    let mut decoder = Decoder::new(MAX_FRAME_BYTES);
    let signs = async {
        let mut frames = Vec::new();
        while frames.len() < 2 {
            assert_ne!(
                stream.read_buf(decoder.room()).await.unwrap(),
                0,
                "closed while idle"
            );
            while let Some(frame) = decoder.next_frame().unwrap() {
                frames.push(frame);
            }
        }
        frames
    };
    let frames = timeout(HANG, signs)
        .await
        .expect("an idle connection is silent");
    assert!(
        Hello::decode(frames[0].clone()).is_ok(),
        "the answer comes first"
    );
    assert_eq!(decode(frames[1].clone()), Ok(None));
}
