//! The driver's thread of a simulated node: takes what has happened, lets the driver decide and
//! performs what it answers. What checkers are told is in `observe.rs`.

use quorate::{Input, Output, PeerMessage, StopCause};
use quorate_core::{NodeId, Violation as Fatal};

use super::lifetime::End;
use super::node::Request;
use super::streams::StreamId;
use super::{Happening, System};
use crate::check::{Check, LifeId, Property, broken};
use crate::describe;
use crate::history::{OpId, Outcome};
use crate::site::Site;

impl System {
    /// A message reaches a life.
    pub(super) fn hear(&mut self, id: LifeId, from: NodeId, message: PeerMessage) -> Check {
        self.counts.useful += 1;
        self.note(|| format!("{} hears {from}: {}", id.node, what_is_said(&message)));
        if let Some(life) = self.nodes[id.node].life.as_deref_mut() {
            if let PeerMessage::Raft(message) = &message {
                let term = life.glimpse.term;
                self.goals.hears(life.incarnation, term, message);
            }
            life.inputs.push(Input::Peer { from, message });
        }
        Ok(())
    }

    /// The life that reads a stream has something to do.
    pub(super) fn turn_of(&mut self, stream: StreamId) -> Check {
        match self.streams.get(stream).and_then(|stream| stream.acceptor) {
            Some(acceptor) => self.turn(acceptor),
            None => Ok(()),
        }
    }

    /// The wake-up that a shell asked for, unless it asked for an earlier one since.
    pub(super) fn wake(&mut self, id: LifeId) -> Check {
        let now = self.now;
        match self.life(id) {
            Some(life) if life.wake_at == now => {
                life.wake_at = u64::MAX;
                life.wake_for = u64::MAX;
                self.turn(id)
            }
            Some(_) | None => Ok(()),
        }
    }

    /// One turn of the driver, if it has something to do and is not busy.
    pub(super) fn turn(&mut self, id: LifeId) -> Check {
        let now = self.now;
        let Some(life) = self.nodes[id.node]
            .life
            .as_deref_mut()
            .filter(|it| it.id == id)
        else {
            return Ok(());
        };
        if life.is_paused {
            return Ok(());
        }
        if life.busy_until > now {
            let at = life.busy_until;
            self.wake_up(id, at);
            return Ok(());
        }
        let takes_asks =
            !life.is_leaving && life.driver.accepts_proposals() && life.driver.accepts_reads();
        let local = life.clock.read(now);
        let has_asks = takes_asks && !life.asks.is_empty();
        if life.inputs.is_empty() && !has_asks && life.driver.next_timeout() > local {
            self.arm(id);
            return Ok(());
        }
        let mut inputs = std::mem::take(&mut life.inputs);
        let is_tick = inputs.is_empty() && !has_asks;
        if takes_asks {
            inputs.extend(life.asks.drain(..));
        }
        let times = (local, life.driver.next_timeout());
        let (own, config) = (life.incarnation, &self.knobs.engine);
        life.hearing.turn_begins(times, &inputs, own, config);
        let outputs = life.driver.turn(local, inputs.drain(..));
        // Its room is used again.
        life.inputs = inputs;
        self.counts.steps += 1;
        self.counts.useful += u64::from((is_tick && !outputs.is_empty()) || has_asks);
        self.digest.fold(outputs.len() as u64 ^ id.node.get() << 32);
        self.observe_turn(id, &outputs)?;
        self.perform_all(id, outputs)?;
        if self.knobs.stream.turn_max > 0
            && let Some(life) = self.nodes[id.node].life.as_deref_mut()
        {
            let takes = self
                .choices
                .between(0, self.knobs.stream.turn_max, Site::Turn);
            life.busy_until = now + takes;
        }
        self.arm(id);
        Ok(())
    }

    /// Performs the outputs of a turn; perhaps the process dies among them.
    fn perform_all(&mut self, id: LifeId, outputs: Vec<Output<OpId, OpId>>) -> Check {
        let ppm = self.knobs.process.crash_in_step_ppm;
        let mut dies_after = usize::MAX;
        if !outputs.is_empty() && self.choices.chance(ppm, Site::CrashInStep) {
            let most = outputs.len() as u64 + 1;
            dies_after = self.choices.choose(most, Site::CrashInStep) as usize;
        }
        for (place, output) in outputs.into_iter().enumerate() {
            if place == dies_after {
                self.counts.crashes_in_step += 1;
                return self.crash(id.node, End::Process);
            }
            self.perform(id, output)?;
        }
        self.flush_all(id);
        match self.life(id) {
            Some(life) if life.has_stopped => self.crash(id.node, End::Process),
            Some(_) | None => Ok(()),
        }
    }

