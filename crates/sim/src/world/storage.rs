//! The disk of a simulated node: what is on stable storage, and the writes on their way there.
//! When a write arrives, and how many survive a crash, is decided by the world.

use std::collections::VecDeque;

use quorate_core::{
    Entries, Entry, EntryId, Floor, HardState, LoadOutcome, LogIndex, Recovered, SnapshotMeta,
    WriteId,
};

use super::history::History;
use crate::shape::{Mark, Shape};

/// A snapshot: its label, and what the state machine was when it was captured, as everything it
/// had applied. So a node that installs it can be compared with one that has the whole log.
#[derive(Clone, Debug)]
pub(crate) struct Snapshot {
    pub(crate) meta: SnapshotMeta,
    /// Every entry that was applied, from the first on.
    pub(crate) history: History,
    /// The state itself: the chain of everything that was applied.
    pub(crate) state: u64,
}

impl Snapshot {
    /// Whether a host takes it for the one with this label: it knows snapshots by their names.
    pub(crate) fn has_name_of(&self, meta: &SnapshotMeta) -> bool {
        self.meta.is_named(meta.last, meta.checksum)
    }
}

/// What survives a crash.
#[derive(Debug, Default)]
pub(crate) struct Stable {
    hard: HardState,
    /// What an installed snapshot put in the place of the log.
    base: History,
    /// The history behind that; the node is shown what lies behind `before` only.
    entries: Vec<Entry>,
    /// Of the whole history.
    shape: Shape,
    before: EntryId,
    /// Oldest first.
    snapshots: Vec<Snapshot>,
    /// What the log was before its end was damaged, until the node has it all again.
    lost: Option<Shape>,
}

impl Stable {
    /// Term, vote and floor.
    pub(crate) const fn hard(&self) -> &HardState {
        &self.hard
    }

    /// The shape of the log.
    pub(crate) const fn shape(&self) -> &Shape {
        &self.shape
    }

    /// The entry before the first that the node can see.
    pub(crate) const fn before(&self) -> EntryId {
        self.before
    }

    /// What the log was before it was damaged.
    pub(crate) const fn lost(&self) -> Option<&Shape> {
        self.lost.as_ref()
    }

    /// Whether the log holds, or held before it was damaged, the entry with `mark` at `index`: a
    /// node that lost it knows that it may not vote against it.
    pub(crate) fn holds(&self, index: LogIndex, mark: Mark) -> bool {
        let logs = self.lost.iter().chain([&self.shape]);
        logs.into_iter().any(|log| log.mark(index) == Some(mark))
    }

    /// The entry at `index`, purged or not.
    pub(crate) fn entry(&self, index: LogIndex) -> Option<&Entry> {
        let place = usize::try_from(index.get().checked_sub(1)?).ok()?;
        match place.checked_sub(self.base.count()) {
            Some(place) => self.entries.get(place),
            None => self.base.entry(index),
        }
    }

    /// Everything up to `index`. What a snapshot holds already is not copied.
    pub(crate) fn history(&self, index: LogIndex) -> History {
        let is_prefix = |snapshot: &&Snapshot| {
            let last = snapshot.meta.last.index;
            let mark = self.shape.mark(last).filter(|_| last <= index);
            mark.is_some_and(|mark| mark.hash == snapshot.state)
        };
        let known = self.newest().filter(is_prefix);
        let known = known.map_or(&self.base, |snapshot| &snapshot.history);
        if known.count() < self.base.count() {
            // Something older than what was installed: there is nothing to share.
            let end = (index.get() as usize).min(self.base.count());
            let entries = self.base.to_vec();
            let entries = entries.get(..end).unwrap_or_default();
            return History::default().and(entries, &self.shape);
        }
        let end = (index.get() as usize).saturating_sub(self.base.count());
        let end = end.min(self.entries.len());
        let start = known.count() - self.base.count();
        let since = self.entries.get(start..end).unwrap_or_default();
        known.and(since, &self.shape)
    }

    /// Removes entries from `index` on.
    fn truncate_from(&mut self, index: LogIndex) {
        self.shape.truncate_from(index);
        let left = index.prev().get() as usize;
        if left < self.base.count() {
            let mut entries = std::mem::take(&mut self.base).to_vec();
            entries.append(&mut self.entries);
            self.entries = entries;
        }
        self.entries.truncate(left - self.base.count());
    }

    /// The newest snapshot.
    pub(crate) fn newest(&self) -> Option<&Snapshot> {
        self.snapshots.iter().max_by_key(|it| it.meta.last.index)
    }

    /// The last entry of the newest snapshot.
    pub(crate) fn snapshot_last(&self) -> EntryId {
        self.newest()
            .map_or(EntryId::NONE, |newest| newest.meta.last)
    }

    /// The snapshot of this name, whatever else its label says.
    pub(crate) fn snapshot(&self, meta: &SnapshotMeta) -> Option<&Snapshot> {
        self.snapshots.iter().find(|it| it.has_name_of(meta))
    }

