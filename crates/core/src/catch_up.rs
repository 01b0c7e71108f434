//! Whether a peer keeps up, judged in rounds [Thesis 4.2.1]: a round is over when the peer holds
//! what the log held at its start. A peer that ends a round within one election timeout would
//! delay a commit by no more than that if it were a voter.

use core::time::Duration;

use crate::{LogIndex, Time};

/// The rounds of one peer.
#[derive(Clone, Copy, Debug)]
pub(crate) struct CatchUp {
    /// The round is over when the peer holds everything up to here.
    target: LogIndex,
    since: Time,
    /// Rounds that were over since the peer was first sent anything.
    rounds: u32,
    is_fast: bool,
}

impl CatchUp {
    /// The first round: everything up to `last`.
    pub(crate) const fn new(last: LogIndex, now: Time) -> Self {
        Self {
            target: last,
            since: now,
            rounds: 0,
            is_fast: false,
        }
    }

    /// The peer holds everything up to `matched` of a log that ends at `last`.
    pub(crate) fn matched(
        &mut self,
        matched: LogIndex,
        last: LogIndex,
        (now, patience): (Time, Duration),
    ) {
        if matched < self.target {
            return;
        }
        self.is_fast = now.since(self.since) <= patience;
        self.rounds = self.rounds.saturating_add(1);
        self.target = last;
        self.since = now;
    }

    /// The peer holds less than it did: its last round says nothing of how long it will take now.
    pub(crate) const fn begin_anew(&mut self) {
        self.is_fast = false;
    }

    /// Whether the last round was short enough, and this one still can be.
    pub(crate) fn is_caught_up(&self, matched: LogIndex, now: Time, patience: Duration) -> bool {
        self.is_fast && (matched >= self.target || now.since(self.since) <= patience)
    }

    /// How many rounds were over.
    pub(crate) const fn rounds(&self) -> u32 {
        self.rounds
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PATIENCE: Duration = Duration::from_millis(250);

    fn i(index: u64) -> LogIndex {
        LogIndex::new(index)
    }

    fn at(millis: u64) -> Time {
        Time::ZERO.after(Duration::from_millis(millis))
    }

    /// [Thesis 4.2.1]
    #[test]
    fn a_peer_has_caught_up_when_a_round_was_short() {
        let mut peer = CatchUp::new(i(1000), Time::ZERO);
        peer.matched(i(999), i(1100), (at(900), PATIENCE));
        assert!(
            !peer.is_caught_up(i(999), at(900), PATIENCE),
            "the round goes on"
        );
        peer.matched(i(1000), i(1100), (at(1000), PATIENCE));
        assert!(
            !peer.is_caught_up(i(1000), at(1000), PATIENCE),
            "it was too long"
        );
        peer.matched(i(1100), i(1110), (at(1200), PATIENCE));
        assert!(peer.is_caught_up(i(1100), at(1200), PATIENCE));
        assert_eq!(peer.rounds(), 2);
    }

    #[test]
    fn a_peer_that_falls_silent_has_not_caught_up_any_more() {
        let mut peer = CatchUp::new(i(10), Time::ZERO);
        peer.matched(i(10), i(20), (at(10), PATIENCE));
        assert!(peer.is_caught_up(i(10), at(100), PATIENCE));
        assert!(
            !peer.is_caught_up(i(10), at(500), PATIENCE),
            "it owes what came since"
        );
        assert!(
            peer.is_caught_up(i(20), at(500), PATIENCE),
            "it owes nothing"
        );
    }
}
