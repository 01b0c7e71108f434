//! Clients and the state machines behind them: proposals and reads at any node, the way of
//! committed entries into the machine, and what clients are told in the end.

use bytes::Bytes;
use quorate_core::{Entries, EntryId, Event, LogIndex, NodeId, ReadId, Refusal, Request, RoleName};

use super::node::{Job, Machine, Proposed};
use super::storage::Snapshot;
use super::{Happening, World};
use crate::check::{Check, LifeId, Property, bounded_memory, broken, snapshot_restore};
use crate::digest::chain;
use crate::site::Site;

/// Inputs that may wait at a node before clients go away again: a host that is behind stops
/// taking requests.
const QUEUE_LIMIT: usize = 64;

impl World {
    /// A client proposes, mostly where it believes the leader to be.
    pub(super) fn propose_somewhere(&mut self) -> Check {
        if self.is_calm {
            return Ok(());
        }
        let knobs = &self.knobs.client;
        let wait = self.choices.wait(knobs.propose_every, Site::Propose);
        let count = self.choices.between(1, knobs.batch_max, Site::Propose);
        let size = self
            .choices
            .log_between(8, knobs.command_max, Site::Propose);
        self.agenda.push(self.now + wait, Happening::Propose);
        let node = self.pick_node(Site::Propose);
        if self.is_behind(node) {
            return Ok(());
        }
        self.propose(node, count, size)
    }

    /// Proposes `count` commands of `size` bytes at `node`.
    pub(super) fn propose(&mut self, node: NodeId, count: u64, size: u64) -> Check {
        let Some(life) = self.nodes[node].life.as_deref_mut() else {
            return Ok(());
        };
        let proposal = life.clients.last_proposal.next();
        life.clients.last_proposal = proposal;
        let size = size.max(8) as usize;
        let mut batch = vec![0; size * count as usize];
        for command in batch.chunks_exact_mut(size) {
            self.commands += 1;
            if let Some(head) = command.first_chunk_mut::<8>() {
                *head = self.commands.to_le_bytes();
            }
        }
        let batch = Bytes::from(batch);
        let starts = (0..batch.len()).step_by(size);
        let commands = starts.map(|at| batch.slice(at..at + size)).collect();
        self.input(node, Event::Propose { proposal, commands })
    }

    /// A client reads, anywhere.
    pub(super) fn read_somewhere(&mut self) -> Check {
        if self.is_calm {
            return Ok(());
        }
        let wait = self.choices.wait(self.knobs.client.read_every, Site::Read);
        self.agenda.push(self.now + wait, Happening::Read);
        let node = self.pick_node(Site::Read);
        if self.is_behind(node) {
            return Ok(());
        }
        self.read(node)
    }

    /// Whether a node has more to do than it can take requests for.
    fn is_behind(&self, node: NodeId) -> bool {
        self.nodes[node]
            .life
            .as_deref()
            .is_none_or(|life| life.inbox.len() >= QUEUE_LIMIT)
    }

    /// Reads at `node`.
    pub(super) fn read(&mut self, node: NodeId) -> Check {
        let Some(life) = self.nodes[node].life.as_deref_mut() else {
            return Ok(());
        };
        let read = life.clients.last_read.next();
        life.clients.last_read = read;
        self.input(node, Event::Read { read })
    }

    /// One of those who lead, in three quarters of the cases and if there is one; else anybody.
    pub(super) fn pick_node(&mut self, site: Site) -> NodeId {
        let is_informed = !self.choices.chance(250_000, site);
        let turn = self.choices.choose(self.nodes.count(), site);
        let leads = |node: &NodeId| {
            let life = self.nodes[*node].life.as_deref();
            life.is_some_and(|life| life.glimpse.role == RoleName::Leader)
        };
        let leader = if is_informed {
            self.nodes.ids().find(leads)
        } else {
            None
        };
        let Some(anybody) = NodeId::new(turn + 1) else {
            unreachable!("one or more is not zero")
        };
        leader.unwrap_or(anybody)
    }

    /// The engine hands entries to the state machine.
    pub(super) fn hand_over(&mut self, id: LifeId, entries: Entries) -> Check {
        let Some(life) = self.nodes[id.node].life.as_deref_mut() else {
            return Ok(());
        };
        let apply = &mut life.apply;
        let untold = apply.untold.iter().map(|(_, bytes)| bytes).sum();
        bounded_memory::hands_over(id.node, untold, &entries, &self.knobs.engine)?;
        let disk = self.stables[id.node].shape();
        for entry in entries.iter() {
            let (machine, ledger) = (&mut self.checks.machine, &self.checks.ledger);
            machine.applies(id, apply.handed, entry.index, disk, ledger)?;
            // The machine is given the very entry that the disk has, not just its name.
            if self.stables[id.node].entry(entry.index) != Some(entry) {
                return broken(
                    Property::StateMachineSafety,
                    format_args!("{id} applies another {} than is on its disk", entry.id()),
                );
            }
            apply.handed = entry.index;
        }
        apply.untold.push_back((apply.handed, entries.size_bytes()));
        apply.waiting.push_back(Job::Apply(entries));
        self.start_apply(id);
        Ok(())
    }

