//! Handing leadership over [Thesis 3.10]: to whom, how, and what ends it. While it lasts nothing
//! is appended, so that the target can hold everything (scenario F03).

use core::cmp::Reverse;

use super::{Engine, Role, Transfer};
use crate::progress::Progress;
use crate::telemetry::tell;
use crate::{
    Action, Body, Incarnation, NodeId, Refusal, Request, Round, TransferId, TransferRefusal,
};

/// Entries that a target may lack when the transfer starts: it has one election timeout to get
/// them, in which nothing is written (scenario F04).
const MAX_LAG: u64 = 10_000;

impl Engine {
    pub(super) fn on_transfer(&mut self, transfer: TransferId, target: Option<NodeId>) {
        if let Err(reason) = self.start_transfer(Some(transfer), target) {
            self.refuse_transfer(transfer, reason);
        }
    }

    /// Starts a transfer to `target`, or to whoever is best prepared.
    pub(super) fn start_transfer(
        &mut self,
        request: Option<TransferId>,
        target: Option<NodeId>,
    ) -> Result<(), Refusal> {
        let Role::Leader(leadership) = &self.role else {
            return Err(Refusal::NotLeader {
                leader: self.leader,
            });
        };
        if leadership.transfer.is_some() {
            return Err(Refusal::Transfer(TransferRefusal::InFlight));
        }
        let target = match target {
            Some(target) => self.check_target(target).map(|()| target),
            None => self.best_target().ok_or(TransferRefusal::NoTarget),
        };
        let target = target.map_err(Refusal::Transfer)?;
        tell!(DEBUG, node = %self.config.id, %target, "handing over");
        let deadline = self.now.after(self.config.election_timeout_max);
        let Role::Leader(leadership) = &mut self.role else {
            return Ok(());
        };
        // Whoever is told to campaign needs nobody's silence (scenario E06).
        leadership.lease.end();
        leadership.transfer = Some(Transfer {
            request,
            target,
            deadline,
            is_told: false,
            is_excused: false,
        });
        Ok(())
    }

    /// A leader whose disk has no room hands over as soon as somebody is prepared. Nobody is asked
    /// in vain again before the host says once more that there is no room.
    pub(super) fn yield_without_room(&mut self) {
        let Role::Leader(leadership) = &self.role else {
            return;
        };
        if !self.room.is_low() {
            return;
        }
        let best = self.best_target().and_then(|best| leadership.peer(best));
        if let Some(best) = best.filter(|best| best.failed_transfers == 0) {
            let _refusal = self.start_transfer(None, Some(best.id));
        }
    }

    fn check_target(&self, target: NodeId) -> Result<(), TransferRefusal> {
        let membership = self.memberships.latest();
        if target == self.config.id {
            return Err(TransferRefusal::Itself);
        }
        if membership.is_learner(target) {
            return Err(TransferRefusal::Learner);
        }
        let Role::Leader(leadership) = &self.role else {
            return Err(TransferRefusal::UnknownNode);
        };
        let Some(peer) = leadership
            .peer(target)
            .filter(|_| membership.is_voter(target))
        else {
            return Err(TransferRefusal::UnknownNode);
        };
        if peer.suspect {
            return Err(TransferRefusal::Suspect);
        }
        let lag = peer.matched().distance_to(self.log.last().index);
        if lag > MAX_LAG || !peer.is_replicating() || !self.was_heard_lately(peer) {
            return Err(TransferRefusal::TooFarBehind);
        }
        Ok(())
    }

    /// The voter that holds most, of those that could lead. Who did not take over when asked
    /// comes last: its disk may be full, which a leader does not know.
    fn best_target(&self) -> Option<NodeId> {
        let Role::Leader(leadership) = &self.role else {
            return None;
        };
        let fit = leadership
            .peers
            .iter()
            .filter(|peer| self.check_target(peer.id).is_ok());
        fit.max_by_key(|peer| (Reverse(peer.failed_transfers), peer.matched()))
            .map(|peer| peer.id)
    }

    /// Tells the target to campaign as soon as it holds everything.
    pub(super) fn advance_transfer(&mut self) {
        if self.transfer().is_some_and(|transfer| !transfer.is_told) {
            self.tell_target();
        }
    }

    /// Tells the target once more, with every heartbeat until the deadline: the word may have been
    /// lost, be late, or have come before the target knew who leads. One that campaigns is in a
    /// later term, and drops it.
    pub(super) fn repeat_word(&mut self) {
        if self.transfer().is_some_and(|transfer| transfer.is_told) {
            self.tell_target();
        }
    }

