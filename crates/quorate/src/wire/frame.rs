//! The layout of one frame: its fixed fields and its checksum. What the header means is in
//! `encode.rs` and `decode.rs`; where a frame ends in a stream, in `decoder.rs`.

use bytes::{Buf, Bytes};

use super::WireError;

/// Commands in one frame, at most. Keeps a hostile frame of empty commands from growing to many
/// times its size in memory. The engine counts at least 64 bytes per entry, so a
/// `max_append_bytes` of up to 64 MiB never meets this limit.
pub const MAX_COMMANDS: usize = 1 << 20;

/// A header longer than this is refused before it is parsed: [`MAX_COMMANDS`] lengths of up to
/// five bytes each, and as much again for the rest.
const MAX_HEADER_BYTES: usize = 10 << 20;

/// Bytes of the length field, which the length itself does not count.
pub(super) const LENGTH_BYTES: usize = 4;

/// Bytes before the header: length, checksum, header length.
pub(super) const PREFIX_BYTES: usize = 12;

/// The fields before the header, in the order in which they are written.
pub(super) fn prefix(length: u32, checksum: u32, header_length: u32) -> [u8; PREFIX_BYTES] {
    let mut bytes = [0; PREFIX_BYTES];
    let fields = [length, checksum, header_length];
    for (place, field) in bytes.chunks_exact_mut(4).zip(fields) {
        place.copy_from_slice(&field.to_le_bytes());
    }
    bytes
}

/// The checksum of a frame that starts with these lengths, to be continued over header and
/// payload.
pub(super) fn checksum_start(length: u32, header_length: u32) -> u32 {
    crc32c::crc32c_append(
        crc32c::crc32c(&length.to_le_bytes()),
        &header_length.to_le_bytes(),
    )
}

/// Checks a complete frame and takes it apart into header and payload, both of which share its
/// memory.
pub(super) fn open(mut frame: Bytes) -> Result<(Bytes, Bytes), WireError> {
    let total = frame.len() as u64;
    if frame.len() < PREFIX_BYTES {
        return Err(WireError::TooShort { length: total });
    }
    let length = frame.get_u32_le();
    let checksum = frame.get_u32_le();
    let header_length = frame.get_u32_le();
    if u64::from(length) + LENGTH_BYTES as u64 != total {
        return Err(WireError::TooShort { length: total });
    }
    // `frame` is what follows the prefix by now: header and payload.
    let found = crc32c::crc32c_append(checksum_start(length, header_length), &frame);
    if found != checksum {
        return Err(WireError::Checksum);
    }
    let header_length = header_length as usize;
    if header_length > frame.len() {
        return Err(WireError::Malformed {
            what: "the header is longer than its frame",
        });
    }
    if header_length > MAX_HEADER_BYTES {
        return Err(WireError::Malformed {
            what: "the header is too long",
        });
    }
    let header = frame.split_to(header_length);
    Ok((header, frame))
}
