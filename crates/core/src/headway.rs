//! Whether a node that is being brought up to date gets on, judged by what it was known to hold:
//! of the log, and of a snapshot in bytes. What is made of it is decided in
//! `engine/membership.rs`.

use core::time::Duration;

use crate::{LogIndex, Time};

/// How much a node holds: of the log, and then of the snapshot that it receives, in bytes.
pub(crate) type Held = (LogIndex, u64);

/// How often a node may lose some of what it held and begin anew before only what it never held
/// counts: who loses it every time gets nowhere.
const MAX_LOSSES: u32 = 10;

/// How one node gets on.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Headway {
    held: Held,
    /// The most that it was known to hold.
    most: Held,
    /// How often it held less than before, since it held the most.
    losses: u32,
    /// When it last held more than before. Pauses of this process do not count.
    moved_at: Time,
}

impl Headway {
    /// Nothing is known of what it holds.
    pub(crate) const fn new(now: Time) -> Self {
        Self {
            held: (LogIndex::NONE, 0),
            most: (LogIndex::NONE, 0),
            losses: 0,
            moved_at: now,
        }
    }

    /// It holds so much now.
    pub(crate) fn note(&mut self, held: Held, now: Time) {
        if held > self.most {
            self.most = held;
            self.losses = 0;
            self.moved_at = now;
        } else if held > self.held && self.losses <= MAX_LOSSES {
            self.moved_at = now;
        } else if held < self.held {
            self.losses = self.losses.saturating_add(1);
        }
        self.held = held;
    }

    /// Nobody looked for so long.
    pub(crate) fn forgive(&mut self, pause: Duration) {
        self.moved_at = self.moved_at.after(pause);
    }

    /// When it last held more than before.
    pub(crate) const fn moved_at(&self) -> Time {
        self.moved_at
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(millis: u64) -> Time {
        Time::ZERO.after(Duration::from_millis(millis))
    }

    const fn held(index: u64, bytes: u64) -> Held {
        (LogIndex::new(index), bytes)
    }

    #[test]
    fn what_a_node_lost_and_gets_again_is_headway() {
        let mut node = Headway::new(at(0));
        node.note(held(0, 90), at(1));
        node.note(held(0, 0), at(2));
        assert_eq!(node.moved_at(), at(1), "to lose is not to get on");
        node.note(held(0, 0), at(3));
        assert_eq!(node.moved_at(), at(1));
        node.note(held(0, 5), at(4));
        assert_eq!(node.moved_at(), at(4));
    }

    #[test]
    fn the_bytes_of_a_snapshot_count_from_zero_when_the_log_has_grown() {
        let mut node = Headway::new(at(0));
        node.note(held(0, 90), at(1));
        node.note(held(8, 0), at(2));
        node.note(held(8, 1), at(3));
        assert_eq!((node.moved_at(), node.losses), (at(3), 0));
    }

    #[test]
    fn whoever_loses_it_every_time_gets_nowhere_until_it_holds_more_than_ever() {
        let mut node = Headway::new(at(0));
        node.note(held(0, 90), at(1));
        for loss in 0..100 {
            node.note(held(0, 0), at(2 + loss));
            node.note(held(0, 80), at(2 + loss));
        }
        assert_eq!(node.moved_at(), at(11), "ten times it did");
        node.note(held(0, 91), at(200));
        node.note(held(0, 0), at(201));
        node.note(held(0, 80), at(202));
        assert_eq!(node.moved_at(), at(202), "it is as good as new");
    }
}
