//! The start and the end of a node's process, and what of its disk survives. What must be found
//! at a start is in `recovered.rs`.

use std::collections::VecDeque;

use quorate::link::Local;
use quorate::{Driver, DriverConfig};
use quorate_core::{Incarnation, NodeId, Time, ValidConfig};
use quorate_log::{
    Crash, DirectoryId, FreshIds, IoFailure, Log, LogOptions, MemDisk, OpenError, Opened,
    Operation, Owner, TearUnit, Unsynced,
};

use super::atlas::Harm;
use super::hearing::Hearing;
use super::links::{Links, MAX_FRAME_BYTES};
use super::machine::Machine;
use super::node::{Life, Operators, Request, Storage, unborn};
use super::storage::HOUSEKEEPING_BYTES;
use super::{Happening, System};
use crate::check::{Check, LifeId, Property, Violation};
use crate::digest::mix;
use crate::goals::Goal;
use crate::history::{OpId, Outcome};
use crate::knobs::{MILLI, SECOND};
use crate::site::Site;
use crate::world::lifetime::draw_clock;

/// Operations of a disk in one job and what follows it, about; a crash strikes among them.
const OPERATIONS_IN_A_JOB: u64 = 12;

/// How a process ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum End {
    /// The process alone.
    Process,
    /// The whole machine.
    Power,
}

impl System {
    /// Starts a node with what is on its disk, unless it runs already.
    pub(super) fn start(&mut self, node: NodeId) -> Check {
        if self.nodes[node].life.is_some() {
            return Ok(());
        }
        let Some(mut opened) = self.open(node)? else {
            return Ok(());
        };
        if self.check_recovered(node, &mut opened)?.is_none() {
            self.counts.damages += 1;
            self.goals.reach(Goal::DamageLooksTorn);
            self.mend(node);
            return Ok(());
        }
        self.nodes[node].starts += 1;
        self.counts.restarts += u64::from(self.nodes[node].starts > 1);
        let number = self.nodes[node].starts;
        let id = LifeId { node, number };
        self.begin(id, opened)
    }

    /// Opens the log; `None` if that has to be tried again.
    fn open(&mut self, node: NodeId) -> Result<Option<Opened<MemDisk>>, Violation> {
        let owner = Owner {
            cluster: self.cluster,
            node,
        };
        let fresh = FreshIds {
            directory: DirectoryId(u128::from(self.draw_name(node))),
            log: u128::from(self.draw_name(node)),
        };
        let mut options = LogOptions::default();
        options.segment_bytes = self.knobs.disk_bytes.segment;
        self.spare_astray(node);
        let host = &mut self.nodes[node];
        let torn = host.segments_if_torn();
        let failures = host.disk.failures();
        match Log::open(host.disk.clone(), owner, fresh, options) {
            Ok(opened) => {
                let is_erased = torn != host.segments_if_torn();
                self.goals.reach_if(is_erased, Goal::ResidueErased);
                Ok(Some(opened))
            }
            Err(OpenError::Damaged(damage)) if self.atlas.is_damaged(node) => {
                self.counts.damages += 1;
                self.goals.reach(Goal::DamageRefused);
                let is_astray = self.atlas.is_from_astray(node);
                self.goals.reach_if(is_astray, Goal::AstrayRefused);
                self.note(|| format!("{node} refuses to start: {damage}"));
                self.mend(node);
                Ok(None)
            }
            Err(OpenError::Io(failure)) if host.has_cause(failures, &failure) => {
                self.refuses_to_start(node, &failure);
                Ok(None)
            }
            Err(error) => Err(Violation {
                property: Property::TornIsCut,
                facts: format!("{node} cannot start after a crash alone: {error}"),
            }),
        }
    }

    /// A call to its disk has failed while a node started: it tries again.
    fn refuses_to_start(&mut self, node: NodeId, failure: &IoFailure) {
        self.note(|| format!("{node} cannot start: {failure}"));
        self.note_failure(failure);
        let is_unreadable = matches!(self.atlas.of(node), Some(Harm::Unreadable));
        let is_read = failure.operation == Operation::Read;
        self.goals
            .reach_if(is_unreadable && is_read, Goal::SectorUnreadableAtOpen);
        self.agenda.push(self.now + SECOND, Happening::Start(node));
    }

