//! What the tests are built from: short names for ids, one engine on a bench (`bench.rs`), and a
//! cluster with disks and a network (`world.rs`) whose every step is checked for safety.

pub(crate) mod bench;
pub(crate) mod changes;
pub(crate) mod contract;
pub(crate) mod disk;
pub(crate) mod network;
pub(crate) mod node;
pub(crate) mod operations;
pub(crate) mod outcomes;
pub(crate) mod safety;
pub(crate) mod snapshots;
pub(crate) mod trace;
pub(crate) mod world;

use bytes::Bytes;
use core::time::Duration;
use quorate_core::{
    Config, Entries, Entry, EntryId, LogIndex, Membership, NodeId, Payload, Round, Term,
};

/// The shortest election timeout of every engine under test, in milliseconds.
pub(crate) const ELECTION_MIN_MS: u64 = 250;
/// The longest, which is also how long a leader goes on without a majority.
pub(crate) const ELECTION_MAX_MS: u64 = 500;
/// The heartbeat interval, in milliseconds.
pub(crate) const HEARTBEAT_MS: u64 = 50;

pub(crate) fn n(id: u64) -> NodeId {
    NodeId::new(id).unwrap()
}

pub(crate) const fn i(index: u64) -> LogIndex {
    LogIndex::new(index)
}

pub(crate) const fn t(term: u64) -> Term {
    Term::new(term)
}

pub(crate) const fn r(round: u64) -> Round {
    Round::new(round)
}

pub(crate) const fn ms(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

/// The entry at `index`, of `term`.
pub(crate) const fn id(index: u64, term: u64) -> EntryId {
    EntryId::new(i(index), t(term))
}

/// Voters 1 to `count`.
pub(crate) fn voters(count: u64) -> Membership {
    Membership::new((1..=count).map(n), [])
}

/// Settings with the intervals above, whatever the defaults are.
pub(crate) fn config(id: NodeId, seed: u64) -> Config {
    let mut config = Config::new(id, seed);
    config.heartbeat_interval = ms(HEARTBEAT_MS);
    config.election_timeout_min = ms(ELECTION_MIN_MS);
    config.election_timeout_max = ms(ELECTION_MAX_MS);
    config.storage_patience = ms(ELECTION_MAX_MS);
    config
}

/// Commands from `first` on, one for each of `terms`; each command names its place.
pub(crate) fn entries(first: u64, terms: &[u64]) -> Entries {
    let entry = |(offset, &term): (usize, &u64)| {
        let index = first + offset as u64;
        Entry {
            index: i(index),
            term: t(term),
            payload: Payload::Command(Bytes::from(format!("{index}.{term}"))),
        }
    };
    terms.iter().enumerate().map(entry).collect()
}
