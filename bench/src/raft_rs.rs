//! raft-rs with batched appends, over its own log in memory.

use std::collections::VecDeque;

use raft::eraftpb::{Entry, Message};
use raft::storage::MemStorage;
use raft::{Config, RawNode, StateRole};

use crate::{COMMAND, Cluster, Failure};

struct Raft {
    nodes: Vec<RawNode<MemStorage>>,
    /// How many commands each node has taken out.
    taken: Vec<usize>,
    messages: VecDeque<Message>,
    leader: usize,
}

pub(crate) fn cluster() -> Result<Box<dyn Cluster>, Failure> {
    let logger = slog::Logger::root(slog::Discard, slog::o!());
    let mut nodes = Vec::new();
    for id in 1..=3 {
        let config = Config {
            id,
            election_tick: 10,
            heartbeat_tick: 3,
            max_size_per_msg: 1024 * 1024,
            max_inflight_msgs: 256,
            batch_append: true,
            ..Config::default()
        };
        let storage = MemStorage::new_with_conf_state((vec![1, 2, 3], vec![]));
        nodes.push(RawNode::new(&config, storage, &logger)?);
    }
    nodes[0].campaign()?;
    let mut raft = Raft {
        nodes,
        taken: vec![0; 3],
        messages: VecDeque::new(),
        leader: 0,
    };
    raft.run()?;
    assert_eq!(
        raft.nodes[0].raft.state,
        StateRole::Leader,
        "nobody else campaigned"
    );
    Ok(Box::new(raft))
}

impl Raft {
    fn run(&mut self) -> Result<(), Failure> {
        loop {
            for place in 0..self.nodes.len() {
                self.ready(place)?;
            }
            if self.messages.is_empty() {
                return Ok(());
            }
            while let Some(message) = self.messages.pop_front() {
                self.nodes[usize::try_from(message.to - 1)?].step(message)?;
            }
        }
    }

    fn ready(&mut self, place: usize) -> Result<(), Failure> {
        let node = &mut self.nodes[place];
        if !node.has_ready() {
            return Ok(());
        }
        let mut ready = node.ready();
        self.messages.extend(ready.take_messages());
        self.taken[place] += commands(&ready.take_committed_entries());
        if !ready.entries().is_empty() {
            node.mut_store().wl().append(ready.entries())?;
        }
        if let Some(hard_state) = ready.hs() {
            node.mut_store().wl().set_hardstate(hard_state.clone());
        }
        self.messages.extend(ready.take_persisted_messages());
        let mut light = node.advance(ready);
        if let Some(commit) = light.commit_index() {
            node.mut_store().wl().mut_hard_state().set_commit(commit);
        }
        self.messages.extend(light.take_messages());
        self.taken[place] += commands(&light.take_committed_entries());
        node.advance_apply();
        Ok(())
    }
}

/// The first entry of a term is empty.
fn commands(entries: &[Entry]) -> usize {
    entries
        .iter()
        .filter(|entry| !entry.data.is_empty())
        .count()
}

impl Cluster for Raft {
    fn commit(&mut self, batch: usize) {
        for _ in 0..batch {
            // It takes commands as vectors only.
            let proposed = self.nodes[self.leader].propose(Vec::new(), COMMAND.to_vec());
            assert!(proposed.is_ok(), "the leader takes commands");
        }
        let goal = self.taken[self.leader] + batch;
        assert!(self.run().is_ok(), "nothing fails here");
        assert_eq!(self.taken, [goal; 3], "everything is committed everywhere");
    }
}
