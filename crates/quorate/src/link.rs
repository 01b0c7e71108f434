//! What the two ends of a connection decide, without the connection: who may speak on it, what
//! bytes become of messages and messages of bytes, and what waits or is dropped when the other end
//! is slow. Pure: bytes in, bytes out, no socket, task or clock. The TCP transport is a thin layer
//! of tasks around it; a simulator or a transport of your own can be another.
//!
//! Connections have a direction. Whoever has something to say dials: it begins as a [`Dialling`]
//! and becomes an [`Outgoing`] when the other end has introduced itself. Whoever is dialled begins
//! as a [`Stranger`] to us and becomes an [`Incoming`]. After the handshake, messages go from the
//! dialling end to the other, and nothing but signs of life goes back.
//!
//! ```text
//! Queue ─▶ Outgoing ── handshake, then frames ──▶ Incoming ─▶ inbox
//!                   ◀── handshake, then signs of life ──
//! ```
//!
//! Time is the caller's: the durations that both ends rely on are the constants of this module.

mod accepting;
mod backoff;
mod dialling;
mod guests;
mod local;
mod queue;
#[cfg(test)]
mod tests;

use std::time::Duration;

use crate::wire::{HandshakeError, WireError};

pub use accepting::{Incoming, Stranger};
pub use backoff::Backoff;
pub use dialling::{Dialling, Outgoing};
pub use guests::Guests;
pub use local::Local;
pub use queue::Queue;

/// How long to wait for a peer that does not even refuse, at all of its addresses. No longer than
/// the longest pause between attempts, so that a peer that returns is found about as fast
/// (scenario H15).
pub const CONNECT_TIMEOUT: Duration = Backoff::CAP;

/// How long both ends wait for the handshake, the dialling end from before it connects: a peer
/// that has not introduced itself by then is not one.
pub const HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(5);

/// An end that has written nothing for this long writes a sign of life
/// ([`EncodedFrames::push_sign_of_life`](crate::wire::EncodedFrames::push_sign_of_life)).
pub const SIGN_OF_LIFE_EVERY: Duration = Duration::from_secs(1);

/// An end that has heard nothing for this long closes the connection: a host that lost its power
/// or its address sends no farewell (scenario H13).
pub const SILENCE_LIMIT: Duration = Duration::from_secs(5);

/// How long a peer that is let go of may take to read what was sent to it before.
pub const FAREWELL: Duration = Duration::from_secs(5);

/// Why what the other end sent ends the connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum LinkError {
    /// One of the two ends is configured wrongly.
    #[error("{0}")]
    Handshake(#[from] HandshakeError),
    /// The peer sent what no correct peer sends.
    #[error("{0}")]
    Wire(#[from] WireError),
    /// An engine's message names other nodes than the handshake.
    #[error("a message names other nodes than the handshake")]
    WrongNames,
}
