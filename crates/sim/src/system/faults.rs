//! When and where faults strike a full system: crashes of processes and machines, pauses, cuts of
//! links, broken connections, full, failing and damaged disks. What a crash leaves is in
//! `lifetime.rs`, what harm is done to a disk in `damage.rs`.

use std::io::ErrorKind;

use quorate::Input;
use quorate_core::{NodeId, RoleName};
use quorate_log::{AfterFailedSync, DiskCall};

use super::atlas::Harm;
use super::lifetime::End;
use super::streams::Way;
use super::{Happening, System};
use crate::check::{Check, LifeId};
use crate::knobs::{CutKind, MILLI, SECOND};
use crate::site::Site;
use crate::world::lifetime::draw_fall;

impl System {
    /// Starts every class of fault that the seed has.
    pub(super) fn schedule_faults(&mut self) {
        let (process, network) = (&self.knobs.process, &self.knobs.network);
        let (crash, pause, cut) = (process.crash_every, process.pause_every, network.cut_every);
        let operator = &self.knobs.operator;
        let (change, transfer) = (operator.change_every, operator.transfer_every);
        let (fill, damage) = (operator.room_every, operator.damage_every);
        let (reset, shutdown) = (
            self.knobs.stream.reset_every,
            self.knobs.client.shutdown_every,
        );
        self.next_fault(crash, Happening::Crash, Site::Crash);
        self.next_fault(pause, Happening::Pause, Site::Pause);
        self.next_fault(cut, Happening::Cut, Site::Partition);
        self.next_fault(change, Happening::Change, Site::Change);
        self.next_fault(transfer, Happening::Transfer, Site::Transfer);
        self.next_fault(fill, Happening::Fill, Site::Room);
        self.next_fault(damage, Happening::Damage, Site::Damage);
        self.next_fault(reset, Happening::Reset, Site::Reset);
        self.next_fault(shutdown, Happening::Shutdown, Site::Shutdown);
    }

    /// Schedules the next fault of a class after a while of `every` on average.
    pub(super) fn next_fault(&mut self, every: Option<u64>, fault: Happening, site: Site) {
        let Some(every) = every else { return };
        let wait = self.choices.wait(every, site);
        self.agenda.push(self.now + wait, fault);
    }

    /// Any node, running or not.
    pub(super) fn any_node(&mut self, site: Site) -> NodeId {
        let place = self.choices.choose(self.nodes.count(), site);
        let Some(node) = NodeId::new(place + 1) else {
            unreachable!("one or more is not zero")
        };
        node
    }

    pub(super) fn crash_somewhere(&mut self) -> Check {
        if self.is_calm {
            return Ok(());
        }
        let every = self.knobs.process.crash_every;
        self.next_fault(every, Happening::Crash, Site::Crash);
        let is_blackout = self.choices.chance(50_000, Site::Crash);
        let node = self.any_node(Site::Crash);
        let takes_power = self.choices.chance(self.knobs.stream.power_ppm, Site::End);
        if is_blackout {
            // It takes everybody at once.
            self.counts.blackouts += 1;
            self.goals.power_fails();
            let mut nodes = self.nodes.ids();
            return nodes.try_for_each(|node| self.crash(node, End::Power));
        }
        let end = if takes_power {
            End::Power
        } else {
            End::Process
        };
        self.crash(node, end)
    }

    /// A leader was elected: perhaps it dies soon.
    pub(super) fn schedule_fall(&mut self, id: LifeId) {
        let knobs = &self.knobs;
        let ppm = knobs.process.fresh_leader_ppm;
        let fall = draw_fall(ppm, &knobs.network, &knobs.disk, &mut self.choices);
        if let Some(after) = fall {
            self.agenda.push(self.now + after, Happening::Fall(id));
        }
    }

    pub(super) fn fall(&mut self, id: LifeId) -> Check {
        if self.is_calm || self.life(id).is_none() {
            return Ok(());
        }
        self.crash(id.node, End::Process)
    }

