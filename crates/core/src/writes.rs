//! Which writes were asked for and which are on stable storage. The engine counts itself toward
//! a quorum only up to what is confirmed here [Thesis 10.2.1].

use alloc::collections::VecDeque;

use crate::{LogIndex, Time, WriteId};

/// The writes of this incarnation, in order.
#[derive(Debug)]
pub(crate) struct Writes {
    issued: WriteId,
    confirmed: WriteId,
    /// The newest save of the hard state, confirmed or not.
    hard_state: WriteId,
    pending: VecDeque<Pending>,
    /// A pause was forgiven to every write up to this one.
    forgiven: WriteId,
    /// The log is durable up to here.
    durable: LogIndex,
    /// Where the log ends once all writes are durable.
    end: LogIndex,
}

#[derive(Debug)]
struct Pending {
    write: WriteId,
    issued_at: Time,
    /// Where the log ends once this and all earlier writes are durable; lowered when a later
    /// truncation removes entries, since a confirmation then speaks of what is gone.
    log_end: Option<LogIndex>,
}

impl Writes {
    /// Nothing is pending and the log is durable up to `durable`.
    pub(crate) const fn new(durable: LogIndex) -> Self {
        Self {
            issued: WriteId::NONE,
            confirmed: WriteId::NONE,
            hard_state: WriteId::NONE,
            pending: VecDeque::new(),
            forgiven: WriteId::NONE,
            durable,
            end: durable,
        }
    }

    /// Issues a save of the hard state.
    pub(crate) fn save_hard_state(&mut self, now: Time) -> WriteId {
        self.hard_state = self.issue(now, None);
        self.hard_state
    }

    /// Issues an append of `first..=last`, which replaces whatever stood there and behind.
    pub(crate) fn append(&mut self, first: LogIndex, last: LogIndex, now: Time) -> WriteId {
        self.ends_at(first.prev());
        self.end = last;
        self.issue(now, Some(last))
    }

    /// The log was cut behind `kept`, if it reached further. The ends of pending writes never fall
    /// along the queue, so only those that reach beyond are looked at.
    fn ends_at(&mut self, kept: LogIndex) {
        if kept >= self.end {
            return;
        }
        self.end = kept;
        self.durable = self.durable.min(kept);
        let ends = self.pending.iter_mut().rev();
        for end in ends.filter_map(|pending| pending.log_end.as_mut()) {
            if *end <= kept {
                break;
            }
            *end = kept;
        }
    }

    /// Issues the installation of a snapshot that ends at `last`. Where it replaces the log,
    /// nothing behind `kept` is durable until then.
    pub(crate) fn install(
        &mut self,
        last: LogIndex,
        (discards_log, kept): (bool, LogIndex),
        now: Time,
    ) -> WriteId {
        if !discards_log {
            // The log stays, and is as durable as it was.
            return self.issue(now, None);
        }
        self.ends_at(kept);
        self.end = last;
        self.issue(now, Some(last))
    }

    fn issue(&mut self, now: Time, log_end: Option<LogIndex>) -> WriteId {
        self.issued = self.issued.next();
        self.pending.push_back(Pending {
            write: self.issued,
            issued_at: now,
            log_end,
        });
        self.issued
    }

    /// Everything up to `write` is durable. A write that was never issued confirms nothing: the
    /// host is mistaken, and believing it would acknowledge what is not there.
    pub(crate) fn confirm(&mut self, write: WriteId) {
        if write > self.issued || write <= self.confirmed {
            return;
        }
        self.confirmed = write;
        while let Some(pending) = self.pending.front()
            && pending.write <= write
        {
            if let Some(end) = pending.log_end {
                self.durable = self.durable.max(end);
            }
            self.pending.pop_front();
        }
    }

    /// The log is durable up to here.
    pub(crate) const fn durable(&self) -> LogIndex {
        self.durable
    }

    /// Whether `write` is durable.
    pub(crate) fn is_confirmed(&self, write: WriteId) -> bool {
        write <= self.confirmed
    }

    /// The write that makes the entry at `index` durable; `NONE` if it is.
    pub(crate) fn covering(&self, index: LogIndex) -> WriteId {
        if index <= self.durable {
            return WriteId::NONE;
        }
        let logs = self.pending.iter().rev();
        let logs = logs.filter_map(|pending| Some((pending.write, pending.log_end?)));
        let covering = logs.take_while(|&(_, end)| end >= index).last();
        debug_assert!(covering.is_some(), "{index} was never written");
        covering.map_or(self.issued, |(write, _)| write)
    }

    /// The newest save of the hard state if it is not yet durable, else `NONE`.
    pub(crate) fn unsaved_hard_state(&self) -> WriteId {
        if self.is_confirmed(self.hard_state) {
            WriteId::NONE
        } else {
            self.hard_state
        }
    }

