//! The exchange of handshakes on a fresh connection, byte by byte. What they say and when they are
//! refused is in `link/`; what is done about a refusal, in `dial.rs` and `accept.rs`.

use quorate_core::NodeId;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::ending::Ending;
use crate::link::{Dialling, Incoming, Local, Outgoing, Stranger};
use crate::wire::Hello;

/// The dialler's side: speaks first, and accepts only `peer`.
pub(super) async fn dial(
    stream: &mut TcpStream,
    local: &Local,
    peer: NodeId,
) -> Result<Outgoing, Ending> {
    let mut dialling = Dialling::new(local, peer);
    stream.write_all(&dialling.hello()).await?;
    loop {
        if let Some(outgoing) = dialling.introduced()? {
            return Ok(outgoing);
        }
        if stream.read_buf(dialling.room()).await? == 0 {
            return Err(Ending::Closed);
        }
    }
}

/// The acceptor's side: hears who dials, and answers.
pub(super) async fn accept(
    stream: &mut TcpStream,
    local: &Local,
    mut expected: impl FnMut(&Hello) -> bool,
) -> Result<Incoming, Ending> {
    let mut stranger = Stranger::new();
    loop {
        let introduced = stranger.introduced(local, &mut expected);
        if let Some(answer) = stranger.answer() {
            stream.write_all(&answer).await?;
        }
        if let Some(incoming) = introduced? {
            return Ok(incoming);
        }
        if stream.read_buf(stranger.room()).await? == 0 {
            return Err(Ending::Closed);
        }
    }
}
