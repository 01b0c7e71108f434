//! An engine without a protocol, for the pump: the first of three leads for ever, everything
//! arrives, and nothing is checked. It keeps the contract of `step` and the state that no engine
//! of that contract can do without, and nothing else, so that what it needs for an entry is what
//! the contract, the messages and the pump cost: a floor, on whatever machine it is measured. It is
//! lean by construction; that nothing leaner is possible was not shown.
//!
//! It takes only what the pump gives it while nothing is held back: one batch at a time.

use std::collections::VecDeque;
use std::iter;
use std::mem;

use bytes::Bytes;
use quorate_core::{
    Action, AppendOutcome, Body, Entries, Entry, EntryId, Event, Incarnation, LogIndex, Message,
    NodeId, Payload, ProposalId, Round, Term, WriteId,
};

use crate::pump::{Cluster, Pumped};

/// So little that it stays in the cache.
const WINDOW_BYTES: u64 = 64 * 1024;
const TERM: Term = Term::new(1);
const ROUND: Round = Round::new(1);

struct Peer {
    id: NodeId,
    life: Incarnation,
    matched: LogIndex,
    told: LogIndex,
}

/// What is left of a node.
pub(crate) struct Bare {
    id: NodeId,
    life: Incarnation,
    /// Only the leader has any.
    peers: Vec<Peer>,
    log: VecDeque<Entries>,
    bytes: u64,
    pending: VecDeque<(WriteId, LogIndex)>,
    issued: WriteId,
    last: LogIndex,
    durable: LogIndex,
    commit: LogIndex,
    handed: LogIndex,
    applied: LogIndex,
    actions: Vec<Action>,
    spare: Vec<Action>,
}

/// Three of them.
pub(crate) fn cluster() -> Cluster<Bare> {
    let ids: Vec<NodeId> = (1..=3).filter_map(NodeId::new).collect();
    let life_of = |id: NodeId| Incarnation::new(id.get());
    let peer = |&id: &NodeId| Peer {
        id,
        life: life_of(id),
        matched: LogIndex::NONE,
        told: LogIndex::NONE,
    };
    let followers = ids.get(1..).unwrap_or_default();
    let node = |&id: &NodeId| Bare {
        id,
        life: life_of(id),
        peers: match id.get() {
            1 => followers.iter().map(peer).collect(),
            _ => Vec::new(),
        },
        log: VecDeque::new(),
        bytes: 0,
        pending: VecDeque::new(),
        issued: WriteId::NONE,
        last: LogIndex::NONE,
        durable: LogIndex::NONE,
        commit: LogIndex::NONE,
        handed: LogIndex::NONE,
        applied: LogIndex::NONE,
        actions: Vec::new(),
        spare: Vec::new(),
    };
    Cluster::led_by_first(ids.iter().map(node).collect())
}

impl Pumped for Bare {
    #[inline(never)]
    fn step(&mut self, event: Event) -> Vec<Action> {
        match event {
            Event::Propose { proposal, commands } => self.propose(proposal, commands),
            Event::Receive(message) => self.receive(message),
            Event::Persisted(write) => self.persisted(write),
            Event::Applied(index) => self.applied = index,
            Event::Tick { .. }
            | Event::Read { .. }
            | Event::StorageFailed
            | Event::Loaded { .. }
            | Event::ChangeMembership { .. }
            | Event::TransferLeadership { .. }
            | Event::SnapshotTaken(_)
            | Event::SnapshotFailed
            | Event::SnapshotProgress { .. }
            | Event::SnapshotReceived { .. }
            | Event::SnapshotLost { .. }
            | Event::Room { .. } => unreachable!("the pump gives no such event"),
        }
        if self.actions.is_empty() {
            return Vec::new();
        }
        let next = mem::take(&mut self.spare);
        mem::replace(&mut self.actions, next)
    }

    #[inline(always)]
    fn recycle(&mut self, mut actions: Vec<Action>) {
        actions.clear();
        if self.actions.capacity() == 0 {
            self.actions = actions;
        } else {
            self.spare = actions;
        }
    }
}

impl Bare {
    #[inline(always)]
    fn put(&mut self, action: impl FnOnce() -> Action) {
        self.actions.extend(iter::once_with(action));
    }

    /// Takes entries into the log, to be written.
    fn take(&mut self, entries: &Entries) -> WriteId {
        self.last = entries.last().map_or(self.last, |last| last.index);
        self.bytes += entries.size_bytes();
        self.log.extend(iter::once_with(|| entries.clone()));
        while self.bytes > WINDOW_BYTES
            && let Some(oldest) = self.log.pop_front()
        {
            self.bytes -= oldest.size_bytes();
        }
        self.issued = self.issued.next();
        self.pending.push_back((self.issued, self.last));
        self.issued
    }

