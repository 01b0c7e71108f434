//! Keeps the sectors of a batch from being all zeros, so that a zero sector always means "not
//! written" (`tail.rs` rests on it). Headers see to it for the sectors they touch (`frame.rs`);
//! a payload that would fill a whole sector with zeros is written masked.

use crate::frame::LogSeed;
use crate::segment::SECTOR;

/// Applies a mask to a body piece by piece, or takes it off again.
pub(crate) struct Masking {
    key: u64,
    position: u64,
    word: u64,
}

impl Masking {
    /// The masking of a body with mask `number`, from its first byte on. Zero changes nothing.
    /// The log's id is in the key: nobody who does not know it can choose a payload that its
    /// mask turns into zeros.
    pub(crate) const fn new(seed: LogSeed, number: u8) -> Self {
        let key = if number == 0 {
            0
        } else {
            mix(seed.mask ^ number as u64) | 1
        };
        Self {
            key,
            position: 0,
            word: 0,
        }
    }

    /// Masks or unmasks the next bytes of the body.
    pub(crate) fn apply(&mut self, bytes: &mut [u8]) {
        if self.key == 0 {
            return;
        }
        for byte in bytes {
            if self.position.is_multiple_of(8) {
                self.word = mix(self.key.wrapping_add(self.position / 8));
            }
            let [low, ..] = self.word.to_le_bytes();
            *byte ^= low;
            self.word >>= 8;
            self.position += 1;
        }
    }
}

/// One step of SplitMix64: the increment, then the finalizer.
pub(crate) const fn mix(value: u64) -> u64 {
    let value = value.wrapping_add(0x9E37_79B9_7F4A_7C15);
    let value = (value ^ (value >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    let value = (value ^ (value >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    value ^ (value >> 31)
}

/// Whether a body that starts at byte `offset` of a segment would fill a whole sector with
/// zeros. `body` may end before the bytes that align the next frame: they are zeros too, and the
/// header after them is not.
pub(crate) fn fills_a_sector_with_zeros(body: &[u8], offset: u64) -> bool {
    let to_sector = offset.next_multiple_of(SECTOR) - offset;
    let sectors = usize::try_from(to_sector)
        .ok()
        .and_then(|skip| body.get(skip..));
    sectors
        .unwrap_or_default()
        .chunks(SECTOR as usize)
        .any(|sector| {
            let aligned = crate::frame::padded(sector.len() as u64);
            aligned == SECTOR && is_zero(sector)
        })
}

/// Whether all bytes are zero.
pub(crate) fn is_zero(bytes: &[u8]) -> bool {
    const ZEROS: [u8; SECTOR as usize] = [0; SECTOR as usize];
    // Comparing slices is the fastest way: opening a log asks it of every byte beyond the end.
    let mut chunks = bytes.chunks(ZEROS.len());
    chunks.all(|chunk| ZEROS.get(..chunk.len()) == Some(chunk))
}

/// The masked body, and the number of the mask: the first that leaves no sector of it all zeros.
/// `None` if there is no such mask, which no payload can bring about that was chosen without
/// knowing the log's id.
pub(crate) fn masked(body: &[u8], offset: u64, seed: LogSeed) -> Option<(Vec<u8>, u8)> {
    (1..=u8::MAX).find_map(|number| {
        let mut bytes = body.to_vec();
        Masking::new(seed, number).apply(&mut bytes);
        (!fills_a_sector_with_zeros(&bytes, offset)).then_some((bytes, number))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::frame::ALIGN;

    /// Scenario G01: the bytes that align the next frame are zeros as well.
    #[test]
    fn a_body_that_its_alignment_completes_to_a_sector_of_zeros_is_masked() {
        let (sector, align) = (SECTOR as usize, ALIGN as usize);
        for missing in 0..2 * align {
            for before in [0, sector - 56, sector] {
                let body = vec![0; before + sector - missing];
                let offset = (2 * sector - before) as u64;
                let fills = missing < align;
                assert_eq!(
                    fills_a_sector_with_zeros(&body[before..], 2 * SECTOR),
                    fills,
                    "{missing} bytes short"
                );
                let all = fills_a_sector_with_zeros(&body, offset);
                assert_eq!(all, fills || before == sector, "{before} bytes before");
            }
        }
    }
}
