//! The witness check: with the log's word for the order of operations, every answer can be
//! computed and compared, one fact at a time. That the log's word is true is checked elsewhere;
//! that the answers make sense without it, in `linearizability.rs`.
//!
//! Order within one client needs no check of its own: a client that waits for an answer before
//! it goes on is in real-time order.

use std::collections::BTreeMap;

use quorate_core::{EntryId, LogIndex};

use super::cell::{Cell, Reply};
use super::model::Model;
use super::op::{Op, OpId};
use super::record::Outcome;
use crate::check::{Check, Property, Violation, broken};

/// What became of one operation.
#[derive(Clone, Copy, Debug)]
struct Fate {
    client: u32,
    op: Op,
    /// The highest index that anybody had been told of when it was asked for.
    floor: LogIndex,
    committed: Option<(EntryId, Reply)>,
    outcome: Option<Outcome>,
}

/// Compares answers with the committed log. Every fact costs a few look-ups; memory grows with
/// the number of operations.
#[derive(Debug, Default)]
pub struct Witness {
    model: Model,
    /// What stood at each key, from which index on, ascending.
    versions: BTreeMap<u8, Vec<(LogIndex, Cell)>>,
    fates: BTreeMap<OpId, Fate>,
    /// The last committed command.
    last: EntryId,
    /// The highest index that anybody was told of.
    floor: LogIndex,
}

impl Witness {
    /// `client` asks for `op`, which nobody asked for under this id before.
    pub fn invoked(&mut self, id: OpId, client: u32, op: Op) {
        let fate = Fate {
            client,
            op,
            floor: self.floor,
            committed: None,
            outcome: None,
        };
        self.fates.insert(id, fate);
    }

    /// The command `bytes` is committed at `at`. Each committed command is told once, in log
    /// order, before any answer that rests on it. Entries without a command are not told.
    ///
    /// # Errors
    /// Nobody asked for it, it is committed already, or its client was told that it never would
    /// be; or it comes too late.
    pub fn committed(&mut self, at: EntryId, bytes: &[u8]) -> Result<(), Violation> {
        let (last, floor) = (self.last, self.floor);
        if at.index <= last.index || at.term < last.term {
            return broken(
                Property::CommittedImmutable,
                format_args!("a command is committed at {at}, after {last} was"),
            );
        }
        if at.index <= floor {
            return broken(
                Property::StateMachineSafety,
                format_args!("{at} is committed after somebody was answered at {floor}"),
            );
        }
        let Some((id, op)) = Op::decode(bytes) else {
            return broken(
                Property::ClientLinearizable,
                format_args!("what is committed at {at} is no command: {bytes:02x?}"),
            );
        };
        let asked = self.fates.get_mut(&id).filter(|fate| fate.op == op);
        let Some(fate) = asked else {
            return broken(
                Property::ClientLinearizable,
                format_args!("{id} {op} is committed at {at}, and nobody asked for it"),
            );
        };
        if let Some((before, _)) = fate.committed {
            return broken(
                Property::ExactlyOnce,
                format_args!("{id} {op} is committed at {at}, and at {before} before"),
            );
        }
        fate.committed = Some((at, self.model.apply(id, op)));
        self.last = at;
        let outcome = fate.outcome;
        if !op.is_read() {
            let (key, _) = op.keys();
            let versions = self.versions.entry(key).or_default();
            versions.push((at.index, self.model.cell(key)));
        }
        match outcome {
            Some(Outcome::Failed) => rejected(id, op, at),
            None | Some(Outcome::Unknown | Outcome::Written { .. } | Outcome::Read { .. }) => {
                Ok(())
            }
        }
    }

    /// The client that asked for `id` is told `outcome`.
    ///
    /// # Errors
    /// The answer is not the one that the committed log gives, it does not stand where it is said
    /// to, or it is older than what somebody was told before the question.
    pub fn completed(&mut self, id: OpId, outcome: Outcome) -> Result<(), Violation> {
        let asked = self.fates.get_mut(&id);
        let Some(fate) = asked.filter(|fate| fate.outcome.is_none()) else {
            return broken(
                Property::OneOutcome,
                format_args!("{id} is told {outcome:?}, a second outcome or one not asked for"),
            );
        };
        fate.outcome = Some(outcome);
        let fate = *fate;
        match outcome {
            Outcome::Written { reply, entry } => {
                self.floor = self.floor.max(entry.index);
                fate.written(id, entry, reply)
            }
            Outcome::Read { reply, applied } => {
                self.floor = self.floor.max(applied);
                self.read(id, &fate, applied, reply)
            }
            Outcome::Failed => match fate.committed {
                Some((at, _)) => rejected(id, fate.op, at),
                None => Ok(()),
            },
            Outcome::Unknown => Ok(()),
        }
    }

    fn read(&self, id: OpId, fate: &Fate, applied: LogIndex, reply: Reply) -> Check {
        let (client, op, floor) = (fate.client, fate.op, fate.floor);
        if !op.is_read() {
            return broken(
                Property::ClientLinearizable,
                format_args!("client {client}'s {id} {op} was answered without an entry"),
            );
        }
        if applied < floor {
            return broken(
                Property::ReadFresh,
                format_args!(
                    "client {client}'s {id} {op} was served at {applied}, asked for when {floor} \
                     was known"
                ),
            );
        }
        let expected = self.answer(op, applied);
        compare(id, fate, reply, expected, applied)
    }

