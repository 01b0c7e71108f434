//! Operators of a simulated cluster: they change its membership, and hand leadership over.

use quorate::{Change, ChangeError, Input, TransferError};
use quorate_core::{ChangeId, EntryId, NodeId, RoleName, TransferId};

use super::{Happening, System};
use crate::check::{Check, LifeId, Property, broken};
use crate::goals::Goal;
use crate::site::Site;

impl System {
    /// An operator asks for a change, mostly at the leader.
    pub(super) fn change_somewhere(&mut self) -> Check {
        if self.is_calm {
            return Ok(());
        }
        let every = self.knobs.operator.change_every;
        self.next_fault(every, Happening::Change, Site::Change);
        let Some(id) = self.leader_or_any(Site::Change) else {
            return Ok(());
        };
        let Some(what) = self.draw_change(id) else {
            return Ok(());
        };
        self.note(|| format!("an operator asks {id} for {what:?}"));
        let Some(life) = self.life(id) else {
            return Ok(());
        };
        let change = life.operators.last_change.next();
        life.operators.last_change = change;
        life.operators.changes.insert(change);
        life.inputs.push(Input::ChangeMembership { change, what });
        self.counts.useful += 1;
        self.turn(id)
    }

    /// A change that makes sense, mostly.
    fn draw_change(&mut self, id: LifeId) -> Option<Change> {
        let membership = self.life(id)?.membership.clone();
        let kind = self.choices.choose(8, Site::Change);
        let members: Vec<NodeId> = membership.members().collect();
        let fresh = self.nodes.ids().find(|node| {
            let host = &self.nodes[*node];
            !membership.contains(*node) && !host.was_member && !self.founders.contains_key(node)
        });
        let turn = self.choices.choose(members.len() as u64, Site::Change);
        let member = members.get(turn as usize).copied()?;
        let (learners, voters) = (membership.learners(), membership.voters());
        let change = match (kind, fresh, learners.first().copied()) {
            (0, _, _) => Change::UpdateAddress {
                node: member,
                address: super::node::address(member),
            },
            (1 | 2, Some(node), _) => Change::AddLearner {
                node,
                address: super::node::address(node),
            },
            (3..=5, Some(node), _) => Change::AddVoter {
                node,
                address: super::node::address(node),
            },
            (1..=5, _, Some(node)) => Change::Promote { node },
            _ if voters.len() > 1 || membership.is_learner(member) => {
                Change::Remove { node: member }
            }
            _ => return None,
        };
        Some(change)
    }

    /// The life that leads, or one of those that run.
    fn leader_or_any(&mut self, site: Site) -> Option<LifeId> {
        let anybody = self.any_node(site);
        let mut lives = self.nodes.iter().filter_map(|node| node.life.as_deref());
        let leader = lives.find(|life| life.glimpse.role == RoleName::Leader);
        let any = self.nodes[anybody].life.as_deref();
        leader.or(any).map(|life| life.id)
    }

    /// A node tells what became of a change.
    pub(super) fn changed(
        &mut self,
        id: LifeId,
        change: ChangeId,
        outcome: &Result<EntryId, ChangeError>,
    ) -> Check {
        let is_asked = self
            .life(id)
            .is_some_and(|life| life.operators.changes.remove(&change));
        if !is_asked {
            return broken(
                Property::OneOutcome,
                format_args!("{id} tells what became of {change}, for which nobody waits"),
            );
        }
        match outcome {
            Ok(entry) => {
                self.counts.changes += 1;
                match self.checks.ledger.get(entry.index) {
                    Some(known) if known.mark.term == entry.term => Ok(()),
                    Some(_) | None => broken(
                        Property::AckedNeverLost,
                        format_args!("{id} says that {change} is committed at {entry}"),
                    ),
                }
            }
            Err(error) => {
                self.counts.changes_refused += 1;
                if let ChangeError::Refused(reason) = error {
                    self.goals.change_refused(*reason);
                }
                Ok(())
            }
        }
    }

    /// An operator wants somebody else to lead.
    pub(super) fn transfer_somewhere(&mut self) -> Check {
        if self.is_calm {
            return Ok(());
        }
        let every = self.knobs.operator.transfer_every;
        self.next_fault(every, Happening::Transfer, Site::Transfer);
        let is_named = self.choices.chance(500_000, Site::Transfer);
        let node = self.any_node(Site::Transfer);
        let Some(id) = self.leader_or_any(Site::Transfer) else {
            return Ok(());
        };
        let Some(life) = self.life(id) else {
            return Ok(());
        };
        let transfer = life.operators.last_transfer.next();
        life.operators.last_transfer = transfer;
        life.operators.transfers.insert(transfer);
        let target = is_named.then_some(node);
        life.inputs
            .push(Input::TransferLeadership { transfer, target });
        self.counts.useful += 1;
        self.note(|| format!("an operator asks {id} to hand over to {target:?}"));
        self.turn(id)
    }

    /// A node tells what became of a transfer.
    pub(super) fn transferred(
        &mut self,
        id: LifeId,
        transfer: TransferId,
        outcome: &Result<NodeId, TransferError>,
    ) -> Check {
        let is_asked = self
            .life(id)
            .is_some_and(|life| life.operators.transfers.remove(&transfer));
        if !is_asked {
            return broken(
                Property::OneOutcome,
                format_args!("{id} tells what became of {transfer}, for which nobody waits"),
            );
        }
        match outcome {
            Ok(_) => {
                self.counts.transfers += 1;
                self.goals.reach(Goal::TransferCompleted);
            }
            Err(TransferError::TimedOut) => {
                self.counts.transfers_timed_out += 1;
                self.goals.reach(Goal::TransferTimedOut);
            }
            Err(_) => self.counts.transfers_refused += 1,
        }
        Ok(())
    }
}
