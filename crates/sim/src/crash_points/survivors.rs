//! How the world ends at a crash point: which ends are tried, and how one is written down, so that
//! it can be tried again.

use std::fmt;
use std::str::FromStr;

use quorate_log::{Crash, MemDisk};

use crate::digest::mix;

/// What of the unsynced writes survives a crash. They are counted from 0, in the order in which
/// the disk asks for them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Survivors {
    /// Everything is still seen, and nothing has become durable: only the process ended.
    Process,
    /// Nothing.
    None,
    /// Everything.
    All,
    /// One write.
    Only(u64),
    /// All writes but one.
    But(u64),
    /// Those whose bit is set; there are at most 64.
    Bits(u64),
    /// Some, drawn with this seed.
    Drawn(u64),
    /// Those for which it says so, as it was recorded. None beyond.
    Listed(Vec<bool>),
}

impl Survivors {
    fn keeps(&self, unit: u64) -> bool {
        match self {
            Self::Process | Self::None => false,
            Self::All => true,
            Self::Only(one) => unit == *one,
            Self::But(one) => unit != *one,
            Self::Bits(bits) => unit < 64 && bits & (1 << unit) != 0,
            // Some seeds keep few, some keep most.
            Self::Drawn(seed) => (mix(seed ^ mix(unit)) >> 33) % 4 <= seed % 3,
            Self::Listed(kept) => usize::try_from(unit)
                .ok()
                .and_then(|unit| kept.get(unit))
                .copied()
                .unwrap_or(false),
        }
    }

    /// Ends the process that uses `disk`, in this way.
    pub(super) fn crash(&self, disk: &MemDisk) {
        if *self == Self::Process {
            return disk.crash(Crash::Process);
        }
        let mut unit = 0;
        disk.crash(Crash::Power(&mut |_| {
            unit += 1;
            self.keeps(unit - 1)
        }));
    }

    /// The ends to try where `units` writes are not synced: each subset if there are at most
    /// `subsets`; else all and nothing, each alone, each missing, and as many that are drawn.
    pub(super) fn to_try(units: usize, subsets: u64, salt: u64) -> Vec<Self> {
        let units = units as u64;
        let all = 1u64.checked_shl(u32::try_from(units).unwrap_or(u32::MAX));
        let mut to_try = vec![Self::Process];
        if let Some(all) = all.filter(|all| *all <= subsets) {
            to_try.extend((0..all).map(Self::Bits));
            return to_try;
        }
        to_try.extend([Self::None, Self::All]);
        to_try.extend((0..units).flat_map(|unit| [Self::Only(unit), Self::But(unit)]));
        to_try.extend((0..subsets).map(|draw| Self::Drawn(mix(salt ^ mix(draw)) >> 16)));
        to_try
    }

    /// A number that differs from end to end.
    pub(super) fn hash(&self) -> u64 {
        match self {
            Self::Process => 1,
            Self::None => 2,
            Self::All => 3,
            Self::Only(unit) => mix(unit ^ (4 << 56)),
            Self::But(unit) => mix(unit ^ (5 << 56)),
            Self::Bits(bits) => mix(bits ^ (6 << 56)),
            Self::Drawn(seed) => mix(seed ^ (7 << 56)),
            Self::Listed(kept) => kept
                .iter()
                .fold(8, |hash, kept| mix(hash ^ u64::from(*kept))),
        }
    }
}

impl fmt::Display for Survivors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Process => write!(f, "process"),
            Self::None => write!(f, "none"),
            Self::All => write!(f, "all"),
            Self::Only(unit) => write!(f, "only-{unit}"),
            Self::But(unit) => write!(f, "but-{unit}"),
            Self::Bits(bits) => write!(f, "bits-{bits}"),
            Self::Drawn(seed) => write!(f, "drawn-{seed}"),
            Self::Listed(kept) => {
                write!(f, "listed-")?;
                kept.iter()
                    .try_for_each(|kept| write!(f, "{}", u8::from(*kept)))
            }
        }
    }
}

/// Why a text names no crash point.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} names no crash point; one is like 57, 57/only-3 or 57/only-3/4/none")]
pub struct NoPoint(String);

impl FromStr for Survivors {
    type Err = NoPoint;

