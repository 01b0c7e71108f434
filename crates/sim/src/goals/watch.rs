//! What a run remembers to notice goals. Like a checker it is told facts, by whoever tells the
//! checkers; but nothing is wrong with any of them, and it answers nothing.

use std::collections::BTreeMap;

use quorate_core::{
    Body, ChangeRefusal, Config, Counters, EntryId, Incarnation, LogIndex, Message, NodeId,
    PeerStatus, Status, Term,
};

use super::{Goal, Goals};
use crate::check::LifeId;
use crate::check::commit_ledger::CommitLedger;
use crate::check::election_safety::ElectionSafety;
use crate::knobs::CutKind;
use crate::shape::{Mark, Shape};
use crate::world::is_as_recent;
use crate::world::network::Network;

/// The goals that a run has reached so far, and what the next ones depend on.
#[derive(Debug, Default)]
pub(crate) struct Watch {
    reached: Goals,
    /// Terms with candidates that nobody led so far.
    contested: Vec<Contested>,
    /// Uncommitted entries that leaders found in their logs when they were elected.
    inherited: Vec<Inherited>,
    /// All power was lost, and nothing committed since.
    is_dark: bool,
    /// How many links were cut before flapping went on.
    cuts_before: usize,
    /// A leader that is to stop told somebody to campaign, in this term.
    farewell: Option<(Term, NodeId)>,
    /// Up to where lives were given entries from their disks that were not committed.
    unasked: BTreeMap<LifeId, LogIndex>,
}

/// A term with a candidate.
#[derive(Clone, Copy, Debug)]
struct Contested {
    term: Term,
    first: NodeId,
    /// There was another candidate.
    is_split: bool,
}

/// The last entry that a leader found in its log, of an earlier term and on no majority.
#[derive(Clone, Debug)]
struct Inherited {
    index: LogIndex,
    mark: Mark,
    voters: Vec<NodeId>,
    /// It has come to a majority since.
    is_spread: bool,
}

impl Watch {
    /// What was reached.
    pub(crate) const fn reached(&self) -> Goals {
        self.reached
    }

    /// Whether a goal was reached, and need not be looked for any more.
    pub(crate) const fn has(&self, goal: Goal) -> bool {
        self.reached.contains(goal)
    }

    /// A goal was reached.
    pub(crate) const fn reach(&mut self, goal: Goal) {
        self.reached.insert(goal);
    }

    /// A goal was reached, if `is_there`.
    pub(crate) const fn reach_if(&mut self, is_there: bool, goal: Goal) {
        if is_there {
            self.reach(goal);
        }
    }

    /// What an engine counts of itself went on.
    pub(crate) const fn counted(&mut self, before: &Counters, after: &Counters) {
        self.reach_if(after.quorum_losses > before.quorum_losses, Goal::QuorumLost);
        let hangs = after.storage_stalls > before.storage_stalls;
        self.reach_if(hangs, Goal::LeaderDiskHung);
        self.reach_if(after.pauses > before.pauses, Goal::PauseForgiven);
        self.reach_if(after.lease_reads > before.lease_reads, Goal::LeaseRead);
        let is_lost = after.peer_regressions > before.peer_regressions;
        self.reach_if(is_lost, Goal::PeerRegressed);
    }

    /// `node`, whose log this is, replaces everything from `first` on.
    pub(crate) fn truncates(
        &mut self,
        node: NodeId,
        log: &Shape,
        first: LogIndex,
        elections: &ElectionSafety,
    ) {
        self.reach(Goal::SuffixTruncated);
        let change = log.membership_at(log.last());
        let has_change = change.is_some_and(|(at, _)| at >= first);
        self.reach_if(has_change, Goal::ChangeOverwritten);
        let mut index = first;
        while let Some(mark) = log.mark(index) {
            let leader = elections.leader(mark.term);
            let is_own = leader.is_some_and(|life| life.node == node);
            self.reach_if(is_own, Goal::StaleLeaderOverwritten);
            index = index.next();
        }
    }

    /// A life was given entries from its disk up to `last`, which is not committed as far as it
    /// knows.
    pub(crate) fn loads_uncommitted(&mut self, life: LifeId, last: LogIndex) {
        self.unasked.insert(life, last);
    }

    /// A life replaces everything from `first` on.
    pub(crate) fn replaces(&mut self, life: LifeId, first: LogIndex) {
        let last = self.unasked.get(&life);
        self.reach_if(
            last.is_some_and(|last| first <= *last),
            Goal::UnaskedReplaced,
        );
    }

