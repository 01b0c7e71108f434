//! yggr-core.

use std::collections::VecDeque;

use bytes::Bytes;
use yggr_core::{Action, Engine, Event, Incoming, LogPayload, NodeId, RoleState, StaticEnv};

use crate::{Cluster, Failure, command};

struct Yggr {
    nodes: Vec<Engine<Bytes>>,
    /// How many commands each node has taken out.
    taken: Vec<usize>,
    queue: VecDeque<(usize, Vec<Action<Bytes>>)>,
    leader: usize,
}

pub(crate) fn cluster() -> Result<Box<dyn Cluster>, Failure> {
    let ids: Vec<NodeId> = (1..=3).filter_map(NodeId::new).collect();
    let engine = |(place, id): (usize, &NodeId)| {
        let env = StaticEnv(15 + 5 * place as u64);
        Engine::new(*id, ids.iter().copied(), Box::new(env), 5)
    };
    let mut yggr = Yggr {
        nodes: ids.iter().enumerate().map(engine).collect(),
        taken: vec![0; 3],
        queue: VecDeque::new(),
        leader: 0,
    };
    loop {
        for place in 0..yggr.nodes.len() {
            yggr.step(place, Event::Tick);
        }
        yggr.run();
        if matches!(yggr.nodes[0].role(), RoleState::Leader(_)) {
            return Ok(Box::new(yggr));
        }
    }
}

impl Yggr {
    fn step(&mut self, place: usize, event: Event<Bytes>) {
        let actions = self.nodes[place].step(event);
        if !actions.is_empty() {
            self.queue.push_back((place, actions));
        }
    }

    fn run(&mut self) {
        while let Some((place, actions)) = self.queue.pop_front() {
            for action in actions {
                match action {
                    Action::Send { to, message } => {
                        let from = self.nodes[place].id();
                        let to = usize::try_from(to.get() - 1).unwrap_or(usize::MAX);
                        self.step(to, Event::Incoming(Incoming { from, message }));
                    }
                    Action::Apply(entries) => {
                        let commands = entries
                            .iter()
                            .filter(|entry| matches!(entry.payload, LogPayload::Command(_)));
                        self.taken[place] += commands.count();
                    }
                    // It takes its writes as done.
                    _ => {}
                }
            }
        }
    }
}

impl Cluster for Yggr {
    fn commit(&mut self, batch: usize) {
        let goal = self.taken[self.leader] + batch;
        self.step(
            self.leader,
            Event::ClientProposalBatch(vec![command(); batch]),
        );
        self.run();
        // Followers learn of the last commit with a heartbeat.
        while self.taken.iter().any(|taken| *taken < goal) {
            self.step(self.leader, Event::Tick);
            self.run();
        }
    }
}
