//! SnapshotDue: a snapshot is asked for only when enough was applied since the newest, whichever
//! way that one came. What an installed one holds counts toward none (scenario D14).

use super::{Check, LifeId, Property, broken};

/// `life` asks for a snapshot when so many entries were applied since its newest, and so many bytes
/// were handed over since that was asked for, or installed. One of them has to reach its limit.
pub(crate) fn asks(
    life: LifeId,
    (bytes, entries): (u64, u64),
    (max_bytes, max_entries): (Option<u64>, Option<u64>),
) -> Check {
    let is_enough =
        max_bytes.is_some_and(|max| bytes >= max) || max_entries.is_some_and(|max| entries >= max);
    if is_enough && entries > 0 {
        return Ok(());
    }
    broken(
        Property::SnapshotDue,
        format_args!(
            "{life} asks for a snapshot after {bytes} bytes and {entries} entries; it is to ask \
             after {max_bytes:?} bytes or {max_entries:?} entries"
        ),
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::check::testing::{life, must_fire};

    #[test]
    fn fires_when_too_little_was_applied_since_the_newest() {
        let asks = |since, limits| super::asks(life(1), since, limits);
        assert!(asks((100, 1), (Some(100), None)).is_ok());
        assert!(asks((1, 5), (Some(100), Some(5))).is_ok());
        must_fire(Property::SnapshotDue, asks((99, 4), (Some(100), Some(5))));
        must_fire(Property::SnapshotDue, asks((100, 0), (Some(100), None)));
        must_fire(Property::SnapshotDue, asks((100, 5), (None, None)));
    }
}
