//! How a history is written down: one line per action, in the words of the protocol. Heartbeats
//! and answers that tell nothing new are left out unless a script asks for them.

use std::collections::{BTreeMap, VecDeque};

use quorate_core::{
    Action, AppendOutcome, Body, Entries, Entry, EntryId, HardState, LoadPurpose, LogIndex,
    Membership, Message, NodeId, Payload, Refusal, Request, RoleName, SnapshotMeta,
    SnapshotOutcome, Term,
};

use super::network::{Link, link_of};
use super::node::Node;

/// Lines kept for a failure message.
const TAIL: usize = 120;

/// How much of a history is written down.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Keep {
    /// Nothing: most histories are never looked at, and writing takes longer than the engine.
    #[default]
    Nothing,
    /// The last lines, for a failure message.
    Tail,
    /// Every line, for a script.
    All,
}

/// The lines of a history.
#[derive(Debug, Default)]
pub(crate) struct Trace {
    lines: VecDeque<String>,
    pub(crate) keep: Keep,
    pub(crate) shows_heartbeats: bool,
    /// What was last told over each link by an append without entries, or an answer.
    told: BTreeMap<Link, (Term, LogIndex)>,
}

impl Trace {
    pub(crate) fn line(&mut self, subject: &str, text: &str) {
        if self.keep == Keep::Tail && self.lines.len() >= TAIL {
            self.lines.pop_front();
        }
        self.lines.push_back(format!("{subject:<8}  {text}"));
    }

    /// A message leaves, with a remark on what becomes of it.
    pub(crate) fn message(&mut self, message: &Message, remark: &str) {
        if self.keep != Keep::Nothing && (self.is_news(message) || self.shows_heartbeats) {
            let subject = format!("{} -> {}", message.from, message.to);
            self.line(&subject, &format!("{}{remark}", describe_message(message)));
        }
    }

    /// An action that is not a message.
    pub(crate) fn action(&mut self, node: &Node, action: &Action) {
        if self.keep == Keep::Nothing {
            return;
        }
        let text = match action {
            // Written down when it leaves, or here if that is later.
            Action::Send { needs, message } => {
                if *needs > node.disk.synced() && node.disk.is_held {
                    let subject = format!("{} -> {}", message.from, message.to);
                    let text = describe_message(message);
                    self.line(&subject, &format!("{text}  (waits for {needs})"));
                }
                return;
            }
            Action::LoadEntries {
                from, to, purpose, ..
            } => {
                let purpose = match purpose {
                    LoadPurpose::Apply => "to apply".to_owned(),
                    LoadPurpose::Replicate(peer) => format!("for {peer}"),
                };
                format!("load {from}..{} from disk {purpose}", to.index)
            }
            Action::SaveHardState { write, state } => {
                format!("{write}: save {}{}", describe_hard_state(state), held(node))
            }
            Action::AppendEntries { write, entries } => {
                let append = describe_append(entries, node.disk.log_as_written().len() as u64);
                format!("{write}: {append}{}", held(node))
            }
            Action::Apply { entries } => format!("apply {}", describe_entries(entries)),
            Action::Proposed { proposal, first } => format!("{proposal} proposed at {first}"),
            Action::ReadReady { read, index } => format!("{read} ready at {index}"),
            Action::Refused { request, reason } => describe_refused(*request, *reason),
            Action::RoleChanged { role, term, leader } => describe_role(*role, *term, *leader),
            Action::InstallSnapshot {
                write,
                snapshot,
                discard_log,
            } => {
                let log = if *discard_log {
                    "instead of the log"
                } else {
                    "beside the log"
                };
                let snapshot = describe_snapshot(snapshot);
                format!("{write}: install {snapshot} {log}{}", held(node))
            }
            Action::RestoreSnapshot { snapshot } => {
                format!("restore {}", describe_snapshot(snapshot))
            }
            Action::PurgeLog { through } => format!("purge through {through}"),
            Action::SnapshotDue => "snapshot due".to_owned(),
            Action::ReceiveSnapshot { from, snapshot } => {
                format!("receive {} from {from}", describe_snapshot(snapshot))
            }
            Action::DropSnapshot { snapshot } => format!("drop {}", describe_snapshot(snapshot)),
            Action::MembershipAppended { change, entry } => format!("{change} appended at {entry}"),
            Action::MembershipChanged { index, membership } => {
                format!("members since {index}: {}", describe_membership(membership))
            }
            Action::Removed { index } => format!("is told that it was removed at {index}"),
            Action::HandedOver { transfer, target } => {
                format!("{transfer} handed over to {target}")
            }
            Action::Fatal(violation) => format!("STOPS: {violation}"),
        };
        self.line(&node.id.to_string(), &text);
    }