    /// Tells the target to campaign if it holds everything.
    fn tell_target(&mut self) {
        let last = self.log.last().index;
        let Role::Leader(leadership) = &mut self.role else {
            return;
        };
        let Some(transfer) = &mut leadership.transfer else {
            return;
        };
        let peer = leadership
            .peers
            .iter()
            .find(|peer| peer.id == transfer.target);
        let Some(peer) = peer.filter(|peer| peer.matched() >= last) else {
            return;
        };
        transfer.is_told = true;
        let target = (peer.id, peer.life);
        self.say_word(target);
    }

    /// Tells this life of a node to campaign, in the newest round.
    fn say_word(&mut self, (to, life): (NodeId, Incarnation)) {
        let Role::Leader(leadership) = &self.role else {
            return;
        };
        let round = leadership.round;
        let envelope = self.envelope(to, life);
        self.outbox
            .send(|| envelope.with(Body::TimeoutNow { round }));
    }

    /// The target has not taken over in time: writes go on here.
    pub(super) fn expire_transfer(&mut self) {
        let now = self.now;
        let Role::Leader(leadership) = &mut self.role else {
            return;
        };
        let expired = leadership
            .transfer
            .take_if(|transfer| transfer.deadline <= now);
        let Some(expired) = expired else { return };
        let target = expired.target;
        if let Some(peer) = leadership.peers.iter_mut().find(|peer| peer.id == target) {
            peer.failed_transfers = peer.failed_transfers.saturating_add(1);
        }
        tell!(INFO, node = %self.config.id, %target, "no takeover in time");
        if let Some(request) = expired.request {
            self.refuse_transfer(request, Refusal::TimedOut);
        }
    }

    /// A newer term ended this leadership: a transfer that had come to the target's campaign is
    /// done.
    pub(super) fn conclude_transfer(&mut self) {
        let Role::Leader(leadership) = &mut self.role else {
            return;
        };
        let Some(told) = leadership.transfer.take_if(|transfer| transfer.is_told) else {
            return;
        };
        self.counters.transfers += 1;
        if let Some(transfer) = told.request {
            let target = told.target;
            self.outbox.notify(Action::HandedOver { transfer, target });
        }
    }

    /// A leader whose removal is committed asks the best of the others to take over, so that
    /// nobody has to wait for an election timeout [Thesis 4.2.2].
    pub(super) fn leave_after_removal(&mut self) {
        let is_told = self.transfer().is_some_and(|transfer| transfer.is_told);
        self.conclude_transfer();
        if !is_told && let Some(prepared) = self.prepared_voter() {
            self.say_word(prepared);
        }
        self.step_down();
    }

    /// A voter that holds everything and could lead: the target of the transfer under way, or
    /// whoever has not failed to take over.
    fn prepared_voter(&self) -> Option<(NodeId, Incarnation)> {
        let Role::Leader(leadership) = &self.role else {
            return None;
        };
        let (last, target) = (self.log.last().index, self.transfer_target());
        let is_prepared =
            |peer: &&Progress| peer.matched() >= last && self.check_target(peer.id).is_ok();
        let prepared = leadership.peers.iter().filter(is_prepared);
        let preferred =
            prepared.max_by_key(|peer| (target == Some(peer.id), Reverse(peer.failed_transfers)));
        preferred.map(|peer| (peer.id, peer.life))
    }

    /// The leader wants us to campaign: at once, without asking whether we could, and with the
    /// word that its followers owe it no silence (scenarios F01, F02). A word that the network
    /// kept may come when its transfer is long given up, and would depose a leader that everybody
    /// hears.
    pub(super) fn on_timeout_now(&mut self, from: NodeId, receiver: Incarnation, round: Round) {
        let is_late = receiver != self.life || self.answered > (self.hard.term, round);
        if is_late {
            self.counters.dropped += 1;
            return;
        }
        let is_from_leader = self.leader == Some(from);
        if is_from_leader
            && self.memberships.latest().is_voter(self.config.id)
            && self.may_campaign()
        {
            self.start_campaign(true);
        }
    }

    /// The transfer under way.
    const fn transfer(&self) -> Option<&Transfer> {
        match &self.role {
            Role::Leader(leadership) => leadership.transfer.as_ref(),
            Role::Follower | Role::PreCandidate(_) | Role::Candidate(_) => None,
        }
    }

    /// To whom this leader hands over.
    pub(super) fn transfer_target(&self) -> Option<NodeId> {
        self.transfer().map(|transfer| transfer.target)
    }

    pub(super) fn refuse_transfer(&mut self, transfer: TransferId, reason: Refusal) {
        let request = Request::Transfer(transfer);
        self.outbox.notify(Action::Refused { request, reason });
    }
}
