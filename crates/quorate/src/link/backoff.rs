//! How long to wait before the next attempt. Pure: no clock, and randomness only from its seed.

use std::time::Duration;

/// Delays that double from 50 ms to 2 s. Each is drawn from the upper half of its step, so that
/// nodes that lost the same peer do not all return at once (scenario H13).
#[derive(Clone, Debug)]
pub struct Backoff {
    step: Duration,
    random: fastrand::Rng,
}

impl Backoff {
    /// The first step.
    pub const FIRST: Duration = Duration::from_millis(50);
    /// The step that is never exceeded: a peer that returns is found within this time.
    pub const CAP: Duration = Duration::from_secs(2);

    /// Begins at the first step.
    #[must_use]
    pub fn new(seed: u64) -> Self {
        Self {
            step: Self::FIRST,
            random: fastrand::Rng::with_seed(seed),
        }
    }

    /// How long to wait now. The next delay is longer, up to the cap.
    pub fn next_delay(&mut self) -> Duration {
        let delay = self.step.mul_f64(0.5 + self.random.f64() / 2.0);
        self.step = (self.step * 2).min(Self::CAP);
        delay
    }

    /// Begins again at the first step, when the next attempt goes to another address.
    pub fn reset(&mut self) {
        self.step = Self::FIRST;
    }

    /// Begins again at the first step if the connection that ended lasted long enough to count as
    /// a success. A peer that accepts and closes at once is as good as dead.
    pub fn reset_after(&mut self, lasted: Duration) {
        if lasted >= Self::CAP {
            self.reset();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Scenarios H13, H15
    #[test]
    fn delays_grow_to_the_cap_and_stay_in_the_upper_half_of_their_step() {
        for seed in 0..50 {
            let mut backoff = Backoff::new(seed);
            let mut step = Backoff::FIRST;
            for _ in 0..12 {
                let delay = backoff.next_delay();
                assert!(delay >= step / 2, "{delay:?} would hammer a dead peer");
                assert!(delay <= step, "{delay:?} is beyond {step:?}");
                step = (step * 2).min(Backoff::CAP);
            }
            assert_eq!(step, Backoff::CAP);
            backoff.reset_after(Backoff::CAP / 2);
            assert!(
                backoff.next_delay() >= Backoff::CAP / 2,
                "a peer that closes at once would be hammered"
            );
            backoff.reset_after(Backoff::CAP);
            assert!(
                backoff.next_delay() <= Backoff::FIRST,
                "a reset begins again"
            );
        }
    }

    #[test]
    fn delays_differ_when_seeds_differ() {
        let delays: std::collections::BTreeSet<Duration> = (0..20)
            .map(|seed| Backoff::new(seed).next_delay())
            .collect();
        assert!(delays.len() > 10, "without jitter all nodes return at once");
    }
}
