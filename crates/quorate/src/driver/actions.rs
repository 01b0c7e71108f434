//! What the driver makes of each of the engine's actions, and how waiters are told.

use quorate_core::{
    Action, Engine, Entries, Event, LogIndex, Membership, Message, Refusal, Request, RoleName,
};
use quorate_log::Write;
use tracing::warn;

use super::lives::LeaderLife;
use super::{Driver, Leadership, Output, StopCause};
use crate::{PeerMessage, ProposeError, ReadError};

impl<W, R> Driver<W, R> {
    pub(super) fn perform(&mut self, action: Action) {
        match action {
            Action::Send { needs, message } => {
                if let Some(message) = self.storage.hold(needs, message) {
                    self.send_raft(message);
                }
            }
            Action::LoadEntries {
                load,
                from,
                to,
                limit_bytes,
                purpose: _,
            } => {
                self.outputs.push(Output::Load {
                    load,
                    from,
                    to,
                    limit_bytes,
                });
            }
            Action::SaveHardState { write, state } => {
                self.storage.push(write, Write::HardState(state));
            }
            Action::AppendEntries { write, entries } => {
                self.storage.push(write, Write::Append(entries));
            }
            Action::Apply { entries } => self.apply(entries),
            Action::Proposed { proposal: _, first } => self.accept_asker(first),
            Action::ReadReady { read, index: _ } => {
                for read in self.waiters.read_decided(read) {
                    self.outputs.push(Output::Read(read));
                }
            }
            Action::Refused { request, reason } => self.on_refused(request, reason),
            Action::RoleChanged { role, term, leader } => {
                let ready = self.leadership.ready && role == RoleName::Leader;
                self.on_role_changed(Leadership {
                    role,
                    term,
                    leader,
                    ready,
                });
            }
            Action::MembershipAppended { change, entry } => self.on_change_appended(change, entry),
            Action::MembershipChanged { index, membership } => {
                self.on_membership_changed(index, membership);
            }
            Action::Removed { index } => self.log_removal(index),
            Action::HandedOver { transfer, target } => self.on_handed_over(transfer, target),
            // State machines cannot be captured yet, so none of these can be had: neither our
            // own, nor a leader's, which would have to be sent by somebody who can. A node that
            // lacks what was purged waits for one that knows how.
            Action::SnapshotDue => self.declined.push(Event::SnapshotFailed),
            Action::ReceiveSnapshot { from: _, snapshot } => {
                let (last, checksum) = (snapshot.last, snapshot.checksum);
                self.declined.push(Event::SnapshotLost { last, checksum });
            }
            // These rest on a snapshot that was received or taken, and there is none.
            Action::InstallSnapshot { .. } => self.refuse_action("install a snapshot"),
            Action::RestoreSnapshot { .. } => self.refuse_action("restore a snapshot"),
            Action::PurgeLog { .. } => self.refuse_action("purge the log"),
            // Of what was declined nothing was kept.
            Action::DropSnapshot { .. } => {}
            Action::Fatal(violation) => self.stop(StopCause::Violation(violation)),
        }
    }

    fn refuse_action(&mut self, action: &'static str) {
        self.stop(StopCause::Unsupported { action });
    }

    /// New members are dialled at once: whoever adds them waits for them (scenario H14).
    fn on_membership_changed(&mut self, index: LogIndex, membership: Membership) {
        let peers = self.peers.follow((index, membership), self.handed);
        self.outputs.push(Output::Peers(peers));
    }

    fn log_removal(&self, index: LogIndex) {
        warn!(
            target: "quorate::node",
            node = self.config.engine.id.get(),
            index = index.get(),
            "this node was removed from its cluster. It does not vote or campaign any more. Stop \
             it; its data directory is not needed. To bring the machine back, add it under a \
             number that was never used, with an empty directory",
        );
    }

    pub(super) fn send_raft(&mut self, message: Message) {
        self.outputs.push(Output::Send {
            to: message.to,
            message: PeerMessage::Raft(message),
        });
    }