    /// `candidate` asks for votes in `term`.
    pub(crate) fn campaigns(&mut self, candidate: NodeId, term: Term) {
        if let Some(known) = self.contested.iter_mut().find(|it| it.term == term) {
            known.is_split |= known.first != candidate;
            return;
        }
        self.contested.push(Contested {
            term,
            first: candidate,
            is_split: false,
        });
    }

    /// Somebody leads `term` and found a log there that ends in the entry `found`; `holds` says
    /// of a voter whether it has this entry on its disk.
    pub(crate) fn elected(
        &mut self,
        term: Term,
        found: Option<(LogIndex, Mark)>,
        voters: &[NodeId],
        ledger: &CommitLedger,
        holds: impl Fn(NodeId, LogIndex) -> Option<Mark>,
    ) {
        for older in self.contested.extract_if(.., |it| it.term <= term) {
            if older.is_split && older.term < term {
                self.reached.insert(Goal::SplitVote);
            }
        }
        let Some((index, mark)) = found.filter(|(index, _)| *index > ledger.last()) else {
            return;
        };
        let inherited = Inherited {
            index,
            mark,
            voters: voters.to_vec(),
            is_spread: false,
        };
        let mut known = self.inherited.iter();
        if !known.any(|it| (it.index, it.mark) == (index, mark)) && !inherited.spreads(&holds) {
            self.inherited.push(inherited);
        }
    }

    /// Entries became durable somewhere; `holds` says what stands where.
    pub(crate) fn wrote(&mut self, holds: impl Fn(NodeId, LogIndex) -> Option<Mark>) {
        for inherited in &mut self.inherited {
            if !inherited.is_spread && inherited.spreads(&holds) {
                inherited.is_spread = true;
                self.reached.insert(Goal::Figure8Entered);
            }
        }
    }

    /// The committed log has grown.
    pub(crate) fn committed(&mut self, ledger: &CommitLedger) {
        if std::mem::take(&mut self.is_dark) {
            self.reach(Goal::PowerLossRecovered);
        }
        let is_decided = |it: &mut Inherited| it.index <= ledger.last();
        for decided in self.inherited.extract_if(.., is_decided) {
            let committed = ledger.get(decided.index).map(|entry| entry.mark);
            if decided.is_spread {
                self.reached.insert(if committed == Some(decided.mark) {
                    Goal::Figure8Committed
                } else {
                    Goal::Figure8Overwritten
                });
            }
        }
    }

    /// Every machine has lost its power.
    pub(crate) const fn power_fails(&mut self) {
        self.is_dark = true;
    }

    /// A vote is refused by a node whose log ends in `own`, and which has voted for `voted` in
    /// this term, to a candidate whose log ends in `last`, as far as that is known.
    pub(crate) fn refuses_vote(
        &mut self,
        candidate: NodeId,
        voted: Option<NodeId>,
        own: EntryId,
        last: Option<EntryId>,
    ) {
        let is_given = voted.is_some_and(|voted| voted != candidate);
        self.reach_if(is_given, Goal::VoteRefusedByVote);
        let is_old = last.is_some_and(|last| !is_as_recent(last, own));
        self.reach_if(is_old, Goal::VoteRefusedByLog);
    }

    /// A node led `term` and does not any more, as it shows.
    pub(crate) fn led(&mut self, node: NodeId, term: Term, shows: &Status) {
        let membership = &shows.membership;
        let is_out = !membership.is_voter(node) && shows.commit >= shows.membership_index;
        self.reach_if(is_out && shows.term == term, Goal::LeaderRemovedItself);
    }

    /// A leader of `term` that is to stop tells `target` to campaign.
    pub(crate) const fn leaves(&mut self, term: Term, target: NodeId) {
        self.farewell = Some((term, target));
    }

    /// `node` leads `term`.
    pub(crate) fn takes_over(&mut self, node: NodeId, term: Term) {
        let is_meant = self
            .farewell
            .take_if(|(left, target)| left.next() == term && *target == node);
        self.reach_if(is_meant.is_some(), Goal::HandedOverAtShutdown);
    }

