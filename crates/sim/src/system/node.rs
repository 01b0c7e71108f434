//! A node of a full system: what its machine keeps, and what one life of its process holds. Not
//! what it does.

use std::collections::{BTreeSet, VecDeque};

use quorate::{Driver, Input, StorageJob};
use quorate_core::{
    ChangeId, EntryId, HardState, Incarnation, LoadId, LogIndex, Membership, NodeId, RoleName,
    Status, Term, TransferId,
};
use quorate_log::{BirthStage, DirectoryId, Founding, Log, MemDisk};

use super::hearing::Hearing;
use super::links::Links;
use super::machine::Machine;
use crate::check::LifeId;
use crate::history::{Model, OpId};
use crate::shape::Shape;
use crate::world::node::{Clock, Glimpse};

/// What drivers of this world take: proposals and reads are known by the operation.
pub(super) type In = Input<OpId, OpId>;

/// Where a node is reached.
pub(super) fn address(node: NodeId) -> String {
    format!("node-{node}")
}

/// A machine, and the process on it if it runs.
#[derive(Debug, Default)]
pub(super) struct Node {
    pub(super) life: Option<Box<Life>>,
    /// How often the process was started.
    pub(super) starts: u64,
    pub(super) disk: MemDisk,
    /// What must be found on the disk.
    pub(super) stable: Stable,
    /// What a state machine that keeps its own state on disk holds.
    pub(super) kept: (Model, LogIndex),
    /// The disk is full.
    pub(super) is_full: bool,
    /// A write found it full, and none has succeeded since.
    pub(super) has_met_full: bool,
    /// It was a member of the cluster once; its number is not used for another.
    pub(super) was_member: bool,
}

/// What a node's disk holds for certain, as far as it was told to anybody.
#[derive(Debug, Default)]
pub(super) struct Stable {
    pub(super) hard: HardState,
    pub(super) shape: Shape,
    /// The job that a crash interrupted: any part of it may be found.
    pub(super) under_way: Option<StorageJob>,
    /// Where the newest batch starts: the only one that damage can make look torn.
    pub(super) newest_batch: LogIndex,
    /// The directory, once there is one.
    pub(super) directory: Option<DirectoryId>,
    /// The directories with which it has promised to found the cluster.
    promised: Option<Founding>,
    /// The node takes part: its cluster's birth is on its disk.
    pub(super) is_born: bool,
}

impl Stable {
    /// Its part in the birth of its cluster is on the disk as far as `stage`.
    pub(super) fn reached(&mut self, stage: &BirthStage) {
        self.is_born = matches!(stage, BirthStage::Born(_));
        self.promised = match stage {
            BirthStage::New => None,
            BirthStage::Prepared(founding) | BirthStage::Born(founding) => Some(founding.clone()),
        };
    }

    /// Whether `stage` is on the disk, or was before what is.
    pub(super) fn has_reached(&self, stage: &BirthStage) -> bool {
        match stage {
            BirthStage::New => true,
            BirthStage::Prepared(founding) => self.promised.as_ref() == Some(founding),
            BirthStage::Born(founding) => self.is_born && self.promised.as_ref() == Some(founding),
        }
    }
}

/// What the storage thread is asked for.
#[derive(Debug)]
pub(super) enum Request {
    Job(StorageJob),
    Load {
        load: LoadId,
        from: LogIndex,
        to: EntryId,
        limit_bytes: u64,
    },
}

/// The storage thread of one life.
#[derive(Debug)]
pub(super) struct Storage {
    pub(super) log: Log<MemDisk>,
    /// The first is under way.
    pub(super) requests: VecDeque<Request>,
    /// Requests so far.
    pub(super) number: u64,
    /// A write failed: nothing is asked of this disk any more.
    pub(super) has_failed: bool,
    /// The job under way hangs.
    pub(super) hang: Option<Hang>,
    /// An entry that a bad sector kept from being read, until it is read.
    pub(super) unread: Option<LogIndex>,
}

/// A job that takes long.
#[derive(Clone, Copy, Debug)]
pub(super) struct Hang {
    /// Nanoseconds of the world.
    pub(super) since: u64,
    /// Who led when it began, and in which term.
    pub(super) leader: LifeId,
    pub(super) term: Term,
}

impl Storage {
    /// A thread that was asked for nothing yet.
    pub(super) const fn new(log: Log<MemDisk>) -> Self {
        Self {
            log,
            requests: VecDeque::new(),
            number: 0,
            has_failed: false,
            hang: None,
            unread: None,
        }
    }
}

/// One life of a node's process: everything that its end takes.
#[derive(Debug)]
pub(super) struct Life {
    pub(super) id: LifeId,
    pub(super) incarnation: Incarnation,
    pub(super) driver: Driver<OpId, OpId>,
    pub(super) storage: Storage,
    pub(super) machine: Machine,
    pub(super) links: Links,
    pub(super) clock: Clock,
    /// When the next wake-up comes, in nanoseconds of the world.
    pub(super) wake_at: u64,
    /// The deadline for which it comes; the wake-up may be late.
    pub(super) wake_for: u64,
    /// The thread is at its last turn until then.
    pub(super) busy_until: u64,
    /// The process does not run.
    pub(super) is_paused: bool,
    /// It was told to stop.
    pub(super) is_leaving: bool,
    /// Its driver has stopped.
    pub(super) has_stopped: bool,
    /// What happened since the last turn.
    pub(super) inputs: Vec<In>,
    /// Users' requests that the driver does not take yet.
    pub(super) asks: VecDeque<In>,
    /// The log as the storage thread was asked to write it.
    pub(super) written: Shape,
    /// What the driver showed after its last turn.
    pub(super) glimpse: Glimpse,
    pub(super) membership: Membership,
    /// What it was before, if the last turn has changed it.
    pub(super) former: Option<Membership>,
    pub(super) hearing: Hearing,
    /// The leadership that was last announced.
    pub(super) announced: (RoleName, Term),
    pub(super) operators: Operators,
}

/// Operators who wait for this life.
#[derive(Debug)]
pub(super) struct Operators {
    pub(super) last_change: ChangeId,
    pub(super) last_transfer: TransferId,
    pub(super) changes: BTreeSet<ChangeId>,
    pub(super) transfers: BTreeSet<TransferId>,
}

impl Operators {
    /// Nobody waits.
    pub(super) const fn new() -> Self {
        Self {
            last_change: ChangeId::FIRST,
            last_transfer: TransferId::FIRST,
            changes: BTreeSet::new(),
            transfers: BTreeSet::new(),
        }
    }
}

/// What a node shows before its cluster is born.
pub(super) fn unborn() -> Glimpse {
    Glimpse {
        role: RoleName::Follower,
        term: Term::ZERO,
        leader: None,
        first: LogIndex::NONE,
        last: LogIndex::NONE,
        commit: LogIndex::NONE,
        applied: LogIndex::NONE,
        ready: false,
        suspect: false,
        removed: false,
        snapshot: EntryId::NONE,
        transfer_target: None,
        counters: quorate_core::Counters::default(),
    }
}

impl Life {
    /// Takes note of what the driver shows.
    pub(super) fn look(&mut self) -> Option<Status> {
        let status = self.driver.status();
        if let Some(status) = &status {
            self.glimpse = Glimpse::from(status);
            self.former = None;
            if self.membership != status.membership {
                let present = status.membership.clone();
                self.former = Some(std::mem::replace(&mut self.membership, present));
            }
        }
        status
    }
}
