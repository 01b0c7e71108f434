//! What an honest host would remember: the log it was told to keep, and what it was last asked.
//! The events drawn are close to this, or not, as the input wants.

use quorate_core::{
    Action, Body, Entries, Entry, EntryId, Event, LoadId, LogIndex, Payload, Round, Term, Time,
    WriteId,
};

/// A host's memory.
#[derive(Debug)]
pub(crate) struct Host {
    pub(crate) now: Time,
    /// In the order of their indexes, durable or not.
    log: Vec<Entry>,
    /// The newest write asked for.
    pub(crate) write: WriteId,
    /// The newest load asked for.
    pub(crate) load: Load,
    /// The newest round that was sent.
    pub(crate) round: Round,
    /// The last entry handed over to the state machine.
    pub(crate) handed: LogIndex,
    /// The snapshot that was asked for last: its last entry and its checksum.
    pub(crate) wanted: (EntryId, u64),
}

/// A request for entries.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Load {
    pub(crate) id: LoadId,
    pub(crate) from: LogIndex,
    pub(crate) to: LogIndex,
}

impl Host {
    /// With a log of these terms.
    pub(crate) fn new(now: Time, terms: &[u64]) -> Self {
        let entry = |(index, &term)| Entry {
            index: LogIndex::new(index),
            term: Term::new(term),
            payload: Payload::Noop,
        };
        Self {
            now,
            log: (1..).zip(terms).map(entry).collect(),
            write: WriteId::NONE,
            load: Load {
                id: LoadId::NONE,
                from: LogIndex::NONE,
                to: LogIndex::NONE,
            },
            round: Round::ZERO,
            handed: LogIndex::NONE,
            wanted: (EntryId::NONE, 0),
        }
    }

    /// Id of the entry at `index`, where there is one.
    pub(crate) fn id_at(&self, index: LogIndex) -> EntryId {
        let found = self.log.iter().find(|entry| entry.index == index);
        found.map_or(EntryId::NONE, Entry::id)
    }

    /// What the log holds from `from` to `to`.
    pub(crate) fn entries(&self, from: LogIndex, to: LogIndex) -> Entries {
        let wanted = |entry: &&Entry| from <= entry.index && entry.index <= to;
        self.log.iter().filter(wanted).cloned().collect()
    }

    /// Takes note of what it tells the engine.
    pub(crate) fn tells(&mut self, event: &Event) {
        if let Event::Tick { now } = event {
            self.now = self.now.max(*now);
        }
    }

    /// Takes note of what it is asked for.
    pub(crate) fn hears(&mut self, action: &Action) {
        match action {
            Action::SaveHardState { write, .. } => self.write = *write,
            Action::AppendEntries { write, entries } => {
                self.write = *write;
                if let Some(first) = entries.first() {
                    self.log.retain(|entry| entry.index < first.index);
                }
                self.log.extend(entries.iter().cloned());
            }
            Action::LoadEntries { load, from, to, .. } => {
                self.load = Load {
                    id: *load,
                    from: *from,
                    to: to.index,
                };
            }
            Action::Apply { entries } => {
                self.handed = entries.last_id().map_or(self.handed, |last| last.index);
            }
            Action::Send { message, .. } => {
                if let Body::Append { round, .. } = message.body {
                    self.round = round;
                }
            }
            Action::InstallSnapshot {
                write, discard_log, ..
            } => {
                self.write = *write;
                if *discard_log {
                    self.log.clear();
                }
            }
            Action::RestoreSnapshot { snapshot } => self.handed = snapshot.last.index,
            Action::PurgeLog { through } => {
                self.log.retain(|entry| entry.index > through.index);
            }
            Action::ReceiveSnapshot { snapshot, .. } => {
                self.wanted = (snapshot.last, snapshot.checksum);
            }
            Action::SnapshotDue
            | Action::DropSnapshot { .. }
            | Action::MembershipAppended { .. }
            | Action::MembershipChanged { .. }
            | Action::Removed { .. }
            | Action::HandedOver { .. }
            | Action::Proposed { .. }
            | Action::ReadReady { .. }
            | Action::Refused { .. }
            | Action::RoleChanged { .. }
            | Action::Fatal(_) => {}
        }
    }
}

/// What [`name`] can answer and unguided bytes reach. A leader that hands over takes a longer
/// honest exchange than chance finds in a test; libFuzzer does.
#[cfg(test)]
pub(crate) const KINDS: [&str; 19] = [
    "send",
    "load entries",
    "save hard state",
    "append entries",
    "apply",
    "proposed",
    "read ready",
    "refused",
    "role changed",
    "fatal",
    "install snapshot",
    "restore snapshot",
    "purge log",
    "snapshot due",
    "receive snapshot",
    "drop snapshot",
    "membership appended",
    "membership changed",
    "removed",
];

/// The kind of an action. No wildcard: a new one has to be thought of above.
pub(crate) const fn name(action: &Action) -> &'static str {
    match action {
        Action::Send { .. } => "send",
        Action::LoadEntries { .. } => "load entries",
        Action::SaveHardState { .. } => "save hard state",
        Action::AppendEntries { .. } => "append entries",
        Action::Apply { .. } => "apply",
        Action::Proposed { .. } => "proposed",
        Action::ReadReady { .. } => "read ready",
        Action::Refused { .. } => "refused",
        Action::RoleChanged { .. } => "role changed",
        Action::Fatal(_) => "fatal",
        Action::InstallSnapshot { .. } => "install snapshot",
        Action::RestoreSnapshot { .. } => "restore snapshot",
        Action::PurgeLog { .. } => "purge log",
        Action::SnapshotDue => "snapshot due",
        Action::ReceiveSnapshot { .. } => "receive snapshot",
        Action::DropSnapshot { .. } => "drop snapshot",
        Action::MembershipAppended { .. } => "membership appended",
        Action::MembershipChanged { .. } => "membership changed",
        Action::Removed { .. } => "removed",
        Action::HandedOver { .. } => "handed over",
    }
}
