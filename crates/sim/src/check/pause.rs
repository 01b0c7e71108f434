//! PauseForgiven: a tick that comes late says nothing of the others, whose messages may be waiting
//! in the queues of the process that slept; it never makes a follower campaign by itself, nor a
//! leader give up, whose majority or disk may have answered. Only where one late tick follows
//! another before anybody was heard does time count: such a host is slow, not paused.

use std::time::Duration;

use quorate_core::{Config, NodeId, RoleName, Time};

use super::{Check, Property, broken};

/// Whether a tick at `now`, wanted at `due`, is late enough to speak of a pause.
pub(crate) fn is_late(due: Time, now: Time, silence: Duration) -> bool {
    now > due.after(silence / 4)
}

/// Whether a tick that comes late is forgiven for certain, after one at `last` and with the process
/// running until `until`: in that time somebody was heard, or it was found out that nobody was.
pub(crate) fn is_forgiven(last: Option<Time>, until: Time, config: &Config) -> bool {
    let found_out = config.election_timeout_max * 3 + config.storage_patience;
    last.is_none_or(|last| until.since(last) > found_out)
}

/// A tick that came `late` by so much, the first late one for a while, took `node` from role
/// `before` to `after`.
pub(crate) fn ticked_late(
    node: NodeId,
    late: Duration,
    before: RoleName,
    after: RoleName,
) -> Check {
    let campaigns = matches!(after, RoleName::PreCandidate | RoleName::Candidate);
    if campaigns && before == RoleName::Follower {
        return broken(
            Property::PauseForgiven,
            format_args!("{node} campaigns at a tick that came {late:?} late"),
        );
    }
    Ok(())
}

/// Whether a leader, at the first tick for a while that came `late` by so much, gives up because
/// nobody, or no disk, has answered.
pub(crate) fn led_late(node: NodeId, late: Duration, gives_up: bool) -> Check {
    if !gives_up {
        return Ok(());
    }
    broken(
        Property::PauseForgiven,
        format_args!("{node} gives up leading after {late:?} in which it did not run"),
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::check::testing::{must_fire, n};

    #[test]
    fn fires_when_a_late_tick_starts_a_campaign() {
        let ticked =
            |before, after| super::ticked_late(n(1), Duration::from_millis(90), before, after);
        let (follower, asks) = (RoleName::Follower, RoleName::PreCandidate);
        assert!(ticked(follower, follower).is_ok());
        assert!(ticked(asks, asks).is_ok(), "it campaigned before");
        must_fire(Property::PauseForgiven, ticked(follower, asks));
        must_fire(
            Property::PauseForgiven,
            ticked(follower, RoleName::Candidate),
        );
    }

    #[test]
    fn fires_when_a_leader_gives_up_at_a_late_tick() {
        let led = |gives_up| super::led_late(n(1), Duration::from_millis(90), gives_up);
        assert!(led(false).is_ok());
        must_fire(Property::PauseForgiven, led(true));
    }

    #[test]
    fn a_late_tick_is_forgiven_when_the_last_one_is_long_ago() {
        let mut config = Config::new(n(1), 0);
        config.election_timeout_max = Duration::from_nanos(10);
        config.storage_patience = Duration::from_nanos(20);
        let at = Time::from_nanos;
        assert!(is_forgiven(None, at(1), &config));
        assert!(!is_forgiven(Some(at(100)), at(150), &config));
        assert!(is_forgiven(Some(at(100)), at(151), &config));
    }

    #[test]
    fn a_tick_is_late_after_a_quarter_of_the_shortest_election_timeout() {
        let late_at = |now| {
            super::is_late(
                Time::from_nanos(100),
                Time::from_nanos(now),
                Duration::from_nanos(40),
            )
        };
        assert!(!late_at(110) && late_at(111));
    }
}
