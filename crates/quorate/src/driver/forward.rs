//! Proposals that a follower passes on to the leader. The leader answers where it appended them;
//! what became of them the follower sees when it applies its own log. A batch is passed on once:
//! a node that does not lead refuses it (scenario H12). It is for one life of the leader: a refusal
//! says that the batch was not appended, and a later life cannot say that of an earlier copy.

use bytes::Bytes;
use quorate_core::{EntryId, Event, Incarnation, Message, NodeId, Refusal};

use super::lives::{Heard, LeaderLife};
use super::{Driver, Output};
use crate::{ForwardOutcome, PeerMessage, ProposeError};

/// Who asked for a batch of proposals.
#[derive(Debug)]
pub(super) enum Asker<W> {
    /// Users of this node.
    Users(Vec<W>),
    /// Another node, on behalf of its users.
    Peer {
        node: NodeId,
        request: u64,
        life: Incarnation,
        count: usize,
    },
}

impl<W, R> Driver<W, R> {
    /// Gives the engine a message, and learns from it which life the leader has.
    pub(super) fn on_raft(&mut self, message: Message) {
        let heard = Heard::from(&message);
        self.step(Event::Receive(message));
        let is_of_leader = self.leadership.leader == Some(heard.from);
        if is_of_leader && self.leader_life.hear(heard, self.leadership.term) {
            self.forsake_leader();
        }
    }

    /// The leader's life is over: who waits for it waits in vain (scenario H01).
    fn forsake_leader(&mut self) {
        self.leader_life = LeaderLife::Over;
        let waiters = self.waiters.drain_proposals();
        self.fail_proposals(waiters, &ProposeError::Unknown);
    }

    /// Passes users' proposals on to the leader.
    pub(super) fn forward(&mut self, commands: Vec<Bytes>, waiters: Vec<W>) {
        let leader = self.leadership.leader.filter(|_| self.engine.is_some());
        let (Some(to), LeaderLife::Heard(leader)) = (leader, self.leader_life) else {
            self.fail_proposals(waiters, &ProposeError::NotLeader { leader: None });
            return;
        };
        let (request, asker) = (self.next_forward, self.config.life);
        self.next_forward += 1;
        self.counters.forwarded_commands += commands.len() as u64;
        let sizes = commands.iter().map(|command| command.len() as u64);
        let sizes = sizes.collect();
        self.waiters.forward(request, waiters, sizes, self.now);
        let message = PeerMessage::Forward {
            request,
            asker,
            leader,
            commands,
        };
        self.outputs.push(Output::Send { to, message });
    }

    /// Another node passes its users' proposals on to this life of ours.
    pub(super) fn on_forward(
        &mut self,
        node: NodeId,
        request: u64,
        life: Incarnation,
        commands: Vec<Bytes>,
    ) {
        // A transport may repeat itself. The first copy was answered, and after a refusal its user
        // may have tried again: a later copy must not be appended beside that.
        if !self.last_forwards.is_new(node, life, request) {
            return;
        }
        let count = commands.len();
        self.propose(
            commands,
            Asker::Peer {
                node,
                request,
                life,
                count,
            },
        );
    }

    /// The leader has answered.
    pub(super) fn on_forward_reply(&mut self, request: u64, outcome: ForwardOutcome) {
        // Its limit is lower than ours. It takes a batch or leaves it, but not all are to blame.
        if let ForwardOutcome::Refused(Refusal::TooLarge { limit_bytes }) = outcome {
            let (larger, others) = self.waiters.answered_by_size(request, limit_bytes);
            let leader = self.leadership.leader;
            self.fail_proposals(larger, &ProposeError::TooLarge { limit_bytes });
            return self.fail_proposals(others, &ProposeError::NotLeader { leader });
        }
        let Some(waiters) = self.waiters.answered(request) else {
            return;
        };
        match outcome {
            ForwardOutcome::Appended(first) if first.index > self.handed => {
                self.await_apply(first, waiters);
            }
            // The entries came before the answer, by another connection, and are being applied:
            // their responses are gone.
            ForwardOutcome::Appended(_) => self.fail_proposals(waiters, &ProposeError::Unknown),
            ForwardOutcome::Refused(refusal) => {
                self.fail_proposals(waiters, &ProposeError::from(refusal));
            }
            ForwardOutcome::OtherLife => {
                self.fail_proposals(waiters, &ProposeError::Unknown);
                self.forsake_leader();
            }
        }
    }

    /// The batch that the engine looked at was appended.
    pub(super) fn accept_asker(&mut self, first: EntryId) {
        match self.asker.take() {
            Some(Asker::Users(waiters)) => {
                self.counters.appended_commands += waiters.len() as u64;
                self.await_apply(first, waiters);
            }
            Some(Asker::Peer {
                node,
                request,
                life,
                count,
            }) => {
                self.counters.appended_commands += count as u64;
                self.reply_forward(node, request, life, ForwardOutcome::Appended(first));
            }
            None => {}
        }
    }

    /// A batch was not appended.
    pub(super) fn refuse_asker(&mut self, asker: Asker<W>, refusal: Refusal) {
        match asker {
            Asker::Users(waiters) => self.fail_proposals(waiters, &ProposeError::from(refusal)),
            Asker::Peer {
                node,
                request,
                life,
                count: _,
            } => {
                self.reply_forward(node, request, life, ForwardOutcome::Refused(refusal));
            }
        }
    }

    /// Batches that the leader does not answer: they, or the answer, were lost on the way.
    pub(super) fn expire_forwards(&mut self) {
        let patience = self.forward_patience();
        while let Some((request, sent_at)) = self.waiters.oldest_forward()
            && sent_at.after(patience) <= self.now
        {
            let waiters = self.waiters.answered(request).unwrap_or_default();
            self.fail_proposals(waiters, &ProposeError::Unknown);
        }
    }

    fn await_apply(&mut self, first: EntryId, waiters: Vec<W>) {
        // Neither entry is committed yet: a third leader may bring back the one that was replaced.
        let replaced = self.waiters.append(first, waiters);
        self.fail_proposals(replaced, &ProposeError::Unknown);
    }

    pub(super) fn reply_forward(
        &mut self,
        to: NodeId,
        request: u64,
        asker: Incarnation,
        outcome: ForwardOutcome,
    ) {
        let message = PeerMessage::ForwardReply {
            request,
            asker,
            outcome,
        };
        self.outputs.push(Output::Send { to, message });
    }
}

/// Takes commands up to `limit_bytes`, but at least one.
pub(super) fn take_part(
    commands: &mut std::iter::Peekable<impl Iterator<Item = Bytes>>,
    limit_bytes: u64,
) -> Vec<Bytes> {
    let mut part = Vec::new();
    let mut bytes = 0;
    while let Some(command) =
        commands.next_if(|next| part.is_empty() || bytes + next.len() as u64 <= limit_bytes)
    {
        bytes += command.len() as u64;
        part.push(command);
    }
    part
}
