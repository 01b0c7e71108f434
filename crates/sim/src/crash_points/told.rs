//! What a host was told, and what it may find after a crash.

use quorate_log::DirectoryId;

use super::call::Call;
use super::held::Held;

/// What was acknowledged, and what is under way.
pub(super) struct Told {
    /// Everything that a crash now may leave. What is acknowledged is the first; there are others
    /// while a call is under way.
    possible: Vec<Held>,
    /// The directory, once it was opened.
    directory: Option<DirectoryId>,
}

impl Told {
    /// Of a directory that was never opened.
    pub(super) fn nothing() -> Self {
        Self {
            possible: vec![Held::default()],
            directory: None,
        }
    }

    /// What is acknowledged.
    pub(super) fn sure(&self) -> &Held {
        let Some(first) = self.possible.first() else {
            unreachable!("there is always something that is possible")
        };
        first
    }

    /// The host makes `call`.
    pub(super) fn begins(&mut self, call: &Call) {
        self.possible = self.sure().states_within(call);
    }

    /// The call that is under way is done.
    pub(super) fn ends(&mut self) {
        self.possible = self.possible.pop().into_iter().collect();
    }

    /// The log was opened, and this is what it holds from now on.
    pub(super) fn settles(&mut self, found: Held, directory: DirectoryId) {
        self.possible = vec![found];
        self.directory = Some(directory);
    }

    /// Whether a crash may have left `found`.
    pub(super) fn allows(&self, found: &Held, directory: DirectoryId) -> Result<(), String> {
        if self.directory.is_some_and(|told| told != directory) {
            return Err(format!("it is another directory, {directory}"));
        }
        if self.possible.contains(found) {
            return Ok(());
        }
        let further = self.possible.len() - 1;
        let difference = self.sure().difference(found);
        Err(format!(
            "{difference}; nor is it one of {further} states on the way"
        ))
    }
}