    fn apply(&mut self, entries: Entries) {
        let (waiters, replaced) = self.waiters.decide(&entries);
        self.fail_proposals(replaced, &ProposeError::Replaced);
        self.handed = entries.last().map_or(self.handed, |last| last.index);
        self.decide_changes(&entries);
        self.outputs.push(Output::Apply { entries, waiters });
        if let Some(peers) = self.peers.settle(self.handed) {
            self.outputs.push(Output::Peers(peers));
        }
    }

    fn on_refused(&mut self, request: Request, reason: Refusal) {
        match request {
            Request::Proposal(_) => {
                if let Some(asker) = self.asker.take() {
                    self.refuse_asker(asker, reason);
                }
            }
            Request::Read(read) => {
                for read in self.waiters.read_decided(read) {
                    self.fail_read(read, ReadError::from(reason));
                }
            }
            Request::Change(change) => self.on_change_refused(change, reason),
            Request::Transfer(transfer) => self.on_transfer_refused(transfer, reason),
        }
    }

    /// A proposal waits for the leader it was given to. When that leader is gone its outcome
    /// may stay open for long, so whoever waits is told that it is unknown (scenario H01).
    fn on_role_changed(&mut self, leadership: Leadership) {
        let same_leader =
            self.leadership.leader == leadership.leader && self.leadership.term == leadership.term;
        if self.leadership.role == RoleName::Leader && leadership.role != RoleName::Leader {
            self.log_end_of_leadership(leadership);
        }
        self.leadership = leadership;
        self.outputs.push(Output::Leadership(leadership));
        if !same_leader {
            let waiters = self.waiters.drain_proposals();
            self.fail_proposals(waiters, &ProposeError::Unknown);
            self.forsake_changes();
            self.leader_life = LeaderLife::Unheard;
        }
    }

    /// An operator who sees elections has to know what ended the leadership before.
    fn log_end_of_leadership(&mut self, next: Leadership) {
        let Some(now) = self.engine.as_ref().map(Engine::counters) else {
            return;
        };
        let cause = if now.quorum_losses > self.engine_counters.quorum_losses {
            "no majority answered"
        } else if now.storage_stalls > self.engine_counters.storage_stalls {
            "its own disk does not answer"
        } else if now.transfers > self.engine_counters.transfers {
            "leadership was handed over"
        } else {
            "another node has a newer term"
        };
        self.engine_counters = now;
        warn!(
            target: "quorate::node",
            node = self.config.engine.id.get(),
            term = next.term.get(),
            cause,
            "this node no longer leads",
        );
    }

    /// Tells when a leader has applied what it took over (scenario B23).
    pub(super) fn announce_leadership(&mut self) {
        if self.leadership.role == RoleName::Leader
            && !self.leadership.ready
            && self.engine.as_ref().is_some_and(Engine::is_ready)
        {
            self.leadership.ready = true;
            self.outputs.push(Output::Leadership(self.leadership));
        }
    }

    pub(super) fn stop(&mut self, cause: StopCause) {
        if !self.is_stopped {
            self.is_stopped = true;
            self.engine = None;
            self.outputs.push(Output::Stopped(cause));
        }
    }

    /// Everybody who waits is told that the node has stopped.
    pub(super) fn fail_everything(&mut self) {
        let mut waiters = self.waiters.drain_proposals();
        waiters.extend(
            std::mem::take(&mut self.proposals)
                .into_iter()
                .map(|(_, waiter)| waiter),
        );
        self.fail_proposals(waiters, &ProposeError::Stopped);
        let mut reads = self.waiters.drain_reads();
        reads.append(&mut self.reads);
        for read in reads {
            self.fail_read(read, ReadError::Stopped);
        }
        self.fail_admin();
    }

    pub(super) fn fail_proposals(&mut self, waiters: Vec<W>, error: &ProposeError) {
        for waiter in waiters {
            self.fail_proposal(waiter, error.clone());
        }
    }

    pub(super) fn fail_proposal(&mut self, waiter: W, error: ProposeError) {
        self.outputs.push(Output::ProposeFailed { waiter, error });
    }

    pub(super) fn fail_read(&mut self, read: R, error: ReadError) {
        self.outputs.push(Output::ReadFailed { read, error });
    }
}
