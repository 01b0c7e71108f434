//! Deterministic worlds of Quorate: real engines, or whole systems with their real log and wire
//! bytes, on simulated disks, networks, clocks, processes and clients, all under one seed. What
//! happens in a seed is decided by the seed alone, on every machine; so a failure is found again by
//! its number.
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
//! # When a seed fails
//! `quorate-sim shrink` records its choices as a [`Tape`] and takes choices away as long as the
//! same property is violated ([`shrink()`]). What is left, mostly some tens of choices and some
//! hundreds of events, is printed as one command that replays it.
//!
//! # To add to it
//! [`guide`] says how a fault, a checker and a workload are added, and how a trace is read. A world
//! is one variant of [`WorldName`] and one arm in [`run()`]: its draws come through [`Choices`], so
//! tapes and shrinking serve it as they are.

mod calm;
mod check;
mod choice;
mod counts;
pub mod crash_points;
mod describe;
mod digest;
mod goals;
pub mod guide;
mod habits;
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
