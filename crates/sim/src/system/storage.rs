//! The storage thread of a simulated node: one request after the other on the real log, each of
//! which takes time. What a request does, it does when it ends; a crash before then leaves any
//! part of it on the disk.

use std::io::ErrorKind;

use quorate::{Input, StorageJob};
use quorate_core::{Entry, LoadOutcome, NodeId, Payload, RoleName};
use quorate_log::{BirthStage, IoFailure, ReadOutcome, StorageError, Write};

use super::atlas::Harm;
use super::node::{Node, Request};
use super::{Happening, System};
use crate::check::{Check, LifeId, Property, Violation, broken, log_terms};
use crate::goals::Goal;
use crate::knobs::MILLI;
use crate::site::Site;

/// After this long without a request the log notes how far it is.
const IDLE: u64 = 100 * MILLI;
/// What the log may prepare for later after each request, in bytes.
pub(super) const HOUSEKEEPING_BYTES: u64 = 8 * 1024;

impl System {
    /// The driver gives a job out.
    pub(super) fn store(&mut self, id: LifeId, job: StorageJob) -> Check {
        self.observe_job(id, &job)?;
        if let StorageJob::Write(writes) = &job {
            for write in writes {
                self.observe_write(id, write)?;
            }
            self.observe_written(id, writes)?;
            self.observe_whole_log(id)?;
        }
        self.request(id, Request::Job(job));
        Ok(())
    }

    /// The storage thread is asked for something.
    pub(super) fn request(&mut self, id: LifeId, request: Request) {
        let Some(life) = self.life(id) else { return };
        life.storage.number += 1;
        life.storage.requests.push_back(request);
        if life.storage.requests.len() == 1 {
            self.start_request(id);
        }
    }

    fn start_request(&mut self, id: LifeId) {
        if let Some(takes) = self.hang_of(id) {
            self.agenda.push(self.now + takes, Happening::Stored(id));
            return;
        }
        let Some(life) = self.nodes[id.node].life.as_deref_mut() else {
            return;
        };
        let knobs = &self.knobs.disk;
        let takes = match life.storage.requests.front() {
            None => {
                let number = life.storage.number;
                self.agenda
                    .push(self.now + IDLE, Happening::Idle(id, number));
                return;
            }
            Some(_) if life.storage.has_failed => return,
            Some(Request::Load { .. }) => self.choices.between(0, knobs.load_max, Site::Load),
            Some(Request::Job(_)) if self.choices.chance(knobs.stall_ppm, Site::Stall) => {
                self.counts.stalls += 1;
                let hang = self.hang();
                if let Some(life) = self.nodes[id.node].life.as_deref_mut() {
                    life.storage.hang = hang;
                }
                let most = knobs.stall_max.max(knobs.sync_max);
                self.choices.between(knobs.sync_max, most, Site::StallFor)
            }
            Some(Request::Job(_)) => {
                self.choices
                    .between(knobs.sync_min, knobs.sync_max, Site::Sync)
            }
        };
        self.agenda.push(self.now + takes, Happening::Stored(id));
    }

    /// The request under way ends.
    pub(super) fn stored(&mut self, id: LifeId) -> Check {
        let Some(life) = self.life(id) else {
            return Ok(());
        };
        if life.is_paused {
            // The system does its part; the process goes on when it is let.
            self.agenda.push(self.now + MILLI, Happening::Stored(id));
            return Ok(());
        }
        let Some(request) = life.storage.requests.pop_front() else {
            return Ok(());
        };
        self.counts.useful += 1;
        self.note_end_of_hang(id);
        let served = match request {
            Request::Job(job) => self.perform_job(id, job)?,
            Request::Load { .. } => {
                self.load(id, &request)?;
                Ok(())
            }
        };
        let served = match served {
            Ok(()) => self.housekeep(id)?,
            Err(error) => Err(error),
        };
        if let Err(error) = served {
            self.storage_failed(id, &error)?;
        } else {
            self.start_request(id);
        }
        self.turn(id)
    }

    /// Performs a job on the log. The inner result is the disk's.
    fn perform_job(&mut self, id: LifeId, job: StorageJob) -> Result<Outcome, Violation> {
        self.fail_disk(id.node);
        self.fail_directory(id.node);
        let before = self.begin_astray(id.node);
        let failures = self.nodes[id.node].disk.failures();
        let Some(life) = self.life(id) else {
            return Ok(Ok(()));
        };
        let outcome = match &job {
            StorageJob::Write(writes) => life.storage.log.perform(writes).map(drop),
            StorageJob::Stage(stage) => life.storage.log.set_stage(stage.clone()),
        };
        self.counts.syncs += 1;
        self.note_writes_after_astray(id.node);
        self.observe_outcome(id, failures, &outcome)?;
        if let Some(before) = before {
            self.end_astray(id, &before, outcome.is_ok());
        }
        match outcome {
            Ok(()) => {
                self.became_durable(id.node, &job)?;
                self.note_durable(id.node, &job);
                if let Some(life) = self.life(id) {
                    life.inputs.push(Input::Stored);
                }
                Ok(Ok(()))
            }
            Err(error) => {
                self.nodes[id.node].stable.under_way = Some(job);
                Ok(Err(error))
            }
        }
    }

