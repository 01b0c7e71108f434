//! OmniPaxos, with its own log in memory.

use bytes::Bytes;
use omnipaxos::messages::Message;
use omnipaxos::storage::{Entry, NoSnapshot};
use omnipaxos::util::LogEntry;
use omnipaxos::{ClusterConfig, OmniPaxos, ServerConfig};
use omnipaxos_storage::memory_storage::MemoryStorage;

use crate::{Cluster, Failure, command};

#[derive(Clone, Debug)]
struct Command(Bytes);

impl Entry for Command {
    type Snapshot = NoSnapshot;
}

type Node = OmniPaxos<Command, MemoryStorage<Command>>;

struct Omni {
    nodes: Vec<Node>,
    /// What each node has taken out.
    taken: Vec<usize>,
    messages: Vec<Message<Command>>,
    leader: usize,
}

pub(crate) fn cluster() -> Result<Box<dyn Cluster>, Failure> {
    let mut nodes = Vec::new();
    for pid in 1..=3 {
        let cluster = ClusterConfig {
            configuration_id: 1,
            nodes: vec![1, 2, 3],
            flexible_quorum: None,
        };
        let server = ServerConfig {
            pid,
            election_tick_timeout: 5,
            resend_message_tick_timeout: 100,
            ..ServerConfig::default()
        };
        nodes.push(cluster.build_for_server(server, MemoryStorage::default())?);
    }
    let mut omni = Omni {
        nodes,
        taken: vec![0; 3],
        messages: Vec::new(),
        leader: 0,
    };
    loop {
        omni.nodes.iter_mut().for_each(Node::tick);
        omni.run();
        if let Some((leader, true)) = omni.nodes[0].get_current_leader() {
            omni.leader = usize::try_from(leader - 1)?;
            return Ok(Box::new(omni));
        }
    }
}

impl Omni {
    fn run(&mut self) {
        loop {
            for node in &mut self.nodes {
                node.take_outgoing_messages(&mut self.messages);
            }
            if self.messages.is_empty() {
                break;
            }
            for message in self.messages.drain(..) {
                let to = usize::try_from(message.get_receiver() - 1).unwrap_or(usize::MAX);
                self.nodes[to].handle_incoming(message);
            }
        }
        for (node, taken) in self.nodes.iter().zip(&mut self.taken) {
            if node.get_decided_idx() > *taken {
                let decided = node.read_decided_suffix(*taken).unwrap_or_default();
                *taken += decided.iter().filter(|entry| is_command(entry)).count();
            }
        }
    }
}

fn is_command(entry: &LogEntry<Command>) -> bool {
    matches!(entry, LogEntry::Decided(Command(bytes)) if !bytes.is_empty())
}

impl Cluster for Omni {
    fn commit(&mut self, batch: usize) {
        for _ in 0..batch {
            let appended = self.nodes[self.leader].append(Command(command()));
            assert!(appended.is_ok(), "the leader takes commands");
        }
        let goal = self.taken[self.leader] + batch;
        self.run();
        assert_eq!(self.taken, [goal; 3], "everything is committed everywhere");
    }
}
