//! What the two ends of a connection share: its timing, its signs of life and the reasons for
//! which it ends.

use std::io;
use std::time::Duration;

use tokio::io::{AsyncWrite, AsyncWriteExt};
use tokio::time::{Instant, MissedTickBehavior, interval_at};

use crate::wire::{EncodedFrames, HandshakeError, WireError};

/// An end that has written nothing for this long writes a sign of life.
pub(super) const SIGN_OF_LIFE_EVERY: Duration = Duration::from_secs(1);

/// An end that has heard nothing for this long closes the connection: a host that lost its power
/// or its address sends no farewell (scenario H13).
pub(super) const SILENCE_LIMIT: Duration = Duration::from_secs(5);

/// Why a connection ended, or did not come about.
#[derive(Debug, thiserror::Error)]
pub(super) enum LinkError {
    /// There is nobody, or the network failed.
    #[error("{0}")]
    Io(#[from] io::Error),
    /// No connection or no handshake in time.
    #[error("no answer in time")]
    TimedOut,
    /// Nothing was heard for [`SILENCE_LIMIT`].
    #[error("the peer fell silent")]
    Silent,
    /// One of the two ends is configured wrongly.
    #[error("{0}")]
    Handshake(#[from] HandshakeError),
    /// The peer sent what no correct peer sends.
    #[error("{0}")]
    Wire(#[from] WireError),
    /// An engine's message names other nodes than the handshake.
    #[error("a message names other nodes than the handshake")]
    WrongNames,
    /// The other end closed the connection.
    #[error("the peer closed the connection")]
    Closed,
    /// This node stops, or dials another address.
    #[error("this node closed the connection")]
    Local,
}

/// Writes signs of life for ever, on the side of a connection that says nothing else.
pub(super) async fn show_life(writer: &mut (impl AsyncWrite + Unpin)) -> LinkError {
    let mut ticks = interval_at(Instant::now() + SIGN_OF_LIFE_EVERY, SIGN_OF_LIFE_EVERY);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut frames = EncodedFrames::new();
    loop {
        ticks.tick().await;
        frames.push_sign_of_life();
        if let Err(error) = writer.write_all_buf(&mut frames).await {
            return error.into();
        }
    }
}
