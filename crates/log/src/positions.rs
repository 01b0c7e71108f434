//! Where entries stand on disk: one mark per 64 KiB of log instead of one per entry, so that the
//! index of a log of any size stays small (scenario G13).

use quorate_core::LogIndex;

use crate::frame::Place;

/// Log between two marks, in bytes, at most (but always one entry).
const STRIDE: u32 = 64 * 1024;

/// From a mark on, the entries up to the next mark stand one after the other in one segment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Mark {
    /// The entry.
    pub(crate) index: LogIndex,
    /// Where its frame starts.
    pub(crate) place: Place,
}

/// A stretch of the log to read through.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Stretch {
    /// Where it starts.
    pub(crate) mark: Mark,
    /// The first entry that is not in it, where there is a later mark: frames of that index
    /// inside the stretch were replaced since.
    pub(crate) until: Option<LogIndex>,
}

/// The marks of a log, in log order.
#[derive(Clone, Debug, Default)]
pub(crate) struct Positions {
    marks: Vec<Mark>,
    last: LogIndex,
}

impl Positions {
    /// Notes that the entry at `index` now stands at `place`, and nothing follows it.
    pub(crate) fn note(&mut self, index: LogIndex, place: Place) {
        let replaces = index <= self.last;
        while self.marks.pop_if(|mark| mark.index >= index).is_some() {}
        let near = self.marks.last().is_some_and(|mark| {
            mark.place.segment == place.segment
                && place.offset.wrapping_sub(mark.place.offset) < STRIDE
        });
        if replaces || !near {
            self.marks.push(Mark { index, place });
        }
        self.last = index;
    }

    /// The stretch that holds the entry at `index`.
    pub(crate) fn stretch(&self, index: LogIndex) -> Option<Stretch> {
        let after = self.marks.partition_point(|mark| mark.index <= index);
        let mark = *self.marks.get(after.checked_sub(1)?)?;
        Some(Stretch {
            mark,
            until: self.marks.get(after).map(|mark| mark.index),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn note(positions: &mut Positions, index: u64, segment: u32, offset: u32) {
        positions.note(LogIndex::new(index), Place { segment, offset });
    }

    fn found(positions: &Positions, index: u64) -> Option<(u64, u32, Option<u64>)> {
        let stretch = positions.stretch(LogIndex::new(index))?;
        let until = stretch.until.map(LogIndex::get);
        Some((stretch.mark.index.get(), stretch.mark.place.offset, until))
    }

    #[test]
    fn marks_are_sparse_and_never_cross_a_segment() {
        let mut positions = Positions::default();
        for index in 1..=1000 {
            note(
                &mut positions,
                index,
                1,
                512 + u32::try_from(index).unwrap() * 128,
            );
        }
        note(&mut positions, 1001, 2, 512);
        assert!(
            positions.marks.len() <= 4,
            "128 KiB of log need three marks or so"
        );
        assert_eq!(found(&positions, 1001), Some((1001, 512, None)));
        assert_eq!(found(&positions, 10), Some((1, 640, Some(513))));
        assert_eq!(found(&positions, 0), None);
    }

    #[test]
    fn a_replaced_suffix_is_found_at_its_new_place() {
        let mut positions = Positions::default();
        for index in 1..=10 {
            note(
                &mut positions,
                index,
                1,
                512 * u32::try_from(index).unwrap(),
            );
        }
        note(&mut positions, 4, 1, 512 * 11);
        assert_eq!(
            found(&positions, 3),
            Some((1, 512, Some(4))),
            "old frames of 4 are not read"
        );
        assert_eq!(found(&positions, 4), Some((4, 512 * 11, None)));
    }
}
