//! What the clients were promised: which writes were acknowledged, and how far every register had
//! come when a read began. Pure bookkeeping; no network.
//!
//! Each client writes numbers that only rise, each under a key of its own and, in the same
//! command, into a register that everybody reads. A read that answers less than what was
//! acknowledged, or read by anybody, before it began went back in time. After a write with an
//! unknown outcome the client goes on with a fresh register: the old one may change at any later
//! time, and rightly so.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};

use tokio::sync::watch;

/// The promises of one run.
#[derive(Debug)]
pub(super) struct History {
    writers: Vec<Mutex<Writer>>,
    /// Writes given out, acknowledged or not.
    issued: AtomicU64,
    acknowledged: watch::Sender<u64>,
    wanted: u64,
    reads: AtomicU64,
    stale: AtomicU64,
    unknown: AtomicU64,
}

#[derive(Debug, Default)]
struct Writer {
    next: u64,
    acknowledged: Vec<u64>,
    registers: Vec<Register>,
}

/// The newest number that everybody may rely on.
#[derive(Debug, Default)]
struct Register {
    floor: u64,
}

/// A write that a client is to do: `number` under [`Ticket::key`] and in [`Ticket::register`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Ticket {
    client: usize,
    life: usize,
    pub(super) number: u64,
}

impl Ticket {
    /// The key that only this write touches.
    pub(super) fn key(self) -> String {
        key(self.client, self.number)
    }

    /// The key of the register.
    pub(super) fn register(self) -> String {
        register(self.client, self.life)
    }
}

/// A read under way, and what it must answer at least.
#[derive(Clone, Copy, Debug)]
pub(super) struct Look {
    client: usize,
    life: usize,
    floor: u64,
}

impl Look {
    /// The key to read.
    pub(super) fn register(self) -> String {
        register(self.client, self.life)
    }
}

fn key(client: usize, number: u64) -> String {
    format!("write:{client}:{number}")
}

fn register(client: usize, life: usize) -> String {
    format!("register:{client}:{life}")
}

impl History {
    /// Nothing promised yet, for `clients` that are to get `wanted` writes acknowledged.
    pub(super) fn new(clients: usize, wanted: u64) -> Self {
        let writer = || Writer {
            next: 1,
            registers: vec![Register::default()],
            ..Writer::default()
        };
        Self {
            writers: (0..clients).map(|_| Mutex::new(writer())).collect(),
            issued: AtomicU64::new(0),
            acknowledged: watch::Sender::new(0),
            wanted,
            reads: AtomicU64::new(0),
            stale: AtomicU64::new(0),
            unknown: AtomicU64::new(0),
        }
    }

    /// How many clients there are.
    pub(super) fn clients(&self) -> usize {
        self.writers.len()
    }

