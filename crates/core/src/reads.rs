//! Reads on their way to a read index [Thesis 6.4]: at the leader until a majority has confirmed
//! it, at a follower until the leader has answered, and everywhere until apply has got there.
//! When each step happens is decided in `engine/read.rs`.

use alloc::collections::VecDeque;
use alloc::vec::Vec;

use crate::{Incarnation, LogIndex, NodeId, ReadId, Round, Time};

/// Who wants to read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Reader {
    /// A user of this node.
    Local(ReadId),
    /// A follower, in this life of its.
    Peer(NodeId, Incarnation, ReadId),
}

/// A read whose index is known.
#[derive(Clone, Copy, Debug)]
struct ConfirmedRead {
    index: LogIndex,
    read: ReadId,
    /// When its index became known. It may wait for entries that never come.
    since: Time,
}

/// The reads whose index is known, waiting for apply to be handed everything up to it.
///
/// Invariant: in order of their indexes, so that those that can be released, and those whose
/// entries are not known to be committed, are found at the ends.
#[derive(Debug, Default)]
pub(crate) struct ConfirmedReads {
    waiting: VecDeque<ConfirmedRead>,
}

impl ConfirmedReads {
    pub(crate) fn len(&self) -> usize {
        self.waiting.len()
    }

    pub(crate) fn push(&mut self, read: ReadId, index: LogIndex, since: Time) {
        let place = self.waiting.partition_point(|it| it.index <= index);
        let confirmed = ConfirmedRead { index, read, since };
        self.waiting.insert(place, confirmed);
    }

    /// Takes out the first read if it waits for `handed` or less, with the index it waited for.
    pub(crate) fn release(&mut self, handed: LogIndex) -> Option<(ReadId, LogIndex)> {
        let is_ready = |it: &mut ConfirmedRead| it.index <= handed;
        let ready = self.waiting.pop_front_if(is_ready)?;
        Some((ready.read, ready.index))
    }

    /// Since when the oldest of those waits whose entries lie beyond `commit`.
    pub(crate) fn oldest_beyond(&self, commit: LogIndex) -> Option<Time> {
        let beyond = self.waiting.iter().rev().take_while(|it| it.index > commit);
        beyond.map(|it| it.since).min()
    }

    /// Takes out what waits for entries beyond `commit` since a time that is too long ago.
    pub(crate) fn take_beyond(
        &mut self,
        commit: LogIndex,
        is_too_long: impl Fn(Time) -> bool,
    ) -> Vec<ReadId> {
        let mut taken = Vec::new();
        // Most of the time there is none, and nothing to go through.
        if self.oldest_beyond(commit).is_some_and(&is_too_long) {
            self.waiting.retain(|it| {
                let is_taken = it.index > commit && is_too_long(it.since);
                if is_taken {
                    taken.push(it.read);
                }
                !is_taken
            });
        }
        taken
    }
}

/// The reads of a leader.
#[derive(Debug, Default)]
pub(crate) struct LeaderReads {
    /// Waiting for the first commit of the leader's own term, oldest first, each with the time of
    /// its arrival: until then the leader cannot know what is committed (scenario E01).
    before_own_commit: VecDeque<(Reader, Time)>,
    /// Waiting for the next round, each with the commit index at its arrival.
    next: Vec<(Reader, LogIndex)>,
    /// Waiting for answers to this round, first sent after they had arrived (scenario E02).
    asked: Option<(Round, Vec<(Reader, LogIndex)>)>,
}

impl LeaderReads {
    pub(crate) fn len(&self) -> usize {
        let asked = self.asked.as_ref().map_or(0, |(_, reads)| reads.len());
        self.before_own_commit.len() + self.next.len() + asked
    }

    /// Keeps a read until the leader has committed an entry of its term.
    pub(crate) fn hold(&mut self, reader: Reader, now: Time) {
        self.before_own_commit.push_back((reader, now));
    }

    /// Takes out the oldest read that waits for the leader's first commit, if since a time that is
    /// too long ago.
    pub(crate) fn expire_held(&mut self, is_too_long: impl Fn(Time) -> bool) -> Option<Reader> {
        let is_over = |&mut (_, since): &mut (Reader, Time)| is_too_long(since);
        let (reader, _) = self.before_own_commit.pop_front_if(is_over)?;
        Some(reader)
    }

    /// The leader has committed an entry of its term, and everything up to `commit`.
    pub(crate) fn own_term_committed(&mut self, commit: LogIndex) {
        let held = self.before_own_commit.drain(..);
        self.next.extend(held.map(|(reader, _)| (reader, commit)));
    }

    /// A read that arrived while everything up to `commit` was committed.
    pub(crate) fn queue(&mut self, reader: Reader, commit: LogIndex) {
        self.next.push((reader, commit));
    }

    /// Whether a new round should be asked: reads wait and none is under way. All that wait
    /// share it.
    pub(crate) fn wants_round(&self) -> bool {
        self.asked.is_none() && !self.next.is_empty()
    }

    /// Whether reads wait for the answers to a round.
    pub(crate) const fn is_asking(&self) -> bool {
        self.asked.is_some()
    }

