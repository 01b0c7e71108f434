//! The queue of messages to one peer: bounded in messages and in bytes, and closed while there is
//! no connection. Full or closed, it drops what comes: a message that waited for a lost
//! connection to come back would be stale on arrival (scenario B18).

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use quorate_core::{Body, Entry};
use tokio::sync::mpsc;

use crate::PeerMessage;

/// Messages that may wait for one peer.
pub(super) const MAX_MESSAGES: usize = 4096;
/// Bytes that may wait for one peer, but always one message.
pub(super) const MAX_BYTES: u64 = 64 << 20;

/// Messages handed to the writer at once.
const BATCH_MESSAGES: usize = 256;

/// What both ends know. Atomics, because a transport is built on one thread and runs on another;
/// orderings are relaxed, because no other memory is published through them.
#[derive(Debug, Default)]
struct Shared {
    open: AtomicBool,
    bytes: AtomicU64,
}

/// A closed queue.
pub(super) fn queue() -> (Sender, Receiver) {
    let (sender, receiver) = mpsc::channel(MAX_MESSAGES);
    let shared = Arc::new(Shared::default());
    (
        Sender {
            messages: sender,
            shared: shared.clone(),
        },
        Receiver {
            messages: receiver,
            shared,
            taken_bytes: 0,
        },
    )
}

/// The driver's end.
#[derive(Debug)]
pub(super) struct Sender {
    messages: mpsc::Sender<PeerMessage>,
    shared: Arc<Shared>,
}

impl Sender {
    /// Queues the message or drops it; says whether it was queued. Never blocks.
    pub(super) fn push(&self, message: PeerMessage) -> bool {
        if !self.shared.open.load(Ordering::Relaxed) {
            return false;
        }
        let cost = cost_bytes(&message);
        let waiting = self.shared.bytes.fetch_add(cost, Ordering::Relaxed);
        let fits = waiting == 0 || waiting.saturating_add(cost) <= MAX_BYTES;
        let queued = fits && self.messages.try_send(message).is_ok();
        if !queued {
            self.shared.bytes.fetch_sub(cost, Ordering::Relaxed);
        }
        queued
    }
}

/// The connection's end.
#[derive(Debug)]
pub(super) struct Receiver {
    messages: mpsc::Receiver<PeerMessage>,
    shared: Arc<Shared>,
    /// Cost of what was taken and has not left yet.
    taken_bytes: u64,
}

impl Receiver {
    /// Lets messages in: there is a connection.
    pub(super) fn open(&mut self) {
        // One may have slipped in while the last connection was being closed.
        self.drain();
        self.shared.open.store(true, Ordering::Relaxed);
    }

    /// Drops what waits, and from now on what comes: the connection is gone.
    pub(super) fn close(&mut self) {
        self.shared.open.store(false, Ordering::Relaxed);
        self.written();
        self.drain();
    }

    /// Waits for messages and moves those that wait to `batch`. `false` once the sender is gone.
    /// They count against the limit until [`Receiver::written`].
    ///
    /// Cancelling loses nothing.
    pub(super) async fn take(&mut self, batch: &mut Vec<PeerMessage>) -> bool {
        let before = batch.len();
        let taken = self.messages.recv_many(batch, BATCH_MESSAGES).await;
        self.taken_bytes += batch.iter().skip(before).map(cost_bytes).sum::<u64>();
        taken > 0
    }

    /// Everything that was taken has left.
    pub(super) fn written(&mut self) {
        let left = std::mem::take(&mut self.taken_bytes);
        self.shared.bytes.fetch_sub(left, Ordering::Relaxed);
    }

    fn drain(&mut self) {
        while let Ok(message) = self.messages.try_recv() {
            let cost = cost_bytes(&message);
            self.shared.bytes.fetch_sub(cost, Ordering::Relaxed);
        }
    }
}

