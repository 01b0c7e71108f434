//! What a crash leaves of a directory in memory.

use super::state::State;

/// Bytes of a sector.
pub(super) const SECTOR: u64 = 512;

/// How a process ends.
pub enum Crash<'a> {
    /// The process alone: the system goes on, and everything it saw is still seen. Nothing
    /// becomes durable by it.
    Process,
    /// The power: of what was not synced survives what this function says, asked in the order
    /// in which it was written.
    Power(&'a mut dyn FnMut(Unsynced<'_>) -> bool),
    /// The power, on a disk that does worse than the log assumes: it may leave garbage where it
    /// was writing, which is damage and no torn write.
    Surge(&'a mut dyn FnMut(Unsynced<'_>) -> Fate),
}

/// What becomes of something unsynced when the power is lost.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fate {
    /// It survives.
    Kept,
    /// It is as if it had not been written.
    Lost,
    /// There is neither the old nor the new content, but bytes that follow from this number. For
    /// a length or a name it means the same as [`Fate::Kept`].
    Garbage(u64),
}

/// The unit in which an interrupted write is old or new. The log is made for sectors; the larger
/// unit leaves some of what those can leave, and nothing else.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum TearUnit {
    /// 512 bytes.
    #[default]
    Sector,
    /// 4096 bytes.
    Page,
}

impl TearUnit {
    /// Its size in bytes.
    #[must_use]
    pub const fn bytes(self) -> u64 {
        match self {
            Self::Sector => SECTOR,
            Self::Page => 4096,
        }
    }
}

/// Something that a loss of power may keep or lose.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unsynced<'a> {
    /// One write to one sector of 512 bytes, or to one [`TearUnit`] where that is another.
    Sector {
        /// The file, by the name it last had.
        name: &'a str,
        /// Where the sector starts.
        offset: u64,
    },
    /// The length of a file, where a write moved it: it can survive without the content, which
    /// is zeros then.
    Length {
        /// The file, by the name it last had.
        name: &'a str,
        /// The length.
        length: u64,
    },
    /// A file got this name, or lost it.
    Name {
        /// The name.
        name: &'a str,
    },
}

/// What a file asks when the power is lost.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Question {
    /// Whether the part of a write survives that falls into the unit at this offset.
    Piece(u64),
    /// Whether this length survives.
    Length(u64),
}

impl State {
    /// Ends the process.
    pub(super) fn crash(&mut self, crash: Crash<'_>) {
        self.end_process();
        match crash {
            Crash::Process => {}
            Crash::Power(keep) => self.lose_power(&mut |unsynced| match keep(unsynced) {
                true => Fate::Kept,
                false => Fate::Lost,
            }),
            Crash::Surge(fate) => self.lose_power(fate),
        }
    }

    fn lose_power(&mut self, fate: &mut dyn FnMut(Unsynced<'_>) -> Fate) {
        let Self {
            images,
            names,
            pool,
            tear_unit,
            ..
        } = self;
        for (inode, image) in images.iter_mut() {
            let mut name = None;
            image.lose_power(*tear_unit, pool, |question| {
                let name = *name.get_or_insert_with(|| names.name_of(*inode).unwrap_or_default());
                fate(match question {
                    Question::Piece(offset) => Unsynced::Sector { name, offset },
                    Question::Length(length) => Unsynced::Length { name, length },
                })
            });
        }
        names.lose_power(|name| fate(Unsynced::Name { name }) != Fate::Lost);
        self.drop_unnamed();
    }
}
