//! Linearizable reads [Thesis 6.4]: a leader proves by a round of answers that it still led when
//! the read arrived; a follower asks the leader for the index to wait for.

use alloc::vec::Vec;
use core::time::Duration;

use super::{Engine, Role};
use crate::quorum::reached_by_majority;
use crate::reads::Reader;
use crate::{Action, Body, Incarnation, LogIndex, NodeId, ReadId, Refusal, Request, Round, Time};

/// Reads that may wait at one node: for rounds or answers, and as many for apply. A host batches
/// its users' reads, so a few are usual; without a bound a peer could fill our memory.
const MAX_WAITING_READS: usize = 4096;

impl Engine {
    pub(super) fn on_read(&mut self, read: ReadId) {
        // Reads whose index is known wait for apply, which may be slow.
        if self.confirmed_reads.len() >= MAX_WAITING_READS {
            return self.refuse_read(read, Refusal::Overloaded);
        }
        if self.is_leader() {
            return self.take_read(Reader::Local(read));
        }
        let Some(leader) = self.leader else {
            return self.refuse_read(read, Refusal::NotLeader { leader: None });
        };
        if self.forwarded.len() >= MAX_WAITING_READS {
            return self.refuse_read(read, Refusal::Overloaded);
        }
        self.forwarded.push(read, self.now);
        let envelope = self.envelope(leader, Incarnation::UNKNOWN);
        self.outbox.send(|| envelope.with(Body::ReadIndex { read }));
    }

    fn wait_for_apply(&mut self, read: ReadId, index: LogIndex) {
        self.confirmed_reads.push(read, index, self.now);
    }

    /// When the next read will have waited for too long.
    pub(super) fn read_deadline(&self) -> Option<Time> {
        let stranded = self.confirmed_reads.oldest_beyond(self.commit);
        let asked = [self.forwarded.oldest(), stranded].into_iter().flatten();
        let asked = asked.min().map(|since| since.after(self.read_patience()));
        let unwritten = self.confirmed_reads.oldest_beyond(self.writes.durable());
        let unwritten = unwritten.map(|since| since.after(self.disk_patience()));
        [asked, unwritten].into_iter().flatten().min()
    }

    /// How long a read waits for this node's own disk.
    fn disk_patience(&self) -> Duration {
        self.config.storage_patience.max(self.read_patience())
    }

    /// Refuses reads that have waited for too long for what may never come: an answer of the
    /// leader, the entries that it spoke of (the leader is gone, or has no room here to send them
    /// to), a disk that takes them (scenario B17), or a leader's first commit (scenario E04).
    pub(super) fn expire_reads(&mut self) {
        let (now, patience) = (self.now, self.read_patience());
        let is_over = |since: Time| since.after(patience) <= now;
        while let Some(since) = self.forwarded.oldest().filter(|&since| is_over(since))
            && let Some(read) = self.forwarded.expire(since)
        {
            self.refuse_read(read, Refusal::TimedOut);
        }
        let disk_patience = self.disk_patience();
        let is_disk_stuck = |since: Time| since.after(disk_patience) <= now;
        let reads = &mut self.confirmed_reads;
        let mut stranded = reads.take_beyond(self.commit, is_over);
        stranded.extend(reads.take_beyond(self.writes.durable(), is_disk_stuck));
        for read in stranded {
            self.refuse_read(read, Refusal::TimedOut);
        }
        while let Role::Leader(leadership) = &mut self.role
            && let Some(reader) = leadership.reads.expire_held(is_over)
        {
            match reader {
                Reader::Local(read) => self.refuse_read(read, Refusal::TimedOut),
                Reader::Peer(node, life, read) => self.answer_read((node, life), read, None),
            }
        }
    }

    /// A follower asks for a read index.
    pub(super) fn on_read_index(&mut self, (from, life): (NodeId, Incarnation), read: ReadId) {
        if self.is_leader() {
            self.take_read(Reader::Peer(from, life, read));
        } else {
            self.answer_read((from, life), read, None);
        }
    }

    /// The leader answered. A read that is no longer waited for has been refused meanwhile.
    pub(super) fn on_read_index_reply(&mut self, read: ReadId, index: Option<LogIndex>) {
        if !self.forwarded.answer(read) {
            return;
        }
        match index {
            Some(index) => self.wait_for_apply(read, index),
            None => self.refuse_read(read, Refusal::NotLeader { leader: None }),
        }
    }

