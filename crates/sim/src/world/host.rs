//! What a host does with its engine: takes inputs, delivers ticks before them, performs actions
//! one by one, and tells the engine what became of them. Serial and overlapping hosts differ only
//! in when a write and a message that needs it are done. What checkers are told is in
//! `observe.rs`; the way into the state machine is in `client.rs`.

use quorate_core::{Action, Event, LoadId, LoadOutcome, Message, NodeId, Violation as Fatal};

use super::cause::Cause;
use super::network::Passage;
use super::storage::{Wanted, Write};
use super::{Happening, World};
use crate::check::{Check, LifeId, Property, bounded_memory, broken, no_spin, persist_before_send};
use crate::describe;
use crate::goals::Goal;
use crate::knobs::{HostMode, MILLI};
use crate::site::Site;

/// Inputs that may wait at a node before it loses messages; a real host's socket buffers are
/// bounded too. What its own disk and state machine say is never lost.
const INBOX_LIMIT: usize = 4096;

impl World {
    /// An input reaches a node. It is lost if the node is down.
    pub(super) fn input(&mut self, node: NodeId, event: Event) -> Check {
        let Some(life) = self.nodes[node].life.as_deref_mut() else {
            return Ok(());
        };
        life.inbox.push_back(event);
        self.pump(node)
    }

    /// Whether such an input was taken somewhere and has not come to its engine yet.
    pub(super) fn any_waits(&self, is_such: impl Fn(&Event) -> bool) -> bool {
        let mut alive = self.nodes.iter().filter_map(|node| node.life.as_deref());
        alive.any(|life| life.inbox.iter().any(&is_such))
    }

    pub(super) fn arrive(&mut self, message: Message) -> Check {
        let receiver = self.nodes[message.to].life.as_deref();
        let Some(life) = receiver.filter(|life| life.inbox.len() < INBOX_LIMIT) else {
            self.counts.lost += 1;
            return Ok(());
        };
        self.goals
            .hears(life.incarnation, life.glimpse.term, &message);
        self.counts.useful += 1;
        self.input(message.to, Event::Receive(message))
    }

    /// The wake-up that a host asked for, unless it asked for an earlier one since.
    pub(super) fn wake(&mut self, id: LifeId) -> Check {
        let now = self.now;
        match self.life(id) {
            Some(life) if life.wake_at == now => {
                life.wake_at = u64::MAX;
                life.wake_for = u64::MAX;
                self.pump(id.node)
            }
            Some(_) | None => Ok(()),
        }
    }

    /// Runs a host until it has nothing to do: first the actions of the last step, then what the
    /// disk has said, then inputs, each after a tick.
    pub(super) fn pump(&mut self, node: NodeId) -> Check {
        let is_serial = self.knobs.host == HostMode::Serial;
        let now = self.now;
        loop {
            let Some(life) = self.nodes[node].life.as_deref_mut() else {
                return Ok(());
            };
            if life.is_stalled() {
                return Ok(());
            }
            if life.dies_after.is_some_and(|left| left == 0) {
                self.counts.crashes_in_step += 1;
                return self.crash(node);
            }
            if let Some(action) = life.actions.pop_front() {
                life.dies_after = life.dies_after.map(|left| left - 1);
                self.perform(node, action)?;
                continue;
            }
            if life.writes.has_failed && !life.writes.failure_is_told {
                life.writes.failure_is_told = true;
                self.step(node, Event::StorageFailed)?;
                continue;
            }
            if is_serial && life.writes.told < life.writes.durable {
                life.writes.told = life.writes.durable;
                let confirmed = Event::Persisted(life.writes.durable);
                self.step(node, confirmed)?;
                continue;
            }
            let local = life.clock.read(now);
            let due = life.timeout;
            if local > life.ticked && (local >= due || !life.inbox.is_empty()) {
                if local.since(life.ticked) > self.knobs.engine.election_timeout_min / 4 {
                    life.counts_from = local;
                }
                life.due = due;
                life.ticked = local;
                self.step(node, Event::Tick { now: local })?;
            } else if let Some(event) = life.inbox.pop_front() {
                // A snapshot that the engine has dropped since it arrived is nobody's business.
                if let Event::SnapshotReceived { last, checksum } = &event
                    && life
                        .received
                        .iter()
                        .all(|it| !it.meta.is_named(*last, *checksum))
                {
                    continue;
                }
                self.step(node, event)?;
            } else {
                break;
            }
        }
        self.arm(node);
        Ok(())
    }

