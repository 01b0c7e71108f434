//! Random damage, from fixed seeds: to frames, which the checksum finds, and to headers under a
//! correct checksum, which the decoder has to survive.

use bytes::{Buf, BufMut, Bytes, BytesMut};
use fastrand::Rng;
use quorate_core::{Body, Message};

use super::{every_message, frame};
use crate::PeerMessage;
use crate::wire::frame::{PREFIX_BYTES, START_BYTES, prefix};
use crate::wire::{Decoder, WireError, decode, encode};

fn flip_bits(bytes: &mut [u8], random: &mut Rng) {
    for _ in 0..random.usize(1..4) {
        let place = random.usize(..bytes.len());
        bytes[place] ^= 1 << random.u32(..8);
    }
}

/// Scenario H07: a checksum of 32 bits finds all errors of up to three bits in frames this short.
#[test]
fn damaged_frames_never_become_messages() {
    let mut random = Rng::with_seed(0x51ed);
    let frames: Vec<Bytes> = every_message()
        .iter()
        .map(|m| encode(m).into_bytes())
        .collect();
    for _ in 0..20_000 {
        let whole = &frames[random.usize(..frames.len())];
        let mut damaged = whole.to_vec();
        match random.u32(..3) {
            0 => flip_bits(&mut damaged, &mut random),
            1 => damaged.truncate(random.usize(..whole.len())),
            _ => damaged.extend((0..random.usize(1..40)).map(|_| random.u8(..))),
        }
        if damaged != whole[..] {
            let shown = damaged.clone();
            assert!(
                decode(damaged.into()).is_err(),
                "read from damaged bytes: {shown:?}"
            );
        }
    }
}

/// Scenario H07: the decoder says so before anything else of the frame is there, whatever the
/// length, and though the damaged one would be allowed.
#[test]
fn damaged_lengths_are_refused_by_the_first_eight_bytes() {
    let mut random = Rng::with_seed(0x1e9);
    let refused = |whole: u64, damage: u64| {
        let mut decoder = Decoder::new(u32::MAX);
        decoder.feed(&(whole ^ damage).to_le_bytes());
        assert_eq!(
            decoder.next_frame(),
            Err(WireError::LengthCheck),
            "{damage:x} makes another length of {whole:x}"
        );
    };
    for length in [8, 29, 4096, 1 << 26, random.u32(8..1 << 26)] {
        let whole = u64::from_le_bytes(*prefix(length, 0, 0).first_chunk().unwrap());
        for first in 0..64 {
            for second in first..64 {
                for third in second..64 {
                    // Where they are equal they undo each other: one or three flipped bits.
                    refused(whole, 1 << first ^ 1 << second ^ 1 << third);
                }
            }
            for second in first + 1..64 {
                refused(whole, 1 << first | 1 << second);
            }
            // Any number of flipped bits that lie within 32.
            for _ in 0..100 {
                refused(whole, u64::from(random.u32(1..)) << first.min(32));
            }
        }
    }
}

/// With the checksums made right, damage reaches the parser: anything may come out but a panic or
/// entries that break the engine's assumptions.
#[test]
fn hostile_headers_neither_panic_nor_give_ill_formed_entries() {
    let mut random = Rng::with_seed(0xbad);
    let frames: Vec<Bytes> = every_message()
        .iter()
        .map(|m| encode(m).into_bytes())
        .collect();
    let mut accepted = 0;
    for _ in 0..50_000 {
        let whole = &frames[random.usize(..frames.len())];
        let header_length = whole.slice(PREFIX_BYTES - 4..).get_u32_le();
        let header_end = PREFIX_BYTES + header_length as usize;
        let mut header = whole[PREFIX_BYTES..header_end].to_vec();
        if random.bool() && !header.is_empty() {
            flip_bits(&mut header, &mut random);
        } else {
            header = (0..random.usize(1..60)).map(|_| random.u8(..)).collect();
        }
        let payload = whole.slice(header_end..);
        let Ok(Some(message)) = decode(frame(&header, &payload)) else {
            continue;
        };
        accepted += 1;
        if let PeerMessage::Raft(Message {
            body: Body::Append { prev, entries, .. },
            ..
        }) = message
        {
            assert!(entries.is_well_formed());
            assert!(
                entries
                    .first()
                    .is_none_or(|first| first.index == prev.index.next())
            );
        }
    }
    assert!(
        accepted > 100,
        "the noise never gets past the parser, so it tests nothing"
    );
}

#[test]
fn random_streams_never_panic_the_decoder() {
    let mut random = Rng::with_seed(3);
    let mut cut = 0;
    for _ in 0..2_000 {
        let mut decoder = Decoder::new(4096);
        let mut stream = BytesMut::new();
        stream.put_slice(&prefix(random.u32(..5000), 0, 0)[..START_BYTES]);
        stream.extend((0..random.usize(..6000)).map(|_| random.u8(..)));
        decoder.feed(&stream);
        while let Ok(Some(frame)) = decoder.next_frame() {
            assert!(decode(frame).is_err(), "noise passed the checksum");
            cut += 1;
        }
    }
    assert!(
        cut > 100,
        "the noise never makes a frame, so it tests nothing"
    );
}
