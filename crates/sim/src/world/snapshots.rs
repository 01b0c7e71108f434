//! What a host does with snapshots: takes one when it is due, fetches one that was offered, has
//! it installed, gives it to the state machine, and deletes what is not needed any more. What is
//! on disk is in `storage.rs`; what the state machine does with one is in `client.rs`.

use quorate_core::{EntryId, Event, NodeId, SnapshotMeta, WriteId};

use super::node::{Job, Receiving};
use super::storage::{Snapshot, Write};
use super::{Happening, World};
use crate::check::{
    Check, LifeId, Property, broken, pointer_order, retention, snapshot_install, snapshot_label,
    snapshot_restore,
};
use crate::digest::mix;
use crate::goals::Goal;
use crate::site::Site;

impl World {
    /// A snapshot is due. The machine is captured at once, or when it has done what it has to do.
    pub(super) fn snapshot_due(&mut self, id: LifeId) -> Check {
        let habits = &self.knobs.habits;
        let Some(life) = self.nodes[id.node].life.as_deref_mut() else {
            return Ok(());
        };
        life.taken_since = life.apply.handed;
        if std::mem::replace(&mut life.is_taking, true) {
            // What its host said of another was perhaps taken for the answer.
            if life.has_misreported {
                return Ok(());
            }
            return broken(
                Property::OneOutcome,
                format_args!("{id} wants a snapshot while one is taken"),
            );
        }
        if habits.capture_max == 0 {
            return self.capture(id);
        }
        let later = self.choices.between(0, habits.capture_max, Site::Capture);
        self.agenda.push(self.now + later, Happening::Capture(id));
        Ok(())
    }

    /// The machine is captured as it is now, and written behind its back.
    pub(super) fn capture(&mut self, id: LifeId) -> Check {
        let Some(life) = self.life(id) else {
            return Ok(());
        };
        let machine = life.apply.machine;
        self.captured += 1;
        let checksum = match self.knobs.habits.are_alike {
            true => mix(machine.state),
            // Two of the same entry differ.
            false => mix(self.captured),
        };
        let Some(life) = self.nodes[id.node].life.as_deref() else {
            return Ok(());
        };
        let (membership_index, membership) = life.engine.membership_at(machine.applied);
        let disk = &self.stables[id.node];
        let mark = disk.shape().mark(machine.applied).unwrap_or_default();
        let meta = SnapshotMeta {
            last: EntryId::new(machine.applied, mark.term),
            membership: membership.clone(),
            membership_index,
            length: mark.bytes,
            checksum,
        };
        let in_force = disk.shape().membership_at(machine.applied);
        let in_force = in_force.unwrap_or((quorate_core::LogIndex::NONE, &self.founders));
        // Of what a newer one has overtaken meanwhile nobody knows the members any more.
        if meta.last.index >= life.glimpse.first.prev() {
            snapshot_label::captured(id, &meta, in_force, &self.checks.ledger)?;
        }
        let snapshot = Snapshot {
            meta,
            history: disk.history(machine.applied),
            state: machine.state,
        };
        let knobs = &self.knobs.snapshot;
        let has_failed = self.choices.chance(knobs.failure_ppm, Site::TakeFailure);
        let takes = self.choices.between(0, knobs.take_max, Site::Take);
        let snapshot = (!has_failed).then(|| Box::new(snapshot));
        self.agenda
            .push(self.now + takes, Happening::Taken(id, snapshot));
        Ok(())
    }

    /// The captured snapshot is on disk, or could not be written. A crash before leaves nothing.
    pub(super) fn taken(&mut self, id: LifeId, snapshot: Option<Box<Snapshot>>) -> Check {
        let Some(life) = self.life(id) else {
            return Ok(());
        };
        life.is_taking = false;
        // Of one that holds less than was handed over, the rest counts on, and so it does where the
        // engine has heard of another meanwhile. How much that is, it can only guess, and it may
        // guess all that it had counted.
        let held = snapshot.as_ref().map(|snapshot| snapshot.meta.last.index);
        if held.is_some_and(|held| held >= life.taken_since) && !life.has_misreported {
            life.counts_behind = life.counts_behind.max(life.taken_since);
        }
        self.counts.useful += 1;
        let Some(snapshot) = snapshot else {
            self.counts.snapshots_failed += 1;
            self.goals.reach(Goal::SnapshotFailed);
            return self.input(id.node, Event::SnapshotFailed);
        };
        let meta = snapshot.meta.clone();
        self.counts.snapshots_taken += 1;
        self.stables[id.node].keep_snapshot(*snapshot);
        self.observe_disk(id.node)?;
        self.schedule_report(id, &meta, self.knobs.snapshot.take_max);
        self.input(id.node, Event::SnapshotTaken(meta))
    }

