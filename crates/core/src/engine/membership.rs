//! Changes of the membership, one server at a time [Thesis 4.1]: when one may be made, how a new
//! voter is brought in, and what follows when one takes force or is committed. What each change
//! makes of a membership is in `change.rs`.

use super::{Engine, Joining, Leadership, Role};
use crate::headway::Headway;
use crate::progress::Progress;
use crate::quorum::majority;
use crate::telemetry::tell;
use crate::{
    Action, Body, Change, ChangeId, ChangeRefusal, EntryId, Incarnation, LogIndex, Membership,
    NodeId, Payload, Refusal, Request, Term, Time,
};

/// Rounds in which a new node may try to catch up before adding it as a voter is given up
/// [Thesis 4.2.1].
const MAX_CATCH_UP_ROUNDS: u32 = 10;
/// Election timeouts for which a node may be silent before it counts as gone: adding it is given
/// up, and nothing is kept for it any more.
const MAX_SILENCE: u32 = 10;
/// Election timeouts for which a new node may answer and get nothing more before adding it is given
/// up: its disk may be full or stuck, or what it is sent be lost every time. A large snapshot takes
/// a while to be checked and installed.
const MAX_STANDSTILL: u32 = 100;

impl Engine {
    pub(super) fn on_change(&mut self, change: ChangeId, what: &Change) {
        match self.try_change(change, what) {
            Ok(Some(entry)) => self.announce_change(change, entry),
            // A voter to be: answered when it has caught up, or not.
            Ok(None) => {}
            Err(reason) => self.refuse_change(change, reason),
        }
    }

    fn try_change(&mut self, change: ChangeId, what: &Change) -> Result<Option<EntryId>, Refusal> {
        self.check_may_change(what)?;
        let present = self.memberships.latest();
        let wanted = what.applied_to(present).map_err(Refusal::Change)?;
        let is_new = wanted != *present;
        match what {
            Change::Promote { node } => self.check_may_promote(*node, &wanted)?,
            Change::Remove { .. } => self.check_reachable(&wanted)?,
            Change::AddLearner { .. } | Change::AddVoter { .. } | Change::UpdateAddress { .. } => {}
        }
        let Change::AddVoter { node, .. } = what else {
            return self.append_membership(&wanted).map(Some);
        };
        if is_new {
            let _learner = self.append_membership(&wanted)?;
        }
        let Role::Leader(leadership) = &mut self.role else {
            return Ok(None);
        };
        leadership.joining = Some(Joining {
            change,
            node: *node,
            heard_at: self.now,
            rounds_before: leadership.peer(*node).map_or(0, Progress::rounds),
            headway: Headway::new(self.now),
        });
        Ok(None)
    }

    /// One change at a time, and none before the leader has committed an entry of its term: a
    /// quorum of the membership before might else not meet one of the membership after
    /// (scenarios C01, C02).
    fn check_may_change(&mut self, what: &Change) -> Result<(), Refusal> {
        let Role::Leader(leadership) = &self.role else {
            return Err(Refusal::NotLeader {
                leader: self.leader,
            });
        };
        let refuse = |reason| Err(Refusal::Change(reason));
        if leadership.transfer.is_some() {
            return refuse(ChangeRefusal::HandingOver);
        }
        if self.commit < leadership.first {
            return refuse(ChangeRefusal::NoOwnCommit);
        }
        if self.memberships.latest_index() > self.commit {
            return refuse(ChangeRefusal::InFlight);
        }
        match (leadership.joining, what) {
            (None, _) => Ok(()),
            // Nobody has to wait for a node that does not catch up.
            (Some(joining), Change::Remove { node }) if joining.node == *node => {
                self.end_joining();
                let reason = Refusal::Change(ChangeRefusal::NotCaughtUp);
                self.refuse_change(joining.change, reason);
                Ok(())
            }
            (Some(_), _) => refuse(ChangeRefusal::InFlight),
        }
    }

