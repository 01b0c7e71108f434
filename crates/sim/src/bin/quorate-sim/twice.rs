//! One seed in a hundred is run a second time, in a fresh process: what differs from one process
//! to the next, as the order of a hash map or an address does, would make a seed that failed
//! impossible to replay.

use std::collections::BTreeMap;
use std::process::{Command, ExitCode};

use crate::explore::Campaign;

/// One in so many.
const ONE_IN: u64 = 100;

/// Why it is not known that runs repeat, or known that they do not.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Differs {
    /// A run that had another history.
    #[error("seed {seed} is not deterministic: hash {here:016x} here, {there} in another process")]
    Seed { seed: u64, here: u64, there: String },
    /// No other process.
    #[error("no other process to compare with: {0}")]
    Process(std::io::Error),
}

/// Whether a seed of the campaign is run twice.
pub(crate) const fn is_sampled(campaign: &Campaign, seed: u64) -> bool {
    (seed - campaign.seeds.start).is_multiple_of(ONE_IN)
}

/// Runs the seeds of `sample` again in a fresh process, and says how many there were.
pub(crate) fn check(campaign: &Campaign, sample: &BTreeMap<u64, u64>) -> Result<usize, Differs> {
    let program = std::env::current_exe().map_err(Differs::Process)?;
    let output = Command::new(program)
        .args(["digest", "--world", campaign.world.name()])
        .args(["--events", &campaign.events.to_string()])
        .args(["--threads", &campaign.threads.to_string()])
        .args(["--every", &ONE_IN.to_string()])
        .arg("--seeds")
        .arg(format!("{}..{}", campaign.seeds.start, campaign.seeds.end))
        .output()
        .map_err(Differs::Process)?;
    compare(sample, &String::from_utf8_lossy(&output.stdout))
}

/// Compares the hashes of `sample` with those that another process printed.
fn compare(sample: &BTreeMap<u64, u64>, output: &str) -> Result<usize, Differs> {
    let told: BTreeMap<&str, &str> = output
        .lines()
        .filter_map(|line| line.split_once(' '))
        .collect();
    for (&seed, &here) in sample {
        let there = told.get(seed.to_string().as_str()).copied();
        if there != Some(format!("{here:016x}").as_str()) {
            let there = there.unwrap_or("nothing").to_owned();
            return Err(Differs::Seed { seed, here, there });
        }
    }
    Ok(sample.len())
}

/// The other process: prints each seed and its hash.
pub(crate) fn print(campaign: &Campaign) -> ExitCode {
    for (seed, digest) in campaign.run(|_| true).sample {
        println!("{seed} {digest:016x}");
    }
    ExitCode::SUCCESS
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seed_with_another_hash_or_none_in_the_other_process_is_named() {
        let sample = BTreeMap::from([(7, 0x2a), (107, 0x2b)]);
        let check = |output: &str| compare(&sample, output).map_err(|differs| differs.to_string());
        let same = "7 000000000000002a\n107 000000000000002b\n";
        assert_eq!(check(same), Ok(2));
        let other = check("7 000000000000002a\n107 000000000000002c\n").unwrap_err();
        assert!(
            other.starts_with("seed 107 is not deterministic"),
            "{other}"
        );
        let missing = check("107 000000000000002b\n").unwrap_err();
        assert!(missing.starts_with("seed 7 is"), "{missing}");
    }
}