    /// How many snapshots there are.
    pub(crate) const fn snapshots(&self) -> usize {
        self.snapshots.len()
    }

    /// A snapshot is on disk in full, in the place of one of its name.
    pub(crate) fn keep_snapshot(&mut self, snapshot: Snapshot) {
        self.drop_snapshot(&snapshot.meta);
        self.snapshots.push(snapshot);
    }

    /// The snapshot of this name is deleted.
    pub(crate) fn drop_snapshot(&mut self, meta: &SnapshotMeta) {
        self.snapshots.retain(|it| !it.has_name_of(meta));
    }

    /// Entries up to `through` are deleted.
    pub(crate) fn purge(&mut self, through: EntryId) {
        if through.index > self.before.index {
            self.before = through;
        }
    }

    /// Performs a write as one unit.
    pub(crate) fn perform(&mut self, write: &Write) {
        match write {
            Write::Hard(state) => {
                self.hard = *state;
                if state.floor.is_none() {
                    self.lost = None;
                }
            }
            Write::Append(entries) => {
                let Some(first) = entries.first() else { return };
                self.truncate_from(first.index);
                for entry in entries.iter() {
                    self.shape.push(entry);
                    self.entries.push(entry.clone());
                }
            }
            Write::Install(snapshot, discards_log) => {
                if *discards_log {
                    self.entries.clear();
                    self.base = snapshot.history.clone();
                    self.shape = self.base.shape();
                    self.before = snapshot.meta.last;
                }
                self.keep_snapshot(snapshot.clone());
            }
        }
    }

    /// Entries from `first` on are damaged, which may have been acknowledged: what a host finds
    /// and writes down about it before it goes on. Never below the newest snapshot.
    pub(crate) fn damage_from(&mut self, first: LogIndex, floor: Floor) {
        self.lost.get_or_insert_with(|| self.shape.clone());
        self.hard.floor = Some(floor);
        self.truncate_from(first);
    }

    /// What a host finds here when it starts. `applied` is what the state machine says. Only the
    /// newest snapshot is of any use after a restart.
    pub(crate) fn recovered(&mut self, applied: LogIndex) -> Recovered {
        let newest = self.newest().cloned();
        self.snapshots = newest.into_iter().collect();
        Recovered {
            hard_state: self.hard,
            snapshot: self.newest().map(|newest| newest.meta.clone()),
            before: self.before,
            term_starts: self.shape.term_starts(self.before.index),
            memberships: self.shape.memberships_behind(self.before.index),
            last: self.shape.last(),
            applied,
        }
    }

    /// Reads old entries for the engine, and `more` that nobody asked for.
    pub(crate) fn load(&self, wanted: &Wanted, more: u64) -> LoadOutcome {
        let is_here = self.shape.contains(wanted.to) && wanted.from > self.before.index;
        let place = |index: LogIndex| (index.get() as usize).checked_sub(self.base.count());
        let places = place(wanted.from.prev()).zip(place(wanted.to.index));
        let range = places.and_then(|(first, last)| self.entries.get(first..last));
        let behind = place(wanted.from.prev()).and_then(|first| self.entries.get(first..));
        match range.zip(behind) {
            Some((range, behind)) if is_here && !range.is_empty() => {
                let mut bytes = 0u64;
                let fits = range.iter().take_while(|entry| {
                    bytes += entry.size_bytes();
                    bytes <= wanted.limit_bytes
                });
                let count = fits.count().max(1) + more as usize;
                LoadOutcome::Found(behind.iter().take(count).cloned().collect())
            }
            _ => LoadOutcome::Gone,
        }
    }
}

/// A write to stable storage.
#[derive(Debug)]
pub(crate) enum Write {
    /// A barrier.
    Hard(HardState),
    /// Truncates where `entries` start, then appends them. All or nothing: a torn batch is cut
    /// off as a whole when the log is opened.
    Append(Entries),
    /// Makes a received snapshot the node's own, perhaps instead of its log. A barrier.
    Install(Snapshot, bool),
}

/// Old entries that the engine asked for.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Wanted {
    pub(crate) from: LogIndex,
    pub(crate) to: EntryId,
    pub(crate) limit_bytes: u64,
}

/// The writes of one life that are not durable yet.
#[derive(Debug, Default)]
pub(crate) struct WriteQueue {
    pending: VecDeque<(WriteId, Write)>,
    /// Writes covered by the sync that runs now; none runs at zero.
    syncing: usize,
    /// A sync failed: nothing is written any more.
    pub(crate) has_failed: bool,
    /// The engine was told so.
    pub(crate) failure_is_told: bool,
    /// The newest write that was asked for.
    pub(crate) issued: WriteId,
    /// Every write up to here is durable.
    pub(crate) durable: WriteId,
    /// The engine was told that every write up to here is durable.
    pub(crate) told: WriteId,
}

