//! What the engine knows of a snapshot. The bytes themselves it never sees: they are the state
//! machine's, and the host stores and carries them.

use crate::{EntryId, LogIndex, Membership};

/// A snapshot of the state machine, as a name for its bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SnapshotMeta {
    /// The last entry whose effect it holds.
    pub last: EntryId,
    /// The membership in force at that entry: the full set (scenario C05).
    pub membership: Membership,
    /// The index of the entry that put that membership in force; `NONE` for the founders.
    pub membership_index: LogIndex,
    /// How many bytes it has.
    pub length: u64,
    /// A checksum over all of them. Two snapshots of the same entry on two nodes may differ.
    pub checksum: u64,
}

impl SnapshotMeta {
    /// Whether these name it: its last entry, and the checksum of its bytes.
    #[must_use]
    pub fn is_named(&self, last: EntryId, checksum: u64) -> bool {
        (self.last, self.checksum) == (last, checksum)
    }
}
