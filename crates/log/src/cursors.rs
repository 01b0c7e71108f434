//! Where the last reads stopped, so that a read that goes on there need not walk to that place
//! again. What a walk checks on its way is in `reading.rs`.

use quorate_core::LogIndex;

use crate::frame::{Frame, Place};
use crate::positions::Mark;

/// Cursors kept: one for the state machine, two for the peers that may lag while a leader of five
/// still commits, and one for a learner. With more readers in turns each walks from its mark.
const KEPT: usize = 4;

/// How far a walk through frames has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Cursor {
    /// The next entry.
    pub(crate) index: LogIndex,
    /// Where the next frame starts: that of the entry, or one that closes a batch before it.
    pub(crate) place: Place,
    /// Checksum of the header before the next frame, where the walk has read it.
    pub(crate) chain: Option<u32>,
}

impl Cursor {
    /// A walk that starts at a mark.
    pub(crate) const fn at(mark: Mark) -> Self {
        Self {
            index: mark.index,
            place: mark.place,
            chain: None,
        }
    }

    /// The walk after one more frame, whose header has the checksum `crc`.
    pub(crate) fn after(self, frame: &Frame, crc: u32) -> Self {
        let entries = u64::from(frame.kind.is_entry());
        let offset = u32::try_from(frame.end()).unwrap_or(u32::MAX);
        Self {
            index: LogIndex::new(self.index.get() + entries),
            place: Place {
                offset,
                ..self.place
            },
            chain: Some(crc),
        }
    }

    /// Whether a walk from `mark` comes past here, given that the next entry is before the end
    /// of the stretch of `mark`.
    fn is_beyond(&self, mark: Mark) -> bool {
        self.place.segment == mark.place.segment && self.place.offset > mark.place.offset
    }
}

/// The cursors of the last reads, the one that was moved last at the end. A read that fails leaves
/// none behind.
///
/// # Invariant
/// Each stands right behind the frame of an entry, so before the frame that closes its batch. The
/// log is written strictly forward and the numbers of segments only rise: whatever is written
/// after a cursor came to stand somewhere stands beyond it.
///
/// So nobody has to tell a cursor that the log has changed. An entry that takes the place of
/// others starts a stretch, whose mark, like every later one, is beyond all cursors of before.
/// Whatever is wanted from the replaced entry on is in that stretch or a later one, and no old
/// cursor is beyond such a mark. For what is wanted before it, a cursor that stood behind the
/// replaced entry has too high an index. Both are asked in [`Cursors::take`].
#[derive(Debug, Default)]
pub(crate) struct Cursors {
    kept: Vec<Cursor>,
}

impl Cursors {
    /// Takes out the cursor from which it is shortest to the entry at `index`, which belongs to
    /// the stretch of `mark`. `None` if the mark is as near.
    pub(crate) fn take(&mut self, index: LogIndex, mark: Mark) -> Option<Cursor> {
        let usable = |cursor: &Cursor| cursor.index <= index && cursor.is_beyond(mark);
        let nearest = (0..self.kept.len())
            .filter(|&at| self.kept.get(at).is_some_and(usable))
            .max_by_key(|&at| self.kept.get(at).map(|cursor| cursor.index))?;
        Some(self.kept.remove(nearest))
    }

    /// Keeps the cursor of a read that ended well, in place of the one it took or else of the
    /// one that was not moved for longest.
    pub(crate) fn keep(&mut self, cursor: Cursor) {
        if self.kept.len() == KEPT {
            self.kept.remove(0);
        }
        self.kept.push(cursor);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn place(segment: u32, offset: u32) -> Place {
        Place { segment, offset }
    }

    fn mark(index: u64, place: Place) -> Mark {
        let index = LogIndex::new(index);
        Mark { index, place }
    }

    fn kept(cursors: &[(u64, Place)]) -> Cursors {
        let mut kept = Cursors::default();
        for &(index, place) in cursors {
            kept.keep(Cursor::at(mark(index, place)));
        }
        kept
    }

    fn taken(cursors: &mut Cursors, index: u64, mark: Mark) -> Option<u64> {
        let cursor = cursors.take(LogIndex::new(index), mark)?;
        Some(cursor.index.get())
    }

    #[test]
    fn the_nearest_cursor_before_an_entry_is_taken_out() {
        let mut cursors = kept(&[(4, place(1, 900)), (7, place(1, 1200)), (9, place(1, 1400))]);
        let mark = mark(1, place(1, 512));
        assert_eq!(taken(&mut cursors, 8, mark), Some(7));
        assert_eq!(taken(&mut cursors, 8, mark), Some(4));
        assert_eq!(taken(&mut cursors, 8, mark), None);
        assert_eq!(taken(&mut cursors, 9, mark), Some(9));
    }

    #[test]
    fn a_cursor_of_another_stretch_is_not_taken() {
        let mut cursors = kept(&[(4, place(1, 900)), (4, place(1, 2048)), (4, place(2, 4096))]);
        assert_eq!(taken(&mut cursors, 5, mark(3, place(3, 512))), None);
        assert_eq!(taken(&mut cursors, 5, mark(3, place(1, 2048))), None);
    }

    #[test]
    fn the_cursor_that_was_not_moved_for_longest_makes_room() {
        let first = mark(1, place(1, 512));
        let mut cursors = kept(&[
            (2, place(1, 600)),
            (3, place(1, 700)),
            (4, place(1, 800)),
            (5, place(1, 900)),
        ]);
        let moved = cursors.take(LogIndex::new(2), first).unwrap();
        cursors.keep(moved);
        cursors.keep(Cursor::at(mark(6, place(1, 1000))));
        let left = cursors.kept.iter().map(|cursor| cursor.index.get());
        assert_eq!(left.collect::<Vec<_>>(), [4, 5, 2, 6]);
    }
}
