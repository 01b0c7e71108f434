//! What checkers are told of transfers of leadership: what a leader does while it hands over, whom
//! it tells to campaign, and what becomes of the word.

use quorate_core::{Action, Body, Event, Message, NodeId, RoleName, Term};

use super::World;
use super::cause::Cause;
use super::node::Glimpse;
use crate::check::{Check, LifeId, pause, transfer};
use crate::goals::Goal;

/// Whether `target` asks for votes because the leader of `term` told it to campaign.
fn is_campaign_of(target: NodeId, term: Term, event: &Event) -> bool {
    matches!(
        event,
        Event::Receive(Message {
            from,
            term: campaign,
            body: Body::Vote { transfer: true, .. },
            ..
        }) if *from == target && *campaign > term
    )
}

impl World {
    /// Leadership is being handed over, or not.
    pub(super) fn observe_transfer(
        &mut self,
        id: LifeId,
        cause: Cause,
        before: &Glimpse,
        after: &Glimpse,
        actions: &[Action],
    ) -> Check {
        let config = &self.knobs.engine;
        let Some(life) = self.nodes[id.node].life.as_deref_mut() else {
            return Ok(());
        };
        if after.transfer_target.is_some() && before.transfer_target != after.transfer_target {
            life.transfer_since = life.ticked;
            life.transfer_limit = (config.election_timeout_max, false);
        }
        let is_by_itself = matches!(cause, Cause::Tick);
        if let Some(target) = after.transfer_target.filter(|_| is_by_itself)
            && before.transfer_target != Some(target)
        {
            let in_vain = &life.asked_in_vain;
            let is_next = !in_vain.is_empty();
            transfer::begins(id, target, in_vain, before.transfer_target)?;
            self.goals.reach_if(is_next, Goal::NextAskedToLead);
        }
        let is_over = after.transfer_target != before.transfer_target && is_by_itself;
        let is_late = pause::is_late(life.due, life.ticked, config.election_timeout_min);
        if let Some(target) = before.transfer_target.filter(|_| is_over) {
            life.asked_in_vain.push(target);
            let leads_on = after.role == RoleName::Leader && is_late && !life.transfer_limit.1;
            let word_waits = life
                .inbox
                .iter()
                .any(|event| is_campaign_of(target, before.term, event));
            transfer::gives_up_late(id, target, leads_on && word_waits)?;
        }
        let is_pending = after.transfer_target.is_some()
            && before.transfer_target == after.transfer_target
            && before.term == after.term;
        if is_pending {
            let since = life.ticked.since(life.transfer_since);
            let (limit, is_excused) = life.transfer_limit;
            if is_by_itself && is_late && !is_excused {
                let (late, interval) = (life.ticked.since(life.due), config.heartbeat_interval);
                let limit = transfer::limit_after_pause((since, limit), late, interval);
                life.transfer_limit = (limit, true);
            }
            let appends = |action: &Action| matches!(action, Action::AppendEntries { .. });
            transfer::goes_on(
                id,
                actions.iter().any(appends),
                since,
                life.transfer_limit.0,
            )?;
        }
        self.observe_words(id, cause, before, actions)
    }

    /// Who is told to campaign, and who campaigns because it was told.
    fn observe_words(
        &mut self,
        id: LifeId,
        cause: Cause,
        before: &Glimpse,
        actions: &[Action],
    ) -> Check {
        let mut is_obeyed = false;
        for action in actions {
            let Action::Send { message, .. } = action else {
                continue;
            };
            match message.body {
                Body::TimeoutNow { .. } => {
                    self.observe_timeout_now(id, message.to, before.term)?;
                }
                Body::Vote { transfer: true, .. } => {
                    is_obeyed = true;
                    let is_told = matches!(
                        cause,
                        Cause::TimeoutNow { from, .. } if before.leader == Some(from)
                    );
                    transfer::skips_silence(id, is_told)?;
                }
                Body::AppendReply { asked, round, .. } => {
                    if let Some(life) = self.nodes[id.node].life.as_deref_mut() {
                        life.answered_in = life.answered_in.max((asked, round));
                    }
                }
                Body::PreVote { .. }
                | Body::PreVoteReply { .. }
                | Body::Vote { .. }
                | Body::VoteReply { .. }
                | Body::Append { .. }
                | Body::SnapshotOffer { .. }
                | Body::SnapshotReply { .. }
                | Body::Removed { .. }
                | Body::ReadIndex { .. }
                | Body::ReadIndexReply { .. } => {}
            }
        }
        self.observe_late_word(id, cause, before, is_obeyed)
    }

    /// A word to campaign, obeyed or not, may be late.
    fn observe_late_word(
        &mut self,
        id: LifeId,
        cause: Cause,
        before: &Glimpse,
        is_obeyed: bool,
    ) -> Check {
        let Cause::TimeoutNow {
            from,
            receiver,
            round,
        } = cause
        else {
            return Ok(());
        };
        let life = self.nodes[id.node].life.as_deref();
        let Some(life) = life.filter(|_| before.leader == Some(from)) else {
            return Ok(());
        };
        let is_late = receiver != life.incarnation || life.answered_in > (before.term, round);
        self.goals.reach_if(is_late, Goal::LateWordToCampaign);
        transfer::obeys_in_time(id, is_obeyed && is_late)
    }

    /// A leader of `term` tells `target` to campaign.
    fn observe_timeout_now(&self, id: LifeId, target: NodeId, term: Term) -> Check {
        let Some(life) = self.nodes[id.node].life.as_deref() else {
            return Ok(());
        };
        let (disk, last) = (&self.stables[target], life.log.last());
        let mark = life.log.mark(last);
        let holds = mark.is_some_and(|mark| disk.holds(last, mark)) || disk.hard().term > term;
        let is_voter = life.membership.1.is_voter(target);
        transfer::tells(id, target, is_voter, holds)
    }
}