    fn check_may_promote(&self, node: NodeId, wanted: &Membership) -> Result<(), Refusal> {
        if !self.is_caught_up(node) {
            return Err(Refusal::Change(ChangeRefusal::NotCaughtUp));
        }
        self.check_reachable(wanted)
    }

    /// A new voter that lags would delay the next commits (scenario C11).
    fn is_caught_up(&self, node: NodeId) -> bool {
        let Role::Leader(leadership) = &self.role else {
            return false;
        };
        let patience = self.config.election_timeout_min;
        let is_prepared = |peer: &Progress| {
            peer.is_caught_up(self.now, patience) && !peer.suspect && self.was_heard_lately(peer)
        };
        leadership.peer(node).is_some_and(is_prepared)
    }

    fn check_reachable(&self, wanted: &Membership) -> Result<(), Refusal> {
        let Role::Leader(leadership) = &self.role else {
            return Ok(());
        };
        let is_reachable = |voter: &&NodeId| {
            let peer = leadership.peer(**voter);
            // One that may have lost entries could elect nobody if this leader went.
            let counts = |peer: &Progress| self.was_heard_lately(peer) && !peer.suspect;
            **voter == self.config.id || peer.is_some_and(counts)
        };
        let reachable = wanted.voters().iter().filter(is_reachable).count();
        let is_enough = reachable >= majority(wanted.voters().len());
        if self.config.require_reachable_quorum && !is_enough {
            return Err(Refusal::Change(ChangeRefusal::QuorumUnreachable));
        }
        Ok(())
    }

    /// Whether the peer answered lately. That a term began lately is no answer.
    pub(super) fn was_heard_lately(&self, peer: &Progress) -> bool {
        let is_recent = self.now.since(peer.heard_at) <= self.config.election_timeout_max;
        is_recent && peer.was_heard()
    }

    /// Whether the peer was heard within the last few election timeouts, or has not had the time to
    /// answer since a pause. A link that flaps, or a process that is started anew, takes longer
    /// than one: who lost what was kept for it would have to begin again (scenario D12).
    pub(super) fn is_within_reach(&self, leadership: &Leadership, peer: &Progress) -> bool {
        let silent_since = peer.heard_at.max(leadership.awake_since);
        let patience = self.config.election_timeout_max.saturating_mul(MAX_SILENCE);
        self.now.since(silent_since) <= patience
    }

    /// Puts a membership in force by appending it.
    fn append_membership(&mut self, membership: &Membership) -> Result<EntryId, Refusal> {
        let bytes = membership.encode();
        let size = bytes.len() as u64 + crate::Entry::OVERHEAD_BYTES;
        if !self.room.holds(size) {
            return Err(Refusal::NoRoom);
        }
        self.append_own([Payload::Membership(bytes)]);
        self.follow_membership();
        // Also to whoever is a member only now.
        self.replicate_to_all();
        // With a voter less, a majority may have confirmed already what none had [Thesis 4.1].
        self.advance_commit();
        Ok(self.log.last())
    }

    /// Another membership may be in force.
    #[inline(always)]
    pub(super) fn follow_membership(&mut self) {
        if self.memberships.take_changed() {
            self.change_membership();
        }
    }

    /// Another membership is in force: whom to replicate to, and who is told.
    fn change_membership(&mut self) {
        let (index, membership) = (self.memberships.latest_index(), self.memberships.latest());
        if membership.contains(self.config.id) {
            // Added again since (or the word was about an older membership).
            let added_in = self.log.term_at(index).unwrap_or_default();
            self.removed_at
                .take_if(|(term, removed)| *removed < index || *term < added_in);
        }
        tell!(
            DEBUG,
            node = %self.config.id,
            %index,
            voters = ?membership.voters(),
            learners = ?membership.learners(),
            "membership in force"
        );
        let membership = membership.clone();
        self.outbox
            .notify(Action::MembershipChanged { index, membership });
        // Whoever is new begins with the entry that names it, which it can only refuse or take: an
        // idle cluster would have nothing to send it, and never hear how far back it has to go
        // (scenario C12).
        self.replicate_to_members(index.prev());
    }