    /// Heartbeats repeat the commit index and their answers the match index: most of any trace.
    fn is_news(&mut self, message: &Message) -> bool {
        let told = match &message.body {
            Body::Append {
                entries, commit, ..
            } if entries.is_empty() => *commit,
            Body::AppendReply {
                outcome: AppendOutcome::Matched(index),
                ..
            } => *index,
            Body::AppendReply {
                outcome: AppendOutcome::Conflict { .. },
                ..
            }
            | Body::Append { .. }
            | Body::PreVote { .. }
            | Body::PreVoteReply { .. }
            | Body::Vote { .. }
            | Body::VoteReply { .. }
            | Body::SnapshotOffer { .. }
            | Body::SnapshotReply { .. }
            | Body::TimeoutNow { .. }
            | Body::Removed { .. }
            | Body::ReadIndex { .. }
            | Body::ReadIndexReply { .. } => return true,
        };
        let now = (message.term, told);
        let before = self.told.insert(link_of(message), now);
        before != Some(now) && told != LogIndex::NONE
    }

    /// Takes the lines so far.
    pub(crate) fn take(&mut self) -> Vec<String> {
        self.lines.drain(..).collect()
    }

    /// The last lines, as one text.
    pub(crate) fn tail(&self) -> String {
        self.lines.iter().map(|line| format!("{line}\n")).collect()
    }
}

fn describe_message(message: &Message) -> String {
    let term = message.term;
    match &message.body {
        Body::PreVote { campaign, last } => {
            format!(
                "{term} pre-vote for {campaign}? last entry {}",
                describe_id(*last)
            )
        }
        Body::PreVoteReply { campaign, granted } => {
            format!("{term} pre-vote for {campaign} {}", yes_or_no(*granted))
        }
        Body::Vote { last, transfer } => {
            let why = if *transfer {
                ", asked by the leader"
            } else {
                ""
            };
            format!("{term} vote? last entry {}{why}", describe_id(*last))
        }
        Body::VoteReply { campaign, granted } => {
            let of = describe_other_term(" for", *campaign, term);
            format!("{term} vote{of} {}", yes_or_no(*granted))
        }
        Body::Append {
            prev,
            entries,
            commit,
            round,
            last: _,
        } => {
            let what = describe_sent(*prev, entries);
            format!("{term} {what}, commit {commit}, {round}")
        }
        Body::AppendReply {
            asked,
            round,
            outcome,
            suspect,
        } => {
            let of = describe_other_term(" to", *asked, term);
            let suspect = if *suspect { ", suspect" } else { "" };
            format!("{term} {}{of}, {round}{suspect}", describe_outcome(outcome))
        }
        Body::SnapshotOffer { snapshot, round } => {
            format!("{term} offer of {}, {round}", describe_snapshot(snapshot))
        }
        Body::SnapshotReply {
            last,
            outcome,
            round,
            suspect,
            asked: _,
        } => {
            let suspect = if *suspect { ", suspect" } else { "" };
            let outcome = describe_snapshot_outcome(*outcome);
            format!("{term} snapshot {last} {outcome}, {round}{suspect}")
        }
        Body::TimeoutNow { round } => format!("{term} campaign now, {round}"),
        Body::Removed { index } => format!("{term} you were removed at {index}"),
        Body::ReadIndex { read } => format!("{term} read index for {read}?"),
        Body::ReadIndexReply {
            read,
            index: Some(index),
        } => format!("{term} {read} at {index}"),
        Body::ReadIndexReply { read, index: None } => format!("{term} {read}: ask another node"),
    }
}

/// The term of a question, where it is not that of the answer.
fn describe_other_term(preposition: &str, asked: Term, term: Term) -> String {
    if asked == term {
        String::new()
    } else {
        format!("{preposition} {asked}")
    }
}

/// An append by where it starts and what it brings.
fn describe_sent(prev: EntryId, entries: &Entries) -> String {
    let prev = describe_id(prev);
    if entries.is_empty() {
        format!("heartbeat at {prev}")
    } else {
        format!("append after {prev}: {}", describe_entries(entries))
    }
}

fn describe_snapshot_outcome(outcome: SnapshotOutcome) -> String {
    match outcome {
        SnapshotOutcome::Receiving { bytes } => format!("receiving, {bytes} bytes so far"),
        SnapshotOutcome::Installed => "installed".to_owned(),
        SnapshotOutcome::Lost => "lost".to_owned(),
    }
}

