//! A world: some nodes, their disks, the network between them, and one future of happenings under
//! one seed. This file holds its state and the main loop. Where a node's life starts and ends is in
//! `lifetime.rs`, what its host does with the engine in `host.rs`, what checkers are told in
//! `observe.rs` and `cause.rs`.

use quorate_core::{LoadId, Membership, Message, NodeId, SnapshotMeta};

use crate::check::{Check, Checks, LifeId, Property, broken};
use crate::choice::Choices;
use crate::counts::Counts;
use crate::describe;
use crate::digest::Digest;
use crate::goals::Watch;
use crate::knobs::{Knobs, MILLI};
use crate::roster::{Roster, ids};
use crate::trace::Trace;

use network::Network;
pub(crate) use node::Node;
use node::{Life, Machine};
use queue::Agenda;
use storage::{Snapshot, Stable, Wanted};

mod cause;
mod census;
mod client;
mod faults;
mod full_disks;
mod goals;
mod history;
mod host;
pub(crate) mod lifetime;
mod liveness;
pub(crate) mod network;
pub(crate) mod node;
mod observe;
mod operator;
pub(crate) use operator::is_as_recent;
pub(crate) mod queue;
mod snapshots;
pub(crate) mod storage;
mod transfers;

/// Something that will happen.
#[derive(Debug)]
enum Happening {
    /// A host wakes up, as its engine wished.
    Wake(LifeId),
    /// A message arrives.
    Arrive(Message),
    /// The running sync ends.
    Synced(LifeId),
    /// A confirmation that was held back is told.
    Confirm(LifeId),
    /// A request for old entries is answered.
    Loaded(LifeId, LoadId, Wanted),
    /// The state machine has applied something.
    Applied(LifeId),
    /// A node starts.
    Start(NodeId),
    /// A crash strikes somewhere.
    Crash,
    /// A leader dies soon after its election.
    Fall(LifeId),
    /// A process somewhere is paused.
    Pause,
    /// A paused process goes on.
    Resume(LifeId),
    /// Links are cut.
    Cut,
    /// All links work again.
    Heal,
    /// A client proposes somewhere.
    Propose,
    /// A client reads somewhere.
    Read,
    /// The state machine is captured.
    Capture(LifeId),
    /// A host reports a snapshot that nobody waits for.
    Report(LifeId, Box<SnapshotMeta>),
    /// The snapshot that was captured is on disk, or cannot be written.
    Taken(LifeId, Option<Box<Snapshot>>),
    /// The next part of a snapshot arrives, or is lost.
    Fetch(LifeId, u64),
    /// An operator changes the membership.
    Change,
    /// An operator hands leadership over.
    Transfer,
    /// A disk fills up, or is freed.
    Room,
    /// A log is damaged.
    Damage,
}

/// A world under one seed.
#[derive(Debug)]
pub(crate) struct World {
    pub(crate) choices: Choices,
    knobs: Knobs,
    /// Nanoseconds since the world began.
    now: u64,
    agenda: Agenda<Happening>,
    nodes: Roster<Node>,
    /// The membership that the cluster was born with.
    founders: Membership,
    /// The disks, which outlive the lives of their nodes.
    stables: Roster<Stable>,
    network: Network,
    checks: Checks,
    pub(crate) counts: Counts,
    pub(crate) goals: Watch,
    pub(crate) trace: Option<Trace>,
    /// Hash of everything that happened.
    pub(crate) digest: Digest,
    /// When second copies of messages arrive.
    echoes: Vec<u64>,
    /// Commands proposed so far; the last one's token.
    commands: u64,
    /// Snapshots captured so far.
    captured: u64,
    /// Faults are over; no new ones start.
    is_calm: bool,
    /// The calm cluster has a leader: from here on it has to serve everybody.
    is_settled: bool,
    /// How long the calm cluster took to have one, in nanoseconds.
    pub(crate) settle_time: u64,
}

impl World {
    /// The world that `choices` make, before anything happened.
    pub(crate) fn new(mut choices: Choices, trace: Option<Trace>) -> Self {
        let knobs = Knobs::draw(&mut choices);
        let nodes = knobs.nodes();
        let node = |_| Node {
            life: None,
            starts: 0,
            names: Vec::new(),
            machine: Machine::default(),
            room: None,
        };
        let founding = ids(nodes).filter(|node| knobs.is_founder(*node));
        let (voters, learners) = founding.partition::<Vec<_>, _>(|n| n.get() <= knobs.voters);
        Self {
            founders: Membership::new(voters, learners),
            choices,
            now: 0,
            agenda: Agenda::new(),
            nodes: Roster::new(nodes, node),
            stables: Roster::new(nodes, |_| Stable::default()),
            network: Network::new(nodes),
            checks: Checks::new(nodes),
            counts: Counts::default(),
            goals: Watch::default(),
            trace,
            digest: Digest::EMPTY,
            echoes: Vec::new(),
            commands: 0,
            captured: 0,
            is_calm: false,
            is_settled: false,
            knobs,
            settle_time: 0,
        }
    }

