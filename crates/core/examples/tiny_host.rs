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
    LogIndex, Membership, Message, NodeId, Payload, ProposalId, ReadId, Recovered, RoleName,
    SnapshotMeta, Time,
};

type Outcome<T> = Result<T, Box<dyn Error>>;

/// What survives when a node stops.
#[derive(Default)]
struct Disk {
    hard_state: HardState,
    /// The entry before the first in `log`: the last one purged.
    before: EntryId,
    log: Vec<Entry>,
    snapshot: Option<Snapshot>,
}

/// The words that all entries up to a label made.
#[derive(Clone)]
struct Snapshot {
    meta: SnapshotMeta,
    words: Vec<String>,
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

    /// Makes a snapshot the node's own, in one step. A log that does not go on where it ends is
    /// dropped with it.
    fn install(&mut self, snapshot: Snapshot, discard_log: bool) {
        if discard_log {
            self.log.clear();
            self.before = snapshot.meta.last;
        }
        self.snapshot = Some(snapshot);
    }

    /// Drops entries that a snapshot holds.
    fn purge(&mut self, through: EntryId) {
        self.log.retain(|entry| entry.index > through.index);
        self.before = through;
    }

    /// What the engine wants to know of the disk at a start.
    fn recovered(&self) -> Recovered {
        let mut recovered = Recovered {
            hard_state: self.hard_state,
            snapshot: self.snapshot.as_ref().map(|snapshot| snapshot.meta.clone()),
            before: self.before,
            last: self.before.index,
            ..Recovered::default()
        };
        for entry in &self.log {
            if let Payload::Membership(bytes) = &entry.payload
                && let Ok(membership) = Membership::decode(bytes)
            {
                recovered.memberships.push((entry.index, membership));
            }
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
    /// The last entry applied: the label of a snapshot.
    applied: EntryId,
    /// A snapshot to be fetched from another node, and one that was.
    wanted: Option<(NodeId, SnapshotMeta)>,
    received: Option<Snapshot>,
    mailbox: VecDeque<Event>,
}

impl Host {
    fn start(node: NodeId, life: u64, disk: Disk, now: Time) -> Outcome<Self> {
        let founders = Membership::new((1..=3).filter_map(NodeId::new), []);
        let mut config = Config::new(node, life);
        config.snapshot_entries = Some(4);
        config.trailing_entries = 0;
        let config = config.validate()?;
        let life = Incarnation::new(life);
        let recovered = disk.recovered();
        Ok(Self {
            engine: Engine::recover(config, life, founders, now, recovered)?,
            disk,
            words: Vec::new(),
            proposals: BTreeMap::new(),
            applied: EntryId::NONE,
            wanted: None,
            received: None,
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
            Action::InstallSnapshot {
                write,
                snapshot: _,
                discard_log,
            } => {
                if let Some(received) = self.received.take() {
                    self.disk.install(received, discard_log);
                    self.mailbox.push_back(Event::Persisted(write));
                }
            }
            Action::RestoreSnapshot { snapshot } => self.restore(node, snapshot.last),
            Action::PurgeLog { through } => self.disk.purge(through),
            Action::SnapshotDue => self.take_snapshot(),
            // Another host's disk: the world carries it.
            Action::ReceiveSnapshot { from, snapshot } => self.wanted = Some((from, snapshot)),
            // This disk keeps one snapshot; the next replaces it.
            Action::DropSnapshot { .. } => {}
            Action::MembershipChanged { index, membership } => {
                println!("{node} counts {:?} since {index}", membership.voters());
            }
            Action::Apply { entries } => entries.iter().for_each(|entry| self.apply(node, entry)),
            // Nobody changes the members here, or asks for another leader.
            Action::MembershipAppended { .. }
            | Action::HandedOver { .. }
            | Action::Removed { .. } => {}
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

    /// Captures the words and the label of the entry that made them in one step.
    fn take_snapshot(&mut self) {
        let (membership_index, membership) = self.engine.membership_at(self.applied.index);
        let words = self.words.clone();
        let meta = SnapshotMeta {
            last: self.applied,
            membership: membership.clone(),
            membership_index,
            length: words.iter().map(|word| word.len() as u64).sum(),
            checksum: 0,
        };
        println!(
            "{} takes a snapshot at {}",
            self.engine.status().id,
            meta.last
        );
        let snapshot = Snapshot {
            meta: meta.clone(),
            words,
        };
        self.disk.snapshot = Some(snapshot);
        self.mailbox.push_back(Event::SnapshotTaken(meta));
    }

    /// The words become those of the snapshot on disk.
    fn restore(&mut self, node: NodeId, last: EntryId) {
        if let Some(Snapshot { meta: _, words }) = &self.disk.snapshot {
            self.words.clone_from(words);
        }
        println!("{node} restores {:?}, the state at {last}", self.words);
        self.applied = last;
        self.mailbox.push_back(Event::Applied(last.index));
    }

    fn apply(&mut self, node: NodeId, entry: &Entry) {
        match &entry.payload {
            Payload::Noop | Payload::Membership(_) => {}
            Payload::Command(word) => self.words.push(String::from_utf8_lossy(word).into_owned()),
        }
        self.applied = entry.id();
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
            if !self.carry_snapshots() && sends.is_empty() {
                return;
            }
            for message in sends {
                if let Some(host) = self.hosts.get_mut(&message.to) {
                    host.mailbox.push_back(Event::Receive(message));
                }
            }
        }
    }

    /// Copies the snapshots that nodes want from where they are; whether there were any.
    fn carry_snapshots(&mut self) -> bool {
        let wants = |(&node, host): (&NodeId, &mut Host)| Some((node, host.wanted.take()?));
        let wanted: Vec<_> = self.hosts.iter_mut().filter_map(wants).collect();
        for (node, (from, meta)) in &wanted {
            let source = self.hosts.get(from);
            let kept = source.and_then(|source| source.disk.snapshot.clone());
            let kept = kept.filter(|kept| kept.meta == *meta);
            if let Some(host) = self.hosts.get_mut(node) {
                let (last, checksum) = (meta.last, meta.checksum);
                host.mailbox.push_back(match &kept {
                    Some(_) => Event::SnapshotReceived { last, checksum },
                    None => Event::SnapshotLost { last, checksum },
                });
                host.received = kept;
            }
        }
        !wanted.is_empty()
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
    let commands = ["world", "of", "many", "words"].map(Bytes::from);
    world.tell(
        next,
        Event::Propose {
            proposal: ProposalId::FIRST,
            commands: commands.to_vec(),
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