    /// Asks to be woken when the driver wants to be.
    fn arm(&mut self, id: LifeId) {
        let now = self.now;
        let Some(life) = self.life(id) else { return };
        let deadline = life.clock.when(life.driver.next_timeout()).max(now + 1);
        if deadline >= life.wake_for {
            return;
        }
        life.wake_for = deadline;
        let late = match self.knobs.process.jitter_max {
            0 => 0,
            jitter => self.choices.between(0, jitter, Site::Jitter),
        };
        self.wake_up(id, deadline.saturating_add(late));
    }

    fn wake_up(&mut self, id: LifeId, at: u64) {
        let Some(life) = self.life(id) else { return };
        if at < life.wake_at {
            life.wake_at = at;
            self.agenda.push(at, Happening::Wake(id));
        }
    }

    /// Performs one output.
    fn perform(&mut self, id: LifeId, output: Output<OpId, OpId>) -> Check {
        self.note(|| format!("{} does {}", id.node, what_is_done(&output)));
        match output {
            Output::Send { to, message } => {
                self.observe_leaving(id, &message)?;
                self.send(id, to, message);
                Ok(())
            }
            Output::Store(job) => self.store(id, job),
            Output::Load {
                load,
                from,
                to,
                limit_bytes,
            } => {
                let request = Request::Load {
                    load,
                    from,
                    to,
                    limit_bytes,
                };
                self.request(id, request);
                Ok(())
            }
            Output::Apply { entries, waiters } => self.hand_over(id, entries, waiters),
            Output::Read(read) => {
                self.let_read(id, read);
                Ok(())
            }
            Output::ProposeFailed { waiter, error } => {
                self.answer(id, waiter, super::clients::fate_of_proposal(&error))
            }
            Output::ReadFailed { read, error: _ } => self.answer(id, read, Outcome::Failed),
            Output::Changed { change, outcome } => self.changed(id, change, &outcome),
            Output::Transferred { transfer, outcome } => self.transferred(id, transfer, &outcome),
            Output::Peers(peers) => {
                let peers: Vec<NodeId> = peers.into_keys().collect();
                self.set_peers(id, &peers);
                Ok(())
            }
            Output::Leadership(leadership) => {
                if let Some(life) = self.life(id) {
                    life.announced = (leadership.role, leadership.term);
                }
                Ok(())
            }
            Output::Stopped(cause) => self.stopped(id, cause),
        }
    }

    /// A driver has stopped; its process ends when everybody who waits was told.
    fn stopped(&mut self, id: LifeId, cause: StopCause) -> Check {
        let Some(life) = self.life(id) else {
            return Ok(());
        };
        let (disk_failed, is_leaving) = (life.storage.has_failed, life.is_leaving);
        match cause {
            StopCause::Violation(Fatal::StorageFailed) if disk_failed => {
                life.has_stopped = true;
                Ok(())
            }
            StopCause::Shutdown if is_leaving => {
                life.has_stopped = true;
                Ok(())
            }
            StopCause::Shutdown | StopCause::Violation(_) | StopCause::Unsupported { .. } => {
                broken(
                    Property::NoFatal,
                    format_args!("{id} has stopped: {cause:?}"),
                )
            }
        }
    }
}

/// A message between hosts, for people.
fn what_is_said(message: &PeerMessage) -> String {
    match message {
        PeerMessage::Raft(message) => describe::message(message),
        PeerMessage::Forward {
            request, commands, ..
        } => format!("forward {request} of {} commands", commands.len()),
        PeerMessage::ForwardReply {
            request, outcome, ..
        } => format!("forward {request}: {outcome:?}"),
        PeerMessage::Birth { stage, .. } => format!("birth {stage:?}"),
    }
}

/// An output, for people.
fn what_is_done(output: &Output<OpId, OpId>) -> String {
    match output {
        Output::Send { to, message } => format!("send to {to}: {}", what_is_said(message)),
        Output::Apply { entries, waiters } => {
            let range = (entries.first(), entries.last());
            let (first, last) = (range.0.map(|it| it.id()), range.1.map(|it| it.id()));
            format!("apply {first:?} to {last:?} for {waiters:?}")
        }
        Output::Store(job) => match job {
            quorate::StorageJob::Stage(stage) => format!("store {stage:?}"),
            quorate::StorageJob::Write(writes) => {
                let write = |write: &quorate_log::Write| match write {
                    quorate_log::Write::HardState(state) => format!("{state:?}"),
                    quorate_log::Write::Append(entries) => format!(
                        "entries {:?} to {:?}",
                        entries.first().map(|entry| entry.id()),
                        entries.last().map(|entry| entry.id())
                    ),
                };
                let writes: Vec<String> = writes.iter().map(write).collect();
                format!("store {}", writes.join(", "))
            }
        },
        Output::Load { .. }
        | Output::Read(_)
        | Output::ProposeFailed { .. }
        | Output::ReadFailed { .. }
        | Output::Changed { .. }
        | Output::Transferred { .. }
        | Output::Peers(_)
        | Output::Leadership(_)
        | Output::Stopped(_) => format!("{output:?}"),
    }
}
