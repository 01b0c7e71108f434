//! Events, actions and messages as short text for the trace. Nothing here is read by a machine.

use quorate_core::{
    Action, AppendOutcome, Body, Entries, Event, LoadOutcome, LoadPurpose, Membership, Message,
    NodeId, Payload,
};

use crate::digest::token;

/// What an engine was given.
pub(crate) fn event(event: &Event) -> String {
    match event {
        Event::Tick { now } => format!("tick {now}"),
        Event::Receive(it) => format!("receive {}", message(it)),
        Event::Propose { proposal, commands } => format!("propose {proposal} x{}", commands.len()),
        Event::Read { read } => format!("read {read}"),
        Event::Persisted(write) => format!("persisted {write}"),
        Event::StorageFailed => "storage failed".to_owned(),
        Event::Loaded {
            load,
            outcome: LoadOutcome::Found(found),
        } => {
            format!("loaded {load} {}", entries(found))
        }
        Event::Loaded {
            load,
            outcome: LoadOutcome::Gone,
        } => format!("{load} is gone"),
        Event::Loaded {
            load,
            outcome: LoadOutcome::Failed,
        } => format!("{load} failed"),
        Event::Applied(index) => format!("applied {index}"),
        Event::ChangeMembership { change, what } => format!("{change}: {what:?}"),
        Event::TransferLeadership { transfer, target } => format!("{transfer} to {target:?}"),
        Event::SnapshotTaken(snapshot) => format!("snapshot {} taken", snapshot.last),
        Event::SnapshotFailed => "snapshot failed".to_owned(),
        Event::SnapshotProgress { last, bytes, .. } => format!("snapshot {last}: {bytes} bytes"),
        Event::SnapshotReceived { last, .. } => format!("snapshot {last} received"),
        Event::SnapshotLost { last, .. } => format!("snapshot {last} lost"),
        Event::Room { bytes } => format!("room for {bytes} bytes"),
    }
}

/// What an engine wants done.
pub(crate) fn action(action: &Action) -> String {
    match action {
        Action::Send { needs, message: it } => format!("send {} (needs {needs})", message(it)),
        Action::LoadEntries {
            load,
            from,
            to,
            limit_bytes,
            purpose,
        } => {
            let purpose = match purpose {
                LoadPurpose::Apply => "apply".to_owned(),
                LoadPurpose::Replicate(peer) => peer.to_string(),
            };
            format!("load {load} {from}..={to} up to {limit_bytes} bytes for {purpose}")
        }
        Action::SaveHardState { write, state } => {
            let vote = state
                .vote
                .map_or("nobody".to_owned(), |vote| vote.to_string());
            format!(
                "save {write} {} vote {vote} floor {:?}",
                state.term, state.floor
            )
        }
        Action::AppendEntries { write, entries: it } => format!("append {write} {}", entries(it)),
        Action::InstallSnapshot {
            write,
            snapshot,
            discard_log,
        } => {
            format!("install {write} {} discard {discard_log}", snapshot.last)
        }
        Action::RestoreSnapshot { snapshot } => format!("restore {}", snapshot.last),
        Action::PurgeLog { through } => format!("purge through {through}"),
        Action::SnapshotDue => "snapshot is due".to_owned(),
        Action::ReceiveSnapshot { from, snapshot } => {
            format!("receive {} from {from}", snapshot.last)
        }
        Action::DropSnapshot { snapshot } => format!("drop snapshot {}", snapshot.last),
        Action::MembershipAppended { change, entry } => format!("{change} stands at {entry}"),
        Action::MembershipChanged { index, membership } => {
            format!("members since {index}: {}", members(membership))
        }
        Action::Removed { index } => format!("is removed as of {index}"),
        Action::HandedOver { transfer, target } => format!("{transfer}: {target} takes over"),
        Action::Apply { entries: it } => format!("apply {}", entries(it)),
        Action::Proposed { proposal, first } => format!("proposed {proposal} at {first}"),
        Action::ReadReady { read, index } => format!("{read} sees {index}"),
        Action::Refused { request, reason } => format!("refuse {request:?}: {reason:?}"),
        Action::RoleChanged { role, term, leader } => {
            let leader = leader.map_or("nobody".to_owned(), |leader| leader.to_string());
            format!("now {role:?} of {leader} in {term}")
        }
        Action::Fatal(violation) => format!("stops: {violation}"),
    }
}

/// What one engine says to another.
pub(crate) fn message(message: &Message) -> String {
    let body = match &message.body {
        Body::PreVote { campaign, last } => format!("pre-vote for {campaign}? last {last}"),
        Body::PreVoteReply { campaign, granted } => format!("pre-vote for {campaign}: {granted}"),
        Body::Vote {
            last,
            transfer: false,
        } => format!("vote? last {last}"),
        Body::Vote {
            last,
            transfer: true,
        } => format!("vote (transfer)? last {last}"),
        Body::VoteReply { campaign, granted } => format!("vote for {campaign}: {granted}"),
        Body::Append {
            prev,
            entries: it,
            commit,
            round,
            last: _,
        } => {
            format!(
                "append after {prev} {} commit {commit} {round}",
                entries(it)
            )
        }
        Body::AppendReply {
            asked,
            round,
            outcome: AppendOutcome::Matched(index),
            suspect,
        } => {
            let suspect = if *suspect { " (suspect)" } else { "" };
            format!("matched {index} for {asked} {round}{suspect}")
        }
        Body::AppendReply {
            asked,
            round,
            outcome: AppendOutcome::Conflict { refused, hint },
            ..
        } => format!("conflict at {refused}, hint {hint}, for {asked} {round}"),
        Body::SnapshotOffer { snapshot, round } => {
            format!("offers snapshot {} {round}", snapshot.last)
        }
        Body::SnapshotReply {
            asked,
            round,
            last,
            outcome,
            ..
        } => {
            format!("snapshot {last}: {outcome:?} for {asked} {round}")
        }
        Body::TimeoutNow { round } => format!("campaign now, {round}"),
        Body::Removed { index } => format!("you are removed as of {index}"),
        Body::ReadIndex { read } => format!("read index for {read}?"),
        Body::ReadIndexReply { read, index } => match index {
            Some(index) => format!("{read} sees {index}"),
            None => format!("{read} refused"),
        },
    };
    format!("{}>{} {}: {body}", message.from, message.to, message.term)
}

/// First and last entry, and what the first one asks for.
fn entries(entries: &Entries) -> String {
    let (Some(first), Some(last)) = (entries.first(), entries.last()) else {
        return "[]".to_owned();
    };
    let payload = match &first.payload {
        Payload::Noop => "no-op".to_owned(),
        Payload::Command(bytes) => format!("{:x}", token(bytes)),
        Payload::Membership(bytes) => match Membership::decode(bytes) {
            Ok(membership) => members(&membership),
            Err(error) => error.to_string(),
        },
    };
    if entries.len() == 1 {
        return format!("[{} {payload}]", first.id());
    }
    format!("[{} {payload} ..= {}]", first.id(), last.id())
}

/// Voters, and learners in brackets.
fn members(membership: &Membership) -> String {
    let list = |nodes: &[NodeId]| {
        let names: Vec<_> = nodes.iter().map(NodeId::to_string).collect();
        names.join(" ")
    };
    let (voters, learners) = (list(membership.voters()), list(membership.learners()));
    format!("{{{voters} ({learners})}}")
}
