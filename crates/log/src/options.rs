//! What the caller says when it opens a log: whose it is, what is random in it, and the knobs.

use quorate_core::NodeId;

use crate::identity::{ClusterId, DirectoryId};

/// Whose directory it is meant to be. A directory of anybody else is refused (scenario G10).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Owner {
    /// The cluster.
    pub cluster: ClusterId,
    /// The node.
    pub node: NodeId,
}

/// Random numbers for a directory that is new; unused where one is opened again. The library
/// draws none itself, so that a simulation stays repeatable.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FreshIds {
    /// Names the directory.
    pub directory: DirectoryId,
    /// Names the log: it goes into every checksum, so that nothing written for another log
    /// verifies in this one. Kept in the identity file alone.
    pub log: u128,
}

/// The knobs of a log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct LogOptions {
    /// Size of a segment file. A multiple of 512, from 4 KiB to 1 GiB; an entry that does not
    /// fit gets a segment of its own size. May differ from one start to the next.
    /// Default 16 MiB.
    pub segment_bytes: u64,
}

impl Default for LogOptions {
    fn default() -> Self {
        Self {
            segment_bytes: 16 * 1024 * 1024,
        }
    }
}

impl LogOptions {
    /// The least a segment may hold: its header and a few batches.
    pub(crate) const MIN_SEGMENT_BYTES: u64 = 4 * 1024;
    /// Offsets in a segment are 32 bits wide; this leaves room for an entry of own size.
    pub(crate) const MAX_SEGMENT_BYTES: u64 = 1024 * 1024 * 1024;

    /// Whether the knobs are within their limits.
    pub(crate) fn is_valid(self) -> bool {
        (Self::MIN_SEGMENT_BYTES..=Self::MAX_SEGMENT_BYTES).contains(&self.segment_bytes)
            && self.segment_bytes.is_multiple_of(crate::segment::SECTOR)
    }
}
