//! The effects of a step, and the only code that orders them. Decisions say what they want done
//! and what it reveals; they cannot get the order wrong.

use alloc::vec::Vec;
use core::{iter, mem};

use crate::{Action, Entries, EntryId, HardState, Message, ProposalId, SnapshotMeta, WriteId};

/// The places of a step's actions, in causal order. What reveals nothing unsaved comes first,
/// unless the step saves the hard state: then it comes before what claims durable state.
const EARLY: usize = 0;
const LOADS: usize = 1;
const WRITES: usize = 2;
const ANSWERS: usize = 3;
const RESTORES: usize = 4;
const APPLIES: usize = 5;
const NOTICES: usize = 6;

/// For how many actions a vector that is kept has room, at most.
const MOST_KEPT: usize = 1024;

/// Collects effects during a step, each where it will stand in the end: the vector that is handed
/// out is the one that they were put in.
///
/// What happens to every entry comes as a function that makes it there. A value would be made
/// somewhere else and moved at once, and a processor that reads in large pieces what was just
/// written in small ones has to wait for the cache. They are inlined wherever they are used: a
/// function that is called is given its values in memory, and they are moved after all.
#[derive(Debug, Default)]
pub(crate) struct Outbox {
    actions: Vec<Action>,
    /// The emptied vector of an earlier step, to be the next one's.
    spare: Vec<Action>,
    /// The last place that has an action; `EARLY` without any.
    highest: usize,
    /// How many actions there are in each place.
    counts: [u32; NOTICES + 1],
    hard_state: Option<(WriteId, HardState)>,
}

impl Outbox {
    /// Keeps a vector that was handed out, for its room; not one that a rare step made large.
    #[inline]
    pub(crate) fn recycle(&mut self, mut emptied: Vec<Action>) {
        emptied.clear();
        if emptied.capacity() > MOST_KEPT {
            return;
        }
        if self.actions.capacity() == 0 {
            self.actions = emptied;
        } else if self.spare.capacity() == 0 {
            self.spare = emptied;
        }
    }

    /// Sends a message that reveals nothing unsaved: append, heartbeat, pre-vote, ReadIndex.
    #[inline(always)]
    pub(crate) fn send(&mut self, message: impl FnOnce() -> Message) {
        self.put::<EARLY>(|| Action::Send {
            needs: WriteId::NONE,
            message: message(),
        });
    }

    /// Sends a message that claims what `needs` writes: a vote, an answer to an append.
    #[inline(always)]
    pub(crate) fn answer(&mut self, needs: WriteId, message: impl FnOnce() -> Message) {
        self.put::<ANSWERS>(|| Action::Send {
            needs,
            message: message(),
        });
    }

    /// Asks for entries from disk.
    pub(crate) fn load(&mut self, load: Action) {
        self.put::<LOADS>(|| load);
    }

    /// Saves the hard state. In one step the last word counts; the write keeps its place.
    ///
    /// Returns the place if there is one already.
    pub(crate) fn save(&mut self, state: HardState, place: impl FnOnce() -> WriteId) -> WriteId {
        debug_assert_eq!(
            self.end_of(LOADS),
            self.end_of(WRITES),
            "term and vote are settled before entries are"
        );
        let write = self.hard_state.map_or_else(place, |(write, _)| write);
        self.hard_state = Some((write, state));
        write
    }

    /// Writes entries to the log.
    #[inline(always)]
    pub(crate) fn append(&mut self, write: WriteId, entries: impl FnOnce() -> Entries) {
        self.put::<WRITES>(|| Action::AppendEntries {
            write,
            entries: entries(),
        });
    }

    /// Installs a received snapshot.
    pub(crate) fn install(&mut self, write: WriteId, snapshot: SnapshotMeta, discard_log: bool) {
        self.put::<WRITES>(|| Action::InstallSnapshot {
            write,
            snapshot,
            discard_log,
        });
    }

    /// Replaces the state machine by a durable snapshot, before anything more is applied.
    pub(crate) fn restore(&mut self, snapshot: SnapshotMeta) {
        self.put::<RESTORES>(|| Action::RestoreSnapshot { snapshot });
    }

