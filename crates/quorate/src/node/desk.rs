//! Where operators' requests wait for their answers. The driver knows them by number.

use std::collections::BTreeMap;

use quorate_core::{Change, ChangeId, EntryId, NodeId, TransferId};
use tokio::sync::oneshot;

use crate::driver::Input;
use crate::{ChangeError, TransferError};

/// What an operator asks of the node.
#[derive(Debug)]
pub(super) enum AdminAsk {
    /// Change the membership.
    Change {
        what: Change,
        answer: oneshot::Sender<Result<EntryId, ChangeError>>,
    },
    /// Let another node lead.
    Transfer {
        target: Option<NodeId>,
        answer: oneshot::Sender<Result<NodeId, TransferError>>,
    },
}

/// The requests under way.
#[derive(Debug, Default)]
pub(super) struct Desk {
    last_change: ChangeId,
    last_transfer: TransferId,
    changes: BTreeMap<ChangeId, oneshot::Sender<Result<EntryId, ChangeError>>>,
    transfers: BTreeMap<TransferId, oneshot::Sender<Result<NodeId, TransferError>>>,
}

impl Desk {
    /// Gives the request a number and passes it on.
    pub(super) fn take<W, R>(&mut self, ask: AdminAsk) -> Input<W, R> {
        match ask {
            AdminAsk::Change { what, answer } => {
                let change = self.last_change.next();
                self.last_change = change;
                self.changes.insert(change, answer);
                Input::ChangeMembership { change, what }
            }
            AdminAsk::Transfer { target, answer } => {
                let transfer = self.last_transfer.next();
                self.last_transfer = transfer;
                self.transfers.insert(transfer, answer);
                Input::TransferLeadership { transfer, target }
            }
        }
    }

    /// Answers whoever asked, if they still wait.
    pub(super) fn changed(&mut self, change: ChangeId, outcome: Result<EntryId, ChangeError>) {
        if let Some(answer) = self.changes.remove(&change) {
            let _ = answer.send(outcome);
        }
    }

    /// Answers whoever asked, if they still wait.
    pub(super) fn transferred(
        &mut self,
        transfer: TransferId,
        outcome: Result<NodeId, TransferError>,
    ) {
        if let Some(answer) = self.transfers.remove(&transfer) {
            let _ = answer.send(outcome);
        }
    }
}