    /// Begins to replicate to whoever is a member and was not, with what comes `behind`. Whoever is
    /// no member any more is kept until that is committed, so that it hears of it (scenario A12).
    pub(super) fn replicate_to_members(&mut self, behind: LogIndex) {
        let (id, now) = (self.config.id, self.now);
        let committed = self.memberships.at(self.commit).1;
        let members = self.memberships.latest().members();
        let Role::Leader(leadership) = &mut self.role else {
            return;
        };
        for member in members.chain(committed.members()) {
            if member != id && leadership.peer(member).is_none() {
                leadership.peers.push(Progress::new(member, behind, now));
            }
        }
    }

    /// What a leader does when the membership in force is committed: it lets go of who left, and
    /// leaves itself if it was removed, not before (scenario C07) [Thesis 4.2.2].
    pub(super) fn settle_membership(&mut self) {
        let (index, commit, id) = (self.memberships.latest_index(), self.commit, self.config.id);
        let membership = self.memberships.latest();
        let Role::Leader(leadership) = &mut self.role else {
            return;
        };
        if index > commit || index <= leadership.settled_membership {
            return;
        }
        leadership.settled_membership = index;
        let left = |peer: &mut Progress| !membership.contains(peer.id);
        let gone: alloc::vec::Vec<_> = leadership.peers.extract_if(.., left).collect();
        let must_leave = !membership.is_voter(id);
        let is_removed = !membership.contains(id);
        for peer in gone {
            let envelope = self.envelope(peer.id, peer.life);
            self.outbox.send(|| envelope.with(Body::Removed { index }));
        }
        // Who was waited for may be gone.
        self.confirm_reads();
        if must_leave {
            self.leave_after_removal();
        }
        // Nobody else would tell it: it does not campaign, and hears from no leader.
        if is_removed {
            self.note_removal((self.hard.term, index));
        }
    }

    /// The next step of adding a voter, when the last one is committed; or the end of waiting for
    /// it, whatever it waits for: whoever asked gets an answer.
    pub(super) fn advance_joining(&mut self) {
        let Some(joining) = self.note_joining() else {
            return;
        };
        let Joining { change, node, .. } = joining;
        let is_free =
            self.transfer_target().is_none() && self.memberships.latest_index() <= self.commit;
        if is_free && self.is_caught_up(node) {
            let wanted = self.memberships.latest().with_voter(node);
            let outcome = self.check_reachable(&wanted);
            let outcome = outcome.and_then(|()| self.append_membership(&wanted));
            self.end_joining();
            return match outcome {
                Ok(entry) => self.announce_change(change, entry),
                Err(reason) => self.refuse_change(change, reason),
            };
        }
        if self.is_hopeless(joining, is_free) {
            self.end_joining();
            self.refuse_change(change, Refusal::Change(ChangeRefusal::NotCaughtUp));
        }
    }

    /// Takes note of when the node that is to be a voter was heard, if one is, and of what it has.
    fn note_joining(&mut self) -> Option<Joining> {
        let Role::Leader(leadership) = &mut self.role else {
            return None;
        };
        let joining = leadership.joining.as_mut()?;
        let mut peers = leadership.peers.iter();
        if let Some(peer) = peers.find(|peer| peer.id == joining.node) {
            joining.heard_at = joining.heard_at.max(peer.heard_at);
            let held = (peer.matched(), peer.snapshot_bytes());
            joining.headway.note(held, self.now);
        }
        Some(*joining)
    }

