//! Three engines in one thread elect a leader and commit a command. Shows the loop that every
//! host has: an event goes in, actions come out and are performed in order.
//!
//! Nothing fails here; `tiny_host.rs` is a host in full.

use std::collections::{BTreeMap, VecDeque};
use std::error::Error;

use bytes::Bytes;
use quorate_core::{
    Action, Config, Engine, Event, Incarnation, Membership, NodeId, ProposalId, RoleName, Time,
};

/// Engines, and the events that have not reached them yet.
#[derive(Default)]
struct Cluster {
    engines: BTreeMap<NodeId, Engine>,
    events: VecDeque<(NodeId, Event)>,
}

impl Cluster {
    /// Hands out events until nobody has anything more to do.
    fn settle(&mut self) {
        while let Some((node, event)) = self.events.pop_front() {
            let Some(engine) = self.engines.get_mut(&node) else {
                continue;
            };
            for action in engine.step(event) {
                self.perform(node, action);
            }
        }
    }

    /// Performs one action. What it leads to is an event again.
    fn perform(&mut self, node: NodeId, action: Action) {
        match action {
            // Whatever `needs` asks to be durable stands earlier in the vector, and is.
            Action::Send { needs: _, message } => {
                self.events.push_back((message.to, Event::Receive(message)));
            }
            Action::SaveHardState { write, state } => {
                println!("{node} saves {} and its vote", state.term);
                self.events.push_back((node, Event::Persisted(write)));
            }
            Action::AppendEntries { write, entries } => {
                println!("{node} writes {} entries to its log", entries.len());
                self.events.push_back((node, Event::Persisted(write)));
            }
            Action::Apply { entries } => {
                for entry in entries.iter() {
                    let command = String::from_utf8_lossy(entry.payload.bytes());
                    println!("{node} applies {} {command:?}", entry.id());
                    self.events.push_back((node, Event::Applied(entry.index)));
                }
            }
            Action::RoleChanged {
                role,
                term,
                leader: _,
            } => println!("{node} is {role:?} in {term}"),
            Action::Fatal(violation) => println!("{node} stops: {violation}"),
            // The command is seen when it is applied; nothing is read, from disk or by users; the
            // members stay, and the log is too short for a snapshot.
            Action::Proposed { .. }
            | Action::InstallSnapshot { .. }
            | Action::RestoreSnapshot { .. }
            | Action::PurgeLog { .. }
            | Action::SnapshotDue
            | Action::ReceiveSnapshot { .. }
            | Action::DropSnapshot { .. }
            | Action::MembershipAppended { .. }
            | Action::MembershipChanged { .. }
            | Action::Removed { .. }
            | Action::HandedOver { .. }
            | Action::Refused { .. }
            | Action::ReadReady { .. }
            | Action::LoadEntries { .. } => {}
        }
    }

    /// Lets time pass until the first engine wants to be woken.
    fn wait(&mut self) {
        let timeouts = self.engines.values().map(|engine| engine.next_timeout().at);
        let now = timeouts.min().unwrap_or(Time::ZERO);
        let nodes: Vec<NodeId> = self.engines.keys().copied().collect();
        self.events
            .extend(nodes.into_iter().map(|node| (node, Event::Tick { now })));
        self.settle();
    }
}

fn main() -> Result<(), Box<dyn Error>> {
    let nodes: Vec<NodeId> = (1..=3).filter_map(NodeId::new).collect();
    let founders = Membership::new(nodes.iter().copied(), []);
    let mut cluster = Cluster::default();
    for node in nodes {
        // A real host draws the seed and the incarnation afresh at every start.
        let config = Config::new(node, node.get()).validate()?;
        let life = Incarnation::new(100 + node.get());
        cluster.engines.insert(
            node,
            Engine::new(config, life, founders.clone(), Time::ZERO),
        );
    }

    let leads = |engine: &&Engine| engine.status().role == RoleName::Leader;
    let leader = loop {
        cluster.wait();
        if let Some(leader) = cluster.engines.values().find(leads) {
            break leader.status().id;
        }
    };

    let commands = vec![Bytes::from_static(b"hello")];
    cluster.events.push_back((
        leader,
        Event::Propose {
            proposal: ProposalId::FIRST,
            commands,
        },
    ));
    cluster.settle();
    for engine in cluster.engines.values() {
        let status = engine.status();
        println!(
            "{}: {} is committed, {} is applied",
            status.id, status.commit, status.applied
        );
    }
    Ok(())
}