    /// A number that nothing else in this world is named by.
    fn draw_name(&mut self, node: NodeId) -> u64 {
        self.names += 1;
        let draw = self.choices.choose(1 << 16, Site::Incarnation);
        // Distinct words give distinct names, and only zero gives zero.
        mix(draw << 48 | self.names << 8 | node.get())
    }

    /// The undamaged disk is put back, and the node starts soon.
    fn mend(&mut self, node: NodeId) {
        if let Some(Harm::Damaged { spared, .. } | Harm::Wiped { spared, .. }) =
            self.atlas.take(node)
        {
            self.nodes[node].disk = spared;
        }
        self.look_after(node);
        let wait = self.choices.between(0, 500 * MILLI, Site::Wipe);
        self.agenda.push(self.now + wait, Happening::Start(node));
    }

    /// The disk that was taken out is put back.
    pub(super) fn put_back(&mut self, node: NodeId) -> Check {
        if let Some(Harm::Wiped { at, .. }) = self.atlas.of(node) {
            let host = &self.nodes[node];
            let went_on = host.life.is_some() && self.checks.ledger.last() > *at;
            self.goals.reach_if(went_on, Goal::WipedKeptOut);
            self.end_life(node, End::Process)?;
            self.mend(node);
        }
        Ok(())
    }

    /// The process begins to work.
    fn begin(&mut self, id: LifeId, opened: Opened<MemDisk>) -> Check {
        let node = id.node;
        let Opened {
            log,
            identity,
            mut recovered,
        } = opened;
        let clock = draw_clock(self.knobs.process.skew_ppm, &mut self.choices);
        let started = clock.read(self.now);
        let incarnation = Incarnation::new(self.draw_name(node));
        let config = self.driver_config(node, incarnation);
        let hearing = Hearing::new(config.engine.pre_vote, started, self.now);
        let host = &mut self.nodes[node];
        let is_wiped = self.atlas.is_wiped(node);
        let kept = if is_wiped {
            Default::default()
        } else {
            host.kept.clone()
        };
        recovered.applied = kept.1;
        let directory = identity.directory;
        let local = Local {
            cluster: self.cluster,
            node,
            incarnation,
            directory,
            address: super::node::address(node),
            peers: self.founders.clone(),
            max_frame_bytes: MAX_FRAME_BYTES,
        };
        let driver = start_driver(id, config, identity, recovered, started)?;
        let mut life = Life {
            id,
            incarnation,
            announced: (driver.leadership().role, driver.leadership().term),
            driver,
            storage: Storage::new(log),
            machine: Machine::holding(kept),
            links: Links::new(local),
            clock,
            wake_at: u64::MAX,
            wake_for: u64::MAX,
            busy_until: 0,
            is_paused: false,
            is_leaving: false,
            has_stopped: false,
            inputs: Vec::new(),
            asks: VecDeque::new(),
            written: if is_wiped {
                Default::default()
            } else {
                host.stable.shape.clone()
            },
            glimpse: unborn(),
            membership: quorate_core::Membership::default(),
            former: None,
            hearing,
            operators: Operators::new(),
        };
        if let Some(status) = life.look() {
            life.hearing.has_engine = true;
            life.hearing.since = status.membership_index;
        }
        host.life = Some(Box::new(life));
        self.checks.terms.starts(node);
        let founders: Vec<NodeId> = self.founders.keys().copied().collect();
        self.set_peers(id, &founders);
        self.turn(id)
    }

    fn driver_config(&mut self, node: NodeId, life: Incarnation) -> DriverConfig {
        let mut engine = self.knobs.engine.clone();
        engine.id = node;
        // Nodes that draw the same are not to campaign at the same moments for ever.
        let own = mix(self.nodes[node].starts << 8 | node.get());
        engine.seed = own ^ self.choices.choose(1 << 16, Site::EngineSeed);
        if self.knobs.process.mixed_pre_vote {
            engine.pre_vote = !self.choices.chance(500_000, Site::PreVote);
        }
        let engine: ValidConfig = match engine.validate() {
            Ok(engine) => engine,
            Err(error) => unreachable!("drawn settings are valid: {error}"),
        };
        let mut config = DriverConfig::new(engine, life, self.founders.clone());
        config.max_waiting_proposals = self.knobs.client.waiting_max;
        config.max_waiting_reads = self.knobs.client.waiting_max;
        config.hand_over = self.knobs.client.hand_over;
        config
    }

