//! BoundedMemory: every queue that the engine fills stays within the limit that its settings name
//! (scenarios B20, B21). Below each limit one more item is let through, even if that exceeds it.

use quorate_core::{Config, Entries, LogIndex, NodeId};

use super::{Check, Property, broken};

/// Bytes of what a leader appends beside the batches of its users, and of what surrounds the
/// commands of one batch.
const BESIDE_BATCHES: u64 = 64 << 10;

/// `node` sends `entries` in one message.
pub(crate) fn sends(node: NodeId, entries: &Entries, config: &Config) -> Check {
    let limit = config.max_append_bytes;
    if entries.len() <= 1 || entries.size_bytes() <= limit {
        return Ok(());
    }
    exceeds(node, "bytes in one message", entries.size_bytes(), limit)
}

/// `node` waits for `inflight` answers of one peer.
pub(crate) fn awaits(node: NodeId, inflight: usize, config: &Config) -> Check {
    let limit = config.max_inflight_messages;
    if inflight <= limit {
        return Ok(());
    }
    exceeds(
        node,
        "unanswered messages to one peer",
        inflight as u64,
        limit as u64,
    )
}

/// `node` hands over `entries` while `unapplied_bytes` of earlier ones are not applied.
pub(crate) fn hands_over(
    node: NodeId,
    unapplied_bytes: u64,
    entries: &Entries,
    config: &Config,
) -> Check {
    let total = unapplied_bytes.saturating_add(entries.size_bytes());
    let is_last_item = unapplied_bytes < config.max_unapplied_bytes && entries.len() == 1;
    if is_last_item || total <= config.max_unapplied_bytes {
        return Ok(());
    }
    exceeds(
        node,
        "bytes handed over and not applied",
        total,
        config.max_unapplied_bytes,
    )
}

/// `leader` accepts a batch on top of `uncommitted_bytes` that it appended and has not committed.
pub(crate) fn accepts(leader: NodeId, uncommitted_bytes: u64, config: &Config) -> Check {
    if uncommitted_bytes < config.max_uncommitted_bytes {
        return Ok(());
    }
    exceeds(
        leader,
        "uncommitted bytes",
        uncommitted_bytes,
        config.max_uncommitted_bytes,
    )
}

/// `node` has asked for old entries `loads` times without an answer. It needs at most one load
/// per peer and one for its own state machine; a few more may be out of date, since a peer that
/// turns out to need something else is not made to wait for them.
pub(crate) fn loads(node: NodeId, loads: usize, nodes: u64, newest: LogIndex) -> Check {
    let limit = 4 * nodes;
    if loads as u64 <= limit {
        return Ok(());
    }
    exceeds(
        node,
        &format!("unanswered loads (the newest from {newest})"),
        loads as u64,
        limit,
    )
}

/// `leader` has appended so many bytes that it has not committed. A batch is accepted below the
/// limit, whatever its size; memberships and the first entry of a term are not counted there.
pub(crate) fn holds_uncommitted(leader: NodeId, bytes: u64, config: &Config) -> Check {
    let batch = config.max_append_bytes.max(config.max_entry_bytes) + BESIDE_BATCHES;
    let limit = config.max_uncommitted_bytes.saturating_add(batch);
    if bytes <= limit {
        return Ok(());
    }
    exceeds(leader, "uncommitted bytes", bytes, limit)
}

/// `node` takes more `what` of its users while so many wait already.
pub(crate) fn takes(node: NodeId, what: &str, waiting: usize, limit: usize) -> Check {
    if waiting < limit {
        return Ok(());
    }
    let what = format!("waiting {what}, and takes more");
    exceeds(node, &what, waiting as u64, limit as u64)
}

/// Something is larger than its limit.
fn exceeds(node: NodeId, what: &str, value: u64, limit: u64) -> Check {
    broken(
        Property::BoundedMemory,
        format_args!("{node} has {value} {what}; the limit is {limit}"),
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::check::testing::{i, must_fire, n, t};
    use quorate_core::{Entry, Payload};

    fn entries(count: u64) -> Entries {
        (1..=count)
            .map(|index| Entry {
                index: i(index),
                term: t(1),
                payload: Payload::Noop,
            })
            .collect()
    }

    fn config() -> Config {
        let mut config = Config::new(n(1), 0);
        config.max_append_bytes = 100;
        config.max_inflight_messages = 2;
        config.max_unapplied_bytes = 100;
        config.max_uncommitted_bytes = 100;
        config
    }

    #[test]
    fn fires_when_a_queue_exceeds_its_limit_but_not_for_a_single_large_item() {
        let config = config();
        assert!(sends(n(1), &entries(1), &config).is_ok());
        must_fire(Property::BoundedMemory, sends(n(1), &entries(2), &config));
        assert!(awaits(n(1), 2, &config).is_ok());
        must_fire(Property::BoundedMemory, awaits(n(1), 3, &config));
        assert!(hands_over(n(1), 0, &entries(1), &config).is_ok());
        must_fire(
            Property::BoundedMemory,
            hands_over(n(1), 100, &entries(1), &config),
        );
        must_fire(
            Property::BoundedMemory,
            hands_over(n(1), 0, &entries(2), &config),
        );
        assert!(accepts(n(1), 99, &config).is_ok());
        must_fire(Property::BoundedMemory, accepts(n(1), 100, &config));
        let uncommitted = |bytes| holds_uncommitted(n(1), bytes, &config);
        let most = 100 + config.max_entry_bytes.max(100) + BESIDE_BATCHES;
        assert!(uncommitted(most).is_ok());
        must_fire(Property::BoundedMemory, uncommitted(most + 1));
        assert!(takes(n(1), "reads", 3, 4).is_ok());
        must_fire(Property::BoundedMemory, takes(n(1), "reads", 4, 4));
        assert!(loads(n(1), 12, 3, i(1)).is_ok());
        must_fire(Property::BoundedMemory, loads(n(1), 13, 3, i(1)));
    }
}
