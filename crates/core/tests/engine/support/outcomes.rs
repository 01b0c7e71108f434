//! What became of a user's request, read from the actions of a step, and the requests that a
//! bench has no short word for.

use quorate_core::{Action, Change, ChangeId, Event, ReadId, Refusal, Request, TransferId};

use super::bench::Bench;
use super::n;

/// The reads that are ready, with their indexes.
pub(crate) fn ready_reads(actions: &[Action]) -> Vec<(u64, u64)> {
    let mut ready = Vec::new();
    for action in actions {
        if let Action::ReadReady { read, index } = action {
            ready.push((read.get(), index.get()));
        }
    }
    ready
}

/// What was refused, and why, in order.
pub(crate) fn refusals(actions: &[Action]) -> Vec<(Request, Refusal)> {
    let mut refusals = Vec::new();
    for action in actions {
        if let Action::Refused { request, reason } = action {
            refusals.push((*request, *reason));
        }
    }
    refusals
}

/// Why a read was refused, if it was.
pub(crate) fn read_refusal(actions: &[Action], read: u64) -> Option<Refusal> {
    let request = Request::Read(ReadId::new(read));
    let refusals = refusals(actions);
    let refused = refusals.iter().find(|(refused, _)| *refused == request);
    refused.map(|(_, reason)| *reason)
}

/// Why the only proposal of a step was refused, if it was.
pub(crate) fn proposal_refusal(actions: &[Action]) -> Option<Refusal> {
    let refusals = refusals(actions);
    let is_proposal = |(request, _): &&(Request, Refusal)| matches!(request, Request::Proposal(_));
    refusals.iter().find(is_proposal).map(|(_, reason)| *reason)
}

/// Every answer to a transfer: who was told to campaign, or why nobody leads instead.
pub(crate) fn transfer_ends(actions: &[Action], transfer: u64) -> Vec<Result<u64, Refusal>> {
    let transfer = TransferId::new(transfer);
    let mut ends = Vec::new();
    for action in actions {
        if let Action::HandedOver {
            transfer: handed,
            target,
        } = action
            && *handed == transfer
        {
            ends.push(Ok(target.get()));
        }
    }
    let of_transfer = |(request, _): &(Request, Refusal)| *request == Request::Transfer(transfer);
    let refused = refusals(actions).into_iter().filter(of_transfer);
    ends.extend(refused.map(|(_, reason)| Err(reason)));
    ends
}

/// An operator wants leadership handed over.
pub(crate) fn ask_transfer(bench: &mut Bench, transfer: u64, target: Option<u64>) -> Vec<Action> {
    bench.step(Event::TransferLeadership {
        transfer: TransferId::new(transfer),
        target: target.map(n),
    })
}

/// An operator wants the membership changed.
pub(crate) fn ask_change(bench: &mut Bench, change: u64, what: Change) -> Vec<Action> {
    let change = ChangeId::new(change);
    bench.step(Event::ChangeMembership { change, what })
}

/// The host says how much room its disk has.
pub(crate) fn tell_room(bench: &mut Bench, bytes: u64) -> Vec<Action> {
    bench.step(Event::Room { bytes })
}

/// The request that an action answers, if it does.
pub(crate) const fn answered(action: &Action) -> Option<Request> {
    match action {
        Action::Proposed { proposal, .. } => Some(Request::Proposal(*proposal)),
        Action::ReadReady { read, .. } => Some(Request::Read(*read)),
        Action::MembershipAppended { change, .. } => Some(Request::Change(*change)),
        Action::HandedOver { transfer, .. } => Some(Request::Transfer(*transfer)),
        Action::Refused { request, .. } => Some(*request),
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
        | Action::Apply { .. }
        | Action::MembershipChanged { .. }
        | Action::Removed { .. }
        | Action::RoleChanged { .. }
        | Action::Fatal(_) => None,
    }
}

/// The kind of a request and its number, which can be sorted.
pub(crate) const fn request_key(request: Request) -> (u8, u64) {
    match request {
        Request::Proposal(proposal) => (0, proposal.get()),
        Request::Read(read) => (1, read.get()),
        Request::Change(change) => (2, change.get()),
        Request::Transfer(transfer) => (3, transfer.get()),
    }
}
