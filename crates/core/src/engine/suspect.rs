//! A node that may have lost entries that it acknowledged: what it may not do meanwhile is said
//! where it would be done (`election.rs`, `vote.rs`); here is how it ends.

use super::Engine;
use crate::telemetry::tell;
use crate::{Floor, HardState, Incarnation, LogIndex};

impl Engine {
    /// A leader of the present term tells the end of its log, to the life it names. What this
    /// node acknowledged in this term before its start was to this leader, whose log only grows.
    pub(super) fn note_leaders_last(&mut self, (receiver, last): (Incarnation, LogIndex)) {
        let term = self.hard.term;
        let is_known = self.leaders_last.is_some_and(|(known, _)| known == term);
        if receiver == self.life && !is_known {
            self.leaders_last = Some((term, last));
        }
    }

    /// Whatever this node may have acknowledged, it holds again: it counts in full from when
    /// that is saved.
    #[inline]
    pub(super) fn end_suspicion(&mut self) {
        if let Some(floor) = self.hard.floor {
            self.end_suspicion_above(floor);
        }
    }

    fn end_suspicion_above(&mut self, floor: Floor) {
        let durable = self
            .log
            .id_at(self.writes.durable().max(self.log.before().index));
        let is_repaired = match floor {
            Floor::At(floor) => durable.at_least_as_recent_as(floor),
            Floor::AnyIndexOf(term) => {
                let reaches = |(told_in, last)| {
                    told_in == term && durable.term == term && durable.index >= last
                };
                durable.term > term || self.leaders_last.is_some_and(reaches)
            }
        };
        if is_repaired {
            tell!(INFO, node = %self.config.id, last = %durable, "repaired");
            self.save_hard_state(HardState {
                floor: None,
                ..self.hard
            });
        }
    }
}
