//! How busy the machine is, and with whose work. Reads `/proc`, measures no time of its own.

use std::fmt;
use std::path::Path;

use crate::failure::{Failure, Result};

/// A round in which others used more than this share of the processors measures them too.
const OTHERS_MAX: f64 = 0.15;

/// Processor time since boot, in clock ticks.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Load {
    total: u64,
    idle: u64,
    /// Of this program and of the nodes it started.
    ours: u64,
}

impl Load {
    /// The counters as they are now; `pids` are the nodes.
    pub(super) fn now(pids: &[u32]) -> Result<Self> {
        let (total, idle) = machine(&read("/proc/stat")?)
            .ok_or_else(|| Failure::new("/proc/stat is not what it used to be"))?;
        let mut ours = process(&read("/proc/self/stat")?).unwrap_or(0);
        for pid in pids {
            ours += process(&read(&format!("/proc/{pid}/stat"))?).unwrap_or(0);
        }
        Ok(Self { total, idle, ours })
    }

    /// What happened between `earlier` and now.
    pub(super) fn since(&self, earlier: &Self) -> Self {
        Self {
            total: self.total.saturating_sub(earlier.total),
            idle: self.idle.saturating_sub(earlier.idle),
            ours: self.ours.saturating_sub(earlier.ours),
        }
    }

    /// Whether what was measured meanwhile is ours.
    pub(super) fn is_clean(&self) -> bool {
        self.others() <= OTHERS_MAX
    }

    fn others(&self) -> f64 {
        self.share(
            self.total
                .saturating_sub(self.idle)
                .saturating_sub(self.ours),
        )
    }

    fn share(&self, ticks: u64) -> f64 {
        ticks as f64 / self.total.max(1) as f64
    }
}

impl fmt::Display for Load {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let percent = |share: f64| share * 100.0;
        let (idle, others) = (percent(self.share(self.idle)), percent(self.others()));
        write!(f, "{idle:>6.0}% {others:>6.0}%")?;
        if self.is_clean() {
            Ok(())
        } else {
            f.write_str("  not clean")
        }
    }
}

fn read(path: &str) -> Result<String> {
    std::fs::read_to_string(path).map_err(Failure::at(Path::new(path)))
}

/// Total and idle ticks, from the first line of `/proc/stat`. Waiting for the disk is idle; time
/// stolen by another virtual machine is somebody's work.
fn machine(stat: &str) -> Option<(u64, u64)> {
    let ticks: Vec<u64> = stat
        .lines()
        .next()?
        .strip_prefix("cpu ")?
        .split_whitespace()
        // Guests are counted within user time already.
        .take(8)
        .map(|field| field.parse().ok())
        .collect::<Option<_>>()?;
    let [_user, _nice, _system, idle, iowait, ..] = ticks.as_slice() else {
        return None;
    };
    Some((ticks.iter().sum(), idle + iowait))
}

/// User and system ticks, from a process's `stat`. The name in it may hold spaces.
fn process(stat: &str) -> Option<u64> {
    let (_, fields) = stat.rsplit_once(')')?;
    let mut fields = fields.split_whitespace().skip(11);
    let user: u64 = fields.next()?.parse().ok()?;
    let system: u64 = fields.next()?.parse().ok()?;
    Some(user + system)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counters_are_read() {
        assert_eq!(
            machine("cpu  10 1 5 70 4 1 2 7 3 0\ncpu0 1\n"),
            Some((100, 74))
        );
        assert_eq!(machine("nonsense"), None);
        let stat = "42 (a (b) c) S 1 2 3 4 5 6 7 8 9 10 30 12 0 0 20";
        assert_eq!(process(stat), Some(42));
    }

    #[test]
    fn round_is_dirty_when_others_work() {
        let earlier = Load {
            total: 1000,
            idle: 500,
            ours: 100,
        };
        let clean = Load {
            total: 1100,
            idle: 550,
            ours: 140,
        }
        .since(&earlier);
        assert!(clean.is_clean(), "{clean}");
        let dirty = Load {
            total: 1100,
            idle: 550,
            ours: 120,
        }
        .since(&earlier);
        assert!(!dirty.is_clean(), "30 of 100 ticks were not ours: {dirty}");
    }
}
