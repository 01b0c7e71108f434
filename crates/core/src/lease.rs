//! When the rounds of a leader were asked, which is what a lease is counted from: an answer says
//! that the peer was silent to others from when it got the question, and that was not before it
//! was sent (scenario E08) [Thesis 6.4.1]. Who has answered is in `progress.rs`; when a lease is
//! used is decided in `engine/read.rs`.

use alloc::collections::VecDeque;

use core::time::Duration;

use crate::{Round, Time};

/// The lease of one leadership. Without a duration it is never valid.
#[derive(Debug)]
pub(crate) struct Lease {
    duration: Option<Duration>,
    asked: VecDeque<(Round, Time)>,
    /// Over for this term: leadership was to be handed over, and whoever was told to campaign
    /// needs nobody's silence (scenario E06).
    is_over: bool,
}

impl Lease {
    pub(crate) const fn new(duration: Option<Duration>) -> Self {
        Self {
            duration,
            asked: VecDeque::new(),
            is_over: false,
        }
    }

    /// `round` leaves now. Rounds are asked in rising order.
    pub(crate) fn asked(&mut self, round: Round, now: Time) {
        let Some(duration) = self.duration else {
            return;
        };
        // An older round could not carry a lease any more, whoever answers it.
        while self
            .asked
            .pop_front_if(|(_, at)| at.after(duration) <= now)
            .is_some()
        {}
        if self.asked.back().is_none_or(|&(_, at)| at < now) {
            self.asked.push_back((round, now));
        }
    }

    /// Until when reads may be served if a majority has answered `answered`.
    pub(crate) fn until(&self, answered: Round) -> Option<Time> {
        let duration = self.duration.filter(|_| !self.is_over)?;
        let position = self.asked.partition_point(|&(round, _)| round <= answered);
        let (_, at) = self.asked.get(position.checked_sub(1)?)?;
        Some(at.after(duration))
    }

    /// Answers to anything asked so far prove nothing any more: the process paused, and its
    /// clock may have run while it did not look (scenario E11).
    pub(crate) fn void(&mut self) {
        self.asked.clear();
    }

    /// Ends the lease for this term.
    pub(crate) const fn end(&mut self) {
        self.is_over = true;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(millis: u64) -> Time {
        Time::ZERO.after(Duration::from_millis(millis))
    }

    fn lease() -> Lease {
        let mut lease = Lease::new(Some(Duration::from_millis(100)));
        lease.asked(Round::new(1), at(0));
        lease.asked(Round::new(2), at(50));
        lease
    }

    /// Scenario E08
    #[test]
    fn a_lease_counts_from_when_the_answered_round_was_asked() {
        assert_eq!(lease().until(Round::ZERO), None, "nothing was answered");
        assert_eq!(lease().until(Round::new(1)), Some(at(100)));
        assert_eq!(lease().until(Round::new(2)), Some(at(150)));
        assert_eq!(lease().until(Round::new(9)), Some(at(150)));
    }

    /// Scenarios E06, E11
    #[test]
    fn a_pause_voids_what_was_asked_and_a_transfer_all_that_will_be() {
        let mut paused = lease();
        paused.void();
        assert_eq!(paused.until(Round::new(2)), None);
        paused.asked(Round::new(3), at(900));
        assert_eq!(
            paused.until(Round::new(3)),
            Some(at(1000)),
            "a new answer, a new lease"
        );
        let mut over = lease();
        over.end();
        over.asked(Round::new(3), at(60));
        assert_eq!(over.until(Round::new(3)), None);
    }

    #[test]
    fn old_rounds_are_forgotten() {
        let mut lease = lease();
        lease.asked(Round::new(3), at(120));
        assert_eq!(lease.until(Round::new(1)), None, "it had run out anyway");
        assert_eq!(lease.asked.len(), 2);
        // Reads may ask many within one tick.
        for round in 4..100 {
            lease.asked(Round::new(round), at(120));
        }
        assert_eq!(lease.asked.len(), 2, "rounds of one moment are as one");
        assert_eq!(lease.until(Round::new(99)), Some(at(220)));
    }

    #[test]
    fn without_a_duration_there_is_no_lease() {
        let mut none = Lease::new(None);
        none.asked(Round::new(1), at(0));
        assert_eq!(none.until(Round::new(1)), None);
    }
}