    /// A job was acknowledged by the log.
    fn became_durable(&mut self, node: NodeId, job: &StorageJob) -> Check {
        if self.atlas.is_wiped(node) {
            return match job {
                StorageJob::Stage(BirthStage::Born(_)) | StorageJob::Write(_) => broken(
                    Property::WipedSilent,
                    format_args!("{node} lost its directory and writes {job:?}"),
                ),
                StorageJob::Stage(_) => Ok(()),
            };
        }
        let stable = &mut self.nodes[node].stable;
        match job {
            StorageJob::Stage(stage) => {
                stable.reached(stage);
                Ok(())
            }
            StorageJob::Write(writes) => {
                // Appends that follow one another are one batch.
                let mut is_batch_open = false;
                writes.iter().try_for_each(|write| match write {
                    Write::HardState(state) => {
                        is_batch_open = false;
                        stable.hard = *state;
                        self.checks.terms.saved(node, state)?;
                        match state.vote {
                            Some(candidate) => self.checks.votes.voted(node, state.term, candidate),
                            None => Ok(()),
                        }
                    }
                    Write::Append(entries) => {
                        if let Some(first) = entries.first() {
                            stable.shape.truncate_from(first.index);
                            stable.newest_batch = if is_batch_open {
                                stable.newest_batch.min(first.index)
                            } else {
                                first.index
                            };
                            is_batch_open = true;
                        }
                        for entry in entries.iter() {
                            stable.shape.push(entry);
                        }
                        Ok(())
                    }
                })
            }
        }
    }

    /// A write is asked for: what the log becomes by it.
    fn observe_write(&mut self, id: LifeId, write: &Write) -> Check {
        let Write::Append(entries) = write else {
            return Ok(());
        };
        let Some(life) = self.nodes[id.node].life.as_deref_mut() else {
            return Ok(());
        };
        let Some(first) = entries.first().map(|entry| entry.index) else {
            return broken(
                Property::StatusTruth,
                format_args!("{id} writes no entries at all"),
            );
        };
        if first <= life.written.last() {
            self.counts.truncations += 1;
            let elections = &self.checks.elections;
            self.goals
                .truncates(id.node, &life.written, first, elections);
            life.written.truncate_from(first);
        }
        let is_command = |entry: &&Entry| matches!(entry.payload, Payload::Command(_));
        let leads = life.glimpse.role == RoleName::Leader;
        let is_batch = leads && entries.iter().filter(is_command).nth(1).is_some();
        self.goals.reach_if(is_batch, Goal::BatchedJob);
        let term = life.driver.leadership().term.max(life.glimpse.term);
        for entry in entries.iter() {
            let last = life.written.last_id();
            if entry.index != last.index.next() {
                return broken(
                    Property::StatusTruth,
                    format_args!("{id} writes {} behind {last}", entry.id()),
                );
            }
            log_terms::appended(id.node, term, last.term, entry.id())?;
            let mark = life.written.push(entry);
            self.checks.matching.appended(id.node, entry.index, mark)?;
        }
        Ok(())
    }

    /// A job holds everything that was not written yet, so that with it the log is the engine's:
    /// what that has committed is the committed log.
    fn observe_written(&self, id: LifeId, writes: &[Write]) -> Check {
        let Some(life) = self.nodes[id.node].life.as_deref() else {
            return Ok(());
        };
        let firsts = writes.iter().filter_map(|write| match write {
            Write::Append(entries) => entries.first().map(|entry| entry.index),
            Write::HardState(_) => None,
        });
        let Some(mut index) = firsts.min() else {
            return Ok(());
        };
        while index <= life.glimpse.commit {
            let committed = self.checks.ledger.get(index).map(|entry| entry.mark);
            if let (Some(committed), Some(written)) = (committed, life.written.mark(index))
                && committed != written
            {
                return broken(
                    Property::NoCommittedTruncation,
                    format_args!(
                        "{id} writes {index}:{} over what it committed there",
                        written.term
                    ),
                );
            }
            index = index.next();
        }
        Ok(())
    }

