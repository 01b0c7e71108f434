//! When and where faults strike: crashes, pauses of processes and cuts of links. What a crash
//! does is in `mod.rs`, which links a cut takes in `network.rs`.

use quorate_core::{NodeId, RoleName};

use super::lifetime::draw_fall;
use super::{Happening, World};
use crate::check::{Check, LifeId};
use crate::knobs::{CutKind, MILLI};
use crate::site::Site;

impl World {
    /// Starts every class of fault that the seed has.
    pub(super) fn schedule_faults(&mut self) {
        self.next_fault(
            self.knobs.process.crash_every,
            Happening::Crash,
            Site::Crash,
        );
        self.next_fault(
            self.knobs.process.pause_every,
            Happening::Pause,
            Site::Pause,
        );
        self.next_fault(
            self.knobs.network.cut_every,
            Happening::Cut,
            Site::Partition,
        );
        let operator = &self.knobs.operator;
        let (change, transfer) = (operator.change_every, operator.transfer_every);
        let (room, damage) = (operator.room_every, operator.damage_every);
        self.next_fault(change, Happening::Change, Site::Change);
        self.next_fault(transfer, Happening::Transfer, Site::Transfer);
        self.next_fault(room, Happening::Room, Site::Room);
        self.next_fault(damage, Happening::Damage, Site::Damage);
    }

    /// Schedules the next fault of a class after a while of `every` on average.
    pub(super) fn next_fault(&mut self, every: Option<u64>, fault: Happening, site: Site) {
        let Some(every) = every else { return };
        let wait = self.choices.wait(every, site);
        self.agenda.push(self.now + wait, fault);
    }

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
        self.next_fault(
            self.knobs.process.crash_every,
            Happening::Crash,
            Site::Crash,
        );
        let is_power_cut = self.choices.chance(50_000, Site::Crash);
        let node = self.any_node(Site::Crash);
        if is_power_cut {
            // It takes everybody at once.
            self.goals.power_fails();
            return self.nodes.ids().try_for_each(|node| self.crash(node));
        }
        self.crash(node)
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
        self.crash(id.node)
    }

    pub(super) fn pause_somewhere(&mut self) {
        if self.is_calm {
            return;
        }
        self.next_fault(
            self.knobs.process.pause_every,
            Happening::Pause,
            Site::Pause,
        );
        let node = self.any_node(Site::Pause);
        let lasts = self
            .choices
            .between(MILLI, self.knobs.process.pause_max, Site::Pause);
        let Some(life) = self.nodes[node].life.as_deref_mut() else {
            return;
        };
        if !life.is_paused {
            life.is_paused = true;
            let id = life.id;
            self.counts.pauses += 1;
            self.agenda.push(self.now + lasts, Happening::Resume(id));
        }
    }

    pub(super) fn resume(&mut self, id: LifeId) -> Check {
        let Some(life) = self.life(id) else {
            return Ok(());
        };
        life.is_paused = false;
        // Whatever wake-up there was has come and gone while the process slept.
        life.wake_at = u64::MAX;
        life.wake_for = u64::MAX;
        self.pump(id.node)
    }

    pub(super) fn cut_links(&mut self) {
        if self.is_calm {
            return;
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
        match kind {
            // Flapping goes on link by link until some later cut or healing.
            CutKind::Flap if goes_on => {
                self.agenda.push(self.now + lasts / 10 + 1, Happening::Cut);
                return;
            }
            CutKind::Flap
            | CutKind::IsolateOne
            | CutKind::Split
            | CutKind::Bridge
            | CutKind::Ring
            | CutKind::OneWay => self.agenda.push(self.now + lasts, Happening::Heal),
        }
        let every = self.knobs.network.cut_every;
        self.next_fault(
            every.map(|every| every + lasts),
            Happening::Cut,
            Site::Partition,
        );
    }
}
