//! Term, vote and floor on disk: one record, in two copies of the same generation
//! (scenario A03). Each copy carries a witness too, which costs no sync of its own.

use bytes::{Buf, BufMut};
use quorate_core::{EntryId, Floor, HardState, LogIndex, NodeId, Term};

use crate::disk::{Disk, DiskFile};
use crate::error::{IoFailure, OpenError};
use crate::frame::LogSeed;
use crate::slots::{CONTENT, Content, Slot, SlotFile};
use crate::witness::Witness;

/// The file.
pub(crate) const NAME: &str = "hard-state";
const MAGIC: [u8; 4] = *b"QHrd";

const NO_FLOOR: u64 = 0;
const FLOOR_AT: u64 = 1;
const FLOOR_ANY_INDEX: u64 = 2;

/// The open file.
pub(crate) struct HardStateFile<F> {
    slots: SlotFile<F>,
    generation: u64,
    saved: HardState,
}

impl<F: DiskFile> HardStateFile<F> {
    /// Creates the file. Durable on return, but for the name.
    pub(crate) fn create<D: Disk<File = F>>(
        disk: &D,
        seed: LogSeed,
        witness: Witness,
    ) -> Result<(), IoFailure> {
        let content = encode(&HardState::default(), witness);
        SlotFile::create(disk, NAME, MAGIC, seed, &content).map(drop)
    }

    /// Opens the file. Returns the newest witness in it, and which slot is the newest: of two of
    /// one generation, an interrupted start leaves the newer witness in the other.
    pub(crate) fn open<D: Disk<File = F>>(
        disk: &D,
        seed: LogSeed,
    ) -> Result<(Self, Witness, Slot), OpenError> {
        let (slots, newest) = SlotFile::open(disk, NAME, MAGIC, seed)?;
        let (saved, witness) = decode(&newest.content);
        let other = newest.other.map(|content| decode(&content).1);
        let witness = witness.or_newer(other.unwrap_or_default());
        Ok((
            Self {
                slots,
                generation: newest.generation,
                saved,
            },
            witness,
            newest.slot,
        ))
    }

    /// The newest state.
    pub(crate) const fn saved(&self) -> HardState {
        self.saved
    }

    /// Writes both slots again, the older one first: what was read may never have been durable.
    pub(crate) fn rewrite(&mut self, newest: Slot, witness: Witness) -> Result<(), IoFailure> {
        let content = encode(&self.saved, witness);
        self.slots.save(newest.other(), self.generation, &content)?;
        self.slots.save(newest, self.generation, &content)
    }

    /// Saves a state. Until both copies hold it nobody is told of it, so that one of them may
    /// rot afterwards.
    pub(crate) fn save(&mut self, state: &HardState, witness: Witness) -> Result<(), IoFailure> {
        let content = encode(state, witness);
        self.slots.save(Slot::A, self.generation + 1, &content)?;
        self.slots.save(Slot::B, self.generation + 1, &content)?;
        self.generation += 1;
        self.saved = *state;
        Ok(())
    }
}

fn encode(state: &HardState, witness: Witness) -> Content {
    let mut content = [0u8; CONTENT];
    let mut rest = content.as_mut_slice();
    rest.put_u64_le(state.term.get());
    rest.put_u64_le(state.vote.map_or(0, NodeId::get));
    let (kind, id) = match state.floor {
        None => (NO_FLOOR, EntryId::NONE),
        Some(Floor::At(id)) => (FLOOR_AT, id),
        Some(Floor::AnyIndexOf(term)) => (FLOOR_ANY_INDEX, EntryId::new(LogIndex::NONE, term)),
    };
    rest.put_u64_le(kind);
    rest.put_u64_le(id.term.get());
    rest.put_u64_le(id.index.get());
    witness.put(&mut rest);
    content
}

fn decode(content: &Content) -> (HardState, Witness) {
    let mut rest = content.as_slice();
    let term = Term::new(rest.get_u64_le());
    let vote = NodeId::new(rest.get_u64_le());
    let kind = rest.get_u64_le();
    let floor_term = Term::new(rest.get_u64_le());
    let floor_index = LogIndex::new(rest.get_u64_le());
    let floor = match kind {
        FLOOR_AT => Some(Floor::At(EntryId::new(floor_index, floor_term))),
        FLOOR_ANY_INDEX => Some(Floor::AnyIndexOf(floor_term)),
        _ => None,
    };
    (HardState { term, vote, floor }, Witness::get(&mut rest))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hard_state_comes_back_unchanged_with_every_kind_of_floor() {
        let id = EntryId::new(LogIndex::new(8), Term::new(3));
        let witness = Witness {
            batch: 1,
            next: 3,
            segment: 4,
            end: 5,
        };
        for floor in [
            None,
            Some(Floor::At(id)),
            Some(Floor::AnyIndexOf(Term::new(4))),
        ] {
            let state = HardState {
                term: Term::new(5),
                vote: NodeId::new(6),
                floor,
            };
            assert_eq!(decode(&encode(&state, witness)), (state, witness));
        }
    }
}
