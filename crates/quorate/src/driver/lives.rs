//! The lives of other nodes, as far as passing proposals on depends on them: which life the leader
//! has, and which batches each life of each node has passed on to us. Who waits is in `waiters.rs`.

use std::collections::VecDeque;

use quorate_core::{Body, Incarnation, Message, NodeId, Term};

/// Lives of which the newest batch is remembered, at most. A copy of a batch would have to arrive
/// later than batches of as many other lives to be taken for a new one.
const MAX_LIVES: usize = 256;

/// Which life of the leader proposals are passed on to. A term's leader has one: its next life
/// does not lead before a later term.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum LeaderLife {
    /// No leader has spoken in this term.
    Unheard,
    /// The leader has spoken, in this life.
    Heard(Incarnation),
    /// A later life of it has spoken, which does not lead.
    Over,
}

/// What a message shows of its sender's life.
#[derive(Clone, Copy, Debug)]
pub(super) struct Heard {
    pub(super) from: NodeId,
    life: Incarnation,
    term: Term,
    /// Only the leader of its term says this.
    leads: bool,
}

impl From<&Message> for Heard {
    fn from(message: &Message) -> Self {
        Self {
            from: message.from,
            life: message.sender,
            term: message.term,
            leads: match message.body {
                Body::Append { .. } | Body::SnapshotOffer { .. } => true,
                Body::PreVote { .. }
                | Body::PreVoteReply { .. }
                | Body::Vote { .. }
                | Body::VoteReply { .. }
                | Body::AppendReply { .. }
                | Body::SnapshotReply { .. }
                | Body::TimeoutNow { .. }
                | Body::Removed { .. }
                | Body::ReadIndex { .. }
                | Body::ReadIndexReply { .. } => false,
            },
        }
    }
}

impl LeaderLife {
    /// The leader of `term` has said this. Returns whether it shows that the life in which it
    /// leads is over.
    ///
    /// An earlier life has never been in this term, and a later one in no older term, so that
    /// what arrives late shows nothing.
    pub(super) fn hear(&mut self, heard: Heard, term: Term) -> bool {
        match *self {
            Self::Unheard => {
                if heard.leads && heard.term == term {
                    *self = Self::Heard(heard.life);
                }
                false
            }
            Self::Heard(life) => heard.term >= term && heard.life != life,
            Self::Over => false,
        }
    }
}

/// The newest batch that each life of each node has passed on to us, so that a repeated one is not
/// appended twice. A life that is over is remembered too: what it said may still be on its way.
#[derive(Debug, Default)]
pub(super) struct LastForwards(VecDeque<LastForward>);

#[derive(Debug)]
struct LastForward {
    node: NodeId,
    life: Incarnation,
    request: u64,
}

impl LastForwards {
    /// Takes note of a batch. `false` if it, or one that left after it, was here before.
    pub(super) fn is_new(&mut self, node: NodeId, life: Incarnation, request: u64) -> bool {
        let is_same = |known: &LastForward| (known.node, known.life) == (node, life);
        // Those that live pass batches on again and again, and stand in front.
        let known = self.0.iter().position(is_same);
        let last = known.and_then(|place| self.0.remove(place));
        let newest = last.map(|last| last.request);
        let is_new = newest.is_none_or(|newest| request > newest);
        self.0.truncate(MAX_LIVES - 1);
        self.0.push_front(LastForward {
            node,
            life,
            request: newest.map_or(request, |newest| newest.max(request)),
        });
        is_new
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use quorate_core::Round;

    fn is_new(last: &mut LastForwards, life: u64, request: u64) -> bool {
        last.is_new(NodeId::new(1).unwrap(), Incarnation::new(life), request)
    }

    /// Scenario H12
    #[test]
    fn batches_of_an_earlier_life_stay_known_and_memory_bounded() {
        let mut last = LastForwards::default();
        for life in 1..MAX_LIVES as u64 {
            assert!(is_new(&mut last, life, 5));
        }
        assert!(!is_new(&mut last, 1, 5), "a copy of the first");
        assert!(!is_new(&mut last, 1, 4), "a copy of one before");
        assert!(is_new(&mut last, 1, 6));
        for life in 1..10 * MAX_LIVES as u64 {
            is_new(&mut last, life << 32, 5);
        }
        assert_eq!(last.0.len(), MAX_LIVES);
    }

    #[test]
    fn a_life_of_the_leader_is_over_when_a_later_one_speaks() {
        let message = |term, life, body| Message {
            from: NodeId::new(1).unwrap(),
            to: NodeId::new(2).unwrap(),
            term: Term::new(term),
            sender: Incarnation::new(life),
            receiver: Incarnation::UNKNOWN,
            body,
        };
        let word = Body::TimeoutNow { round: Round::ZERO };
        let says = |term, life| Heard::from(&message(term, life, word.clone()));
        let term = Term::new(7);
        let mut leader = LeaderLife::Unheard;
        assert!(!leader.hear(says(7, 3), term));
        assert_eq!(
            leader,
            LeaderLife::Unheard,
            "that does not show that it leads"
        );
        let append = Body::Append {
            prev: quorate_core::EntryId::NONE,
            entries: quorate_core::Entries::empty(),
            commit: quorate_core::LogIndex::NONE,
            round: quorate_core::Round::ZERO,
            last: quorate_core::LogIndex::NONE,
        };
        assert!(!leader.hear(Heard::from(&message(6, 2, append.clone())), term));
        assert_eq!(leader, LeaderLife::Unheard, "it led then, in another life");
        assert!(!leader.hear(Heard::from(&message(7, 3, append)), term));
        assert_eq!(leader, LeaderLife::Heard(Incarnation::new(3)));
        assert!(!leader.hear(says(7, 3), term), "it is the same");
        assert!(
            !leader.hear(says(6, 2), term),
            "an earlier life's word comes late"
        );
        assert!(leader.hear(says(7, 4), term));
    }
}
