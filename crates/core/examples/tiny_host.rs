//! A complete host in one file: it performs every action the engine can ask for, keeps what must
//! survive on a "disk", answers its users, and brings a stopped node back from that disk.
//!
//! It performs one action after the other, so that every write is durable before anything behind
//! it happens; that is always right. A faster host overlaps them as `needs` allows. Disk, network
//! and clock are simple values here, so that the example runs alone and at once.
//! Run it with `cargo run -p quorate-core --example tiny_host`.

use std::collections::{BTreeMap, VecDeque};
use std::error::Error;
use std::time::Duration;

use bytes::Bytes;
use quorate_core::{
    Action, Config, Engine, Entries, Entry, EntryId, Event, HardState, Incarnation, LoadOutcome,
    LogIndex, Membership, Message, NodeId, Payload, ProposalId, ReadId, Recovered, RoleName, Time,
};

type Outcome<T> = Result<T, Box<dyn Error>>;

/// What survives when a node stops.
#[derive(Default)]
struct Disk {
    hard_state: HardState,
    log: Vec<Entry>,
}

impl Disk {
    /// Drops everything from the first of `entries` on and adds them.
    fn append(&mut self, entries: &Entries) {
        let first = entries.first().map_or(LogIndex::NONE, |entry| entry.index);
        self.log.retain(|entry| entry.index < first);
        self.log.extend(entries.iter().cloned());
    }

    fn load(&self, from: LogIndex, to: EntryId, limit_bytes: u64) -> LoadOutcome {
        let is_wanted = |entry: &&Entry| entry.index >= from && entry.index <= to.index;
        let found: Entries = self.log.iter().filter(is_wanted).cloned().collect();
        if found.last_id() == Some(to) {
            LoadOutcome::Found(found.within(limit_bytes))
        } else {
            LoadOutcome::Gone
        }
    }

    /// What the engine wants to know of the disk at a start.
    fn recovered(&self) -> Recovered {
        let mut recovered = Recovered {
            hard_state: self.hard_state,
            ..Recovered::default()
        };
        for entry in &self.log {
            if recovered
                .term_starts
                .last()
                .is_none_or(|start| start.term < entry.term)
            {
                recovered.term_starts.push(entry.id());
            }
            recovered.last = entry.index;
        }
        recovered
    }
}

/// A node: the engine, and everything it leaves to its host.
struct Host {
    engine: Engine,
    disk: Disk,
    /// The state machine: a list of words.
    words: Vec<String>,
    /// Users that wait for their command to be applied. It is theirs only if index and term match.
    proposals: BTreeMap<ProposalId, EntryId>,
    mailbox: VecDeque<Event>,
}

impl Host {
    fn start(node: NodeId, life: u64, disk: Disk, now: Time) -> Outcome<Self> {
        let founders = Membership::new((1..=3).filter_map(NodeId::new), []);
        let config = Config::new(node, life).validate()?;
        let life = Incarnation::new(life);
        let recovered = disk.recovered();
        Ok(Self {
            engine: Engine::recover(config, life, founders, now, recovered)?,
            disk,
            words: Vec::new(),
            proposals: BTreeMap::new(),
            mailbox: VecDeque::new(),
        })
    }

    /// Takes everything out of the mailbox; what the engine wants sent.
    fn work(&mut self) -> Vec<Message> {
        let mut sends = Vec::new();
        while let Some(event) = self.mailbox.pop_front() {
            for action in self.engine.step(event) {
                sends.extend(self.perform(action));
            }
        }
        sends
    }

