//! The last trial of a calm cluster: its leader's disk hangs once, for less than its patience,
//! while all clients ask at the same time. Nobody may be elected for that (scenario B17).

use quorate_core::{NodeId, RoleName, Term};

use super::System;
use super::ends::nanos;
use super::node::Request;
use crate::check::{Check, LifeId, no_churn};

/// Who leads, if every member was reached for a while.
#[derive(Clone, Copy, Debug)]
pub(super) struct Trial {
    leader: LifeId,
    term: Term,
    /// Not only a majority of the members was left alone.
    is_well: bool,
    /// How often the leader had given up because of its disk.
    stalls: u64,
}

impl System {
    /// Strains the leader, as soon as there is one that was left alone; in vain if there is none
    /// soon.
    pub(super) fn strain_leader(&mut self) -> Result<Option<Trial>, crate::check::Violation> {
        let patience = 2 * nanos(self.knobs.engine.election_timeout_max);
        let deadline = self.now + patience;
        let trial = loop {
            if let Some(trial) = self.steady_trial() {
                break trial;
            }
            if self.now > deadline {
                return Ok(None);
            }
            self.happen()?;
        };
        self.hangs_next = Some(trial.leader);
        self.are_clients_done = false;
        for client in 0..self.clients.count() {
            self.ask(client)?;
        }
        self.are_clients_done = true;
        Ok(Some(trial))
    }

    fn steady_trial(&self) -> Option<Trial> {
        let lives = self.nodes.iter().filter_map(|node| node.life.as_deref());
        let mut leaders = lives.filter(|life| life.glimpse.role == RoleName::Leader);
        let life = leaders.find(|life| self.is_steady(life.id, life.glimpse.term))?;
        let (leader, term) = (life.id, life.glimpse.term);
        let is_led = |node: NodeId| {
            let member = self.nodes[node].life.as_deref();
            let id = member.filter(|it| it.glimpse.term == term).map(|it| it.id);
            node == leader.node
                || id.is_some_and(|id| self.steady_leader_of(id, term) == Some(leader))
        };
        Some(Trial {
            leader,
            term,
            is_well: life.membership.members().all(is_led),
            stalls: life.glimpse.counters.storage_stalls,
        })
    }

    /// How long the job that the storage thread begins now takes, if it is the one that hangs.
    pub(super) fn hang_of(&mut self, id: LifeId) -> Option<u64> {
        if self.hangs_next != Some(id) {
            return None;
        }
        let hang = self.hang();
        let life = self.life(id)?;
        if !matches!(life.storage.requests.front(), Some(Request::Job(_))) {
            return None;
        }
        life.storage.hang = hang;
        self.hangs_next = None;
        let patience = nanos(self.knobs.engine.storage_patience);
        // The clock of the leader may run fast, and a write waits for the job after it, too.
        Some(patience / 5 * 4)
    }

    /// The trial is over: whoever led leads on.
    pub(super) fn end_trial(&self, trial: Option<Trial>) -> Check {
        let Some(trial) = trial.filter(|trial| trial.is_well) else {
            return Ok(());
        };
        // The job behind the one that hangs may stall of itself, and both together for longer than
        // the leader has patience: whether it had to give up was asked when it did.
        let strained = self.nodes[trial.leader.node].life.as_deref();
        if strained.is_some_and(|it| it.glimpse.counters.storage_stalls > trial.stalls) {
            return Ok(());
        }
        let was = (trial.leader.node, trial.term);
        let life = self
            .leader()
            .and_then(|node| self.nodes[node].life.as_deref());
        let leads = life.map(|life| (life.id.node, life.glimpse.term));
        no_churn::goes_on(was, leads)
    }
}
