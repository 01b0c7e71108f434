//! The bytes between nodes: frames, the handshake and the codec of [`PeerMessage`]. Pure: no
//! socket and no clock. Who may say what on which connection is decided in `link/`.
//!
//! A frame is
//!
//! ```text
//! length   u32  bytes that follow the first two fields
//! check    u32  CRC-32C of length
//! crc      u32  CRC-32C of length, header length, header and payload
//! header   u32  bytes of the header
//! header        protobuf: what the message says, and the length of each command in it
//! payload       the commands' bytes, one after the other, untouched
//! ```
//!
//! with all numbers little-endian. Nodes of different versions share this layout, from version 3
//! on; the handshake ([`Hello`]) agrees on what the headers may hold.
//!
//! The length has a check of its own because it is used before the rest of its frame is there. A
//! damaged one that was believed would make the receiver wait for the end of a frame that nobody
//! sends, and take the messages that come meanwhile, up to the limit, for the inside of it.
//!
//! [`PeerMessage`]: crate::PeerMessage

mod decode;
mod decoder;
mod encode;
mod encoded;
mod error;
mod frame;
mod header;
mod hello;
mod packed;
#[cfg(test)]
mod tests;

pub use decode::decode;
pub use decoder::Decoder;
pub use encoded::{EncodedFrames, encode};
pub use error::WireError;
pub use frame::MAX_COMMANDS;
pub use hello::{HandshakeError, Hello, MAX_HELLO_BYTES, Version, VersionRange};