    /// Lets the host drop entries that a durable snapshot holds.
    pub(crate) fn purge(&mut self, through: EntryId) {
        self.put::<RESTORES>(|| Action::PurgeLog { through });
    }

    /// Hands committed and durable entries to the state machine.
    #[inline(always)]
    pub(crate) fn apply(&mut self, entries: impl FnOnce() -> Entries) {
        self.put::<APPLIES>(|| Action::Apply { entries: entries() });
    }

    /// Tells whoever proposed where it stands.
    #[inline(always)]
    pub(crate) fn proposed(&mut self, proposal: ProposalId, first: EntryId) {
        self.put::<NOTICES>(|| Action::Proposed { proposal, first });
    }

    /// Tells whoever waits.
    pub(crate) fn notify(&mut self, notice: Action) {
        self.put::<NOTICES>(|| notice);
    }

    /// Forgets everything: the engine has stopped, and nothing may be written any more.
    pub(crate) fn discard(&mut self) {
        *self = Self::default();
    }

    /// The actions of the step, in causal order. `unsaved` is the newest save of the hard state
    /// that is not durable, of this step or an earlier one: every message carries the term, so
    /// none may leave before it [Raft 5.1].
    #[inline]
    pub(crate) fn seal(&mut self, unsaved: WriteId) -> Vec<Action> {
        if self.actions.is_empty() && self.hard_state.is_none() {
            return Vec::new();
        }
        let next = mem::take(&mut self.spare);
        let mut actions = mem::replace(&mut self.actions, next);
        if unsaved > WriteId::NONE {
            hold_back(&mut actions, unsaved);
        }
        if let Some((write, state)) = self.hard_state.take() {
            let save = Action::SaveHardState { write, state };
            actions.insert(self.end_of(LOADS), save);
            let (early, until_answers) = (self.end_of(EARLY), self.end_of(WRITES) + 1);
            if let Some(moved) = actions.get_mut(..until_answers) {
                moved.rotate_left(early);
            }
        }
        debug_assert!(
            writes(&actions).is_sorted(),
            "writes are performed in the order in which they were issued"
        );
        self.highest = EARLY;
        self.counts = Default::default();
        actions
    }

    /// Puts an action behind all that are in this place or an earlier one: at the end, where
    /// decisions are made in the order in which their effects stand. An action is large: it is made
    /// where it will stand, once there is room for it, and not moved there.
    #[inline(always)]
    fn put<const PLACE: usize>(&mut self, action: impl FnOnce() -> Action) {
        self.actions.extend(iter::once_with(action));
        if PLACE >= self.highest {
            self.highest = PLACE;
        } else {
            self.move_last_to(PLACE);
        }
        if let Some(count) = self.counts.get_mut(PLACE) {
            *count += 1;
        }
    }

    /// Moves the last action to the end of this place.
    #[cold]
    fn move_last_to(&mut self, place: usize) {
        let end = self.end_of(place);
        if let Some(behind) = self.actions.get_mut(end..) {
            behind.rotate_right(1);
        }
    }

    /// Where the actions of this place and of those before it end.
    fn end_of(&self, place: usize) -> usize {
        let counts = self.counts.iter().take(place + 1);
        counts.map(|&count| count as usize).sum()
    }
}

/// Makes messages wait for `unsaved`.
fn hold_back(actions: &mut [Action], unsaved: WriteId) {
    for action in actions {
        if let Action::Send { needs, message: _ } = action {
            *needs = (*needs).max(unsaved);
        }
    }
}

