//! What a draw decides. Every draw names its site, and sites are independent of one another: a
//! draw that is taken away at one of them moves no draw at any other. What is drawn with a site
//! is in `choice.rs`.
//!
//! # To add a draw
//! Draws of one site are told apart by their number only, so whatever comes with a draw in some
//! cases and not in others has a site of its own. Zero is the calmest answer: no fault, the
//! shortest delay, the longest wait for the next disturbance.

/// Declares the sites, their list and their names from one table.
macro_rules! sites {
    ($($(#[$doc:meta])* $name:ident,)*) => {
        /// What a draw decides.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
        pub enum Site {
            $($(#[$doc])* $name,)*
        }

        impl Site {
            /// All sites, in their order.
            pub const ALL: &[Self] = &[$(Self::$name,)*];

            /// Its name, as people read it.
            #[must_use]
            pub const fn name(self) -> &'static str {
                match self {
                    $(Self::$name => stringify!($name),)*
                }
            }
        }
    };
}

sites! {
    /// A setting of the world (`knobs.rs`).
    Knob,
    /// The number that names a start of a node.
    Incarnation,
    /// The seed of an engine's own jitter.
    EngineSeed,
    /// Offset and rate of a node's clock.
    Clock,
    /// Whether a life asks for pre-votes.
    PreVote,
    /// The election priority of a life.
    Priority,
    /// Whether a message is lost.
    Loss,
    /// How long a message travels.
    Delay,
    /// Whether a message is held up.
    HeldUp,
    /// How long it is held up.
    HeldUpFor,
    /// Whether a message arrives twice.
    Duplicate,
    /// How long the second copy travels.
    Echo,
    /// How late a host wakes up.
    Jitter,
    /// How long a sync takes.
    Sync,
    /// How many writes one sync covers.
    SyncBatch,
    /// Whether a sync hangs.
    Stall,
    /// How long it hangs.
    StallFor,
    /// Whether a sync fails.
    SyncFailure,
    /// Whether a confirmation waits for the next one.
    Confirm,
    /// How long it waits.
    ConfirmAfter,
    /// How long reading old entries takes.
    Load,
    /// Whether reading old entries fails.
    LoadFailure,
    /// How long applying takes.
    Apply,
    /// How much is applied at once.
    ApplyBatch,
    /// Whether what was applied is reported together with what comes next.
    ApplyLump,
    /// When and where the next proposal is made, and how large it is.
    Propose,
    /// When and where the next read is made.
    Read,
    /// When and where the next crash strikes.
    Crash,
    /// Whether a crash strikes inside a step.
    CrashInStep,
    /// Before which action it does.
    CrashPlace,
    /// How long a node is down.
    Down,
    /// How many unsynced writes a crash takes.
    Survivors,
    /// When and where a process is paused, and for how long.
    Pause,
    /// When links are cut, in which shape, and for how long.
    Partition,
    /// Around which nodes they are cut.
    CutAround,
    /// How long taking a snapshot takes.
    Take,
    /// Whether it fails.
    TakeFailure,
    /// In how many parts a snapshot is fetched.
    Parts,
    /// How long each part of a snapshot travels.
    Fetch,
    /// Whether a part of a snapshot is lost.
    FetchLoss,
    /// Whether only some of what may be purged is.
    Purge,
    /// How much of it.
    PurgeEnd,
    /// When, where and how the membership is to be changed.
    Change,
    /// When and to whom leadership is to be handed over.
    Transfer,
    /// When and where a disk fills up or is freed.
    Room,
    /// How much room is left then.
    RoomLeft,
    /// When and where a log is damaged.
    Damage,
    /// How much of it is.
    DamageExtent,
    /// Whether one bit of what is written to a stream is wrong, and which.
    Corrupt,
    /// Whether what is written to a stream arrives in pieces, and where it is cut.
    Split,
    /// When and where connections break.
    Reset,
    /// Where a crash cuts a storage job short.
    CrashInJob,
    /// How a process ends.
    End,
    /// How long a turn of a driver takes.
    Turn,
    /// When and where a node is told to stop.
    Shutdown,
    /// When a client asks next.
    Think,
    /// Whom a client asks.
    Whom,
    /// What a client asks for.
    Ask,
    /// How large its command is.
    Size,
    /// Which disk is damaged, and for how long it is gone.
    Wipe,
    /// What a host asks of its log next (`crash_points/`).
    StorageCall,
    /// Whether a leader dies soon after its election, and when.
    FreshLeader,
    /// Whether a loss of power tears pages.
    TornPage,
    /// How often sectors go bad, and whether one does.
    BadSector,
    /// Which one, how, and for how long.
    BadSectorAt,
    /// How often calls to directories fail, and whether one does.
    DirectoryFailure,
    /// Which one.
    DirectoryCall,
    /// How often writes go astray, and whether one does.
    Astray,
    /// Which one, where to, and for how long the node goes on.
    AstrayAt,
    /// How often reads of old entries return more than was asked for, and whether one does.
    LoadMore,
    /// How many entries more.
    LoadExtent,
    /// How often hosts report a snapshot that nobody waits for, and whether one does.
    Report,
    /// When it does.
    ReportAfter,
    /// How late a state machine is captured.
    Capture,
    /// Whether two snapshots of one state have one checksum.
    Alike,
    /// Whether nodes disagree on where the founders are, and where they believe them to be.
    Address,
    /// Whether all disks are full but one, and whose that is.
    Spared,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sites_are_listed_in_the_order_of_their_numbers() {
        for (place, site) in Site::ALL.iter().enumerate() {
            assert_eq!(*site as usize, place, "{} is out of place", site.name());
        }
        assert!(Site::ALL.len() < 128, "the number of a site is one byte");
    }
}
