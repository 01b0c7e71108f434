//! StuckDisk: a leader whose own disk has not answered for its patience leads no more: it could not
//! commit without the others' disks for ever, and they may do well without it (scenario B17). A
//! pause of its process starts the time anew.

use std::time::Duration;

use super::{Check, LifeId, Property, broken};

/// `leader` leads, though a write has been under way for `waits`, and may be for `limit`.
pub(crate) fn leads(leader: LifeId, waits: Duration, limit: Duration) -> Check {
    if waits <= limit {
        return Ok(());
    }
    broken(
        Property::StuckDisk,
        format_args!("{leader} leads with a write that waits for {waits:?}, over {limit:?}"),
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::check::testing::{life, must_fire};

    #[test]
    fn fires_when_a_leader_goes_on_beside_a_disk_that_does_not_answer() {
        let leads = |waits| {
            let waits = Duration::from_millis(waits);
            super::leads(life(1), waits, Duration::from_millis(500))
        };
        assert!(leads(500).is_ok());
        must_fire(Property::StuckDisk, leads(501));
    }
}
