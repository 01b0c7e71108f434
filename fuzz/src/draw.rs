//! Bytes as numbers: small ones, extreme ones, and ones close to what the engine has just said.
//! A number is one byte, so that changing one byte of an input changes one thing in the run.

/// Where arithmetic breaks, if it does.
const EXTREMES: [u64; 4] = [u64::MAX, u64::MAX - 1, u64::MAX / 2, 1 << 32];

/// The rest of the input. Once it is used up, every draw gives the first or smallest choice.
#[derive(Debug)]
pub(crate) struct Draw<'a> {
    bytes: &'a [u8],
}

impl<'a> Draw<'a> {
    pub(crate) const fn new(bytes: &'a [u8]) -> Self {
        Self { bytes }
    }

    pub(crate) const fn is_empty(&self) -> bool {
        self.bytes.is_empty()
    }

    fn byte(&mut self) -> u8 {
        let Some((first, rest)) = self.bytes.split_first() else {
            return 0;
        };
        self.bytes = rest;
        *first
    }

    pub(crate) fn flag(&mut self) -> bool {
        self.byte() % 2 == 1
    }

    /// From zero to `most`, which is at most 255.
    pub(crate) fn up_to(&mut self, most: u64) -> u64 {
        u64::from(self.byte()) % most.saturating_add(1)
    }

    /// One of `choices`, which must not be empty.
    #[expect(
        clippy::indexing_slicing,
        reason = "a remainder of the length is an index"
    )]
    pub(crate) fn pick<T: Copy, const N: usize>(&mut self, choices: &[T; N]) -> T {
        choices[usize::from(self.byte()) % N]
    }

    /// Mostly `value` or close to it, sometimes small, seldom extreme.
    pub(crate) fn near(&mut self, value: u64) -> u64 {
        match self.byte() {
            byte @ 0..=39 => u64::from(byte % 10),
            byte @ 40..=239 => match byte % 10 {
                0..=4 => value,
                5 | 6 => value.saturating_add(1),
                7 => value.saturating_add(u64::from(byte / 10)),
                8 => value.saturating_sub(1),
                _ => value.saturating_sub(u64::from(byte / 10)),
            },
            240.. => self.pick(&EXTREMES),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn input_that_is_used_up_goes_on_with_the_smallest() {
        let mut draw = Draw::new(&[7]);
        assert_eq!(draw.up_to(9), 7);
        assert!(draw.is_empty());
        assert_eq!((draw.up_to(9), draw.flag(), draw.near(4)), (0, false, 0));
    }

    #[test]
    fn numbers_are_small_extreme_or_close_to_the_expected() {
        let all: Vec<u64> = (0..=255)
            .map(|byte| Draw::new(&[byte]).near(1000))
            .collect();
        for expected in [0, 9, 1000, 1001, 999, u64::MAX] {
            assert!(all.contains(&expected), "{expected} is never drawn");
        }
        let close = all
            .iter()
            .filter(|number| number.abs_diff(1000) < 2)
            .count();
        assert!(close > 128, "most messages would be about nothing: {close}");
    }
}
