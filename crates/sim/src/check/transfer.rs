//! TransferSafety: leadership is only handed to a voter that holds everything; nothing is appended
//! meanwhile; it ends within the longest election timeout, and only whoever was told so by its
//! leader skips the silence owed to it (scenarios F01 to F05) [Thesis 3.10]. A leader that hands
//! over by itself leaves others their chance in between, and asks nobody twice (scenario G08).

use std::time::Duration;

use quorate_core::NodeId;

use super::{Check, LifeId, Property, broken};

/// `leader` tells `target` to campaign, which is a voter or not, and holds everything or not.
pub(crate) fn tells(leader: LifeId, target: NodeId, is_voter: bool, holds: bool) -> Check {
    if is_voter && holds {
        return Ok(());
    }
    broken(
        Property::TransferSafety,
        format_args!(
            "{leader} tells {target} to campaign (voter: {is_voter}, holds everything: {holds})"
        ),
    )
}

/// `leader` has been handing over for `since`, may do so for `limit`, and appends or not.
pub(crate) fn goes_on(leader: LifeId, appends: bool, since: Duration, limit: Duration) -> Check {
    if !appends && since <= limit {
        return Ok(());
    }
    broken(
        Property::TransferSafety,
        format_args!(
            "{leader} hands over since {since:?} of {limit:?} (appends meanwhile: {appends})"
        ),
    )
}

/// How long a transfer may last that goes on since `since` of `limit`, when its leader, whose
/// heartbeats come every `interval`, wakes `late` by so much: the target's word may be waiting.
pub(crate) fn limit_after_pause(
    (since, limit): (Duration, Duration),
    late: Duration,
    interval: Duration,
) -> Duration {
    (limit + late).max(since + interval)
}

/// `leader` begins to hand over to `target` by itself, as time passes, and asked these in vain
/// before; up to now it was handing over to `present`.
pub(crate) fn begins(
    leader: LifeId,
    target: NodeId,
    in_vain: &[NodeId],
    present: Option<NodeId>,
) -> Check {
    if present.is_none() && !in_vain.contains(&target) {
        return Ok(());
    }
    broken(
        Property::TransferSafety,
        format_args!(
            "{leader} hands over to {target} by itself right after {present:?}; it asked in vain: \
             {in_vain:?}"
        ),
    )
}

/// `leader` gives up to hand over to `target`, at the first tick since it began that came late;
/// whether the word that the target campaigns waits to be taken from its queue.
pub(crate) fn gives_up_late(leader: LifeId, target: NodeId, word_waits: bool) -> Check {
    if !word_waits {
        return Ok(());
    }
    broken(
        Property::TransferSafety,
        format_args!("{leader} slept and gives up to hand over to {target}, which campaigns"),
    )
}

/// `candidate` asks for votes in spite of the silence owed to a leader; whether that leader told
/// it to.
pub(crate) fn skips_silence(candidate: LifeId, is_told: bool) -> Check {
    if is_told {
        return Ok(());
    }
    broken(
        Property::TransferSafety,
        format_args!("{candidate} campaigns as if its leader had told it to"),
    )
}

/// `target` campaigns because of a word that is late: it was said to another life, or in a round
/// older than one that was answered since.
pub(crate) fn obeys_in_time(target: LifeId, is_late: bool) -> Check {
    if !is_late {
        return Ok(());
    }
    broken(
        Property::TransferSafety,
        format_args!("{target} campaigns at a word of its leader that is late"),
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::check::testing::{life, must_fire, n};

    #[test]
    fn fires_when_the_target_is_not_prepared() {
        let tells = |is_voter, holds| super::tells(life(1), n(2), is_voter, holds);
        assert!(tells(true, true).is_ok());
        must_fire(Property::TransferSafety, tells(false, true));
        must_fire(Property::TransferSafety, tells(true, false));
    }

    #[test]
    fn fires_when_a_leader_asks_twice_or_leaves_no_gap() {
        let begins = |in_vain: &[NodeId], present| begins(life(1), n(2), in_vain, present);
        assert!(begins(&[n(3)], None).is_ok());
        must_fire(Property::TransferSafety, begins(&[n(3), n(2)], None));
        must_fire(Property::TransferSafety, begins(&[], Some(n(3))));
        assert!(gives_up_late(life(1), n(2), false).is_ok());
        must_fire(Property::TransferSafety, gives_up_late(life(1), n(2), true));
    }

    #[test]
    fn fires_when_a_transfer_lasts_or_something_is_appended_or_silence_is_skipped() {
        let limit = Duration::from_nanos(100);
        let goes_on =
            |appends, since| goes_on(life(1), appends, Duration::from_nanos(since), limit);
        assert!(goes_on(false, 100).is_ok() && skips_silence(life(2), true).is_ok());
        must_fire(Property::TransferSafety, goes_on(true, 1));
        must_fire(Property::TransferSafety, goes_on(false, 101));
        let [since, late, interval] = [140, 40, 10].map(Duration::from_nanos);
        let excused = limit_after_pause((since, limit), late, interval);
        assert_eq!(excused, Duration::from_nanos(150));
        must_fire(Property::TransferSafety, skips_silence(life(2), false));
        assert!(obeys_in_time(life(2), false).is_ok());
        must_fire(Property::TransferSafety, obeys_in_time(life(2), true));
    }
}
