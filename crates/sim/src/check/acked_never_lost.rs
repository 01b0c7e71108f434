//! AckedNeverLost: a command that was acknowledged to its client is the one that was applied, and
//! is in every log once the cluster is whole again (scenario H01).

use quorate_core::{Entry, EntryId, LogIndex, NodeId};

use super::{Check, Property, broken};
use crate::digest::token;

/// What clients were told, in the order in which they were told.
#[derive(Debug, Default)]
pub(crate) struct AckedNeverLost {
    acked: Vec<(EntryId, u64)>,
}

impl AckedNeverLost {
    /// `node` applied `entry` where a client's command with `token` was appended, and tells the
    /// client that it is done.
    pub(crate) fn acks(&mut self, node: NodeId, entry: &Entry, expected: u64) -> Check {
        self.acked.push((entry.id(), expected));
        self.compare(node, entry.id(), expected, Some(entry))
    }

    /// The durable log of `node`, in the end, holds at each index what `entry_at` says.
    pub(crate) fn ends<'a>(
        &self,
        node: NodeId,
        entry_at: impl Fn(LogIndex) -> Option<&'a Entry>,
    ) -> Check {
        self.acked
            .iter()
            .try_for_each(|&(id, expected)| self.compare(node, id, expected, entry_at(id.index)))
    }

    fn compare(&self, node: NodeId, id: EntryId, expected: u64, found: Option<&Entry>) -> Check {
        if found.is_some_and(|entry| entry.id() == id && token(entry.payload.bytes()) == expected) {
            return Ok(());
        }
        let found = found.map(Entry::id);
        broken(
            Property::AckedNeverLost,
            format_args!("command {expected:x} was acknowledged at {id}; {node} holds {found:?}"),
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::check::testing::{i, must_fire, n, t};
    use bytes::Bytes;
    use quorate_core::Payload;

    fn entry(index: u64, term: u64, token: u64) -> Entry {
        let payload = Payload::Command(Bytes::copy_from_slice(&token.to_le_bytes()));
        Entry {
            index: i(index),
            term: t(term),
            payload,
        }
    }

    #[test]
    fn fires_when_an_acknowledged_command_is_missing_or_another_stands_in_its_place() {
        let mut checker = AckedNeverLost::default();
        let (kept, other, later) = (entry(1, 1, 7), entry(1, 1, 8), entry(1, 2, 7));
        assert!(checker.acks(n(1), &kept, 7).is_ok());
        assert!(checker.ends(n(1), |_| Some(&kept)).is_ok());
        must_fire(Property::AckedNeverLost, checker.ends(n(2), |_| None));
        must_fire(
            Property::AckedNeverLost,
            checker.ends(n(2), |_| Some(&other)),
        );
        must_fire(
            Property::AckedNeverLost,
            checker.ends(n(2), |_| Some(&later)),
        );
        must_fire(Property::AckedNeverLost, checker.acks(n(1), &other, 7));
    }
}
