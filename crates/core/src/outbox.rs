//! The effects of a step, and the only code that orders them. Decisions say what they want done
//! and what it reveals; they cannot get the order wrong.

use alloc::vec::Vec;

use crate::{Action, Entries, EntryId, HardState, Message, SnapshotMeta, WriteId};

/// Collects effects during a step.
#[derive(Debug, Default)]
pub(crate) struct Outbox {
    /// Reveal nothing that is not saved.
    early: Vec<Message>,
    loads: Vec<Action>,
    hard_state: Option<(WriteId, HardState)>,
    appends: Vec<(WriteId, Entries)>,
    install: Option<Action>,
    /// Reveal durable state: each with the log write it claims.
    answers: Vec<(WriteId, Message)>,
    restore: Option<SnapshotMeta>,
    purge: Option<EntryId>,
    applies: Vec<Entries>,
    notices: Vec<Action>,
}

impl Outbox {
    /// Sends a message that reveals nothing unsaved: append, heartbeat, pre-vote, ReadIndex.
    pub(crate) fn send(&mut self, message: Message) {
        self.early.push(message);
    }

    /// Sends a message that claims what `needs` writes: a vote, an answer to an append.
    pub(crate) fn answer(&mut self, message: Message, needs: WriteId) {
        self.answers.push((needs, message));
    }

    /// Asks for entries from disk.
    pub(crate) fn load(&mut self, load: Action) {
        self.loads.push(load);
    }

    /// Saves the hard state. In one step the last word counts; the write keeps its place.
    ///
    /// Returns the place if there is one already.
    pub(crate) fn save(&mut self, state: HardState, place: impl FnOnce() -> WriteId) -> WriteId {
        debug_assert!(
            self.appends.is_empty(),
            "term and vote are settled before entries are"
        );
        let write = self.hard_state.map_or_else(place, |(write, _)| write);
        self.hard_state = Some((write, state));
        write
    }

    /// Writes entries to the log.
    pub(crate) fn append(&mut self, write: WriteId, entries: Entries) {
        self.appends.push((write, entries));
    }

    /// Installs a received snapshot.
    pub(crate) fn install(&mut self, write: WriteId, snapshot: SnapshotMeta, discard_log: bool) {
        debug_assert!(
            self.appends.is_empty() && self.install.is_none(),
            "a step installs one snapshot or appends"
        );
        self.install = Some(Action::InstallSnapshot {
            write,
            snapshot,
            discard_log,
        });
    }

    /// Replaces the state machine by a durable snapshot, before anything more is applied.
    pub(crate) fn restore(&mut self, snapshot: SnapshotMeta) {
        debug_assert!(self.applies.is_empty(), "entries follow the snapshot");
        self.restore = Some(snapshot);
    }

    /// Lets the host drop entries that a durable snapshot holds.
    pub(crate) const fn purge(&mut self, through: EntryId) {
        self.purge = Some(through);
    }

    /// Hands committed and durable entries to the state machine.
    pub(crate) fn apply(&mut self, entries: Entries) {
        self.applies.push(entries);
    }

    /// Tells whoever waits.
    pub(crate) fn notify(&mut self, notice: Action) {
        self.notices.push(notice);
    }

    /// Forgets everything: the engine has stopped, and nothing may be written any more.
    pub(crate) fn discard(&mut self) {
        *self = Self::default();
    }

