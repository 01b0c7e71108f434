//! A world: some nodes, their disks, the network between them, and one future of happenings under
//! one seed. This file holds its state, the main loop, and the start and end of a node's life.
//! What a host does with its engine is in `host.rs`, what checkers are told in `observe.rs`.

use quorate_core::{Engine, HardState, Incarnation, LoadId, LogIndex, Membership, Message, NodeId};

use crate::check::{Check, Checks, LifeId, Property, broken};
use crate::choice::{Choices, Site};
use crate::counts::Counts;
use crate::describe;
use crate::digest::Digest;
use crate::knobs::Knobs;
use crate::roster::{Roster, ids};
use crate::trace::Trace;

use network::Network;
pub(crate) use node::Node;
use node::{ApplyQueue, Clock, Glimpse, Life, Waiting};
use queue::Agenda;
use storage::{Stable, Wanted, Write, WriteQueue};

mod cause;
mod client;
mod faults;
mod host;
mod liveness;
mod network;
mod node;
mod observe;
mod queue;
pub(crate) mod storage;

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
    /// The disks, which outlive the lives of their nodes.
    stables: Roster<Stable>,
    network: Network,
    checks: Checks,
    pub(crate) counts: Counts,
    pub(crate) trace: Option<Trace>,
    /// Hash of everything that happened.
    pub(crate) digest: Digest,
    /// Commands proposed so far; the last one's token.
    commands: u64,
    /// Faults are over; no new ones start.
    is_calm: bool,
    /// The calm cluster has a leader: from here on it has to serve everybody.
    is_settled: bool,
    /// How long the calm cluster took to have one, in nanoseconds.
    pub(crate) settle_time: u64,
}

impl World {
    /// The world of `seed`, before anything happened.
    pub(crate) fn new(seed: u64, trace: Option<Trace>) -> Self {
        let mut choices = Choices::new(seed);
        let knobs = Knobs::draw(&mut choices);
        let nodes = knobs.nodes();
        let node = |_| Node {
            life: None,
            starts: 0,
            machine: LogIndex::NONE,
        };
        Self {
            choices,
            now: 0,
            agenda: Agenda::new(),
            nodes: Roster::new(nodes, node),
            stables: Roster::new(nodes, |_| Stable::default()),
            network: Network::new(nodes),
            checks: Checks::new(nodes, knobs.voters),
            counts: Counts::default(),
            trace,
            digest: Digest::EMPTY,
            commands: 0,
            is_calm: false,
            is_settled: false,
            knobs,
            settle_time: 0,
        }
    }

    /// Lets `events` things happen, then demands that the cluster recovers.
    pub(crate) fn run(&mut self, events: u64) -> Check {
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
        self.settle()
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
        match &happening {
            Happening::Arrive(message) => {
                self.note(|| format!("arrives: {}", describe::message(message)));
            }
            // What follows from these is told by the lines of the engine.
            Happening::Wake(_) | Happening::Propose | Happening::Read => {}
            Happening::Synced(_)
            | Happening::Confirm(_)
            | Happening::Loaded(..)
            | Happening::Applied(_)
            | Happening::Start(_)
            | Happening::Crash
            | Happening::Pause
            | Happening::Resume(_)
            | Happening::Cut
            | Happening::Heal => self.note(|| format!("{happening:?}")),
        }
        match happening {
            Happening::Wake(life) => self.wake(life),
            Happening::Arrive(message) => self.arrive(message),
            Happening::Synced(life) => self.synced(life),
            Happening::Confirm(life) => self.confirm(life),
            Happening::Loaded(life, load, wanted) => self.loaded(life, load, &wanted),
            Happening::Applied(life) => self.applied(life),
            Happening::Start(node) => self.start(node),
            Happening::Crash => self.crash_somewhere(),
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
        }
    }

    /// Adds a line to the trace, if there is one.
    fn note(&mut self, text: impl FnOnce() -> String) {
        if let Some(trace) = &mut self.trace {
            trace.line(self.now, self.counts.events, &text(), &self.nodes);
        }
    }

    /// The life of this name, if it still lasts.
    fn life(&mut self, id: LifeId) -> Option<&mut Life> {
        self.nodes[id.node]
            .life
            .as_deref_mut()
            .filter(|life| life.id == id)
    }