/// What a message counts against the limit, in bytes. Not its length on the wire, but in
/// proportion to the memory it holds on to.
fn cost_bytes(message: &PeerMessage) -> u64 {
    let payload = match message {
        PeerMessage::Raft(message) => match &message.body {
            Body::Append { entries, .. } => entries.size_bytes(),
            Body::PreVote { .. }
            | Body::PreVoteReply { .. }
            | Body::Vote { .. }
            | Body::VoteReply { .. }
            | Body::AppendReply { .. }
            | Body::SnapshotOffer { .. }
            | Body::SnapshotReply { .. }
            | Body::TimeoutNow
            | Body::Removed { .. }
            | Body::ReadIndex { .. }
            | Body::ReadIndexReply { .. } => 0,
        },
        PeerMessage::Forward { commands, .. } => commands
            .iter()
            .map(|command| command.len() as u64 + Entry::OVERHEAD_BYTES)
            .sum(),
        PeerMessage::ForwardReply { .. } | PeerMessage::Birth { .. } => 0,
    };
    payload + size_of::<PeerMessage>() as u64
}

#[cfg(test)]
mod tests {
    use super::*;
    use bytes::Bytes;
    use quorate_core::Incarnation;

    fn forward(command_bytes: usize) -> PeerMessage {
        PeerMessage::Forward {
            request: 1,
            asker: Incarnation::new(1),
            commands: vec![Bytes::from(vec![0; command_bytes])],
        }
    }

    /// Scenario B18
    #[tokio::test]
    async fn queue_drops_what_exceeds_either_limit_and_takes_more_when_some_left() {
        let (sender, mut receiver) = queue();
        receiver.open();
        let queued = (0..MAX_MESSAGES + 10)
            .filter(|_| sender.push(forward(1)))
            .count();
        assert_eq!(queued, MAX_MESSAGES, "memory would grow with a hung peer");

        let mut batch = Vec::new();
        assert!(receiver.take(&mut batch).await);
        assert!(sender.push(forward(1)), "there is room again");
        receiver.close();

        receiver.open();
        let large = forward(usize::try_from(MAX_BYTES).unwrap() / 4);
        assert_eq!((0..10).filter(|_| sender.push(large.clone())).count(), 3);
        batch.clear();
        assert!(receiver.take(&mut batch).await);
        assert!(
            !sender.push(large.clone()),
            "what is being written counts until it has left"
        );
        receiver.written();
        assert!(sender.push(large));
    }

    /// Scenario B19
    #[test]
    fn empty_queue_takes_a_message_larger_than_its_limit() {
        let (sender, mut receiver) = queue();
        receiver.open();
        let huge = forward(usize::try_from(MAX_BYTES).unwrap() + 1);
        assert!(sender.push(huge.clone()), "it could never be sent");
        assert!(!sender.push(huge));
    }

    #[tokio::test]
    async fn closed_queue_drops_what_waited_and_what_comes() {
        let (sender, mut receiver) = queue();
        assert!(!sender.push(forward(1)), "nobody is connected yet");
        receiver.open();
        assert!(sender.push(forward(1)));
        receiver.close();
        assert!(!sender.push(forward(1)));
        receiver.open();
        assert!(sender.push(forward(2)));
        let mut batch = Vec::new();
        assert!(receiver.take(&mut batch).await);
        assert_eq!(
            batch,
            [forward(2)],
            "a stale message outlived its connection"
        );
    }

    /// A connection that is lost while it writes must not shrink the queue of the next one.
    #[tokio::test]
    async fn closing_gives_back_all_room_whatever_was_taken() {
        let (sender, mut receiver) = queue();
        let large = forward(usize::try_from(MAX_BYTES).unwrap() / 4);
        for _ in 0..5 {
            receiver.open();
            assert_eq!((0..9).filter(|_| sender.push(large.clone())).count(), 3);
            assert!(receiver.take(&mut Vec::new()).await);
            assert!(!sender.push(large.clone()));
            receiver.close();
        }
    }
}
