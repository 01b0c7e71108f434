//! What a leader knows of one peer's log, and how it paces what it sends there. Only this file
//! changes the mode of a peer. What to send is decided in `engine/replication.rs`.

use core::time::Duration;

use crate::catch_up::CatchUp;
use crate::ledger::Ledger;
use crate::{EntryId, Incarnation, LoadId, LogIndex, NodeId, PeerMode, PeerStatus, Round, Time};

/// One peer, in the eyes of a leader.
///
/// Invariant: `matched < next`, and `next` is at most one beyond the leader's log.
#[derive(Debug)]
pub(crate) struct Progress {
    pub(crate) id: NodeId,
    /// The life that was heard last.
    pub(crate) life: Incarnation,
    mode: Mode,
    /// The peer's durable log equals the leader's up to here.
    matched: LogIndex,
    /// The next entry to send.
    next: LogIndex,
    /// The last entry ever sent in this leadership: nothing beyond can be confirmed.
    sent: LogIndex,
    inflight: Ledger,
    /// When something was last sent from a standstill or last confirmed. A peer that owes an
    /// answer since long has lost a message.
    moved_at: Time,
    /// When the peer last answered in this term.
    pub(crate) heard_at: Time,
    /// The newest round the peer has answered.
    pub(crate) answered: Round,
    /// The leader's round when the peer was last heard.
    heard_in: Round,
    /// The leader's round when `matched` last moved: whatever it sent in a later round started
    /// at `matched` or behind it.
    matched_in: Round,
    /// The commit index it will know from what was sent.
    pub(crate) commit_told: LogIndex,
    /// Entries that it needs are being read from disk.
    pub(crate) loading: Option<LoadId>,
    catch_up: CatchUp,
    /// How often it was probed since it was heard.
    unheard_probes: u32,
    /// How often it did not take over in time.
    pub(crate) failed_transfers: u32,
    /// It says that it may have lost entries.
    pub(crate) suspect: bool,
    /// It lacked what it had confirmed.
    regressed: bool,
}

/// Probes of a silent peer grow rarer, up to this power of two.
const MAX_PROBE_DOUBLINGS: u32 = 4;

/// How a peer is sent entries.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Mode {
    /// Where its log ends is unknown: one append at a time.
    Probe {
        /// An append is out; the next goes when it is answered.
        waiting: bool,
    },
    /// Its log is known to agree: appends are pipelined, assumed to arrive [Thesis 10.2.1].
    Replicate,
    /// It lacks what was purged: no appends until it has the snapshot that was offered.
    Snapshot {
        /// The last entry of the snapshot.
        last: EntryId,
        /// Bytes that have arrived there, as it said last; `None` before it answered.
        bytes: Option<u64>,
    },
}

/// What a confirmation was worth.
#[must_use]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Confirmed {
    /// The peer holds more than was known.
    News,
    /// Known before.
    Stale,
    /// The peer cannot hold what it was never sent.
    NeverSent,
}

/// What a refusal was worth.
#[must_use]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Refused {
    /// The next append starts further back.
    BackedOff,
    /// It answers a question asked long ago (scenario B08).
    Stale,
    /// The peer no longer has what it once confirmed: it lost data.
    Regressed,
}

impl Progress {
    /// A peer of a new leader whose log ends at `last`: assume that it matches, and probe.
    pub(crate) fn new(id: NodeId, last: LogIndex, now: Time) -> Self {
        Self {
            id,
            life: Incarnation::UNKNOWN,
            mode: Mode::Probe { waiting: false },
            matched: LogIndex::NONE,
            next: last.next(),
            sent: last,
            inflight: Ledger::default(),
            moved_at: now,
            heard_at: now,
            answered: Round::ZERO,
            heard_in: Round::ZERO,
            matched_in: Round::ZERO,
            commit_told: LogIndex::NONE,
            loading: None,
            catch_up: CatchUp::new(last, now),
            unheard_probes: 0,
            failed_transfers: 0,
            suspect: false,
            regressed: false,
        }
    }

    /// What is told of it to operators.
    pub(crate) fn status(&self, now: Time, patience: Duration) -> PeerStatus {
        PeerStatus {
            id: self.id,
            matched: self.matched,
            next: self.next,
            inflight: self.inflight.len(),
            inflight_bytes: self.inflight.bytes(),
            mode: match self.mode {
                Mode::Probe { .. } => PeerMode::Probe,
                Mode::Replicate => PeerMode::Replicate,
                Mode::Snapshot { last, bytes } => PeerMode::Snapshot {
                    last,
                    bytes: bytes.unwrap_or(0),
                },
            },
            heard_at: self.heard_at,
            caught_up: self.is_caught_up(now, patience),
            suspect: self.suspect,
            regressed: self.regressed,
        }
    }

