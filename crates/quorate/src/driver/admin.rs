//! What operators ask for: changes of the membership, transfers of leadership and an orderly
//! end. When each is possible is the engine's; who is told what became of it is decided here.

use std::collections::{BTreeMap, BTreeSet};

use quorate_core::{
    Change, ChangeId, Entries, EntryId, Event, LogIndex, NodeId, Refusal, RoleName, Term, Time,
    TransferId, TransferRefusal,
};

use super::{Driver, Output, StopCause};
use crate::{ChangeError, TransferError};

/// The transfer with which a leader that is to stop hands over. The shell counts from the other
/// end of the numbers.
const FAREWELL: TransferId = TransferId::new(u64::MAX);

/// Requests of operators that are not answered yet.
#[derive(Debug, Default)]
pub(super) struct Admin {
    /// Changes that the engine has neither appended nor refused.
    asked: BTreeSet<ChangeId>,
    /// Changes in the log; each is decided when its index is applied here.
    appended: BTreeMap<LogIndex, (Term, ChangeId)>,
    /// Transfers under way.
    transfers: BTreeSet<TransferId>,
    /// The node stops when leadership is handed over, or then.
    leaving_by: Option<Time>,
}

impl Admin {
    /// When the node stops at the latest, if it is to.
    pub(super) fn leaving_by(&self) -> Time {
        self.leaving_by.unwrap_or(Time::NEVER)
    }
}

impl<W, R> Driver<W, R> {
    pub(super) fn on_change(&mut self, change: ChangeId, what: Change) {
        if self.engine.is_none() {
            return self.answer_change(change, Err(self.no_engine().into()));
        }
        self.admin.asked.insert(change);
        self.step(Event::ChangeMembership { change, what });
    }

    pub(super) fn on_transfer(&mut self, transfer: TransferId, target: Option<NodeId>) {
        if self.engine.is_none() {
            return self.answer_transfer(transfer, Err(self.no_engine().into()));
        }
        self.admin.transfers.insert(transfer);
        self.step(Event::TransferLeadership { transfer, target });
    }

    /// Why nothing can be asked of a node that has no engine.
    const fn no_engine(&self) -> NoEngine {
        if self.is_stopped {
            NoEngine::Stopped
        } else {
            NoEngine::Unborn
        }
    }

    /// The change stands in the log.
    pub(super) fn on_change_appended(&mut self, change: ChangeId, entry: EntryId) {
        if !self.admin.asked.remove(&change) {
            return;
        }
        let waiting = (entry.term, change);
        if let Some((_, former)) = self.admin.appended.insert(entry.index, waiting) {
            self.answer_change(former, Err(ChangeError::Replaced));
        }
    }

    pub(super) fn on_change_refused(&mut self, change: ChangeId, reason: Refusal) {
        if self.admin.asked.remove(&change) {
            self.answer_change(change, Err(reason.into()));
        }
    }

    /// These entries are given to the state machine, which does not look at memberships: a
    /// change among them has taken effect. One is recognised by its index and term, as a
    /// proposal is: another leader may have put something else there (scenario C15).
    pub(super) fn decide_changes(&mut self, entries: &Entries) {
        let (Some(first), Some(last)) = (entries.first(), entries.last()) else {
            return;
        };
        while let Some(waiting) = self.admin.appended.first_entry()
            && *waiting.key() <= last.index
        {
            let (index, (term, change)) = waiting.remove_entry();
            let position = usize::try_from(first.index.distance_to(index)).ok();
            let entry = position.and_then(|position| entries.get(position));
            let id = EntryId::new(index, term);
            let is_same = entry.is_some_and(|entry| entry.id() == id);
            let outcome = if is_same {
                Ok(id)
            } else {
                Err(ChangeError::Replaced)
            };
            self.answer_change(change, outcome);
        }
    }

    /// The leader to whose log the changes were appended is gone: what becomes of them may stay
    /// open for long.
    pub(super) fn forsake_changes(&mut self) {
        for (_, change) in std::mem::take(&mut self.admin.appended).into_values() {
            self.answer_change(change, Err(ChangeError::Unknown));
        }
    }

    pub(super) fn on_handed_over(&mut self, transfer: TransferId, target: NodeId) {
        if transfer == FAREWELL {
            self.stop(StopCause::Shutdown);
        } else if self.admin.transfers.remove(&transfer) {
            self.answer_transfer(transfer, Ok(target));
        }
    }

    pub(super) fn on_transfer_refused(&mut self, transfer: TransferId, reason: Refusal) {
        if transfer == FAREWELL {
            // An operator's transfer is under way, and is as good. Otherwise nobody takes over,
            // or not in time: the others elect a leader without help.
            if reason != Refusal::Transfer(TransferRefusal::InFlight) {
                self.stop(StopCause::Shutdown);
            }
        } else if self.admin.transfers.remove(&transfer) {
            self.answer_transfer(transfer, Err(reason.into()));
        }
    }

    /// Ends the node, at once or, if it leads, after somebody took over: otherwise nobody leads
    /// for an election timeout (scenario F09).
    pub(super) fn on_shutdown(&mut self) {
        if self.admin.leaving_by.is_some() {
            return;
        }
        if self.leadership.role != RoleName::Leader || !self.config.hand_over {
            return self.stop(StopCause::Shutdown);
        }
        // The engine gives up as soon; this bound holds whatever it does.
        let patience = self.config.engine.election_timeout_max;
        self.admin.leaving_by = Some(self.now.after(patience));
        self.step(Event::TransferLeadership {
            transfer: FAREWELL,
            target: None,
        });
    }

    /// Waits no longer than it said, and not for a leadership that it lost.
    pub(super) fn leave_in_time(&mut self) {
        if let Some(by) = self.admin.leaving_by
            && (by <= self.now || self.leadership.role != RoleName::Leader)
        {
            self.stop(StopCause::Shutdown);
        }
    }

    /// Every operator who waits is told that the node has stopped.
    pub(super) fn fail_admin(&mut self) {
        let Admin {
            asked,
            appended,
            transfers,
            leaving_by: _,
        } = std::mem::take(&mut self.admin);
        let appended = appended.into_values().map(|(_, change)| change);
        for change in asked.into_iter().chain(appended) {
            self.answer_change(change, Err(ChangeError::Stopped));
        }
        for transfer in transfers {
            self.answer_transfer(transfer, Err(TransferError::Stopped));
        }
    }

    fn answer_change(&mut self, change: ChangeId, outcome: Result<EntryId, ChangeError>) {
        self.outputs.push(Output::Changed { change, outcome });
    }

    fn answer_transfer(&mut self, transfer: TransferId, outcome: Result<NodeId, TransferError>) {
        self.outputs.push(Output::Transferred { transfer, outcome });
    }
}

/// Why a node has no engine.
enum NoEngine {
    /// The cluster is not born yet.
    Unborn,
    /// The node has stopped.
    Stopped,
}

impl From<NoEngine> for ChangeError {
    fn from(why: NoEngine) -> Self {
        match why {
            NoEngine::Unborn => Self::NotLeader { leader: None },
            NoEngine::Stopped => Self::Stopped,
        }
    }
}

impl From<NoEngine> for TransferError {
    fn from(why: NoEngine) -> Self {
        match why {
            NoEngine::Unborn => Self::NotLeader { leader: None },
            NoEngine::Stopped => Self::Stopped,
        }
    }
}
