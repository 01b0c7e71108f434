//! How a thread of the node waits for its next work: awake for a moment when the last few came
//! quickly, asleep at once otherwise. It changes when a thread sleeps, never what it does.
//!
//! Under load a write wakes about nine threads one after the other. Waking a processor that has
//! halted takes tens of microseconds each time, on virtual machines above all, so that most of a
//! write's latency would be spent on falling asleep too early.

use std::num::NonZero;
use std::sync::mpsc::Receiver;
use std::thread;
use std::time::{Duration, Instant};

/// How long to stay awake for the next work: somewhat longer than a whole write on a fast disk.
/// Whoever waits for a slow one sleeps.
const AWAKE: Duration = Duration::from_micros(600);

/// Work that comes within this time of the one before came quickly. Above [`AWAKE`]: the pauses
/// of threads that sleep are longer than those of threads that do not.
const QUICK: Duration = Duration::from_millis(1);

/// Staying awake has to be earned by so many quick pieces of work in a row, after each time that
/// it was in vain.
const EARNED_BY: u32 = 4;

/// A processor that was given up for this long is wanted by a program that computes. A thread
/// that is awake has to queue behind it; one that was asleep would not.
const CROWDED: Duration = Duration::from_millis(2);

/// How long to sleep at once after that: twice as long each time that it happens again soon, so
/// that a machine which stays crowded is seldom asked, and one that is not is used again soon.
const CROWDED_FOR: Duration = Duration::from_millis(50);
const CROWDED_FOR_MAX: Duration = Duration::from_millis(400);

/// Whether a thread waits awake.
#[derive(Debug)]
pub(super) struct Spin {
    /// With a single processor whoever waits awake keeps others from what it waits for.
    has_processors: bool,
    /// Quick pieces of work in a row.
    quick: u32,
    worked_at: Option<Instant>,
    crowded: Option<Crowded>,
}

/// Other programs wanted the processors.
#[derive(Clone, Copy, Debug)]
struct Crowded {
    since: Instant,
    lasts: Duration,
}

impl Crowded {
    /// Once more, or for the first time.
    fn again(before: Option<Self>, now: Instant) -> Self {
        let soon = before.filter(|before| now <= before.since + 2 * before.lasts);
        Self {
            since: now,
            lasts: soon.map_or(CROWDED_FOR, |before| {
                (2 * before.lasts).min(CROWDED_FOR_MAX)
            }),
        }
    }
}

impl Spin {
    /// For a thread of this process.
    pub(super) fn new() -> Self {
        Self::with_processors(thread::available_parallelism().map_or(1, NonZero::get))
    }

    const fn with_processors(processors: usize) -> Self {
        Self {
            has_processors: processors > 1,
            quick: 0,
            worked_at: None,
            crowded: None,
        }
    }

    /// There was work. What comes even to an idle node, such as heartbeats, does not count.
    pub(super) fn worked(&mut self, now: Instant) {
        let pause = self
            .worked_at
            .map(|before| now.saturating_duration_since(before));
        self.quick = match pause {
            Some(pause) if pause <= QUICK => self.quick.saturating_add(1),
            Some(_) | None => 0,
        };
        self.worked_at = Some(now);
    }

    /// Until when to wait awake; `None` to sleep at once.
    pub(super) fn until(&self, now: Instant) -> Option<Instant> {
        let is_crowded = self
            .crowded
            .is_some_and(|crowded| now < crowded.since + crowded.lasts);
        (self.has_processors && self.quick >= EARNED_BY && !is_crowded).then(|| now + AWAKE)
    }

    /// Lets other threads have the processor, then says whether to go on waiting awake.
    pub(super) fn rest(&mut self, until: Instant) -> bool {
        let before = Instant::now();
        if before < until {
            thread::yield_now();
        }
        self.rested(before, Instant::now(), until)
    }

    fn rested(&mut self, before: Instant, now: Instant, until: Instant) -> bool {
        if now.saturating_duration_since(before) >= CROWDED {
            self.crowded = Some(Crowded::again(self.crowded, now));
        } else if now < until {
            return true;
        }
        self.quick = 0;
        false
    }

    /// The next message of a queue, if it comes while it is worth to wait awake.
    pub(super) fn next<M>(&mut self, queue: &Receiver<M>) -> Option<M> {
        let until = self.until(Instant::now())?;
        loop {
            if let Ok(message) = queue.try_recv() {
                return Some(message);
            }
            if !self.rest(until) {
                return None;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MICROSECOND: Duration = Duration::from_micros(1);

    /// A thread that has had so many pieces of work, each a tenth of a millisecond after the one
    /// before, and when the last came.
    fn busy(processors: usize, count: u32) -> (Spin, Instant) {
        let mut spin = Spin::with_processors(processors);
        let mut now = Instant::now();
        for _ in 0..count {
            now += 100 * MICROSECOND;
            spin.worked(now);
        }
        (spin, now)
    }

    #[test]
    fn thread_waits_awake_once_work_comes_quickly() {
        let (spin, now) = busy(2, EARNED_BY);
        assert_eq!(spin.until(now), None, "the first had no predecessor");
        let (spin, now) = busy(2, EARNED_BY + 1);
        assert_eq!(spin.until(now), Some(now + AWAKE));
    }

    #[test]
    fn thread_sleeps_at_once_when_work_is_rare() {
        let (mut spin, mut now) = busy(2, 100);
        now += QUICK + MICROSECOND;
        spin.worked(now);
        assert_eq!(
            spin.until(now),
            None,
            "an idle node would keep a processor busy"
        );
    }

    #[test]
    fn thread_that_waited_in_vain_sleeps_until_it_is_busy_again() {
        let (mut spin, now) = busy(2, 100);
        let until = spin.until(now).unwrap();
        assert!(spin.rested(until - MICROSECOND, until - MICROSECOND, until));
        assert!(!spin.rested(until, until, until));
        assert_eq!(spin.until(now), None);
    }

    #[test]
    fn thread_sleeps_at_once_while_others_want_the_processor() {
        let (mut spin, now) = busy(2, 100);
        let until = spin.until(now).unwrap();
        assert!(!spin.rested(now, now + CROWDED, until));
        let mut now = now + CROWDED;
        for _ in 0..100 {
            now += 100 * MICROSECOND;
            spin.worked(now);
        }
        assert_eq!(
            spin.until(now),
            None,
            "it would queue behind a program that computes"
        );
        assert!(spin.until(now + CROWDED_FOR).is_some());
    }

    #[test]
    fn machine_that_stays_crowded_is_asked_less_and_less() {
        let mut now = Instant::now();
        let mut crowded = None;
        let mut lasted = Vec::new();
        for _ in 0..5 {
            let next = Crowded::again(crowded, now);
            lasted.push(next.lasts.as_millis());
            now += next.lasts + MICROSECOND;
            crowded = Some(next);
        }
        assert_eq!(lasted, [50, 100, 200, 400, 400]);
        now += CROWDED_FOR_MAX;
        assert_eq!(Crowded::again(crowded, now).lasts, CROWDED_FOR);
    }

    #[test]
    fn thread_never_waits_awake_on_the_only_processor() {
        let (spin, now) = busy(1, 100);
        assert_eq!(spin.until(now), None);
    }
}
