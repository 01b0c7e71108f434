//! The snapshots a node has or is getting: the newest durable one, older ones that peers still
//! receive, the one that arrives, and when the next is due. What is done with them is decided in
//! `engine/snapshot.rs` and `engine/compaction.rs`.

use alloc::vec::Vec;

use crate::{EntryId, Incarnation, LogIndex, NodeId, SnapshotMeta, Term, Time, WriteId};

/// The snapshots of one node.
#[derive(Debug, Default)]
pub(crate) struct Snapshots {
    newest: Option<SnapshotMeta>,
    /// Replaced by newer ones, and kept while a peer receives them.
    older: Vec<SnapshotMeta>,
    incoming: Option<Incoming>,
    installing: Option<(WriteId, SnapshotMeta)>,
    taking: Taking,
    /// What was applied before this start: its bytes were not counted.
    started_at: LogIndex,
    /// Bytes handed over since the last snapshot was due.
    applied_bytes: u64,
    /// The restore of the newest snapshot was asked for, or is not needed.
    pub(crate) is_restored: bool,
}

/// A snapshot on its way to this node.
#[derive(Debug)]
pub(crate) struct Incoming {
    pub(crate) snapshot: SnapshotMeta,
    /// Who offered it last, in which life and term; and the round of that offer.
    pub(crate) offer: Offer,
    /// Bytes that have arrived, as far as was told.
    pub(crate) bytes: u64,
}

/// An offer of a snapshot, as its answer names it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Offer {
    pub(crate) from: NodeId,
    pub(crate) life: Incarnation,
    pub(crate) term: Term,
    pub(crate) round: crate::Round,
}

impl Offer {
    /// Whether the same leader, in the same term and life, has offered `other` since.
    pub(crate) fn is_older_than(&self, other: &Self) -> bool {
        let is_same = (self.from, self.life, self.term) == (other.from, other.life, other.term);
        is_same && self.round < other.round
    }
}

/// Where the taking of the next snapshot stands.
#[derive(Clone, Copy, Debug, Default)]
enum Taking {
    #[default]
    Idle,
    /// The host was asked, and has not answered.
    Asked(Question),
    /// It failed, or was of no use: ask again at this time.
    RetryAt(Time),
}

/// What a snapshot was asked for.
#[derive(Clone, Copy, Debug)]
struct Question {
    /// The last entry that was handed over then. The answer may hold a little less, and what a
    /// host takes by itself much less.
    handed: LogIndex,
    /// The bytes that were counted then.
    bytes: u64,
}

impl Question {
    /// How many of its bytes lie behind `held`. They were counted from behind `since` on, and
    /// every entry counts as if it had as many.
    fn bytes_behind(self, held: LogIndex, since: LogIndex) -> u64 {
        let all = u128::from(since.distance_to(self.handed)).max(1);
        let behind = u128::from(held.distance_to(self.handed));
        let bytes = u128::from(self.bytes).saturating_mul(behind) / all;
        u64::try_from(bytes).unwrap_or(u64::MAX).min(self.bytes)
    }
}

impl Snapshots {
    /// What was found on disk, with a state machine that has applied so much.
    pub(crate) fn recover(newest: Option<SnapshotMeta>, applied: LogIndex) -> Self {
        Self {
            started_at: applied,
            is_restored: newest.is_none(),
            newest,
            ..Self::default()
        }
    }

    /// The newest durable snapshot.
    pub(crate) const fn newest(&self) -> Option<&SnapshotMeta> {
        self.newest.as_ref()
    }

    /// The last entry of the newest durable snapshot; `NONE` without one.
    pub(crate) fn last(&self) -> EntryId {
        self.newest
            .as_ref()
            .map_or(EntryId::NONE, |newest| newest.last)
    }

    /// The snapshot that ends in `last`, durable here and not dropped.
    pub(crate) fn find(&self, last: EntryId) -> Option<&SnapshotMeta> {
        let kept = self.newest.iter().chain(&self.older);
        kept.into_iter().find(|snapshot| snapshot.last == last)
    }

    /// A newer snapshot is durable. The one before it is kept until it is dropped.
    pub(crate) fn replace(&mut self, snapshot: SnapshotMeta) {
        debug_assert!(
            snapshot.last.index > self.last().index,
            "snapshots only get newer"
        );
        self.older.extend(self.newest.replace(snapshot));
    }

