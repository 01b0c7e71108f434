//! Takes choices away, and lowers those that are left, as long as the run still fails: first all
//! of a site, then halves of what is left of each, quarters, and so on down to single choices.
//! What a failure is, the oracle says.

use crate::site::Site;
use crate::tape::{Choice, Tape};

/// A run that fails.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Failure {
    /// What was drawn, and no choice that was not.
    pub(super) tape: Tape,
    /// Happenings under faults that the run is given.
    pub(super) events: u64,
    /// Happenings up to the failure.
    pub(super) until: u64,
}

/// A failure that is being made smaller.
pub(super) struct Reducer<Oracle, IsOver> {
    oracle: Oracle,
    best: Failure,
    /// A failure that comes later than this is none.
    latest: u64,
    /// That stays the same when an earlier one is found.
    is_patient: bool,
    /// The failure comes after the faults, so that their number is one of the things to lower.
    settles: bool,
    runs: u64,
    most_runs: u64,
    is_over: IsOver,
    /// A run was wanted that the budget did not allow.
    is_cut_short: bool,
}

impl<Oracle, IsOver> Reducer<Oracle, IsOver>
where
    Oracle: FnMut(Tape, u64) -> Option<Failure>,
    IsOver: FnMut() -> bool,
{
    /// Starts with `first`. The oracle runs a tape for so many events, and says whether that is
    /// the failure. It is asked at most `most_runs` times, and not after `is_over`.
    pub(super) const fn new(
        oracle: Oracle,
        first: Failure,
        settles: bool,
        most_runs: u64,
        is_over: IsOver,
    ) -> Self {
        Self {
            oracle,
            latest: first.until,
            is_patient: false,
            settles,
            best: first,
            runs: 0,
            most_runs,
            is_over,
            is_cut_short: false,
        }
    }

    /// The smallest failure found, and how many runs that took.
    pub(super) fn end(self) -> (Failure, u64) {
        (self.best, self.runs)
    }

    /// Whether it ended before everything was tried.
    pub(super) const fn is_out_of_budget(&self) -> bool {
        self.is_cut_short
    }

    /// Makes the failure as small as it gets.
    pub(super) fn reduce(&mut self) {
        loop {
            let before = self.best.clone();
            self.drop_sites();
            self.drop_chunks();
            if self.settles {
                self.lower_events();
            }
            // What takes more runs waits until the rest has made them short.
            if self.best == before {
                self.drop_for_time();
            }
            if self.best == before {
                self.lower_values();
            }
            if self.best == before || self.is_cut_short {
                break;
            }
        }
    }

    /// Takes choices away also where the failure comes a little later without them: a world in
    /// which less happens may take longer.
    fn drop_for_time(&mut self) {
        self.is_patient = true;
        self.latest = self.best.until.saturating_mul(2);
        self.drop_sites();
        self.drop_chunks();
        self.latest = self.best.until;
        self.is_patient = false;
    }

    /// Runs a tape. If it fails no later than it may, it is the best from here on.
    fn improves(&mut self, choices: Vec<Choice>, events: u64) -> bool {
        if self.is_cut_short || self.runs >= self.most_runs || (self.is_over)() {
            self.is_cut_short = true;
            return false;
        }
        self.runs += 1;
        let events = if self.settles { events } else { self.latest };
        let found = (self.oracle)(Tape::new(choices), events);
        let Some(found) = found.filter(|found| found.until <= self.latest) else {
            return false;
        };
        if !self.is_patient {
            self.latest = found.until;
        }
        self.best = found;
        true
    }

    /// The sites on the tape, those with the most choices first.
    fn sites(&self) -> Vec<(Site, usize)> {
        let mut sites: Vec<_> = self.best.tape.sites().collect();
        sites.sort_by_key(|&(site, count)| (std::cmp::Reverse(count), site));
        sites
    }

    /// Takes all choices of a site away, site by site.
    fn drop_sites(&mut self) {
        for (site, _) in self.sites() {
            let mut choices = self.best.tape.choices().to_vec();
            choices.retain(|choice| choice.site != site);
            self.improves(choices, self.best.events);
        }
    }

    /// Takes ever smaller chunks of the choices of each site away, the last ones first: what
    /// comes late needs little of what came before, and moves little that comes after.
    fn drop_chunks(&mut self) {
        let mut parts = 2;
        loop {
            let sites = self.sites();
            for &(site, count) in &sites {
                // Single choices were tried when there were half as many parts.
                if parts < 2 * count.next_power_of_two() {
                    self.drop_parts(site, count.div_ceil(parts));
                }
            }
            let most = sites.first().map_or(0, |(_, count)| *count);
            if self.is_cut_short || parts >= most.next_power_of_two() {
                break;
            }
            parts *= 2;
        }
    }

    /// Takes chunks of `size` choices of `site` away.
    fn drop_parts(&mut self, site: Site, size: usize) {
        let mut end = usize::MAX;
        while end > 0 && !self.is_cut_short {
            let choices = self.best.tape.choices();
            let first = choices.partition_point(|choice| choice.site < site);
            let behind = choices.partition_point(|choice| choice.site <= site);
            end = end.min(behind - first);
            let start = end.saturating_sub(size);
            let mut left = choices.to_vec();
            left.drain(first + start..first + end);
            if left.len() == choices.len() {
                break;
            }
            self.improves(left, self.best.events);
            end = start;
        }
    }

    /// Gives the run fewer events.
    fn lower_events(&mut self) {
        let mut step = self.best.events;
        while step > 0 && !self.is_cut_short {
            let fewer = self.best.events.saturating_sub(step);
            let choices = self.best.tape.choices().to_vec();
            if fewer == self.best.events || !self.improves(choices, fewer) {
                step /= 2;
            }
        }
    }

    /// Lowers every choice as far as it goes, in steps that halve.
    fn lower_values(&mut self) {
        let mut place = 0;
        while let Some(&choice) = self.best.tape.choices().get(place) {
            let mut step = choice.value / 2;
            while step > 0 && !self.is_cut_short {
                let mut choices = self.best.tape.choices().to_vec();
                // Choices that were not drawn any more are gone by now.
                let Some(lowered) = choices.get_mut(place) else {
                    break;
                };
                if step >= lowered.value {
                    step /= 2;
                    continue;
                }
                lowered.value -= step;
                if !self.improves(choices, self.best.events) {
                    step /= 2;
                }
            }
            place += 1;
        }
    }
}