impl WriteQueue {
    /// Takes a write over.
    pub(crate) fn push(&mut self, id: WriteId, write: Write) {
        self.issued = id;
        self.pending.push_back((id, write));
    }

    /// Whether the snapshot of this name is on its way to the disk.
    pub(crate) fn installs(&self, meta: &SnapshotMeta) -> bool {
        let is_named = |write: &Write| match write {
            Write::Install(snapshot, _) => snapshot.has_name_of(meta),
            Write::Hard(_) | Write::Append(_) => false,
        };
        self.pending.iter().any(|(_, write)| is_named(write))
    }

    /// How many writes are not durable.
    pub(crate) fn pending(&self) -> usize {
        self.pending.len()
    }

    /// Whether a sync runs.
    pub(crate) const fn is_syncing(&self) -> bool {
        self.syncing > 0
    }

    /// How many writes the next sync may cover: appends up to the next barrier, or one barrier.
    pub(crate) fn batch_limit(&self) -> usize {
        let appends = self
            .pending
            .iter()
            .take_while(|(_, write)| matches!(write, Write::Append(_)))
            .count();
        appends.max(usize::from(!self.pending.is_empty()))
    }

    /// Starts a sync of the oldest `count` writes.
    pub(crate) const fn start(&mut self, count: usize) {
        self.syncing = count;
    }

    /// The oldest write of the running sync, which is now durable; `None` when all are.
    pub(crate) fn finish_one(&mut self) -> Option<Write> {
        self.syncing = self.syncing.checked_sub(1)?;
        let (id, write) = self.pending.pop_front()?;
        self.durable = id;
        Some(write)
    }

    /// The oldest `count` unsynced writes: those that a crash did not take.
    pub(crate) fn survivors(self, count: usize) -> impl Iterator<Item = Write> {
        self.pending.into_iter().take(count).map(|(_, write)| write)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use quorate_core::{Payload, Term};

    fn entries(from: u64, terms: &[u64]) -> Entries {
        let entry = |(place, &term): (usize, &u64)| Entry {
            index: LogIndex::new(from + place as u64),
            term: Term::new(term),
            payload: Payload::Noop,
        };
        terms.iter().enumerate().map(entry).collect()
    }

    #[test]
    fn append_replaces_everything_from_its_first_index_on() {
        let mut stable = Stable::default();
        stable.perform(&Write::Append(entries(1, &[1, 1, 1])));
        stable.perform(&Write::Append(entries(2, &[2])));
        assert_eq!(
            stable.shape().last_id(),
            EntryId::new(LogIndex::new(2), Term::new(2))
        );
        assert_eq!(stable.entry(LogIndex::new(3)), None);
        assert_eq!(stable.recovered(LogIndex::NONE).term_starts.len(), 2);
    }

    #[test]
    fn load_answers_gone_when_the_log_changed_and_respects_the_limit_otherwise() {
        let mut stable = Stable::default();
        stable.perform(&Write::Append(entries(1, &[1, 1, 1])));
        let wanted = |to, term, limit_bytes| Wanted {
            from: LogIndex::new(1),
            to: EntryId::new(LogIndex::new(to), Term::new(term)),
            limit_bytes,
        };
        let count = |outcome| match outcome {
            LoadOutcome::Found(entries) => entries.len(),
            LoadOutcome::Gone | LoadOutcome::Failed => 0,
        };
        let load = |wanted| stable.load(&wanted, 0);
        let count_of = |to, term, limit_bytes| count(load(wanted(to, term, limit_bytes)));
        assert_eq!(count(stable.load(&wanted(1, 1, 1000), 1)), 2, "one more");
        assert_eq!(
            count(stable.load(&wanted(1, 1, 1000), 9)),
            3,
            "all there is"
        );
        assert_eq!(count_of(3, 1, 1000), 3);
        assert_eq!(count_of(3, 1, 130), 2, "an empty entry counts 64 bytes");
        assert_eq!(count_of(3, 1, 1), 1, "always one entry");
        assert_eq!(count_of(3, 2, 1000), 0, "another entry stands at the end");
        assert_eq!(count_of(4, 1, 1000), 0, "the log is shorter");
    }

    #[test]
    fn a_sync_never_covers_a_barrier_and_something_else() {
        let mut queue = WriteQueue::default();
        queue.push(WriteId::new(1), Write::Append(entries(1, &[1])));
        queue.push(WriteId::new(2), Write::Append(entries(2, &[1])));
        queue.push(WriteId::new(3), Write::Hard(HardState::default()));
        queue.push(WriteId::new(4), Write::Append(entries(3, &[1])));
        assert_eq!(queue.batch_limit(), 2);
        queue.start(2);
        assert!(queue.finish_one().is_some() && queue.finish_one().is_some());
        assert!(queue.finish_one().is_none());
        assert_eq!((queue.durable, queue.batch_limit()), (WriteId::new(2), 1));
    }
}
