//! The queue of messages to one peer, with a task that waits at its end. What is queued and what
//! is dropped is decided in `link/queue.rs`.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::Notify;

use crate::PeerMessage;
use crate::link::Queue;

/// What both ends know. A lock, because a transport is built on one thread and runs on another;
/// nobody holds it for longer than it takes to move messages.
#[derive(Debug, Default)]
struct Shared {
    state: Mutex<State>,
    /// Told when there is something to take, or never will be again.
    wake: Notify,
}

#[derive(Debug, Default)]
struct State {
    queue: Queue,
    /// The sender is gone: what waits is all there will be.
    ended: bool,
}

impl Shared {
    /// No operation leaves the queue half changed, so a panic elsewhere while the lock was held
    /// does no harm.
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A closed queue.
pub(super) fn queue() -> (Sender, Receiver) {
    let shared = Arc::new(Shared::default());
    (Sender(shared.clone()), Receiver(shared))
}

/// The driver's end.
#[derive(Debug)]
pub(super) struct Sender(Arc<Shared>);

impl Sender {
    /// Queues the message or drops it. Never blocks.
    pub(super) fn push(&self, message: PeerMessage) {
        let mut state = self.0.lock();
        let was_empty = state.queue.is_empty();
        let queued = state.queue.push(message);
        drop(state);
        // Whoever finds the queue empty waits, and nobody else does.
        if was_empty && queued {
            self.0.wake.notify_one();
        }
    }
}

impl Drop for Sender {
    fn drop(&mut self) {
        self.0.lock().ended = true;
        self.0.wake.notify_one();
    }
}

/// The connection's end.
#[derive(Debug)]
pub(super) struct Receiver(Arc<Shared>);

impl Receiver {
    /// Lets messages in: there is a connection.
    pub(super) fn open(&mut self) {
        self.0.lock().queue.open();
    }

    /// Drops what waits, and from now on what comes: the connection is gone.
    pub(super) fn close(&mut self) {
        self.0.lock().queue.close();
    }

    /// Waits for messages and moves those that wait to `batch`. `false` once the sender is gone.
    /// They count against the limit until [`Receiver::written`].
    ///
    /// Cancelling loses nothing.
    pub(super) async fn take(&mut self, batch: &mut Vec<PeerMessage>) -> bool {
        loop {
            {
                let mut state = self.0.lock();
                if !state.queue.is_empty() {
                    state.queue.take(batch);
                    return true;
                }
                if state.ended {
                    return false;
                }
            }
            // Told between the look and here, it returns at once.
            self.0.wake.notified().await;
        }
    }

    /// Everything that was taken has left.
    pub(super) fn written(&mut self) {
        self.0.lock().queue.written();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use quorate_core::Incarnation;

    fn forward(request: u64) -> PeerMessage {
        PeerMessage::Forward {
            request,
            asker: Incarnation::new(1),
            leader: Incarnation::new(2),
            commands: Vec::new(),
        }
    }

    #[tokio::test]
    async fn receiver_wakes_for_each_message_and_for_the_end() {
        let (sender, mut receiver) = queue();
        receiver.open();
        let receive = tokio::spawn(async move {
            let mut all = Vec::new();
            while receiver.take(&mut all).await {
                receiver.written();
            }
            all
        });
        for request in 0..3 {
            sender.push(forward(request));
            tokio::task::yield_now().await;
        }
        // Not taken yet when the sender goes: it is the last word.
        sender.push(forward(3));
        drop(sender);
        let all: Vec<PeerMessage> = (0..4).map(forward).collect();
        assert_eq!(receive.await.unwrap(), all);
    }

    #[tokio::test(start_paused = true)]
    async fn cancelled_wait_loses_no_message() {
        let (sender, mut receiver) = queue();
        receiver.open();
        let mut batch = Vec::new();
        let moment = std::time::Duration::from_millis(1);
        let waited = tokio::time::timeout(moment, receiver.take(&mut batch)).await;
        assert!(waited.is_err(), "there was nothing to take");
        sender.push(forward(1));
        assert!(receiver.take(&mut batch).await);
        assert_eq!(batch, [forward(1)]);
    }
}
