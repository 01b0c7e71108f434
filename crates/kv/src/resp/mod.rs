//! The Redis serialization protocol: bytes to requests ([`Decoder`]) and replies to bytes
//! ([`Output`]). Knows nothing of what a command means.

mod inline;
mod read;
mod reply;
mod write;

pub use read::{Decoder, Limits, ProtocolError, Request};
pub use reply::Reply;
pub use write::{Output, Protocol};
