//! What no correct peer sends is refused, though its checksum is right, and what only newer ones
//! send is skipped. Damage on the way is in `damage.rs`.

use bytes::{Buf, Bytes};
use prost::Message as _;
use quorate_core::{Incarnation, Membership};

use super::{append, every_message, frame, membership, node};
use crate::PeerMessage;
use crate::wire::decode::parse;
use crate::wire::frame::{PREFIX_BYTES, START_BYTES, prefix};
use crate::wire::header::{self, Header, Kind, RaftBody};
use crate::wire::packed::pack;
use crate::wire::{Decoder, EncodedFrames, MAX_COMMANDS, WireError, decode, encode};

fn read_index() -> header::Raft {
    let ask = header::ReadIndex { read: 1 };
    header::Raft {
        from: 1,
        to: 2,
        term: 9,
        sender: 1,
        receiver: 1,
        body: Some(RaftBody::ReadIndex(ask)),
    }
}

fn packed(numbers: &[u64]) -> Bytes {
    pack(numbers.iter().copied())
}

fn decode_kind(kind: Kind, payload: &'static [u8]) -> Result<Option<PeerMessage>, WireError> {
    let header = Header { kind: Some(kind) };
    decode(frame(&header.encode_to_vec(), payload))
}

/// Scenario H07
#[test]
fn length_is_checked_before_memory_is_set_aside() {
    let mut decoder = Decoder::new(1 << 16);
    decoder.feed(&prefix(u32::MAX, 0, 0)[..START_BYTES]);
    let expected = WireError::TooLong {
        length: u64::from(u32::MAX) + 8,
        limit: 1 << 16,
    };
    assert_eq!(decoder.next_frame(), Err(expected));
    assert!(
        decoder.room().capacity() < 1 << 20,
        "eight bytes claimed {expected}"
    );

    let mut decoder = Decoder::new(1 << 16);
    decoder.feed(&prefix(7, 0, 0)[..START_BYTES]);
    assert_eq!(
        decoder.next_frame(),
        Err(WireError::TooShort { length: 15 })
    );
}

/// Scenario H07: one byte over and over, other protocols, and what an older build sends.
#[test]
fn stream_of_no_frames_is_refused_by_its_first_eight_bytes() {
    let refusal = |start: [u8; START_BYTES]| {
        let mut decoder = Decoder::new(u32::MAX);
        decoder.feed(&start[..START_BYTES - 1]);
        assert_eq!(decoder.next_frame(), Ok(None), "half a start says nothing");
        decoder.feed(&start[START_BYTES - 1..]);
        decoder.next_frame().unwrap_err()
    };
    for byte in 0..u8::MAX {
        assert_eq!(refusal([byte; START_BYTES]), WireError::LengthCheck);
    }
    // The one byte that is its own check is no length.
    let ones = refusal([u8::MAX; START_BYTES]);
    assert!(matches!(ones, WireError::TooLong { .. }), "{ones:?}");
    for words in [
        *b"GET / HT",
        *b"*3\r\n$3\r\n",
        *b"\x16\x03\x01\x02\0\x01\0\x01",
    ] {
        assert_eq!(refusal(words), WireError::LengthCheck);
    }
    // Version 2 had all fields but the check, with the same values.
    for message in every_message() {
        let frame = encode(&message).into_bytes();
        let older = [&frame[..4], &frame[8..12]].concat();
        assert_eq!(refusal(older.try_into().unwrap()), WireError::LengthCheck);
    }
}