    /// A node dies. It starts again after a while.
    pub(super) fn crash(&mut self, node: NodeId, end: End) -> Check {
        if self.nodes[node].life.is_none() {
            return Ok(());
        }
        self.counts.crashes += 1;
        self.note_crash(node);
        self.end_life(node, end)?;
        let most = self.knobs.process.down_max;
        let down = self.choices.log_between(MILLI, most, Site::Down);
        self.agenda.push(self.now + down, Happening::Start(node));
        Ok(())
    }

    /// A process ends, and with it everything that waits for it.
    pub(super) fn end_life(&mut self, node: NodeId, end: End) -> Check {
        let Some(mut life) = self.nodes[node].life.take() else {
            return Ok(());
        };
        let id = life.id;
        self.note(|| format!("{id} ends: {end:?}"));
        if let Some(Request::Job(job)) = life.storage.requests.pop_front()
            && !life.storage.has_failed
        {
            self.interrupt(&mut life, job);
        }
        drop(life);
        self.crash_disk(node, end);
        for (stream, way) in self.streams.of(id) {
            // The system closes what a process leaves open; a machine without power says nothing.
            if end == End::Process {
                self.shut(stream, way);
            }
            if let Some(stream) = self.streams.get(stream) {
                stream.close(way);
            }
        }
        let mut owed = self.clients.life_ends(id).into_iter();
        owed.try_for_each(|op| self.tell_client(op, Outcome::Unknown))
    }

    /// A job is cut short somewhere among its operations.
    fn interrupt(&mut self, life: &mut Life, job: quorate::StorageJob) {
        let node = life.id.node;
        let done = self
            .choices
            .choose(OPERATIONS_IN_A_JOB + 1, Site::CrashInJob);
        self.nodes[node].disk.stop_after(done);
        let log = &mut life.storage.log;
        let (outcome, is_log) = match &job {
            quorate::StorageJob::Write(writes) => (log.perform(writes).map(drop), true),
            quorate::StorageJob::Stage(stage) => (log.set_stage(stage.clone()), false),
        };
        // Behind the job, and untold still, comes what the log does for later.
        let is_later = outcome.is_ok();
        let outcome = outcome.and_then(|()| log.housekeep(HOUSEKEEPING_BYTES).map(drop));
        self.counts.crashes_in_step += u64::from(outcome.is_err());
        if let Err(error) = &outcome
            && (is_log || is_later)
        {
            self.note_cut(error);
        }
        if !self.atlas.is_wiped(node) {
            self.nodes[node].stable.under_way = Some(job);
        }
    }

    fn crash_disk(&mut self, node: NodeId, end: End) {
        if matches!(self.atlas.of(node), Some(Harm::Misread)) {
            // Not to be told from what stands there, by anybody who starts from it.
            self.mend_sectors(node);
        }
        let disk = &self.nodes[node].disk;
        match end {
            End::Process => disk.crash(Crash::Process),
            End::Power => {
                let mode = self.choices.choose(4, Site::Survivors);
                let is_by_page = self.knobs.disk_bytes.tears_pages;
                if is_by_page {
                    disk.tear_by(TearUnit::Page);
                }
                let (mut lost, mut kept_pieces, mut lost_pieces) = (0, 0, 0);
                let choices = &mut self.choices;
                disk.crash(Crash::Power(&mut |unsynced: Unsynced<'_>| {
                    let keeps = match mode {
                        0 => true,
                        1 => false,
                        _ => choices.chance(500_000, Site::Survivors),
                    };
                    let is_piece = matches!(unsynced, Unsynced::Sector { .. });
                    lost += u64::from(!keeps);
                    kept_pieces += u64::from(keeps && is_piece);
                    lost_pieces += u64::from(!keeps && is_piece);
                    keeps
                }));
                self.counts.lost_writes += lost;
                if is_by_page {
                    self.counts.lost_pages += lost_pieces;
                    let is_torn = kept_pieces > 0 && lost_pieces > 0;
                    self.goals.reach_if(is_torn, Goal::PagesTorn);
                }
            }
        }
    }
}

fn start_driver(
    id: LifeId,
    config: DriverConfig,
    identity: quorate_log::Identity,
    recovered: quorate_core::Recovered,
    now: Time,
) -> Result<Driver<OpId, OpId>, Violation> {
    Driver::new(config, identity, recovered, now).map_err(|error| Violation {
        property: Property::NoFatal,
        facts: format!("{id} cannot start with what it wrote: {error}"),
    })
}
