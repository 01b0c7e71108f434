//! Replicate your own service.
mod error;
mod peer;
mod state_machine;

pub use error::{ProposeError, ReadError};
pub use peer::{ForwardOutcome, PeerMessage};
pub use state_machine::{ApplyContext, DecodeError, StateMachine};
