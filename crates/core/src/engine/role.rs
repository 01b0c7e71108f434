//! Changes of role, the only place that makes them. Why a role changes is decided elsewhere.

use core::mem;

use alloc::boxed::Box;
use alloc::vec::Vec;

use super::{Campaign, Engine, Joining, Leadership, Role, Transfer};
use crate::lease::Lease;
use crate::ledger::Ledger;
use crate::quorum::Votes;
use crate::reads::{LeaderReads, Reader};
use crate::telemetry::tell;
use crate::{
    Action, HardState, LogIndex, NodeId, Refusal, Request, RoleName, Round, Term, WriteId,
};

impl Engine {
    pub(super) const fn role_name(&self) -> RoleName {
        match self.role {
            Role::Follower => RoleName::Follower,
            Role::PreCandidate(_) => RoleName::PreCandidate,
            Role::Candidate(_) => RoleName::Candidate,
            Role::Leader(_) => RoleName::Leader,
        }
    }

    pub(super) const fn is_leader(&self) -> bool {
        matches!(self.role, Role::Leader(_))
    }

    /// Moves to a newer term, as a follower of a leader yet to be heard [Raft 5.1].
    pub(super) fn adopt_term(&mut self, term: Term) {
        debug_assert!(term > self.hard.term, "terms only rise");
        self.conclude_transfer();
        self.leave_role();
        self.role = Role::Follower;
        self.leader = None;
        self.save_hard_state(HardState {
            term,
            vote: None,
            ..self.hard
        });
    }

    /// Follows `leader` in the present term.
    pub(super) fn follow(&mut self, leader: NodeId) {
        if self.leader != Some(leader) || !matches!(self.role, Role::Follower) {
            self.leave_role();
            self.role = Role::Follower;
            self.leader = Some(leader);
            self.restart_election_timer();
        }
        self.heard_leader_at = self.now;
        self.postpone_election();
    }

    /// Gives up leading or campaigning in the present term, without knowing a leader.
    pub(super) fn step_down(&mut self) {
        self.leave_role();
        self.role = Role::Follower;
        self.leader = None;
        self.restart_election_timer();
    }

    pub(super) fn become_pre_candidate(&mut self) {
        self.leave_role();
        self.leader = None;
        self.role = Role::PreCandidate(Votes::default());
        self.restart_election_timer();
    }

    /// Enters the next term with a vote for itself, which counts once it is durable.
    pub(super) fn become_candidate(&mut self) {
        self.leave_role();
        self.leader = None;
        let term = self.hard.term.next();
        let vote = Some(self.config.id);
        let own_vote = self.save_hard_state(HardState {
            term,
            vote,
            ..self.hard
        });
        self.role = Role::Candidate(Campaign {
            votes: Votes::default(),
            own_vote,
            has_asked: false,
        });
        self.counters.campaigns += 1;
        self.restart_election_timer();
    }

    /// Becomes leader of the present term, before anything is sent or appended.
    pub(super) fn become_leader(&mut self) {
        let last = self.log.last().index;
        self.leader = Some(self.config.id);
        self.is_role_news = true;
        self.counters.elections_won += 1;
        self.role = Role::Leader(Box::new(Leadership {
            peers: Vec::new(),
            first: last.next(),
            round: Round::ZERO,
            reads: LeaderReads::default(),
            uncommitted: Ledger::default(),
            lease: Lease::new(self.config.lease),
            transfer: None,
            joining: None,
            settled_membership: LogIndex::NONE,
            heartbeat_at: self.now.after(self.config.heartbeat_interval),
            quorum_heard_at: self.now,
            awake_since: self.now,
        }));
        self.replicate_to_members(last);
    }

    /// Ends what only the present role could finish. Reads of this node's users are refused;
    /// those of followers time out there, or end when they hear of the new term.
    fn leave_role(&mut self) {
        self.is_role_news = true;
        let mut refused: Vec<_> = self.forwarded.drain().collect();
        // A follower's read may wait for entries that only the leader it followed can bring.
        refused.extend(self.confirmed_reads.take_beyond(self.commit, |_| true));
        if let Role::Leader(leadership) = mem::replace(&mut self.role, Role::Follower) {
            let leadership = *leadership;
            self.counters.step_downs += 1;
            // A leader has no election timer. Everybody else keeps theirs: a newer term alone is
            // no reason to wait longer.
            self.restart_election_timer();
            self.end_requests(leadership.joining, leadership.transfer);
            // Nobody receives a snapshot from it any more, nor needs what comes behind one.
            self.compact();
            refused.extend(
                leadership
                    .reads
                    .into_waiting()
                    .filter_map(|reader| match reader {
                        Reader::Local(read) => Some(read),
                        Reader::Peer(..) => None,
                    }),
            );
        }
        for read in refused {
            let reason = Refusal::NotLeader { leader: None };
            self.outbox.notify(Action::Refused {
                request: Request::Read(read),
                reason,
            });
        }
    }

    /// Answers those who wait for what only this leadership could bring about.
    fn end_requests(&mut self, joining: Option<Joining>, transfer: Option<Transfer>) {
        let reason = Refusal::NotLeader { leader: None };
        if let Some(joining) = joining {
            self.refuse_change(joining.change, reason);
        }
        if let Some(request) = transfer.and_then(|transfer| transfer.request) {
            self.refuse_transfer(request, reason);
        }
    }

    /// Takes on a hard state and has it written.
    pub(super) fn save_hard_state(&mut self, state: HardState) -> WriteId {
        self.hard = state;
        let (writes, now) = (&mut self.writes, self.now);
        self.outbox.save(state, || writes.save_hard_state(now))
    }

    /// Tells the host once per step of a role, term or leader that changed.
    pub(super) fn announce_role(&mut self) {
        if !mem::take(&mut self.is_role_news) {
            return;
        }
        let (role, term, leader) = (self.role_name(), self.hard.term, self.leader);
        if self.announced != (role, term, leader) {
            self.announced = (role, term, leader);
            tell!(
                DEBUG,
                node = %self.config.id,
                ?role,
                %term,
                leader = leader.map(NodeId::get),
                "role changed"
            );
            self.outbox
                .notify(Action::RoleChanged { role, term, leader });
        }
    }

    /// The first index of this leader's term; `None` elsewhere.
    pub(super) const fn first_of_term(&self) -> Option<LogIndex> {
        match &self.role {
            Role::Leader(leadership) => Some(leadership.first),
            Role::Follower | Role::PreCandidate(_) | Role::Candidate(_) => None,
        }
    }
}
