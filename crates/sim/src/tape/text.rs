//! A run as one word that fits into a command line: `world.events.tape`, where the tape is a
//! checksum and the choices, sparse and in few bytes, written in 64 letters that no shell touches.

use std::fmt;
use std::str::FromStr;

use super::{Choice, Tape};
use crate::digest::Digest;
use crate::run::WorldName;
use crate::site::Site;

/// The letters, each worth its place.
const LETTERS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
/// Bytes of the checksum.
const SUM_BYTES: usize = 8;

/// A run that can be repeated anywhere, by the build that wrote it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Case {
    /// The world that runs.
    pub world: WorldName,
    /// Happenings under faults.
    pub events: u64,
    /// Its choices.
    pub tape: Tape,
}

/// Why a text is no case.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadCase {
    /// It does not have the form.
    #[error("a tape has the form WORLD.EVENTS.LETTERS")]
    Form,
    /// No such world.
    #[error("the tape is of a world that this build does not know")]
    World,
    /// Letters that do not occur in a tape.
    #[error("the tape holds the character {0:?}, which is none of a tape's")]
    Letter(char),
    /// Not what was written, or not by this build.
    #[error("the tape is mangled, cut short, or of a build that makes other choices")]
    Checksum,
}

impl fmt::Display for Case {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let body = pack(&self.tape);
        let sum = checksum(self.world, self.events, &body);
        let bytes = [sum.to_le_bytes().as_slice(), &body].concat();
        write!(f, "{}.{}.{}", self.world, self.events, spell(&bytes))
    }
}

impl FromStr for Case {
    type Err = BadCase;

    fn from_str(text: &str) -> Result<Self, BadCase> {
        let (world, rest) = text.split_once('.').ok_or(BadCase::Form)?;
        let (events, letters) = rest.split_once('.').ok_or(BadCase::Form)?;
        let world = world.parse().map_err(|_| BadCase::World)?;
        let events = events.parse().map_err(|_| BadCase::Form)?;
        let bytes = read(letters)?;
        let (sum, body) = bytes
            .split_first_chunk::<SUM_BYTES>()
            .ok_or(BadCase::Checksum)?;
        if u64::from_le_bytes(*sum) != checksum(world, events, body) {
            return Err(BadCase::Checksum);
        }
        let tape = unpack(body).ok_or(BadCase::Checksum)?;
        Ok(Self {
            world,
            events,
            tape,
        })
    }
}

/// Over everything that a case says, and over the sites that this build knows: the same bytes
/// mean something else where there are others.
fn checksum(world: WorldName, events: u64, body: &[u8]) -> u64 {
    let mut digest = Digest::EMPTY;
    let names = Site::ALL.iter().map(|site| site.name());
    for text in names.chain([world.name()]) {
        text.bytes().for_each(|byte| digest.fold(u64::from(byte)));
        digest.fold(u64::MAX);
    }
    digest.fold(events);
    digest.fold(body.len() as u64);
    body.iter().for_each(|&byte| digest.fold(u64::from(byte)));
    digest.value()
}

/// Per site its number, how many choices, and of each the distance from the one before and the
/// value.
fn pack(tape: &Tape) -> Vec<u8> {
    let mut body = Vec::new();
    let runs = tape.choices().chunk_by(|one, next| one.site == next.site);
    for run in runs {
        let Some(first) = run.first() else { continue };
        push(&mut body, first.site as u64);
        push(&mut body, run.len() as u64);
        let mut expected = 0;
        for choice in run {
            push(&mut body, choice.ordinal - expected);
            push(&mut body, choice.value);
            expected = choice.ordinal + 1;
        }
    }
    body
}

fn unpack(mut body: &[u8]) -> Option<Tape> {
    let mut choices = Vec::new();
    while !body.is_empty() {
        let site = usize::try_from(take(&mut body)?).ok()?;
        let site = *Site::ALL.get(site)?;
        let mut ordinal = 0u64;
        for _ in 0..take(&mut body)? {
            ordinal = ordinal.checked_add(take(&mut body)?)?;
            let value = take(&mut body)?;
            choices.push(Choice {
                site,
                ordinal,
                value,
            });
            ordinal = ordinal.checked_add(1)?;
        }
    }
    Some(Tape::new(choices))
}

