//! The durable log of Quorate: segments, hard state and identity of one node in one directory.
//!
//! [`Log`] is plain synchronous code over the small [`Disk`] trait: [`FsDisk`] is a real
//! directory, [`MemDisk`] one in memory that can tear, lose, rot and fill. What stands in the
//! files, byte for byte, and what is assumed of the disk, is laid down in `FORMAT.md`.
//!
//! The log never guesses. A batch that a crash interrupted was never acknowledged and is cut;
//! anything else that does not verify is damage, and the log refuses to open, naming the file,
//! the byte and the first entry that can no longer be trusted.
//!
//! ```
//! use quorate_core::{Entry, EntryId, LogIndex, NodeId, Payload, Term, HardState};
//! use quorate_log::{ClusterId, DirectoryId, FreshIds, Log, LogOptions, MemDisk, Owner, Write};
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let node = NodeId::new(1).ok_or("zero names nobody")?;
//! let owner = Owner { cluster: ClusterId(7), node };
//! let fresh = FreshIds { directory: DirectoryId(1), log: 2 };
//! let mut options = LogOptions::default();
//! options.segment_bytes = 64 * 1024;
//!
//! let disk = MemDisk::new();
//! let mut log = Log::open(disk.clone(), owner, fresh, options)?.log;
//! let entry = Entry {
//!     index: LogIndex::new(1),
//!     term: Term::new(1),
//!     payload: Payload::Noop,
//! };
//! let state = HardState { term: Term::new(1), vote: Some(node), floor: None };
//! // Both are on stable storage when this returns.
//! log.perform(&[Write::HardState(state), Write::Append(vec![entry].into())])?;
//! log.close()?;
//!
//! let opened = Log::open(disk, owner, fresh, options)?;
//! assert_eq!(opened.recovered.last, LogIndex::new(1));
//! assert_eq!(opened.recovered.hard_state, state);
//! # Ok(())
//! # }
//! ```
mod batch;
mod create;
mod cursors;
mod disk;
mod error;
mod frame;
mod fs_disk;
mod hard_state_file;
mod identity;
mod identity_file;
mod log;
mod mask;
mod mem_disk;
mod named_file;
mod open;
mod options;
mod positions;
mod reading;
mod recovery;
mod segment;
mod slots;
mod tail;
mod terms;
mod walk;
mod window;
mod witness;

pub use disk::{Disk, DiskFile};
pub use error::{Damage, DamageKind, IoFailure, Misuse, OpenError, Operation, StorageError};
pub use fs_disk::{FsDisk, FsFile};
pub use identity::{BirthStage, ClusterId, DirectoryId, Founding, Identity};
pub use log::{Log, Performed, Write};
pub use mem_disk::{
    AfterFailedSync, Crash, DiskCall, DiskOperation, Fate, Lasting, MemDisk, MemFile, TearUnit,
    Unsynced,
};
pub use open::Opened;
pub use options::{FreshIds, LogOptions, Owner};
pub use reading::ReadOutcome;
