//! What is sent arrives unchanged, in order, and without needless copies.

use bytes::{Buf, BufMut, Bytes};
use fastrand::Rng;
use quorate_core::{Body, Incarnation};

use super::{append, every_message};
use crate::PeerMessage;
use crate::wire::{Decoder, EncodedFrames, decode, encode};

#[test]
fn every_message_arrives_as_it_was_sent() {
    for message in every_message() {
        let bytes = encode(&message).into_bytes();
        assert_eq!(decode(bytes), Ok(Some(message)));
    }
}

/// Streams split and join frames as they like.
#[test]
fn decoder_finds_every_frame_wherever_the_stream_is_split() {
    let messages = every_message();
    let mut frames = EncodedFrames::new();
    for message in &messages {
        frames.push(message, 1 << 20).unwrap();
        frames.push_sign_of_life();
    }
    let stream = frames.into_bytes();
    let mut random = Rng::with_seed(7);
    for longest in [1, 3, 20, 5000, stream.len()] {
        let mut decoder = Decoder::new(1 << 20);
        let mut rest = stream.clone();
        let mut found = Vec::new();
        while rest.has_remaining() {
            let piece = rest.split_to(random.usize(1..=longest).min(rest.len()));
            if random.bool() {
                decoder.feed(&piece);
            } else {
                decoder.room().put_slice(&piece);
            }
            while let Some(frame) = decoder.next_frame().unwrap() {
                found.extend(decode(frame).unwrap());
            }
        }
        assert_eq!(found, messages, "pieces of up to {longest} bytes");
    }
}

/// What a vectored write takes is gone, and the rest is still in order.
#[test]
fn frames_leave_in_order_whatever_a_write_takes() {
    let messages = every_message();
    let whole: Vec<u8> = messages
        .iter()
        .flat_map(|m| encode(m).into_bytes())
        .collect();
    let mut random = Rng::with_seed(11);
    let mut frames = EncodedFrames::new();
    // The second round reuses the memory of the first.
    for _ in 0..2 {
        for message in &messages {
            frames.push(message, 1 << 20).unwrap();
        }
        let mut written = Vec::new();
        while frames.has_remaining() {
            let mut slices = [std::io::IoSlice::new(&[]); 4];
            let used = frames.chunks_vectored(&mut slices);
            let offered: Vec<u8> = slices[..used]
                .iter()
                .flat_map(|slice| slice.to_vec())
                .collect();
            let taken = random.usize(1..=offered.len());
            written.extend_from_slice(&offered[..taken]);
            frames.advance(taken);
        }
        assert!(written == whole, "bytes were lost, repeated or swapped");
    }
}

fn lies_within(inner: &[u8], outer: &[u8]) -> bool {
    outer.as_ptr_range().start <= inner.as_ptr_range().start
        && inner.as_ptr_range().end <= outer.as_ptr_range().end
}

/// Scenario H10: the leader's bytes are the entry; nobody rewrites or even copies them.
#[test]
fn large_payload_is_copied_neither_on_its_way_out_nor_on_its_way_in() {
    let command = Bytes::from(vec![7; 100_000]);
    let asker = Incarnation::new(1);
    let message = PeerMessage::Forward {
        request: 1,
        asker,
        leader: Incarnation::new(2),
        commands: vec![command.clone()],
    };
    let frames = encode(&message);
    let mut slices = [std::io::IoSlice::new(&[]); 4];
    let used = frames.chunks_vectored(&mut slices);
    assert!(
        slices[..used]
            .iter()
            .any(|slice| lies_within(slice, &command))
    );

    let bytes = frames.into_bytes();
    let Ok(Some(PeerMessage::Forward { commands, .. })) = decode(bytes.clone()) else {
        panic!("a forward was sent");
    };
    assert!(lies_within(&commands[0], &bytes));
}

/// A small command stays in the log's window for long; the buffer it was read into must not.
#[test]
fn small_payload_does_not_keep_the_read_buffer_alive() {
    let bytes = encode(&append(&[100, 100])).into_bytes();
    let Ok(Some(PeerMessage::Raft(message))) = decode(bytes.clone()) else {
        panic!("an append was sent");
    };
    let Body::Append { entries, .. } = message.body else {
        panic!("an append was sent")
    };
    assert!(
        entries
            .iter()
            .all(|entry| !lies_within(entry.payload.bytes(), &bytes))
    );
}