    /// Asks to be woken when the engine wants to be.
    fn arm(&mut self, node: NodeId) {
        let Some(life) = self.nodes[node].life.as_deref_mut() else {
            return;
        };
        // A deadline that is due already has been served by the tick of this very moment.
        let deadline = life.clock.when(life.timeout).max(self.now + 1);
        if deadline >= life.wake_for {
            return;
        }
        life.wake_for = deadline;
        let late = match self.knobs.process.jitter_max {
            0 => 0,
            jitter => self.choices.between(0, jitter, Site::Jitter),
        };
        let at = deadline.saturating_add(late);
        if at < life.wake_at {
            life.wake_at = at;
            let id = life.id;
            self.agenda.push(at, Happening::Wake(id));
        }
    }

    /// One step of an engine. Its actions are queued; perhaps the process dies among them.
    fn step(&mut self, node: NodeId, event: Event) -> Check {
        let cause = Cause::of(&event);
        let is_counted = is_counted_where_it_comes_from(&event);
        self.note(|| format!("{node} <- {}", describe::event(&event)));
        self.before_step(node, cause);
        let Some(life) = self.nodes[node].life.as_deref_mut() else {
            return Ok(());
        };
        let before = life.glimpse.place();
        let mut actions = life.engine.step(event);
        life.timeout = life.engine.next_timeout().at;
        if matches!(cause, Cause::Tick) && !life.engine.is_stopped() {
            no_spin::wants(life.id, life.ticked, life.timeout)?;
        }
        self.counts.steps += 1;
        if self.passes_over_tick(node, cause, &actions) {
            return Ok(());
        }
        self.observe(node, cause, &actions)?;
        if !is_counted {
            let life = self.nodes[node].life.as_deref();
            let is_moved = life.is_some_and(|life| life.glimpse.place() != before);
            self.counts.useful += u64::from(is_moved || !actions.is_empty());
        }
        let count = actions.len();
        if count > 0
            && self
                .choices
                .chance(self.knobs.process.crash_in_step_ppm, Site::CrashInStep)
        {
            let place = self.choices.choose(count as u64 + 1, Site::CrashPlace) as usize;
            if let Some(life) = self.nodes[node].life.as_deref_mut() {
                life.dies_after = Some(place);
            }
        }
        if let Some(life) = self.nodes[node].life.as_deref_mut() {
            if life.actions.is_empty() {
                // Takes the list itself; nothing is copied.
                life.actions = actions.into();
            } else {
                life.actions.extend(actions.drain(..));
                life.engine.recycle(actions);
            }
        }
        Ok(())
    }

    /// Performs one action.
    fn perform(&mut self, node: NodeId, action: Action) -> Check {
        self.note(|| format!("{node} -> {}", describe::action(&action)));
        let is_serial = self.knobs.host == HostMode::Serial;
        let Some(life) = self.nodes[node].life.as_deref_mut() else {
            return Ok(());
        };
        let id = life.id;
        match action {
            Action::Send { needs, message } => {
                // A serial host has done every earlier write by now, and asks for nothing more.
                if is_serial || needs <= life.writes.durable {
                    self.leave(message)
                } else {
                    life.held.push((needs, message));
                    Ok(())
                }
            }
            Action::LoadEntries {
                load,
                from,
                to,
                limit_bytes,
                purpose: _,
            } => {
                let wanted = Wanted {
                    from,
                    to,
                    limit_bytes,
                };
                self.want(id, load, wanted)
            }
            Action::SaveHardState { write, state } => {
                life.writes.push(write, Write::Hard(state));
                self.written(id)
            }
            Action::AppendEntries { write, entries } => {
                life.writes.push(write, Write::Append(entries));
                self.written(id)
            }
            Action::InstallSnapshot {
                write,
                snapshot,
                discard_log,
            } => self.install(id, write, &snapshot, discard_log),
            Action::RestoreSnapshot { snapshot } => self.restore(id, &snapshot),
            Action::PurgeLog { through } => self.purge(id, through),
            Action::SnapshotDue => self.snapshot_due(id),
            Action::ReceiveSnapshot { from, snapshot } => self.receive(id, from, snapshot),
            Action::DropSnapshot { snapshot } => self.drop_snapshot(id, &snapshot),
            Action::Apply { entries } => self.hand_over(id, entries),
            Action::Proposed { proposal: _, first } => self.proposed(id, first),
            Action::ReadReady { read, index } => self.read_ready(id, read, index),
            Action::Refused { request, reason } => self.refused(id, request, reason),
            // Told to checkers when the step was over.
            Action::RoleChanged { .. }
            | Action::MembershipAppended { .. }
            | Action::MembershipChanged { .. }
            | Action::Removed { .. }
            | Action::HandedOver { .. } => Ok(()),
            Action::Fatal(Fatal::StorageFailed) if life.writes.has_failed => self.crash(node),
            Action::Fatal(fatal) => {
                broken(Property::NoFatal, format_args!("{id} has stopped: {fatal}"))
            }
        }
    }

