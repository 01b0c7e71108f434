//! NoSpin: whoever was just asked what is due wants to be asked again later, and not at once: a
//! host that does as it is told would spend all its time on that.

use quorate_core::Time;

use super::{Check, LifeId, Property, broken};

/// `life` was asked at `now`, and wants to be asked again at `next`.
pub(crate) fn wants(life: LifeId, now: Time, next: Time) -> Check {
    if next > now {
        return Ok(());
    }
    broken(
        Property::NoSpin,
        format_args!("{life} was asked at {now:?} what is due, and wants to be asked at {next:?}"),
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::check::testing::{life, must_fire};

    #[test]
    fn fires_when_a_node_wants_to_be_asked_at_once_again() {
        let at = Time::from_nanos;
        assert!(wants(life(1), at(5), at(6)).is_ok() && wants(life(1), at(5), Time::NEVER).is_ok());
        must_fire(Property::NoSpin, wants(life(1), at(5), at(5)));
        must_fire(Property::NoSpin, wants(life(1), at(5), at(4)));
    }
}
