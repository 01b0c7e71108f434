//! The follower's side of replication: what it makes of an append [Raft 5.3]. The leader's side
//! is in `replication.rs`.

use core::mem;

use super::Engine;
use crate::telemetry::tell;
use crate::{
    AppendOutcome, Body, Entries, EntryId, Incarnation, LogIndex, Membership, NodeId, Round, Term,
    Violation, WriteId,
};

impl Engine {
    /// An append of the present term: its sender leads. `told` is how far the leader's log goes,
    /// and to which life of this node that was said.
    pub(super) fn on_append(
        &mut self,
        (from, life): (NodeId, Incarnation),
        prev: EntryId,
        mut entries: Entries,
        commit: LogIndex,
        round: Round,
        told: (Incarnation, LogIndex),
    ) {
        if let Some(violation) = self.contradicts_known_leader(from) {
            return self.stop(violation);
        }
        if !self.is_sound(prev, &entries, told.1) {
            self.counters.dropped += 1;
            return;
        }
        // Before the logs are compared: also one whose log conflicts leads (scenario A17).
        self.follow(from);
        self.note_leaders_last(told);
        if let Some(violation) = self.contradicts_commit(from, prev, &entries) {
            return self.stop(violation);
        }
        // Only this much of our log is known to equal the leader's (scenario B02).
        let claim = entries.last().map_or(prev.index, |last| last.index);
        let brings_nothing = entries.is_empty();
        // The log holds nothing so far on, as that of a follower that keeps up.
        let lacks_all = brings_nothing || prev.index >= self.log.last().index;
        if !lacks_all {
            entries = self.missing(entries);
        }
        let has_room = self.has_room_for(&entries);
        let is_heartbeat = brings_nothing || !has_room;
        let agrees = prev.index <= self.commit || self.log.contains(prev);
        let (outcome, needs) = if !agrees {
            (self.conflict_at(prev), WriteId::NONE)
        } else if is_heartbeat {
            // Never waits for a slow disk: it claims no more than is durable.
            (
                AppendOutcome::Matched(self.claim_at_once(prev)),
                WriteId::NONE,
            )
        } else {
            let needs = self.append_missing(&mut entries, claim);
            (AppendOutcome::Matched(claim), needs)
        };
        let committed = self.commit;
        if agrees {
            let known = if has_room { claim } else { prev.index };
            self.commit = self.commit.max(commit.min(known));
        }
        if is_heartbeat {
            self.end_suspicion();
        }
        let only_tells_commit = brings_nothing && self.commit > committed;
        if only_tells_commit && self.answered == (self.hard.term, round) {
            // The answer would say that this node holds what the append started at, and was there
            // in this round: the leader knows both. Whoever counts answers, be it for a read, a
            // lease or its majority, asks a new round, and that is answered [Thesis 6.2]
            // [Thesis 6.4].
            return;
        }
        self.answer_append((from, life), round, outcome, needs);
    }

    #[inline]
    fn answer_append(
        &mut self,
        (to, life): (NodeId, Incarnation),
        round: Round,
        outcome: AppendOutcome,
        needs: WriteId,
    ) {
        let asked = self.hard.term;
        self.answered = self.answered.max((asked, round));
        let suspect = self.hard.floor.is_some();
        let envelope = self.envelope(to, life);
        self.outbox.answer(needs, || {
            envelope.with(Body::AppendReply {
                asked,
                round,
                outcome,
                suspect,
            })
        });
    }

    /// Two leaders of one term: some vote was forgotten (scenario A18).
    pub(super) fn contradicts_known_leader(&self, claimed: NodeId) -> Option<Violation> {
        let known = self.leader?;
        let term = self.hard.term;
        (known != claimed).then_some(Violation::TwoLeaders {
            term,
            known,
            claimed,
        })
    }

