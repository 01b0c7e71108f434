//! The exchange of handshakes on a fresh connection. What they say and when they are refused is
//! in `wire/hello.rs`; what is done about a refusal, in `dial.rs` and `accept.rs`.

use std::time::Duration;

use quorate_core::NodeId;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::Local;
use super::link::LinkError;
use crate::wire::{Decoder, HandshakeError, Hello, MAX_HELLO_BYTES};

/// A peer that has not introduced itself by then is not one.
pub(super) const TIMEOUT: Duration = Duration::from_secs(5);

/// The dialler's side: speaks first, and accepts only `peer`. Gives the decoder, which may hold
/// the start of what follows the handshake.
pub(super) async fn dial(
    stream: &mut TcpStream,
    local: &Local,
    peer: NodeId,
) -> Result<Decoder, LinkError> {
    stream.write_all(&local.hello(peer).encode()).await?;
    let (hello, decoder) = receive(stream, local).await?;
    hello.check(local.cluster, local.node, |from| from == peer)?;
    Ok(decoder)
}

/// The acceptor's side: hears who dials, and answers.
pub(super) async fn accept(
    stream: &mut TcpStream,
    local: &Local,
    expected: impl FnOnce(&Hello) -> bool,
) -> Result<(NodeId, Decoder), LinkError> {
    let (hello, decoder) = receive(stream, local).await?;
    let verdict = hello.check(local.cluster, local.node, |_| expected(&hello));
    // The answer shows the dialler what does not fit, so that both ends log the same reason. Who
    // is merely not welcome must not take an answer for a welcome.
    if !matches!(verdict, Err(HandshakeError::UnexpectedSender { .. })) {
        stream.write_all(&local.hello(hello.from).encode()).await?;
    }
    verdict?;
    Ok((hello.from, decoder))
}

async fn receive(stream: &mut TcpStream, local: &Local) -> Result<(Hello, Decoder), LinkError> {
    let mut decoder = Decoder::new(MAX_HELLO_BYTES);
    loop {
        if let Some(frame) = decoder.next_frame()? {
            decoder.set_max_frame_bytes(local.max_frame_bytes);
            return Ok((Hello::decode(frame)?, decoder));
        }
        if stream.read_buf(decoder.room()).await? == 0 {
            return Err(LinkError::Closed);
        }
    }
}
