//! Encoded frames on their way out, as a list of byte slices for one vectored write. Large
//! commands are slices of the memory they came in; everything small is gathered in one buffer.

use std::collections::VecDeque;
use std::io::IoSlice;

use bytes::{Buf, BufMut, Bytes, BytesMut};
use prost::Message;
use quorate_core::{Body, Entry, Payload};

use super::frame::{MAX_COMMANDS, PREFIX_BYTES, START_BYTES, checksum_start, prefix};
use super::header::Header;
use super::{WireError, encode as headers};
use crate::PeerMessage;

/// From this size on a command is passed on as it is; copying a smaller one costs less than a
/// slice of its own in the system call.
const SHARED_FROM_BYTES: usize = 1024;

/// One message as one frame.
///
/// A frame of 4 GiB or more cannot say its length; it announces the largest there is, which no
/// [`Decoder`](super::Decoder) accepts. [`EncodedFrames::push`] has a limit to stay below.
#[must_use]
pub fn encode(message: &PeerMessage) -> EncodedFrames {
    let mut frames = EncodedFrames::new();
    frames.append(&headers::header(message), payloads(message));
    frames
}

/// Frames that wait to be written, in order. Read them out as a [`Buf`]: what a vectored write
/// takes is removed from the front. Kept and filled again, it reuses its memory.
#[derive(Debug, Default)]
pub struct EncodedFrames {
    /// Finished slices, before everything in `tail`.
    parts: VecDeque<Bytes>,
    /// Sum of the lengths in `parts`.
    parts_bytes: usize,
    /// What was gathered since the last shared slice.
    tail: BytesMut,
}

impl EncodedFrames {
    /// No frames.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds the frame of `message`.
    ///
    /// # Errors
    /// The frame would be longer than `max_frame_bytes`, all fields counted, or hold more than
    /// [`MAX_COMMANDS`]. Then nothing was added: the receiver would close the connection on it,
    /// again and again (scenario B19).
    pub fn push(&mut self, message: &PeerMessage, max_frame_bytes: u32) -> Result<(), WireError> {
        let (count, payload) = payloads(message)
            .fold((0usize, 0usize), |(count, bytes), payload| {
                (count + 1, bytes + payload.len())
            });
        if count > MAX_COMMANDS {
            let limit = MAX_COMMANDS as u64;
            return Err(WireError::TooManyCommands {
                count: count as u64,
                limit,
            });
        }
        let header = headers::header(message);
        let length = (PREFIX_BYTES + header.encoded_len() + payload) as u64;
        let limit = u64::from(max_frame_bytes);
        if length > limit {
            return Err(WireError::TooLong { length, limit });
        }
        self.append(&header, payloads(message));
        Ok(())
    }

    /// Adds a frame that says nothing but that the sender is there. Every version skips it.
    pub fn push_sign_of_life(&mut self) {
        self.append(&Header { kind: None }, std::iter::empty());
    }

    /// All frames as one slice. Copies, unless there is but one slice.
    #[must_use]
    pub fn into_bytes(mut self) -> Bytes {
        self.copy_to_bytes(self.remaining())
    }

    pub(super) fn append<'a>(
        &mut self,
        header: &Header,
        payloads: impl Iterator<Item = &'a Bytes> + Clone,
    ) {
        let header_length = header.encoded_len();
        let payload_length: usize = payloads.clone().map(Bytes::len).sum();
        let length = PREFIX_BYTES - START_BYTES + header_length + payload_length;
        let length = u32::try_from(length).unwrap_or(u32::MAX);
        let header_field = u32::try_from(header_length).unwrap_or(u32::MAX);

        let start = self.tail.len();
        self.tail
            .reserve(PREFIX_BYTES + header_length + payload_length.min(SHARED_FROM_BYTES));
        self.tail.put_bytes(0, PREFIX_BYTES);
        header.encode_raw(&mut self.tail);

        let header_bytes = self.tail.get(start + PREFIX_BYTES..).unwrap_or_default();
        let checksum = crc32c::crc32c_append(checksum_start(length, header_field), header_bytes);
        let checksum = payloads.clone().fold(checksum, |checksum, payload| {
            crc32c::crc32c_append(checksum, payload)
        });
        if let Some(place) = self.tail.get_mut(start..start + PREFIX_BYTES) {
            place.copy_from_slice(&prefix(length, checksum, header_field));
        }

        for payload in payloads {
            if payload.len() < SHARED_FROM_BYTES {
                self.tail.put_slice(payload);
            } else {
                self.share(payload.clone());
            }
        }
    }

    /// Adds a slice without copying it.
    fn share(&mut self, bytes: Bytes) {
        let gathered = self.tail.split().freeze();
        self.parts_bytes += gathered.len() + bytes.len();
        self.parts.extend(
            [gathered, bytes]
                .into_iter()
                .filter(|part| !part.is_empty()),
        );
    }
}

impl Buf for EncodedFrames {
    fn remaining(&self) -> usize {
        self.parts_bytes + self.tail.len()
    }

    fn chunk(&self) -> &[u8] {
        self.parts.front().map_or(self.tail.as_ref(), Bytes::as_ref)
    }

    fn chunks_vectored<'a>(&'a self, slices: &mut [IoSlice<'a>]) -> usize {
        let parts = self.parts.iter().map(Bytes::as_ref);
        let tail = (!self.tail.is_empty()).then_some(self.tail.as_ref());
        let mut used = 0;
        for (slice, bytes) in slices.iter_mut().zip(parts.chain(tail)) {
            *slice = IoSlice::new(bytes);
            used += 1;
        }
        used
    }

    /// Copies nothing where the bytes are in one slice.
    fn copy_to_bytes(&mut self, count: usize) -> Bytes {
        if self.parts.is_empty() {
            return self.tail.copy_to_bytes(count);
        }
        let mut copy = BytesMut::with_capacity(count);
        copy.put(self.take(count));
        copy.freeze()
    }

    /// # Panics
    /// If fewer than `count` bytes remain, as [`Buf`] demands.
    fn advance(&mut self, mut count: usize) {
        while let Some(front) = self.parts.front_mut() {
            let taken = count.min(front.len());
            front.advance(taken);
            count -= taken;
            self.parts_bytes -= taken;
            if front.has_remaining() {
                return;
            }
            self.parts.pop_front();
        }
        self.tail.advance(count);
    }
}

/// The payload of a message, command by command.
fn payloads(message: &PeerMessage) -> impl Iterator<Item = &Bytes> + Clone {
    let (entries, commands): (&[Entry], &[Bytes]) = match message {
        PeerMessage::Raft(message) => match &message.body {
            Body::Append { entries, .. } => (entries, &[]),
            Body::PreVote { .. }
            | Body::PreVoteReply { .. }
            | Body::Vote { .. }
            | Body::VoteReply { .. }
            | Body::AppendReply { .. }
            | Body::SnapshotOffer { .. }
            | Body::SnapshotReply { .. }
            | Body::TimeoutNow { .. }
            | Body::Removed { .. }
            | Body::ReadIndex { .. }
            | Body::ReadIndexReply { .. } => (&[], &[]),
        },
        PeerMessage::Forward { commands, .. } => (&[], commands),
        PeerMessage::ForwardReply { .. } | PeerMessage::Birth { .. } => (&[], &[]),
    };
    let of_entries = entries.iter().filter_map(|entry| match &entry.payload {
        Payload::Noop => None,
        Payload::Command(bytes) | Payload::Membership(bytes) => Some(bytes),
    });
    of_entries.chain(commands)
}