    /// Lets `events` things happen, then demands that the cluster recovers, if it is to settle.
    pub(crate) fn run(&mut self, events: u64, settles: bool) -> Check {
        if let Some(trace) = &mut self.trace {
            trace.knobs(&self.knobs);
        }
        for node in ids(self.knobs.nodes()) {
            self.start(node)?;
        }
        self.schedule_faults();
        self.agenda.push(0, Happening::Propose);
        self.agenda.push(0, Happening::Read);
        while self.counts.events < events {
            self.happen()?;
        }
        if settles { self.settle() } else { Ok(()) }
    }

    /// Counts the time that has passed.
    pub(crate) const fn note_time(&mut self) {
        self.counts.virtual_ms = self.now / MILLI;
    }

    /// Lets the next thing happen.
    fn happen(&mut self) -> Check {
        let Some((at, happening)) = self.agenda.pop() else {
            return broken(
                Property::Liveness,
                format_args!("nothing will ever happen again"),
            );
        };
        self.now = at;
        self.counts.events += 1;
        self.digest.fold(at);
        self.note_happening(&happening);
        match happening {
            Happening::Wake(life) => self.wake(life),
            Happening::Arrive(message) => self.arrive(message),
            Happening::Synced(life) => self.synced(life),
            Happening::Confirm(life) => self.confirm(life),
            Happening::Loaded(life, load, wanted) => self.loaded(life, load, &wanted),
            Happening::Applied(life) => self.applied(life),
            Happening::Start(node) => self.start(node),
            Happening::Crash => self.crash_somewhere(),
            Happening::Fall(life) => self.fall(life),
            Happening::Pause => {
                self.pause_somewhere();
                Ok(())
            }
            Happening::Resume(life) => self.resume(life),
            Happening::Cut => {
                self.cut_links();
                Ok(())
            }
            Happening::Heal => {
                self.network.heal();
                Ok(())
            }
            Happening::Propose => self.propose_somewhere(),
            Happening::Read => self.read_somewhere(),
            Happening::Taken(life, snapshot) => self.taken(life, snapshot),
            Happening::Fetch(life, number) => self.fetch(life, number),
            Happening::Capture(life) => self.capture(life),
            Happening::Report(life, meta) => self.report(life, *meta),
            Happening::Change => self.change_somewhere(),
            Happening::Transfer => self.transfer_somewhere(),
            Happening::Room => self.room_somewhere(),
            Happening::Damage => self.damage_somewhere(),
        }
    }

    /// Adds a line on what happens, where nothing else tells of it.
    fn note_happening(&mut self, happening: &Happening) {
        match happening {
            Happening::Arrive(message) => {
                self.note(|| format!("arrives: {}", describe::message(message)));
            }
            // What follows from these is told by the lines of the engine.
            Happening::Wake(_) | Happening::Propose | Happening::Read => {}
            Happening::Taken(life, snapshot) => {
                let label = snapshot.as_ref().map(|snapshot| snapshot.meta.last);
                self.note(|| format!("snapshot of {life} taken: {label:?}"));
            }
            Happening::Synced(_)
            | Happening::Confirm(_)
            | Happening::Loaded(..)
            | Happening::Applied(_)
            | Happening::Start(_)
            | Happening::Crash
            | Happening::Fall(_)
            | Happening::Pause
            | Happening::Resume(_)
            | Happening::Cut
            | Happening::Fetch(..)
            | Happening::Capture(_)
            | Happening::Report(..)
            | Happening::Change
            | Happening::Transfer
            | Happening::Room
            | Happening::Damage
            | Happening::Heal => self.note(|| format!("{happening:?}")),
        }
    }

    /// Adds a line to the trace, if there is one.
    fn note(&mut self, text: impl FnOnce() -> String) {
        if let Some(trace) = &mut self.trace {
            let seen = |node: &Node| node.life.as_deref().map(|life| life.glimpse);
            let columns = self.nodes.iter().map(seen);
            trace.line(self.now, self.counts.events, &text(), columns);
        }
    }

    /// The life of this name, if it still lasts.
    fn life(&mut self, id: LifeId) -> Option<&mut Life> {
        self.nodes[id.node]
            .life
            .as_deref_mut()
            .filter(|life| life.id == id)
    }
}