    fn from_str(text: &str) -> Result<Self, NoPoint> {
        let (name, rest) = text.split_once('-').unwrap_or((text, ""));
        let number = || rest.parse::<u64>().map_err(|_| NoPoint(text.to_owned()));
        Ok(match name {
            "process" => Self::Process,
            "none" => Self::None,
            "all" => Self::All,
            "only" => Self::Only(number()?),
            "but" => Self::But(number()?),
            "bits" => Self::Bits(number()?),
            "drawn" => Self::Drawn(number()?),
            "listed" => Self::Listed(rest.bytes().map(|byte| byte == b'1').collect()),
            _ => return Err(NoPoint(text.to_owned())),
        })
    }
}

/// A crash point, or several: where no end is named, all of them are meant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Point {
    /// Operations on the disk before the crash, counted over the whole trace.
    pub prefix: u64,
    /// How the world ended.
    pub survivors: Option<Survivors>,
    /// Where the recovery was interrupted in turn: after so many operations, and how.
    pub recovery: Option<(u64, Survivors)>,
}

impl Point {
    /// Everything that is tried after `prefix` operations.
    #[must_use]
    pub const fn all_at(prefix: u64) -> Self {
        Self {
            prefix,
            survivors: None,
            recovery: None,
        }
    }

    /// Whether `survivors` after `prefix` operations is meant.
    pub(super) fn means(&self, prefix: u64, survivors: &Survivors) -> bool {
        self.prefix == prefix && self.survivors.as_ref().is_none_or(|own| own == survivors)
    }
}

impl fmt::Display for Point {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.prefix)?;
        if let Some(survivors) = &self.survivors {
            write!(f, "/{survivors}")?;
        }
        if let Some((operations, survivors)) = &self.recovery {
            write!(f, "/{operations}/{survivors}")?;
        }
        Ok(())
    }
}

impl FromStr for Point {
    type Err = NoPoint;

    fn from_str(text: &str) -> Result<Self, NoPoint> {
        let none = || NoPoint(text.to_owned());
        let number = |part: &str| part.parse::<u64>().map_err(|_| none());
        let parts: Vec<&str> = text.split('/').collect();
        let (prefix, survivors, recovery) = match parts.as_slice() {
            [prefix] => (prefix, None, None),
            [prefix, survivors] => (prefix, Some(survivors), None),
            [prefix, survivors, operations, again] => {
                let recovery = (number(operations)?, again.parse()?);
                (prefix, Some(survivors), Some(recovery))
            }
            _ => return Err(none()),
        };
        Ok(Self {
            prefix: number(prefix)?,
            survivors: survivors.map(|text| text.parse()).transpose()?,
            recovery,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_subset_is_tried_where_there_are_few() {
        let tried = Survivors::to_try(3, 8, 1);
        assert_eq!(tried.len(), 1 + 8);
        let kept = |end: &Survivors| (0..3).map(|unit| end.keeps(unit)).collect::<Vec<_>>();
        let mut subsets: Vec<_> = tried.iter().skip(1).map(kept).collect();
        subsets.sort_unstable();
        subsets.dedup();
        assert_eq!(subsets.len(), 8);
    }

    #[test]
    fn each_alone_and_each_missing_are_tried_where_there_are_many() {
        let tried = Survivors::to_try(70, 8, 1);
        assert_eq!(tried.len(), 1 + 2 + 2 * 70 + 8);
        assert!(tried.contains(&Survivors::Only(69)) && tried.contains(&Survivors::But(0)));
        let kept = |end: &Survivors| (0..70).filter(|unit| end.keeps(*unit)).count();
        assert_eq!(kept(&Survivors::Only(69)), 1);
        assert_eq!(kept(&Survivors::But(69)), 69);
        let drawn: Vec<usize> = tried.iter().skip(143).map(kept).collect();
        assert!(drawn.iter().any(|&kept| kept < 30) && drawn.iter().any(|&kept| kept > 40));
    }

    #[test]
    fn point_is_read_back_from_its_text() {
        let ends = [
            Survivors::Process,
            Survivors::None,
            Survivors::All,
            Survivors::Only(3),
            Survivors::But(4),
            Survivors::Bits(5),
            Survivors::Drawn(6),
            Survivors::Listed(vec![true, false, true]),
        ];
        for survivors in ends {
            let mut point = Point::all_at(57);
            assert_eq!(point.to_string().parse(), Ok(point.clone()));
            point.survivors = Some(survivors.clone());
            assert_eq!(point.to_string().parse(), Ok(point.clone()));
            point.recovery = Some((9, survivors));
            assert_eq!(point.to_string().parse(), Ok(point));
        }
        for text in ["", "x", "1/", "1/only", "1/none/2", "1/none/x/none", "1/2"] {
            assert!(text.parse::<Point>().is_err(), "{text:?}");
        }
    }
}