    /// Whether the append can be from any engine at all, whose log ends at `log_end`. The wire
    /// promises nothing. Term zero has neither leader nor entries.
    fn is_sound(&self, prev: EntryId, entries: &Entries, log_end: LogIndex) -> bool {
        let is_prev_sound = (prev.index == LogIndex::NONE) == (prev.term == Term::ZERO);
        let oldest = prev.term.max(Term::ZERO.next());
        // A suspect node believes it: a log that ends too soon, or never, would make it whole too
        // soon or never (scenario A20).
        let sent = entries.last().map_or(prev.index, |last| last.index);
        let is_end_sound = sent <= log_end && log_end.can_exist();
        let (Some(first), Some(last)) = (entries.first(), entries.last()) else {
            return is_prev_sound && is_end_sound && oldest <= self.hard.term;
        };
        let mut memberships = entries.memberships();
        is_prev_sound
            && is_end_sound
            && first.index == prev.index.next()
            && first.term >= oldest
            && last.term <= self.hard.term
            && entries.is_well_formed()
            && memberships.all(|(_, bytes)| Membership::decode(bytes).is_ok())
    }

    /// Whether the entries that the log lacks fit on the disk. Where they do not, nothing is
    /// taken, and the append counts as a heartbeat.
    fn has_room_for(&mut self, new: &Entries) -> bool {
        let has_room = new.is_empty() || self.room.holds(new.size_bytes());
        if !has_room {
            self.counters.full_disks += 1;
            tell!(
                WARN,
                node = %self.config.id,
                room_bytes = self.room.bytes(),
                "no room for entries"
            );
        }
        has_room
    }

    /// What is committed is in the log of every later leader [Raft 5.4]. An append that says
    /// otherwise must not be obeyed (scenario B05).
    fn contradicts_commit(
        &self,
        leader: NodeId,
        prev: EntryId,
        entries: &Entries,
    ) -> Option<Violation> {
        // Of what was purged nothing is known but that it is committed (scenario B10).
        let known = self.log.before().index..=self.commit;
        let differs = |id: &EntryId| known.contains(&id.index) && !self.log.contains(*id);
        let mut behind = entries.iter().map(crate::Entry::id);
        let offered = if differs(&prev) {
            prev
        } else if prev.index >= self.commit {
            return None;
        } else {
            behind
                .by_ref()
                .take_while(|id| id.index <= self.commit)
                .find(differs)?
        };
        let committed = self.log.id_at(offered.index);
        Some(Violation::CommittedConflict {
            committed,
            offered,
            leader,
        })
    }

    /// The entries from the first on that the log does not hold: none that is committed.
    fn missing(&self, entries: Entries) -> Entries {
        let behind = entries.iter().filter(|entry| entry.index > self.commit);
        let mut new = behind.filter(|entry| !self.log.contains(entry.id()));
        match new.next().map(|first| first.index) {
            None => Entries::empty(),
            Some(first) => entries.since(first),
        }
    }

    /// What an answer that waits for no write claims of a log that agrees at `prev`: all of it if
    /// that is durable, else nothing. Part of it could be less than was acknowledged, though
    /// nothing is lost: while a snapshot replaces the log, or when the acknowledgement left before
    /// the engine was told that its write is durable. The leader would report a damaged disk
    /// (scenario A20).
    fn claim_at_once(&self, prev: EntryId) -> LogIndex {
        if prev.index > self.writes.durable() {
            return LogIndex::NONE;
        }
        prev.index
    }

    /// Adds what the log lacks, up to `claim`, and has it written. Entries that are there already
    /// are left alone: a late append must not cut off what followed it [Raft 5.3].
    ///
    /// Returns the write that makes everything up to `claim` durable.
    #[inline(always)]
    fn append_missing(&mut self, missing: &mut Entries, claim: LogIndex) -> WriteId {
        let Some(write) = self.take_into_log(missing) else {
            return self.writes.covering(claim);
        };
        self.outbox.append(write, || mem::take(missing));
        write
    }

    /// Adds entries to the log. Whoever does has them written, by the write that is returned, and
    /// before any other.
    #[must_use]
    pub(super) fn take_into_log(&mut self, entries: &Entries) -> Option<WriteId> {
        let (first, last) = (entries.first()?.index, entries.last()?.index);
        self.room.spend(entries.size_bytes());
        self.memberships.append(entries);
        self.log.append(entries);
        Some(self.writes.append(first, last, self.now))
    }

    /// Points the leader at the newest entry that may still match, over whole terms at a time.
    fn conflict_at(&self, prev: EntryId) -> AppendOutcome {
        let hint = self.log.newest_within(prev);
        AppendOutcome::Conflict {
            refused: prev.index,
            hint,
        }
    }
}
