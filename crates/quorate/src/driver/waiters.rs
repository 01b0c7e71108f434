//! Who waits for what: proposals by (index, term), batches on their way to the leader, and reads.
//! A waiter leaves exactly once, with a response or an error.

use std::collections::BTreeMap;

use quorate_core::{Entries, EntryId, LogIndex, ReadId, Term, Time};

/// Everybody who waits at one node.
#[derive(Debug)]
pub(super) struct Waiters<W, R> {
    /// Appended, here or at the leader; decided when this index is applied here.
    appended: BTreeMap<LogIndex, (Term, W)>,
    /// On their way to the leader, by request number.
    forwarded: BTreeMap<u64, Forwarded<W>>,
    /// All reads of a batch share one read index.
    reads: BTreeMap<ReadId, (Time, Vec<R>)>,
    /// The proposals and reads above, counted.
    proposals: usize,
    waiting_reads: usize,
}

/// A batch on its way to the leader.
#[derive(Debug)]
struct Forwarded<W> {
    sent_at: Time,
    waiters: Vec<W>,
    /// Bytes of their commands.
    sizes: Vec<u64>,
}

impl<W, R> Waiters<W, R> {
    pub(super) const fn new() -> Self {
        Self {
            appended: BTreeMap::new(),
            forwarded: BTreeMap::new(),
            reads: BTreeMap::new(),
            proposals: 0,
            waiting_reads: 0,
        }
    }

    /// How many proposals wait.
    pub(super) const fn proposals(&self) -> usize {
        self.proposals
    }

    /// How many reads wait.
    pub(super) const fn reads(&self) -> usize {
        self.waiting_reads
    }

    /// These wait for consecutive entries of one term, the first of them `first`. Returns who
    /// waited for the same index before: another leader has used it since.
    pub(super) fn append(&mut self, first: EntryId, waiters: Vec<W>) -> Vec<W> {
        let mut replaced = Vec::new();
        let mut index = first.index;
        for waiter in waiters {
            self.proposals += 1;
            if let Some((_, former)) = self.appended.insert(index, (first.term, waiter)) {
                self.proposals -= 1;
                replaced.push(former);
            }
            index = index.next();
        }
        replaced
    }

    /// Takes out who waits for these entries, which are about to be applied: first those whose
    /// entry it is, then those whose entry was replaced by another (scenario H01).
    pub(super) fn decide(&mut self, entries: &Entries) -> (Vec<(LogIndex, W)>, Vec<W>) {
        let (mut decided, mut replaced) = (Vec::new(), Vec::new());
        let (Some(first), Some(last)) = (entries.first(), entries.last()) else {
            return (decided, replaced);
        };
        while let Some(waiting) = self.appended.first_entry()
            && *waiting.key() <= last.index
        {
            let (index, (term, waiter)) = waiting.remove_entry();
            self.proposals -= 1;
            let position = usize::try_from(first.index.distance_to(index)).ok();
            let entry = position.and_then(|position| entries.get(position));
            if entry.is_some_and(|entry| entry.id() == EntryId::new(index, term)) {
                decided.push((index, waiter));
            } else {
                replaced.push(waiter);
            }
        }
        (decided, replaced)
    }

    /// These wait for the leader's answer to `request`, with commands of these sizes in bytes.
    pub(super) fn forward(
        &mut self,
        request: u64,
        waiters: Vec<W>,
        sizes: Vec<u64>,
        sent_at: Time,
    ) {
        self.proposals += waiters.len();
        let batch = Forwarded {
            sent_at,
            waiters,
            sizes,
        };
        self.forwarded.insert(request, batch);
    }

    /// Takes out who waits for the answer to `request`.
    pub(super) fn answered(&mut self, request: u64) -> Option<Vec<W>> {
        self.take_forwarded(request).map(|batch| batch.waiters)
    }

    /// The same, those apart whose commands are larger than this many bytes. They come first.
    pub(super) fn answered_by_size(&mut self, request: u64, bytes: u64) -> (Vec<W>, Vec<W>) {
        let (mut larger, mut others) = (Vec::new(), Vec::new());
        let batch = self.take_forwarded(request).into_iter();
        for (waiter, size) in batch.flat_map(|batch| batch.waiters.into_iter().zip(batch.sizes)) {
            if size > bytes {
                larger.push(waiter);
            } else {
                others.push(waiter);
            }
        }
        (larger, others)
    }