    /// Old entries were asked for.
    fn want(&mut self, id: LifeId, load: LoadId, wanted: Wanted) -> Check {
        let Some(life) = self.life(id) else {
            return Ok(());
        };
        life.open_loads += 1;
        life.loads.push_back((life.writes.issued, load, wanted));
        let open = life.open_loads;
        bounded_memory::loads(id.node, open, self.knobs.nodes(), wanted.from)?;
        self.observe_load(id, wanted.from, wanted.to)?;
        self.start_loads(id);
        Ok(())
    }

    /// A write was asked for.
    pub(super) fn written(&mut self, id: LifeId) -> Check {
        let is_serial = self.knobs.host == HostMode::Serial;
        let Some(life) = self.life(id) else {
            return Ok(());
        };
        life.is_blocked = is_serial;
        if !life.writes.is_syncing() {
            self.start_sync(id);
        }
        Ok(())
    }

    /// Starts the next sync, if there is something to write and the disk still works.
    fn start_sync(&mut self, id: LifeId) {
        let Some(life) = self.nodes[id.node].life.as_deref_mut() else {
            return;
        };
        let limit = life.writes.batch_limit() as u64;
        if limit == 0 || life.writes.has_failed {
            return;
        }
        let knobs = &self.knobs.disk;
        life.writes
            .start(self.choices.between(1, limit, Site::SyncBatch) as usize);
        self.counts.syncs += 1;
        let mut takes = self
            .choices
            .between(knobs.sync_min, knobs.sync_max, Site::Sync);
        if self.choices.chance(knobs.stall_ppm, Site::Stall) {
            self.counts.stalls += 1;
            let longest = knobs.stall_max.max(knobs.sync_max);
            takes = self
                .choices
                .between(knobs.sync_max, longest, Site::StallFor);
        }
        self.agenda.push(self.now + takes, Happening::Synced(id));
    }

    /// The running sync ended: its writes are durable, or the disk has failed for good.
    pub(super) fn synced(&mut self, id: LifeId) -> Check {
        let has_failed = self
            .choices
            .chance(self.knobs.disk.failure_ppm, Site::SyncFailure);
        let Some(life) = self.life(id) else {
            return Ok(());
        };
        life.is_blocked = false;
        if has_failed {
            // Whatever the host had still to do after this write must not be done any more, and
            // the engine hears of it before anything else.
            life.writes.has_failed = true;
            life.actions.clear();
            self.counts.storage_failures += 1;
            self.counts.useful += 1;
            return self.pump(id.node);
        }
        self.counts.useful += 1;
        while let Some(write) = self.life(id).and_then(|life| life.writes.finish_one()) {
            self.persist(id.node, &write)?;
        }
        self.release_held(id)?;
        self.start_loads(id);
        self.start_sync(id);
        if self.knobs.host == HostMode::Serial {
            return self.pump(id.node);
        }
        if self.choices.chance(self.knobs.disk.lump_ppm, Site::Confirm) {
            let later = self.choices.between(0, 20 * MILLI, Site::ConfirmAfter);
            self.agenda.push(self.now + later, Happening::Confirm(id));
            return Ok(());
        }
        self.confirm(id)
    }

