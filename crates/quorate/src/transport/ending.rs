//! What the two ends of a connection share on their tasks: the reasons for which it ends, and the
//! signs of life.

use std::io;

use tokio::io::{AsyncWrite, AsyncWriteExt};
use tokio::time::{Instant, MissedTickBehavior, interval_at};

use crate::link::{LinkError, SIGN_OF_LIFE_EVERY};
use crate::wire::EncodedFrames;

/// Why a connection ended, or did not come about.
#[derive(Debug, thiserror::Error)]
pub(super) enum Ending {
    /// There is nobody, or the network failed.
    #[error("{0}")]
    Io(#[from] io::Error),
    /// No connection or no handshake in time.
    #[error("no answer in time")]
    TimedOut,
    /// Nothing was heard for [`SILENCE_LIMIT`](crate::link::SILENCE_LIMIT).
    #[error("the peer fell silent")]
    Silent,
    /// What the other end sent.
    #[error("{0}")]
    Link(#[from] LinkError),
    /// The other end closed the connection.
    #[error("the peer closed the connection")]
    Closed,
    /// This node stops, or dials another address.
    #[error("this node closed the connection")]
    Local,
}

/// Writes signs of life for ever, on the side of a connection that says nothing else.
pub(super) async fn show_life(writer: &mut (impl AsyncWrite + Unpin)) -> Ending {
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
