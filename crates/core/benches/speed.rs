//! How long an engine needs for an entry, and that it does not depend on how many entries are in
//! flight or how long the log is. Allocations are counted by `allocations.rs`, in a process of its
//! own, because counting takes time.
//!
//! One figure is the time from the proposal until all three nodes have applied, divided by the
//! number of entries: the work of a leader *and* two followers. It is the median of several
//! rounds; the rounds of what is compared take turns, so that a slow minute of the machine slows
//! them alike. Beside the engine stands one without a protocol (`bare/`): about what of the time no
//! engine of this contract could save. `cargo bench -p quorate-core --bench speed -- depths` prints
//! one table alone.

#[expect(
    clippy::disallowed_types,
    reason = "a bench measures time; the engine never does"
)]
use std::time::Instant;

use quorate_core::ConfigError;

use self::pump::{Cluster, Pumped};

mod bare;
#[expect(dead_code, reason = "each user of the pump needs a part of it")]
mod pump;

const ROUNDS: usize = 9;
/// So small that it is full, and old entries are dropped, from the shortest measured log on.
const SMALL_WINDOW_BYTES: u64 = 64 * 1024;

/// Measures and prints one table.
type Table = fn() -> Result<(), ConfigError>;

/// Something to be measured: called with how many entries to commit.
struct Subject {
    name: String,
    commit: Box<dyn FnMut(u64)>,
    nanos: Vec<f64>,
}

impl Subject {
    fn measure(&mut self, entries: u64) {
        #[expect(clippy::disallowed_types, reason = "a bench measures time")]
        let start = Instant::now();
        (self.commit)(entries);
        self.nanos
            .push(start.elapsed().as_nanos() as f64 / entries as f64);
    }

    /// Median and fastest round.
    fn figures(&mut self) -> (f64, f64) {
        self.nanos.sort_by(f64::total_cmp);
        let median = self.nanos.get(self.nanos.len() / 2);
        let fastest = self.nanos.first();
        (
            median.copied().unwrap_or(f64::NAN),
            fastest.copied().unwrap_or(f64::NAN),
        )
    }
}

fn one_by_one<E: Pumped>(cluster: &mut Cluster<E>, entries: u64) {
    (0..entries).for_each(|_| cluster.commit(1));
}

fn in_batches<E: Pumped>(cluster: &mut Cluster<E>, entries: u64) {
    (0..entries / 64).for_each(|_| cluster.commit(64));
}

fn behind<const DEPTH: u64>(cluster: &mut Cluster, entries: u64) {
    (0..entries).for_each(|_| cluster.commit_behind(DEPTH));
}

fn subject<E: 'static>(
    name: &str,
    mut cluster: Cluster<E>,
    commit: fn(&mut Cluster<E>, u64),
) -> Subject {
    Subject {
        name: name.to_owned(),
        commit: Box::new(move |entries| commit(&mut cluster, entries)),
        nanos: Vec::new(),
    }
}

/// Measures all of `subjects` in turns, after a round that does not count.
fn run(mut subjects: Vec<Subject>, entries: u64) -> Vec<Subject> {
    for round in 0..=ROUNDS {
        for subject in &mut subjects {
            subject.measure(entries);
            if round == 0 {
                subject.nanos.clear();
            }
        }
    }
    subjects
}

fn batches() -> Result<(), ConfigError> {
    println!("\ntime per committed entry, 16-byte commands, default settings");
    println!(
        "{:<36}{:>10}{:>10}{:>10}",
        "", "median", "fastest", "target"
    );
    let subjects = vec![
        subject("batch 1", Cluster::elected(|_| {})?, one_by_one),
        subject("  of which contract and pump", bare::cluster(), one_by_one),
        subject("batch 64", Cluster::elected(|_| {})?, in_batches),
        subject("  of which contract and pump", bare::cluster(), in_batches),
    ];
    let targets = [Some(400.0), None, Some(40.0), None];
    for (mut subject, target) in run(subjects, 128_000).into_iter().zip(targets) {
        let (median, fastest) = subject.figures();
        let name = &subject.name;
        print!("{name:<36}{median:>7.0} ns{fastest:>7.0} ns");
        match target {
            Some(target) if median <= target => println!("{target:>7.0} ns  met"),
            Some(target) => println!("{target:>7.0} ns  missed"),
            None => println!(),
        }
    }
    Ok(())
}

/// Prints the subjects with their ratio to the first; flat is what the target asks for.
fn compare(subjects: Vec<Subject>) {
    let mut base = None;
    for mut subject in subjects {
        let (median, fastest) = subject.figures();
        let ratio = median / *base.get_or_insert(median);
        let verdict = if ratio <= 1.5 { "flat" } else { "not flat" };
        let name = &subject.name;
        println!("{name:<36}{median:>7.0} ns{fastest:>7.0} ns{ratio:>8.2} x  {verdict}");
    }
}

fn depths() -> Result<(), ConfigError> {
    println!("\ntime per entry by entries in flight: neither written nor answered, batch 1");
    println!("{:<36}{:>10}{:>10}{:>10}", "", "median", "fastest", "ratio");
    let cluster = || {
        Cluster::elected(|config| {
            // Nothing in flight may have left it, and one round fills it.
            config.window_bytes = 1024 * 1024;
            config.max_inflight_messages = 8192;
        })
    };
    let subjects = vec![
        subject("1 in flight", cluster()?, behind::<1>),
        subject("16 in flight", cluster()?, behind::<16>),
        subject("256 in flight", cluster()?, behind::<256>),
        subject("4096 in flight", cluster()?, behind::<4096>),
    ];
    compare(run(subjects, 16_384));
    Ok(())
}

fn lengths() -> Result<(), ConfigError> {
    for (batch, commit) in [(1, one_by_one as fn(&mut Cluster, u64)), (64, in_batches)] {
        println!("\ntime per entry by length of the log, batch {batch}");
        println!("{:<36}{:>10}{:>10}{:>10}", "", "median", "fastest", "ratio");
        let mut subjects = Vec::new();
        for length in [1_000, 100_000, 1_000_000] {
            let mut cluster = Cluster::elected(|config| config.window_bytes = SMALL_WINDOW_BYTES)?;
            in_batches(&mut cluster, length);
            subjects.push(subject(&format!("{length} entries"), cluster, commit));
        }
        compare(run(subjects, 6_400));
    }
    Ok(())
}

fn main() -> Result<(), ConfigError> {
    // Cargo adds options of its own.
    let wanted = std::env::args().skip(1).find(|arg| !arg.starts_with('-'));
    let tables: [(&str, Table); 3] = [
        ("batches", batches),
        ("depths", depths),
        ("lengths", lengths),
    ];
    for (name, table) in tables {
        if wanted.as_deref().is_none_or(|wanted| wanted == name) {
            table()?;
        }
    }
    Ok(())
}