    pub(crate) const fn matched(&self) -> LogIndex {
        self.matched
    }

    pub(crate) const fn next(&self) -> LogIndex {
        self.next
    }

    pub(crate) fn inflight(&self) -> usize {
        self.inflight.len()
    }

    /// Whether an append with entries may go out now.
    pub(crate) fn may_send(&self, max_messages: usize, max_bytes: u64) -> bool {
        if self.loading.is_some() {
            return false;
        }
        match self.mode {
            Mode::Probe { waiting } => !waiting,
            Mode::Replicate => {
                self.inflight.len() < max_messages && self.inflight.bytes() < max_bytes
            }
            Mode::Snapshot { .. } => false,
        }
    }

    /// In this life it answered something of the first of these rounds; the second is the newest.
    /// False if that life may have ended, and says nothing of what the peer holds now. Lives have
    /// no order, but what one that has ended answers was asked before the next was heard: another
    /// life counts from the first round that it answers of those asked since.
    #[must_use]
    pub(crate) fn heard(&mut self, life: Incarnation, rounds: (Round, Round), now: Time) -> bool {
        let (round, asked) = rounds;
        let is_known = life == self.life || self.life == Incarnation::UNKNOWN;
        if !is_known && round <= self.heard_in {
            return false;
        }
        self.heard_in = asked;
        self.life = life;
        self.heard_at = now;
        self.answered = self.answered.max(round);
        self.unheard_probes = 0;
        true
    }

    /// Whether it ever answered in this term.
    pub(crate) fn was_heard(&self) -> bool {
        self.life != Incarnation::UNKNOWN
    }

    /// Entries up to `last` leave now, assumed to arrive.
    pub(crate) fn sent_entries(&mut self, last: LogIndex, bytes: u64, now: Time) {
        if self.inflight.is_empty() {
            self.moved_at = now;
        }
        self.inflight.push(last, bytes);
        self.sent = self.sent.max(last);
        match &mut self.mode {
            Mode::Probe { waiting } => *waiting = true,
            Mode::Replicate => self.next = last.next(),
            Mode::Snapshot { .. } => debug_assert!(false, "it needs the snapshot first"),
        }
    }

    /// The peer's durable log equals ours up to `index`. `round` is the newest one sent so far.
    pub(crate) fn confirm(&mut self, index: LogIndex, round: Round, now: Time) -> Confirmed {
        if index > self.sent {
            return Confirmed::NeverSent;
        }
        if index <= self.matched {
            return Confirmed::Stale;
        }
        self.inflight.release_through(index);
        self.matched = index;
        self.matched_in = round;
        self.next = self.next.max(index.next());
        self.moved_at = now;
        match self.mode {
            Mode::Snapshot { last, .. } if index < last.index => {}
            Mode::Probe { .. } | Mode::Replicate | Mode::Snapshot { .. } => {
                self.mode = Mode::Replicate;
            }
        }
        debug_assert!(
            self.matched < self.next,
            "a peer cannot need what it already has"
        );
        Confirmed::News
    }

    /// The peer refused an append of this round that started behind `refused`; the logs may agree
    /// up to `agreed` at most.
    pub(crate) fn refuse(&mut self, refused: LogIndex, agreed: EntryId, round: Round) -> Refused {
        if refused <= self.matched {
            if round <= self.matched_in {
                return Refused::Stale;
            }
            self.regress(agreed.index.min(refused.prev()), round);
            return Refused::Regressed;
        }
        if self.receives().is_some() {
            return Refused::Stale;
        }
        if refused >= self.next || (self.is_probing() && refused != self.next.prev()) {
            return Refused::Stale;
        }
        self.probe_from(agreed.index.next());
        Refused::BackedOff
    }

    /// The peer confirms less than it did, in an answer of this round: it lost data and says so,
    /// or it does not know that it did (scenario A20). It is sent again what it lacks; what was
    /// committed with its help stays committed.
    pub(crate) fn confirms_less(&mut self, index: LogIndex, round: Round) -> Refused {
        // A heartbeat that started at nothing was agreed to, as by every log.
        if index == LogIndex::NONE || index >= self.matched || round <= self.matched_in {
            return Refused::Stale;
        }
        self.regress(index, round);
        Refused::Regressed
    }

