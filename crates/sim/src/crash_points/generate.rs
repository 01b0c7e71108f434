//! A trace from a seed: what a host may do, with everything in it that the log has to tell apart.
//! Jobs of several batches, terms that rise, suffixes that are replaced, entries of all sizes in
//! small segments, preparation that is interrupted, and crashes after which it goes on. How much
//! there is of each differs from seed to seed.

use quorate_core::{Entry, EntryId, Floor, HardState, LogIndex, Membership, NodeId, Payload, Term};
use quorate_log::{BirthStage, DirectoryId, Write};

use super::call::{Call, Trace};
use super::held::Held;
use super::survivors::Survivors;
use crate::choice::Choices;
use crate::site::Site;

/// The trace of a seed.
#[derive(Debug)]
pub struct Generated {
    choices: Choices,
    left: u64,
    segment_bytes: u64,
    /// Of 100 calls, so many are crashes or failing syncs.
    faults: u64,
    /// Of 100 calls, so many prepare a segment.
    housekeeping: u64,
    /// Of so many appends, one replaces a suffix.
    replacing: u64,
    /// Of 20 entries, so many are longer than a sector.
    long: u64,
}

impl Generated {
    /// The first `calls` calls of the trace of `seed`. Its segments have `segment_bytes` at the
    /// start.
    #[must_use]
    pub fn new(seed: u64, calls: u64, segment_bytes: u64) -> Self {
        let mut choices = Choices::new(seed);
        let site = Site::StorageCall;
        Self {
            left: calls,
            segment_bytes,
            faults: choices.pick(&[0, 6, 15, 40], site),
            housekeeping: choices.pick(&[0, 10, 25], site),
            replacing: choices.pick(&[2, 4, 50], site),
            long: choices.pick(&[0, 5, 9, 15], site),
            choices,
        }
    }

    fn choose(&mut self, n: u64) -> u64 {
        self.choices.choose(n, Site::StorageCall)
    }

    fn call(&mut self, held: &Held) -> Call {
        if self.choose(100) < self.faults {
            return self.fault(held);
        }
        if self.choose(100) < self.housekeeping {
            let budget_bytes = self.budget();
            return Call::Housekeep { budget_bytes };
        }
        match self.choose(80) {
            0..62 => Call::Perform(self.job(held)),
            62..68 => Call::Idle,
            68..73 => self.stage(held),
            _ => Call::Reopen {
                close: self.choose(2) == 0,
                segment_bytes: self.segment(),
            },
        }
    }

    fn fault(&mut self, held: &Held) -> Call {
        let during = match self.choose(8) {
            0 => Call::Reopen {
                close: self.choose(2) == 0,
                segment_bytes: self.segment_bytes,
            },
            1 => Call::Housekeep {
                budget_bytes: self.budget(),
            },
            2 => self.stage(held),
            _ => Call::Perform(self.job(held)),
        };
        let during = Box::new(during);
        if self.choose(5) == 0 {
            return Call::FailSync {
                during,
                skip: self.choose(4),
                old_content: self.choose(2) == 0,
            };
        }
        let survivors = match self.choose(5) {
            0 => Survivors::Process,
            1 => Survivors::None,
            2 => Survivors::All,
            _ => Survivors::Drawn(self.choose(1 << 32)),
        };
        Call::Crash {
            during,
            after: self.choose(10),
            survivors,
        }
    }

    fn budget(&mut self) -> u64 {
        match self.choose(3) {
            0 => u64::MAX / 2,
            _ => 1 + self.choose(3000),
        }
    }

    fn segment(&mut self) -> u64 {
        if self.choose(2) == 0 {
            self.segment_bytes = 4096 + 512 * self.choose(9);
        }
        self.segment_bytes
    }

    fn stage(&mut self, held: &Held) -> Call {
        let node = NodeId::new(1 + self.choose(3));
        let directory = DirectoryId(u128::from(self.choose(u64::MAX)));
        let founding = || node.map(|node| (node, directory)).into_iter().collect();
        Call::Stage(match &held.stage {
            BirthStage::New => BirthStage::Prepared(founding()),
            BirthStage::Prepared(founding) | BirthStage::Born(founding) => {
                BirthStage::Born(founding.clone())
            }
        })
    }