    /// The process did not run for a while: a confirmation may be waiting in its queues, so the
    /// disk's time counts from now. Once for each write: a disk that is stuck must not be excused
    /// for ever by pauses that come again and again.
    pub(crate) fn forgive_pause(&mut self, now: Time) {
        let forgiven = core::mem::replace(&mut self.forgiven, self.issued);
        let pending = self.pending.iter_mut().rev();
        for pending in pending.take_while(|pending| pending.write > forgiven) {
            pending.issued_at = now;
        }
    }

    /// Since when the oldest unconfirmed write is under way.
    pub(crate) fn waiting_since(&self) -> Option<Time> {
        self.pending.front().map(|pending| pending.issued_at)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::vec::Vec;

    fn i(index: u64) -> LogIndex {
        LogIndex::new(index)
    }

    /// Scenario B15
    #[test]
    fn the_log_is_durable_only_as_far_as_confirmed() {
        let mut writes = Writes::new(i(5));
        let first = writes.append(i(6), i(8), Time::ZERO);
        let second = writes.append(i(9), i(9), Time::ZERO);
        assert_eq!(writes.covering(i(7)), first);
        assert_eq!(writes.covering(i(9)), second);
        writes.confirm(first);
        assert_eq!(writes.durable(), i(8));
        assert_eq!(writes.covering(i(8)), WriteId::NONE);
        writes.confirm(second.next());
        assert_eq!(
            writes.durable(),
            i(8),
            "a write that was never issued confirms nothing"
        );
    }

    #[test]
    fn a_confirmation_does_not_count_entries_that_were_replaced_meanwhile() {
        let mut writes = Writes::new(i(5));
        let old = writes.append(i(6), i(10), Time::ZERO);
        let new = writes.append(i(8), i(9), Time::ZERO);
        writes.confirm(old);
        assert_eq!(writes.durable(), i(7), "8..=10 of the old suffix are gone");
        assert_eq!(writes.covering(i(9)), new);
        writes.confirm(new);
        assert_eq!(writes.durable(), i(9));
    }

    #[test]
    fn a_snapshot_that_replaces_the_log_is_all_that_is_durable_then() {
        let mut writes = Writes::new(i(9));
        let old = writes.append(i(10), i(12), Time::ZERO);
        let install = writes.install(i(50), (true, i(5)), Time::ZERO);
        assert_eq!(
            writes.durable(),
            i(5),
            "what was committed stays until then"
        );
        writes.confirm(old);
        assert_eq!(writes.durable(), i(5));
        assert_eq!(writes.covering(i(50)), install);
        writes.confirm(install);
        assert_eq!(writes.durable(), i(50));
        let kept = writes.install(i(60), (false, i(50)), Time::ZERO);
        writes.confirm(kept);
        assert_eq!(writes.durable(), i(50), "the log stays as it was");
    }

    /// Where the log ends decides whether what is pending is looked at when the log is cut.
    #[test]
    fn no_write_makes_more_durable_than_the_log_holds() {
        let mut rng = fastrand::Rng::with_seed(7);
        for _ in 0..300 {
            let mut writes = Writes::new(i(rng.u64(0..9)));
            for _ in 0..30 {
                let first = rng.u64(1..=writes.end.get() + 1);
                let last = i(first + rng.u64(0..4));
                match rng.u32(0..6) {
                    0..3 => drop(writes.append(i(first), last, Time::ZERO)),
                    3 => drop(writes.install(last, (rng.bool(), i(first - 1)), Time::ZERO)),
                    4 => drop(writes.save_hard_state(Time::ZERO)),
                    _ => writes.confirm(WriteId::new(rng.u64(0..=writes.issued.get()))),
                }
                let ends = writes.pending.iter().filter_map(|pending| pending.log_end);
                let ends: Vec<LogIndex> = ends.collect();
                assert!(ends.is_sorted() && ends.iter().all(|&end| end <= writes.end));
                assert!(writes.durable <= writes.end, "{writes:?}");
            }
        }
    }

    #[test]
    fn truncation_below_the_durable_end_lowers_it_at_once() {
        let mut writes = Writes::new(i(9));
        let save = writes.save_hard_state(Time::ZERO);
        let write = writes.append(i(4), i(4), Time::ZERO);
        assert_eq!(writes.durable(), i(3));
        assert_eq!(writes.unsaved_hard_state(), save);
        writes.confirm(save);
        assert_eq!(
            (writes.durable(), writes.unsaved_hard_state()),
            (i(3), WriteId::NONE)
        );
        writes.confirm(write);
        assert_eq!(writes.durable(), i(4));
    }
}
