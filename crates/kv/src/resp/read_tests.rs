//! Tests of the decoder: every split point, every kind of malformed input.

use super::*;

const LIMITS: Limits = Limits {
    bulk_bytes: 1024,
    request_bytes: 4096,
};

/// Feeds the pieces one after the other and collects every request.
fn decode<'a>(pieces: impl IntoIterator<Item = &'a [u8]>) -> Result<Vec<Request>, ProtocolError> {
    let mut decoder = Decoder::new(LIMITS);
    let mut input = BytesMut::new();
    let mut requests = Vec::new();
    for piece in pieces {
        input.extend_from_slice(piece);
        while let Some(request) = decoder.next(&mut input)? {
            requests.push(request);
        }
    }
    Ok(requests)
}

const STREAM: &[u8] = b"*2\r\n$3\r\nGET\r\n$4\r\n\r\n$9\r\n*-1\r\nPING 'a b'\r\n\r\n*0\r\n\
    *3\r\n$3\r\nSET\r\n$0\r\n\r\n$2\r\n\x00\xff\r\nping\n";

fn stream_requests() -> Vec<Request> {
    let words: [&[&[u8]]; 4] = [
        &[b"GET", b"\r\n$9"],
        &[b"PING", b"a b"],
        &[b"SET", b"", b"\x00\xff"],
        &[b"ping"],
    ];
    words
        .iter()
        .map(|request| {
            request
                .iter()
                .map(|word| Bytes::copy_from_slice(word))
                .collect()
        })
        .collect()
}

#[test]
fn requests_are_the_same_at_every_split_point() {
    let expected = stream_requests();
    assert_eq!(decode([STREAM]).unwrap(), expected);
    for split in 0..STREAM.len() {
        let (first, second) = STREAM.split_at(split);
        assert_eq!(
            decode([first, second]).unwrap(),
            expected,
            "split at {split}"
        );
    }
    assert_eq!(decode(STREAM.chunks(1)).unwrap(), expected, "byte by byte");
}

#[test]
fn malformed_input_is_refused_with_the_text_of_redis() {
    let cases: [(&[u8], &str); 14] = [
        (b"*x\r\n", "invalid multibulk length"),
        (b"*+1\r\n", "invalid multibulk length"),
        (b"*\r\n", "invalid multibulk length"),
        (b"*1048577\r\n", "invalid multibulk length"),
        (b"*99999999999999999999\r\n", "invalid multibulk length"),
        (b"*1\r\n:3\r\n", "expected '$', got ':'"),
        (b"*1\r\n\r\n", "expected '$', got ' '"),
        (b"*1\r\n$-1\r\n", "invalid bulk length"),
        (b"*1\r\n$1025\r\n", "invalid bulk length"),
        (b"*1\r\n$1x\r\n", "invalid bulk length"),
        (b"*1\r\n$9223372036854775807\r\n", "invalid bulk length"),
        (
            b"*1\r\n$1\r\nabc\r\n",
            "expected a line break behind a bulk string",
        ),
        (b"PING \"x\r\n", "unbalanced quotes in request"),
        (b"PING \"x\"y\r\n", "unbalanced quotes in request"),
    ];
    for (bytes, text) in cases {
        let error = decode([bytes]).expect_err("the framing is lost: guessing on is unsafe");
        assert_eq!(error.to_string(), text, "{}", bytes.escape_ascii());
    }
}

#[test]
fn line_is_refused_when_it_grows_past_the_limit_without_an_end() {
    for (start, error) in [
        (&b"PING"[..], ProtocolError::InlineTooBig),
        (b"*1", ProtocolError::MultibulkLineTooBig),
        (b"*1\r\n$1", ProtocolError::BulkLineTooBig),
    ] {
        let endless = [start, &vec![b'1'; LINE_BYTES_MAX]].concat();
        assert_eq!(
            decode([endless.as_slice()]),
            Err(error),
            "the buffer must stay bounded"
        );
    }
}