    /// The writes of one job. They are done to a copy of the log, as each has to fit the last.
    fn job(&mut self, held: &Held) -> Vec<Write> {
        let mut now = held.clone();
        let mut job = Vec::new();
        for _ in 0..=self.choose(3) {
            if now.hard_state.term == Term::ZERO || self.choose(4) == 0 {
                let write = Write::HardState(self.hard_state(&now));
                now.write(&write);
                job.push(write);
            }
            if self.choose(8) > 0 {
                let write = Write::Append(self.entries(&now).into());
                now.write(&write);
                job.push(write);
            }
        }
        job
    }

    /// A higher term, or a vote in the present one.
    fn hard_state(&mut self, now: &Held) -> HardState {
        let saved = now.hard_state;
        let may_vote = saved.vote.is_none() && saved.term > Term::ZERO;
        let term = if may_vote && self.choose(2) == 0 {
            saved.term
        } else {
            Term::new(saved.term.get() + 1 + self.choose(2))
        };
        let floor = match self.choose(8) {
            0 => Some(Floor::AnyIndexOf(term)),
            1 => Some(Floor::At(EntryId::new(
                LogIndex::new(self.choose(99)),
                term,
            ))),
            _ => None,
        };
        // Nobody has the number 0, so it is no vote.
        let vote = NodeId::new(self.choose(4));
        HardState { term, vote, floor }
    }

    /// Entries: mostly after the last one, sometimes in place of a suffix.
    fn entries(&mut self, now: &Held) -> Vec<Entry> {
        let length = now.entries.len() as u64;
        let back = match self.choose(self.replacing) {
            0 => self.choose(length.min(9) + 1),
            _ => 0,
        };
        let first = length - back;
        let before = usize::try_from(first)
            .ok()
            .and_then(|first| now.entries.get(first.checked_sub(1)?));
        let highest = now.hard_state.term.get();
        let mut term = before.map_or(1, |entry| entry.term.get());
        (0..=self.choose(4))
            .map(|at| {
                // Mostly the newest term, sometimes older ones that a leader brings.
                let rise = self.choose(highest - term + 1);
                term = if self.choose(3) == 0 {
                    term + rise
                } else {
                    highest
                };
                Entry {
                    index: LogIndex::new(first + 1 + at),
                    term: Term::new(term),
                    payload: self.payload(),
                }
            })
            .collect()
    }

    fn payload(&mut self) -> Payload {
        let is_long = self.choose(20) < self.long;
        let length = match self.choose(12) {
            0 => return Payload::Noop,
            1 => return Payload::Membership(self.membership().encode()),
            _ if !is_long => self.choose(200),
            2..6 => 200 + self.choose(1200),
            // About as long as whole sectors, with and without a frame around.
            6..10 => (512 * (1 + self.choose(4))).saturating_sub(self.choose(130)),
            _ => 2500 + self.choose(4000),
        };
        // Zeros have to be masked.
        let fill = if self.choose(3) == 0 {
            0
        } else {
            self.choose(256) as u8
        };
        let length = usize::try_from(length).unwrap_or(usize::MAX);
        Payload::Command(vec![fill; length].into())
    }

    fn membership(&mut self) -> Membership {
        let voters = (1..=1 + self.choose(5)).filter_map(NodeId::new);
        let members = Membership::new(voters, []);
        let letter = if self.choose(2) == 0 { "\0" } else { "a" };
        let length = usize::try_from(self.choose(900)).unwrap_or(usize::MAX);
        match NodeId::new(1) {
            Some(node) => members.with_address(node, letter.repeat(length)),
            None => members,
        }
    }
}

impl Trace for Generated {
    fn next(&mut self, held: &Held) -> Option<Call> {
        self.left = self.left.checked_sub(1)?;
        Some(self.call(held))
    }
}
