//! Transports that talk to each other: everything gets through, links come back, and a hung peer
//! costs the others nothing.

use quorate::transport::TransportError;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpListener;
use tokio::time::{Instant, sleep, timeout};

use super::by_hand::visit;
use super::*;

/// Nodes 1 and 2, each knowing the other's address.
fn pair() -> (Running, Running) {
    let ((one, address_one), (two, address_two)) = (bind(), bind());
    (
        start(one, 1, 11, &[(2, address_two)]),
        start(two, 2, 22, &[(1, address_one)]),
    )
}

/// Sends again and again, since a transport may drop, until something arrives.
async fn send_until_received(
    sender: &mut Tcp,
    to: u64,
    message: &PeerMessage,
    inbox: &mut Receiver<Inbound>,
) -> Inbound {
    let attempts = async {
        loop {
            sender.send(node(to), message.clone());
            if let Ok(Some(inbound)) = timeout(Duration::from_millis(20), inbox.recv()).await {
                return inbound;
            }
        }
    };
    timeout(HANG, attempts).await.expect("nothing arrives")
}

#[tokio::test]
async fn every_message_arrives_in_order_and_under_its_senders_name() {
    let (mut one, mut two) = pair();
    let first = send_until_received(&mut one.tcp, 2, &forward(0), &mut two.inbox).await;
    assert_eq!(
        first,
        Inbound {
            from: node(1),
            message: forward(0)
        }
    );

    let messages = every_message();
    for message in &messages {
        one.tcp.send(node(2), message.clone());
    }
    let mut arrived = Vec::new();
    while arrived.len() < messages.len() {
        let inbound = timeout(HANG, two.inbox.recv())
            .await
            .expect("a message is missing");
        let inbound = inbound.unwrap();
        assert_eq!(inbound.from, node(1));
        // The first message may have been sent more than once.
        if inbound.message != forward(0) {
            arrived.push(inbound.message);
        }
    }
    assert!(
        arrived == messages,
        "messages were lost, altered or swapped on a healthy link"
    );
    send_until_received(&mut two.tcp, 1, &forward(1), &mut one.inbox).await;
}

/// Scenarios H13, H15
#[tokio::test]
async fn link_comes_back_when_the_peer_restarts() {
    let (mut one, mut two) = pair();
    send_until_received(&mut one.tcp, 2, &forward(1), &mut two.inbox).await;
    let (address, back) = (two.tcp.local_address(), one.tcp.local_address());
    two.tcp.shutdown();
    two.tcp.shutdown();
    drop(two);

    let rebind = async {
        loop {
            match Tcp::bind(&address.to_string()) {
                Ok(tcp) => return tcp,
                Err(TransportError::Bind { .. }) => sleep(Duration::from_millis(10)).await,
                Err(error) => panic!("{error}"),
            }
        }
    };
    let tcp = timeout(HANG, rebind)
        .await
        .expect("a stopped transport keeps its port");
    let mut two = start(tcp, 2, 23, &[(1, back.to_string())]);
    send_until_received(&mut one.tcp, 2, &forward(2), &mut two.inbox).await;
    send_until_received(&mut two.tcp, 1, &forward(3), &mut one.inbox).await;
}

/// Scenarios H13, H14
#[tokio::test]
async fn peers_that_join_or_move_are_dialled_without_a_restart() {
    let (mut one, mut two) = pair();
    send_until_received(&mut one.tcp, 2, &forward(1), &mut two.inbox).await;
    let back = one.tcp.local_address().to_string();

    // Node 2 moves to another address, and node 3 joins.
    let ((moved, address), (joining, joined_at)) = (bind(), bind());
    let mut moved = start(moved, 2, 23, &[(1, back.clone())]);
    let mut joined = start(joining, 3, 33, &[(1, back)]);
    one.tcp
        .set_peers(addresses(&[(2, address), (3, joined_at)]));
    send_until_received(&mut one.tcp, 2, &forward(2), &mut moved.inbox).await;
    send_until_received(&mut one.tcp, 3, &forward(3), &mut joined.inbox).await;
    send_until_received(&mut joined.tcp, 1, &forward(4), &mut one.inbox).await;
}

