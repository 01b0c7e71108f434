//! The verdict and the table that shows it.

use std::fmt;
use std::time::Duration;

use super::history::History;
use super::workload::Measured;

/// What the demo found.
#[derive(Clone, Debug)]
pub struct Verdict {
    acknowledged: u64,
    unknown: u64,
    reads: u64,
    elapsed: Duration,
    p50: Duration,
    p99: Duration,
    slowest: Duration,
    leaderless: Duration,
    lost: u64,
    stale: u64,
}

impl Verdict {
    pub(super) fn new(
        history: &History,
        measured: &Measured,
        lost: u64,
        leaderless: Duration,
    ) -> Self {
        Self {
            acknowledged: history.acknowledged(),
            unknown: history.unknown(),
            reads: history.reads(),
            elapsed: measured.elapsed,
            p50: percentile(&measured.latencies, 50),
            p99: percentile(&measured.latencies, 99),
            slowest: percentile(&measured.latencies, 100),
            leaderless,
            lost,
            stale: history.stale(),
        }
    }

    /// Whether every promise was kept.
    #[must_use]
    pub const fn passed(&self) -> bool {
        self.lost == 0 && self.stale == 0
    }
}

/// The least latency that `percent` of the sorted ones do not exceed.
fn percentile(sorted: &[Duration], percent: usize) -> Duration {
    let rank = (sorted.len() * percent).div_ceil(100).saturating_sub(1);
    sorted.get(rank).copied().unwrap_or_default()
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let seconds = self.elapsed.as_secs_f64().max(f64::MIN_POSITIVE);
        let rate = |count: u64| format!("{:.0} per second", count as f64 / seconds);
        let time = |time: Duration| format!("{:.2} ms", time.as_secs_f64() * 1000.0);
        let rows = [
            (
                "writes acknowledged",
                self.acknowledged.to_string(),
                rate(self.acknowledged),
            ),
            (
                "linearizable reads",
                self.reads.to_string(),
                rate(self.reads),
            ),
            ("write latency, median", time(self.p50), String::new()),
            (
                "write latency, 99th percentile",
                time(self.p99),
                String::new(),
            ),
            ("write latency, longest", time(self.slowest), String::new()),
            (
                "longest time without a leader",
                time(self.leaderless),
                String::new(),
            ),
            (
                "writes of unknown outcome",
                self.unknown.to_string(),
                "not counted above".into(),
            ),
            (
                "acknowledged writes lost",
                self.lost.to_string(),
                must_be_none(self.lost),
            ),
            (
                "stale reads",
                self.stale.to_string(),
                must_be_none(self.stale),
            ),
        ];
        for (name, value, note) in rows {
            writeln!(
                f,
                "{}",
                format!("  {name:<32}{value:>12}  {note}").trim_end()
            )?;
        }
        write!(f, "{}", if self.passed() { "PASSED" } else { "FAILED" })
    }
}

fn must_be_none(count: u64) -> String {
    if count == 0 {
        "as it must be"
    } else {
        "MUST BE 0"
    }
    .to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn verdict(lost: u64, stale: u64) -> Verdict {
        let zero = Duration::ZERO;
        Verdict {
            acknowledged: 10,
            unknown: 1,
            reads: 5,
            elapsed: Duration::from_secs(2),
            p50: zero,
            p99: zero,
            slowest: zero,
            leaderless: zero,
            lost,
            stale,
        }
    }

    #[test]
    fn verdict_passes_only_when_nothing_was_lost_and_nothing_stale() {
        assert!(verdict(0, 0).passed());
        assert!(!verdict(1, 0).passed() && !verdict(0, 1).passed());
        assert!(verdict(0, 0).to_string().ends_with("PASSED"));
        let failed = verdict(3, 0).to_string();
        assert!(
            failed.contains("MUST BE 0") && failed.ends_with("FAILED"),
            "{failed}"
        );
        assert!(
            failed.contains("5 per second"),
            "10 writes in 2 s: {failed}"
        );
    }

    #[test]
    fn percentile_is_the_nearest_rank() {
        let sorted: Vec<Duration> = (1..=200).map(Duration::from_millis).collect();
        assert_eq!(percentile(&sorted, 50), Duration::from_millis(100));
        assert_eq!(percentile(&sorted, 99), Duration::from_millis(198));
        assert_eq!(percentile(&sorted, 100), Duration::from_millis(200));
        assert_eq!(percentile(&[], 50), Duration::ZERO);
    }
}