    /// Perhaps the host reports the snapshot of this name again within `longest`.
    fn schedule_report(&mut self, id: LifeId, meta: &SnapshotMeta, longest: u64) {
        let ppm = self.knobs.habits.report_ppm;
        if self.choices.chance(ppm, Site::Report) {
            let later = self.choices.between(0, longest, Site::ReportAfter);
            let name = (meta.last, meta.checksum);
            let report = Happening::Report(id, Box::new(meta.clone()));
            self.agenda.push(self.now + later, report);
            self.note(|| format!("{id} will report the snapshot {name:?} unasked"));
        }
    }

    /// A host is mistaken, and says of a snapshot once more, or before its time, that it was taken.
    /// It knows the snapshot by its name; the members it asks the engine for.
    pub(super) fn report(&mut self, id: LifeId, mut meta: SnapshotMeta) -> Check {
        let Some(life) = self.life(id) else {
            return Ok(());
        };
        life.has_misreported = true;
        let is_early = life.writes.installs(&meta);
        let (since, members) = life.engine.membership_at(meta.last.index);
        let known = std::mem::replace(&mut meta.membership, members.clone());
        meta.membership_index = since;
        let is_other = known != meta.membership;
        self.goals.reach(Goal::SnapshotReportedAgain);
        self.goals.reach_if(is_early, Goal::InstallReported);
        self.goals.reach_if(is_other, Goal::ReportedUnderOtherLabel);
        self.input(id.node, Event::SnapshotTaken(meta))
    }

    /// The engine wants the bytes of a snapshot from `from`.
    pub(super) fn receive(&mut self, id: LifeId, from: NodeId, meta: SnapshotMeta) -> Check {
        let of = self
            .choices
            .between(1, self.knobs.snapshot.parts_max, Site::Parts);
        let Some(life) = self.nodes[id.node].life.as_deref_mut() else {
            return Ok(());
        };
        if let Some(known) = life.receiving.as_mut().filter(|known| known.meta == meta) {
            known.from = from;
            return Ok(());
        }
        life.clients.last_fetch += 1;
        let number = life.clients.last_fetch;
        life.receiving = Some(Receiving {
            meta,
            from,
            parts: 0,
            of,
            number,
        });
        self.schedule_fetch(id, number);
        Ok(())
    }

    fn schedule_fetch(&mut self, id: LifeId, number: u64) {
        let takes = self
            .choices
            .between(0, self.knobs.snapshot.part_max, Site::Fetch);
        self.agenda
            .push(self.now + takes, Happening::Fetch(id, number));
    }

    /// The next part of a snapshot arrives, unless its source or the way there is gone.
    pub(super) fn fetch(&mut self, id: LifeId, number: u64) -> Check {
        let is_lost = self
            .choices
            .chance(self.knobs.snapshot.loss_ppm, Site::FetchLoss);
        let Some(life) = self.nodes[id.node].life.as_deref_mut() else {
            return Ok(());
        };
        let is_wanted = |receiving: &&mut Receiving| receiving.number == number;
        let Some(receiving) = life.receiving.as_mut().filter(is_wanted) else {
            return Ok(());
        };
        if life.id != id {
            return Ok(());
        }
        self.counts.useful += 1;
        let (last, checksum) = (receiving.meta.last, receiving.meta.checksum);
        let from = receiving.from;
        let source = self.stables[from].snapshot(&receiving.meta).cloned();
        let is_cut = self.network.is_cut(from, id.node) || self.network.is_cut(id.node, from);
        receiving.parts += 1;
        let (parts, of) = (receiving.parts, receiving.of);
        let source = source.filter(|_| !is_cut && !is_lost);
        let Some(snapshot) = source.filter(|_| self.nodes[from].life.is_some()) else {
            if let Some(life) = self.life(id) {
                life.receiving = None;
            }
            self.counts.snapshots_lost += 1;
            self.goals.reach(Goal::SnapshotLost);
            return self.input(id.node, Event::SnapshotLost { last, checksum });
        };
        if parts < of {
            self.schedule_fetch(id, number);
            let bytes = snapshot.meta.length / of * parts;
            let progress = Event::SnapshotProgress {
                last,
                checksum,
                bytes,
            };
            return self.input(id.node, progress);
        }
        if let Some(life) = self.life(id) {
            life.receiving = None;
            life.received.push(snapshot);
        }
        self.input(id.node, Event::SnapshotReceived { last, checksum })
    }

