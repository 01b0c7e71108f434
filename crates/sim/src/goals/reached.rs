//! The goals of a campaign: in how many seeds each was reached, and in which first. Whether that
//! is enough.

use std::fmt;

use super::{Goal, Goals};
use crate::run::WorldName;

/// What the runs of one world have reached together.
#[derive(Clone, Debug)]
pub struct Reached {
    world: WorldName,
    /// By goal: how many seeds, and the lowest.
    seeds: Vec<(u64, u64)>,
}

/// Goals that no seed has reached.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Missed(pub Vec<Goal>);

impl Reached {
    /// Runs of this world, none of them made yet.
    #[must_use]
    pub fn new(world: WorldName) -> Self {
        Self {
            world,
            seeds: vec![(0, u64::MAX); Goal::ALL.len()],
        }
    }

    /// Adds the run of a seed. The order of the seeds does not matter.
    pub fn add(&mut self, seed: u64, goals: Goals) {
        for (goal, (count, first)) in Goal::ALL.iter().zip(&mut self.seeds) {
            if goals.contains(*goal) {
                *count += 1;
                *first = seed.min(*first);
            }
        }
    }

    /// Says whether every goal of the world that is asked for was reached.
    ///
    /// # Errors
    /// Those that were not.
    pub fn check(&self) -> Result<(), Missed> {
        let missed = self.all().filter(|it| it.1 == 0 && it.0.is_required());
        let mut missed: Vec<Goal> = missed.map(|it| it.0).collect();
        missed.sort_unstable_by_key(|goal| goal.name());
        if missed.is_empty() {
            Ok(())
        } else {
            Err(Missed(missed))
        }
    }

    /// The goals of the world: each with its seeds, and the lowest of them.
    fn all(&self) -> impl Iterator<Item = (Goal, u64, u64)> {
        let known = Goal::ALL.iter().zip(&self.seeds);
        let known = known.map(|(goal, (count, first))| (*goal, *count, *first));
        known.filter(|(goal, ..)| goal.is_in(self.world))
    }
}

impl fmt::Display for Reached {
    /// One goal per line, the rarest last.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut all: Vec<_> = self.all().collect();
        all.sort_by_key(|(goal, count, _)| (u64::MAX - count, goal.label()));
        for (goal, count, first) in all {
            if count == 0 {
                writeln!(f, "{count:>14}  {}", goal.label())?;
            } else {
                writeln!(f, "{count:>14}  {} (first seed {first})", goal.label())?;
            }
        }
        Ok(())
    }
}

impl fmt::Display for Missed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "goals missed, {} of them:", self.0.len())?;
        for goal in &self.0 {
            writeln!(f, "  {}: {}", goal.name(), goal.label())?;
        }
        Ok(())
    }
}

impl std::error::Error for Missed {}

#[cfg(test)]
mod tests {
    use super::*;

    fn one(goal: Goal) -> Goals {
        let mut goals = Goals::NONE;
        goals.insert(goal);
        goals
    }

    #[test]
    fn listing_tells_seeds_and_the_first_and_ends_with_the_rarest() {
        let mut reached = Reached::new(WorldName::Engines);
        reached.add(9, one(Goal::SplitVote));
        reached.add(4, one(Goal::SplitVote));
        reached.add(7, one(Goal::QuorumLost));
        let listing = reached.to_string();
        let mut lines = listing.lines().map(str::trim);
        assert_eq!(lines.next(), Some("2  split vote (first seed 4)"));
        let second = "1  leader without a majority stepped down (first seed 7)";
        assert_eq!(lines.next(), Some(second));
        assert!(lines.all(|line| line.starts_with("0 ")));
    }

    #[test]
    fn check_fails_with_the_goals_of_this_world_that_were_missed() {
        let mut reached = Reached::new(WorldName::Engines);
        for goal in Goal::ALL.iter().filter(|goal| **goal != Goal::SplitVote) {
            reached.add(0, one(*goal));
        }
        assert_eq!(reached.check(), Err(Missed(vec![Goal::SplitVote])));
        reached.add(1, one(Goal::SplitVote));
        assert_eq!(
            reached.check(),
            Ok(()),
            "goals of systems are not asked for"
        );
        let nothing = Reached::new(WorldName::Engines);
        let Err(missed) = nothing.check() else {
            panic!("a campaign without seeds has reached nothing");
        };
        assert!(!missed.0.contains(&Goal::TornEntries));
    }
}
