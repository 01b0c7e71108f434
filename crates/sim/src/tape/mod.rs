//! A tape: the choices that make a run what it is. Everything that is not on it is zero, which is
//! the calmest answer. So a tape with few choices is a run in which little out of the ordinary
//! happens. How a tape becomes short is in `shrink/`, how it is written as text in `text.rs`.

use crate::site::Site;

pub(crate) mod text;

/// One draw and its answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Choice {
    /// What was decided.
    pub site: Site,
    /// How many draws came before at this site.
    pub ordinal: u64,
    /// The answer. Never zero on a tape.
    pub value: u64,
}

/// Choices, by site and then by order.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tape {
    choices: Vec<Choice>,
}

impl Tape {
    /// A tape of these choices, of which no two are the same draw. Zeros are left out.
    #[must_use]
    pub fn new(mut choices: Vec<Choice>) -> Self {
        choices.retain(|choice| choice.value > 0);
        choices.sort_unstable();
        choices.dedup_by_key(|choice| (choice.site, choice.ordinal));
        Self { choices }
    }

    /// The choices, by site and then by order.
    #[must_use]
    pub fn choices(&self) -> &[Choice] {
        &self.choices
    }

    /// How many choices there are at each site that has any.
    pub fn sites(&self) -> impl Iterator<Item = (Site, usize)> {
        let runs = self.choices.chunk_by(|one, next| one.site == next.site);
        runs.filter_map(|run| Some((run.first()?.site, run.len())))
    }

    /// Starts to play.
    pub(crate) fn play(&self) -> Playback {
        let start = |site: &Site| {
            let is_before = |choice: &Choice| choice.site < *site;
            self.choices.partition_point(is_before)
        };
        Playback {
            next: Site::ALL.iter().map(start).collect(),
            choices: self.choices.clone(),
        }
    }
}

/// A tape that is being played.
#[derive(Debug)]
pub(crate) struct Playback {
    choices: Vec<Choice>,
    /// For each site the first choice that was not passed yet.
    next: Vec<usize>,
}

impl Playback {
    /// The answer to a draw. Draws of one site come in their order.
    pub(crate) fn value(&mut self, site: Site, ordinal: u64) -> u64 {
        let Some(next) = self.next.get_mut(site as usize) else {
            return 0;
        };
        match self.choices.get(*next) {
            Some(choice) if choice.site == site && choice.ordinal == ordinal => {
                *next += 1;
                choice.value
            }
            Some(_) | None => 0,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tape_answers_zero_where_it_says_nothing() {
        let choice = |site, ordinal, value| Choice {
            site,
            ordinal,
            value,
        };
        let tape = Tape::new(vec![
            choice(Site::Loss, 2, 1),
            choice(Site::Delay, 1, 0),
            choice(Site::Knob, 0, 7),
            choice(Site::Loss, 0, 5),
        ]);
        assert_eq!(tape.choices().len(), 3, "zeros need not be said");
        let sites: Vec<_> = tape.sites().collect();
        assert_eq!(sites, [(Site::Knob, 1), (Site::Loss, 2)]);
        let mut play = tape.play();
        let loss: Vec<_> = (0..4).map(|at| play.value(Site::Loss, at)).collect();
        assert_eq!(loss, [5, 0, 1, 0]);
        assert_eq!(play.value(Site::Delay, 0), 0);
        assert_eq!(play.value(Site::Knob, 0), 7);
    }
}