    /// Reads old entries.
    fn load(&mut self, id: LifeId, request: &Request) -> Check {
        let Request::Load {
            load,
            from,
            to,
            limit_bytes,
        } = request
        else {
            return Ok(());
        };
        let fails = self
            .choices
            .chance(self.knobs.disk.load_failure_ppm, Site::LoadFailure);
        self.break_sector(id.node);
        let host = &mut self.nodes[id.node];
        let failures = host.disk.failures();
        let Some(life) = host.life.as_deref_mut() else {
            return Ok(());
        };
        let outcome = if fails {
            LoadOutcome::Failed
        } else {
            match life.storage.log.read(*from, *to, *limit_bytes) {
                Ok(ReadOutcome::Found(entries)) => {
                    let last = entries.last().map_or(*from, |last| last.index);
                    let mut unread = life.storage.unread.take_if(|it| *it <= last);
                    let is_read = unread.take_if(|it| *from <= *it).is_some();
                    self.goals.reach_if(is_read, Goal::SectorReadAgain);
                    LoadOutcome::Found(entries)
                }
                Ok(ReadOutcome::Gone) => LoadOutcome::Gone,
                Err(error) => {
                    let harm = self.atlas.of(id.node);
                    let is_misread = matches!(harm, Some(Harm::Misread));
                    let is_wrong = is_misread || matches!(harm, Some(Harm::Astray(_)));
                    if host.disk.failures() == failures && !is_wrong {
                        return broken(
                            Property::NoSilentLoss,
                            format_args!("{id} cannot read its log up to {to}: {error}"),
                        );
                    }
                    self.goals.reach_if(is_misread, Goal::MisreadNoticed);
                    life.storage.unread = Some(*from);
                    LoadOutcome::Failed
                }
            }
        };
        let failed = matches!(outcome, LoadOutcome::Failed);
        // What the machine has been given already is wanted for somebody else.
        let is_old = life.glimpse.role == RoleName::Leader && *from <= life.machine.handed;
        self.goals
            .reach_if(is_old && !failed, Goal::OldEntriesLoaded);
        self.goals.reach_if(failed, Goal::LoadFailed);
        life.inputs.push(Input::Loaded {
            load: *load,
            outcome,
        });
        self.counts.loads += u64::from(!failed);
        self.counts.load_failures += u64::from(failed);
        Ok(())
    }

    /// Prepares the next segment, after a request.
    fn housekeep(&mut self, id: LifeId) -> Result<Outcome, Violation> {
        let failures = self.nodes[id.node].disk.failures();
        let Some(life) = self.life(id) else {
            return Ok(Ok(()));
        };
        let outcome = life.storage.log.housekeep(HOUSEKEEPING_BYTES).map(drop);
        self.observe_outcome(id, failures, &outcome)?;
        match outcome {
            Err(StorageError::Full(_)) => {
                self.nodes[id.node].has_met_full = true;
                Ok(Ok(()))
            }
            outcome => Ok(outcome),
        }
    }

    /// The log has answered to something that writes. It fails if and only if its disk does:
    /// before, that had failed so many calls.
    fn observe_outcome(&self, id: LifeId, failures: u64, outcome: &Outcome) -> Check {
        let host = &self.nodes[id.node];
        match outcome {
            Ok(()) if host.disk.failures() > failures => broken(
                Property::NoSilentLoss,
                format_args!("{id} was refused something by its disk, and tells nobody"),
            ),
            // What was asked for is judged with the failure itself.
            Ok(()) | Err(StorageError::Misuse(_)) => Ok(()),
            Err(StorageError::Io(failure) | StorageError::Full(failure))
                if host.has_cause(failures, failure) =>
            {
                Ok(())
            }
            Err(error) => broken(
                Property::NoFatal,
                format_args!("{id} gives its log up while its disk is well: {error}"),
            ),
        }
    }

    /// Nothing was asked for a while.
    pub(super) fn idle(&mut self, id: LifeId, number: u64) -> Check {
        let Some(life) = self.life(id) else {
            return Ok(());
        };
        if life.storage.number != number || life.storage.has_failed || life.is_paused {
            return Ok(());
        }
        let failures = self.nodes[id.node].disk.failures();
        let Some(life) = self.life(id) else {
            return Ok(());
        };
        let served = life.storage.log.idle();
        self.observe_outcome(id, failures, &served)?;
        let served = match served {
            Ok(()) => self.housekeep(id)?,
            Err(error) => Err(error),
        };
        match served {
            Ok(()) => Ok(()),
            Err(error) => {
                self.storage_failed(id, &error)?;
                self.turn(id)
            }
        }
    }

    /// The log failed: the node has to stop.
    fn storage_failed(&mut self, id: LifeId, error: &StorageError) -> Check {
        self.note(|| format!("{id} storage failed: {error}"));
        self.nodes[id.node].has_met_full |= super::goals::is_full(error);
        if let StorageError::Io(failure) = error {
            self.note_failure(failure);
        }
        let Some(life) = self.life(id) else {
            return Ok(());
        };
        life.storage.has_failed = true;
        life.inputs.push(Input::StorageFailed);
        let is_misuse = matches!(error, StorageError::Misuse(_));
        if is_misuse {
            return broken(
                Property::StatusTruth,
                format_args!("{id} asks its log for the impossible: {error}"),
            );
        }
        Ok(())
    }
}

impl Node {
    /// Whether its disk is the cause of this failure: it failed a call that it was made to fail,
    /// beside the `failures` that there were before, or has no room.
    pub(super) fn has_cause(&self, failures: u64, failure: &IoFailure) -> bool {
        let is_room = failure.source.kind() == ErrorKind::StorageFull;
        self.disk.failures() > failures || (is_room && self.is_full)
    }
}

/// What the disk says.
type Outcome = Result<(), StorageError>;
