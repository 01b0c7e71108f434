//! Raft consensus as a pure state machine: `Engine::step(Event) -> Vec<Action>`.
//!
//! The engine has no I/O, clock, thread or operating-system randomness. Everything that happens
//! to it is an [`Event`]; everything it wants done is an [`Action`]. The same events in the same
//! order give the same actions, byte for byte.
//!
//! # The contract, in six rules
//!
//! 1. **Perform the actions of a step in order**, before the next step. One by one is always
//!    right. To overlap disk and network, let each [`Action::Send`] leave as soon as every write
//!    up to its `needs` is durable, and perform writes in the order of their [`WriteId`].
//! 2. **Report what became of them**: [`Event::Persisted`] when every write up to one is on stable
//!    storage, [`Event::Applied`] when the state machine got somewhere, [`Event::Loaded`] for each
//!    [`Action::LoadEntries`], and [`Event::StorageFailed`] for any write that failed.
//! 3. **Tick at [`Engine::next_timeout`]**, and before each batch of other events, with a
//!    monotonic clock that counts suspension.
//! 4. **Messages may be lost, repeated and reordered**, but not changed. They need not be honest.
//! 5. **A proposal is done** when an entry of the index and term in [`Action::Proposed`] is
//!    applied, and only then. A read is served at [`Action::ReadReady`], after the
//!    [`Action::Apply`] before it.
//! 6. **At every start** draw a fresh seed and [`Incarnation`], and hand over what the disk holds
//!    to [`Engine::recover`].
//!
//! # A cluster of one
//!
//! ```
//! use bytes::Bytes;
//! use quorate_core::{
//!     Action, Config, Engine, Event, Incarnation, Membership, NodeId, ProposalId, Time,
//! };
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let node = NodeId::new(1).ok_or("zero names nobody")?;
//! let config = Config::new(node, 7).validate()?;
//! let founders = Membership::new([node], []);
//! let mut engine = Engine::new(config, Incarnation::new(1), founders, Time::ZERO);
//!
//! // Nobody leads yet: the first thing to happen is that time passes.
//! let mut events = vec![Event::Tick { now: engine.next_timeout().at }];
//! let commands = vec![Bytes::from_static(b"hello")];
//! let mut proposal = Some(Event::Propose { proposal: ProposalId::FIRST, commands });
//! let mut applied = Vec::new();
//! while let Some(event) = events.pop().or_else(|| proposal.take()) {
//!     for action in engine.step(event) {
//!         match action {
//!             // A real host writes, syncs, and then reports.
//!             Action::SaveHardState { write, .. } | Action::AppendEntries { write, .. } => {
//!                 events.push(Event::Persisted(write));
//!             }
//!             Action::Apply { entries } => {
//!                 events.extend(entries.last().map(|last| Event::Applied(last.index)));
//!                 applied.extend(entries.iter().map(|entry| entry.payload.bytes().to_vec()));
//!             }
//!             Action::Fatal(violation) => return Err(violation.into()),
//!             Action::Proposed { .. } | Action::Refused { .. } | Action::ReadReady { .. } => {}
//!             Action::RoleChanged { .. } | Action::MembershipChanged { .. } => {}
//!             // No operator asks for changes, and the log is too short for a snapshot.
//!             Action::MembershipAppended { .. } | Action::Removed { .. } => {}
//!             Action::HandedOver { .. } | Action::SnapshotDue | Action::PurgeLog { .. } => {}
//!             Action::ReceiveSnapshot { .. } | Action::DropSnapshot { .. } => {}
//!             Action::InstallSnapshot { .. } | Action::RestoreSnapshot { .. } => {}
//!             // Alone there is nobody to write to, and nothing has left memory.
//!             Action::Send { .. } | Action::LoadEntries { .. } => {}
//!         }
//!     }
//! }
//! assert_eq!(applied, [b"".to_vec(), b"hello".to_vec()], "the term's no-op, then the command");
//! # Ok(())
//! # }
//! ```
//!
//! # What it tells a log
//!
//! With the feature `tracing` the engine emits events with the target `quorate::engine` and these
//! fields, all in the form in which traces print them (`n1`, `t7`, `i42`):
//!
//! | message | level | fields |
//! |---|---|---|
//! | `role changed` | debug | `node`, `role`, `term`, `leader` |
//! | `no majority answered` | info | `node`, `term` |
//! | `own disk does not answer` | warn | `node`, `term` |
//! | `membership in force` | debug | `node`, `index`, `voters`, `learners` |
//! | `removed` | info | `node`, `index` |
//! | `a peer lost what it had acknowledged` | warn | `node`, `peers` |
//! | `snapshot offered` | debug | `node`, `last` |
//! | `snapshot to be installed` | info | `node`, `last`, `discard_log` |
//! | `handing over` | debug | `node`, `target` |
//! | `no takeover in time` | info | `node`, `target` |
//! | `repaired` | info | `node`, `last` |
//! | `no room for entries` | warn | `node`, `room_bytes` |
//! | `stopped` | error | `node`, `violation` |
//!
//! # Where to read on
//!
//! The examples `elect` (three engines in one thread) and `tiny_host` (a host in full); then
//! [`Event`], [`Action`] and [`Engine::step`]. The scripts in `tests/interaction` show the protocol
//! happen, line by line; `election.txt` is the first to read.
#![no_std]

extern crate alloc;

mod action;
mod applies;
mod catch_up;
mod change;
mod config;
mod engine;
mod entry;
mod event;
mod hard_state;
mod headway;
mod ids;
mod lease;
mod ledger;
mod log;
mod log_sizes;
mod membership;
mod memberships;
mod message;
mod outbox;
mod progress;
mod quorum;
mod reads;
mod recovered;
mod room;
mod snapshot;
mod snapshots;
mod status;
mod telemetry;
mod terms;
mod time;
mod timeout;
mod window;
mod writes;

pub use action::{Action, LoadPurpose, Refusal, Request, RoleName, TransferRefusal, Violation};
pub use change::{Change, ChangeRefusal};
pub use config::{Config, ConfigError, Priority, ValidConfig};
pub use engine::Engine;
pub use entry::{Entries, Entry, Payload};
pub use event::{Event, LoadOutcome};
pub use hard_state::{Floor, HardState};
pub use ids::{
    ChangeId, EntryId, Incarnation, LoadId, LogIndex, NodeId, ProposalId, ReadId, Round, Term,
    TransferId, WriteId,
};
pub use membership::{DecodeMembershipError, Membership};
pub use message::{AppendOutcome, Body, Message, SnapshotOutcome};
pub use recovered::{RecoverError, Recovered};
pub use snapshot::SnapshotMeta;
pub use status::{Counters, PeerMode, PeerStatus, Status};
pub use time::Time;
pub use timeout::{Timeout, TimeoutReason};
