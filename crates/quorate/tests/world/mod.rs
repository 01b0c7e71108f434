//! Drivers with real logs on disks in memory, a perfect network with cuts, and a clock that only
//! this file moves: a cluster without threads.

#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::Duration;

use quorate::{
    Bytes, Change, ChangeError, Config, Driver, DriverConfig, EntryId, Input, MemDisk, NodeId,
    Output, PeerMessage, ProposeError, ReadError, RoleName, StopCause, StorageJob, TransferError,
    cluster_id,
};
use quorate_core::{
    ChangeId, Entries, Incarnation, LoadOutcome, LogIndex, Payload, Time, TransferId,
};
use quorate_log::{DirectoryId, FreshIds, Log, LogOptions, Opened, Owner, ReadOutcome, Write};

pub(crate) type In = Input<u64, u64>;
pub(crate) type Out = Output<u64, u64>;

/// What became of a proposal or read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    Applied(LogIndex),
    Failed(ProposeError),
    Read(LogIndex),
    ReadFailed(ReadError),
    Changed(Result<EntryId, ChangeError>),
    Transferred(Result<NodeId, TransferError>),
}

/// Operators' requests are noted under their numbers and these.
pub(crate) const CHANGES: u64 = 1 << 40;
pub(crate) const TRANSFERS: u64 = 2 << 40;

/// One node: its driver and what the shell would do for it.
pub(crate) struct Node {
    pub(crate) driver: Driver<u64, u64>,
    log: Log<MemDisk>,
    pub(crate) inputs: Vec<In>,
    /// The storage job under way, kept back while the disk hangs.
    job: Option<StorageJob>,
    pub(crate) disk_hangs: bool,
    /// Entries given to a state machine that hangs.
    pub(crate) unapplied: Vec<(Entries, Vec<(LogIndex, u64)>)>,
    pub(crate) apply_hangs: bool,
    pub(crate) applied: LogIndex,
    /// Entries in each finished storage job.
    pub(crate) jobs: Vec<usize>,
    pub(crate) stopped: Option<StopCause>,
    /// Whom the transport reaches, and where. It knows nobody else.
    pub(crate) peers: BTreeMap<u64, String>,
}

pub(crate) struct World {
    pub(crate) now: Time,
    pub(crate) nodes: BTreeMap<u64, Node>,
    pub(crate) disks: BTreeMap<u64, MemDisk>,
    pub(crate) cut: BTreeSet<(u64, u64)>,
    pub(crate) paused: BTreeSet<u64>,
    wire: VecDeque<(u64, u64, PeerMessage)>,
    pub(crate) outcomes: BTreeMap<u64, Vec<Outcome>>,
    pub(crate) sent: u64,
    starts: u64,
    pub(crate) tune: fn(&mut Config, &mut DriverConfig),
}

/// Where a founder is reached.
pub(crate) fn address(id: u64) -> String {
    format!("founder-{id}")
}

pub(crate) fn node_id(id: u64) -> NodeId {
    NodeId::new(id).unwrap()
}

impl World {
    pub(crate) fn new() -> Self {
        Self::with(|_, _| {})
    }

    pub(crate) fn with(tune: fn(&mut Config, &mut DriverConfig)) -> Self {
        let mut world = Self {
            now: Time::ZERO,
            nodes: BTreeMap::new(),
            disks: (1..=3).map(|id| (id, MemDisk::new())).collect(),
            cut: BTreeSet::new(),
            paused: BTreeSet::new(),
            wire: VecDeque::new(),
            outcomes: BTreeMap::new(),
            sent: 0,
            starts: 0,
            tune,
        };
        (1..=3).for_each(|id| world.start(id));
        world
    }

    /// Starts a node on the disk it has.
    pub(crate) fn start(&mut self, id: u64) {
        self.nodes.remove(&id);
        self.starts += 1;
        let owner = Owner {
            cluster: cluster_id("test", (1..=3).map(node_id)),
            node: node_id(id),
        };
        let fresh = FreshIds {
            directory: DirectoryId(u128::from(self.starts) << 8),
            log: u128::from(self.starts),
        };
        let mut options = LogOptions::default();
        options.segment_bytes = 256 * 1024;
        let disk = self.disks[&id].clone();
        let Opened {
            log,
            identity,
            recovered,
        } = Log::open(disk, owner, fresh, options).unwrap();
        let applied = recovered.applied;
        let mut engine = Config::new(node_id(id), self.starts);
        let founders = (1..=3).map(|id| (node_id(id), address(id))).collect();
        let life = Incarnation::new(self.starts);
        let valid = engine.clone().validate().unwrap();
        let mut config = DriverConfig::new(valid, life, founders);
        (self.tune)(&mut engine, &mut config);
        config.engine = engine.validate().unwrap();
        let driver = Driver::new(config, identity, recovered, self.now).unwrap();
        let node = Node {
            driver,
            log,
            inputs: Vec::new(),
            job: None,
            disk_hangs: false,
            unapplied: Vec::new(),
            apply_hangs: false,
            applied,
            jobs: Vec::new(),
            stopped: None,
            peers: (1..=3).map(|id| (id, address(id))).collect(),
        };
        self.nodes.insert(id, node);
    }