    fn perform(&mut self, action: Action) -> Option<Message> {
        let node = self.engine.status().id;
        match action {
            Action::Send { needs: _, message } => return Some(message),
            Action::LoadEntries {
                load,
                from,
                to,
                limit_bytes,
                purpose,
            } => {
                println!("{node} reads from {from} on for {purpose:?}");
                let outcome = self.disk.load(from, to, limit_bytes);
                self.mailbox.push_back(Event::Loaded { load, outcome });
            }
            Action::SaveHardState { write, state } => {
                self.disk.hard_state = state;
                self.mailbox.push_back(Event::Persisted(write));
            }
            Action::AppendEntries { write, entries } => {
                self.disk.append(&entries);
                self.mailbox.push_back(Event::Persisted(write));
            }
            Action::Apply { entries } => entries.iter().for_each(|entry| self.apply(node, entry)),
            Action::Proposed { proposal, first } => {
                self.proposals.insert(proposal, first);
            }
            // Every apply up to `index` came before, so the state is new enough.
            Action::ReadReady { read, index } => {
                println!("{node} answers {read}: {:?} at {index}", self.words);
            }
            Action::Refused { request, reason } => {
                println!("{node} refuses {request:?}: {reason:?}");
            }
            Action::RoleChanged {
                role,
                term,
                leader: _,
            } => println!("{node} is {role:?} in {term}"),
            Action::Fatal(violation) => println!("{node} stops for good: {violation}"),
        }
        None
    }

    fn apply(&mut self, node: NodeId, entry: &Entry) {
        match &entry.payload {
            Payload::Noop => {}
            Payload::Command(word) => self.words.push(String::from_utf8_lossy(word).into_owned()),
        }
        self.mailbox.push_back(Event::Applied(entry.index));
        let mine = |(_, first): &(&ProposalId, &EntryId)| **first == entry.id();
        if let Some((&proposal, _)) = self.proposals.iter().find(mine) {
            self.proposals.remove(&proposal);
            println!("{node} tells its user that {proposal} is done");
        }
    }
}

/// The network and the clock.
#[derive(Default)]
struct World {
    hosts: BTreeMap<NodeId, Host>,
    now: Time,
}

impl World {
    /// Delivers everything; a message to a node that is down is lost.
    fn settle(&mut self) {
        loop {
            let sends: Vec<Message> = self.hosts.values_mut().flat_map(Host::work).collect();
            if sends.is_empty() {
                return;
            }
            for message in sends {
                if let Some(host) = self.hosts.get_mut(&message.to) {
                    host.mailbox.push_back(Event::Receive(message));
                }
            }
        }
    }

    /// Lets time pass until a node leads.
    fn elect(&mut self) -> NodeId {
        loop {
            self.now = self.now.after(Duration::from_millis(10));
            for host in self.hosts.values_mut() {
                host.mailbox.push_back(Event::Tick { now: self.now });
            }
            self.settle();
            let leads = |host: &&Host| host.engine.status().role == RoleName::Leader;
            if let Some(leader) = self.hosts.values().find(leads) {
                return leader.engine.status().id;
            }
        }
    }

    fn tell(&mut self, node: NodeId, event: Event) {
        if let Some(host) = self.hosts.get_mut(&node) {
            host.mailbox.push_back(event);
        }
        self.settle();
    }
}

fn main() -> Outcome<()> {
    let mut world = World::default();
    for node in (1..=3).filter_map(NodeId::new) {
        world.hosts.insert(
            node,
            Host::start(node, node.get(), Disk::default(), world.now)?,
        );
    }
    let leader = world.elect();
    let commands = vec![Bytes::from_static(b"hello")];
    world.tell(
        leader,
        Event::Propose {
            proposal: ProposalId::FIRST,
            commands,
        },
    );

    println!("-- {leader} stops; the others go on");
    let stopped = world.hosts.remove(&leader).ok_or("the leader runs")?;
    let next = world.elect();
    let commands = vec![Bytes::from_static(b"world")];
    world.tell(
        next,
        Event::Propose {
            proposal: ProposalId::FIRST,
            commands,
        },
    );

    println!("-- {leader} comes back with its disk");
    let host = Host::start(leader, 99, stopped.disk, world.now)?;
    world.hosts.insert(leader, host);
    for _ in 0..50 {
        world.elect();
    }
    world.tell(
        leader,
        Event::Read {
            read: ReadId::FIRST,
        },
    );
    Ok(())
}