/// Scenario B19: what the receiver would refuse is not sent.
#[test]
fn frame_beyond_the_limit_is_not_begun() {
    let message = append(&[50_000]);
    let length = u32::try_from(encode(&message).remaining()).unwrap();
    let mut frames = EncodedFrames::new();
    assert!(matches!(
        frames.push(&message, length - 1),
        Err(WireError::TooLong { .. })
    ));
    assert!(
        !frames.has_remaining(),
        "half a frame would break the connection"
    );
    frames.push(&message, length).unwrap();

    let mut decoder = Decoder::new(length);
    decoder.feed(&frames.into_bytes());
    let frame = decoder.next_frame().unwrap().unwrap();
    assert_eq!(
        decode(frame),
        Ok(Some(message)),
        "sender and receiver disagree on the limit"
    );

    let (request, asker) = (1, Incarnation::new(1));
    let commands = vec![Bytes::new(); MAX_COMMANDS + 1];
    let many = PeerMessage::Forward {
        request,
        asker,
        leader: Incarnation::new(2),
        commands,
    };
    let refused = EncodedFrames::new().push(&many, u32::MAX);
    assert!(matches!(refused, Err(WireError::TooManyCommands { .. })));
    assert!(matches!(
        decode(encode(&many).into_bytes()),
        Err(WireError::TooManyCommands { .. })
    ));
}

/// Scenario H07: rolling upgrade.
#[test]
fn unknown_kinds_of_message_are_skipped() {
    let unknown_field = [0xfa, 0x3f, 2, 1, 2];
    assert_eq!(decode(frame(&[], b"")), Ok(None), "a sign of life");
    assert_eq!(decode(frame(&unknown_field, b"with a payload")), Ok(None));
    let mut unknown_body = read_index();
    unknown_body.body = None;
    assert_eq!(decode_kind(Kind::Raft(unknown_body), b""), Ok(None));

    let known = encode(&append(&[])).into_bytes();
    let mut extended = parse(known.slice(PREFIX_BYTES..)).unwrap().encode_to_vec();
    extended.extend_from_slice(&unknown_field);
    let decoded = decode(frame(&extended, b""));
    assert_eq!(decoded, Ok(Some(append(&[]))), "a new field is skipped");
}

/// Two commands, of two bytes and of one; `change` makes it hostile.
fn decode_append(
    payload: &'static [u8],
    change: impl FnOnce(&mut header::Append),
) -> Result<Option<PeerMessage>, WireError> {
    let mut append = header::Append {
        prev: Some(header::EntryId { index: 5, term: 3 }),
        commit: 4,
        round: 1,
        run_terms: packed(&[3]),
        run_lengths: packed(&[2]),
        shapes: packed(&[(2 << 3) | 1, (1 << 3) | 1]),
        last: u64::MAX,
    };
    change(&mut append);
    let mut raft = read_index();
    raft.body = Some(RaftBody::Append(append));
    decode_kind(Kind::Raft(raft), payload)
}

#[test]
fn commands_that_do_not_fit_their_frame_are_refused() {
    assert!(
        matches!(decode_append(b"abc", |_| ()), Ok(Some(_))),
        "the twin is fine"
    );

    let misfit = |payload| Err(WireError::PayloadLength { payload });
    assert_eq!(decode_append(b"ab", |_| ()), misfit(2));
    assert_eq!(decode_append(b"abcd", |_| ()), misfit(4));
    assert_eq!(
        decode_append(b"a", |a| a.shapes = packed(&[u64::MAX - 6, 9])),
        misfit(1)
    );

    let unknown = "unknown kind of entry";
    let unknown = Err(WireError::Malformed { what: unknown });
    assert_eq!(
        decode_append(b"abc", |a| a.shapes = packed(&[u64::MAX, 9])),
        unknown
    );
    assert_eq!(
        decode_append(b"ab", |a| a.shapes = packed(&[8, 9])),
        unknown,
        "a no-op has no payload"
    );

    let (count, limit) = (MAX_COMMANDS as u64 + 1, MAX_COMMANDS as u64);
    let many = decode_append(b"", |a| a.shapes = packed(&[0; MAX_COMMANDS + 1]));
    assert_eq!(many, Err(WireError::TooManyCommands { count, limit }));
}

#[test]
fn indexes_that_overflow_are_refused() {
    let after =
        |index| move |a: &mut header::Append| a.prev = Some(header::EntryId { index, term: 3 });
    let overflow = Err(WireError::IndexOverflow);
    assert_eq!(decode_append(b"abc", after(u64::MAX)), overflow);
    assert_eq!(
        decode_append(b"abc", after(u64::MAX - 2)),
        overflow,
        "none is left for the next"
    );
    assert!(matches!(
        decode_append(b"abc", after(u64::MAX - 3)),
        Ok(Some(_))
    ));
}

