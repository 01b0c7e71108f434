//! The order between disk and network: writes are gathered while a storage job is under way and
//! become the next one, so that one fsync carries everything that came meanwhile; messages that
//! reveal what is not yet durable are held back until it is.

use std::collections::VecDeque;

use quorate_core::{Message, WriteId};
use quorate_log::{BirthStage, Write};

use super::io::StorageJob;

/// Messages held back for the disk, at most. They pile up only while it does not answer, and
/// then the oldest are the least useful: whoever waits for them has asked again since.
const MAX_HELD_MESSAGES: usize = 4096;

/// Writes and the messages that wait for them.
#[derive(Debug, Default)]
pub(super) struct Storage {
    waiting: Vec<Write>,
    last_waiting: WriteId,
    stage: Option<BirthStage>,
    under_way: Option<UnderWay>,
    durable: WriteId,
    held: VecDeque<(WriteId, Message)>,
}

/// The storage job that was given out.
#[derive(Debug)]
enum UnderWay {
    Write(WriteId),
    Stage(BirthStage),
}

/// What a finished job was.
#[derive(Debug)]
pub(super) enum Finished {
    /// Every write up to this one is durable.
    Write(WriteId),
    /// This stage of the birth is recorded.
    Stage(BirthStage),
}

impl Storage {
    /// Adds a write behind all before.
    pub(super) fn push(&mut self, id: WriteId, write: Write) {
        debug_assert!(
            id > self.last_waiting,
            "writes are performed in their order"
        );
        self.waiting.push(write);
        self.last_waiting = id;
    }

    /// Has a stage of the birth recorded. There are no other writes before the birth.
    pub(super) fn record(&mut self, stage: BirthStage) {
        self.stage = Some(stage);
    }

    /// Whether nothing is to be done or under way.
    pub(super) const fn is_idle(&self) -> bool {
        self.under_way.is_none() && self.waiting.is_empty() && self.stage.is_none()
    }

    /// The next job, unless one is under way.
    pub(super) fn next_job(&mut self) -> Option<StorageJob> {
        if self.under_way.is_some() {
            return None;
        }
        if let Some(stage) = self.stage.take() {
            self.under_way = Some(UnderWay::Stage(stage.clone()));
            return Some(StorageJob::Stage(stage));
        }
        if self.waiting.is_empty() {
            return None;
        }
        self.under_way = Some(UnderWay::Write(self.last_waiting));
        Some(StorageJob::Write(std::mem::take(&mut self.waiting)))
    }

    /// The job under way is done.
    pub(super) fn finish(&mut self) -> Option<Finished> {
        Some(match self.under_way.take()? {
            UnderWay::Write(id) => {
                self.durable = id;
                Finished::Write(id)
            }
            UnderWay::Stage(stage) => Finished::Stage(stage),
        })
    }

    /// Gives the message back if it may leave now, and keeps it otherwise.
    pub(super) fn hold(&mut self, needs: WriteId, message: Message) -> Option<Message> {
        if needs <= self.durable {
            return Some(message);
        }
        if self.held.len() >= MAX_HELD_MESSAGES {
            self.held.pop_front();
        }
        self.held.push_back((needs, message));
        None
    }

    /// The messages that were held back and may leave now, in the order they came.
    pub(super) fn release(&mut self) -> Vec<Message> {
        let mut released = Vec::new();
        for _ in 0..self.held.len() {
            match self.held.pop_front() {
                Some((needs, message)) if needs <= self.durable => released.push(message),
                Some(held) => self.held.push_back(held),
                None => break,
            }
        }
        released
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use quorate_core::{Body, EntryId, HardState, Incarnation, NodeId, Term};

    fn message(term: u64) -> Message {
        Message {
            from: NodeId::new(1).unwrap(),
            to: NodeId::new(2).unwrap(),
            term: Term::new(term),
            sender: Incarnation::new(1),
            receiver: Incarnation::UNKNOWN,
            body: Body::Vote {
                last: EntryId::NONE,
                transfer: false,
            },
        }
    }

    #[test]
    fn what_comes_during_a_job_becomes_one_next_job() {
        let mut storage = Storage::default();
        let save = || Write::HardState(HardState::default());
        storage.push(WriteId::new(1), save());
        assert!(matches!(storage.next_job(), Some(StorageJob::Write(writes)) if writes.len() == 1));
        storage.push(WriteId::new(2), save());
        storage.push(WriteId::new(3), save());
        assert!(storage.next_job().is_none(), "one job at a time");
        assert!(matches!(storage.finish(), Some(Finished::Write(id)) if id == WriteId::new(1)));
        assert!(matches!(storage.next_job(), Some(StorageJob::Write(writes)) if writes.len() == 2));
    }

    /// Scenarios A01, B15
    #[test]
    fn a_message_leaves_only_when_what_it_reveals_is_durable() {
        let mut storage = Storage::default();
        storage.push(WriteId::new(1), Write::HardState(HardState::default()));
        assert!(storage.hold(WriteId::new(1), message(1)).is_none());
        assert!(
            storage.hold(WriteId::NONE, message(2)).is_some(),
            "it needs no write"
        );
        let _ = storage.next_job();
        assert!(storage.release().is_empty(), "the write is only under way");
        let _ = storage.finish();
        assert_eq!(storage.release(), [message(1)]);
        assert!(storage.release().is_empty());
    }

    /// Scenario B18
    #[test]
    fn a_disk_that_does_not_answer_does_not_fill_the_memory() {
        let mut storage = Storage::default();
        for term in 0..2 * MAX_HELD_MESSAGES as u64 {
            assert!(storage.hold(WriteId::new(1), message(term)).is_none());
        }
        assert_eq!(storage.held.len(), MAX_HELD_MESSAGES);
        let kept = storage.held.iter().map(|(_, message)| message.term.get());
        let newest = MAX_HELD_MESSAGES as u64..2 * MAX_HELD_MESSAGES as u64;
        assert!(kept.eq(newest), "what is newest is of most use");
    }
}
