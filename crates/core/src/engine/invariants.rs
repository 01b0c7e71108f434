//! What must be true after every step, asserted where assertions are on. These are facts about
//! what the engine computed; nothing a peer, a disk or a user does can make them false.

use super::{Engine, Role};

impl Engine {
    pub(super) fn check_invariants(&self) {
        if !cfg!(debug_assertions) {
            return;
        }
        let last = self.log.last();
        assert!(self.hard.term >= last.term, "the log is ahead of the term");
        assert!(
            self.commit <= last.index,
            "committed entries are in the log"
        );
        assert!(
            self.writes.durable() <= last.index,
            "only what is in the log is durable"
        );
        assert!(
            self.applies.handed() <= self.commit,
            "only committed entries are applied"
        );
        assert!(
            self.applies.applied() <= self.applies.handed(),
            "applied means handed over"
        );
        assert!(
            self.announced == (self.role_name(), self.hard.term, self.leader),
            "the host knows of role, term and leader"
        );
        match &self.role {
            Role::Leader(leadership) => {
                assert_eq!(
                    self.leader,
                    Some(self.config.id),
                    "a leader knows who leads"
                );
                assert!(
                    leadership.first <= last.index,
                    "a term starts with an entry"
                );
                assert_eq!(
                    self.hard.vote,
                    Some(self.config.id),
                    "a leader has voted for itself"
                );
                for peer in &leadership.peers {
                    assert!(peer.matched() < peer.next(), "a peer needs nothing it has");
                    assert!(
                        peer.next() <= last.index.next(),
                        "nothing is sent before it exists"
                    );
                    assert!(peer.inflight() <= self.config.max_inflight_messages.max(1));
                }
            }
            Role::Candidate(_) => {
                assert_eq!(self.leader, None, "a candidate knows no leader");
                assert_eq!(self.hard.vote, Some(self.config.id), "it votes for itself");
            }
            Role::PreCandidate(_) => assert_eq!(self.leader, None, "it looks for a leader"),
            Role::Follower => {
                assert_ne!(self.leader, Some(self.config.id), "nobody follows itself");
            }
        }
    }
}
