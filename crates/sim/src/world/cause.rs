//! What a step was caused by, as far as checkers need to know, and whether what the engine decided
//! answers it: votes, pre-votes, proposals and reads. What the engine shows after any step is in
//! `observe.rs`.

use quorate_core::{
    Action, Body, ChangeId, Entry, EntryId, Event, Incarnation, Message, NodeId, ProposalId,
    ReadId, Refusal, Request, RoleName, Round, Term, TransferId,
};

use super::World;
use super::node::{Batch, Glimpse};
use crate::check::{
    Check, LifeId, Property, bounded_memory, broken, pause, pre_vote, stickiness, suspect,
    vote_up_to_date,
};
use crate::digest::token;

/// What of an event checkers need to know. The event itself is gone once the engine has it.
#[derive(Clone, Copy, Debug)]
pub(super) enum Cause {
    /// A candidate asks for a vote.
    Vote {
        from: NodeId,
        term: Term,
        last: EntryId,
        transfer: bool,
    },
    /// Somebody asks for a pre-vote.
    PreVote { from: NodeId, last: EntryId },
    /// A leader of `term` speaks.
    Append { term: Term },
    /// Somebody promises a vote.
    Promise { from: NodeId, campaign: Term },
    /// A client proposes.
    Propose(Batch),
    /// A client reads.
    Read(ReadId),
    /// An operator changes the membership.
    Change(ChangeId),
    /// An operator hands leadership over.
    Transfer(TransferId),
    /// A leader tells a node to campaign.
    TimeoutNow {
        from: NodeId,
        receiver: Incarnation,
        round: Round,
    },
    /// The room on a disk is told.
    Room(u64),
    /// A follower answers an append, or an offer, of term `asked`.
    Answer {
        from: NodeId,
        sender: Incarnation,
        asked: Term,
    },
    /// Time has passed.
    Tick,
    /// Anything else.
    Other,
}

impl Cause {
    pub(super) fn of(event: &Event) -> Self {
        match event {
            Event::Receive(message) => Self::of_message(message),
            Event::Propose { proposal, commands } => Self::Propose(Batch {
                proposal: *proposal,
                first_token: commands.first().map_or(0, |command| token(command)),
                count: commands.len() as u64,
                largest: commands.iter().map(|c| c.len() as u64).max().unwrap_or(0),
            }),
            Event::Read { read } => Self::Read(*read),
            Event::Tick { .. } => Self::Tick,
            Event::ChangeMembership { change, .. } => Self::Change(*change),
            Event::TransferLeadership { transfer, .. } => Self::Transfer(*transfer),
            Event::Room { bytes } => Self::Room(*bytes),
            Event::Persisted(_)
            | Event::StorageFailed
            | Event::Loaded { .. }
            | Event::SnapshotTaken(_)
            | Event::SnapshotFailed
            | Event::SnapshotProgress { .. }
            | Event::SnapshotReceived { .. }
            | Event::SnapshotLost { .. }
            | Event::Applied(_) => Self::Other,
        }
    }

    const fn of_message(message: &Message) -> Self {
        match &message.body {
            Body::Vote { last, transfer } => Self::Vote {
                from: message.from,
                term: message.term,
                last: *last,
                transfer: *transfer,
            },
            Body::PreVote { last, .. } => Self::PreVote {
                from: message.from,
                last: *last,
            },
            Body::AppendReply { asked, .. } | Body::SnapshotReply { asked, .. } => Self::Answer {
                from: message.from,
                sender: message.sender,
                asked: *asked,
            },
            Body::Append { .. } | Body::SnapshotOffer { .. } => Self::Append { term: message.term },
            Body::TimeoutNow { round } => Self::TimeoutNow {
                from: message.from,
                receiver: message.receiver,
                round: *round,
            },
            Body::PreVoteReply {
                campaign,
                granted: true,
            } => Self::Promise {
                from: message.from,
                campaign: *campaign,
            },
            Body::PreVoteReply { granted: false, .. }
            | Body::VoteReply { .. }
            | Body::Removed { .. }
            | Body::ReadIndex { .. }
            | Body::ReadIndexReply { .. } => Self::Other,
        }
    }
}

impl World {
    /// An engine is about to take an event.
    pub(super) fn before_step(&mut self, node: NodeId, cause: Cause) {
        let Some(life) = self.nodes[node].life.as_deref_mut() else {
            return;
        };
        match cause {
            Cause::Promise { from, campaign } => {
                self.checks.pre_votes.promised(life.id, campaign, from);
            }
            Cause::Propose(batch) => {
                life.clients.batch = Some((batch, self.checks.order.newest()));
                self.checks.outcomes.proposed(life.id, batch.proposal);
            }
            Cause::Read(read) => {
                self.checks.outcomes.asked(life.id, Request::Read(read));
                self.checks
                    .reads
                    .asked(life.id, read, self.checks.ledger.last());
            }
            Cause::Change(change) => self.checks.outcomes.asked(life.id, Request::Change(change)),
            Cause::Transfer(transfer) => {
                let request = Request::Transfer(transfer);
                self.checks.outcomes.asked(life.id, request);
            }
            Cause::Room(bytes) => life.room = bytes,
            Cause::Vote { .. }
            | Cause::TimeoutNow { .. }
            | Cause::PreVote { .. }
            | Cause::Append { .. }
            | Cause::Answer { .. }
            | Cause::Tick
            | Cause::Other => {}
        }
    }

