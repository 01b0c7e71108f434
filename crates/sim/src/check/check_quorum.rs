//! CheckQuorum: a leader that has not heard a majority for the longest election timeout leads no
//! more (scenarios A09, A10): its heartbeats may be all that keeps the others from electing one
//! that can commit. A pause of its process starts the time anew.

use std::time::Duration;

use quorate_core::NodeId;

use super::{Check, Property, broken};

/// `leader` leads although only `heard` of `voters`, itself included, spoke within `limit`.
pub(crate) fn leads(leader: NodeId, heard: u64, voters: u64, limit: Duration) -> Check {
    if heard > voters / 2 {
        return Ok(());
    }
    broken(
        Property::CheckQuorum,
        format_args!("{leader} leads and heard {heard} of {voters} voters within {limit:?}"),
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::check::testing::{must_fire, n};

    #[test]
    fn fires_when_a_leader_hears_half_or_fewer() {
        let leads = |heard, voters| super::leads(n(1), heard, voters, Duration::from_millis(500));
        assert!(leads(2, 3).is_ok() && leads(1, 1).is_ok());
        must_fire(Property::CheckQuorum, leads(1, 3));
        must_fire(Property::CheckQuorum, leads(2, 4));
    }
}
