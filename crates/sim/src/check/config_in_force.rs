//! ConfigInForce: the membership in force at a node is the newest one in its log, committed or
//! not, or what the founders agreed on (scenarios C03, C05, C13). A node that was added without
//! the founders' word learns it from a snapshot at the latest. Where the founders are is nobody's
//! to agree on.

use quorate_core::{LogIndex, Membership};

use super::{Check, LifeId, Property, broken};

/// Whether the same nodes take part in the same way, wherever they are.
pub(crate) fn are_alike(one: &Membership, other: &Membership) -> bool {
    one.voters() == other.voters() && one.learners() == other.learners()
}

/// `life` shows a membership and the index of its entry; the newest in its log is `in_log`.
pub(crate) fn shows(
    life: LifeId,
    shown: (LogIndex, &Membership),
    in_log: Option<(LogIndex, &Membership)>,
    founders: &Membership,
    is_founder: bool,
) -> Check {
    let is_true = match in_log {
        Some(newest) => shown == newest,
        None => {
            let knows_nobody = !is_founder && *shown.1 == Membership::default();
            shown.0 == LogIndex::NONE && (are_alike(shown.1, founders) || knows_nobody)
        }
    };
    if is_true {
        return Ok(());
    }
    broken(
        Property::ConfigInForce,
        format_args!("{life} goes by {shown:?}; its log says {in_log:?}"),
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::check::testing::{i, life, must_fire, n};

    #[test]
    fn fires_when_the_membership_is_not_the_newest_in_the_log() {
        let founders = Membership::new([n(1), n(2)], []);
        let later = Membership::new([n(1), n(2), n(3)], []);
        let nobody = Membership::default();
        let shows =
            |shown, in_log, is_founder| super::shows(life(1), shown, in_log, &founders, is_founder);
        assert!(shows((i(0), &founders), None, true).is_ok());
        assert!(shows((i(7), &later), Some((i(7), &later)), true).is_ok());
        assert!(shows((i(0), &nobody), None, false).is_ok());
        let elsewhere = founders.clone().with_address(n(1), "b");
        assert!(shows((i(0), &elsewhere), None, true).is_ok());
        let moved = later.clone().with_address(n(1), "b");
        must_fire(
            Property::ConfigInForce,
            shows((i(7), &moved), Some((i(7), &later)), true),
        );
        must_fire(Property::ConfigInForce, shows((i(0), &nobody), None, true));
        must_fire(
            Property::ConfigInForce,
            shows((i(0), &founders), Some((i(7), &later)), true),
        );
        must_fire(Property::ConfigInForce, shows((i(7), &later), None, true));
    }
}
