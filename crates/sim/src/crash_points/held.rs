//! What a log holds, as far as a host can tell.

use quorate_core::{Entry, EntryId, HardState};
use quorate_log::{BirthStage, Disk, Opened, ReadOutcome, Write};

use super::call::Call;

/// What a log holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Held {
    /// How far the birth has come.
    pub stage: BirthStage,
    /// Term, vote and floor.
    pub hard_state: HardState,
    /// The entries, from the first index on.
    pub entries: Vec<Entry>,
}

impl Default for Held {
    /// What a new directory holds.
    fn default() -> Self {
        Self {
            stage: BirthStage::New,
            hard_state: HardState::default(),
            entries: Vec::new(),
        }
    }
}

impl Held {
    /// Id of the last entry.
    #[must_use]
    pub fn last(&self) -> EntryId {
        self.entries.last().map_or(EntryId::NONE, Entry::id)
    }

    /// What an open log holds, every entry read back.
    pub(super) fn of<D: Disk>(opened: &mut Opened<D>) -> Result<Self, String> {
        let recovered = &opened.recovered;
        let last_term = recovered.term_starts.last().map(|start| start.term);
        let mut held = Self {
            stage: opened.identity.stage.clone(),
            hard_state: recovered.hard_state,
            entries: Vec::new(),
        };
        if let Some(term) = last_term {
            let (first, last) = (recovered.before.index.next(), recovered.last);
            let read = opened.log.read(first, EntryId::new(last, term), u64::MAX);
            match read {
                Ok(ReadOutcome::Found(entries)) => held.entries = entries.to_vec(),
                Ok(ReadOutcome::Gone) => return Err(format!("{first}..={last} are gone")),
                Err(error) => return Err(format!("{first}..={last} cannot be read: {error}")),
            }
        }
        held.check_order(recovered.last == held.last().index)?;
        Ok(held)
    }

    /// Terms never fall, and none is above the saved one.
    fn check_order(&self, is_whole: bool) -> Result<(), String> {
        let mut before = EntryId::NONE;
        for id in self.entries.iter().map(Entry::id) {
            if id.term < before.term || id.index != before.index.next() {
                return Err(format!("{id} stands after {before}"));
            }
            before = id;
        }
        let saved = self.hard_state.term;
        if !is_whole || before.term > saved {
            return Err(format!(
                "the log ends in {before}, the saved term is {saved}"
            ));
        }
        Ok(())
    }

    /// Does one write.
    pub(super) fn write(&mut self, write: &Write) {
        match write {
            Write::HardState(state) => self.hard_state = *state,
            Write::Append(entries) => entries.iter().for_each(|entry| self.append(entry)),
        }
    }

    fn append(&mut self, entry: &Entry) {
        let before = usize::try_from(entry.index.prev().get()).unwrap_or(usize::MAX);
        self.entries.truncate(before);
        self.entries.push(entry.clone());
    }

    /// Every state that a crash during `call` may leave, this one first, the last one if it is
    /// done: writes take effect in order, and appends entry by entry.
    pub(super) fn states_within(&self, call: &Call) -> Vec<Self> {
        let mut states = vec![self.clone()];
        let mut now = self.clone();
        match call {
            Call::Perform(writes) => {
                for write in writes {
                    match write {
                        Write::HardState(state) => {
                            now.hard_state = *state;
                            states.push(now.clone());
                        }
                        Write::Append(entries) => {
                            for entry in entries.iter() {
                                now.append(entry);
                                states.push(now.clone());
                            }
                        }
                    }
                }
            }
            Call::Stage(stage) => {
                now.stage = stage.clone();
                states.push(now);
            }
            Call::FailSync { during, .. } | Call::Crash { during, .. } => {
                return self.states_within(during);
            }
            Call::Housekeep { .. } | Call::Idle | Call::Reopen { .. } => {}
        }
        states
    }

    /// Where `found` differs from this.
    pub(super) fn difference(&self, found: &Self) -> String {
        let same = self.entries.iter().zip(&found.entries);
        let common = same.take_while(|(one, other)| one == other).count();
        let at = |held: &Self| held.entries.get(common).map(Entry::id);
        let (state, saved) = (found.hard_state, self.hard_state);
        format!(
            "found {state:?}, {:?} and a log up to {}; acknowledged {saved:?}, {:?} and a log up \
             to {}; {common} entries agree, then {:?} is found for {:?}",
            found.stage,
            found.last(),
            self.stage,
            self.last(),
            at(found),
            at(self)
        )
    }
}
