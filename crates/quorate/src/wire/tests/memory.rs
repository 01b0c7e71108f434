//! What a frame takes in memory while it is decoded: in proportion to what correct peers send, not
//! to what a header claims (scenario H07).

use allocation_counter::measure;
use bytes::Bytes;
use prost::encoding::encode_varint;

use super::{entries, frame, raft};
use crate::wire::{Decoder, EncodedFrames, decode};
use quorate_core::{Body, EntryId, LogIndex, Round};

/// Bytes in the largest field of each header.
const LARGE: usize = 10_000_000;

/// A field of bytes, as protobuf writes it.
fn field(tag: u64, content: &[u8]) -> Vec<u8> {
    let mut field = Vec::new();
    encode_varint(tag << 3 | 2, &mut field);
    encode_varint(content.len() as u64, &mut field);
    field.extend_from_slice(content);
    field
}

/// The header of an append with this content, from node 1 to node 2.
fn append(content: &[u8]) -> Vec<u8> {
    let names = [1 << 3, 1, 2 << 3, 2];
    field(2, &[&names[..], &field(10, content)].concat())
}

/// The header of a forward with this content.
fn forward(content: &[u8]) -> Vec<u8> {
    field(3, content)
}

/// The header of a birth with this founding.
fn birth(stage: u64, founding: &[u8]) -> Vec<u8> {
    let directory = field(1, &[]);
    field(5, &[directory, field(stage, founding)].concat())
}

/// Bytes that decoding a frame with this header takes at its peak. Nobody may take it for one.
fn peak_bytes(header: &[u8]) -> u64 {
    let frame: Bytes = frame(header, b"");
    let decoded = measure(|| assert!(decode(frame.clone()).is_err()));
    decoded.bytes_max
}

#[test]
fn header_of_many_numbers_takes_no_more_memory_than_its_frame() {
    let zeros = vec![0; LARGE];
    // Not packed: each with its tag.
    let single = |tag: u8| [tag << 3, 0].repeat(LARGE / 2);
    let headers = [
        ("shapes", append(&field(6, &zeros))),
        ("terms", append(&field(4, &zeros))),
        ("lengths of runs", append(&field(5, &zeros))),
        ("lengths of commands", forward(&field(3, &zeros))),
        ("single shapes", append(&single(6))),
        ("single lengths", forward(&single(3))),
    ];
    for (what, header) in headers {
        let bytes = peak_bytes(&header);
        assert!(bytes < LARGE as u64, "{bytes} for {LARGE} of {what}");
    }
}

#[test]
fn founding_of_many_founders_takes_no_more_memory_than_its_frame() {
    let nobody = field(1, &[]).repeat(LARGE / 2);
    for stage in [3, 4] {
        let bytes = peak_bytes(&birth(stage, &nobody));
        assert!(bytes < LARGE as u64, "{bytes} for as many as fit");
    }
}

/// Bytes of an append with one entry of this length, behind so many signs of life as a node that
/// writes seldom sends meanwhile.
fn seldom_append(length: usize) -> Bytes {
    let mut frames = EncodedFrames::new();
    for _ in 0..2000 {
        frames.push_sign_of_life();
    }
    let append = raft(Body::Append {
        prev: EntryId::NONE,
        entries: entries(1, &[length]),
        commit: LogIndex::NONE,
        round: Round::ZERO,
        last: LogIndex::new(1),
    });
    frames.push(&append, 1 << 20).unwrap();
    frames.into_bytes()
}

/// Scenario B18: an engine keeps entries of so many bytes, not of so many buffers.
#[test]
fn entry_that_came_among_many_messages_does_not_keep_what_they_were_read_into() {
    const COUNT: usize = 10;
    for length in [100, 1025, 4 << 10, (16 << 10) + 1] {
        let stream = seldom_append(length).repeat(COUNT);
        let mut kept = Vec::with_capacity(COUNT);
        let taken = measure(|| {
            let mut decoder = Decoder::new(1 << 20);
            let mut rest = stream.as_slice();
            while !rest.is_empty() {
                let room = decoder.room();
                let count = rest.len().min(room.capacity() - room.len());
                room.extend_from_slice(&rest[..count]);
                rest = &rest[count..];
                while let Some(frame) = decoder.next_frame().unwrap() {
                    kept.extend(decode(frame).unwrap());
                }
            }
        });
        assert_eq!(kept.len(), COUNT);
        let most = COUNT * (1024 + 5 * length);
        assert!(
            taken.bytes_current < most as i64,
            "{} bytes are kept for {COUNT} of {length}",
            taken.bytes_current
        );
    }
}
