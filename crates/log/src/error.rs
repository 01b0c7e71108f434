//! What can go wrong, sorted by what the caller can do about it.

use std::fmt;
use std::io;

use quorate_core::{EntryId, LogIndex, Term};

use crate::options::{LogOptions, Owner};

/// Why a directory could not be opened. Nothing in it was lost by the attempt.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum OpenError {
    /// Another process works in the directory. Stop that one first.
    #[error("the directory is in use by another process")]
    InUse,
    /// The directory is another's. Mount the right one.
    #[error(
        "the directory belongs to node {} of cluster {}, not to node {} of cluster {}",
        found.node, found.cluster, expected.node, expected.cluster
    )]
    WrongOwner {
        /// Who wanted it.
        expected: Owner,
        /// Whose it is.
        found: Owner,
    },
    /// The directory has no identity, but files that no log wrote. Give an empty one.
    #[error("the directory holds {file}, which is no file of a log; a new log needs an empty one")]
    NotEmpty {
        /// One of the files.
        file: String,
    },
    /// A knob is outside its limits. Change it.
    #[error(
        "a segment of {} bytes is not a multiple of 512 from {} to {}",
        options.segment_bytes, LogOptions::MIN_SEGMENT_BYTES, LogOptions::MAX_SEGMENT_BYTES
    )]
    InvalidOptions {
        /// The knobs.
        options: LogOptions,
    },
    /// Written by a newer version of the format. Use that version.
    #[error("{file} has format version {version}; this program knows version 1")]
    NewerFormat {
        /// The file.
        file: String,
        /// Its version.
        version: u32,
    },
    /// What was once durable does not verify any more. Nothing was changed. Replace the node, or
    /// bring the directory back from where it was intact; cutting the log would lose what others
    /// count on.
    #[error(transparent)]
    Damaged(#[from] Damage),
    /// The disk failed, or is full. Repair it and try again.
    #[error(transparent)]
    Io(#[from] IoFailure),
}

/// Why an open log could not do what it was asked.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StorageError {
    /// An earlier write failed, and what the disk holds since is unknown. Open the log anew.
    #[error("an earlier write failed; the log must be opened anew")]
    Poisoned,
    /// The write makes no sense after the ones before it: a bug of the caller.
    #[error("the write was refused: {0}")]
    Misuse(#[from] Misuse),
    /// The next segment cannot be prepared: the disk is full. Nothing is lost; make room.
    #[error("no room for the next segment: {0}")]
    Full(#[source] IoFailure),
    /// What is read does not verify. Other entries can still be read, and writing goes on.
    #[error(transparent)]
    Damaged(#[from] Damage),
    /// The disk failed.
    #[error(transparent)]
    Io(#[from] IoFailure),
}

/// A write that contradicts the log. It cannot come from an engine.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Misuse {
    /// It leaves a gap, or its term is below that of the entry before it.
    #[error("entry {entry} does not follow {last}")]
    OutOfOrder {
        /// What was to be appended.
        entry: EntryId,
        /// The entry it would have to follow or replace.
        last: EntryId,
    },
    /// Its term is above the saved one. The hard state has to be saved first.
    #[error("entry {entry} is of a later term than the saved {saved}")]
    BeyondSavedTerm {
        /// What was to be appended.
        entry: EntryId,
        /// The term in the hard state.
        saved: Term,
    },
    /// The hard state would go back to an earlier term.
    #[error("the saved term {saved} would fall to {term}")]
    FallingTerm {
        /// The term in the hard state.
        saved: Term,
        /// The term that was to be saved.
        term: Term,
    },
    /// The vote of a term would be taken back or given twice.
    #[error("the vote of {term} was already given")]
    ChangedVote {
        /// The term.
        term: Term,
    },
    /// It is larger than a segment can be.
    #[error("entry {entry} is larger than a segment can be")]
    TooLarge {
        /// What was to be appended.
        entry: EntryId,
    },
}

/// Where something does not verify that once did.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{file} is damaged at byte {offset}{}: {kind}", Affected(*index))]
pub struct Damage {
    /// The file.
    pub file: String,
    /// The first byte of what does not verify.
    pub offset: u64,
    /// The first entry that can no longer be trusted, where entries are concerned.
    pub index: Option<LogIndex>,
    /// What is wrong.
    pub kind: DamageKind,
}

/// Formats the index of a [`Damage`].
struct Affected(Option<LogIndex>);

impl fmt::Display for Affected {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Some(index) => write!(f, " (from entry {index} on)"),
            None => Ok(()),
        }
    }
}

/// What is wrong with a damaged file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum DamageKind {
    /// The file is not there.
    #[error("the file is missing")]
    Missing,
    /// The file is shorter or longer than it says.
    #[error("the file has not its length")]
    Length,
    /// The head of a file or of a frame does not verify.
    #[error("the header does not verify")]
    Header,
    /// The content of a frame does not verify.
    #[error("the content does not match its checksum")]
    Content,
    /// A frame verifies, but does not follow the one before it.
    #[error("the frame does not follow the one before it")]
    Chain,
    /// A frame verifies, but the membership in it cannot be read.
    #[error("the membership in the frame cannot be read")]
    Membership,
    /// A later batch was begun, so this one was durable.
    #[error("a later batch was begun, so this one was once durable")]
    Overtaken,
    /// The witness knows a batch that is not there.
    #[error("acknowledged batch {batch} is missing")]
    Acknowledged {
        /// The batch.
        batch: u64,
    },
    /// No copy of the record is left.
    #[error("no copy of the record verifies")]
    NoCopy,
    /// A record newer than the copy that is left stands in the place of the other copy: it was
    /// written there by mistake of the disk, and destroyed what stood there.
    #[error("the newest record stands in the place of another copy")]
    Displaced,
    /// The log holds a term that the hard state never saw.
    #[error("the log ends in {last}, beyond the saved term {saved}")]
    TermBehindLog {
        /// Id of the last entry.
        last: EntryId,
        /// The term in the hard state.
        saved: Term,
    },
}

/// What the disk was asked to do when it failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Operation {
    /// Taking the lock of the directory.
    #[error("locking")]
    Lock,
    /// Listing the directory.
    #[error("listing")]
    List,
    /// Opening a file.
    #[error("opening")]
    Open,
    /// Creating a file.
    #[error("creating")]
    Create,
    /// Reading.
    #[error("reading")]
    Read,
    /// Writing.
    #[error("writing")]
    Write,
    /// Making a file or the directory durable.
    #[error("syncing")]
    Sync,
    /// Renaming a file.
    #[error("renaming")]
    Rename,
    /// Removing a file.
    #[error("removing")]
    Remove,
}

/// The disk failed.
#[derive(Debug, thiserror::Error)]
#[error("{operation} {file} failed: {source}")]
pub struct IoFailure {
    /// What it was asked to do.
    pub operation: Operation,
    /// The file, or `.` for the directory.
    pub file: String,
    /// What the operating system says.
    pub source: io::Error,
}

impl IoFailure {
    /// Gives an error of the operating system its place. For `map_err`.
    pub(crate) fn at(operation: Operation, file: &str) -> impl FnOnce(io::Error) -> Self {
        move |source| Self {
            operation,
            file: file.to_owned(),
            source,
        }
    }

    /// Whether the disk is out of room.
    pub(crate) fn is_full(&self) -> bool {
        matches!(
            self.source.kind(),
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded
        )
    }
}