    pub(super) fn start_apply(&mut self, id: LifeId) {
        let Some(life) = self.nodes[id.node].life.as_deref_mut() else {
            return;
        };
        if life.apply.is_busy || life.apply.waiting.is_empty() {
            return;
        }
        life.apply.is_busy = true;
        let takes = self
            .choices
            .between(0, self.knobs.process.apply_max, Site::Apply);
        self.agenda.push(self.now + takes, Happening::Applied(id));
    }

    /// The state machine has applied some of what it was given.
    pub(super) fn applied(&mut self, id: LifeId) -> Check {
        let Some(life) = self.nodes[id.node]
            .life
            .as_deref_mut()
            .filter(|life| life.id == id)
        else {
            return Ok(());
        };
        life.apply.is_busy = false;
        let most = life.apply.waiting.len().max(1) as u64;
        let batches = self.choices.between(1, most, Site::ApplyBatch);
        let lump = self
            .choices
            .chance(self.knobs.disk.lump_ppm, Site::ApplyLump);
        for _ in 0..batches {
            let waiting = self
                .life(id)
                .and_then(|life| life.apply.waiting.pop_front());
            match waiting {
                Some(Job::Apply(entries)) => self.apply(id, &entries)?,
                Some(Job::Restore(snapshot)) => self.replace_machine(id, &snapshot)?,
                None => break,
            }
        }
        self.serve_reads(id);
        self.start_apply(id);
        let Some(life) = self.life(id) else {
            return Ok(());
        };
        if lump && life.apply.is_busy {
            return Ok(());
        }
        let applied = life.apply.machine.applied;
        life.apply.told = applied;
        while life
            .apply
            .untold
            .pop_front_if(|(last, _)| *last <= applied)
            .is_some()
        {}
        self.input(id.node, Event::Applied(applied))
    }

    /// Applies entries and tells the clients that wait for them.
    fn apply(&mut self, id: LifeId, entries: &Entries) -> Check {
        let Some(life) = self.nodes[id.node].life.as_deref_mut() else {
            return Ok(());
        };
        for entry in entries.iter() {
            let machine = &mut life.apply.machine;
            machine.applied = entry.index;
            machine.state = chain(machine.state, entry);
            let found = *machine;
            snapshot_restore::shows(id, found.applied, found.state, &self.checks.ledger)?;
            match life.clients.commands.remove(&entry.index) {
                Some(command) if command.term == entry.term => {
                    self.counts.acked += 1;
                    self.checks.acked.acks(id.node, entry, command.token)?;
                    self.checks
                        .order
                        .acks(id.node, entry.index, command.after)?;
                }
                Some(_) => self.counts.overwritten += 1,
                None => {}
            }
        }
        Ok(())
    }

    /// Puts the state of a snapshot in the place of the machine's. Clients whose commands it
    /// covers never learn what became of them.
    fn replace_machine(&mut self, id: LifeId, snapshot: &Snapshot) -> Check {
        let Some(life) = self.nodes[id.node].life.as_deref_mut() else {
            return Ok(());
        };
        let applied = snapshot.meta.last.index;
        self.counts.restores += 1;
        life.clients.commands.retain(|index, _| *index > applied);
        life.apply.machine = Machine {
            applied,
            state: snapshot.state,
        };
        snapshot_restore::shows(id, applied, snapshot.state, &self.checks.ledger)
    }

    /// The engine accepted a batch.
    pub(super) fn proposed(&mut self, id: LifeId, first: EntryId) -> Check {
        self.counts.proposals += 1;
        let Some(life) = self.life(id) else {
            return Ok(());
        };
        // That the batch is the right one was seen when the step was over.
        let Some((batch, after)) = life.clients.batch.take() else {
            return Ok(());
        };
        for place in 0..batch.count {
            let (term, token) = (first.term, batch.first_token + place);
            let command = Proposed { term, token, after };
            life.clients
                .commands
                .insert(first.index.plus(place), command);
        }
        Ok(())
    }

    /// The engine says what a read must see.
    pub(super) fn read_ready(&mut self, id: LifeId, read: ReadId, index: LogIndex) -> Check {
        let Some(life) = self.nodes[id.node].life.as_deref_mut() else {
            return Ok(());
        };
        self.checks
            .reads
            .ready(id, read, index, life.apply.handed)?;
        life.clients.reads.push((index, read));
        self.serve_reads(id);
        Ok(())
    }

    /// Serves the reads whose index is applied.
    fn serve_reads(&mut self, id: LifeId) {
        let Some(life) = self.nodes[id.node].life.as_deref_mut() else {
            return;
        };
        let before = life.clients.reads.len();
        let applied = life.apply.machine.applied;
        life.clients.reads.retain(|&(index, _)| index > applied);
        self.counts.reads += (before - life.clients.reads.len()) as u64;
    }

    /// The engine refused a request.
    pub(super) fn refused(&mut self, id: LifeId, request: Request, reason: Refusal) -> Check {
        self.counts.refused_for_room += u64::from(reason == Refusal::NoRoom);
        match request {
            Request::Proposal(_) => self.counts.proposals_refused += 1,
            Request::Read(read) => {
                self.counts.reads_refused += 1;
                self.checks.reads.refused(id, read);
            }
            Request::Change(_) => self.counts.changes_refused += 1,
            Request::Transfer(_) if reason == Refusal::TimedOut => {
                self.counts.transfers_timed_out += 1;
            }
            Request::Transfer(_) => self.counts.transfers_refused += 1,
        }
        Ok(())
    }
}