    /// The next write of a client; none if the others will bring in what is missing.
    pub(super) fn next_write(&self, client: usize) -> Option<Ticket> {
        let free = |issued| (issued < self.wanted).then_some(issued + 1);
        self.issued
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, free)
            .ok()?;
        self.with(client, |writer| {
            let number = writer.next;
            writer.next += 1;
            Ticket {
                client,
                life: writer.registers.len() - 1,
                number,
            }
        })
    }

    /// The write is promised for ever.
    pub(super) fn acknowledge(&self, ticket: Ticket) {
        self.with(ticket.client, |writer| {
            writer.acknowledged.push(ticket.number);
            writer.raise(ticket.life, ticket.number);
        });
        self.acknowledged.send_modify(|count| *count += 1);
    }

    /// Nobody knows whether the write took effect, or will. Another one is to be done for it.
    pub(super) fn give_up(&self, ticket: Ticket) {
        self.with(ticket.client, |writer| {
            writer.registers.push(Register::default());
        });
        self.issued.fetch_sub(1, Ordering::Relaxed);
        self.unknown.fetch_add(1, Ordering::Relaxed);
    }

    /// Begins a read of the newest register of `client`.
    pub(super) fn begin_read(&self, client: usize) -> Option<Look> {
        self.with(client, |writer| {
            let floor = writer.registers.last()?.floor;
            Some(Look {
                client,
                life: writer.registers.len() - 1,
                floor,
            })
        })?
    }

    /// The read has answered this number; 0 for no value.
    pub(super) fn end_read(&self, look: Look, answer: u64) {
        self.reads.fetch_add(1, Ordering::Relaxed);
        if answer < look.floor {
            self.stale.fetch_add(1, Ordering::Relaxed);
        }
        self.with(look.client, |writer| writer.raise(look.life, answer));
    }

    /// Every acknowledged write: the key and the number it must hold.
    pub(super) fn promises(&self) -> Vec<(String, u64)> {
        let mut promises = Vec::new();
        for client in 0..self.clients() {
            self.with(client, |writer| {
                let numbers = writer.acknowledged.iter();
                promises.extend(numbers.map(|&number| (key(client, number), number)));
            });
        }
        promises
    }

    /// Every register and the least it must hold.
    pub(super) fn floors(&self) -> Vec<(String, u64)> {
        let mut floors = Vec::new();
        for client in 0..self.clients() {
            self.with(client, |writer| {
                let registers = writer.registers.iter().enumerate();
                floors.extend(registers.map(|(life, it)| (register(client, life), it.floor)));
            });
        }
        floors
    }

    /// Waits until this many writes are acknowledged.
    pub(super) async fn acknowledged_reaches(&self, count: u64) {
        // Cannot fail: the sender is here.
        let _ = self
            .acknowledged
            .subscribe()
            .wait_for(|done| *done >= count)
            .await;
    }

    /// Writes acknowledged so far.
    pub(super) fn acknowledged(&self) -> u64 {
        *self.acknowledged.borrow()
    }

    /// Writes to be acknowledged.
    pub(super) const fn wanted(&self) -> u64 {
        self.wanted
    }

    /// Reads answered so far.
    pub(super) fn reads(&self) -> u64 {
        self.reads.load(Ordering::Relaxed)
    }

    /// Reads that went back in time.
    pub(super) fn stale(&self) -> u64 {
        self.stale.load(Ordering::Relaxed)
    }

    /// Writes with an unknown outcome.
    pub(super) fn unknown(&self) -> u64 {
        self.unknown.load(Ordering::Relaxed)
    }

    fn with<T>(&self, client: usize, act: impl FnOnce(&mut Writer) -> T) -> Option<T> {
        let writer = self.writers.get(client)?;
        Some(act(&mut writer
            .lock()
            .unwrap_or_else(PoisonError::into_inner)))
    }
}

impl Writer {
    fn raise(&mut self, life: usize, number: u64) {
        if let Some(register) = self.registers.get_mut(life) {
            register.floor = register.floor.max(number);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn read_is_stale_when_it_misses_a_write_acknowledged_before_it_began() {
        let history = History::new(2, 10);
        let early = history.begin_read(0).unwrap();
        let first = history.next_write(0).unwrap();
        history.acknowledge(first);
        history.end_read(early, 0);
        assert_eq!(history.stale(), 0, "a write during the read may be missed");
        let late = history.begin_read(0).unwrap();
        history.end_read(late, 0);
        assert_eq!(history.stale(), 1, "a lost or late write goes unnoticed");
    }

    #[test]
    fn read_is_stale_when_another_read_saw_more_before_it_began() {
        let history = History::new(1, 10);
        let unacknowledged = history.next_write(0).unwrap();
        let look = history.begin_read(0).unwrap();
        history.end_read(look, unacknowledged.number);
        let look = history.begin_read(0).unwrap();
        history.end_read(look, 0);
        assert_eq!(history.stale(), 1, "two reads disagree about the past");
    }

    #[test]
    fn unknown_write_moves_its_client_to_a_fresh_register_and_is_made_up_for() {
        let history = History::new(1, 2);
        let lost = history.next_write(0).unwrap();
        history.give_up(lost);
        let next = history.next_write(0).unwrap();
        assert_ne!(
            next.register(),
            lost.register(),
            "a late effect would look like a stale read"
        );
        assert_ne!(next.key(), lost.key());
        history.acknowledge(next);
        assert!(
            history.next_write(0).is_some(),
            "the unknown write does not count"
        );
        assert!(history.next_write(0).is_none(), "more writes than wanted");
        assert_eq!(history.promises(), [(next.key(), next.number)]);
        assert_eq!((history.unknown(), history.acknowledged()), (1, 1));
    }
}