    /// Takes out the replaced snapshots that nobody receives.
    pub(crate) fn drop_unused<'a>(
        &'a mut self,
        is_used: impl Fn(EntryId) -> bool + 'a,
    ) -> impl Iterator<Item = SnapshotMeta> + 'a {
        self.older
            .extract_if(.., move |snapshot| !is_used(snapshot.last))
    }

    /// The snapshot on its way to this node.
    pub(crate) const fn incoming(&self) -> Option<&Incoming> {
        self.incoming.as_ref()
    }

    /// The same, to take note of what is told of it.
    pub(crate) const fn incoming_mut(&mut self) -> Option<&mut Incoming> {
        self.incoming.as_mut()
    }

    /// `snapshot` is to come, instead of what was to come before, which is returned.
    pub(crate) fn expect(&mut self, snapshot: SnapshotMeta, offer: Offer) -> Option<SnapshotMeta> {
        let bytes = 0;
        let before = self.incoming.replace(Incoming {
            snapshot,
            offer,
            bytes,
        });
        before.map(|incoming| incoming.snapshot)
    }

    /// Takes out what was to come if it has this name.
    pub(crate) fn take_incoming(&mut self, last: EntryId, checksum: u64) -> Option<Incoming> {
        self.incoming
            .take_if(|incoming| incoming.snapshot.is_named(last, checksum))
    }

    /// Takes out what was to come if the node has everything up to `commit` without it.
    pub(crate) fn take_needless(&mut self, commit: LogIndex) -> Option<SnapshotMeta> {
        let needless = self
            .incoming
            .take_if(|incoming| incoming.snapshot.last.index <= commit)?;
        Some(needless.snapshot)
    }

    /// The received snapshot is being installed by `write`.
    pub(crate) fn install(&mut self, write: WriteId, snapshot: SnapshotMeta) {
        self.installing = Some((write, snapshot));
    }

    /// The snapshot being installed.
    pub(crate) fn installing(&self) -> Option<&SnapshotMeta> {
        self.installing.as_ref().map(|(_, snapshot)| snapshot)
    }

    /// Takes out the snapshot being installed if its write is confirmed.
    pub(crate) fn take_installed(
        &mut self,
        is_confirmed: impl FnOnce(WriteId) -> bool,
    ) -> Option<SnapshotMeta> {
        let (write, _) = self.installing.as_ref()?;
        if !is_confirmed(*write) {
            return None;
        }
        // What was counted until now is in it.
        self.applied_bytes = 0;
        if let Taking::Asked(question) = &mut self.taking {
            question.bytes = 0;
        }
        self.installing.take().map(|(_, snapshot)| snapshot)
    }

    /// So many bytes were handed to the state machine.
    pub(crate) const fn applied(&mut self, bytes: u64) {
        self.applied_bytes = self.applied_bytes.saturating_add(bytes);
    }

    /// Whether the next snapshot is due: enough was applied, and none is being taken.
    pub(crate) fn is_due(
        &self,
        applied: LogIndex,
        (max_bytes, max_entries): (Option<u64>, Option<u64>),
    ) -> bool {
        let entries = || self.last().index.distance_to(applied);
        let is_enough = max_bytes.is_some_and(|max| self.applied_bytes >= max)
            || max_entries.is_some_and(|max| entries() >= max);
        let is_idle = matches!(self.taking, Taking::Idle);
        is_enough && is_idle && entries() > 0 && self.installing.is_none()
    }

    /// The host is asked for a snapshot, when everything up to `handed` was handed over.
    pub(crate) const fn asked(&mut self, handed: LogIndex) {
        let bytes = core::mem::replace(&mut self.applied_bytes, 0);
        self.taking = Taking::Asked(Question { handed, bytes });
    }

    /// The host has taken one that ends at `held`, newer than the newest, be it that it was asked
    /// or that it wanted one, while everything up to `handed` was handed over. What was counted and
    /// lies behind it counts on.
    pub(crate) fn taken(&mut self, held: LogIndex, handed: LogIndex, retry_at: Time) {
        let since = self.last().index.max(self.started_at);
        self.taking = match self.taking {
            Taking::Asked(question) if held < question.handed => {
                self.applied(question.bytes_behind(held, since));
                Taking::RetryAt(retry_at)
            }
            Taking::Asked(_) => Taking::Idle,
            // Nobody asked, or the question was taken for answered.
            Taking::Idle | Taking::RetryAt(_) => {
                let bytes = self.applied_bytes;
                self.applied_bytes = Question { handed, bytes }.bytes_behind(held, since);
                Taking::Idle
            }
        };
    }

    /// The host could not take one, or none that is of use: what was counted counts again (scenario
    /// D14), until one that is installed holds it.
    pub(crate) fn failed(&mut self, retry_at: Time) {
        if let Taking::Asked(question) = self.taking {
            self.applied(question.bytes);
            self.taking = Taking::RetryAt(retry_at);
        }
    }

    /// When to ask again after a failure.
    pub(crate) const fn retry_at(&self) -> Option<Time> {
        match self.taking {
            Taking::RetryAt(at) => Some(at),
            Taking::Idle | Taking::Asked(_) => None,
        }
    }

    /// Time has come to `now`.
    pub(crate) fn tick(&mut self, now: Time) {
        if self.retry_at().is_some_and(|at| at <= now) {
            self.taking = Taking::Idle;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Membership;

    fn meta(index: u64) -> SnapshotMeta {
        SnapshotMeta {
            last: EntryId::new(LogIndex::new(index), Term::new(1)),
            membership: Membership::default(),
            membership_index: LogIndex::NONE,
            length: 10,
            checksum: 7,
        }
    }

    const LIMITS: (Option<u64>, Option<u64>) = (Some(100), Some(50));

    /// Scenario D14
    #[test]
    fn a_snapshot_that_failed_is_due_again_and_one_under_way_is_not() {
        let mut snapshots = Snapshots::recover(None, LogIndex::NONE);
        let applied = LogIndex::new(10);
        assert!(!snapshots.is_due(applied, LIMITS));
        snapshots.applied(100);
        assert!(snapshots.is_due(applied, LIMITS), "enough bytes");
        snapshots.asked(applied);
        snapshots.applied(200);
        assert!(!snapshots.is_due(applied, LIMITS), "one at a time");
        snapshots.failed(Time::from_nanos(5));
        assert!(!snapshots.is_due(applied, LIMITS), "not at once");
        snapshots.tick(Time::from_nanos(5));
        assert!(
            snapshots.is_due(applied, LIMITS),
            "nothing that was applied is forgotten"
        );
        assert!(
            Snapshots::recover(None, LogIndex::NONE).is_due(LogIndex::new(50), LIMITS),
            "enough entries"
        );
    }

    /// Scenario D14
    #[test]
    fn a_snapshot_that_holds_less_than_was_asked_for_leaves_the_rest_counted() {
        let at = |index| LogIndex::new(index);
        for (held, rest) in [(12, 80), (15, 50), (19, 10), (20, 0), (25, 0)] {
            let mut snapshots = Snapshots::recover(Some(meta(10)), at(10));
            snapshots.applied(100);
            snapshots.asked(at(20));
            snapshots.taken(at(held), at(20), Time::ZERO);
            assert_eq!(snapshots.applied_bytes, rest, "of a hundred, behind {held}");
        }
        // Told of another meanwhile, it is asked again later, and then has what was asked for.
        let mut snapshots = Snapshots::recover(Some(meta(10)), at(10));
        snapshots.applied(100);
        snapshots.asked(at(20));
        snapshots.failed(Time::ZERO);
        snapshots.applied(50);
        snapshots.taken(at(20), at(25), Time::ZERO);
        assert_eq!(
            snapshots.applied_bytes, 50,
            "of a hundred and fifty, behind 20"
        );
        let huge = Question {
            handed: at(u64::MAX),
            bytes: u64::MAX,
        };
        assert_eq!(huge.bytes_behind(at(0), at(0)), u64::MAX);
        assert_eq!(huge.bytes_behind(at(0), at(u64::MAX)), u64::MAX);
    }

    /// Scenario D12
    #[test]
    fn a_replaced_snapshot_is_kept_while_somebody_receives_it() {
        let mut snapshots = Snapshots::recover(Some(meta(5)), LogIndex::new(5));
        snapshots.replace(meta(9));
        let used = meta(5).last;
        assert_eq!(snapshots.drop_unused(|last| last == used).count(), 0);
        assert_eq!(snapshots.find(used), Some(&meta(5)));
        assert_eq!(snapshots.drop_unused(|_| false).next(), Some(meta(5)));
        assert_eq!(snapshots.find(used), None);
        assert_eq!(
            snapshots.newest(),
            Some(&meta(9)),
            "the newest is never dropped"
        );
    }
}