#[test]
fn terms_that_fall_or_do_not_fit_the_entries_are_refused() {
    let misfit = "the terms do not fit the entries";
    let misfit = Err(WireError::Malformed { what: misfit });
    assert_eq!(
        decode_append(b"abc", |a| a.run_lengths = packed(&[1])),
        misfit
    );
    assert_eq!(
        decode_append(b"abc", |a| a.run_terms = packed(&[3, 4])),
        misfit
    );
    assert_eq!(decode_append(b"", |a| a.shapes = packed(&[])), misfit);
    let wrapping = |a: &mut header::Append| {
        a.run_terms = packed(&[3, 4]);
        a.run_lengths = packed(&[u64::MAX, 3]);
    };
    assert_eq!(decode_append(b"abc", wrapping), misfit);

    let falling = "the terms of the entries fall";
    let falling = Err(WireError::Malformed { what: falling });
    assert_eq!(
        decode_append(b"abc", |a| a.run_terms = packed(&[2])),
        falling,
        "below prev's term"
    );
    let fall = |a: &mut header::Append| {
        a.run_terms = packed(&[5, 4]);
        a.run_lengths = packed(&[1, 1]);
    };
    assert_eq!(decode_append(b"abc", fall), falling);
}

#[test]
fn a_log_that_ends_before_its_entries_is_refused() {
    let short = "the entries reach beyond the log";
    let short = Err(WireError::Malformed { what: short });
    assert_eq!(decode_append(b"abc", |a| a.last = 6), short);
    assert_eq!(
        decode_append(b"abc", |a| a.last = 0),
        short,
        "or is left out"
    );
    assert!(matches!(decode_append(b"abc", |a| a.last = 7), Ok(Some(_))));
}

/// Bytes that look like a membership and that no encoder wrote.
fn nonsense() -> Vec<Vec<u8>> {
    let good = membership().encode().to_vec();
    let version = 1;
    let member = |id: u8, role: u8, address: &[u8]| {
        let length = u16::try_from(address.len()).unwrap().to_le_bytes();
        [&[id, 0, 0, 0, 0, 0, 0, 0, role][..], &length, address].concat()
    };
    let of = |members: &[Vec<u8>]| [vec![version], members.concat()].concat();
    let too_many = Membership::new((1..=256).map(node), []).encode().to_vec();
    let too_long = vec![b'x'; usize::from(u16::MAX)];
    vec![
        vec![],
        vec![version],
        good[..good.len() - 1].to_vec(),
        [good.clone(), vec![0]].concat(),
        of(&[member(1, 3, b"")]),
        of(&[member(0, 1, b"")]),
        of(&[member(1, 2, b"")]),
        of(&[member(1, 1, b"\xff")]),
        of(&[member(2, 1, b""), member(1, 1, b"")]),
        of(&[member(1, 1, b""), member(1, 1, b"")]),
        of(&[member(1, 1, b""), member(1, 2, b"")]),
        of(&(1..=5)
            .map(|id| member(id, 1, &too_long))
            .collect::<Vec<_>>()),
        too_many,
    ]
}

/// Scenario H07
#[test]
fn memberships_that_make_no_sense_are_refused_in_entries_and_snapshots() {
    let malformed = |what| Err(WireError::Malformed { what });
    let of_entry = |bytes: Vec<u8>| {
        decode_append(Box::leak(bytes.clone().into_boxed_slice()), |a| {
            a.run_lengths = packed(&[1]);
            a.shapes = packed(&[((bytes.len() as u64) << 3) | 2]);
        })
    };
    let of_snapshot = |bytes: Vec<u8>| decode_offer(|meta| meta.membership = bytes.into());
    let good = membership().encode().to_vec();
    assert!(matches!(of_entry(good.clone()), Ok(Some(_))));
    assert!(matches!(of_snapshot(good), Ok(Some(_))));
    for bytes in nonsense() {
        let expected = malformed("a membership that makes no sense");
        assert_eq!(of_entry(bytes.clone()), expected, "{bytes:?}");
        assert_eq!(of_snapshot(bytes), expected);
    }
}

