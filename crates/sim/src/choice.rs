//! The one source of everything random in a world. What is decided with the numbers is said by
//! the [`Site`] of each draw; how the numbers are used is not known here.

use crate::digest::{Digest, mix};

/// What a draw decides. Every draw names its site, so that two runs that diverge show where.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Site {
    /// A setting of the seed (`knobs.rs`).
    Knob,
    /// The number that names a start of a node.
    Incarnation,
    /// The seed of an engine's own jitter.
    EngineSeed,
    /// Offset and rate of a node's clock.
    Clock,
    /// Whether a message is lost.
    Loss,
    /// Whether a message arrives twice.
    Duplicate,
    /// How long a message travels.
    Delay,
    /// How late a host wakes up.
    Jitter,
    /// How long a sync takes.
    Sync,
    /// How many writes one sync covers.
    SyncBatch,
    /// Whether a confirmation waits for the next one.
    Confirm,
    /// Whether a sync fails.
    SyncFailure,
    /// How long reading old entries takes, and whether it fails.
    Load,
    /// How long applying takes, and how much of it is reported at once.
    Apply,
    /// When and where the next proposal is made, and how large it is.
    Propose,
    /// When and where the next read is made.
    Read,
    /// When and where the next crash strikes, and for how long the node is down.
    Crash,
    /// Whether a crash strikes inside a step, and before which action.
    CrashInStep,
    /// How many unsynced writes survive a crash.
    Survivors,
    /// When and where a process is paused, and for how long.
    Pause,
    /// Which links are cut, and for how long.
    Partition,
    /// How long taking a snapshot takes, and whether it fails.
    Take,
    /// How long each part of a snapshot travels, and whether it is lost.
    Fetch,
    /// How much of what may be purged is.
    Purge,
    /// When, where and how the membership is to be changed.
    Change,
    /// When and to whom leadership is to be handed over.
    Transfer,
    /// When and where a disk fills up or is freed.
    Room,
    /// When and where a log is damaged, and how much of it.
    Damage,
    /// What a host asks of its log next (`crash_points/`).
    StorageCall,
}

/// A seeded stream of choices.
#[derive(Debug)]
pub struct Choices {
    state: u64,
    digest: Digest,
}

impl Choices {
    /// The stream of `seed`. Neighbouring seeds give unrelated streams.
    #[must_use]
    pub const fn new(seed: u64) -> Self {
        Self {
            state: mix(seed ^ 0x5157_4f52_4154_4521),
            digest: Digest::EMPTY,
        }
    }

    /// A number below `n`; zero where `n` is zero. All draws come through here.
    pub fn choose(&mut self, n: u64, site: Site) -> u64 {
        // A Weyl sequence under a mixing function: full period, and no state to warm up.
        self.state = self.state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let wide = u128::from(mix(self.state)) * u128::from(n);
        let value = (wide >> 64) as u64;
        self.digest.fold(value ^ ((site as u64) << 56));
        value
    }

    /// True in `ppm` of a million cases. Draws nothing when `ppm` is zero: a fault class that is
    /// switched off costs nothing.
    pub fn chance(&mut self, ppm: u64, site: Site) -> bool {
        ppm > 0 && self.choose(1_000_000, site) < ppm
    }

    /// A number in `low..=high`, all equally likely.
    pub fn between(&mut self, low: u64, high: u64, site: Site) -> u64 {
        low + self.choose(high.saturating_sub(low).saturating_add(1), site)
    }

    /// A number in `low..=high` with every order of magnitude equally likely, so that extreme
    /// settings are as common as ordinary ones. `low` is at least 1.
    pub fn log_between(&mut self, low: u64, high: u64, site: Site) -> u64 {
        let low = low.max(1);
        let doublings = u64::from((high / low).max(1).ilog2());
        let floor = low << self.choose(doublings + 1, site);
        self.between(floor, floor.saturating_mul(2).min(high).max(floor), site)
    }

    /// One of `options`, which holds at least one.
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
    fn choices_stay_in_range_and_reach_its_ends() {
        let mut choices = Choices::new(3);
        let mut seen = [0u64; 5];
        for _ in 0..1000 {
            seen[choices.between(3, 7, Site::Knob) as usize - 3] += 1;
            let wide = choices.log_between(10, 5000, Site::Knob);
            assert!((10..=5000).contains(&wide), "{wide} is outside");
        }
        assert!(seen.iter().all(|&count| count > 100), "uneven: {seen:?}");
        assert_eq!(choices.choose(0, Site::Knob), 0);
    }

    #[test]
    fn log_between_reaches_both_small_and_large_numbers() {
        let mut choices = Choices::new(4);
        let draws: Vec<u64> = (0..200)
            .map(|_| choices.log_between(1, 1 << 20, Site::Knob))
            .collect();
        assert!(
            draws.iter().any(|&n| n < 16),
            "small numbers are as likely as large ones"
        );
        assert!(draws.iter().any(|&n| n > 1 << 18));
    }
}