    /// What `op`, a read, answers where everything up to `applied` was done.
    fn answer(&self, op: Op, applied: LogIndex) -> Reply {
        let cell = |key| self.cell_at(key, applied);
        match op {
            Op::ReadPair { first, second } => Reply::Pair(cell(first), cell(second)),
            Op::Append { key }
            | Op::Add { key, .. }
            | Op::Cas { key, .. }
            | Op::Put { key, .. }
            | Op::Read { key } => Reply::Cell(cell(key)),
        }
    }

    fn cell_at(&self, key: u8, applied: LogIndex) -> Cell {
        let versions = self.versions.get(&key).map_or(&[][..], Vec::as_slice);
        let newer = versions.partition_point(|(index, _)| *index <= applied);
        let version = newer.checked_sub(1).and_then(|at| versions.get(at));
        version.map_or_else(Cell::default, |(_, cell)| *cell)
    }

    /// In the end: `log` is what a node holds, the commands from some index on to the last. What
    /// was acknowledged is in it once and in its place, what may have been done at most once, and
    /// what was rejected never.
    ///
    /// # Errors
    /// It is not so.
    pub fn finish<'a>(
        &self,
        log: impl IntoIterator<Item = (EntryId, &'a [u8])>,
    ) -> Result<(), Violation> {
        let mut places: Vec<(OpId, EntryId)> = Vec::new();
        let mut first = None;
        for (at, bytes) in log {
            first.get_or_insert(at.index);
            let Some((id, _)) = Op::decode(bytes) else {
                return broken(
                    Property::ClientLinearizable,
                    format_args!("what the log holds at {at} is no command: {bytes:02x?}"),
                );
            };
            places.push((id, at));
        }
        // The log is nearly in the order of the ids, which sorts fast; so are the fates.
        places.sort_by_key(|(id, _)| *id);
        for pair in places.windows(2) {
            if let [(id, before), (same, at)] = pair
                && id == same
            {
                return broken(
                    Property::ExactlyOnce,
                    format_args!("the log holds {id} at {before} and at {at}"),
                );
            }
        }
        let mut places = places.into_iter().peekable();
        let held = |at: EntryId| first.is_some_and(|first| first <= at.index);
        for (id, fate) in &self.fates {
            while places.next_if(|(other, _)| other < id).is_some() {}
            let place = places.next_if(|(other, _)| other == id);
            fate.ends(*id, place.map(|(_, at)| at), held)?;
        }
        Ok(())
    }

    /// Whether `id` is committed.
    #[must_use]
    pub fn took_effect(&self, id: OpId) -> bool {
        self.fates
            .get(&id)
            .is_some_and(|fate| fate.committed.is_some())
    }

    /// The state after everything that is committed; a node that applied as much has its hash.
    #[must_use]
    pub const fn model(&self) -> &Model {
        &self.model
    }
}

impl Fate {
    fn written(&self, id: OpId, entry: EntryId, reply: Reply) -> Check {
        let (client, op, floor) = (self.client, self.op, self.floor);
        let expected = match self.committed {
            Some((at, expected)) if at == entry => expected,
            other => {
                let at = other.map(|(at, _)| at);
                return broken(
                    Property::AckedNeverLost,
                    format_args!(
                        "client {client}'s {id} {op} was acknowledged at {entry}; it is committed \
                         at {at:?}"
                    ),
                );
            }
        };
        if entry.index <= floor {
            return broken(
                Property::RealTimeOrder,
                format_args!(
                    "client {client}'s {id} {op} was acknowledged at {entry}, asked for when \
                     {floor} was known"
                ),
            );
        }
        compare(id, self, reply, expected, entry.index)
    }

    /// The log of a node holds it at `place`; `held` says whether it goes back to an index.
    fn ends(&self, id: OpId, place: Option<EntryId>, held: impl Fn(EntryId) -> bool) -> Check {
        let op = self.op;
        match self.outcome {
            Some(Outcome::Failed) => match place {
                Some(at) => rejected(id, op, at),
                None => Ok(()),
            },
            Some(Outcome::Written { entry, .. })
                if place.is_some_and(|at| at != entry) || (place.is_none() && held(entry)) =>
            {
                broken(
                    Property::AckedNeverLost,
                    format_args!(
                        "{id} {op} was acknowledged at {entry}; in the end it is at {place:?}"
                    ),
                )
            }
            None | Some(Outcome::Written { .. } | Outcome::Read { .. } | Outcome::Unknown) => {
                Ok(())
            }
        }
    }
}

fn compare(id: OpId, fate: &Fate, reply: Reply, expected: Reply, at: LogIndex) -> Check {
    if reply == expected {
        return Ok(());
    }
    let (client, op) = (fate.client, fate.op);
    broken(
        Property::ClientLinearizable,
        format_args!("client {client}'s {id} {op} at {at} answered {reply}, not {expected}"),
    )
}

fn rejected(id: OpId, op: Op, at: EntryId) -> Check {
    broken(
        Property::RejectedNeverApplied,
        format_args!("{id} {op} was rejected for good, and is committed at {at}"),
    )
}
