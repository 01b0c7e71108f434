//! Random histories of writes, restarts, crashes and failing syncs against a reference log. Every
//! seed is one history; a failure names its seed.

use fastrand::Rng;
use quorate_core::{Entry, EntryId, LogIndex, Membership, Payload, Term};
use quorate_log::{AfterFailedSync, Crash, Log, MemDisk, ReadOutcome, Write};

use crate::common::*;

const SEEDS: u64 = 200;
const ROUNDS: u64 = 40;

struct History {
    seed: u64,
    rng: Rng,
    disk: MemDisk,
    log: Option<Log<MemDisk>>,
    /// The states that the log may be in: one, unless a crash interrupted a job.
    possible: Vec<Model>,
}

impl History {
    fn new(seed: u64) -> Self {
        let disk = MemDisk::new();
        let (rng, possible) = (Rng::with_seed(seed), vec![Model::default()]);
        Self {
            seed,
            rng,
            disk,
            log: None,
            possible,
        }
    }

    fn run(&mut self) {
        for _ in 0..ROUNDS {
            match self.rng.u8(..100) {
                0..60 => self.perform(),
                60..70 => self.read(),
                70..78 => self.housekeep(),
                78..82 => self.idle(),
                82..86 => self.log = None,
                86..90 => self.crash_process(),
                90..97 => self.lose_power(),
                _ => self.fail_a_sync(),
            }
        }
        self.open();
    }

    /// Opens the log, if need be, and says in which of the possible states it is.
    fn open(&mut self) -> Model {
        if self.log.is_none() {
            let seed = self.seed;
            let mut opened =
                open(&self.disk).unwrap_or_else(|error| panic!("seed {seed}: {error}"));
            let found = Model::of(&mut opened);
            assert!(
                self.possible.contains(&found),
                "seed {seed}: {found:?} is none of {:?}",
                self.possible
            );
            self.possible = vec![found];
            self.log = Some(opened.log);
        }
        self.possible[0].clone()
    }

    fn job(&mut self, model: &Model) -> Vec<Write> {
        let mut now = model.clone();
        let mut job = Vec::new();
        for _ in 0..self.rng.usize(1..4) {
            let mut term_now = now.hard_state.term.get();
            if term_now == 0 || self.rng.u8(..5) == 0 {
                term_now += self.rng.u64(1..3);
                job.push(term(term_now));
                now.perform(&term(term_now));
            }
            let write = append(self.entries(&now, term_now));
            now.perform(&write);
            job.push(write);
        }
        job
    }

    /// Entries to append: mostly after the last one, sometimes in place of a suffix.
    fn entries(&mut self, now: &Model, highest: u64) -> Vec<Entry> {
        let length = now.entries.len() as u64;
        let back = if self.rng.u8(..4) == 0 {
            self.rng.u64(0..length.min(9) + 1)
        } else {
            0
        };
        let first = length - back + 1;
        let before = now.entries.get((first as usize).wrapping_sub(2));
        let mut at_term = before.map_or(1, |entry| entry.term.get());
        (first..first + self.rng.u64(1..5))
            .map(|at| {
                at_term = self.rng.u64(at_term..=highest);
                Entry {
                    index: index(at),
                    term: Term::new(at_term),
                    payload: self.payload(),
                }
            })
            .collect()
    }

    fn payload(&mut self) -> Payload {
        let length = match self.rng.u8(..10) {
            0 => return Payload::Noop,
            1 => return Payload::Membership(self.membership().encode()),
            2..6 => self.rng.usize(0..200),
            6..9 => self.rng.usize(200..2500),
            _ => self.rng.usize(2500..9000),
        };
        let fill = if self.rng.u8(..3) == 0 {
            0
        } else {
            self.rng.u8(..)
        };
        Payload::Command(vec![fill; length].into())
    }

    /// Now and then with an address of zeros, which has to be masked.
    fn membership(&mut self) -> Membership {
        let voters: Vec<u64> = (1..=self.rng.u64(1..6)).collect();
        let letter = if self.rng.bool() { "\0" } else { "a" };
        let longest = Membership::MAX_ADDRESS_BYTES;
        members(&voters, &letter.repeat(self.rng.usize(0..=longest)))
    }

    fn perform(&mut self) {
        let mut model = self.open();
        let job = self.job(&model);
        let log = self.log.as_mut().unwrap();
        log.perform(&job)
            .unwrap_or_else(|error| panic!("seed {}: {error}", self.seed));
        job.iter().for_each(|write| model.perform(write));
        self.possible = vec![model];
    }

    fn read(&mut self) {
        let model = self.open();
        let last = model.last().index.get();
        if last == 0 {
            return;
        }
        let from = self.rng.u64(1..=last);
        let to = model.entries[self.rng.u64(from..=last) as usize - 1].id();
        let limit = self.rng.u64(0..5000);
        let outcome = self
            .log
            .as_mut()
            .unwrap()
            .read(index(from), to, limit)
            .unwrap();
        let wanted = &model.entries[from as usize - 1..to.index.get() as usize];
        let expected = quorate_core::Entries::from(wanted.to_vec()).within(limit);
        assert_eq!(outcome, ReadOutcome::Found(expected), "seed {}", self.seed);
        let other = EntryId::new(to.index, to.term.next());
        let outcome = self
            .log
            .as_mut()
            .unwrap()
            .read(LogIndex::new(from), other, limit)
            .unwrap();
        assert_eq!(outcome, ReadOutcome::Gone, "seed {}", self.seed);
    }

    fn housekeep(&mut self) {
        self.open();
        let budget = self.rng.u64(1..5000);
        self.log.as_mut().unwrap().housekeep(budget).unwrap();
    }

    fn idle(&mut self) {
        self.open();
        self.log.as_mut().unwrap().idle().unwrap();
    }

    /// Stops the world somewhere in a job.
    fn interrupt(&mut self) {
        let model = self.open();
        let job = self.job(&model);
        self.disk.stop_after(self.rng.u64(0..12));
        if self.log.take().unwrap().perform(&job).is_ok() {
            self.possible = model.states_within(&job).pop().into_iter().collect();
        } else {
            self.possible = model.states_within(&job);
        }
    }

    fn crash_process(&mut self) {
        self.interrupt();
        self.disk.crash(Crash::Process);
    }

    fn lose_power(&mut self) {
        self.interrupt();
        let mut coin = self.rng.fork();
        let odds = coin.u8(..=4);
        self.disk.crash(Crash::Power(&mut |_| coin.u8(..4) < odds));
        // Sometimes the power fails again while the log is opened.
        if self.rng.bool() {
            self.disk.stop_after(self.rng.u64(0..14));
            drop(open(&self.disk));
            self.disk.crash(Crash::Power(&mut |_| coin.u8(..4) < odds));
        }
    }

    fn fail_a_sync(&mut self) {
        let model = self.open();
        let job = self.job(&model);
        let after = if self.rng.bool() {
            AfterFailedSync::NewContent
        } else {
            AfterFailedSync::OldContent
        };
        self.disk.fail_sync(0, after);
        let outcome = self.log.take().unwrap().perform(&job);
        assert!(
            outcome.is_err(),
            "seed {}: a failed sync was passed over",
            self.seed
        );
        self.possible = model.states_within(&job);
        self.open();
        self.log = None;
        self.disk.crash(Crash::Power(&mut |_| false));
    }
}

#[test]
fn log_agrees_with_the_reference_in_random_histories() {
    for seed in 0..SEEDS {
        History::new(seed).run();
    }
}