/// The writes among these actions.
fn writes(actions: &[Action]) -> impl Iterator<Item = WriteId> {
    actions.iter().filter_map(|action| {
        if let Action::SaveHardState { write, .. }
        | Action::AppendEntries { write, .. }
        | Action::InstallSnapshot { write, .. } = action
        {
            Some(*write)
        } else {
            None
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Body, EntryId, Incarnation, LogIndex, NodeId, Term};
    use alloc::vec;

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
        outbox.send(message);
        outbox.answer(WriteId::NONE, message);
        outbox.save(HardState::default(), || WriteId::new(4));
        outbox.append(WriteId::new(5), Entries::empty);
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
        outbox.append(WriteId::new(5), Entries::empty);
        outbox.send(message);
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

    /// An action of this place that carries `number`.
    fn put(outbox: &mut Outbox, place: usize, number: u64) {
        let through = EntryId::new(LogIndex::new(number), Term::new(1));
        let needs = WriteId::new(number);
        match place {
            EARLY => outbox.send(|| Message {
                term: Term::new(number),
                ..message()
            }),
            LOADS => outbox.put::<LOADS>(|| Action::PurgeLog { through }),
            WRITES => outbox.append(needs, Entries::empty),
            ANSWERS => outbox.answer(needs, message),
            RESTORES => outbox.purge(through),
            APPLIES => outbox.put::<APPLIES>(|| Action::PurgeLog { through }),
            NOTICES => outbox.notify(Action::PurgeLog { through }),
            _ => unreachable!("there are seven places"),
        }
    }

    fn number(action: &Action) -> u64 {
        if let Action::Send { needs, message } = action {
            return needs.get().max(message.term.get());
        }
        if let Action::PurgeLog { through } = action {
            return through.index.get();
        }
        writes(core::slice::from_ref(action)).next().unwrap().get()
    }

    #[test]
    fn actions_put_in_any_order_come_out_by_place_and_then_as_they_were_put() {
        let mut outbox = Outbox::default();
        let mut rng = fastrand::Rng::with_seed(7);
        for _ in 0..2000 {
            let mut expected: Vec<(usize, u64)> = Vec::new();
            for number in 2..rng.u64(2..14) {
                let place = rng.usize(EARLY..=NOTICES);
                put(&mut outbox, place, number);
                expected.push((place, number));
            }
            expected.sort_by_key(|&(place, _)| place);
            let numbers: Vec<u64> = outbox.seal(WriteId::NONE).iter().map(number).collect();
            let expected: Vec<u64> = expected.iter().map(|&(_, number)| number).collect();
            assert_eq!(numbers, expected);
        }
    }

    #[test]
    fn a_vector_that_comes_back_is_the_room_of_a_later_step_and_nothing_else() {
        let mut outbox = Outbox::default();
        outbox.purge(EntryId::NONE);
        let first = outbox.seal(WriteId::NONE);
        let place = first.as_ptr();
        outbox.recycle(first);
        outbox.send(message);
        outbox.append(WriteId::new(5), Entries::empty);
        let second = outbox.seal(WriteId::NONE);
        assert_eq!(
            (second.as_ptr(), places(&second)),
            (place, vec!["send", "append"])
        );
        // With one that is still out, the next has room of its own.
        outbox.recycle(Vec::with_capacity(4));
        outbox.recycle(second);
        outbox.send(message);
        let third = outbox.seal(WriteId::NONE);
        outbox.purge(EntryId::NONE);
        let fourth = outbox.seal(WriteId::NONE);
        assert_eq!(
            (places(&third), places(&fourth)),
            (vec!["send"], vec!["purge"])
        );
        assert_eq!(fourth.as_ptr(), place);
    }

    #[test]
    fn a_vector_that_comes_back_displaces_none_and_none_that_is_large_is_kept() {
        let mut outbox = Outbox::default();
        outbox.recycle(Vec::with_capacity(MOST_KEPT + 1));
        assert_eq!(outbox.actions.capacity(), 0, "a rare step made it");
        let kept: Vec<Action> = Vec::with_capacity(4);
        let spare: Vec<Action> = Vec::with_capacity(4);
        let places = [kept.as_ptr(), spare.as_ptr()];
        outbox.recycle(kept);
        outbox.recycle(spare);
        outbox.recycle(Vec::new());
        outbox.recycle(Vec::with_capacity(4));
        assert_eq!([outbox.actions.as_ptr(), outbox.spare.as_ptr()], places);
    }

    #[test]
    fn a_message_waits_for_a_save_of_an_earlier_step() {
        let mut outbox = Outbox::default();
        outbox.send(message);
        let actions = outbox.seal(WriteId::new(3));
        assert!(matches!(actions[..], [Action::Send { needs, .. }] if needs == WriteId::new(3)));
    }
}
