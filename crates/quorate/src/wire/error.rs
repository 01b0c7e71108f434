//! Why bytes from a peer were refused. Each of these ends the connection: after a damaged frame
//! nobody knows where the next one starts. Refused handshakes are in `hello.rs`.

/// Bytes that no correct peer sends. There is nothing to retry but the connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum WireError {
    /// A frame is longer than allowed. Found before memory is set aside for it (scenario H07).
    #[error("a frame of {length} bytes exceeds the limit of {limit} bytes")]
    TooLong {
        /// Bytes of the whole frame.
        length: u64,
        /// The limit, in bytes.
        limit: u64,
    },
    /// A frame is too short for its own fields, or is not as long as it says.
    #[error("a frame of {length} bytes is cut short")]
    TooShort {
        /// Bytes of the whole frame.
        length: u64,
    },
    /// The length of a frame and its check do not match: it was damaged on its way, or is no frame
    /// of this layout. Found before anything is done with it (scenario H07).
    #[error("the length of a frame is damaged, or the peer speaks something else")]
    LengthCheck,
    /// The checksum does not match: the frame was damaged on its way, or is no frame.
    #[error("the checksum of a frame does not match")]
    Checksum,
    /// The header is not what any version writes.
    #[error("malformed header: {what}")]
    Malformed {
        /// What does not fit.
        what: &'static str,
    },
    /// A node id is zero.
    #[error("a node id is zero")]
    ZeroNode,
    /// Entries reach beyond the largest index.
    #[error("the indexes of the entries overflow")]
    IndexOverflow,
    /// More commands than one frame may hold.
    #[error("{count} commands in one frame exceed the limit of {limit}")]
    TooManyCommands {
        /// How many were announced.
        count: u64,
        /// The limit.
        limit: u64,
    },
    /// The lengths of the commands do not add up to the payload.
    #[error("the commands of a frame do not add up to its {payload} payload bytes")]
    PayloadLength {
        /// Bytes after the header.
        payload: u64,
    },
}