    /// Whether the node is not expected to catch up any more [Thesis 4.2.1]. Only the rounds of one
    /// that could have become a voter meanwhile count.
    fn is_hopeless(&self, joining: Joining, is_free: bool) -> bool {
        let Role::Leader(leadership) = &self.role else {
            return false;
        };
        let is_over = |since: Time, timeouts| {
            let patience = self.config.election_timeout_max.saturating_mul(timeouts);
            self.now.since(since) > patience
        };
        let rounds = leadership.peer(joining.node).map_or(0, Progress::rounds);
        let is_slow = rounds.saturating_sub(joining.rounds_before) >= MAX_CATCH_UP_ROUNDS;
        is_over(joining.heard_at, MAX_SILENCE)
            || is_over(joining.headway.moved_at(), MAX_STANDSTILL)
            || (is_free && is_slow)
    }

    const fn end_joining(&mut self) {
        if let Role::Leader(leadership) = &mut self.role {
            leadership.joining = None;
        }
    }

    fn announce_change(&mut self, change: ChangeId, entry: EntryId) {
        self.outbox
            .notify(Action::MembershipAppended { change, entry });
    }

    pub(super) fn refuse_change(&mut self, change: ChangeId, reason: Refusal) {
        let request = Request::Change(change);
        self.outbox.notify(Action::Refused { request, reason });
    }

    /// Tells a campaigning node that it was removed, while somebody leads: it would never learn
    /// it otherwise (scenario A12). Only with an entry of this term committed: then whatever was
    /// committed in earlier terms is known here, and the asker cannot have been added since.
    pub(super) fn tell_if_removed(&mut self, (to, life): (NodeId, Incarnation)) {
        let (index, committed) = self.memberships.at(self.commit);
        let is_stranger = !committed.contains(to) && !self.memberships.latest().contains(to);
        let is_certain = self.log.term_at(self.commit) == Some(self.hard.term);
        if is_stranger && is_certain && !committed.voters().is_empty() && self.is_led() {
            let envelope = self.envelope(to, life);
            self.outbox.send(|| envelope.with(Body::Removed { index }));
        }
    }

    /// A member says in `term` that we are none. It may not know of a later membership that our
    /// log holds: of the same term, or of a later one. One of an earlier term it would know if
    /// that had been committed, whatever its index.
    pub(super) fn on_removed(&mut self, term: Term, index: LogIndex) {
        let (latest, since) = (self.memberships.latest(), self.memberships.latest_index());
        let added_in = self.log.term_at(since).unwrap_or(self.log.before().term);
        let is_later = added_in > term || (added_in == term && since >= index);
        let knows_better = latest.contains(self.config.id) && is_later;
        // The term is not taken over, so it must not count for more than ours.
        let word = (term.min(self.hard.term), index);
        if knows_better || self.is_leader() || self.is_removed() {
            return;
        }
        if !index.can_exist() || self.is_refuted(word) {
            self.counters.dropped += 1;
            return;
        }
        self.note_removal(word);
        if !matches!(self.role, Role::Follower) {
            self.step_down();
        }
    }

    /// This node is no member as of the membership at this index, said in this term, and its host
    /// may want to know.
    fn note_removal(&mut self, (term, index): (Term, LogIndex)) {
        self.removed_at = Some((term, index));
        tell!(INFO, node = %self.config.id, %index, "removed");
        self.outbox.notify(Action::Removed { index });
    }

    /// Whether this node was told that it is no member, and has not learned better.
    pub(super) fn is_removed(&self) -> bool {
        self.removed_at.is_some_and(|word| !self.is_refuted(word))
    }

    /// Whether the word of a removal cannot be true: what is committed at its index lists this
    /// node, or the log of a later leader, which holds whatever was committed before, ends below
    /// (a wrong word must not keep a voter from campaigning for ever).
    fn is_refuted(&self, (term, index): (Term, LogIndex)) -> bool {
        let is_listed = self.memberships.at(index).1.contains(self.config.id);
        let ends_below = |(later, last)| later > term && last < index;
        (index <= self.commit && is_listed) || self.leaders_last.is_some_and(ends_below)
    }
}
