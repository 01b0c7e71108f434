//! The safety properties of Raft, checked over the whole history of a world, crashes included.
//! Each check names the property; a panic here is a broken engine, not a broken test.

use std::collections::BTreeMap;

use quorate_core::{
    Action, AppendOutcome, Body, Entry, EntryId, Incarnation, LogIndex, Message, NodeId, ReadId,
    RoleName, SnapshotOutcome, Term,
};

use super::disk::{Snapshot, entry_at, overwrite};
use super::node::Node;

/// What must be remembered of a history to judge what comes.
#[derive(Debug, Default)]
pub(crate) struct Safety {
    leaders: BTreeMap<Term, NodeId>,
    votes: BTreeMap<(NodeId, Term), NodeId>,
    /// The one sequence of committed entries.
    committed: Vec<Entry>,
    /// Of each, the term of the node that knew of its commit first: that of the leader which
    /// committed it.
    committed_in: Vec<Term>,
    /// Reads that wait, with what was committed when they were asked.
    reads: BTreeMap<(NodeId, Incarnation, ReadId), LogIndex>,
}

impl Safety {
    /// How far any node ever knew entries to be committed.
    pub(crate) fn committed(&self) -> &[Entry] {
        &self.committed
    }

    /// A message leaves `node`: what it says of stable storage is true [Raft 5.2] (A01, B15).
    pub(crate) fn on_leave(&mut self, node: &Node, message: &Message) {
        let saved = node.disk.hard_state();
        assert!(
            saved.term >= message.term,
            "{message:?} reveals a term that is not durable"
        );
        match message.body {
            Body::Vote { .. } => self.vote(node.id, message.term, node.id),
            Body::VoteReply {
                campaign,
                granted: true,
            } => {
                assert!(
                    saved.term > campaign || saved.vote == Some(message.to),
                    "{message:?} grants a vote that is not durable (A01)"
                );
                self.vote(node.id, campaign, message.to);
            }
            Body::AppendReply {
                outcome: AppendOutcome::Matched(index),
                ..
            } => assert!(
                node.disk.log().len() as u64 >= index.get(),
                "{message:?} acknowledges what is not durable (B15)"
            ),
            Body::SnapshotReply {
                last,
                outcome: SnapshotOutcome::Installed,
                ..
            } => assert!(
                node.disk.holds(last),
                "{message:?} acknowledges a snapshot that is not durable (D16)"
            ),
            Body::PreVote { .. }
            | Body::PreVoteReply { .. }
            | Body::VoteReply { granted: false, .. }
            | Body::Append { .. }
            | Body::AppendReply {
                outcome: AppendOutcome::Conflict { .. },
                ..
            }
            | Body::SnapshotOffer { .. }
            | Body::SnapshotReply { .. }
            | Body::TimeoutNow { .. }
            | Body::Removed { .. }
            | Body::ReadIndex { .. }
            | Body::ReadIndexReply { .. } => {}
        }
    }

    fn vote(&mut self, voter: NodeId, term: Term, candidate: NodeId) {
        let first = *self.votes.entry((voter, term)).or_insert(candidate);
        assert_eq!(first, candidate, "{voter} voted twice in {term} (A03)");
    }

    /// A node says that it leads: nobody else led its term, its vote is durable, and it holds
    /// everything that was committed in earlier terms [Raft 5.2] [Raft 5.4]. Its votes may have
    /// come so late that a newer leader has committed more.
    pub(crate) fn on_leader(&mut self, node: &Node, term: Term) {
        let first = *self.leaders.entry(term).or_insert(node.id);
        assert_eq!(first, node.id, "two leaders in {term} (election safety)");
        let saved = node.disk.hard_state();
        assert_eq!(
            (saved.term, saved.vote),
            (term, Some(node.id)),
            "{} leads with a vote that is not durable (A02)",
            node.id
        );
        let log = node.disk.log_as_written();
        let earlier = self.committed_in.partition_point(|&known| known < term);
        for entry in self.committed.iter().take(earlier) {
            assert_eq!(
                entry_at(&log, entry.index),
                Some(entry),
                "{} leads {term} without a committed entry (leader completeness)",
                node.id
            );
        }
    }

    /// A leader never replaces an entry of its own [Raft 5.3].
    pub(crate) fn on_append(node: &Node, first: EntryId) {
        let status = node.engine().status();
        let end = node.disk.log_as_written().len() as u64;
        assert!(
            status.role != RoleName::Leader || first.index.get() == end + 1,
            "{} replaces {first} while it leads (leader append-only)",
            node.id
        );
    }

    /// Entries go to the state machine of `node`: the next ones of the one sequence, and durable.
    pub(crate) fn on_apply(&self, node: &Node, entries: &[Entry]) {
        let mut next = node.applied_index().next();
        for entry in entries {
            assert_eq!(entry.index, next, "every index is applied once, in order");
            assert_eq!(
                entry_at(&self.committed, entry.index),
                Some(entry),
                "{} applies what is not committed (state-machine safety)",
                node.id
            );
            assert!(
                node.disk.holds(entry.id()),
                "{} applies {} before it is durable there",
                node.id,
                entry.id()
            );
            next = next.next();
        }
    }

