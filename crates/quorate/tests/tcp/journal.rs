//! What a transport writes to the log about peers that cost many attempts.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use quorate::wire::{Decoder, encode};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio::time::{sleep, timeout};
use tracing::span::{Attributes, Id, Record};
use tracing::{Event, Level, Metadata, Subscriber};

use super::by_hand::{read_to_close, visit};
use super::*;

/// Counts what transports on this thread tell an operator.
struct Lines(Arc<AtomicUsize>);

impl Subscriber for Lines {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        *metadata.level() <= Level::INFO && metadata.target() == "quorate::transport"
    }

    fn event(&self, _: &Event<'_>) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }

    fn new_span(&self, _: &Attributes<'_>) -> Id {
        Id::from_u64(1)
    }

    fn record(&self, _: &Id, _: &Record<'_>) {}

    fn record_follows_from(&self, _: &Id, _: &Id) {}

    fn enter(&self, _: &Id) {}

    fn exit(&self, _: &Id) {}
}

/// Scenario H15: it goes on asking, and cannot be answered.
#[tokio::test]
async fn guest_that_cannot_be_reached_costs_one_line_not_one_for_each_attempt() {
    let lines = Arc::new(AtomicUsize::new(0));
    let _journal = tracing::subscriber::set_default(Lines(Arc::clone(&lines)));
    let (tcp, address) = bind();
    let mut one = start(tcp, 1, 11, &[]);
    let (closing, _visit) = visit(&address).await;

    let dialled_often = async {
        for _ in 0..5 {
            drop(closing.accept().await.unwrap());
        }
    };
    let send = async {
        loop {
            one.tcp.send(node(2), forward(1));
            sleep(Duration::from_millis(1)).await;
        }
    };
    tokio::select! {
        dialled = timeout(HANG, dialled_often) => dialled.expect("it is not dialled again"),
        () = send => {}
    }
    assert_eq!(lines.load(Ordering::Relaxed), 1);
}

/// Scenario H15: its word is good for the handshake, and for nothing else.
#[tokio::test]
async fn peer_that_sends_bad_frames_on_each_connection_costs_one_line() {
    let lines = Arc::new(AtomicUsize::new(0));
    let _journal = tracing::subscriber::set_default(Lines(Arc::clone(&lines)));
    let (tcp, address) = bind();
    let mut one = start(tcp, 1, 11, &[]);
    let mut damaged = encode(&forward(5)).into_bytes().to_vec();
    *damaged.last_mut().unwrap() ^= 1;
    for request in 1..=5 {
        let (_listener, mut stream) = visit(&address).await;
        let good = encode(&forward(request)).into_bytes();
        stream
            .write_all(&[&good, &damaged[..]].concat())
            .await
            .unwrap();
        let inbound = timeout(HANG, one.inbox.recv()).await.unwrap().unwrap();
        assert_eq!(request_of(&inbound), request);
        read_to_close(&mut stream).await;
    }
    assert_eq!(lines.load(Ordering::Relaxed), 1);
}

/// Scenario H15: a process that dies as soon as it has started.
#[tokio::test]
async fn peer_that_closes_each_connection_at_once_costs_two_lines() {
    let lines = Arc::new(AtomicUsize::new(0));
    let _journal = tracing::subscriber::set_default(Lines(Arc::clone(&lines)));
    let closing = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let closing_at = closing.local_addr().unwrap().to_string();
    let (tcp, _) = bind();
    let _one = start(tcp, 1, 11, &[(2, closing_at)]);
    let closed_often = async {
        for _ in 0..5 {
            let (mut stream, _) = closing.accept().await.unwrap();
            let mut decoder = Decoder::new(MAX_FRAME_BYTES);
            while decoder.next_frame().unwrap().is_none() {
                assert!(stream.read_buf(decoder.room()).await.unwrap() > 0);
            }
            stream.write_all(&hello().encode()).await.unwrap();
        }
    };
    timeout(HANG, closed_often)
        .await
        .expect("not dialled again");
    let told = lines.load(Ordering::Relaxed);
    assert_eq!(told, 2, "that it came and that it went");
}