    /// Starts a node with what is on its disk, unless it runs already.
    fn start(&mut self, node: NodeId) -> Check {
        if self.nodes[node].life.is_some() {
            return Ok(());
        }
        let host = &mut self.nodes[node];
        host.starts += 1;
        let id = LifeId {
            node,
            number: host.starts,
        };
        let choices = &mut self.choices;
        let clock = draw_clock(self.knobs.process.skew_ppm, choices);
        let incarnation = Incarnation::new(choices.choose(u64::MAX - 1, Site::Incarnation) + 1);
        let mut config = self.knobs.engine.clone();
        config.id = node;
        config.seed = choices.choose(u64::MAX, Site::EngineSeed);
        let Ok(config) = config.validate() else {
            unreachable!("drawn settings are valid")
        };
        let voters = self.knobs.voters;
        let learners = ids(self.knobs.nodes()).filter(|node| node.get() > voters);
        let founders = Membership::new(ids(voters), learners);
        let local = clock.read(self.now);
        let stable = &self.stables[node];
        let engine = if host.starts == 1 {
            Engine::new(config, incarnation, founders, local)
        } else {
            self.counts.restarts += 1;
            let recovered = stable.recovered(host.machine);
            match Engine::recover(config, incarnation, founders, local, recovered) {
                Ok(engine) => engine,
                Err(error) => {
                    return broken(
                        Property::NoFatal,
                        format_args!("{id} cannot start: {error}"),
                    );
                }
            }
        };
        let applied = host.machine;
        let life = Life {
            id,
            incarnation,
            glimpse: Glimpse::from(&engine.status()),
            engine,
            clock,
            ticked: local,
            wake_at: u64::MAX,
            wake_for: u64::MAX,
            is_paused: false,
            is_blocked: false,
            inbox: std::collections::VecDeque::new(),
            actions: std::collections::VecDeque::new(),
            dies_after: None,
            writes: WriteQueue::default(),
            held: Vec::new(),
            loads: std::collections::VecDeque::new(),
            open_loads: 0,
            log: stable.shape().clone(),
            elected_at: LogIndex::NONE,
            apply: ApplyQueue {
                handed: applied,
                applied,
                told: applied,
                ..ApplyQueue::default()
            },
            clients: Waiting::default(),
        };
        host.life = Some(Box::new(life));
        self.checks.terms.starts(node);
        self.pump(node)
    }

    /// Ends the life of a node. A prefix of its unsynced writes reaches the disk: the disk
    /// performs them in order, and nobody knows how far it came.
    fn crash(&mut self, node: NodeId) -> Check {
        let Some(life) = self.nodes[node].life.take() else {
            return Ok(());
        };
        self.counts.crashes += 1;
        let pending = life.writes.pending() as u64;
        let kept = self.choices.between(0, pending, Site::Survivors);
        self.counts.lost_writes += pending - kept;
        if self.knobs.process.durable_machine {
            self.nodes[node].machine = life.apply.applied;
        }
        let id = life.id;
        self.note(|| format!("{id} crashes; {kept} of {pending} unsynced writes survive"));
        for write in life.writes.survivors(kept as usize) {
            self.persist(node, &write)?;
        }
        self.checks.outcomes.life_ends(id);
        self.checks.reads.life_ends(id);
        let down = self
            .choices
            .between(0, self.knobs.process.down_max, Site::Crash);
        self.agenda.push(self.now + down, Happening::Start(node));
        Ok(())
    }

    /// A write is on stable storage now.
    fn persist(&mut self, node: NodeId, write: &Write) -> Check {
        self.stables[node].perform(write);
        match write {
            Write::Hard(HardState {
                term,
                vote: Some(candidate),
                ..
            }) => {
                self.checks.votes.voted(node, *term, *candidate)?;
            }
            Write::Hard(_) | Write::Append(_) => {}
        }
        if let Write::Hard(state) = write {
            self.checks.terms.saved(node, state)?;
        }
        Ok(())
    }
}

/// A clock that started at any time and is off by at most `skew_ppm`.
fn draw_clock(skew_ppm: u64, choices: &mut Choices) -> Clock {
    let offset = choices.choose(1 << 50, Site::Clock);
    let rate = match skew_ppm {
        0 => 1_000_000,
        skew => choices.between(1_000_000 - skew, 1_000_000 + skew, Site::Clock),
    };
    Clock { offset, rate }
}