    /// A leader takes on a read.
    fn take_read(&mut self, reader: Reader) {
        let is_committed = self.has_own_commit();
        let commit = self.commit;
        let has_lease = self.lease_until().is_some_and(|until| self.now < until);
        let Role::Leader(leadership) = &mut self.role else {
            return;
        };
        if leadership.reads.len() >= MAX_WAITING_READS {
            return match reader {
                Reader::Local(read) => self.refuse_read(read, Refusal::Overloaded),
                Reader::Peer(node, life, read) => self.answer_read((node, life), read, None),
            };
        }
        if has_lease {
            self.counters.lease_reads += 1;
            self.give_read_index(reader, commit);
        } else if is_committed {
            leadership.reads.queue(reader, commit);
            self.ask_round_for_reads();
        } else {
            leadership.reads.hold(reader, self.now);
        }
    }

    /// Asks a new round on behalf of all waiting reads, unless one is under way.
    pub(super) fn ask_round_for_reads(&mut self) {
        let Role::Leader(leadership) = &mut self.role else {
            return;
        };
        if !leadership.reads.wants_round() {
            return;
        }
        leadership.round = leadership.round.next();
        leadership.reads.ask(leadership.round);
        self.broadcast_heartbeat();
        self.confirm_reads();
    }

    /// Lets go the reads whose round a majority has answered, and asks the next round if more
    /// have come meanwhile.
    #[inline]
    pub(super) fn confirm_reads(&mut self) {
        if self.is_asking_round() {
            self.confirm_answered_reads();
        }
    }

    fn confirm_answered_reads(&mut self) {
        let answered = self.majority_answered();
        let Role::Leader(leadership) = &mut self.role else {
            return;
        };
        let confirmed =
            answered.map_or_else(Vec::new, |answered| leadership.reads.confirm(answered));
        if confirmed.is_empty() {
            return;
        }
        for (reader, index) in confirmed {
            self.give_read_index(reader, index);
        }
        self.ask_round_for_reads();
    }

    fn is_asking_round(&self) -> bool {
        match &self.role {
            Role::Leader(leadership) => leadership.reads.is_asking(),
            Role::Follower | Role::PreCandidate(_) | Role::Candidate(_) => false,
        }
    }

    fn give_read_index(&mut self, reader: Reader, index: LogIndex) {
        match reader {
            Reader::Local(read) => self.wait_for_apply(read, index),
            Reader::Peer(node, life, read) => self.answer_read((node, life), read, Some(index)),
        }
    }

    /// The newest round that a majority of the present voters has answered.
    fn majority_answered(&self) -> Option<Round> {
        let Role::Leader(leadership) = &self.role else {
            return None;
        };
        reached_by_majority(self.memberships.latest(), |voter| {
            if voter == self.config.id {
                return leadership.round;
            }
            let peer = leadership.peer(voter);
            peer.map_or(Round::ZERO, |peer| peer.answered)
        })
    }

    /// Whether this leader has committed an entry of its term.
    fn has_own_commit(&self) -> bool {
        self.first_of_term()
            .is_some_and(|first| self.commit >= first)
    }

    /// Until when this leader may serve reads because no other can have been elected: a majority
    /// of the present voters owes it silence until then, and has its clock's drift allowed for
    /// [Thesis 6.4.1]. `None` without a lease, and before it knows what is committed (scenario
    /// E01).
    pub(super) fn lease_until(&self) -> Option<Time> {
        let Role::Leader(leadership) = &self.role else {
            return None;
        };
        if !self.has_own_commit() {
            return None;
        }
        leadership.lease.until(self.majority_answered()?)
    }

    /// Gives the host the reads whose entries were all handed to apply before (scenario E15).
    pub(super) fn release_reads(&mut self) {
        let handed = self.applies.handed();
        while let Some((read, index)) = self.confirmed_reads.release(handed) {
            self.outbox.notify(Action::ReadReady { read, index });
        }
    }

    fn answer_read(
        &mut self,
        (to, life): (NodeId, Incarnation),
        read: ReadId,
        index: Option<LogIndex>,
    ) {
        let envelope = self.envelope(to, life);
        self.outbox
            .send(|| envelope.with(Body::ReadIndexReply { read, index }));
    }

    fn refuse_read(&mut self, read: ReadId, reason: Refusal) {
        self.outbox.notify(Action::Refused {
            request: Request::Read(read),
            reason,
        });
    }
}
