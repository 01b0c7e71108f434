//! The one source of everything random in a world. What is decided with the numbers is said by
//! the [`Site`] of each draw; how the numbers are used is not known here, except that zero is
//! always the calmest of them. So a tape without choices is the calmest world of all, and a
//! failing one is made simpler by taking choices from its tape.

use crate::digest::{Digest, mix};
use crate::site::Site;
use crate::tape::{Choice, Playback, Tape};

/// Odd, and far from every simple fraction of the range: consecutive multiples spread well.
const STRIDE: u64 = 0x9e37_79b9_7f4a_7c15;

/// Where the numbers come from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Source {
    /// From a seed: each is a function of the seed, the site, and how often the site was asked.
    Seed(u64),
    /// From a tape: zero wherever it says nothing.
    Tape(Tape),
}

/// What answers a draw.
#[derive(Debug)]
enum Supply {
    /// A key for each site.
    Seeded(Box<[u64; SITES]>),
    Played(Playback),
}

const SITES: usize = Site::ALL.len();

/// A stream of choices.
#[derive(Debug)]
pub struct Choices {
    supply: Supply,
    /// Draws so far, at each site.
    drawn: [u64; SITES],
    digest: Digest,
    /// What was drawn, except zeros.
    record: Option<Vec<Choice>>,
}

impl Choices {
    /// The stream of `seed`. Neighbouring seeds give unrelated streams, and so do sites.
    #[must_use]
    pub fn new(seed: u64) -> Self {
        let root = mix(seed ^ 0x5157_4f52_4154_4521);
        let key = |site| mix(root ^ mix(STRIDE.wrapping_mul(site as u64 + 1)));
        Self::with(Supply::Seeded(Box::new(std::array::from_fn(key))))
    }

    /// The stream that `source` stands for.
    #[must_use]
    pub fn of(source: &Source) -> Self {
        match source {
            Source::Seed(seed) => Self::new(*seed),
            Source::Tape(tape) => Self::with(Supply::Played(tape.play())),
        }
    }

    const fn with(supply: Supply) -> Self {
        Self {
            supply,
            drawn: [0; SITES],
            digest: Digest::EMPTY,
            record: None,
        }
    }

    /// Remembers from here on what is drawn.
    #[must_use]
    pub fn recorded(mut self) -> Self {
        self.record = Some(Vec::new());
        self
    }

    /// What was drawn since it was to be remembered.
    #[must_use]
    pub fn take_tape(&mut self) -> Option<Tape> {
        self.record.take().map(Tape::new)
    }

    /// A number below `n`; zero where `n` is zero. All draws come through here, or through
    /// [`Self::chance`].
    pub fn choose(&mut self, n: u64, site: Site) -> u64 {
        let ordinal = self.count(site);
        let value = match &mut self.supply {
            Supply::Seeded(keys) => below(n, keyed(keys, site, ordinal)),
            Supply::Played(tape) => tape.value(site, ordinal).min(n.saturating_sub(1)),
        };
        self.drew(site, ordinal, value);
        value
    }

    /// True in `ppm` of a million cases. Draws nothing when `ppm` is zero: a fault class that is
    /// switched off costs nothing.
    pub fn chance(&mut self, ppm: u64, site: Site) -> bool {
        if ppm == 0 {
            return false;
        }
        let ordinal = self.count(site);
        let is_so = match &mut self.supply {
            Supply::Seeded(keys) => below(1_000_000, keyed(keys, site, ordinal)) < ppm,
            Supply::Played(tape) => tape.value(site, ordinal) > 0,
        };
        self.drew(site, ordinal, u64::from(is_so));
        is_so
    }

    /// A number in `low..=high`, all equally likely. The calmest is `low`.
    pub fn between(&mut self, low: u64, high: u64, site: Site) -> u64 {
        low + self.choose(high.saturating_sub(low).saturating_add(1), site)
    }

    /// A number in `low..=high` with every order of magnitude equally likely, so that extreme
    /// settings are as common as ordinary ones. `low` is at least 1, and the calmest.
    pub fn log_between(&mut self, low: u64, high: u64, site: Site) -> u64 {
        let (low, doublings) = magnitudes(low, high);
        let floor = low << self.choose(doublings + 1, site);
        self.between(floor, floor.saturating_mul(2).min(high).max(floor), site)
    }

    /// The same, except that the calmest is `high`: for limits that do not bind, and for means of
    /// waits.
    pub fn log_between_down(&mut self, low: u64, high: u64, site: Site) -> u64 {
        let (low, doublings) = magnitudes(low, high);
        let floor = low << (doublings - self.choose(doublings + 1, site));
        let ceiling = floor.saturating_mul(2).min(high).max(floor);
        ceiling - self.choose(ceiling - floor + 1, site)
    }

    /// How long to wait for the next of something that recurs every `mean` on average: from 1 to
    /// twice as long, all equally likely. The calmest is the longest, so that nothing recurs in a
    /// storm where nothing is on the tape.
    pub fn wait(&mut self, mean: u64, site: Site) -> u64 {
        let longest = mean.saturating_mul(2).max(1);
        longest - self.choose(longest, site)
    }

    /// One of `options`, which holds at least one. The calmest is the first.
    pub fn pick<T: Copy>(&mut self, options: &[T], site: Site) -> T {
        let at = self.choose(options.len() as u64, site) as usize;
        let Some(option) = options.get(at) else {
            unreachable!("nobody picks from nothing")
        };
        *option
    }

    /// Hash of all draws so far.
    #[must_use]
    pub const fn digest(&self) -> Digest {
        self.digest
    }

