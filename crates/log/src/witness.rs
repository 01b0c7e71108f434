//! The witness: how far the log was durable, told apart from the log itself. A log that ends
//! before it has lost what was acknowledged, however clean its end looks.

use bytes::{Buf, BufMut};

use crate::disk::{Disk, DiskFile};
use crate::error::{IoFailure, OpenError};
use crate::frame::LogSeed;
use crate::slots::{CONTENT, Content, Slot, SlotFile};

/// The file.
pub(crate) const NAME: &str = "witness";
const MAGIC: [u8; 4] = *b"QWit";

/// The end of the last batch that was durable.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Witness {
    /// Its number; zero before the first.
    pub(crate) batch: u64,
    /// The number of the batch that comes after it. It skips those that an earlier process may
    /// have begun to write, so that no number is ever used twice.
    pub(crate) next: u64,
    /// The segment it stands in.
    pub(crate) segment: u32,
    /// The first byte after it.
    pub(crate) end: u32,
}

impl Witness {
    /// Appends the witness to the content of a slot.
    pub(crate) fn put(self, content: &mut impl BufMut) {
        content.put_u64_le(self.batch);
        content.put_u64_le(self.next);
        content.put_u32_le(self.segment);
        content.put_u32_le(self.end);
    }

    /// The reverse of [`Witness::put`].
    pub(crate) fn get(content: &mut impl Buf) -> Self {
        Self {
            batch: content.get_u64_le(),
            next: content.get_u64_le(),
            segment: content.get_u32_le(),
            end: content.get_u32_le(),
        }
    }

    /// The one that knows more.
    pub(crate) fn or_newer(self, other: Self) -> Self {
        if (other.batch, other.next) > (self.batch, self.next) {
            other
        } else {
            self
        }
    }
}

/// The open file. Its slots are written in turns.
pub(crate) struct WitnessFile<F> {
    slots: SlotFile<F>,
    newest: Slot,
    generation: u64,
    saved: Witness,
}

impl<F: DiskFile> WitnessFile<F> {
    /// Creates the file. Durable on return, but for the name.
    pub(crate) fn create<D: Disk<File = F>>(
        disk: &D,
        seed: LogSeed,
        witness: Witness,
    ) -> Result<(), IoFailure> {
        SlotFile::create(disk, NAME, MAGIC, seed, &content(witness)).map(drop)
    }

    /// Opens the file.
    pub(crate) fn open<D: Disk<File = F>>(disk: &D, seed: LogSeed) -> Result<Self, OpenError> {
        let (slots, newest) = SlotFile::open(disk, NAME, MAGIC, seed)?;
        let saved = Witness::get(&mut newest.content.as_slice());
        Ok(Self {
            slots,
            newest: newest.slot,
            generation: newest.generation,
            saved,
        })
    }

    /// The newest witness in the file.
    pub(crate) const fn saved(&self) -> Witness {
        self.saved
    }

    /// Saves a newer witness over the older slot: an interrupted save leaves the newer one.
    pub(crate) fn save(&mut self, witness: Witness) -> Result<(), IoFailure> {
        let slot = self.newest.other();
        self.slots
            .save(slot, self.generation + 1, &content(witness))?;
        self.newest = slot;
        self.generation += 1;
        self.saved = witness;
        Ok(())
    }
}

fn content(witness: Witness) -> Content {
    let mut content = [0u8; CONTENT];
    witness.put(&mut content.as_mut_slice());
    content
}
