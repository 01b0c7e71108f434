//! Clients of the cluster: each asks for one operation at a time, anywhere, and gives up after a
//! while. What they are told is recorded, and compared with the committed log at once. Whether
//! their answers also make sense without the log's word is asked in `liveness.rs`, at the end.

use std::collections::{BTreeMap, BTreeSet};

use quorate::{Input, ProposeError};
use quorate_core::{Entry, LogIndex, NodeId, Payload, RoleName};

use super::{Happening, System};
use crate::check::{Check, LifeId, Property, broken};
use crate::history::{History, Op, OpId, Outcome, Witness};
use crate::site::Site;

/// Requests that may wait at a node before clients go away again.
const QUEUE_LIMIT: usize = 64;

/// Operations of a seed whose record is kept for the black-box check.
const RECORDED: usize = 1 << 12;

/// Everybody who uses the cluster.
#[derive(Debug)]
pub(super) struct Clients {
    pub(super) history: History,
    pub(super) witness: Witness,
    /// Operations that a client waits for.
    open: BTreeMap<OpId, Open>,
    /// Operations that a node has to answer, whoever still waits.
    owed: BTreeSet<(LifeId, OpId)>,
    /// What an operation was, as long as a node may ask.
    ops: BTreeMap<OpId, Op>,
    /// The last committed entry that the witness was told of.
    told: LogIndex,
    /// The state after each applied index, as the first node that stopped there had it.
    states: BTreeMap<LogIndex, u64>,
    count: u64,
    /// Operations that ended well since the world is calm.
    pub(super) served: u64,
}

/// An operation that a client waits for.
#[derive(Clone, Copy, Debug)]
struct Open {
    client: u64,
}

impl Clients {
    pub(super) fn new(count: u64) -> Self {
        Self {
            history: History::new(RECORDED),
            witness: Witness::default(),
            open: BTreeMap::new(),
            owed: BTreeSet::new(),
            ops: BTreeMap::new(),
            told: LogIndex::NONE,
            states: BTreeMap::new(),
            count,
            served: 0,
        }
    }

    /// What an operation is.
    pub(super) fn op(&self, id: OpId) -> Option<Op> {
        self.ops.get(&id).copied()
    }

    /// The clients, by number.
    pub(super) const fn count(&self) -> u64 {
        self.count
    }

    /// Whether an entry, which the witness has not heard of, is a command whose client does not
    /// wait any more.
    pub(super) fn is_given_up(&self, entry: &Entry) -> bool {
        let (true, Payload::Command(command)) = (entry.index > self.told, &entry.payload) else {
            return false;
        };
        Op::decode(command).is_some_and(|(id, _)| !self.open.contains_key(&id))
    }

    /// An entry is given to a state machine: the first time, the witness hears of it.
    pub(super) fn committed(&mut self, entry: &Entry) -> Check {
        if entry.index <= self.told {
            return Ok(());
        }
        self.told = entry.index;
        match &entry.payload {
            Payload::Command(command) => self.witness.committed(entry.id(), command),
            Payload::Noop | Payload::Membership(_) => Ok(()),
        }
    }

    /// A node that has applied everything up to `applied` holds a state with this hash.
    pub(super) fn state_at(&mut self, node: NodeId, applied: LogIndex, hash: u64) -> Check {
        let known = *self.states.entry(applied).or_insert(hash);
        if known == hash {
            return Ok(());
        }
        broken(
            Property::SnapshotRestore,
            format_args!("{node} holds another state at {applied} than another node did"),
        )
    }

    /// A life ended. What it owed to clients who wait.
    pub(super) fn life_ends(&mut self, life: LifeId) -> Vec<OpId> {
        let first = (life, OpId(0));
        let last = (life, OpId(u64::MAX));
        let owed: Vec<_> = self.owed.range(first..=last).copied().collect();
        for key in &owed {
            self.owed.remove(key);
        }
        owed.into_iter().map(|(_, op)| op).collect()
    }

    /// Operations that some node has to answer.
    pub(super) fn owed(&self) -> usize {
        self.owed.len()
    }
}

impl System {
    /// All clients begin.
    pub(super) fn start_clients(&mut self) {
        for client in 0..self.clients.count() {
            self.think(client);
        }
    }

    /// A client waits a while before its next operation.
    fn think(&mut self, client: u64) {
        let wait = self.choices.wait(self.knobs.client.think, Site::Think);
        self.agenda.push(self.now + wait, Happening::Ask(client));
    }