    /// Counts a draw and says how many came before it at its site.
    fn count(&mut self, site: Site) -> u64 {
        let Some(drawn) = self.drawn.get_mut(site as usize) else {
            unreachable!("every site has a place")
        };
        *drawn += 1;
        *drawn - 1
    }

    fn drew(&mut self, site: Site, ordinal: u64, value: u64) {
        self.digest.fold(value ^ ((site as u64) << 56));
        if let Some(record) = &mut self.record
            && value > 0
        {
            record.push(Choice {
                site,
                ordinal,
                value,
            });
        }
    }
}

/// The bits of a draw.
fn keyed(keys: &[u64; SITES], site: Site, ordinal: u64) -> u64 {
    let Some(key) = keys.get(site as usize) else {
        unreachable!("every site has a key")
    };
    mix(key.wrapping_add(ordinal.wrapping_mul(STRIDE)))
}

/// A number below `n` for these bits; zero where `n` is zero.
fn below(n: u64, bits: u64) -> u64 {
    ((u128::from(bits) * u128::from(n)) >> 64) as u64
}

/// `low`, but at least 1, and how often it can be doubled within `high`.
fn magnitudes(low: u64, high: u64) -> (u64, u64) {
    let low = low.max(1);
    (low, u64::from((high / low).max(1).ilog2()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_seeds_give_equal_streams_and_others_do_not() {
        let draw = |seed| {
            let mut choices = Choices::new(seed);
            (0..64)
                .map(|_| choices.choose(1000, Site::Knob))
                .collect::<Vec<_>>()
        };
        assert_eq!(draw(1), draw(1));
        assert_ne!(draw(1), draw(2));
    }

    #[test]
    fn a_draw_more_at_one_site_moves_no_draw_at_another() {
        let draw = |others: usize| {
            let mut choices = Choices::new(9);
            (0..64)
                .map(|_| {
                    (0..others).for_each(|_| _ = choices.choose(1000, Site::Loss));
                    choices.choose(1000, Site::Delay)
                })
                .collect::<Vec<_>>()
        };
        assert_eq!(draw(0), draw(3));
        let mut choices = Choices::new(9);
        let loss: Vec<_> = (0..64).map(|_| choices.choose(1000, Site::Loss)).collect();
        assert_ne!(draw(0), loss, "two sites have one stream");
    }

    #[test]
    fn choices_stay_in_range_and_reach_its_ends() {
        let mut choices = Choices::new(3);
        let mut seen = [0u64; 5];
        let mut waits = [0u64; 5];
        for _ in 0..1000 {
            seen[choices.between(3, 7, Site::Knob) as usize - 3] += 1;
            // From 1 to 4.
            waits[choices.wait(2, Site::Knob) as usize] += 1;
            let wide = choices.log_between(10, 5000, Site::Knob);
            assert!((10..=5000).contains(&wide), "{wide} is outside");
            let wide = choices.log_between_down(10, 5000, Site::Knob);
            assert!((10..=5000).contains(&wide), "{wide} is outside");
        }
        assert!(seen.iter().all(|&count| count > 100), "uneven: {seen:?}");
        assert_eq!(waits[0], 0, "a wait of nothing is a storm");
        assert!(waits[1..].iter().all(|&count| count > 100), "{waits:?}");
        assert_eq!(choices.choose(0, Site::Knob), 0);
    }

    #[test]
    fn log_between_reaches_both_small_and_large_numbers() {
        let mut choices = Choices::new(4);
        let mut draws = |down: bool| -> Vec<u64> {
            let mut draw = || match down {
                true => choices.log_between_down(1, 1 << 20, Site::Knob),
                false => choices.log_between(1, 1 << 20, Site::Knob),
            };
            (0..200).map(|_| draw()).collect()
        };
        for draws in [draws(true), draws(false)] {
            assert!(
                draws.iter().any(|&n| n < 16),
                "small numbers are as likely as large ones"
            );
            assert!(draws.iter().any(|&n| n > 1 << 18));
        }
    }

    #[test]
    fn an_empty_tape_gives_the_calmest_answer_to_every_question() {
        let mut calm = Choices::of(&Source::Tape(Tape::default()));
        assert_eq!(calm.choose(9, Site::Knob), 0);
        assert!(!calm.chance(999_999, Site::Knob));
        assert_eq!(calm.between(3, 9, Site::Knob), 3);
        assert_eq!(calm.log_between(3, 900, Site::Knob), 3);
        assert_eq!(calm.log_between_down(3, 900, Site::Knob), 900);
        assert_eq!(calm.wait(50, Site::Knob), 100);
        assert_eq!(calm.pick(&[7, 8], Site::Knob), 7);
    }

    #[test]
    fn what_was_recorded_plays_the_same_again() {
        let draw = |choices: &mut Choices| {
            let mut answers = Vec::new();
            for _ in 0..100 {
                answers.push(choices.choose(5, Site::Delay));
                answers.push(u64::from(choices.chance(300_000, Site::Loss)));
                answers.push(choices.log_between_down(2, 777, Site::Knob));
                answers.push(choices.wait(20, Site::Knob));
            }
            answers
        };
        let mut first = Choices::new(11).recorded();
        let answers = draw(&mut first);
        let tape = first.take_tape().unwrap();
        let mut again = Choices::of(&Source::Tape(tape.clone())).recorded();
        assert_eq!(draw(&mut again), answers);
        assert_eq!(first.digest(), again.digest());
        assert_eq!(again.take_tape().unwrap(), tape);
    }
}
