//! The state machine of a simulated node and the thread it lives on: commands and reads come
//! through one queue, in order.

use std::collections::VecDeque;

use quorate::Input;
use quorate_core::{Entries, Entry, LogIndex, Payload, RoleName};

use super::{Happening, System};
use crate::check::{Check, LifeId, Property, bounded_memory, broken};
use crate::goals::Goal;
use crate::history::{Model, Op, OpId, Outcome};
use crate::site::Site;

/// What the thread is given.
#[derive(Debug)]
pub(super) enum Work {
    /// Apply entries, and answer those who wait for some of them.
    Apply(Entries, Vec<(LogIndex, OpId)>),
    /// Serve a read.
    Read(OpId),
}

/// A state machine with its queue.
#[derive(Debug, Default)]
pub(super) struct Machine {
    pub(super) model: Model,
    pub(super) applied: LogIndex,
    /// Handed over up to here.
    pub(super) handed: LogIndex,
    pub(super) queue: VecDeque<Work>,
    /// Bytes in the queue whose application the driver was not told of.
    pub(super) unapplied_bytes: u64,
    is_busy: bool,
}

impl Machine {
    /// A machine that holds this already.
    pub(super) fn holding((model, applied): (Model, LogIndex)) -> Self {
        Self {
            model,
            applied,
            handed: applied,
            ..Self::default()
        }
    }
}

impl System {
    /// The driver hands entries over.
    pub(super) fn hand_over(
        &mut self,
        id: LifeId,
        entries: Entries,
        waiters: Vec<(LogIndex, OpId)>,
    ) -> Check {
        let node = &mut self.nodes[id.node];
        let Some(life) = node.life.as_deref_mut() else {
            return Ok(());
        };
        let machine = &mut life.machine;
        let limits = &self.knobs.engine;
        bounded_memory::hands_over(id.node, machine.unapplied_bytes, &entries, limits)?;
        for entry in entries.iter() {
            let (disk, ledger) = (&node.stable.shape, &self.checks.ledger);
            let safety = &mut self.checks.machine;
            safety.applies(id, machine.handed, entry.index, disk, ledger)?;
            machine.handed = entry.index;
            let is_new = !self.goals.has(Goal::UnknownTookEffect);
            let is_late = is_new && self.clients.is_given_up(entry);
            self.goals.reach_if(is_late, Goal::UnknownTookEffect);
            self.clients.committed(entry)?;
        }
        machine.unapplied_bytes += entries.size_bytes();
        machine.queue.push_back(Work::Apply(entries, waiters));
        self.start_machine(id);
        Ok(())
    }

    /// The driver lets a read through.
    pub(super) fn let_read(&mut self, id: LifeId, read: OpId) {
        if let Some(life) = self.life(id) {
            life.machine.queue.push_back(Work::Read(read));
        }
        self.start_machine(id);
    }

    fn start_machine(&mut self, id: LifeId) {
        let Some(life) = self.nodes[id.node].life.as_deref_mut() else {
            return;
        };
        if life.machine.is_busy || life.machine.queue.is_empty() {
            return;
        }
        life.machine.is_busy = true;
        let most = self.knobs.process.apply_max;
        let takes = self.choices.between(0, most, Site::Apply);
        self.agenda.push(self.now + takes, Happening::Applied(id));
    }

    /// The machine has dealt with some of its queue.
    pub(super) fn applied(&mut self, id: LifeId) -> Check {
        let draw = self.choices.choose(1 << 10, Site::ApplyBatch);
        let Some(life) = self.life(id) else {
            return Ok(());
        };
        life.machine.is_busy = false;
        if life.is_paused {
            life.machine.is_busy = true;
            self.agenda
                .push(self.now + crate::knobs::MILLI, Happening::Applied(id));
            return Ok(());
        }
        let count = draw % life.machine.queue.len().max(1) as u64 + 1;
        for _ in 0..count {
            let work = self
                .life(id)
                .and_then(|life| life.machine.queue.pop_front());
            match work {
                Some(Work::Apply(entries, waiters)) => self.apply(id, &entries, waiters)?,
                Some(Work::Read(read)) => self.serve(id, read)?,
                None => break,
            }
        }
        self.start_machine(id);
        self.turn(id)
    }

    /// Applies entries and answers those who wait.
    fn apply(&mut self, id: LifeId, entries: &Entries, waiters: Vec<(LogIndex, OpId)>) -> Check {
        let mut waiters = waiters.into_iter().peekable();
        for entry in entries.iter() {
            let waiter = waiters.next_if(|(index, _)| *index == entry.index);
            self.apply_one(id, entry, waiter.map(|(_, op)| op))?;
        }
        if let Some((index, op)) = waiters.next() {
            return broken(
                Property::OneOutcome,
                format_args!("{id} lets {op} wait for {index}, which it does not apply"),
            );
        }
        let Some(last) = entries.last().map(|entry| entry.index) else {
            return Ok(());
        };
        if let Some(life) = self.life(id) {
            life.machine.unapplied_bytes -= entries.size_bytes();
            life.inputs.push(Input::Applied(last));
        }
        self.counts.useful += 1;
        self.compare_machine(id)
    }

    fn apply_one(&mut self, id: LifeId, entry: &Entry, waiter: Option<OpId>) -> Check {
        let Some(life) = self.life(id) else {
            return Ok(());
        };
        life.machine.applied = entry.index;
        let command = match &entry.payload {
            Payload::Command(command) => command,
            Payload::Noop | Payload::Membership(_) => return Ok(()),
        };
        let Some((op_id, op)) = Op::decode(command) else {
            return broken(
                Property::StateMachineSafety,
                format_args!("{id} applies what is no command at {}", entry.id()),
            );
        };
        let reply = life.machine.model.apply(op_id, op);
        let Some(waiter) = waiter else {
            return Ok(());
        };
        if waiter != op_id {
            return broken(
                Property::OneOutcome,
                format_args!("{id} answers {waiter} with {op_id} at {}", entry.id()),
            );
        }
        let entry = entry.id();
        let leader = self.checks.elections.leader(entry.term);
        let is_forwarded = leader.is_some_and(|leader| leader.node != id.node);
        self.goals.reach_if(is_forwarded, Goal::ForwardCommitted);
        self.answer(id, waiter, Outcome::Written { reply, entry })
    }

    /// Serves a read from what is applied.
    fn serve(&mut self, id: LifeId, read: OpId) -> Check {
        let Some(op) = self.clients.op(read) else {
            return Ok(());
        };
        let Some(life) = self.life(id) else {
            return Ok(());
        };
        let (reply, applied) = (life.machine.model.read(op), life.machine.applied);
        let follows = life.glimpse.role == RoleName::Follower;
        self.counts.reads += 1;
        self.goals.reach_if(follows, Goal::FollowerRead);
        self.answer(id, read, Outcome::Read { reply, applied })
    }

    /// Equal logs make equal states.
    fn compare_machine(&mut self, id: LifeId) -> Check {
        let node = &mut self.nodes[id.node];
        let Some(life) = node.life.as_deref() else {
            return Ok(());
        };
        let (applied, hash) = (life.machine.applied, life.machine.model.state_hash());
        if self.knobs.process.durable_machine {
            node.kept = (life.machine.model.clone(), applied);
        }
        self.clients.state_at(id.node, applied, hash)
    }
}