    /// A leader waits for answers of its peers.
    pub(crate) fn awaits(&mut self, peers: &[PeerStatus], limits: &Config) {
        if self.has(Goal::WindowFullByCount) && self.has(Goal::WindowFullByBytes) {
            return;
        }
        for peer in peers {
            let is_full = peer.inflight >= limits.max_inflight_messages;
            // Of one append there is always more than none.
            self.reach_if(is_full && peer.inflight > 1, Goal::WindowFullByCount);
            let is_full = peer.inflight_bytes >= limits.max_inflight_bytes;
            self.reach_if(is_full, Goal::WindowFullByBytes);
        }
    }

    /// These messages are sent at once.
    pub(crate) fn sends<'a>(&mut self, messages: impl Iterator<Item = &'a Message>) {
        if self.has(Goal::SeveralAppends) {
            return;
        }
        // One bit per node; there are fewer than 64.
        let mut seen = 0u64;
        for message in messages {
            if let Body::Append { entries, .. } = &message.body
                && !entries.is_empty()
            {
                let bit = 1 << (message.to.get() % 64);
                self.reach_if(seen & bit != 0, Goal::SeveralAppends);
                seen |= bit;
            }
        }
    }

    /// The membership is not changed.
    pub(crate) const fn change_refused(&mut self, reason: ChangeRefusal) {
        match reason {
            ChangeRefusal::NotCaughtUp => self.reach(Goal::LaggardNotPromoted),
            ChangeRefusal::InFlight => self.reach(Goal::ChangeInFlight),
            ChangeRefusal::NoOwnCommit => self.reach(Goal::ChangeBeforeOwnCommit),
            ChangeRefusal::HandingOver
            | ChangeRefusal::UnknownNode
            | ChangeRefusal::AlreadyMember
            | ChangeRefusal::AlreadyVoter
            | ChangeRefusal::LastVoter
            | ChangeRefusal::QuorumUnreachable
            | ChangeRefusal::TooManyMembers
            | ChangeRefusal::AddressTooLong => {}
        }
    }

    /// A message reaches a node of this life, in `term`.
    pub(crate) fn hears(&mut self, life: Incarnation, term: Term, message: &Message) {
        let asked = match &message.body {
            Body::AppendReply { asked, .. } | Body::SnapshotReply { asked, .. } => *asked,
            Body::VoteReply { campaign, .. } => *campaign,
            Body::PreVoteReply { .. } | Body::ReadIndexReply { .. } => term,
            Body::PreVote { .. }
            | Body::Vote { .. }
            | Body::Append { .. }
            | Body::SnapshotOffer { .. }
            | Body::TimeoutNow { .. }
            | Body::Removed { .. }
            | Body::ReadIndex { .. } => return,
        };
        let is_for_another = message.receiver != life && message.receiver != Incarnation::UNKNOWN;
        self.reach_if(is_for_another, Goal::ReplyToEarlierLife);
        self.reach_if(asked < term && !is_for_another, Goal::ReplyOfEarlierTerm);
    }

    /// Links are about to be cut.
    pub(crate) fn before_cut(&mut self, network: &Network) {
        self.cuts_before = network.cuts().count();
    }

    /// Links were cut in this shape; `leaders` lead.
    pub(crate) fn cut(
        &mut self,
        kind: CutKind,
        network: &Network,
        leaders: impl Iterator<Item = NodeId>,
    ) {
        match kind {
            CutKind::Flap => {
                let is_up = network.cuts().count() < self.cuts_before;
                self.reach_if(is_up, Goal::LinkFlapped);
            }
            CutKind::OneWay => {
                for leader in leaders {
                    let is_deaf = network.cuts().any(|(_, to)| to == leader);
                    let is_mute = network.cuts().any(|(from, _)| from == leader);
                    // Who is on neither side has one link of the cut, as everybody has.
                    let is_side = network.cuts().all(|it| it.0 == leader || it.1 == leader);
                    self.reach_if(is_side && is_deaf, Goal::DeafLeader);
                    self.reach_if(is_side && is_mute, Goal::MuteLeader);
                }
            }
            CutKind::IsolateOne | CutKind::Split | CutKind::Bridge | CutKind::Ring => {}
        }
    }
}

impl Inherited {
    /// Whether a majority of the voters has the entry on disk.
    fn spreads(&self, holds: impl Fn(NodeId, LogIndex) -> Option<Mark>) -> bool {
        let has = |voter: &&NodeId| holds(**voter, self.index) == Some(self.mark);
        self.voters.iter().filter(has).count() * 2 > self.voters.len()
    }
}
