//! What happened in a world, in numbers. A campaign adds them up: steps alone prove nothing, so
//! useful work and the faults that were met are counted beside them.

use std::fmt;

/// Declares the counters, their sum and their listing from one table.
macro_rules! counts {
    ($($(#[$doc:meta])* $name:ident: $label:literal,)*) => {
        /// Counts of one world, or of many.
        #[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
        pub struct Counts {
            $($(#[$doc])* pub $name: u64,)*
        }

        impl Counts {
            /// Adds the counts of another world.
            pub const fn add(&mut self, other: &Self) {
                $(self.$name += other.$name;)*
            }
        }

        impl fmt::Display for Counts {
            /// One counter per line.
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                $(writeln!(f, "{:>14}  {}", self.$name, $label)?;)*
                Ok(())
            }
        }
    };
}

counts! {
    /// Happenings of the world: arrivals, wake-ups, ends of syncs, faults, requests.
    events: "events",
    /// Events that did something, each counted once: deliveries to a node that runs, completions
    /// of a disk, and steps of an engine that neither of them caused and that changed or wanted
    /// something. A tick in which an engine does nothing is none.
    useful: "useful events",
    /// Virtual time, in milliseconds.
    virtual_ms: "virtual milliseconds",
    /// Steps of engines.
    steps: "engine steps",
    /// Entries committed by a leader for the first time.
    committed: "entries committed",
    /// Commands acknowledged to the client that proposed them.
    acked: "commands acknowledged",
    /// Commands whose proposer learned that another entry took their place.
    overwritten: "commands overwritten",
    /// Batches of proposals accepted.
    proposals: "batches accepted",
    /// Batches of proposals refused.
    proposals_refused: "batches refused",
    /// Reads served after their index was applied.
    reads: "reads served",
    /// Reads refused.
    reads_refused: "reads refused",
    /// Campaigns for votes.
    campaigns: "campaigns",
    /// Elections won.
    elections: "elections won",
    /// Leaders that stopped leading while their node lived.
    step_downs: "leaders stepped down",
    /// Writes that replaced entries.
    truncations: "truncations",
    /// Requests for old entries.
    loads: "old entries loaded",
    /// Requests for old entries that failed.
    load_failures: "loads failed",
    /// Syncs of disks.
    syncs: "disk syncs",
    /// Syncs that hung.
    stalls: "disk stalls",
    /// Syncs that failed.
    storage_failures: "disk failures",
    /// Nodes that crashed.
    crashes: "crashes",
    /// Crashes between two actions of one step.
    crashes_in_step: "crashes in a step",
    /// Unsynced writes that crashes took.
    lost_writes: "unsynced writes lost",
    /// Nodes that started again.
    restarts: "restarts",
    /// Processes that were paused.
    pauses: "pauses",
    /// Times at which links were cut.
    cuts: "cuts of links",
    /// Changes of the membership appended.
    changes: "membership changes appended",
    /// Memberships committed.
    changes_committed: "membership changes committed",
    /// Memberships taken back because the entry that held them was replaced.
    changes_rolled_back: "membership changes rolled back",
    /// Changes of the membership refused.
    changes_refused: "membership changes refused",
    /// Nodes that were told that they are no members.
    removals_told: "removed nodes told so",
    /// Snapshots taken.
    snapshots_taken: "snapshots taken",
    /// Snapshots that could not be taken.
    snapshots_failed: "snapshots that failed",
    /// Offers of snapshots.
    snapshots_offered: "snapshot offers sent",
    /// Snapshots installed.
    snapshots_installed: "snapshots installed",
    /// Of these, in place of a log.
    logs_discarded: "logs replaced by a snapshot",
    /// Snapshots that could not be fetched.
    snapshots_lost: "snapshots lost on their way",
    /// State machines replaced by a snapshot.
    restores: "state machines restored",
    /// Times at which old entries were purged.
    purges: "logs purged",
    /// Transfers of leadership that came to the target's campaign.
    transfers: "leaderships handed over",
    /// Transfers of leadership that timed out.
    transfers_timed_out: "transfers timed out",
    /// Transfers of leadership that were refused otherwise.
    transfers_refused: "transfers refused",
    /// Reads served on a lease.
    lease_reads: "reads on a lease",
    /// Logs that lost acknowledged entries.
    damages: "damaged logs",
    /// Damaged nodes that hold everything again.
    repairs: "suspect nodes repaired",
    /// Requests refused because a leader's disk was full.
    refused_for_room: "requests refused for room",
    /// Entries not taken by followers whose disks were full.
    full_disks: "appends not taken for room",
    /// Bits that were wrong on arrival.
    corrupted: "writes corrupted on their way",
    /// Connections that broke.
    resets: "connections broken",
    /// Connections given up because nothing was heard.
    silences: "connections given up in silence",
    /// Connections accepted beside an older one from the same node.
    reconnects: "connections that replaced one",
    /// Times at which every machine lost its power.
    blackouts: "losses of all power",
    /// Nodes told to stop.
    shutdowns: "orderly restarts",
    /// Nodes that came back with an empty directory.
    wipes: "empty directories",
    /// Operations that their clients gave up.
    given_up: "operations given up",
    /// Records of clients that were checked without the log's word.
    black_box: "histories checked as black boxes",
    /// Of these, those that took too many steps.
    black_box_given_up: "of these, not decided",
    /// Sectors of logs that went bad while their node ran.
    bad_sectors: "bad sectors",
    /// Calls to directories that were made to fail.
    directory_failures: "directory failures",
    /// Writes that went astray.
    misdirected: "writes gone astray",
    /// Unsynced pieces of pages that losses of power took.
    lost_pages: "unsynced pages lost",
    /// Looks at a leader that could reach a majority, undisturbed for a while.
    steady_looks: "looks at an undisturbed leader",
    /// Requests for a vote, or the promise of one, that must be refused: a leader was heard.
    early_requests: "votes asked for too early",
    /// Of the requests for a promise, those to a follower whose leader was undisturbed.
    uncalled_requests: "of these, under an undisturbed leader",
    /// Votes and promises of votes, as they leave.
    grants: "votes and promises granted",
    /// Campaigns that needed the promises of a majority.
    pre_vote_campaigns: "campaigns after pre-votes",
    /// Ticks so late that nobody may campaign for it.
    late_ticks: "ticks after a pause",
    /// Answers to an earlier life.
    dead_letters: "answers to an earlier life",
    /// Looks at a leader that has to have heard a majority of several.
    quorum_looks: "looks at a majority that answers",
    /// Leaders that gave up because no majority answered.
    quorums_lost: "leaders without a majority",
    /// Looks at a leader with a write that has used half of its time.
    slow_disk_looks: "looks at a slow disk of a leader",
    /// Leaders that gave up because of their disk.
    disks_lost: "leaders without a disk",
    /// Requests taken where one more is all that may wait.
    full_waits: "requests taken just below the limit",
    /// Memberships put in force by a leader.
    changes_made: "memberships made by a leader",
    /// Voters added by these.
    promotions: "voters added",
    /// Nodes told that they were removed.
    notices: "removals told",
    /// Turns in which a transfer of leadership went on.
    transfer_looks: "looks at a transfer under way",
    /// Targets told to campaign.
    transfers_told: "targets told to campaign",
    /// Logs that were compared whole with what the node shows.
    whole_logs: "logs compared with their status",
    /// Messages sent.
    sent: "messages sent",
    /// Messages that never arrived.
    lost: "messages lost",
    /// Messages that arrived twice.
    duplicated: "messages duplicated",
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_count_is_summed_and_listed() {
        let mut total = Counts {
            events: 2,
            duplicated: 5,
            ..Counts::default()
        };
        total.add(&Counts {
            events: 40,
            ..Counts::default()
        });
        assert_eq!((total.events, total.duplicated), (42, 5));
        let listing = total.to_string();
        assert!(listing.contains("42  events") && listing.contains("5  messages duplicated"));
    }
}
