//! The bytes between nodes: frames, the handshake and the codec of [`PeerMessage`]. Pure: no
//! socket and no clock. Who may say what on which connection is decided in `link/`.
//!
//! A frame is
//!
//! ```text
//! length   u32  bytes that follow this field
//! crc      u32  CRC-32C of length, header length, header and payload
//! header   u32  bytes of the header
//! header        protobuf: what the message says, and the length of each command in it
//! payload       the commands' bytes, one after the other, untouched
//! ```
//!
//! with all numbers little-endian. Nodes of different versions share this layout; the handshake
//! ([`Hello`]) agrees on what the headers may hold.
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
#[cfg(test)]
mod tests;

pub use decode::decode;
pub use decoder::Decoder;
pub use encoded::{EncodedFrames, encode};
pub use error::WireError;
pub use frame::MAX_COMMANDS;
pub use hello::{HandshakeError, Hello, MAX_HELLO_BYTES, Version, VersionRange};
