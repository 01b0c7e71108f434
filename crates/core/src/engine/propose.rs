//! Taking new commands into the log. Only a leader does; forwarding is the host's.

use alloc::vec::Vec;
use core::mem;

use bytes::Bytes;

use super::{Engine, Role};
use crate::{Action, Entries, Entry, EntryId, Payload, ProposalId, Refusal, Request};

impl Engine {
    pub(super) fn on_propose(&mut self, proposal: ProposalId, commands: Vec<Bytes>) {
        if let Some(reason) = self.refuse_proposal(&commands) {
            let request = Request::Proposal(proposal);
            return self.outbox.notify(Action::Refused { request, reason });
        }
        // Of a batch without commands nothing is appended that could be named.
        let first = if commands.is_empty() {
            EntryId::NONE
        } else {
            EntryId::new(self.log.last().index.next(), self.hard.term)
        };
        self.append_own(commands.into_iter().map(Payload::Command));
        self.outbox.proposed(proposal, first);
    }

    fn refuse_proposal(&self, commands: &[Bytes]) -> Option<Refusal> {
        let Role::Leader(leadership) = &self.role else {
            return Some(Refusal::NotLeader {
                leader: self.leader,
            });
        };
        let limit_bytes = self.config.max_entry_bytes;
        if commands
            .iter()
            .any(|command| command.len() as u64 > limit_bytes)
        {
            return Some(Refusal::TooLarge { limit_bytes });
        }
        // Whoever takes over has to hold everything (scenario F03), and a leader that removes
        // itself must not be asked to vouch for what comes behind (scenario C10).
        let is_voter = self.memberships.latest().is_voter(self.config.id);
        if leadership.transfer.is_some() || !is_voter {
            return Some(Refusal::HandingOver);
        }
        let size = |command: &Bytes| command.len() as u64 + Entry::OVERHEAD_BYTES;
        if !self.room.holds_proposals(commands.iter().map(size).sum()) {
            return Some(Refusal::NoRoom);
        }
        // A leader that cannot commit must not hoard its users' commands (scenario B21).
        let is_full = leadership.uncommitted.bytes() >= self.config.max_uncommitted_bytes;
        is_full.then_some(Refusal::Overloaded)
    }

    /// Appends entries of this leader's term behind its log, as one shared batch, and sends them
    /// to whoever waits for them. They leave while they are written here [Thesis 10.2.1].
    pub(super) fn append_own(&mut self, payloads: impl IntoIterator<Item = Payload>) {
        debug_assert!(self.is_leader(), "only a leader has entries of its own");
        let term = self.hard.term;
        let mut index = self.log.last().index;
        let mut entries: Entries = payloads
            .into_iter()
            .map(|payload| {
                index = index.next();
                Entry {
                    index,
                    term,
                    payload,
                }
            })
            .collect();
        let Some(write) = self.take_into_log(&entries) else {
            return;
        };
        if let Role::Leader(leadership) = &mut self.role {
            leadership.uncommitted.push(index, entries.size_bytes());
        }
        self.replicate_to_all();
        self.outbox.append(write, || mem::take(&mut entries));
    }
}