fn decode_offer(
    change: impl FnOnce(&mut header::SnapshotMeta),
) -> Result<Option<PeerMessage>, WireError> {
    let mut snapshot = header::SnapshotMeta {
        last: Some(header::EntryId { index: 9, term: 3 }),
        membership: membership().encode(),
        membership_index: 9,
        length: 1,
        checksum: 1,
    };
    change(&mut snapshot);
    let mut raft = read_index();
    raft.body = Some(RaftBody::SnapshotOffer(header::SnapshotOffer {
        snapshot: Some(snapshot),
        round: 1,
    }));
    decode_kind(Kind::Raft(raft), b"")
}

#[test]
fn snapshots_of_no_entry_are_refused_and_outcomes_of_later_versions_skipped() {
    assert!(matches!(decode_offer(|_| ()), Ok(Some(_))), "the twin");
    let no_entry = "a snapshot of no entry";
    let no_entry = Err(WireError::Malformed { what: no_entry });
    let at = |index, term| Some(header::EntryId { index, term });
    for last in [None, at(0, 3), at(9, 0), at(u64::MAX, 3), at(8, 3)] {
        let refused = decode_offer(|meta| meta.last = last);
        assert_eq!(refused, no_entry, "{last:?}");
    }
    let mut raft = read_index();
    raft.body = Some(RaftBody::SnapshotOffer(header::SnapshotOffer::default()));
    assert_eq!(decode_kind(Kind::Raft(raft), b""), no_entry, "none at all");

    let mut raft = read_index();
    raft.body = Some(RaftBody::SnapshotReply(header::SnapshotReply::default()));
    assert_eq!(decode_kind(Kind::Raft(raft), b""), Ok(None));
}

#[test]
fn zero_nodes_and_misplaced_payloads_are_refused() {
    assert!(
        matches!(decode_kind(Kind::Raft(read_index()), b""), Ok(Some(_))),
        "the twin is fine"
    );
    let misplaced = decode_kind(Kind::Raft(read_index()), b"x");
    assert_eq!(misplaced, Err(WireError::PayloadLength { payload: 1 }));
    let mut from_nobody = read_index();
    from_nobody.from = 0;
    assert_eq!(
        decode_kind(Kind::Raft(from_nobody), b""),
        Err(WireError::ZeroNode)
    );
    let mut to_nobody = read_index();
    to_nobody.to = 0;
    assert_eq!(
        decode_kind(Kind::Raft(to_nobody), b""),
        Err(WireError::ZeroNode)
    );
}

#[test]
fn founders_that_are_named_twice_or_too_many_or_lack_a_directory_are_refused() {
    let decode_founders = |founders: &[(u64, Option<u128>)]| {
        let founder = |&(node, directory): &(u64, Option<u128>)| header::Founder {
            node,
            directory: directory.map(Into::into),
        };
        let founders = founders.iter().map(founder).collect();
        let birth = header::Birth {
            directory: Some(1.into()),
            stage: Some(header::BirthStage::Born(
                header::Founding { founders }.encode_to_vec().into(),
            )),
        };
        decode_kind(Kind::Birth(birth), b"")
    };
    assert!(
        matches!(decode_founders(&[(4, Some(1))]), Ok(Some(_))),
        "the twin is fine"
    );
    assert!(matches!(
        decode_founders(&[(4, None)]),
        Err(WireError::Malformed { .. })
    ));
    assert!(matches!(
        decode_founders(&[(4, Some(1)), (4, Some(2))]),
        Err(WireError::Malformed { .. })
    ));
    let many = |count| (1..=count).map(|node| (u64::MAX - node, Some(u128::MAX)));
    let most = Membership::MAX_MEMBERS as u64;
    assert!(matches!(
        decode_founders(&many(most).collect::<Vec<_>>()),
        Ok(Some(_))
    ));
    for count in [most + 1, 10 * most] {
        let refused = decode_founders(&many(count).collect::<Vec<_>>());
        assert!(matches!(refused, Err(WireError::Malformed { .. })));
    }
}
