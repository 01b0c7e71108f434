//! ReadFresh: a read is served at an index that covers everything committed anywhere when the
//! read was asked, and never before that much was handed to the state machine (scenarios E01,
//! E02, E15).

use std::collections::BTreeMap;

use quorate_core::{LogIndex, ReadId};

use super::{Check, LifeId, Property, broken};

/// Reads that wait for their index, with what they must see.
#[derive(Debug, Default)]
pub(crate) struct ReadFresh {
    floors: BTreeMap<(LifeId, ReadId), LogIndex>,
}

impl ReadFresh {
    /// A client asks `life` for `read` when everything up to `committed` is committed.
    pub(crate) fn asked(&mut self, life: LifeId, read: ReadId, committed: LogIndex) {
        self.floors.insert((life, read), committed);
    }

    /// `life` says that `read` sees `index`, having handed entries up to `handed` to its machine.
    pub(crate) fn ready(
        &mut self,
        life: LifeId,
        read: ReadId,
        index: LogIndex,
        handed: LogIndex,
    ) -> Check {
        // That the read was asked at all is the business of `one_outcome.rs`.
        let Some(floor) = self.floors.remove(&(life, read)) else {
            return Ok(());
        };
        if floor <= index && index <= handed {
            return Ok(());
        }
        broken(
            Property::ReadFresh,
            format_args!(
                "{life} serves {read} at {index}, handed over up to {handed}, when {floor} was \
                 committed before it was asked"
            ),
        )
    }

    /// `life` ended; its reads are never served.
    pub(crate) fn life_ends(&mut self, life: LifeId) {
        self.floors.retain(|(asked, _), _| *asked != life);
    }

    /// `life` refused `read`.
    pub(crate) fn refused(&mut self, life: LifeId, read: ReadId) {
        self.floors.remove(&(life, read));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::check::testing::{i, life, must_fire};

    #[test]
    fn fires_when_a_read_is_stale_or_early() {
        let mut checker = ReadFresh::default();
        let mut read = |floor, index, handed| {
            checker.asked(life(1), ReadId::new(1), i(floor));
            checker.ready(life(1), ReadId::new(1), i(index), i(handed))
        };
        assert!(read(3, 3, 3).is_ok() && read(3, 4, 9).is_ok());
        must_fire(Property::ReadFresh, read(3, 2, 9));
        must_fire(Property::ReadFresh, read(3, 4, 3));
    }
}
