//! What a transport writes to the log about peers that cost many attempts.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::time::{sleep, timeout};
use tracing::span::{Attributes, Id, Record};
use tracing::{Event, Level, Metadata, Subscriber};

use super::by_hand::visit;
use super::*;

/// Counts the warnings of transports on this thread.
struct Warnings(Arc<AtomicUsize>);

impl Subscriber for Warnings {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        *metadata.level() == Level::WARN && metadata.target() == "quorate::transport"
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
    let warnings = Arc::new(AtomicUsize::new(0));
    let _journal = tracing::subscriber::set_default(Warnings(Arc::clone(&warnings)));
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
    assert_eq!(warnings.load(Ordering::Relaxed), 1);
}