#[test]
fn request_is_refused_when_its_arguments_together_are_too_big() {
    let mut bytes = b"*9\r\n".to_vec();
    for _ in 0..9 {
        bytes.extend_from_slice(b"$1000\r\n");
        bytes.extend_from_slice(&[b'v'; 1000]);
        bytes.extend_from_slice(b"\r\n");
    }
    let error = ProtocolError::RequestTooBig {
        limit_bytes: LIMITS.request_bytes,
    };
    assert_eq!(
        decode([bytes.as_slice()]),
        Err(error),
        "each argument alone is small enough"
    );

    let many_empty = [b"*1000000\r\n".as_slice(), &b"$0\r\n\r\n".repeat(1000)].concat();
    assert_eq!(
        decode([many_empty.as_slice()]),
        Err(error),
        "empty arguments cost memory too"
    );
}

/// A web page can have a browser send one to a server that only its machine can reach, with lines
/// of its choice behind the head.
#[test]
fn http_request_is_refused_before_what_follows_it_is_taken_for_commands() {
    for head in [
        "POST / HTTP/1.1\r\n",
        "post / HTTP/1.1\r\n",
        "Host: localhost:6379\r\n",
    ] {
        let mut decoder = Decoder::new(LIMITS);
        let mut input = BytesMut::from(head);
        input.extend_from_slice(b"FLUSHALL\r\n");
        assert_eq!(decoder.next(&mut input), Err(ProtocolError::Http), "{head}");
    }
    let requests = decode([&b"SET post Host:\r\nPOSTS\r\n*1\r\n$4\r\nPOST\r\n"[..]]);
    assert_eq!(requests.unwrap().len(), 3, "these are no HTTP");
}

/// Flips, drops and doubles every byte of a valid stream: an answer or an error, never a panic.
#[test]
fn decoder_survives_every_single_byte_of_damage() {
    for position in 0..STREAM.len() {
        for byte in 0..=u8::MAX {
            let mut damaged = STREAM.to_vec();
            damaged[position] = byte;
            let whole = decode([damaged.as_slice()]);
            let pieces = decode(damaged.chunks(3));
            assert_eq!(
                whole, pieces,
                "damage must not make the result depend on the packets"
            );
        }
        let mut shorter = STREAM.to_vec();
        shorter.remove(position);
        assert_eq!(decode([shorter.as_slice()]), decode(shorter.chunks(1)));
    }
}

#[test]
fn arguments_are_slices_of_the_input_when_it_arrived_whole() {
    let mut input = BytesMut::from(&b"*1\r\n$5\r\nvalue\r\n"[..]);
    let start = input.as_ptr();
    let request = Decoder::new(LIMITS).next(&mut input).unwrap().unwrap();
    assert_eq!(
        request[0].as_ptr(),
        start.wrapping_add(8),
        "the payload was copied"
    );
}

/// Each of a million arguments may come in a packet of its own, and so in a buffer of its own.
#[test]
fn unfinished_request_does_not_keep_the_buffers_of_its_small_arguments() {
    let mut decoder = Decoder::new(LIMITS);
    let buffer_bytes = 64 * 1024;
    let mut input = BytesMut::with_capacity(buffer_bytes);
    for packet in [
        &b"*4\r\n$3\r\nDEL\r\n"[..],
        b"$1\r\na\r\n",
        b"$1\r\nb\r\n$1",
    ] {
        input.extend_from_slice(packet);
        assert_eq!(decoder.next(&mut input), Ok(None));
        assert!(
            input.try_reclaim(buffer_bytes - input.len()),
            "a buffer is kept for a few bytes"
        );
    }
    input.extend_from_slice(b"\r\nc\r\n");
    let request = decoder.next(&mut input).unwrap().unwrap();
    assert_eq!(request, [&b"DEL"[..], b"a", b"b", b"c"]);
}

#[test]
fn decoder_tells_how_many_bytes_an_argument_still_needs() {
    let mut decoder = Decoder::new(LIMITS);
    let mut input = BytesMut::from(&b"*1\r\n$100\r\nabc"[..]);
    assert_eq!(decoder.next(&mut input), Ok(None));
    assert_eq!(
        decoder.wanted_bytes(input.len()),
        99,
        "97 of the value and its line break"
    );
}
