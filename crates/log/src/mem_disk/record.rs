//! What is recorded of the calls to a disk in memory.

/// An operation that changed something, or made it durable; or was to, and failed on demand.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum DiskOperation {
    /// A file was created.
    Create {
        /// Its name.
        name: String,
    },
    /// A file was renamed.
    Rename {
        /// Its name before.
        from: String,
        /// Its name since.
        to: String,
    },
    /// A file was removed.
    Remove {
        /// Its name.
        name: String,
    },
    /// Bytes were written.
    Write {
        /// The file, by the name it had then.
        name: String,
        /// Where.
        offset: u64,
        /// How many.
        bytes: u64,
    },
    /// A file was synced.
    Sync {
        /// The file, by the name it had then.
        name: String,
    },
    /// The directory was synced.
    SyncDir,
}
