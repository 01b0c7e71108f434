//! The readable history of a world: one aligned line per fact, with the state of every node in
//! columns. Made only when asked for; nothing reads it but people.

use std::collections::VecDeque;
use std::fmt::Write;

use quorate_core::RoleName;

use crate::world::node::Glimpse;

/// The newest lines of a history.
#[derive(Debug)]
pub struct Trace {
    lines: VecDeque<String>,
    keep: usize,
}

impl Trace {
    /// A trace of at most the newest `keep` lines.
    #[must_use]
    pub const fn new(keep: usize) -> Self {
        Self {
            lines: VecDeque::new(),
            keep,
        }
    }

    /// The lines, oldest first.
    pub fn lines(&self) -> impl Iterator<Item = &str> {
        self.lines.iter().map(String::as_str)
    }

    fn push(&mut self, line: String) {
        if self.lines.len() >= self.keep {
            self.lines.pop_front();
        }
        self.lines.push_back(line);
    }

    /// The settings of the world.
    pub(crate) fn knobs(&mut self, knobs: &impl std::fmt::Debug) {
        self.push(format!("{knobs:#?}"));
        self.push(
            "time in ms, event | role and term, last / commit / applied of each node | what"
                .to_owned(),
        );
    }

    /// One fact at `now` nanoseconds.
    pub(crate) fn line(
        &mut self,
        now: u64,
        event: u64,
        what: &str,
        nodes: impl Iterator<Item = Option<Glimpse>>,
    ) {
        let mut line = format!(
            "{:>9}.{:03} {event:>7} |",
            now / 1_000_000,
            now / 1000 % 1000
        );
        for seen in nodes {
            let column = seen.map_or_else(String::new, |seen| {
                let role = match seen.role {
                    RoleName::Follower => 'F',
                    RoleName::PreCandidate => 'P',
                    RoleName::Candidate => 'C',
                    RoleName::Leader => 'L',
                };
                let (last, commit) = (seen.last.get(), seen.commit.get());
                format!(
                    "{role}{} {last}/{commit}/{}",
                    seen.term.get(),
                    seen.applied.get()
                )
            });
            // Writing to a string cannot fail.
            let _ = write!(line, " {column:<16}|");
        }
        let _ = write!(line, " {what}");
        self.push(line);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_trace_keeps_the_newest_lines() {
        let mut trace = Trace::new(2);
        for line in ["one", "two", "three"] {
            trace.push(line.to_owned());
        }
        assert_eq!(trace.lines().collect::<Vec<_>>(), ["two", "three"]);
    }
}