    /// A client asks for something, mostly where it believes the leader to be.
    pub(super) fn ask(&mut self, client: u64) -> Check {
        if self.are_clients_done {
            return Ok(());
        }
        let op = self.draw_op();
        let node = self.pick_node();
        let as_command = self.choices.chance(100_000, Site::Size) || !op.is_read();
        let knobs = &self.knobs.client;
        let size = self.choices.log_between(26, knobs.command_max, Site::Size);
        let patience = knobs.patience;
        let Some(life) = self.nodes[node].life.as_deref_mut() else {
            self.think(client);
            return Ok(());
        };
        if life.is_leaving || life.asks.len() >= QUEUE_LIMIT {
            self.think(client);
            return Ok(());
        }
        let clients = &mut self.clients;
        let who = u32::try_from(client).unwrap_or(u32::MAX);
        let id = clients.history.invoked(who, op);
        clients.witness.invoked(id, who, op);
        clients.open.insert(id, Open { client });
        clients.owed.insert((life.id, id));
        clients.ops.insert(id, op);
        life.asks.push_back(if as_command {
            let command = op.encode(id, size as usize);
            let waiter = id;
            Input::Propose { command, waiter }
        } else {
            Input::Read(id)
        });
        let life = life.id;
        self.note(|| format!("client {client} asks {node} for {id} {op}"));
        self.agenda
            .push(self.now + patience, Happening::GiveUp(client, id.0));
        self.turn(life)
    }

    fn draw_op(&mut self) -> Op {
        let keys = self.knobs.client.keys;
        let mut draw = |n| self.choices.choose(n, Site::Ask);
        let (key, kind) = (draw(keys) as u8, draw(8));
        let (other, first, second) = (draw(keys) as u8, draw(9), draw(9));
        match kind {
            0 | 1 => Op::Append { key },
            2 => Op::Add { key, by: first },
            3 => Op::Put { key, value: first },
            4 => Op::Cas {
                key,
                expect: first,
                new: second,
            },
            5 => Op::ReadPair {
                first: key,
                second: other,
            },
            _ => Op::Read { key },
        }
    }

    /// One of those who lead, mostly and if there is one; else anybody.
    fn pick_node(&mut self) -> NodeId {
        let is_astray = self.choices.chance(250_000, Site::Whom);
        let anybody = self.any_node(Site::Whom);
        if is_astray {
            return anybody;
        }
        let leads = |node: &NodeId| {
            let life = self.nodes[*node].life.as_deref();
            life.is_some_and(|life| life.glimpse.role == RoleName::Leader)
        };
        self.nodes.ids().find(leads).unwrap_or(anybody)
    }

    /// A client has waited long enough.
    pub(super) fn give_up(&mut self, client: u64, op: u64) -> Check {
        let op = OpId(op);
        if !self.clients.open.contains_key(&op) {
            return Ok(());
        }
        self.note(|| format!("client {client} gives {op} up"));
        self.counts.given_up += 1;
        self.tell_client(op, Outcome::Unknown)
    }

    /// A node answers an operation: once, and only one that it was asked for.
    pub(super) fn answer(&mut self, life: LifeId, op: OpId, outcome: Outcome) -> Check {
        if !self.clients.owed.remove(&(life, op)) {
            return broken(
                Property::OneOutcome,
                format_args!("{life} answers {op} with {outcome:?}; nobody waits there for it"),
            );
        }
        self.tell_client(op, outcome)
    }

    /// A client hears what became of its operation, if it still waits.
    pub(super) fn tell_client(&mut self, op: OpId, outcome: Outcome) -> Check {
        let Some(Open { client }) = self.clients.open.remove(&op) else {
            return Ok(());
        };
        match outcome {
            Outcome::Written { .. } => {
                self.counts.acked += 1;
                self.clients.served += 1;
            }
            Outcome::Read { .. } => self.clients.served += 1,
            Outcome::Failed => self.counts.proposals_refused += 1,
            Outcome::Unknown => {}
        }
        self.clients.history.completed(op, outcome);
        self.clients.witness.completed(op, outcome)?;
        self.think(client);
        Ok(())
    }
}

/// What a failed proposal means to its client.
pub(super) const fn fate_of_proposal(error: &ProposeError) -> Outcome {
    if error.is_ambiguous() {
        Outcome::Unknown
    } else {
        Outcome::Failed
    }
}
