//! Histories against both checkers. Here is what is shared: a cluster of one log that tells both
//! of everything. Histories by hand are in `made_up.rs`, histories by chance in `random.rs`, and
//! any answers at all in `small.rs`.

use quorate_core::{EntryId, LogIndex, Term};

use super::linearizability::{DEFAULT_STEPS, check};
use super::{Cell, History, Model, Op, OpId, Outcome, Reply, Unknowns, Verdict, Witness};
use crate::check::Violation;

mod made_up;
mod random;
mod small;

/// A log, clients, and both checkers.
struct Cluster {
    history: History,
    witness: Witness,
    model: Model,
    ops: Vec<Op>,
    /// What was committed, with the answers.
    log: Vec<(EntryId, OpId, Reply)>,
    /// What the witness found first.
    found: Option<Violation>,
}

impl Cluster {
    fn new() -> Self {
        Self {
            history: History::new(10_000),
            witness: Witness::default(),
            model: Model::default(),
            ops: Vec::new(),
            log: Vec::new(),
            found: None,
        }
    }

    fn note(&mut self, outcome: Result<(), Violation>) {
        if let Err(violation) = outcome {
            self.found.get_or_insert(violation);
        }
    }

    /// A client asks.
    fn ask(&mut self, client: u32, op: Op) -> OpId {
        let id = self.history.invoked(client, op);
        self.witness.invoked(id, client, op);
        self.ops.push(op);
        id
    }

    fn op(&self, id: OpId) -> Op {
        self.ops[id.0 as usize - 1]
    }

    /// What was asked is committed next. What it answers.
    fn commit(&mut self, id: OpId) -> Reply {
        let op = self.op(id);
        let at = entry(self.log.len() as u64 + 1);
        let outcome = self.witness.committed(at, &op.encode(id, 64));
        self.note(outcome);
        let reply = self.model.apply(id, op);
        self.log.push((at, id, reply));
        reply
    }

    /// The client is told.
    fn tell(&mut self, id: OpId, outcome: Outcome) {
        self.history.completed(id, outcome);
        let outcome = self.witness.completed(id, outcome);
        self.note(outcome);
    }

    /// The client is told of the commit.
    fn acknowledge(&mut self, id: OpId) {
        let told = self.log.iter().find(|(_, committed, _)| *committed == id);
        let (entry, _, reply) = *told.unwrap();
        self.tell(id, Outcome::Written { reply, entry });
    }

    /// A client asks for a write and is told that it is done.
    fn write(&mut self, client: u32, op: Op) -> OpId {
        let id = self.ask(client, op);
        self.commit(id);
        self.acknowledge(id);
        id
    }

    /// The client is told what stands there now.
    fn serve(&mut self, id: OpId) {
        let reply = self.model.read(self.op(id));
        self.answer(id, reply, self.log.len() as u64);
    }

    /// The client is told this, said to be served at `applied`.
    fn answer(&mut self, id: OpId, reply: Reply, applied: u64) {
        let applied = LogIndex::new(applied);
        self.tell(id, Outcome::Read { reply, applied });
    }

    /// What the witness says in the end, given the log that stands.
    fn witnessed(&self) -> Result<(), Violation> {
        if let Some(violation) = &self.found {
            return Err(violation.clone());
        }
        let command = |id: OpId| self.op(id).encode(id, 64);
        let log: Vec<_> = self
            .log
            .iter()
            .map(|(at, id, _)| (*at, command(*id)))
            .collect();
        self.witness
            .finish(log.iter().map(|(at, bytes)| (*at, &bytes[..])))
    }

    /// What the search says, knowing which unknown operations were done.
    fn searched(&self) -> Verdict {
        let done = |id: OpId| self.log.iter().any(|(_, committed, _)| *committed == id);
        check(&self.history, Unknowns::Resolved(&done), DEFAULT_STEPS)
    }

    /// What the search says, knowing nothing of unknown operations.
    fn searched_blindly(&self) -> Verdict {
        check(&self.history, Unknowns::Open, DEFAULT_STEPS)
    }
}

fn entry(index: u64) -> EntryId {
    EntryId::new(LogIndex::new(index), Term::new(1))
}
