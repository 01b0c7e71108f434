//! Finds the frames in a stream of bytes. Does not look into them: `decode` does.

use bytes::{Bytes, BytesMut};

use super::WireError;
use super::frame::{PREFIX_BYTES, START_BYTES, checked_length};

/// How much is read at once, where there is as much.
const CHUNK_BYTES: usize = 64 * 1024;

/// With less room than this left in the current chunk, the next one is begun.
const LEAST_ROOM_BYTES: usize = 4 * 1024;

/// Cuts a stream into frames. Feed it through [`Decoder::room`] or [`Decoder::feed`] and take
/// frames until there is none; after an error it is of no further use.
#[derive(Debug)]
pub struct Decoder {
    buffer: BytesMut,
    max_frame_bytes: u32,
}

impl Decoder {
    /// A decoder that refuses frames longer than this, all fields counted.
    #[must_use]
    pub fn new(max_frame_bytes: u32) -> Self {
        Self {
            buffer: BytesMut::new(),
            max_frame_bytes,
        }
    }

    /// Changes the limit, once a handshake has shown who sends.
    pub fn set_max_frame_bytes(&mut self, max_frame_bytes: u32) {
        self.max_frame_bytes = max_frame_bytes;
    }

    /// Appends bytes that were received.
    pub fn feed(&mut self, bytes: &[u8]) {
        self.buffer.extend_from_slice(bytes);
    }

    /// The buffer, with room at its end to read into: for the rest of a frame that has begun, or
    /// for a chunk of the usual size. Call after [`Decoder::next_frame`] returned `None`.
    pub fn room(&mut self) -> &mut BytesMut {
        let missing = match self.announced() {
            Some(Ok(total)) => total.saturating_sub(self.buffer.len()),
            Some(Err(_)) | None => 0,
        };
        let spare = self.buffer.capacity() - self.buffer.len();
        if spare < missing.max(LEAST_ROOM_BYTES) {
            self.buffer.reserve(missing.max(CHUNK_BYTES));
        }
        &mut self.buffer
    }

    /// The next complete frame, with all its fields, for [`decode`](super::decode()). It shares
    /// the memory that was read into.
    ///
    /// # Errors
    /// The stream announces a frame whose length is damaged, or that is too long or too short.
    /// Found in its first eight bytes, before memory is set aside for the rest or the rest is
    /// waited for.
    pub fn next_frame(&mut self) -> Result<Option<Bytes>, WireError> {
        let Some(total) = self.announced().transpose()? else {
            return Ok(None);
        };
        if self.buffer.len() < total {
            return Ok(None);
        }
        Ok(Some(self.buffer.split_to(total).freeze()))
    }

    /// Bytes of the frame at the start of the buffer, once its length and the check of that are
    /// there.
    fn announced(&self) -> Option<Result<usize, WireError>> {
        let start = self.buffer.first_chunk()?;
        Some(checked_length(start).and_then(|length| self.admitted(length)))
    }

    /// Bytes of a frame of this length, if it may be that long.
    fn admitted(&self, length: u32) -> Result<usize, WireError> {
        let length = u64::from(length) + START_BYTES as u64;
        let limit = u64::from(self.max_frame_bytes);
        if length > limit {
            return Err(WireError::TooLong { length, limit });
        }
        match usize::try_from(length) {
            Ok(total) if total >= PREFIX_BYTES => Ok(total),
            Ok(_) | Err(_) => Err(WireError::TooShort { length }),
        }
    }
}