    /// The state machine of `node` is replaced by a snapshot: it holds exactly what is committed
    /// up to its label (scenarios D01, D19).
    pub(crate) fn on_restore(&self, node: &Node, snapshot: &Snapshot) {
        let count = snapshot.content.len();
        assert_eq!(
            self.committed.get(..count),
            Some(snapshot.content.as_slice()),
            "{} restores what was not committed",
            node.id
        );
        assert!(
            node.applied.len() < count,
            "{} goes back to an older state",
            node.id
        );
    }

    /// The node at `position` asks for `actions`: term and commit index only rise, commits agree
    /// with every other, and what a leader commits is durable on a majority [Raft 5.4.2].
    pub(crate) fn on_step(&mut self, nodes: &mut [Node], position: usize, actions: &[Action]) {
        let node = &nodes[position];
        let status = node.engine().status();
        let (term, commit) = node.seen;
        assert!(status.term >= term, "the term of {} falls", node.id);
        assert!(
            status.commit >= commit,
            "the commit index of {} falls",
            node.id
        );
        if status.commit > commit {
            let mut log = node.disk.log_as_written();
            for action in actions {
                if let Action::AppendEntries { entries, .. } = action {
                    overwrite(&mut log, entries);
                }
                if let Action::InstallSnapshot { snapshot, .. } = action {
                    let received = node.disk.received.as_ref().expect("it was received");
                    assert_eq!(
                        received.meta, *snapshot,
                        "only what was received is installed"
                    );
                    log.clone_from(&received.content);
                }
            }
            self.commit(node, &log, commit, status.commit);
            if status.role == RoleName::Leader {
                let id = entry_at(&log, status.commit).unwrap().id();
                // The step may also have appended a membership that did not decide yet.
                let appended = actions.iter().find_map(|action| {
                    let Action::AppendEntries { entries, .. } = action else {
                        return None;
                    };
                    entries.first()
                });
                let before = appended.map_or(status.last, |first| first.index.prev());
                let (_, before) = node.engine().membership_at(before);
                let is_on_majority_of = |voters: &[NodeId]| {
                    let holds = |peer: &&Node| voters.contains(&peer.id) && peer.disk.holds(id);
                    nodes.iter().filter(holds).count() * 2 > voters.len()
                };
                assert!(
                    is_on_majority_of(status.membership.voters())
                        || is_on_majority_of(before.voters()),
                    "{} commits {id}, not durable on a majority of {:?} (B15, C07)",
                    status.id,
                    status.membership.voters()
                );
            }
        }
        nodes[position].seen = (status.term, status.commit);
    }

    fn commit(&mut self, node: &Node, log: &[Entry], before: LogIndex, now: LogIndex) {
        let mut index = before.next();
        while index <= now {
            let entry = entry_at(log, index).expect("committed entries are in the log");
            match entry_at(&self.committed, index) {
                Some(known) => assert_eq!(
                    known, entry,
                    "{} commits another entry at {index} (B01, B02)",
                    node.id
                ),
                None => {
                    self.committed.push(entry.clone());
                    self.committed_in.push(node.engine().status().term);
                }
            }
            index = index.next();
        }
    }

    /// A user asks for a read: it must see everything committed by now, anywhere.
    pub(crate) fn on_read(&mut self, node: &Node, read: ReadId) {
        let bound = LogIndex::new(self.committed.len() as u64);
        self.reads.insert((node.id, node.life, read), bound);
    }

    /// A read ends: with an index (nothing committed before it was asked is missed, and all of it
    /// is applied) or with a refusal. Exactly once (scenario E14).
    pub(crate) fn on_read_end(&mut self, node: &Node, read: ReadId, index: Option<LogIndex>) {
        let bound = self.reads.remove(&(node.id, node.life, read));
        let bound = bound.unwrap_or_else(|| panic!("{read} of {} ended twice", node.id));
        if let Some(index) = index {
            assert!(
                index >= bound,
                "{read} of {} at {index} misses what was committed up to {bound} (E01, E02)",
                node.id
            );
            assert!(
                node.applied_index() >= index,
                "{read} runs before its apply (E15)"
            );
        }
    }

    /// How many reads of running nodes wait.
    pub(crate) fn waiting_reads(&self) -> usize {
        self.reads.len()
    }

    /// The reads of a life that ended end with it.
    pub(crate) fn on_crash(&mut self, node: &Node) {
        self.reads
            .retain(|&(id, life, _), _| (id, life) != (node.id, node.life));
    }

    /// Entries of one index and term are equal everywhere, and so is all before [Raft 5.3].
    pub(crate) fn check_log_matching(nodes: &[Node]) {
        let logs: Vec<Vec<Entry>> = nodes
            .iter()
            .map(|node| node.disk.log_as_written())
            .collect();
        for (position, one) in logs.iter().enumerate() {
            for other in logs.iter().skip(position + 1) {
                let pairs = one.iter().zip(other);
                let agreed = pairs.clone().filter(|(a, b)| a.id() == b.id()).count();
                let prefix = pairs.take_while(|(a, b)| a == b).count();
                assert_eq!(
                    agreed, prefix,
                    "logs part and meet again:\n{one:?}\n{other:?}"
                );
            }
        }
    }
}
