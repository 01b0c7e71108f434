//! Raft consensus as a pure state machine: `Engine::step(Event) -> Vec<Action>`.
//!
//! The engine has no I/O, clock, thread or operating-system randomness. Everything that happens
//! to it is an [`Event`]; everything it wants done is an [`Action`]. The same events in the same
//! order give the same actions, byte for byte.
#![no_std]

extern crate alloc;

mod action;
mod applies;
mod config;
mod engine;
mod entry;
mod event;
mod hard_state;
mod ids;
mod ledger;
mod log;
mod membership;
mod message;
mod outbox;
mod progress;
mod quorum;
mod reads;
mod recovered;
mod status;
mod terms;
mod time;
mod timeout;
mod window;
mod writes;

pub use action::{Action, LoadPurpose, Refusal, Request, RoleName, Violation};
pub use config::{Config, ConfigError, ValidConfig};
pub use engine::Engine;
pub use entry::{Entries, Entry, Payload};
pub use event::{Event, LoadOutcome};
pub use hard_state::{Floor, HardState};
pub use ids::{
    EntryId, Incarnation, LoadId, LogIndex, NodeId, ProposalId, ReadId, Round, Term, WriteId,
};
pub use membership::Membership;
pub use message::{AppendOutcome, Body, Message};
pub use recovered::{RecoverError, Recovered};
pub use status::{Counters, PeerStatus, Status};
pub use time::Time;
pub use timeout::{Timeout, TimeoutReason};
