//! What hosts do that an engine has to put up with, apart from faults: how they name snapshots and
//! when they take them, what they say that nobody asked for, and where they believe the founders
//! to be. What comes of it is in `world/`.

use quorate_core::Membership;

use crate::choice::Choices;
use crate::knobs::MILLI;
use crate::site::Site;

/// The habits of the hosts of one world. Each is drawn at a site of its own, so that no other
/// setting is another one by it.
#[derive(Clone, Debug)]
pub(crate) struct Habits {
    /// Reads of old entries that return more than was asked for.
    pub(crate) more_ppm: u64,
    /// Snapshots that are reported once more, or before they are installed.
    pub(crate) report_ppm: u64,
    /// Longest time from when a snapshot is due to when the machine is captured.
    pub(crate) capture_max: u64,
    /// Two snapshots of one state have one checksum, and so one name, wherever they were taken.
    pub(crate) are_alike: bool,
    /// Each start of a founder draws anew where it believes the founders to be.
    pub(crate) mixed_addresses: bool,
}

impl Habits {
    /// Draws the habits of a world.
    pub(crate) fn draw(choices: &mut Choices) -> Self {
        Self {
            more_ppm: rate(choices, Site::LoadMore),
            report_ppm: rate(choices, Site::Report),
            capture_max: match choices.chance(300_000, Site::Capture) {
                true => choices.log_between(MILLI, 500 * MILLI, Site::Capture),
                false => 0,
            },
            are_alike: choices.chance(500_000, Site::Alike),
            mixed_addresses: choices.chance(500_000, Site::Address),
        }
    }

    /// The same without mistakes.
    #[must_use]
    pub(crate) fn calm(&self) -> Self {
        Self {
            more_ppm: 0,
            report_ppm: 0,
            capture_max: 0,
            ..self.clone()
        }
    }

    /// The founders, as a node is told that starts now.
    pub(crate) fn founders(&self, founders: &Membership, choices: &mut Choices) -> Membership {
        if !self.mixed_addresses {
            return founders.clone();
        }
        let told = founders.clone();
        founders
            .members()
            .fold(told, |told, node| match choices.choose(3, Site::Address) {
                0 => told,
                place => told.with_address(node, format!("{node}/{place}")),
            })
    }
}

/// A rate that is zero in half of the worlds.
fn rate(choices: &mut Choices, site: Site) -> u64 {
    let is_on = choices.chance(500_000, site);
    let rate = choices.log_between(10_000, 500_000, site);
    if is_on { rate } else { 0 }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::choice::Source;
    use crate::tape::Tape;
    use quorate_core::NodeId;

    #[test]
    fn a_calm_world_has_hosts_that_agree_and_make_no_mistakes() {
        let mut none = Choices::of(&Source::Tape(Tape::default()));
        let calmest = Habits::draw(&mut none);
        let founders = Membership::new(NodeId::new(1), []);
        assert_eq!(calmest.founders(&founders, &mut none), founders);
        let drawn = (0..50).map(|seed| Habits::draw(&mut Choices::new(seed)).calm());
        for habits in drawn.chain([calmest]) {
            let mistakes = [habits.more_ppm, habits.report_ppm, habits.capture_max];
            assert_eq!(mistakes, [0; 3]);
        }
    }

    #[test]
    fn founders_are_the_same_nodes_wherever_they_are_believed_to_be() {
        let founders = Membership::new([1, 2, 3].map(|id| NodeId::new(id).unwrap()), []);
        let mut choices = Choices::new(1);
        let habits = Habits {
            mixed_addresses: true,
            ..Habits::draw(&mut choices)
        };
        let mut told = (0..10).map(|_| habits.founders(&founders, &mut choices));
        let first = told.next().unwrap();
        let others: Vec<_> = told.filter(|it| *it != first).collect();
        assert!(!others.is_empty(), "all ten starts were told the same");
        assert!(others.iter().all(|it| it.voters() == founders.voters()));
    }
}