    /// Starts a node that is no founder, with an empty disk.
    pub(crate) fn join(&mut self, id: u64) {
        self.disks.insert(id, MemDisk::new());
        self.start(id);
    }

    /// Stops a node and gives it an empty disk.
    pub(crate) fn wipe(&mut self, id: u64) {
        self.nodes.remove(&id);
        self.disks.insert(id, MemDisk::new());
        self.start(id);
    }

    /// Lets time pass, in steps of a millisecond, with everything that happens in it.
    pub(crate) fn run(&mut self, duration: Duration) {
        let end = self.now.after(duration);
        while self.now < end {
            self.now = self.now.after(Duration::from_millis(1));
            self.settle();
        }
    }

    /// Runs until `done`, for at most a minute of the world's time.
    pub(crate) fn run_until(&mut self, what: &str, done: impl Fn(&Self) -> bool) {
        for _ in 0..60_000 {
            if done(self) {
                return;
            }
            self.run(Duration::from_millis(1));
        }
        panic!("{what} did not happen within a minute");
    }

    /// Handles everything that needs no time to pass.
    pub(crate) fn settle(&mut self) {
        loop {
            let ids: Vec<u64> = self.nodes.keys().copied().collect();
            let mut is_quiet = true;
            for id in ids {
                is_quiet &= !self.turn(id);
            }
            while let Some((from, to, message)) = self.wire.pop_front() {
                if self.cut.contains(&(from, to)) || !self.nodes.contains_key(&to) {
                    continue;
                }
                is_quiet = false;
                let message = Input::Peer {
                    from: node_id(from),
                    message,
                };
                self.nodes.get_mut(&to).unwrap().inputs.push(message);
            }
            if is_quiet {
                return;
            }
        }
    }

    /// One turn of a node that has something to do. Returns whether it had.
    fn turn(&mut self, id: u64) -> bool {
        let now = self.now;
        let node = self.nodes.get_mut(&id).unwrap();
        let is_due = !node.inputs.is_empty() || node.driver.next_timeout() <= now;
        let outputs = if is_due && !self.paused.contains(&id) && node.stopped.is_none() {
            let inputs = std::mem::take(&mut node.inputs);
            node.driver.turn(now, inputs)
        } else {
            Vec::new()
        };
        let had_work = !outputs.is_empty();
        for output in outputs {
            self.perform(id, output);
        }
        let node = self.nodes.get_mut(&id).unwrap();
        node.finish_job();
        let applied = node.finish_applies();
        for (index, waiter) in applied {
            self.note(waiter, Outcome::Applied(index));
        }
        had_work
    }

    fn perform(&mut self, id: u64, output: Out) {
        let node = self.nodes.get_mut(&id).unwrap();
        match output {
            Output::Send { to, message } => {
                self.sent += 1;
                if node.peers.contains_key(&to.get()) {
                    self.wire.push_back((id, to.get(), message));
                }
            }
            Output::Store(job) => {
                assert!(node.job.is_none(), "one storage job at a time");
                node.job = Some(job);
            }
            Output::Load {
                load,
                from,
                to,
                limit_bytes,
            } => {
                let outcome = match node.log.read(from, to, limit_bytes).unwrap() {
                    ReadOutcome::Found(entries) => LoadOutcome::Found(entries),
                    ReadOutcome::Gone => LoadOutcome::Gone,
                };
                node.inputs.push(Input::Loaded { load, outcome });
            }
            Output::Apply { entries, waiters } => node.unapplied.push((entries, waiters)),
            Output::Read(read) => {
                let applied = node.applied;
                self.note(read, Outcome::Read(applied));
            }
            Output::ProposeFailed { waiter, error } => self.note(waiter, Outcome::Failed(error)),
            Output::ReadFailed { read, error } => self.note(read, Outcome::ReadFailed(error)),
            Output::Changed { change, outcome } => {
                self.note(CHANGES + change.get(), Outcome::Changed(outcome));
            }
            Output::Transferred { transfer, outcome } => {
                self.note(TRANSFERS + transfer.get(), Outcome::Transferred(outcome));
            }
            Output::Peers(peers) => {
                node.peers = peers.into_iter().map(|(id, at)| (id.get(), at)).collect();
            }
            Output::Leadership(_) => {}
            Output::Stopped(cause) => node.stopped = Some(cause),
        }
    }