    /// The actions of the step, in causal order. `unsaved` is the newest save of the hard state
    /// that is not durable, of this step or an earlier one: every message carries the term, so
    /// none may leave before it [Raft 5.1].
    pub(crate) fn seal(&mut self, unsaved: WriteId) -> Vec<Action> {
        let mut actions = Vec::with_capacity(self.len());
        let send = |(needs, message): (WriteId, Message)| Action::Send {
            needs: needs.max(unsaved),
            message,
        };
        let mut early = self
            .early
            .drain(..)
            .map(|message| (WriteId::NONE, message))
            .map(send);
        let hard_state_changed = self.hard_state.is_some();
        if !hard_state_changed {
            actions.extend(&mut early);
        }
        actions.append(&mut self.loads);
        let save = self.hard_state.take();
        actions.extend(save.map(|(write, state)| Action::SaveHardState { write, state }));
        let appends = self.appends.drain(..);
        actions.extend(appends.map(|(write, entries)| Action::AppendEntries { write, entries }));
        actions.extend(self.install.take());
        actions.extend(early);
        actions.extend(self.answers.drain(..).map(send));
        let restore = self.restore.take();
        actions.extend(restore.map(|snapshot| Action::RestoreSnapshot { snapshot }));
        let purge = self.purge.take();
        actions.extend(purge.map(|through| Action::PurgeLog { through }));
        actions.extend(
            self.applies
                .drain(..)
                .map(|entries| Action::Apply { entries }),
        );
        actions.append(&mut self.notices);
        actions
    }

    fn len(&self) -> usize {
        self.early.len()
            + self.loads.len()
            + usize::from(self.hard_state.is_some())
            + self.appends.len()
            + self.answers.len()
            + usize::from(self.install.is_some())
            + usize::from(self.restore.is_some())
            + usize::from(self.purge.is_some())
            + self.applies.len()
            + self.notices.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Body, EntryId, Incarnation, NodeId, Term};

    fn message() -> Message {
        Message {
            from: NodeId::new(1).unwrap(),
            to: NodeId::new(2).unwrap(),
            term: Term::new(1),
            sender: Incarnation::new(1),
            receiver: Incarnation::UNKNOWN,
            body: Body::Vote {
                last: EntryId::NONE,
                transfer: false,
            },
        }
    }

    fn places(actions: &[Action]) -> Vec<&'static str> {
        let place = |action: &Action| match action {
            Action::Send { .. } => "send",
            Action::SaveHardState { .. } => "save",
            Action::AppendEntries { .. } => "append",
            Action::InstallSnapshot { .. } => "install",
            Action::RestoreSnapshot { .. } => "restore",
            Action::PurgeLog { .. } => "purge",
            Action::SnapshotDue
            | Action::ReceiveSnapshot { .. }
            | Action::DropSnapshot { .. }
            | Action::MembershipAppended { .. }
            | Action::MembershipChanged { .. }
            | Action::Removed { .. }
            | Action::HandedOver { .. }
            | Action::LoadEntries { .. }
            | Action::Apply { .. }
            | Action::Proposed { .. }
            | Action::ReadReady { .. }
            | Action::Refused { .. }
            | Action::RoleChanged { .. }
            | Action::Fatal(_) => "other",
        };
        actions.iter().map(place).collect()
    }

    /// Scenario A01
    #[test]
    fn nothing_is_sent_before_a_changed_term_or_vote_is_saved() {
        let mut outbox = Outbox::default();
        outbox.send(message());
        outbox.answer(message(), WriteId::NONE);
        outbox.save(HardState::default(), || WriteId::new(4));
        outbox.append(WriteId::new(5), Entries::empty());
        let actions = outbox.seal(WriteId::new(4));
        assert_eq!(places(&actions), ["save", "append", "send", "send"]);
        for action in &actions {
            if let Action::Send { needs, .. } = action {
                assert_eq!(*needs, WriteId::new(4), "the message reveals the new term");
            }
        }
    }

    /// [Thesis 10.2.1]
    #[test]
    fn a_leader_sends_in_parallel_with_its_own_write() {
        let mut outbox = Outbox::default();
        outbox.append(WriteId::new(5), Entries::empty());
        outbox.send(message());
        let actions = outbox.seal(WriteId::NONE);
        assert_eq!(places(&actions), ["send", "append"]);
        assert!(matches!(
            actions[0],
            Action::Send {
                needs: WriteId::NONE,
                ..
            }
        ));
    }

    #[test]
    fn a_message_waits_for_a_save_of_an_earlier_step() {
        let mut outbox = Outbox::default();
        outbox.send(message());
        let actions = outbox.seal(WriteId::new(3));
        assert!(matches!(actions[..], [Action::Send { needs, .. }] if needs == WriteId::new(3)));
    }
}
