//! Lists of numbers in a header. They stay in the bytes that protobuf packs them into until they
//! are counted: as a list, numbers of one byte each take up many times the memory of their frame.

use bytes::{Bytes, BytesMut};
use prost::encoding::{decode_varint, encode_varint, encoded_len_varint};

use super::WireError;
use super::decode::{NOT_PROTOBUF, check_count};

/// The numbers as the content of a packed field.
pub(super) fn pack(numbers: impl Iterator<Item = u64> + Clone) -> Bytes {
    let length = numbers.clone().map(encoded_len_varint).sum();
    let mut packed = BytesMut::with_capacity(length);
    for number in numbers {
        encode_varint(number, &mut packed);
    }
    packed.freeze()
}

/// The numbers in a packed field, if they are no more than a frame may have commands.
pub(super) fn unpack(mut packed: &[u8]) -> Result<Vec<u64>, WireError> {
    // Each number ends with its only byte below 0x80.
    let count = packed.iter().filter(|&&byte| byte < 0x80).count();
    let mut numbers = Vec::with_capacity(check_count(count)?);
    while !packed.is_empty() {
        let number = decode_varint(&mut packed);
        numbers.push(number.map_err(|_| NOT_PROTOBUF)?);
    }
    Ok(numbers)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_unpacked_as_they_were_packed() {
        let numbers = [0, 1, 127, 128, 300, u64::from(u32::MAX), u64::MAX, 0];
        for count in 0..=numbers.len() {
            let packed = pack(numbers.iter().copied().take(count));
            assert_eq!(unpack(&packed), Ok(numbers[..count].to_vec()));
        }
    }

    #[test]
    fn what_no_encoder_packs_is_refused() {
        let refused = Err(NOT_PROTOBUF);
        assert_eq!(unpack(&[1, 0x80]), refused, "cut short");
        assert_eq!(unpack(&[0xff; 11]), refused, "it never ends");
        let large = [&[0xff; 9][..], &[2]].concat();
        assert_eq!(unpack(&large), refused, "beyond 64 bits");
    }
}