/// Scenario A13: node 3 is a member for itself and for nobody else yet.
#[tokio::test]
async fn node_that_is_no_member_is_heard_and_answered() {
    let (tcp, address) = bind();
    let mut one = start(tcp, 1, 11, &[]);
    let (tcp, back) = bind();
    let peers = [(1, address)];
    let mut three = start_at(tcp, 3, 33, &peers, back);
    let heard = send_until_received(&mut three.tcp, 1, &forward(1), &mut one.inbox).await;
    assert_eq!(heard.from, node(3));
    send_until_received(&mut one.tcp, 3, &forward(2), &mut three.inbox).await;
}

/// Scenario H13: there is something to say to a guest for as long as it asks, and it may say of any
/// address that it is its own.
#[tokio::test]
async fn guest_that_closes_at_once_is_not_dialled_for_each_message() {
    let (tcp, address) = bind();
    let mut one = start(tcp, 1, 11, &[]);
    let (closing, _visit) = visit(&address).await;

    let mut dialled = 0;
    let accept = async {
        loop {
            drop(closing.accept().await.unwrap());
            dialled += 1;
        }
    };
    let send = async {
        let end = Instant::now() + Duration::from_secs(1);
        while Instant::now() < end {
            one.tcp.send(node(2), forward(1));
            sleep(Duration::from_millis(1)).await;
        }
    };
    tokio::select! {
        () = accept => {}
        () = send => {}
    }
    assert!(dialled > 0, "it is never answered");
    // Pauses of 25 ms and up, each but the last half over when the next is twice as long.
    assert!(dialled <= 7, "dialled {dialled} times in a second");
}

/// Scenario A12: the last word to a peer may be that it was removed.
#[tokio::test]
async fn what_was_sent_to_a_peer_leaves_before_it_is_let_go() {
    let (mut one, mut two) = pair();
    send_until_received(&mut one.tcp, 2, &forward(1), &mut two.inbox).await;
    let last = 2000;
    for request in 2..=last {
        one.tcp.send(node(2), forward(request));
    }
    one.tcp.set_peers(BTreeMap::new());
    one.tcp.send(node(2), forward(last + 1));
    let arrive = async {
        loop {
            let inbound = two.inbox.recv().await.unwrap();
            assert!(request_of(&inbound) <= last, "it was let go of before");
            if request_of(&inbound) == last {
                return;
            }
        }
    };
    timeout(HANG, arrive).await.expect("the last word is lost");
}

/// Scenario B18
#[tokio::test]
async fn hung_peer_neither_blocks_the_sender_nor_delays_another_peer() {
    let hung = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let hung_at = hung.local_addr().unwrap().to_string();
    let ((tcp, address), (healthy, healthy_at)) = (bind(), bind());
    let peers = [(2, hung_at), (3, healthy_at)];
    let mut one = start(tcp, 1, 11, &peers);
    let mut healthy = start(healthy, 3, 33, &[(1, address)]);

    // Shakes hands, and never reads again.
    let (mut stream, _) = timeout(HANG, hung.accept()).await.unwrap().unwrap();
    stream.write_all(&hello().encode()).await.unwrap();
    send_until_received(&mut one.tcp, 3, &forward(1), &mut healthy.inbox).await;

    // More than a queue and the system's buffers hold, at once and after each wait.
    let asker = Incarnation::new(1);
    let commands = vec![Bytes::from(vec![0; 900_000])];
    let large = PeerMessage::Forward {
        request: 9,
        asker,
        leader: Incarnation::new(2),
        commands,
    };
    for request in 10..20 {
        for _ in 0..100 {
            one.tcp.send(node(2), large.clone());
        }
        let mut inbound =
            send_until_received(&mut one.tcp, 3, &forward(request), &mut healthy.inbox).await;
        while request_of(&inbound) != request {
            inbound = timeout(HANG, healthy.inbox.recv()).await.unwrap().unwrap();
        }
    }
    drop(stream);
}

#[tokio::test]
async fn port_in_use_and_second_start_are_reported() {
    let (tcp, address) = bind();
    assert!(matches!(
        Tcp::bind(&address),
        Err(TransportError::Bind { .. })
    ));
    let mut one = start(tcp, 1, 11, &[]);
    let (sender, _inbox) = Inbox::new(1);
    let local = Local {
        cluster: CLUSTER,
        node: node(1),
        incarnation: Incarnation::new(12),
        directory: DirectoryId(1),
        address: String::new(),
        peers: BTreeMap::new(),
        max_frame_bytes: MAX_FRAME_BYTES,
    };
    assert!(matches!(
        one.tcp.start(local, sender),
        Err(TransportError::Used)
    ));
}
