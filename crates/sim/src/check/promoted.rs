//! PromotedCaughtUp: a node becomes a voter only when it holds nearly everything, durably, and
//! has not lost anything: it would delay the next commits otherwise (scenario C11) [Thesis 4.2.1].

use std::collections::VecDeque;
use std::time::Duration;

use quorate_core::{LogIndex, NodeId, Term, Time};

use super::{Check, LifeId, Property, broken};

/// Where the log of a leader ended lately, by its clock. Only in its present leadership, in which
/// nothing is cut off: before it the log may have been longer, by entries that are gone.
#[derive(Debug, Default)]
pub(crate) struct LogEnds {
    term: Term,
    ends: VecDeque<(Time, LogIndex)>,
}

impl LogEnds {
    /// The log ends at `last` now, at a node that leads in this term if it leads. What is older
    /// than `keep` is forgotten, but for one.
    pub(crate) fn note(
        &mut self,
        now: Time,
        leads_in: Option<Term>,
        last: LogIndex,
        keep: Duration,
    ) {
        let Some(term) = leads_in else {
            self.ends.clear();
            return;
        };
        if self.term != term {
            self.term = term;
            self.ends.clear();
        }
        if self.ends.back().is_none_or(|(_, known)| *known != last) {
            self.ends.push_back((now, last));
        }
        // One that is old enough is all that is needed.
        while self
            .ends
            .get(1)
            .is_some_and(|(at, _)| now.since(*at) > keep)
        {
            self.ends.pop_front();
        }
    }

    /// Where the log ended longer than `ago` before `now`, as far as is known.
    pub(crate) fn before(&self, now: Time, ago: Duration) -> LogIndex {
        let mut old = self.ends.iter().filter(|(at, _)| now.since(*at) > ago);
        old.next_back().map_or(LogIndex::NONE, |(_, last)| *last)
    }
}

/// `leader` makes `node` a voter; whether its disk `holds` the leader's log up to `needed`, where
/// that ended a while ago, and whether it `is_suspect`.
pub(crate) fn becomes_voter(
    leader: LifeId,
    node: NodeId,
    needed: LogIndex,
    holds: bool,
    is_suspect: bool,
) -> Check {
    if holds && !is_suspect {
        return Ok(());
    }
    broken(
        Property::PromotedCaughtUp,
        format_args!(
            "{leader} makes {node} a voter, which lacks entries up to {needed} or lost some \
             (suspect: {is_suspect})"
        ),
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::check::testing::{i, life, must_fire, n};

    #[test]
    fn log_ends_of_an_earlier_leadership_are_forgotten() {
        let at = |millis| Time::ZERO.after(Duration::from_millis(millis));
        let long = Duration::from_millis(100);
        let mut ends = LogEnds::default();
        let term = |term| Some(Term::new(term));
        ends.note(at(0), term(1), i(20), long);
        ends.note(at(50), term(1), i(30), long);
        assert_eq!(ends.before(at(100), long), LogIndex::NONE, "not yet");
        assert_eq!(ends.before(at(101), long), i(20));
        ends.note(at(200), term(1), i(31), long);
        assert_eq!(ends.before(at(200), long), i(30));
        ends.note(at(210), None, i(12), long);
        ends.note(at(220), term(3), i(13), long);
        ends.note(at(290), term(5), i(14), long);
        assert_eq!(ends.before(at(330), long), LogIndex::NONE);
        assert_eq!(ends.before(at(391), long), i(14));
    }

    #[test]
    fn fires_when_the_new_voter_lags_or_lost_entries() {
        let becomes = |holds, suspect| becomes_voter(life(1), n(4), i(9), holds, suspect);
        assert!(becomes(true, false).is_ok());
        must_fire(Property::PromotedCaughtUp, becomes(false, false));
        must_fire(Property::PromotedCaughtUp, becomes(true, true));
    }
}