    /// What the engine decided about the event.
    pub(super) fn observe_decision(
        &mut self,
        id: LifeId,
        cause: Cause,
        before: &Glimpse,
        actions: &[Action],
    ) -> Check {
        let grants = |to: NodeId| actions.iter().any(|action| is_grant(action, to));
        match cause {
            Cause::Vote {
                from,
                term,
                last,
                transfer,
            } => {
                let is_granted = grants(from);
                self.observe_vote(id, before, (from, term, last), transfer, is_granted)?;
            }
            Cause::PreVote { from, last } => {
                let saves = |action: &Action| matches!(action, Action::SaveHardState { .. });
                pre_vote::answered(id.node, actions.iter().any(saves))?;
                if grants(from) {
                    self.observe_floor(id, before, from, last)?;
                    self.observe_yielding(id, from, before)?;
                }
            }
            Cause::Answer { from, asked, .. } => {
                if let Some(life) = self.life(id).filter(|life| life.glimpse.term == asked) {
                    life.answered.insert(from, life.ticked);
                }
            }
            Cause::Append { term } => {
                if let Some(life) = self.life(id).filter(|life| life.glimpse.term == term) {
                    life.heard_leader = life.ticked;
                }
            }
            Cause::Tick => {
                let config = &self.knobs.engine;
                let Some(life) = self.nodes[id.node].life.as_deref_mut() else {
                    return Ok(());
                };
                if pause::is_late(life.due, life.ticked, config.election_timeout_min) {
                    let last = life.late_at.replace(life.ticked);
                    let late = life.ticked.since(life.due);
                    if pause::is_forgiven(last, life.due, config) {
                        pause::ticked_late(id.node, late, before.role, life.glimpse.role)?;
                    }
                }
            }
            Cause::Promise { .. }
            | Cause::Propose(_)
            | Cause::Read(_)
            | Cause::Change(_)
            | Cause::Transfer(_)
            | Cause::TimeoutNow { .. }
            | Cause::Room(_)
            | Cause::Other => {}
        }
        self.observe_outcomes(id, actions)?;
        self.checks.outcomes.step_ends()
    }

    /// `from`, whose log ends in `last`, asked for a vote in `term` and got it or not.
    fn observe_vote(
        &mut self,
        id: LifeId,
        before: &Glimpse,
        (from, term, last): (NodeId, Term, EntryId),
        transfer: bool,
        is_granted: bool,
    ) -> Check {
        let Some(life) = self.nodes[id.node].life.as_deref() else {
            return Ok(());
        };
        let moves_term = life.glimpse.term > before.term;
        if is_granted {
            vote_up_to_date::granted(id.node, life.log.last_id(), from, last)?;
            self.observe_floor(id, before, from, last)?;
        }
        // A vote that was given before may be told again at any time.
        let is_new = is_granted && self.checks.votes.of(id.node, term) != Some(from);
        if (is_new || moves_term) && !transfer {
            self.observe_yielding(id, from, before)?;
        }
        Ok(())
    }

    /// A vote, or the promise of one, is given to a candidate whose log ends in `last`.
    fn observe_floor(
        &self,
        id: LifeId,
        before: &Glimpse,
        candidate: NodeId,
        last: EntryId,
    ) -> Check {
        if let Some(lost) = self.stables[id.node].lost().filter(|_| before.suspect) {
            suspect::grants(id, candidate, last, lost.last_id())?;
        }
        Ok(())
    }

    /// A vote, or the promise of one, is given for the first time, or the term of a candidate is
    /// adopted.
    fn observe_yielding(&mut self, id: LifeId, candidate: NodeId, before: &Glimpse) -> Check {
        let silence = self.knobs.engine.election_timeout_min;
        let Some(life) = self.life(id) else {
            return Ok(());
        };
        // Whoever leads hears a leader all the time; one that gave up owes itself nothing.
        let leads = before.role == RoleName::Leader;
        let heard = if leads {
            life.ticked
        } else {
            life.heard_leader
        };
        stickiness::yields(id, candidate, heard, life.ticked, silence)
    }