    /// A node is told to stop; it starts again soon.
    pub(super) fn shut_down_somewhere(&mut self) -> Check {
        if self.is_calm {
            return Ok(());
        }
        let every = self.knobs.client.shutdown_every;
        self.next_fault(every, Happening::Shutdown, Site::Shutdown);
        let node = self.any_node(Site::Shutdown);
        let Some(life) = self.nodes[node].life.as_deref_mut() else {
            return Ok(());
        };
        if life.is_leaving {
            return Ok(());
        }
        life.is_leaving = true;
        life.inputs.push(Input::Shutdown);
        let id = life.id;
        self.counts.useful += 1;
        self.counts.shutdowns += 1;
        self.turn(id)
    }

    pub(super) fn pause_somewhere(&mut self) -> Check {
        if self.is_calm {
            return Ok(());
        }
        let every = self.knobs.process.pause_every;
        self.next_fault(every, Happening::Pause, Site::Pause);
        let node = self.any_node(Site::Pause);
        let most = self.knobs.process.pause_max;
        let lasts = self.choices.between(MILLI, most, Site::Pause);
        let Some(life) = self.nodes[node].life.as_deref_mut() else {
            return Ok(());
        };
        if !life.is_paused {
            life.is_paused = true;
            let id = life.id;
            self.counts.pauses += 1;
            self.agenda.push(self.now + lasts, Happening::Resume(id));
        }
        Ok(())
    }

    /// A paused process goes on, with everything that has arrived meanwhile.
    pub(super) fn resume(&mut self, id: LifeId) -> Check {
        let now = self.now;
        let Some(life) = self.life(id) else {
            return Ok(());
        };
        life.is_paused = false;
        life.hearing.steady_since = now;
        // Whatever wake-up there was has come and gone while the process slept.
        life.wake_at = u64::MAX;
        life.wake_for = u64::MAX;
        let backlog = std::mem::take(&mut life.links.backlog);
        for (stream, way, piece) in backlog {
            self.take_piece(stream, way, piece)?;
        }
        self.turn(id)
    }

    pub(super) fn cut_links(&mut self) -> Check {
        if self.is_calm {
            return Ok(());
        }
        let knobs = &self.knobs.network;
        let kind = self.choices.pick(&knobs.cut_kinds, Site::Partition);
        let lasts = self.choices.between(1, 2 * knobs.cut_for, Site::Partition);
        let goes_on = self.choices.chance(900_000, Site::Partition);
        self.goals.before_cut(&self.network);
        self.network.cut(kind, &mut self.choices);
        self.counts.cuts += 1;
        let lives = self.nodes.iter().filter_map(|node| node.life.as_deref());
        let leaders = lives.filter(|life| life.glimpse.role == RoleName::Leader);
        self.goals
            .cut(kind, &self.network, leaders.map(|life| life.id.node));
        if self.trace.is_some() {
            let pairs = self.network.cuts().map(|(from, to)| format!("{from}>{to}"));
            let pairs = pairs.collect::<Vec<_>>().join(" ");
            self.note(|| format!("{kind:?} leaves these links cut: {pairs}"));
        }
        self.send_held();
        match kind {
            // Flapping goes on link by link until some later cut or healing.
            CutKind::Flap if goes_on => {
                self.agenda.push(self.now + lasts / 10 + 1, Happening::Cut);
                return Ok(());
            }
            CutKind::Flap
            | CutKind::IsolateOne
            | CutKind::Split
            | CutKind::Bridge
            | CutKind::Ring
            | CutKind::OneWay => self.agenda.push(self.now + lasts, Happening::Heal),
        }
        let every = self.knobs.network.cut_every.map(|every| every + lasts);
        self.next_fault(every, Happening::Cut, Site::Partition);
        Ok(())
    }

    pub(super) fn heal_links(&mut self) -> Check {
        self.network.heal();
        self.send_held();
        Ok(())
    }

    /// Some connections of one node break; both ends learn of it, or only one.
    pub(super) fn reset_somewhere(&mut self) -> Check {
        if self.is_calm {
            return Ok(());
        }
        let every = self.knobs.stream.reset_every;
        self.next_fault(every, Happening::Reset, Site::Reset);
        let node = self.any_node(Site::Reset);
        let Some(id) = self.nodes[node].life.as_deref().map(|life| life.id) else {
            return Ok(());
        };
        for (stream, _) in self.streams.of(id) {
            match self.choices.choose(4, Site::Reset) {
                0 => self.close(stream, Way::Out),
                1 => self.close(stream, Way::Back),
                2 => {
                    self.close(stream, Way::Out);
                    self.close(stream, Way::Back);
                }
                _ => continue,
            }
            self.counts.resets += 1;
        }
        Ok(())
    }

