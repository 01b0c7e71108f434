//! The order that every step promises, as a host relies on it: places of effects, rising write
//! ids, and `needs` that cover the term a message carries. What a message claims of the log is
//! checked against the disk when it leaves, in `safety.rs`.

use quorate_core::{Action, Body, WriteId};

/// What must be remembered from step to step of one life.
#[derive(Debug, Default)]
pub(crate) struct Contract {
    newest_write: WriteId,
    newest_save: WriteId,
}

impl Contract {
    /// Checks the actions of one step. `synced` is what was durable before it.
    ///
    /// # Panics
    /// Says which promise the step breaks.
    pub(crate) fn check(&mut self, actions: &[Action], synced: WriteId) {
        let saves = actions
            .iter()
            .any(|action| matches!(action, Action::SaveHardState { .. }));
        let mut reached = 0;
        for action in actions {
            let place = place(action, saves);
            assert!(
                place >= reached,
                "{action:?} stands behind an effect of place {reached}: {actions:#?}"
            );
            reached = place;
            match action {
                Action::SaveHardState { write, .. } => {
                    self.issue(*write);
                    self.newest_save = *write;
                }
                Action::InstallSnapshot { write, .. } => self.issue(*write),
                Action::AppendEntries { write, entries } => {
                    self.issue(*write);
                    assert!(!entries.is_empty(), "an empty append is not worth a write");
                    assert!(entries.is_well_formed(), "a log has no gaps: {entries:?}");
                }
                Action::Send { needs, .. } => {
                    assert!(
                        *needs <= self.newest_write,
                        "{action:?} waits for no write known"
                    );
                    let unsaved = self.newest_save > synced;
                    assert!(
                        !unsaved || *needs >= self.newest_save,
                        "{action:?} reveals a term that save {} makes durable",
                        self.newest_save
                    );
                }
                Action::Apply { entries } => {
                    assert!(!entries.is_empty(), "an empty apply tells nothing");
                }
                Action::LoadEntries { .. }
                | Action::RestoreSnapshot { .. }
                | Action::PurgeLog { .. }
                | Action::SnapshotDue
                | Action::ReceiveSnapshot { .. }
                | Action::DropSnapshot { .. }
                | Action::MembershipAppended { .. }
                | Action::MembershipChanged { .. }
                | Action::Removed { .. }
                | Action::HandedOver { .. }
                | Action::Proposed { .. }
                | Action::ReadReady { .. }
                | Action::Refused { .. }
                | Action::RoleChanged { .. } => {}
                Action::Fatal(_) => {
                    assert_eq!(actions.len(), 1, "a violation lets nothing else happen");
                }
            }
        }
    }

    fn issue(&mut self, write: WriteId) {
        assert_eq!(write, self.newest_write.next(), "write ids are consecutive");
        self.newest_write = write;
    }
}

/// The place of an effect in a step; `saves` where the step changes term or vote.
fn place(action: &Action, saves: bool) -> u8 {
    match action {
        Action::Send { message, .. } => match message.body {
            Body::PreVote { .. }
            | Body::PreVoteReply { .. }
            | Body::Append { .. }
            | Body::SnapshotOffer { .. }
            | Body::TimeoutNow { .. }
            | Body::Removed { .. }
            | Body::ReadIndex { .. }
            | Body::ReadIndexReply { .. } => 2 * u8::from(saves),
            Body::Vote { .. }
            | Body::VoteReply { .. }
            | Body::AppendReply { .. }
            | Body::SnapshotReply { .. } => 2,
        },
        Action::LoadEntries { .. } => 0,
        Action::SaveHardState { .. }
        | Action::AppendEntries { .. }
        | Action::InstallSnapshot { .. } => 1,
        Action::RestoreSnapshot { .. } | Action::PurgeLog { .. } | Action::Apply { .. } => 3,
        Action::SnapshotDue
        | Action::ReceiveSnapshot { .. }
        | Action::DropSnapshot { .. }
        | Action::MembershipAppended { .. }
        | Action::MembershipChanged { .. }
        | Action::Removed { .. }
        | Action::HandedOver { .. }
        | Action::Proposed { .. }
        | Action::ReadReady { .. }
        | Action::Refused { .. }
        | Action::RoleChanged { .. }
        | Action::Fatal(_) => 4,
    }
}
