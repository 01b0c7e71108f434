//! What a campaign has to come across at least once: situations in which bugs hide. A world that
//! never gets there proves nothing about them, however many seeds it runs, so a large campaign
//! fails when one was missed. This file has the table of goals and the set that a run reaches.
//! What has to be remembered to notice one is in `watch.rs`, what a campaign makes of them in
//! `reached.rs`.
//!
//! # To add a goal
//! One line in the table, and one call of [`Watch::reach`] where it shows. Noticing it draws
//! nothing and changes nothing: seeds stay what they are.
//!
//! # Not in the table
//! What the product cannot do has no goal: there are no sessions that find a repeated request,
//! and full systems neither take snapshots nor repair a log that lost entries.

use crate::run::WorldName;

mod reached;
mod watch;

pub use reached::{Missed, Reached};
pub(crate) use watch::Watch;

/// In which worlds a goal can be reached.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Where {
    Engines,
    Systems,
    Both,
}

/// Declares the goals and what is known of each from one table.
macro_rules! goals {
    ($($(#[$doc:meta])* $name:ident in $place:ident: $label:literal,)*) => {
        /// A situation that a campaign has to come across.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
        pub enum Goal {
            $($(#[$doc])* $name,)*
        }

        impl Goal {
            /// All goals, in their order.
            pub const ALL: &[Self] = &[$(Self::$name,)*];

            /// Its name.
            #[must_use]
            pub const fn name(self) -> &'static str {
                match self {
                    $(Self::$name => stringify!($name),)*
                }
            }

            /// What it is, as people read it.
            #[must_use]
            pub const fn label(self) -> &'static str {
                match self {
                    $(Self::$name => $label,)*
                }
            }

            const fn place(self) -> Where {
                match self {
                    $(Self::$name => Where::$place,)*
                }
            }
        }
    };
}

goals! {
    /// Entries that were not committed were replaced [Raft 5.3].
    SuffixTruncated in Both: "uncommitted suffix truncated",
    /// A node replaced entries that it had appended itself, as the leader of their term.
    StaleLeaderOverwritten in Both: "entries of a stale leader overwritten on its own disk",
    /// An entry of an earlier term came to a majority in a later one, where it is not committed
    /// by counting [Raft 5.4.2].
    Figure8Entered in Both: "Figure 8: old entry on a majority, not committed",
    /// Such an entry was committed with a later one.
    Figure8Committed in Both: "Figure 8: such an entry committed through a later one",
    /// Such an entry was overwritten.
    Figure8Overwritten in Both: "Figure 8: such an entry overwritten",
    /// A node died that knew of a committed entry and had not applied it.
    UnappliedAtCrash in Both: "committed and not applied at a crash",

    /// A vote was refused to a log that is less recent than the voter's [Raft 5.4.1].
    VoteRefusedByLog in Both: "vote refused because of the log",
    /// A vote was refused because another candidate of the term has it.
    VoteRefusedByVote in Both: "vote refused because it was given",
    /// A term had two candidates and never a leader [Raft 5.2].
    SplitVote in Both: "split vote",
    /// The promise of a vote was refused [Thesis 9.6].
    PreVoteRefused in Both: "pre-vote refused",
    /// A leader that heard no majority stepped down (scenario A09).
    QuorumLost in Both: "leader without a majority stepped down",
    /// A leader whose disk did not answer stepped down (scenario B17).
    LeaderDiskHung in Both: "leader with a hanging disk stepped down",
    /// A late tick was taken for a pause.
    PauseForgiven in Both: "pause of a process forgiven",
    /// A leader was cut off from everything it should hear, while it still was heard
    /// (scenario A10).
    DeafLeader in Both: "leader on the deaf side of a one-way cut",
    /// A leader was heard by nobody, while it heard everybody (scenario A10).
    MuteLeader in Both: "leader on the mute side of a one-way cut",
    /// A link that went down by flapping came up by flapping.
    LinkFlapped in Both: "link flapped",
    /// All machines lost their power at once, and something was committed after that.
    PowerLossRecovered in Both: "loss of all power recovered from",

    /// An entry that holds a membership was replaced (scenario C03).
    ChangeOverwritten in Both: "membership entry overwritten",
    /// A leader committed a membership without itself and stepped down [Raft 6].
    LeaderRemovedItself in Both: "leader removed itself",
    /// A learner was not made a voter because it lagged (scenario C11).
    LaggardNotPromoted in Both: "promotion of a lagging learner refused",
    /// A change was refused because another one was under way (scenario C02).
    ChangeInFlight in Both: "second change at a time refused",
    /// A change was refused because the leader had not committed in its term (scenario C01).
    ChangeBeforeOwnCommit in Both: "change before an own commit refused",
    /// A node learned that it is no member any more (scenario A12).
    RemovedTold in Both: "removed node told so",

    /// A leader stepped down with a read unanswered (scenario E01).
    ReadAborted in Both: "read aborted by a step-down",
    /// A read was served on a lease.
    LeaseRead in Both: "read served on a lease",
    /// A read that a follower was asked for was served there [Thesis 6.4].
    FollowerRead in Both: "read served at a follower",

    /// A transfer of leadership came to the target's campaign (scenario F03).
    TransferCompleted in Both: "leadership handed over",
    /// A transfer of leadership timed out (scenario F05).
    TransferTimedOut in Both: "transfer of leadership timed out",
    /// A leader that was told to stop handed over first.
    HandedOverAtShutdown in Systems: "leader handed over before it stopped",

    /// Entries for a peer were read from disk.
    OldEntriesLoaded in Both: "old entries loaded for a peer",
    /// They could not be read.
    LoadFailed in Both: "loading old entries failed",
    /// One peer was sent entries in more than one append at once.
    SeveralAppends in Both: "entries sent in several appends at once",
    /// As many appends as may be were without an answer.
    WindowFullByCount in Both: "window of a peer full by count",
    /// As many bytes as may be were without an answer.
    WindowFullByBytes in Both: "window of a peer full by bytes",
    /// A leader took no more proposals because too much was uncommitted (scenario B21).
    UncommittedLimit in Both: "proposal refused because too much is uncommitted",
    /// An answer to an earlier life of a node reached a later one (scenario H06).
    ReplyToEarlierLife in Both: "reply to an earlier life arrived",
    /// An answer to a request of an earlier term arrived in a later one (scenario B08).
    ReplyOfEarlierTerm in Both: "reply to a request of an earlier term arrived",

    /// A snapshot was offered to a node whose log contradicts it (scenario D04).
    SnapshotToConflict in Engines: "snapshot offered to a log that conflicts with it",
    /// A snapshot took the place of one that was on its way.
    SnapshotSuperseded in Engines: "snapshot superseded on its way",
    /// A snapshot was lost on its way.
    SnapshotLost in Engines: "snapshot lost on its way",
    /// A snapshot could not be taken (scenario D14).
    SnapshotFailed in Engines: "snapshot could not be taken",
    /// A snapshot took the place of a log.
    LogDiscarded in Engines: "log replaced by a snapshot",
    /// A node that lost entries held them all again.
    SuspectRepaired in Engines: "node that lost entries repaired",
    /// A peer lacked what it had acknowledged, and the leader noticed.
    PeerRegressed in Engines: "loss on a peer noticed by the leader",

    /// A snapshot was offered whose last entry the node holds, and that places the founders
    /// elsewhere than it does.
    FoundersElsewhere in Engines: "snapshot offered that places the founders elsewhere",
    /// A host reported a snapshot that nobody waited for (scenario D08).
    SnapshotReportedAgain in Engines: "snapshot reported unasked",
    /// It was on its way to the disk.
    InstallReported in Engines: "snapshot reported that was being installed",
    /// It was known by another label than that.
    ReportedUnderOtherLabel in Engines: "snapshot reported under another label",
    /// A disk returned entries unasked that were not committed, and they were replaced.
    UnaskedReplaced in Engines: "entries loaded unasked and then replaced",
    /// A leader without room asked somebody in vain, and then another (scenario G08).
    NextAskedToLead in Engines: "leader without room asked the next",
    /// A word to campaign came to another life, or after newer rounds were answered.
    LateWordToCampaign in Engines: "word to campaign came late",

    /// One job wrote more than one command that users had asked this leader for.
    BatchedJob in Systems: "several proposals in one storage job",
    /// A command that was asked for at another node than its leader was answered there.
    ForwardCommitted in Systems: "forwarded proposal committed and answered",
    /// A client learned that another entry took the place of its command.
    CommandReplaced in Systems: "client told that its command was replaced",
    /// A command was committed after its client had been told that its fate is unknown.
    UnknownTookEffect in Systems: "command of unknown fate took effect",

    /// A hard state was being written at a crash, and was not found.
    TornHardState in Systems: "unfinished hard state not found after a crash",
    /// Entries were being written at a crash, and not all were found.
    TornEntries in Systems: "unfinished entries cut after a crash",
    /// A membership was among these.
    TornMembership in Systems: "unfinished membership entry cut after a crash",
    /// A stage of the birth was being recorded at a crash, and was not found.
    TornStage in Systems: "unfinished stage of the birth not found after a crash",
    /// Some of an interrupted job was found, and some not.
    TornInPart in Systems: "unfinished job found in part",
    /// A job was interrupted and all of it was found: nobody was ever told.
    UntoldFound in Systems: "job found that nobody was told of",
    /// Bytes of an interrupted batch stood behind the end of the log and were erased.
    ResidueErased in Systems: "bytes of a torn batch erased at open",
    /// A log refused to open because it was damaged (scenario G01).
    DamageRefused in Systems: "damage refused at open",
    /// Damage made the newest batch look torn, which no log can tell.
    DamageLooksTorn in Systems: "damage that looks torn",
    /// A log refused to open because a write had gone astray while it was open.
    AstrayRefused in Systems: "write gone astray refused at open",
    /// A crash struck while the next segment was created.
    CrashAtSegmentCreate in Systems: "crash at creating the next segment",
    /// While its zeros or its header were written.
    CrashAtSegmentWrite in Systems: "crash at writing the next segment",
    /// While they were synced.
    CrashAtSegmentSync in Systems: "crash at syncing the next segment",
    /// While it was given its name.
    CrashAtSegmentRename in Systems: "crash at renaming the next segment",
    /// While its name was synced.
    CrashAtDirectorySync in Systems: "crash at syncing the name of the next segment",
    /// The sync of a hard state failed (scenario G03).
    HardStateSyncFailed in Systems: "sync of a hard state failed",
    /// The sync of entries failed (scenario G03).
    LogSyncFailed in Systems: "sync of entries failed",
    /// A write failed.
    WriteFailed in Systems: "write failed",
    /// A file could not be created.
    CreateFailed in Systems: "creation of a file failed",
    /// A file could not be given its name.
    RenameFailed in Systems: "renaming of a file failed",
    /// A file could not be removed.
    RemoveFailed in Systems: "removal of a file failed",
    /// The sync of a directory failed.
    DirectorySyncFailed in Systems: "sync of a directory failed",
    /// Of what a loss of power could tear, some pages of 4096 bytes were kept and some lost.
    PagesTorn in Systems: "pages torn by a loss of power",
    /// Old entries could not be read because of a bad sector, and were once it was mended.
    SectorReadAgain in Systems: "entries in a bad sector read once it was mended",
    /// A sector read as something else, and the log noticed.
    MisreadNoticed in Systems: "sector noticed that read as something else",
    /// A log refused to open because a sector of it could not be read.
    SectorUnreadableAtOpen in Systems: "unreadable sector refused at open",
    /// A write found the disk full, and the node wrote again when it was freed (scenario G08).
    FullDiskRecovered in Systems: "full disk met and recovered from",
    /// A follower's job took longer than an election, and the leader led on.
    FollowerDiskHung in Systems: "follower's disk hung and the leader stayed",
    /// A leader's job took longer than the shortest election timeout, and it led on undisturbed
    /// (scenario B17).
    LeaderDiskEndured in Systems: "leader's disk hung, not for long, and it stayed",

    /// A connection took the place of one on which bytes were on their way.
    ReconnectInFlight in Systems: "reconnected with bytes of the old connection on their way",
    /// A wrong bit was noticed and its connection closed.
    CorruptionNoticed in Systems: "wrong bit noticed after the handshake",
    /// A wrong bit was noticed in a handshake.
    HandshakeCorrupted in Systems: "wrong bit noticed in a handshake",
    /// A connection was given up because nothing was heard.
    SilenceNoticed in Systems: "silent connection given up",
    /// A node that is no member here was answered.
    GuestAnswered in Systems: "guest answered",
    /// A node with an empty directory ran and took no part while others went on (scenario A20).
    WipedKeptOut in Systems: "node with an empty directory kept out",
    /// A founder died before its cluster was born.
    CrashBeforeBirth in Systems: "founder died before the birth",
}

impl Goal {
    /// Whether every long campaign gets there. Where it takes too many steps in a row, a campaign
    /// that does not is no worse than another; the goal is listed and not asked for.
    #[must_use]
    pub const fn is_required(self) -> bool {
        // An entry of Figure 8 is overwritten in one seed of some thousands. A command is replaced
        // for a client only if an answer overtakes a change of the leader. The next segment is
        // created right after a job that used one up, and seldom in the job that a crash meets.
        !matches!(
            self,
            Self::Figure8Overwritten | Self::CommandReplaced | Self::CrashAtSegmentCreate
        )
    }

    /// Whether a world can get there.
    #[must_use]
    pub const fn is_in(self, world: WorldName) -> bool {
        matches!(
            (self.place(), world),
            (Where::Both, _)
                | (Where::Engines, WorldName::Engines)
                | (Where::Systems, WorldName::Systems)
        )
    }
}

/// The goals that a run has reached: one bit each.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Goals(u128);

impl Goals {
    /// None.
    pub const NONE: Self = Self(0);

    /// Adds one.
    pub const fn insert(&mut self, goal: Goal) {
        self.0 |= 1 << goal as u32;
    }

    /// Whether it was reached.
    #[must_use]
    pub const fn contains(self, goal: Goal) -> bool {
        self.0 >> goal as u32 & 1 == 1
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn goals_are_listed_in_the_order_of_their_bits_and_each_has_a_world() {
        for (place, goal) in Goal::ALL.iter().enumerate() {
            assert_eq!(*goal as usize, place, "{} is out of place", goal.name());
            let mut worlds = WorldName::ALL.iter();
            assert!(worlds.any(|world| goal.is_in(*world)));
        }
        assert!(Goal::ALL.len() <= 128, "a set is one word of 128 bits");
    }

    #[test]
    fn a_set_contains_what_was_inserted_and_nothing_else() {
        let mut goals = Goals::NONE;
        goals.insert(Goal::SplitVote);
        goals.insert(Goal::CrashBeforeBirth);
        let found = Goal::ALL.iter().filter(|goal| goals.contains(**goal));
        assert!(found.eq([&Goal::SplitVote, &Goal::CrashBeforeBirth]));
    }
}