    fn note(&mut self, who: u64, outcome: Outcome) {
        self.outcomes.entry(who).or_default().push(outcome);
    }

    /// Proposes at a node; the outcome is noted under `waiter`.
    pub(crate) fn propose(&mut self, id: u64, waiter: u64) {
        let command = Bytes::copy_from_slice(&waiter.to_le_bytes());
        self.nodes
            .get_mut(&id)
            .unwrap()
            .inputs
            .push(Input::Propose { command, waiter });
    }

    pub(crate) fn read(&mut self, id: u64, read: u64) {
        self.nodes
            .get_mut(&id)
            .unwrap()
            .inputs
            .push(Input::Read(read));
    }

    /// Asks a node for a change; the outcome is noted under `CHANGES` and its number.
    pub(crate) fn change(&mut self, id: u64, number: u64, what: Change) {
        let change = ChangeId::new(number);
        let input = Input::ChangeMembership { change, what };
        self.nodes.get_mut(&id).unwrap().inputs.push(input);
    }

    pub(crate) fn transfer(&mut self, id: u64, number: u64, target: Option<u64>) {
        let (transfer, target) = (TransferId::new(number), target.map(node_id));
        let input = Input::TransferLeadership { transfer, target };
        self.nodes.get_mut(&id).unwrap().inputs.push(input);
    }

    /// The only outcome of a proposal or read.
    pub(crate) fn outcome(&self, who: u64) -> Option<&Outcome> {
        let outcomes = self.outcomes.get(&who)?;
        assert_eq!(
            outcomes.len(),
            1,
            "{who} was answered more than once: {outcomes:?}"
        );
        outcomes.first()
    }

    pub(crate) fn leader(&self) -> Option<u64> {
        let leads = |node: &Node| node.driver.leadership().ready && node.stopped.is_none();
        self.nodes
            .iter()
            .find(|(_, node)| leads(node))
            .map(|(&id, _)| id)
    }

    pub(crate) fn elect(&mut self) -> u64 {
        self.run_until("an election", |world| world.leader().is_some());
        self.leader().unwrap()
    }

    pub(crate) fn follower_of(&self, leader: u64) -> u64 {
        leader % 3 + 1
    }

    pub(crate) fn isolate(&mut self, id: u64) {
        for other in (1..=3).filter(|&other| other != id) {
            self.cut.extend([(id, other), (other, id)]);
        }
    }

    pub(crate) fn terms(&self) -> Vec<u64> {
        self.nodes
            .values()
            .map(|node| node.driver.leadership().term.get())
            .collect()
    }

    pub(crate) fn role(&self, id: u64) -> RoleName {
        self.nodes[&id].driver.leadership().role
    }
}

impl Node {
    fn finish_job(&mut self) {
        if self.disk_hangs {
            return;
        }
        match self.job.take() {
            Some(StorageJob::Write(writes)) => {
                self.jobs.push(writes.iter().map(entries_of).sum());
                self.log.perform(&writes).unwrap();
                self.inputs.push(Input::Stored);
            }
            Some(StorageJob::Stage(stage)) => {
                self.log.set_stage(stage).unwrap();
                self.inputs.push(Input::Stored);
            }
            None => {}
        }
    }

    /// Applies what was given. Returns who waited for what.
    fn finish_applies(&mut self) -> Vec<(LogIndex, u64)> {
        let mut served = Vec::new();
        if self.apply_hangs {
            return served;
        }
        for (entries, waiters) in self.unapplied.drain(..) {
            for entry in entries.iter() {
                assert_eq!(
                    entry.index,
                    self.applied.next(),
                    "every index once, in order"
                );
                self.applied = entry.index;
            }
            for (index, waiter) in waiters {
                let entry = entries.iter().find(|entry| entry.index == index).unwrap();
                let own = Bytes::copy_from_slice(&waiter.to_le_bytes());
                assert_eq!(
                    entry.payload,
                    Payload::Command(own),
                    "the response is the waiter's"
                );
                served.push((index, waiter));
            }
            self.inputs.push(Input::Applied(self.applied));
        }
        served
    }
}

fn entries_of(write: &Write) -> usize {
    match write {
        Write::HardState(_) => 0,
        Write::Append(entries) => entries.len(),
    }
}