    /// The outcomes of requests that a step tells.
    fn observe_outcomes(&mut self, id: LifeId, actions: &[Action]) -> Check {
        for action in actions {
            match action {
                Action::Proposed { proposal, first } => {
                    self.checks
                        .outcomes
                        .told(id, Request::Proposal(*proposal))?;
                    self.observe_proposed(id, *proposal, *first, actions)?;
                }
                Action::ReadReady { read, .. } => {
                    self.checks.outcomes.told(id, Request::Read(*read))?;
                }
                Action::Refused { request, reason } => {
                    self.checks.outcomes.told(id, *request)?;
                    self.observe_refusal(id, *request, *reason)?;
                }
                Action::MembershipAppended { change, .. } => {
                    let request = Request::Change(*change);
                    self.checks.outcomes.told(id, request)?;
                }
                Action::HandedOver { transfer, .. } => {
                    let request = Request::Transfer(*transfer);
                    self.checks.outcomes.told(id, request)?;
                }
                Action::Send { .. }
                | Action::LoadEntries { .. }
                | Action::SaveHardState { .. }
                | Action::AppendEntries { .. }
                | Action::InstallSnapshot { .. }
                | Action::RestoreSnapshot { .. }
                | Action::PurgeLog { .. }
                | Action::SnapshotDue
                | Action::ReceiveSnapshot { .. }
                | Action::DropSnapshot { .. }
                | Action::MembershipChanged { .. }
                | Action::Removed { .. }
                | Action::Apply { .. }
                | Action::RoleChanged { .. }
                | Action::Fatal(_) => {}
            }
        }
        Ok(())
    }

    /// An accepted batch stands in the log where the answer says.
    fn observe_proposed(
        &mut self,
        id: LifeId,
        proposal: ProposalId,
        first: EntryId,
        actions: &[Action],
    ) -> Check {
        let config = &self.knobs.engine;
        let Some(life) = self.nodes[id.node].life.as_deref() else {
            return Ok(());
        };
        let Some((batch, _)) = life
            .clients
            .batch
            .filter(|(batch, _)| batch.proposal == proposal)
        else {
            return broken(
                Property::OneOutcome,
                format_args!("{id} accepts unknown {proposal}"),
            );
        };
        let committed = life.glimpse.commit.max(life.elected_at);
        let (last, committed) = (life.log.mark(life.log.last()), life.log.mark(committed));
        if let (Some(last), Some(committed)) = (last, committed) {
            let uncommitted = last.bytes.saturating_sub(committed.bytes);
            bounded_memory::accepts(id.node, uncommitted, config)?;
        }
        let stands = |place: u64| {
            let wanted = EntryId::new(first.index.plus(place), first.term);
            written(actions).any(|entry| {
                entry.id() == wanted && token(entry.payload.bytes()) == batch.first_token + place
            })
        };
        let all_stand = (0..batch.count).all(stands);
        if all_stand && batch.largest <= config.max_entry_bytes {
            return Ok(());
        }
        broken(
            Property::OneOutcome,
            format_args!("{id} accepts {batch:?} at {first} without appending it there"),
        )
    }

    /// A refusal says the truth where the world knows it.
    fn observe_refusal(&mut self, id: LifeId, request: Request, reason: Refusal) -> Check {
        let Some(life) = self.life(id) else {
            return Ok(());
        };
        let role = life.glimpse.role;
        let is_true = match (request, reason) {
            (
                Request::Proposal(_) | Request::Change(_) | Request::Transfer(_),
                Refusal::NotLeader { .. },
            ) => role != RoleName::Leader,
            // Writes go on as soon as a transfer is over (scenario F05).
            (Request::Proposal(_), Refusal::HandingOver) => {
                life.glimpse.transfer_target.is_some() || !life.membership.1.is_voter(id.node)
            }
            (Request::Proposal(_), Refusal::TooLarge { limit_bytes }) => life
                .clients
                .batch
                .is_some_and(|(batch, _)| batch.largest > limit_bytes),
            (Request::Proposal(_), Refusal::Change(_) | Refusal::Transfer(_)) => false,
            (Request::Proposal(_), Refusal::Overloaded | Refusal::TimedOut | Refusal::NoRoom)
            | (Request::Read(_) | Request::Change(_) | Request::Transfer(_), _) => true,
        };
        if self.is_settled {
            return broken(
                Property::Liveness,
                format_args!("{id} refuses {request:?} in a calm world: {reason:?}"),
            );
        }
        if is_true {
            return Ok(());
        }
        broken(
            Property::OneOutcome,
            format_args!("{role:?} {id} refuses {request:?}: {reason:?}"),
        )
    }
}

/// Whether an action grants `candidate` a vote, or promises one.
fn is_grant(action: &Action, candidate: NodeId) -> bool {
    matches!(
        action,
        Action::Send { message, .. } if message.to == candidate
            && matches!(
                message.body,
                Body::VoteReply { granted: true, .. } | Body::PreVoteReply { granted: true, .. }
            )
    )
}

/// The entries that a step has written.
fn written(actions: &[Action]) -> impl Iterator<Item = &Entry> {
    let batches = actions.iter().filter_map(|action| {
        if let Action::AppendEntries { entries, .. } = action {
            Some(entries.iter())
        } else {
            None
        }
    });
    batches.flatten()
}
