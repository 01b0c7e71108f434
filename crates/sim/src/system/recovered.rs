//! What a start must find on a disk: everything that was acknowledged, of what was under way any
//! prefix, and nothing else. One comparison per entry, at each start.

use quorate::StorageJob;
use quorate_core::{Entries, HardState, LogIndex, NodeId};
use quorate_log::{MemDisk, Opened, ReadOutcome, Write};

use super::System;
use super::atlas::Harm;
use crate::check::{Property, Violation};
use crate::shape::Shape;

/// Bytes read at once: few enough to stay in the processor's cache.
const CHUNK_BYTES: u64 = 128 * 1024;

impl System {
    /// Compares what was opened with what must be there, and takes it as what is there now.
    /// What was read for it; `None` if damage made the newest batch look torn, which no log can
    /// tell: then the node does not start with it.
    pub(super) fn check_recovered(
        &mut self,
        node: NodeId,
        opened: &mut Opened<MemDisk>,
    ) -> Result<Option<Vec<Entries>>, Violation> {
        let may_look_torn = match self.atlas.of(node) {
            Some(Harm::Wiped { .. }) => return Ok(Some(Vec::new())),
            Some(Harm::Damaged { may_look_torn, .. }) => *may_look_torn,
            Some(Harm::Astray(_) | Harm::Unreadable | Harm::Misread) | None => false,
        };
        let stable = &mut self.nodes[node].stable;
        let log = read_all(opened).map_err(|what| Violation {
            property: Property::NoSilentLoss,
            facts: format!("{node} opened a log that cannot be read: {what}"),
        })?;
        let found = Shape::of_log(log.iter().flat_map(|entries| entries.iter()));
        let hard = opened.recovered.hard_state;
        let under_way = stable.under_way.take();
        let is_possible = is_possible(
            &stable.hard,
            &stable.shape,
            under_way.as_ref(),
            &hard,
            &found,
        );
        let before = stable.newest_batch.prev();
        let is_end_lost = found.mark(before) == stable.shape.mark(before)
            && is_hard_state_possible(&stable.hard, under_way.as_ref(), &hard);
        if !is_possible && may_look_torn && is_end_lost {
            stable.under_way = under_way;
            return Ok(None);
        }
        self.atlas.is_whole(node);
        if let Some(job) = &under_way {
            let stage = &opened.identity.stage;
            super::goals::recovered(&mut self.goals, job, stage, &hard, &found);
        }
        if !is_possible {
            return Err(Violation {
                property: Property::NoSilentLoss,
                facts: format!(
                    "{node} finds {hard:?} and a log up to {}; acknowledged were {:?} and {}, \
                     under way was {under_way:?}",
                    found.last_id(),
                    stable.hard,
                    stable.shape.last_id(),
                ),
            });
        }
        let was_born = stable.is_born;
        stable.reached(&opened.identity.stage);
        let directory = *stable.directory.get_or_insert(opened.identity.directory);
        let same_directory = directory == opened.identity.directory;
        if was_born && !(stable.is_born && same_directory) {
            return Err(Violation {
                property: Property::NoSilentLoss,
                facts: format!("{node} has forgotten its birth: {:?}", opened.identity),
            });
        }
        stable.directory = Some(opened.identity.directory);
        stable.hard = hard;
        stable.shape = found;
        self.checks.terms.saved(node, &hard)?;
        if let Some(candidate) = hard.vote {
            self.checks.votes.voted(node, hard.term, candidate)?;
        }
        Ok(Some(log))
    }
}

/// Every entry of a log, in the parts in which it was read.
fn read_all(opened: &mut Opened<MemDisk>) -> Result<Vec<Entries>, String> {
    let recovered = &opened.recovered;
    let mut log = Vec::new();
    let Some(last_start) = recovered.term_starts.last() else {
        return Ok(log);
    };
    let to = quorate_core::EntryId::new(recovered.last, last_start.term);
    let mut from = LogIndex::NONE.next();
    while from <= recovered.last {
        match opened.log.read(from, to, CHUNK_BYTES) {
            Ok(ReadOutcome::Found(found)) => {
                from = found.last().map_or(from, |last| last.index).next();
                log.push(found);
            }
            Ok(ReadOutcome::Gone) => return Err(format!("{from} is gone")),
            Err(error) => return Err(error.to_string()),
        }
    }
    Ok(log)
}

/// Whether this hard state can be found: the acknowledged one, or one that was under way.
fn is_hard_state_possible(hard: &HardState, job: Option<&StorageJob>, found: &HardState) -> bool {
    let is_it = |write: &Write| matches!(write, Write::HardState(state) if state == found);
    let of_job = match job {
        Some(StorageJob::Write(writes)) => writes.iter().any(is_it),
        Some(StorageJob::Stage(_)) | None => false,
    };
    hard == found || of_job
}

/// Whether this can be found: the acknowledged state, and any prefix of the job on top of it.
pub(super) fn is_possible(
    hard: &HardState,
    shape: &Shape,
    job: Option<&StorageJob>,
    found_hard: &HardState,
    found: &Shape,
) -> bool {
    let is_equal = |hard: &HardState, shape: &Shape| {
        hard == found_hard
            && shape.last() == found.last()
            && shape.mark(shape.last()) == found.mark(found.last())
    };
    if is_equal(hard, shape) {
        return true;
    }
    let Some(StorageJob::Write(writes)) = job else {
        return false;
    };
    let (mut hard, mut shape) = (*hard, shape.clone());
    for write in writes {
        match write {
            Write::HardState(state) => hard = *state,
            Write::Append(entries) => {
                for entry in entries.iter() {
                    shape.truncate_from(entry.index);
                    shape.push(entry);
                    if is_equal(&hard, &shape) {
                        return true;
                    }
                }
            }
        }
        if is_equal(&hard, &shape) {
            return true;
        }
    }
    false
}