    fn propose(&mut self, proposal: ProposalId, commands: Vec<Bytes>) {
        let prev = EntryId::new(self.last, TERM);
        let mut index = self.last;
        let entry = |command| {
            index = index.next();
            Entry {
                index,
                term: TERM,
                payload: Payload::Command(command),
            }
        };
        let entries: Entries = commands.into_iter().map(entry).collect();
        let write = self.take(&entries);
        for position in 0..self.peers.len() {
            self.send_append(position, prev, || entries.clone());
        }
        self.put(|| Action::AppendEntries { write, entries });
        let first = EntryId::new(prev.index.next(), TERM);
        self.put(|| Action::Proposed { proposal, first });
    }

    #[inline(always)]
    fn send_append(&mut self, position: usize, prev: EntryId, entries: impl FnOnce() -> Entries) {
        let (from, sender, commit, last) = (self.id, self.life, self.commit, self.last);
        let Some(peer) = self.peers.get(position) else {
            return;
        };
        let (to, receiver) = (peer.id, peer.life);
        self.put(|| Action::Send {
            needs: WriteId::NONE,
            message: Message {
                from,
                to,
                term: TERM,
                sender,
                receiver,
                body: Body::Append {
                    prev,
                    entries: entries(),
                    commit,
                    round: ROUND,
                    last,
                },
            },
        });
    }

    #[inline(always)]
    fn receive(&mut self, message: Message) {
        match message.body {
            Body::Append {
                entries, commit, ..
            } => {
                self.commit = commit;
                if let Some(last) = entries.last().map(|last| last.index) {
                    let needs = self.take(&entries);
                    self.put(|| Action::AppendEntries {
                        write: needs,
                        entries,
                    });
                    self.answer((message.from, message.sender), needs, last);
                }
                self.hand_over();
            }
            Body::AppendReply {
                outcome: AppendOutcome::Matched(index),
                ..
            } => self.matched(message.from, index),
            Body::AppendReply { .. }
            | Body::PreVote { .. }
            | Body::PreVoteReply { .. }
            | Body::Vote { .. }
            | Body::VoteReply { .. }
            | Body::SnapshotOffer { .. }
            | Body::SnapshotReply { .. }
            | Body::TimeoutNow { .. }
            | Body::Removed { .. }
            | Body::ReadIndex { .. }
            | Body::ReadIndexReply { .. } => unreachable!("no such message is sent"),
        }
    }

    #[inline(always)]
    fn answer(&mut self, (to, receiver): (NodeId, Incarnation), needs: WriteId, last: LogIndex) {
        let (from, sender) = (self.id, self.life);
        self.put(|| Action::Send {
            needs,
            message: Message {
                from,
                to,
                term: TERM,
                sender,
                receiver,
                body: Body::AppendReply {
                    asked: TERM,
                    round: ROUND,
                    outcome: AppendOutcome::Matched(last),
                    suspect: false,
                },
            },
        });
    }

    /// Commits what two of the three hold, and tells the followers.
    fn matched(&mut self, from: NodeId, index: LogIndex) {
        let mut ends = [self.durable; 3];
        for (peer, end) in self.peers.iter_mut().zip(&mut ends) {
            if peer.id == from {
                peer.matched = index;
            }
            *end = peer.matched;
        }
        ends.sort_unstable();
        let [_, reached, _] = ends;
        self.commit = self.commit.max(reached);
        for position in 0..self.peers.len() {
            let commit = self.commit;
            if let Some(peer) = self.peers.get_mut(position)
                && peer.told < commit
                && peer.matched >= commit
            {
                peer.told = commit;
                let prev = EntryId::new(peer.matched, TERM);
                self.send_append(position, prev, Entries::empty);
            }
        }
        self.hand_over();
    }

    fn persisted(&mut self, write: WriteId) {
        while let Some((_, end)) = self.pending.pop_front_if(|(pending, _)| *pending <= write) {
            self.durable = end;
        }
        self.hand_over();
    }

    /// Has the newest batch applied, once it is committed and durable here.
    fn hand_over(&mut self) {
        let end = self.commit.min(self.durable);
        if self.handed < end
            && let Some(newest) = self.log.back()
        {
            self.handed = end;
            let actions = &mut self.actions;
            actions.extend(iter::once_with(|| Action::Apply {
                entries: newest.clone(),
            }));
        }
    }
}