    fn regress(&mut self, matched: LogIndex, round: Round) {
        self.matched = self.matched.min(matched);
        self.matched_in = round;
        self.regressed = true;
        self.catch_up.fell_back();
        self.commit_told = self.commit_told.min(self.matched);
        self.probe_from(self.matched.next());
    }

    /// The snapshot that ends in `last` is offered: whatever else was out is of no use.
    pub(crate) fn offered_snapshot(&mut self, last: EntryId, now: Time) {
        let bytes = match self.mode {
            Mode::Snapshot { last: known, bytes } if known == last => bytes,
            Mode::Probe { .. } | Mode::Replicate | Mode::Snapshot { .. } => None,
        };
        self.mode = Mode::Snapshot { last, bytes };
        self.sent = self.sent.max(last.index);
        self.next = self.matched.max(last.index).next();
        self.inflight.clear();
        self.loading = None;
        self.moved_at = now;
    }

    /// So much of the snapshot has arrived.
    pub(crate) fn snapshot_progressed(&mut self, of: EntryId, so_far: u64) {
        if let Mode::Snapshot { last, bytes } = &mut self.mode
            && *last == of
        {
            *bytes = Some(so_far);
        }
    }

    /// Bytes that have arrived of the snapshot that it receives, as it said last.
    pub(crate) fn snapshot_bytes(&self) -> u64 {
        match self.mode {
            Mode::Snapshot { bytes, .. } => bytes.unwrap_or(0),
            Mode::Probe { .. } | Mode::Replicate => 0,
        }
    }

    /// The last entry of the snapshot that it receives.
    pub(crate) const fn receives(&self) -> Option<EntryId> {
        match self.mode {
            Mode::Snapshot { last, .. } => Some(last),
            Mode::Probe { .. } | Mode::Replicate => None,
        }
    }

    /// Whether it was offered the snapshot that ends in `last`, and nothing newer.
    pub(crate) fn is_offered(&self, last: EntryId) -> bool {
        self.receives() == Some(last)
    }

    /// The snapshot to offer once more, `patience` after the last time, and whether the peer has
    /// said that it receives it.
    pub(crate) fn offer_to_repeat(&self, patience: Duration, now: Time) -> Option<(EntryId, bool)> {
        match self.mode {
            Mode::Snapshot { last, bytes } if now.since(self.moved_at) >= patience => {
                Some((last, bytes.is_some()))
            }
            Mode::Snapshot { .. } | Mode::Probe { .. } | Mode::Replicate => None,
        }
    }

    /// Takes note, whenever it answers, of how it keeps up with a log that ends at `last`: it may
    /// have held all when it was heard before, and be heard again after much has come.
    pub(crate) fn note_catch_up(&mut self, last: LogIndex, now_and_patience: (Time, Duration)) {
        self.catch_up.matched(self.matched, last, now_and_patience);
    }

    /// Whether it keeps up.
    pub(crate) fn is_caught_up(&self, now: Time, patience: Duration) -> bool {
        self.catch_up.is_caught_up(self.matched, now, patience)
    }

    /// How many rounds of catching up were over.
    pub(crate) const fn rounds(&self) -> u32 {
        self.catch_up.rounds()
    }

    /// Whether its log is known to agree, and it is sent entries ahead of its answers.
    pub(crate) const fn is_replicating(&self) -> bool {
        matches!(self.mode, Mode::Replicate)
    }

    /// Nothing was confirmed for `patience` although something is out: it was lost. Send again
    /// from what is confirmed, one append at a time, and more and more rarely while it is silent.
    pub(crate) fn give_up_waiting(&mut self, patience: Duration, now: Time) {
        let doublings = self.unheard_probes.min(MAX_PROBE_DOUBLINGS);
        let patience = patience.saturating_mul(1 << doublings);
        if !self.inflight.is_empty() && now.since(self.moved_at) >= patience {
            self.unheard_probes = self.unheard_probes.saturating_add(1);
            self.moved_at = now;
            let next = if self.is_probing() {
                self.next
            } else {
                self.matched.next()
            };
            self.probe_from(next);
        }
    }

    fn probe_from(&mut self, next: LogIndex) {
        self.mode = Mode::Probe { waiting: false };
        self.next = next.max(self.matched.next());
        self.inflight.clear();
        self.loading = None;
    }

