//! Histories by chance: what happens at one moment between question and answer is always
//! linearizable; with one answer changed it mostly is not.

use super::*;
use crate::choice::Choices;
use crate::site::Site;

const SEEDS: u64 = 150;
const CLIENTS: u32 = 6;
const STEPS: u64 = 160;

/// Where an operation is that was asked for.
enum Pending {
    Asked(OpId),
    Done(OpId, Outcome),
}

fn choose(choices: &mut Choices, n: u64) -> u64 {
    choices.choose(n, Site::Propose)
}

fn any_op(choices: &mut Choices) -> Op {
    let key = choose(choices, 3) as u8;
    let mut small = || choose(choices, 3);
    match small() + small() {
        0 => Op::Put {
            key,
            value: small(),
        },
        1 => Op::Add { key, by: small() },
        2 => Op::Append { key },
        3 if small() == 0 => Op::ReadPair {
            first: key,
            second: small() as u8,
        },
        3 => Op::Read { key },
        _ => Op::Cas {
            key,
            expect: small(),
            new: small(),
        },
    }
}

/// A history of `seed` in which everything is right.
fn good(seed: u64) -> Cluster {
    let mut choices = Choices::new(seed);
    let mut cluster = Cluster::new();
    let mut pending: Vec<Option<Pending>> = (0..CLIENTS).map(|_| None).collect();
    // Left alone by their clients; they may still be done.
    let mut forgotten = Vec::new();
    for _ in 0..STEPS {
        let client = choose(&mut choices, u64::from(CLIENTS)) as usize;
        pending[client] = match pending[client].take() {
            None => {
                let op = any_op(&mut choices);
                Some(Pending::Asked(cluster.ask(client as u32, op)))
            }
            Some(Pending::Asked(id)) => advance(&mut cluster, &mut choices, &mut forgotten, id),
            Some(Pending::Done(id, outcome)) => {
                cluster.tell(id, outcome);
                None
            }
        };
        if !forgotten.is_empty() && choose(&mut choices, 8) == 0 {
            let at = choose(&mut choices, forgotten.len() as u64) as usize;
            cluster.commit(forgotten.swap_remove(at));
        }
    }
    cluster
}

fn advance(
    cluster: &mut Cluster,
    choices: &mut Choices,
    forgotten: &mut Vec<OpId>,
    id: OpId,
) -> Option<Pending> {
    let op = cluster.op(id);
    match choose(choices, 16) {
        0 => {
            cluster.tell(id, Outcome::Unknown);
            forgotten.push(id);
            None
        }
        1 => {
            cluster.tell(id, Outcome::Failed);
            None
        }
        2 => {
            cluster.commit(id);
            Some(Pending::Done(id, Outcome::Unknown))
        }
        3..8 => Some(Pending::Asked(id)),
        _ if op.is_read() => {
            let reply = cluster.model.read(op);
            let applied = LogIndex::new(cluster.log.len() as u64);
            Some(Pending::Done(id, Outcome::Read { reply, applied }))
        }
        _ => {
            cluster.commit(id);
            let (entry, _, reply) = *cluster.log.last().unwrap();
            Some(Pending::Done(id, Outcome::Written { reply, entry }))
        }
    }
}

#[test]
fn histories_of_one_moment_each_always_have_an_order() {
    for seed in 0..SEEDS {
        let cluster = good(seed);
        assert_eq!(cluster.witnessed(), Ok(()), "seed {seed}");
        assert_eq!(cluster.searched(), Verdict::Linearizable, "seed {seed}");
        assert_eq!(
            cluster.searched_blindly(),
            Verdict::Linearizable,
            "seed {seed}"
        );
        let node = cluster.model.state_hash();
        assert_eq!(cluster.witness.model().state_hash(), node, "seed {seed}");
    }
}

/// Changes the answer of the record at `at` to what `change` makes of it; whether there was one.
fn change(cluster: &mut Cluster, at: usize, change: impl Fn(&mut Cell)) -> bool {
    let record = &mut cluster.history.records_mut()[at];
    match &mut record.completed {
        Some((_, Outcome::Read { reply, .. } | Outcome::Written { reply, .. })) => {
            match reply {
                Reply::Length(number) | Reply::Before(number) => *number += 1,
                Reply::Cell(cell) | Reply::Pair(_, cell) => change(cell),
            }
            true
        }
        None | Some((_, Outcome::Failed | Outcome::Unknown)) => false,
    }
}

/// How many of the changed answers the search found, and how many there were.
fn found(make: impl Fn(&mut Cell)) -> (u64, u64) {
    let (mut found, mut changed) = (0, 0);
    for seed in 0..SEEDS {
        let mut cluster = good(seed);
        let at = seed as usize % cluster.history.records().len();
        if change(&mut cluster, at, &make) {
            changed += 1;
            let verdict = cluster.searched();
            found += u64::from(matches!(verdict, Verdict::Violated { .. }));
        }
    }
    (found, changed)
}

#[test]
fn answer_that_is_changed_is_mostly_found_by_the_search() {
    let (found, changed) = found(|cell| cell.number += 1);
    assert!(changed > SEEDS / 2, "{changed} answers were changed");
    assert!(
        found * 100 >= changed * 80,
        "{found} of {changed} were found"
    );
}

#[test]
fn list_that_never_was_is_mostly_found_by_the_search() {
    let (found, changed) = found(|cell| cell.chain ^= 1);
    assert!(
        found * 100 >= changed * 80,
        "{found} of {changed} were found"
    );
}

/// Every answer has one right value, given the log: the witness finds each change.
#[test]
fn answer_that_is_changed_is_always_found_by_the_witness() {
    for seed in 0..SEEDS {
        let mut cluster = good(seed);
        let asked = cluster.ask(0, Op::Read { key: 1 });
        let Reply::Cell(mut cell) = cluster.model.read(Op::Read { key: 1 }) else {
            panic!("a read answers with what stands there")
        };
        cell.number += 1;
        let applied = cluster.log.len() as u64;
        cluster.answer(asked, Reply::Cell(cell), applied);
        assert!(cluster.witnessed().is_err(), "seed {seed}");
    }
}