    fn take_forwarded(&mut self, request: u64) -> Option<Forwarded<W>> {
        let forwarded = self.forwarded.remove(&request)?;
        self.proposals -= forwarded.waiters.len();
        Some(forwarded)
    }

    /// When the oldest forwarded batch left. Requests are numbered in the order they leave.
    pub(super) fn oldest_forward(&self) -> Option<(u64, Time)> {
        self.forwarded
            .first_key_value()
            .map(|(&request, batch)| (request, batch.sent_at))
    }

    /// Takes out every proposal whose fate depends on the leader that is gone.
    pub(super) fn drain_proposals(&mut self) -> Vec<W> {
        self.proposals = 0;
        let appended = std::mem::take(&mut self.appended)
            .into_values()
            .map(|(_, waiter)| waiter);
        let forwarded = std::mem::take(&mut self.forwarded).into_values();
        appended
            .chain(forwarded.flat_map(|batch| batch.waiters))
            .collect()
    }

    /// These wait for `read` since `now`.
    pub(super) fn read(&mut self, read: ReadId, reads: Vec<R>, now: Time) {
        self.waiting_reads += reads.len();
        self.reads.insert(read, (now, reads));
    }

    /// Takes out who waits for `read`.
    pub(super) fn read_decided(&mut self, read: ReadId) -> Vec<R> {
        let (_, reads) = self.reads.remove(&read).unwrap_or_default();
        self.waiting_reads -= reads.len();
        reads
    }

    /// The oldest batch of reads. Batches are numbered in the order they come.
    pub(super) fn oldest_read(&self) -> Option<(ReadId, Time)> {
        let (&read, &(since, _)) = self.reads.first_key_value()?;
        Some((read, since))
    }

    /// Takes out every read.
    pub(super) fn drain_reads(&mut self) -> Vec<R> {
        self.waiting_reads = 0;
        let reads = std::mem::take(&mut self.reads).into_values();
        reads.flat_map(|(_, reads)| reads).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use quorate_core::{Entry, Payload};

    fn id(index: u64, term: u64) -> EntryId {
        EntryId::new(LogIndex::new(index), Term::new(term))
    }

    fn entries(ids: &[EntryId]) -> Entries {
        ids.iter()
            .map(|id| Entry {
                index: id.index,
                term: id.term,
                payload: Payload::Noop,
            })
            .collect()
    }

    /// Scenario H01
    #[test]
    fn a_waiter_succeeds_only_with_the_entry_of_its_own_term() {
        let mut waiters = Waiters::<&str, ()>::new();
        assert!(waiters.append(id(9, 4), vec!["a", "b"]).is_empty());
        let (decided, replaced) = waiters.decide(&entries(&[id(8, 3), id(9, 4), id(10, 5)]));
        assert_eq!(decided, [(LogIndex::new(9), "a")]);
        assert_eq!(
            replaced,
            ["b"],
            "another leader's entry stands at its index"
        );
        assert_eq!(waiters.proposals(), 0);
    }

    #[test]
    fn a_reused_index_hands_back_the_former_waiter() {
        let mut waiters = Waiters::<&str, ()>::new();
        assert!(waiters.append(id(9, 4), vec!["old"]).is_empty());
        assert_eq!(waiters.append(id(9, 5), vec!["new"]), ["old"]);
        assert_eq!(waiters.proposals(), 1);
    }

    #[test]
    fn everybody_is_handed_back_exactly_once_when_the_leader_is_gone() {
        let mut waiters = Waiters::<&str, &str>::new();
        assert!(waiters.append(id(9, 4), vec!["a"]).is_empty());
        waiters.forward(1, vec!["b", "c"], vec![1, 2], Time::ZERO);
        waiters.read(ReadId::new(1), vec!["r"], Time::ZERO);
        assert_eq!(waiters.drain_proposals(), ["a", "b", "c"]);
        assert!(waiters.answered(1).is_none(), "a late answer finds nobody");
        assert_eq!(waiters.read_decided(ReadId::new(1)), ["r"]);
        assert!(waiters.read_decided(ReadId::new(1)).is_empty());
        assert_eq!((waiters.proposals(), waiters.reads()), (0, 0));
    }
}
