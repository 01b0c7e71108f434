//! The messages that wait for one peer: bounded in number and in bytes, and none while there is no
//! connection. Full or closed, it drops what comes: a message that waited for a lost connection to
//! come back would be stale on arrival (scenario B18). Who waits for messages is not here.

use std::collections::VecDeque;

use quorate_core::{Body, Entry};

use crate::PeerMessage;

/// Messages handed to the writer at once.
const BATCH_MESSAGES: usize = 256;

/// What waits to be sent to one peer, the oldest first. New, it is closed.
#[derive(Debug, Default)]
pub struct Queue {
    open: bool,
    messages: VecDeque<PeerMessage>,
    /// Cost of what waits, and of what was taken and has not left yet.
    bytes: u64,
    /// Cost of what was taken and has not left yet.
    taken_bytes: u64,
}

impl Queue {
    /// Messages that may wait for one peer.
    pub const MAX_MESSAGES: usize = 4096;

    /// Bytes that may wait for one peer or be on their way into the connection, but always one
    /// message.
    pub const MAX_BYTES: u64 = 64 << 20;

    /// A closed queue.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Lets messages in: there is a connection.
    pub fn open(&mut self) {
        self.open = true;
    }

    /// Drops what waits, and from now on what comes: the connection is gone.
    pub fn close(&mut self) {
        self.open = false;
        self.messages.clear();
        // One burst leaves no large buffer behind.
        self.messages.shrink_to(BATCH_MESSAGES);
        self.bytes = 0;
        self.taken_bytes = 0;
    }

    /// Queues the message or drops it; says whether it was queued.
    pub fn push(&mut self, message: PeerMessage) -> bool {
        let cost = cost_bytes(&message);
        let fits = self.bytes == 0 || self.bytes.saturating_add(cost) <= Self::MAX_BYTES;
        let queued = self.open && fits && self.messages.len() < Self::MAX_MESSAGES;
        if queued {
            self.bytes += cost;
            self.messages.push_back(message);
        }
        queued
    }

    /// Whether nothing waits.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.messages.is_empty()
    }

    /// Moves what waits to `batch`, up to a number. It counts against the limit in bytes until
    /// [`Queue::written`].
    pub fn take(&mut self, batch: &mut Vec<PeerMessage>) {
        let count = self.messages.len().min(BATCH_MESSAGES);
        for message in self.messages.drain(..count) {
            self.taken_bytes += cost_bytes(&message);
            batch.push(message);
        }
    }

    /// Everything that was taken has left.
    pub fn written(&mut self) {
        self.bytes -= std::mem::take(&mut self.taken_bytes);
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
            | Body::TimeoutNow { .. }
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
            leader: Incarnation::new(2),
            commands: vec![Bytes::from(vec![0; command_bytes])],
        }
    }

    fn open() -> Queue {
        let mut queue = Queue::new();
        queue.open();
        queue
    }

    /// A message of a quarter of the limit, so that three fit.
    fn large() -> PeerMessage {
        forward(usize::try_from(Queue::MAX_BYTES).unwrap() / 4)
    }

    /// Scenario B18
    #[test]
    fn queue_drops_what_exceeds_either_limit_and_takes_more_when_some_left() {
        let mut queue = open();
        let queued = (0..Queue::MAX_MESSAGES + 10)
            .filter(|_| queue.push(forward(1)))
            .count();
        assert_eq!(
            queued,
            Queue::MAX_MESSAGES,
            "memory would grow with a hung peer"
        );
        let mut batch = Vec::new();
        queue.take(&mut batch);
        assert!(queue.push(forward(1)), "there is room again");

        let mut queue = open();
        assert_eq!((0..10).filter(|_| queue.push(large())).count(), 3);
        queue.take(&mut batch);
        assert!(
            !queue.push(large()),
            "what is being written counts until it has left"
        );
        queue.written();
        assert!(queue.push(large()));
    }

    /// Scenario B19
    #[test]
    fn empty_queue_takes_a_message_larger_than_its_limit() {
        let mut queue = open();
        let huge = forward(usize::try_from(Queue::MAX_BYTES).unwrap() + 1);
        assert!(queue.push(huge.clone()), "it could never be sent");
        assert!(!queue.push(huge));
    }

    #[test]
    fn closed_queue_drops_what_waited_and_what_comes() {
        let mut queue = Queue::new();
        assert!(!queue.push(forward(1)), "nobody is connected yet");
        queue.open();
        assert!(queue.push(forward(1)));
        queue.close();
        assert!(!queue.push(forward(1)));
        queue.open();
        assert!(queue.push(forward(2)));
        let mut batch = Vec::new();
        queue.take(&mut batch);
        assert_eq!(
            batch,
            [forward(2)],
            "a stale message outlived its connection"
        );
    }

    /// A connection that is lost while it writes must not shrink the queue of the next one.
    #[test]
    fn closing_gives_back_all_room_whatever_was_taken() {
        let mut queue = Queue::new();
        for _ in 0..5 {
            queue.open();
            assert_eq!((0..9).filter(|_| queue.push(large())).count(), 3);
            queue.take(&mut Vec::new());
            assert!(!queue.push(large()));
            queue.close();
        }
    }
}
