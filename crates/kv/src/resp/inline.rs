//! Inline commands: a line of words, as typed into a plain terminal. Quoting follows Redis:
//! `"..."` with escapes, `'...'` without, and a closing quote must end the word.

use bytes::{Bytes, BytesMut};

use super::ProtocolError;

/// Splits a line, without its line break, into words.
pub(super) fn split(line: &[u8]) -> Result<Vec<Bytes>, ProtocolError> {
    let mut words = Vec::new();
    let mut rest = line.trim_ascii_start();
    while !rest.is_empty() {
        let (word, behind) = next_word(rest)?;
        words.push(word);
        rest = behind.trim_ascii_start();
    }
    Ok(words)
}

fn next_word(mut rest: &[u8]) -> Result<(Bytes, &[u8]), ProtocolError> {
    let mut word = BytesMut::new();
    loop {
        match rest {
            [] => return Ok((word.freeze(), rest)),
            [space, ..] if space.is_ascii_whitespace() => return Ok((word.freeze(), rest)),
            [b'"', inner @ ..] => rest = double_quoted(inner, &mut word)?,
            [b'\'', inner @ ..] => rest = single_quoted(inner, &mut word)?,
            [byte, behind @ ..] => {
                word.extend_from_slice(&[*byte]);
                rest = behind;
            }
        }
    }
}

fn double_quoted<'a>(mut rest: &'a [u8], word: &mut BytesMut) -> Result<&'a [u8], ProtocolError> {
    loop {
        let (byte, behind) = match rest {
            [b'"', behind @ ..] => return after_quote(behind),
            [b'\\', b'x', high, low, behind @ ..]
                if high.is_ascii_hexdigit() && low.is_ascii_hexdigit() =>
            {
                (hex_digit(*high) << 4 | hex_digit(*low), behind)
            }
            [b'\\', escaped, behind @ ..] => (unescaped(*escaped), behind),
            [byte, behind @ ..] => (*byte, behind),
            [] => return Err(ProtocolError::UnbalancedQuotes),
        };
        word.extend_from_slice(&[byte]);
        rest = behind;
    }
}

fn single_quoted<'a>(mut rest: &'a [u8], word: &mut BytesMut) -> Result<&'a [u8], ProtocolError> {
    loop {
        let (byte, behind) = match rest {
            [b'\'', behind @ ..] => return after_quote(behind),
            [b'\\', b'\'', behind @ ..] => (b'\'', behind),
            [byte, behind @ ..] => (*byte, behind),
            [] => return Err(ProtocolError::UnbalancedQuotes),
        };
        word.extend_from_slice(&[byte]);
        rest = behind;
    }
}

fn after_quote(rest: &[u8]) -> Result<&[u8], ProtocolError> {
    match rest {
        [byte, ..] if !byte.is_ascii_whitespace() => Err(ProtocolError::UnbalancedQuotes),
        _ => Ok(rest),
    }
}

const fn unescaped(byte: u8) -> u8 {
    match byte {
        b'n' => b'\n',
        b'r' => b'\r',
        b't' => b'\t',
        b'b' => 0x08,
        b'a' => 0x07,
        other => other,
    }
}

/// The value of a digit that was checked to be hexadecimal.
const fn hex_digit(digit: u8) -> u8 {
    match digit {
        b'0'..=b'9' => digit - b'0',
        _ => (digit | 0x20) - b'a' + 10,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(line: &str) -> Result<Vec<Vec<u8>>, ProtocolError> {
        Ok(split(line.as_bytes())?
            .iter()
            .map(|word| word.to_vec())
            .collect())
    }

    #[test]
    fn words_are_split_and_unquoted_as_redis_does() {
        assert_eq!(words("").unwrap(), Vec::<Vec<u8>>::new());
        assert_eq!(words("  SET  k v ").unwrap(), [&b"SET"[..], b"k", b"v"]);
        assert_eq!(
            words(r#"a "b c" 'd e'"#).unwrap(),
            [&b"a"[..], b"b c", b"d e"]
        );
        assert_eq!(
            words(r#""\x00\xfF\n\\\"" ''"#).unwrap(),
            [&b"\x00\xff\n\\\""[..], b""]
        );
        assert_eq!(words(r"'it\'s' \n").unwrap(), [&b"it's"[..], b"\\n"]);
        assert_eq!(
            words(r#""\xg1""#).unwrap(),
            [b"xg1"],
            "not two hex digits: an escaped x"
        );
    }

    #[test]
    fn line_is_refused_when_a_quote_is_open_or_followed_by_text() {
        for line in [r#""open"#, "'open", r#""a"b"#, "'a'b", r#""\"#] {
            assert_eq!(words(line), Err(ProtocolError::UnbalancedQuotes), "{line}");
        }
    }
}