/// Appends a number: seven bits a byte, the lowest first, all but the last with the top bit set.
fn push(bytes: &mut Vec<u8>, mut number: u64) {
    while number >= 0x80 {
        bytes.push(number as u8 | 0x80);
        number >>= 7;
    }
    bytes.push(number as u8);
}

/// Takes a number from the front.
fn take(bytes: &mut &[u8]) -> Option<u64> {
    let mut number = 0u64;
    for shift in (0..u64::BITS).step_by(7) {
        let (&byte, rest) = bytes.split_first()?;
        *bytes = rest;
        number |= u64::from(byte & 0x7f) << shift;
        if byte & 0x80 == 0 {
            return Some(number);
        }
    }
    None
}

/// Three bytes in four letters, the highest bits first.
fn spell(bytes: &[u8]) -> String {
    let mut text = String::new();
    for chunk in bytes.chunks(3) {
        let at = |place: usize| u32::from(chunk.get(place).copied().unwrap_or(0));
        let word = at(0) << 16 | at(1) << 8 | at(2);
        for place in 0..=chunk.len() {
            let letter = word >> (18 - 6 * place) & 63;
            text.extend(
                LETTERS
                    .get(letter as usize)
                    .map(|&letter| char::from(letter)),
            );
        }
    }
    text
}

fn read(text: &str) -> Result<Vec<u8>, BadCase> {
    let mut bytes = Vec::new();
    let (mut word, mut bits) = (0u32, 0);
    for letter in text.chars() {
        let place = LETTERS
            .iter()
            .position(|&known| char::from(known) == letter);
        let place = place.ok_or(BadCase::Letter(letter))?;
        word = word << 6 | place as u32;
        bits += 6;
        if bits >= 8 {
            bits -= 8;
            bytes.push((word >> bits) as u8);
        }
    }
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn case() -> Case {
        let choice = |site, ordinal, value| Choice {
            site,
            ordinal,
            value,
        };
        Case {
            world: WorldName::Engines,
            events: 1234,
            tape: Tape::new(vec![
                choice(Site::Knob, 0, 1),
                choice(Site::Knob, 77, u64::MAX),
                choice(Site::Loss, 200, 1),
                choice(Site::Loss, 201, 1),
                choice(Site::DamageExtent, u64::MAX - 1, 128),
            ]),
        }
    }

    #[test]
    fn a_case_survives_its_text() {
        let text = case().to_string();
        assert!(text.starts_with("engines.1234."), "{text}");
        assert!(text.len() < 80, "{text} is long for five choices");
        assert_eq!(text.parse(), Ok(case()));
        let empty = Case {
            tape: Tape::default(),
            ..case()
        };
        assert_eq!(empty.to_string().parse(), Ok(empty));
    }

    #[test]
    fn a_mangled_case_is_refused_wherever_it_was_touched() {
        let text = case().to_string();
        for place in 0..text.len() {
            let (before, after) = (&text[..place], &text[place + 1..]);
            let own = &text[place..=place];
            let other = if own == "B" { "C" } else { "B" };
            for mangled in [
                format!("{before}{after}"),
                format!("{before}{other}{after}"),
                format!("{before}{own}{own}{after}"),
                before.to_owned(),
            ] {
                let read: Result<Case, _> = mangled.parse();
                assert!(
                    read.is_err() || mangled == text,
                    "{mangled} is read like {text}"
                );
            }
        }
        let parse = |text: &str| text.parse::<Case>();
        assert_eq!(parse("engines.12"), Err(BadCase::Form));
        assert_eq!(parse("nowhere.12.AAAA"), Err(BadCase::World));
        assert_eq!(parse("engines.12.A+AA"), Err(BadCase::Letter('+')));
        assert_eq!(parse("engines.12.AAAA"), Err(BadCase::Checksum));
    }
}