    /// A disk fills up, or is freed.
    pub(super) fn fill_somewhere(&mut self) -> Check {
        if self.is_calm {
            return Ok(());
        }
        let every = self.knobs.operator.room_every;
        self.next_fault(every, Happening::Fill, Site::Room);
        let node = self.any_node(Site::Room);
        let left = self.choices.log_between_down(1, 64 << 10, Site::RoomLeft);
        self.set_full(node, left);
        Ok(())
    }

    fn set_full(&mut self, node: NodeId, left: u64) {
        if self.atlas.is_wiped(node) {
            return;
        }
        let host = &mut self.nodes[node];
        host.is_full = !host.is_full;
        if host.is_full {
            let used = host.disk.used_bytes();
            host.disk.limit(used + left);
            self.counts.full_disks += 1;
        } else {
            host.disk.limit(u64::MAX);
        }
    }

    /// A disk that fails does so at the next job.
    pub(super) fn fail_disk(&mut self, node: NodeId) {
        let knobs = &self.knobs.disk;
        if self.choices.chance(knobs.failure_ppm, Site::SyncFailure) {
            let after = self.choices.pick(
                &[AfterFailedSync::NewContent, AfterFailedSync::OldContent],
                Site::SyncFailure,
            );
            let kind = self.choices.choose(3, Site::SyncFailure);
            let disk = &self.nodes[node].disk;
            match kind {
                0 => disk.fail_sync(0, after),
                1 => disk.fail_sync(1, after),
                _ => disk.fail_call(DiskCall::Write, 0, ErrorKind::Other),
            }
            self.counts.storage_failures += 1;
        }
    }

    /// A call to the directory fails when it comes, perhaps in a later life: names seldom change.
    pub(super) fn fail_directory(&mut self, node: NodeId) {
        let ppm = self.knobs.disk_bytes.directory_failure_ppm;
        if !self.choices.chance(ppm, Site::DirectoryFailure) {
            return;
        }
        let calls = [
            DiskCall::SyncDir,
            DiskCall::Rename,
            DiskCall::Create,
            DiskCall::Remove,
        ];
        let call = self.choices.pick(&calls, Site::DirectoryCall);
        let disk = &self.nodes[node].disk;
        // One at a time: a node is to start again soon.
        if disk.failures_to_come() == 0 {
            disk.fail_call(call, 0, ErrorKind::Other);
            self.counts.directory_failures += 1;
        }
    }

    /// What stands on a disk is damaged while the node is down: later the undamaged disk is back.
    pub(super) fn damage_somewhere(&mut self) -> Check {
        if self.is_calm {
            return Ok(());
        }
        let every = self.knobs.operator.damage_every;
        self.next_fault(every, Happening::Damage, Site::Damage);
        let node = self.any_node(Site::Damage);
        let is_wipe = self.choices.chance(250_000, Site::Wipe);
        if !self.atlas.may_harm(node) || !self.nodes[node].stable.is_born {
            return Ok(());
        }
        if is_wipe && !self.founders.contains_key(&node) {
            return Ok(());
        }
        self.crash(node, End::Process)?;
        if is_wipe {
            return self.wipe(node);
        }
        self.damage(node)
    }

    /// Somebody puts an empty disk in; it is noticed, and put right, after a while.
    fn wipe(&mut self, node: NodeId) -> Check {
        self.counts.wipes += 1;
        let spared = std::mem::take(&mut self.nodes[node].disk);
        let at = self.checks.ledger.last();
        self.atlas.harm(node, Harm::Wiped { spared, at });
        let lasts = self.choices.between(SECOND / 2, 5 * SECOND, Site::Wipe);
        self.agenda.push(self.now + lasts, Happening::PutBack(node));
        Ok(())
    }
}