    /// `round` is asked on behalf of everything that waits.
    pub(crate) fn ask(&mut self, round: Round) {
        debug_assert!(self.asked.is_none(), "rounds are asked one after the other");
        self.asked = Some((round, core::mem::take(&mut self.next)));
    }

    /// A majority has answered `round`: the reads that it confirms.
    pub(crate) fn confirm(&mut self, round: Round) -> Vec<(Reader, LogIndex)> {
        self.asked
            .take_if(|(asked, _)| *asked <= round)
            .map_or_else(Vec::new, |(_, reads)| reads)
    }

    /// Everything that waits, at the end of the leadership.
    pub(crate) fn into_waiting(self) -> impl Iterator<Item = Reader> {
        let asked = self.asked.map_or_else(Vec::new, |(_, reads)| reads);
        let stamped = asked.into_iter().chain(self.next).map(|(reader, _)| reader);
        let held = self.before_own_commit.into_iter();
        stamped.chain(held.map(|(reader, _)| reader))
    }
}

/// The reads that this node forwarded to the leader it follows, oldest first.
#[derive(Debug, Default)]
pub(crate) struct ForwardedReads {
    waiting: VecDeque<(ReadId, Time)>,
}

impl ForwardedReads {
    pub(crate) fn len(&self) -> usize {
        self.waiting.len()
    }

    pub(crate) fn push(&mut self, read: ReadId, now: Time) {
        self.waiting.push_back((read, now));
    }

    /// Takes out a read that was answered; false if it is no longer waited for.
    pub(crate) fn answer(&mut self, read: ReadId) -> bool {
        let position = self
            .waiting
            .iter()
            .position(|&(waiting, _)| waiting == read);
        position
            .and_then(|position| self.waiting.remove(position))
            .is_some()
    }

    /// When the oldest was forwarded.
    pub(crate) fn oldest(&self) -> Option<Time> {
        self.waiting.front().map(|&(_, since)| since)
    }

    /// Takes out the oldest read if it was forwarded at `deadline` or before.
    pub(crate) fn expire(&mut self, deadline: Time) -> Option<ReadId> {
        let (read, _) = self.waiting.pop_front_if(|(_, since)| *since <= deadline)?;
        Some(read)
    }

    /// Takes out everything: the leader is gone.
    pub(crate) fn drain(&mut self) -> impl Iterator<Item = ReadId> + '_ {
        self.waiting.drain(..).map(|(read, _)| read)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn local(read: u64) -> Reader {
        Reader::Local(ReadId::new(read))
    }

    /// Scenario E02
    #[test]
    fn a_read_is_not_confirmed_by_a_round_asked_before_it_came() {
        let mut reads = LeaderReads::default();
        reads.queue(local(1), LogIndex::new(5));
        reads.ask(Round::new(1));
        reads.queue(local(2), LogIndex::new(6));
        assert_eq!(reads.confirm(Round::new(1)), [(local(1), LogIndex::new(5))]);
        assert!(
            reads.wants_round(),
            "the second read needs a round of its own"
        );
        reads.ask(Round::new(2));
        assert!(
            reads.confirm(Round::new(1)).is_empty(),
            "a late answer confirms nothing new"
        );
        assert_eq!(reads.confirm(Round::new(2)).len(), 1);
    }

    /// Scenario E04
    #[test]
    fn a_confirmed_read_waits_for_its_own_entries_only() {
        let (i, at) = (LogIndex::new, |nanos| Time::from_nanos(nanos));
        let mut reads = ConfirmedReads::default();
        for (read, index) in [(1, 7), (2, 9), (3, 5), (4, 7)] {
            reads.push(ReadId::new(read), i(index), at(read));
        }
        assert_eq!(reads.release(i(4)), None);
        let released: Vec<u64> = core::iter::from_fn(|| reads.release(i(7)))
            .map(|(read, _)| read.get())
            .collect();
        assert_eq!(released, [3, 1, 4], "by index, and in order of arrival");
        reads.push(ReadId::new(5), i(8), at(5));
        assert_eq!(reads.oldest_beyond(i(7)), Some(at(2)));
        assert_eq!(reads.oldest_beyond(i(9)), None);
        let over = |since: Time| since <= at(4);
        assert!(
            reads.take_beyond(i(9), over).is_empty(),
            "what is committed comes"
        );
        assert_eq!(reads.take_beyond(i(7), over), [ReadId::new(2)]);
        assert_eq!(reads.len(), 1);
    }

    /// Scenario E01
    #[test]
    fn a_held_read_takes_the_commit_index_of_the_own_term_commit() {
        let mut reads = LeaderReads::default();
        reads.hold(local(1), Time::ZERO);
        assert!(!reads.wants_round());
        reads.own_term_committed(LogIndex::new(9));
        reads.ask(Round::new(1));
        assert_eq!(reads.confirm(Round::new(1)), [(local(1), LogIndex::new(9))]);
    }

    /// Scenario E14
    #[test]
    fn every_read_is_handed_back_when_leadership_ends() {
        let mut reads = LeaderReads::default();
        reads.queue(local(1), LogIndex::new(5));
        reads.ask(Round::new(1));
        reads.queue(local(2), LogIndex::new(5));
        reads.hold(local(3), Time::ZERO);
        assert_eq!(reads.into_waiting().count(), 3);
    }
}
