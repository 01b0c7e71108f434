//! The full system under one seed: the real driver over the real log's bytes on simulated disks,
//! talking through the real wire codec over simulated byte streams, with clients who use it. This
//! file holds the state of such a world and its main loop. A node's life starts and ends in
//! `lifetime.rs`, what its threads do is in `turn.rs`, `storage.rs` and `machine.rs`, how bytes
//! travel in `streams.rs` and `links.rs`, who breaks what in `faults.rs`, and what checkers are
//! told in `observe.rs`.

use std::collections::BTreeMap;

use quorate_core::{Membership, NodeId};
use quorate_log::ClusterId;

use crate::check::{Check, Checks, LifeId, Property, broken};
use crate::choice::Choices;
use crate::counts::Counts;
use crate::digest::Digest;
use crate::goals::Watch;
use crate::roster::{Roster, ids};
use crate::trace::Trace;
use crate::world::network::Network;
use crate::world::queue::Agenda;

use atlas::Atlas;
use clients::Clients;
use knobs::SystemKnobs;
use node::{Life, Node};
use streams::{StreamId, Streams, Way};

mod astray;
mod atlas;
mod census;
mod clients;
mod damage;
mod decisions;
mod ends;
mod faults;
mod goals;
mod hearing;
mod knobs;
mod lifetime;
mod links;
mod liveness;
mod machine;
mod node;
mod observe;
mod operator;
mod recovered;
mod steady;
mod storage;
mod strain;
mod streams;
#[cfg(test)]
mod tests;
mod turn;

/// Happenings for each event that counts, at most: a world in which nothing but timers and idle
/// connections is left comes to its end, too.
const MOST_HAPPENINGS: u64 = 40;

/// Something that will happen.
#[derive(Clone, Debug)]
enum Happening {
    /// A shell wakes up, as its driver wished.
    Wake(LifeId),
    /// The next piece of a stream arrives at its end.
    Arrive(StreamId, Way),
    /// A node dials another, or tries again.
    Dial(LifeId, NodeId),
    /// A connection comes about, or is refused.
    Connect(StreamId),
    /// Both ends of a connection show that they live, and look whether the other does.
    Beat(StreamId),
    /// The storage thread has finished what it was at.
    Stored(LifeId),
    /// The storage thread had nothing to do for a while, since its request of this number.
    Idle(LifeId, u64),
    /// The state machine has dealt with what it was at.
    Applied(LifeId),
    /// A client does its next operation.
    Ask(u64),
    /// A client has waited long enough for an operation.
    GiveUp(u64, u64),
    /// A node starts.
    Start(NodeId),
    /// A process or a machine dies somewhere.
    Crash,
    /// A leader dies soon after its election.
    Fall(LifeId),
    /// A node is told to stop, as for an upgrade.
    Shutdown,
    /// A process somewhere is paused.
    Pause,
    /// A paused process goes on.
    Resume(LifeId),
    /// Links are cut.
    Cut,
    /// All links work again.
    Heal,
    /// Connections break somewhere.
    Reset,
    /// A disk fills up, or is freed.
    Fill,
    /// What stands on a disk is damaged behind everybody's back.
    Damage,
    /// The disk that was taken out of a node is put back.
    PutBack(NodeId),
    /// The sectors of a disk read again as they were written.
    Mend(NodeId),
    /// An operator changes the membership.
    Change,
    /// An operator hands leadership over.
    Transfer,
}

/// A world of whole systems under one seed.
#[derive(Debug)]
pub(crate) struct System {
    pub(crate) choices: Choices,
    knobs: SystemKnobs,
    cluster: ClusterId,
    /// The founders and where they are reached.
    founders: BTreeMap<NodeId, String>,
    /// The same as a membership: what is in force before the first entry of the log.
    founding: Membership,
    /// Nanoseconds since the world began.
    now: u64,
    agenda: Agenda<Happening>,
    nodes: Roster<Node>,
    /// Whose disk is harmed, and how.
    atlas: Atlas,
    network: Network,
    streams: Streams,
    clients: Clients,
    checks: Checks,
    pub(crate) counts: Counts,
    pub(crate) goals: Watch,
    pub(crate) trace: Option<Trace>,
    /// Hash of everything that happened.
    pub(crate) digest: Digest,
    /// Faults are over; no new ones start.
    is_calm: bool,
    /// When the settings of the world last changed, in nanoseconds.
    calm_since: u64,
    /// The next job of this life hangs.
    hangs_next: Option<LifeId>,
    /// Clients ask for nothing more.
    are_clients_done: bool,
    /// Names given out so far.
    names: u64,
    /// How long the calm cluster took to serve again, in nanoseconds.
    pub(crate) settle_time: u64,
}