    const fn is_probing(&self) -> bool {
        matches!(self.mode, Mode::Probe { .. })
    }

    /// Whether everything sent was confirmed.
    pub(crate) fn is_idle(&self) -> bool {
        self.inflight.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Term;
    use core::time::Duration;

    fn i(index: u64) -> LogIndex {
        LogIndex::new(index)
    }

    fn id(index: u64) -> EntryId {
        EntryId::new(i(index), Term::new(1))
    }

    fn peer() -> Progress {
        Progress::new(NodeId::new(2).unwrap(), i(10), Time::ZERO)
    }

    fn confirms(peer: &mut Progress, index: u64, round: u64) -> Confirmed {
        peer.confirm(i(index), Round::new(round), Time::ZERO)
    }

    #[test]
    fn a_probe_waits_for_its_answer_and_then_pipelines() {
        let mut peer = peer();
        assert!(peer.may_send(4, 100));
        peer.sent_entries(i(11), 10, Time::ZERO);
        assert!(!peer.may_send(4, 100), "one probe at a time");
        assert_eq!(confirms(&mut peer, 11, 0), Confirmed::News);
        for last in 12..=15 {
            assert!(peer.may_send(4, 100));
            peer.sent_entries(i(last), 10, Time::ZERO);
        }
        assert!(!peer.may_send(4, 100), "four messages are in flight");
        assert!(
            peer.may_send(5, 100) && !peer.may_send(5, 40),
            "bytes are limited too"
        );
        assert_eq!(peer.next(), i(16));
    }

    /// Scenario B08
    #[test]
    fn a_late_refusal_of_what_was_confirmed_since_changes_nothing() {
        let mut peer = peer();
        peer.sent_entries(i(11), 10, Time::ZERO);
        assert_eq!(confirms(&mut peer, 11, 3), Confirmed::News);
        assert_eq!(peer.refuse(i(10), id(4), Round::new(2)), Refused::Stale);
        assert_eq!((peer.matched(), peer.next()), (i(11), i(12)));
    }

    /// Scenario A20
    #[test]
    fn a_fresh_refusal_of_what_was_confirmed_is_lost_data() {
        let mut peer = peer();
        peer.sent_entries(i(11), 10, Time::ZERO);
        assert_eq!(confirms(&mut peer, 11, 3), Confirmed::News);
        assert_eq!(peer.refuse(i(11), id(0), Round::new(4)), Refused::Regressed);
        assert_eq!(
            (peer.matched(), peer.next()),
            (i(0), i(1)),
            "it is sent again what it lost"
        );
    }

    #[test]
    fn a_peer_cannot_confirm_what_it_was_never_sent() {
        let mut peer = peer();
        assert_eq!(confirms(&mut peer, 11, 0), Confirmed::NeverSent);
        assert_eq!(peer.matched(), LogIndex::NONE);
    }

    #[test]
    fn a_refusal_moves_back_but_never_to_what_is_confirmed() {
        let mut peer = peer();
        peer.sent_entries(i(11), 10, Time::ZERO);
        assert_eq!(peer.refuse(i(10), id(6), Round::ZERO), Refused::BackedOff);
        assert_eq!(peer.next(), i(7));
        assert_eq!(
            peer.refuse(i(10), id(2), Round::ZERO),
            Refused::Stale,
            "answered already"
        );
        assert!(
            peer.may_send(1, 1),
            "the probe that was refused no longer waits"
        );
    }

    #[test]
    fn silence_after_sending_falls_back_to_what_is_confirmed() {
        let mut peer = peer();
        let patience = Duration::from_millis(100);
        peer.sent_entries(i(11), 10, Time::ZERO);
        assert_eq!(confirms(&mut peer, 11, 0), Confirmed::News);
        peer.sent_entries(i(12), 10, Time::ZERO);
        peer.sent_entries(i(13), 10, Time::ZERO);
        peer.give_up_waiting(patience, Time::ZERO);
        assert_eq!(peer.next(), i(14), "it is too early");
        peer.give_up_waiting(patience, Time::ZERO.after(patience));
        assert_eq!(peer.next(), i(12));
        assert!(peer.is_idle());
        assert_eq!(confirms(&mut peer, 13, 0), Confirmed::News);
        assert_eq!(peer.next(), i(14), "late confirmations still count");
    }
}
