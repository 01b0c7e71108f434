//! The one hash function of the simulator: spreads the bits of a word, folds words into a digest
//! and chains log entries. Not for adversaries: it only has to tell different runs apart.

use quorate_core::{Entry, Payload};

/// Spreads every bit of `word` over the whole result: multiply and xor-shift, twice.
#[must_use]
pub(crate) const fn mix(word: u64) -> u64 {
    let word = (word ^ (word >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let word = (word ^ (word >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    word ^ (word >> 31)
}

/// A running hash of everything that happened in a world. Equal seeds give equal digests.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Digest(u64);

impl Digest {
    /// Before anything was folded.
    pub(crate) const EMPTY: Self = Self(0);

    /// Takes `word` in. The order of words matters.
    pub(crate) const fn fold(&mut self, word: u64) {
        self.0 = mix(self.0.rotate_left(5) ^ word);
    }

    /// The hash of everything folded so far.
    #[must_use]
    pub const fn value(self) -> u64 {
        self.0
    }
}

/// Hash of a log that ends in `entry`, given the hash of the log before it: two logs with equal
/// hashes at an index are equal up to there.
#[must_use]
pub(crate) fn chain(before: u64, entry: &Entry) -> u64 {
    let (kind, payload) = match &entry.payload {
        Payload::Noop => (1, 0),
        Payload::Command(bytes) => (2, token(bytes) ^ mix(bytes.len() as u64)),
        Payload::Membership(bytes) => {
            let fold = |hash: u64, byte: &u8| mix(hash ^ u64::from(*byte));
            (3, bytes.iter().fold(0, fold))
        }
    };
    mix(mix(before ^ entry.term.get()) ^ mix(entry.index.get() ^ (kind << 60)) ^ mix(payload))
}

/// The number a simulated client wrote at the head of a command. Every command of a seed has
/// another one, so that it stands for the whole payload.
#[must_use]
pub(crate) fn token(command: &[u8]) -> u64 {
    command
        .first_chunk::<8>()
        .map_or(0, |head| u64::from_le_bytes(*head))
}

#[cfg(test)]
mod tests {
    use super::*;
    use bytes::Bytes;
    use quorate_core::{LogIndex, Term};

    fn entry(index: u64, term: u64, token: u64) -> Entry {
        Entry {
            index: LogIndex::new(index),
            term: Term::new(term),
            payload: Payload::Command(Bytes::copy_from_slice(&token.to_le_bytes())),
        }
    }

    #[test]
    fn chain_differs_when_any_part_of_the_history_differs() {
        let base = chain(chain(0, &entry(1, 1, 7)), &entry(2, 1, 8));
        assert_ne!(
            base,
            chain(chain(0, &entry(1, 1, 9)), &entry(2, 1, 8)),
            "an earlier command"
        );
        assert_ne!(
            base,
            chain(chain(0, &entry(1, 1, 7)), &entry(2, 2, 8)),
            "the term"
        );
        assert_ne!(
            base,
            chain(chain(0, &entry(1, 1, 7)), &entry(3, 1, 8)),
            "the index"
        );
    }

    #[test]
    fn digest_depends_on_the_order_of_words() {
        let (mut there, mut back) = (Digest::default(), Digest::default());
        there.fold(1);
        there.fold(2);
        back.fold(2);
        back.fold(1);
        assert_ne!(there, back);
    }
}
