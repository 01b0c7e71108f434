//! Crash points of the log, one trace per seed.

use std::ops::Range;
use std::process::ExitCode;
#[expect(clippy::disallowed_types, reason = "how long it took is only printed")]
use std::time::Instant;

use quorate_sim::crash_points::{Generated, Options, Point, Report, explore};

/// Size of segments at the start: the least that is allowed, so that there are many.
const SEGMENT_BYTES: u64 = 4096;

/// Tries every crash point of the traces of `seeds`, or only those that `only` names.
pub(crate) fn crash_points(
    seeds: Range<u64>,
    calls: u64,
    subsets: u64,
    only: Option<&Point>,
) -> ExitCode {
    #[expect(clippy::disallowed_types, reason = "how long it took is only printed")]
    let start = Instant::now();
    let mut sum = Report::default();
    for seed in seeds {
        let options = Options {
            subsets,
            seed,
            segment_bytes: SEGMENT_BYTES,
            only: only.cloned(),
        };
        let mut trace = Generated::new(seed, calls, SEGMENT_BYTES);
        let report = explore(&mut trace, &options);
        sum.calls += report.calls;
        sum.prefixes += report.prefixes;
        sum.images += report.images;
        sum.recoveries += report.recoveries;
        if let Some(failure) = report.failure {
            println!("seed {seed}: {failure}");
            println!(
                "replay: cargo run --release -p quorate-sim -- crash-points --seed {seed} \
                 --calls {calls} --subsets {subsets} --at {}",
                failure.at
            );
            print(&sum, start.elapsed().as_secs_f64());
            return ExitCode::FAILURE;
        }
    }
    print(&sum, start.elapsed().as_secs_f64());
    ExitCode::SUCCESS
}

fn print(sum: &Report, seconds: f64) {
    println!(
        "{} calls, {} crash points, {} images, {} recoveries in {seconds:.1} s, {:.0} a second",
        sum.calls,
        sum.prefixes,
        sum.images,
        sum.recoveries,
        sum.recoveries as f64 / seconds.max(1e-9)
    );
}