    /// The engine wants a received snapshot made its own. That it has arrived was seen when the
    /// step was over.
    pub(super) fn install(
        &mut self,
        id: LifeId,
        write: WriteId,
        meta: &SnapshotMeta,
        discards_log: bool,
    ) -> Check {
        let Some(life) = self.nodes[id.node].life.as_deref_mut() else {
            return Ok(());
        };
        let mut arrived = life.received.extract_if(.., |it| it.meta == *meta);
        let snapshot = arrived.next();
        drop(arrived);
        if let Some(snapshot) = snapshot {
            let install = Write::Install(snapshot, discards_log);
            life.writes.push(write, install);
            life.counts_behind = meta.last.index;
        }
        self.schedule_report(id, meta, 2 * self.knobs.disk.sync_max);
        self.written(id)
    }

    /// The engine wants the state machine replaced.
    pub(super) fn restore(&mut self, id: LifeId, meta: &SnapshotMeta) -> Check {
        let found = self.stables[id.node].snapshot(meta).cloned();
        let Some(life) = self.nodes[id.node].life.as_deref_mut() else {
            return Ok(());
        };
        snapshot_restore::restores(id, life.apply.handed, meta.last, found.is_some())?;
        let Some(snapshot) = found else { return Ok(()) };
        life.apply.handed = meta.last.index;
        life.apply.untold.push_back((meta.last.index, 0));
        life.apply.waiting.push_back(Job::Restore(snapshot));
        self.start_apply(id);
        Ok(())
    }

    /// The engine needs entries up to `through` no more. How many of them go is the host's to
    /// say; oldest first.
    pub(super) fn purge(&mut self, id: LifeId, through: EntryId) -> Check {
        let disk = &self.stables[id.node];
        pointer_order::purges(
            id.node,
            through,
            disk.snapshot_last(),
            disk.shape().contains(through),
        )?;
        self.counts.purges += 1;
        let before = disk.before().index.get();
        let mut end = through;
        if self.choices.chance(500_000, Site::Purge) {
            let at = self
                .choices
                .between(before, through.index.get().max(before), Site::PurgeEnd);
            let index = quorate_core::LogIndex::new(at);
            let mark = disk.shape().mark(index).unwrap_or_default();
            end = EntryId::new(index, mark.term);
        }
        self.stables[id.node].purge(end);
        self.observe_disk(id.node)
    }

    /// The engine needs a snapshot no more, whole or in part.
    pub(super) fn drop_snapshot(&mut self, id: LifeId, meta: &SnapshotMeta) -> Check {
        if let Some(life) = self.nodes[id.node].life.as_deref_mut() {
            snapshot_install::drops(id, meta.last, life.writes.installs(meta))?;
            life.received.retain(|it| !it.has_name_of(meta));
            life.receiving
                .take_if(|it| it.meta.is_named(meta.last, meta.checksum));
        }
        self.stables[id.node].drop_snapshot(meta);
        self.observe_disk(id.node)
    }

    /// What is on a disk goes together.
    pub(super) fn observe_disk(&self, node: NodeId) -> Check {
        let disk = &self.stables[node];
        let snapshot = disk.snapshot_last();
        pointer_order::stands(
            node,
            disk.before(),
            snapshot,
            disk.shape().contains(snapshot),
        )?;
        retention::keeps_snapshots(node, disk.snapshots() as u64, self.nodes.count())
    }
}
