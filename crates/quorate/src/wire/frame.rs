//! The layout of one frame: its fixed fields and its checksums. What the header means is in
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

/// Bytes of the length and its check, which the length itself does not count.
pub(super) const START_BYTES: usize = 8;

/// Bytes before the header: length, check, checksum, header length.
pub(super) const PREFIX_BYTES: usize = 16;

/// The fields before the header, in the order in which they are written.
pub(super) fn prefix(length: u32, checksum: u32, header_length: u32) -> [u8; PREFIX_BYTES] {
    let mut bytes = [0; PREFIX_BYTES];
    let fields = [length, length_check(length), checksum, header_length];
    for (place, field) in bytes.chunks_exact_mut(4).zip(fields) {
        place.copy_from_slice(&field.to_le_bytes());
    }
    bytes
}

/// What follows a length to show that it is whole. For zero it is not zero. For a length of ones
/// it is all ones, but no limit admits that length.
fn length_check(length: u32) -> u32 {
    crc32c::crc32c(&length.to_le_bytes())
}

/// The checksum of a frame that starts with these lengths, to be continued over header and
/// payload.
pub(super) fn checksum_start(length: u32, header_length: u32) -> u32 {
    crc32c::crc32c_append(length_check(length), &header_length.to_le_bytes())
}

/// The length at the start of a frame, once it is certain that the sender wrote this number.
pub(super) fn checked_length(start: &[u8; START_BYTES]) -> Result<u32, WireError> {
    let mut start = start.as_slice();
    let length = start.get_u32_le();
    if start.get_u32_le() == length_check(length) {
        Ok(length)
    } else {
        Err(WireError::LengthCheck)
    }
}

/// Checks a complete frame and takes it apart into header and payload, both of which share its
/// memory.
pub(super) fn open(mut frame: Bytes) -> Result<(Bytes, Bytes), WireError> {
    let total = frame.len() as u64;
    let too_short = WireError::TooShort { length: total };
    if frame.len() < PREFIX_BYTES {
        return Err(too_short);
    }
    let length = checked_length(frame.first_chunk().ok_or(too_short)?)?;
    if u64::from(length) + START_BYTES as u64 != total {
        return Err(too_short);
    }
    frame.advance(START_BYTES);
    let checksum = frame.get_u32_le();
    let header_length = frame.get_u32_le();
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