impl System {
    /// The world of these choices, before anything happened.
    pub(crate) fn new(mut choices: Choices, trace: Option<Trace>) -> Self {
        let knobs = SystemKnobs::draw(&mut choices);
        let count = knobs.nodes();
        let founders = ids(knobs.founders).map(|node| (node, node::address(node)));
        let founding = ids(knobs.founders).fold(
            Membership::new(ids(knobs.founders), []),
            |founding, node| founding.with_address(node, node::address(node)),
        );
        Self {
            cluster: quorate::cluster_id("simulated", ids(knobs.founders)),
            founders: founders.collect(),
            founding,
            now: 0,
            agenda: Agenda::new(),
            nodes: Roster::new(count, |_| Node::default()),
            network: Network::new(count),
            atlas: Atlas::new(count, knobs.founders),
            streams: Streams::default(),
            clients: Clients::new(knobs.client.count),
            checks: Checks::new(count),
            counts: Counts::default(),
            goals: Watch::default(),
            trace,
            digest: Digest::EMPTY,
            is_calm: false,
            calm_since: 0,
            hangs_next: None,
            are_clients_done: false,
            names: 0,
            settle_time: 0,
            knobs,
            choices,
        }
    }

    /// Lets `events` things happen, then demands that the cluster recovers.
    pub(crate) fn run(&mut self, events: u64, settles: bool) -> Check {
        if let Some(trace) = &mut self.trace {
            trace.knobs(&self.knobs);
        }
        for node in ids(self.knobs.nodes()) {
            self.start(node)?;
        }
        self.schedule_faults();
        self.start_clients();
        while self.counts.useful < events && self.counts.events < events * MOST_HAPPENINGS {
            self.happen()?;
        }
        if settles { self.settle() } else { Ok(()) }
    }

    /// Counts the time that has passed.
    pub(crate) const fn note_time(&mut self) {
        self.counts.virtual_ms = self.now / crate::knobs::MILLI;
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
        match happening {
            Happening::Wake(life) => self.wake(life),
            Happening::Arrive(stream, way) => self.arrive(stream, way),
            Happening::Dial(life, peer) => self.dial(life, peer),
            Happening::Connect(stream) => self.connect(stream),
            Happening::Beat(stream) => self.beat(stream),
            Happening::Stored(life) => self.stored(life),
            Happening::Idle(life, number) => self.idle(life, number),
            Happening::Applied(life) => self.applied(life),
            Happening::Ask(client) => self.ask(client),
            Happening::GiveUp(client, op) => self.give_up(client, op),
            Happening::Start(node) => self.start(node),
            Happening::Crash => self.crash_somewhere(),
            Happening::Fall(life) => self.fall(life),
            Happening::Shutdown => self.shut_down_somewhere(),
            Happening::Pause => self.pause_somewhere(),
            Happening::Resume(life) => self.resume(life),
            Happening::Cut => self.cut_links(),
            Happening::Heal => self.heal_links(),
            Happening::Reset => self.reset_somewhere(),
            Happening::Fill => self.fill_somewhere(),
            Happening::Damage => self.damage_somewhere(),
            Happening::PutBack(node) => self.put_back(node),
            Happening::Mend(node) => {
                self.mend_sectors(node);
                Ok(())
            }
            Happening::Change => self.change_somewhere(),
            Happening::Transfer => self.transfer_somewhere(),
        }
    }

    /// Adds a line to the trace, if there is one.
    fn note(&mut self, text: impl FnOnce() -> String) {
        if let Some(trace) = &mut self.trace {
            let columns = self.nodes.iter().map(|node| {
                let life = node.life.as_deref();
                life.map(|life| life.glimpse)
            });
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
