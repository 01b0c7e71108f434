//! A deterministic world of Quorate engines: real engines, simulated disks, network, clocks,
//! processes and clients, all under one seed. What happens in a seed is decided by the seed
//! alone, on every machine; so a failure is found again by its number.
//!
//! ```
//! use quorate_sim::{Options, Source, WorldName, run};
//!
//! let run_seed = || run(WorldName::Engines, &Source::Seed(7), Options::new(500));
//! let outcome = run_seed();
//! assert_eq!(outcome.violation, None);
//! assert_eq!(outcome.digest, run_seed().digest);
//! ```
//!
//! A world runs in two parts. Under faults, every property of [`Property`] that speaks of safety
//! is checked after every step, and for what concerns a single action, as it is performed. Then
//! all faults end, and the cluster must elect a leader, serve writes and reads at every member,
//! end with equal logs and be quiet, in bounded virtual time.
//!
//! Meanwhile operators change the membership, hand leadership over and restart nodes that were
//! removed; snapshots are taken, fetched, lost and installed; clocks drift as far as leases allow
//! for; disks fill up and are freed; and logs lose entries that they had acknowledged, one node at
//! a time, which is as much as can be survived.
//!
//! # To add a fault
//! Give it a setting in `knobs.rs`, off in half of the seeds, and switch it off in
//! `Knobs::calm`. Name its draws in `site.rs`; every random number comes through
//! [`Choices::choose`], and zero is the calmest. Let it strike in `world/faults.rs`, `network.rs`
//! or `storage.rs`, and count it in `counts.rs`: a fault that never strikes proves nothing.
//!
//! # To add a checker
//! One file under `check/`, one variant of [`Property`], and a test that shows it firing on a
//! made-up history. It is told facts in `world/observe.rs` and answers at once. It must be
//! incremental: its cost may depend on the step, never on the length of the history.
//!
//! # To add a workload
//! `world/client.rs` holds what clients do and what they are told. Reschedule it like the others,
//! and end it when the world is calm.
//!
//! # Not modelled
//! One engine per node stands for the whole host, so bytes on the wire and on disk are not here.
//! That a disk can tell damage from a torn write is taken for granted, and so is that the bytes of
//! a snapshot arrive as they were sent.

mod calm;
mod check;
mod choice;
mod counts;
pub mod crash_points;
mod describe;
mod digest;
mod goals;
pub mod history;
mod knobs;
mod roster;
mod run;
mod shape;
mod shrink;
mod site;
mod system;
mod tape;
mod trace;
mod world;

pub use check::{Property, Violation};
pub use choice::{Choices, Source};
pub use counts::Counts;
pub use goals::{Goal, Goals, Missed, Reached};
pub use run::{Options, Outcome, UnknownWorld, WorldName, run};
pub use shrink::{DEFAULT_RUNS, Shrunk, shrink};
pub use site::Site;
pub use tape::text::{BadCase, Case};
pub use tape::{Choice, Tape};
pub use trace::Trace;