    /// Tells the engine of an overlapping host what is durable.
    pub(super) fn confirm(&mut self, id: LifeId) -> Check {
        let Some(life) = self.life(id) else {
            return Ok(());
        };
        if life.writes.told == life.writes.durable {
            return Ok(());
        }
        life.writes.told = life.writes.durable;
        let confirmed = Event::Persisted(life.writes.durable);
        self.input(id.node, confirmed)
    }

    /// Lets every message go whose writes are durable by now, in the order of the actions.
    fn release_held(&mut self, id: LifeId) -> Check {
        let Some(life) = self.life(id) else {
            return Ok(());
        };
        if life.held.is_empty() {
            return Ok(());
        }
        let durable = life.writes.durable;
        let free: Vec<_> = life
            .held
            .extract_if(.., |(needs, _)| *needs <= durable)
            .collect();
        free.into_iter()
            .try_for_each(|(_, message)| self.leave(message))
    }

    /// A message leaves its node.
    fn leave(&mut self, message: Message) -> Check {
        let (from, to) = (message.from, message.to);
        let disk = &self.stables[from];
        persist_before_send::leaves(&message, disk.hard(), disk.shape())?;
        self.observe_leaving(&message)?;
        self.counts.sent += 1;
        let link = (from, to);
        let passage = self
            .network
            .send(link, self.now, &self.knobs.network, &mut self.choices);
        match passage {
            Passage::Lost => self.counts.lost += 1,
            Passage::Once(at) => self.agenda.push(at, Happening::Arrive(message)),
            Passage::Twice(at, again) => {
                self.counts.duplicated += 1;
                self.echoes.push(again);
                self.agenda.push(again, Happening::Arrive(message.clone()));
                self.agenda.push(at, Happening::Arrive(message));
            }
        }
        Ok(())
    }

    /// Starts reading for every request whose earlier writes are durable: a log file is read in
    /// the order in which it was written.
    fn start_loads(&mut self, id: LifeId) {
        while let Some(life) = self.nodes[id.node].life.as_deref_mut()
            && life.id == id
            && let Some((after, load, wanted)) = life.loads.front().copied()
            && after <= life.writes.durable
        {
            life.loads.pop_front();
            let takes = self
                .choices
                .between(0, self.knobs.disk.load_max, Site::Load);
            self.agenda
                .push(self.now + takes, Happening::Loaded(id, load, wanted));
        }
    }

    /// A request for old entries is answered from what is on disk now.
    pub(super) fn loaded(&mut self, id: LifeId, load: LoadId, wanted: &Wanted) -> Check {
        let has_failed = self
            .choices
            .chance(self.knobs.disk.load_failure_ppm, Site::LoadFailure);
        let Some(life) = self.life(id) else {
            return Ok(());
        };
        life.open_loads -= 1;
        self.counts.useful += 1;
        let outcome = if has_failed {
            self.counts.load_failures += 1;
            self.goals.reach(Goal::LoadFailed);
            LoadOutcome::Failed
        } else {
            self.counts.loads += 1;
            let is_more = self
                .choices
                .chance(self.knobs.habits.more_ppm, Site::LoadMore);
            let more = match is_more {
                true => self.choices.log_between(1, 64, Site::LoadExtent),
                false => 0,
            };
            self.stables[id.node].load(wanted, more)
        };
        self.note_loaded(id, &outcome);
        self.input(id.node, Event::Loaded { load, outcome })
    }
}

/// Whether an event was counted as useful when it was delivered or the disk was done, so that the
/// step that it causes is not counted again.
const fn is_counted_where_it_comes_from(event: &Event) -> bool {
    match event {
        Event::Receive(_)
        | Event::Persisted(_)
        | Event::StorageFailed
        | Event::Loaded { .. }
        | Event::SnapshotTaken(_)
        | Event::SnapshotFailed
        | Event::SnapshotProgress { .. }
        | Event::SnapshotReceived { .. }
        | Event::SnapshotLost { .. } => true,
        Event::Tick { .. }
        | Event::Propose { .. }
        | Event::Read { .. }
        | Event::ChangeMembership { .. }
        | Event::TransferLeadership { .. }
        | Event::Room { .. }
        | Event::Applied(_) => false,
    }
}