fn describe_outcome(outcome: &AppendOutcome) -> String {
    match outcome {
        AppendOutcome::Matched(index) => format!("matched {index}"),
        AppendOutcome::Conflict { refused, hint } => {
            format!("conflict at {refused}, try {}", describe_id(*hint))
        }
    }
}

const fn yes_or_no(granted: bool) -> &'static str {
    if granted { "granted" } else { "refused" }
}

/// A remark on a write that does not become durable yet.
const fn held(node: &Node) -> &'static str {
    if node.disk.is_held { "  (held)" } else { "" }
}

/// An append to a log that ends at `log_end`, with what it cuts off.
fn describe_append(entries: &Entries, log_end: u64) -> String {
    let first = entries.first().map_or(LogIndex::NONE, |entry| entry.index);
    let append = format!("append {}", describe_entries(entries));
    if first.get() <= log_end {
        format!("drop {first}..i{log_end}, {append}")
    } else {
        append
    }
}

fn describe_hard_state(state: &HardState) -> String {
    let vote = state
        .vote
        .map_or_else(String::new, |vote| format!(", vote {vote}"));
    format!("term {}{vote}", state.term)
}

fn describe_refused(request: Request, reason: Refusal) -> String {
    let request = match request {
        Request::Proposal(proposal) => proposal.to_string(),
        Request::Read(read) => read.to_string(),
        Request::Change(change) => change.to_string(),
        Request::Transfer(transfer) => transfer.to_string(),
    };
    let reason = match reason {
        Refusal::NotLeader {
            leader: Some(leader),
        } => format!("{leader} leads"),
        Refusal::NotLeader { leader: None } => "not the leader".to_owned(),
        Refusal::Overloaded => "overloaded".to_owned(),
        Refusal::TooLarge { limit_bytes } => format!("above {limit_bytes} bytes"),
        Refusal::TimedOut => "timed out".to_owned(),
        Refusal::HandingOver => "handing over".to_owned(),
        Refusal::NoRoom => "no room".to_owned(),
        Refusal::Change(reason) => reason.to_string(),
        Refusal::Transfer(reason) => reason.to_string(),
    };
    format!("{request} refused: {reason}")
}

/// A snapshot by its last entry and its membership.
fn describe_snapshot(snapshot: &SnapshotMeta) -> String {
    let members = describe_membership(&snapshot.membership);
    format!("snapshot {} of {members}", snapshot.last)
}

/// `1 2 3`, and behind a plus those that learn.
pub(crate) fn describe_membership(membership: &Membership) -> String {
    let list = |nodes: &[NodeId]| {
        let nodes: Vec<String> = nodes.iter().map(|node| node.get().to_string()).collect();
        nodes.join(" ")
    };
    let voters = list(membership.voters());
    if membership.learners().is_empty() {
        format!("{{{voters}}}")
    } else {
        format!("{{{voters} + {}}}", list(membership.learners()))
    }
}

/// A role as a script prints it.
pub(crate) fn describe_role(role: RoleName, term: Term, leader: Option<NodeId>) -> String {
    match (role, leader) {
        (RoleName::Leader, _) => format!("leader {term}"),
        (RoleName::Candidate, _) => format!("candidate {term}"),
        (RoleName::PreCandidate, _) => format!("pre-candidate {term}"),
        (RoleName::Follower, Some(leader)) => format!("follower {term} of {leader}"),
        (RoleName::Follower, None) => format!("follower {term}, no leader"),
    }
}

fn describe_id(id: EntryId) -> String {
    if id == EntryId::NONE {
        "none".to_owned()
    } else {
        id.to_string()
    }
}

/// Entries one by one, or the ends of a long run.
fn describe_entries(entries: &Entries) -> String {
    match &**entries {
        [first, .., last] if entries.len() > 4 => {
            format!("[{} .. {}]", first.id(), last.id())
        }
        few => {
            let few: Vec<String> = few.iter().map(describe_entry).collect();
            format!("[{}]", few.join(", "))
        }
    }
}

/// One entry: its id, and the command if it has one.
pub(crate) fn describe_entry(entry: &Entry) -> String {
    match &entry.payload {
        Payload::Noop => format!("{} no-op", entry.id()),
        Payload::Membership(bytes) => match Membership::decode(bytes) {
            Ok(membership) => {
                format!(
                    "{} members {}",
                    entry.id(),
                    describe_membership(&membership)
                )
            }
            Err(error) => format!("{} {error}", entry.id()),
        },
        Payload::Command(bytes) => format!("{} {}", entry.id(), String::from_utf8_lossy(bytes)),
    }
}
