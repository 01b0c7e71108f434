//! The network between the nodes: which links are cut, and when a message arrives. When links are
//! cut, and in which shape, is in `faults.rs`.

use quorate_core::NodeId;

use crate::choice::Choices;
use crate::knobs::{CutKind, NetworkKnobs};
use crate::roster::{Roster, ids};
use crate::site::Site;

/// The links, each in one direction.
#[derive(Debug)]
pub(crate) struct Network {
    nodes: u64,
    links: Roster<Roster<Link>>,
}

/// One direction between two nodes.
#[derive(Clone, Copy, Debug, Default)]
struct Link {
    is_cut: bool,
    /// When the newest message arrives, for links that keep the order.
    newest_arrival: u64,
}

/// When the copies of a message arrive.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Passage {
    /// Never.
    Lost,
    /// Once.
    Once(u64),
    /// Twice.
    Twice(u64, u64),
}

impl Network {
    /// A network in which everybody hears everybody.
    pub(crate) fn new(nodes: u64) -> Self {
        Self {
            nodes,
            links: Roster::new(nodes, |_| Roster::new(nodes, |_| Link::default())),
        }
    }

    /// Sends a message at `now` and says when it arrives.
    pub(crate) fn send(
        &mut self,
        (from, to): (NodeId, NodeId),
        now: u64,
        knobs: &NetworkKnobs,
        choices: &mut Choices,
    ) -> Passage {
        let link = &mut self.links[from][to];
        if link.is_cut || choices.chance(knobs.loss_ppm, Site::Loss) {
            return Passage::Lost;
        }
        let mut arrival = now + travel(knobs, choices);
        if knobs.in_order {
            arrival = arrival.max(link.newest_arrival);
            link.newest_arrival = arrival;
        }
        if choices.chance(knobs.duplicate_ppm, Site::Duplicate) {
            // The second copy keeps no order, and may arrive when everything has changed.
            let echo = choices.log_between(knobs.delay_min, knobs.echo_max, Site::Echo);
            return Passage::Twice(arrival, now + echo);
        }
        Passage::Once(arrival)
    }

    /// Whether nothing of `from` reaches `to`.
    pub(crate) fn is_cut(&self, from: NodeId, to: NodeId) -> bool {
        self.links[from][to].is_cut
    }

    /// Everybody hears everybody again.
    pub(crate) fn heal(&mut self) {
        self.cut_where(|_, _| false);
    }

    /// Cuts links in the shape of `kind`, around nodes drawn at random. All others are healed,
    /// except that flapping changes one link and leaves the rest.
    pub(crate) fn cut(&mut self, kind: CutKind, choices: &mut Choices) {
        let count = self.nodes;
        let turn = choices.choose(count, Site::CutAround);
        // What else there is to say, in every shape one draw.
        let detail = choices.choose(count.max(2) - 1, Site::CutAround);
        // The place of a node in a circle that starts at a random node.
        let place = |node: NodeId| (node.get() + turn) % count;
        match kind {
            CutKind::IsolateOne => self.cut_where(|a, b| place(a) == 0 || place(b) == 0),
            CutKind::Split => {
                let size = 1 + detail;
                self.cut_where(|a, b| (place(a) < size) != (place(b) < size));
            }
            CutKind::Bridge => self.cut_where(|a, b| {
                let (a, b) = (place(a), place(b));
                a != 0 && b != 0 && (a <= count / 2) != (b <= count / 2)
            }),
            CutKind::Ring => self.cut_where(|a, b| {
                let distance = place(a).abs_diff(place(b));
                distance > 1 && distance < count - 1
            }),
            CutKind::OneWay => {
                let is_deaf = detail % 2 == 1;
                self.cut_where(|a, b| place(if is_deaf { b } else { a }) == 0);
            }
            CutKind::Flap => {
                let pair = ((turn + 1 + detail) % count, turn);
                if let (Some(a), Some(b)) = (NodeId::new(pair.0 + 1), NodeId::new(pair.1 + 1)) {
                    let link = &mut self.links[a][b];
                    link.is_cut = !link.is_cut;
                }
            }
        }
    }

    /// Cuts exactly the links that `is_cut` names.
    fn cut_where(&mut self, is_cut: impl Fn(NodeId, NodeId) -> bool) {
        for from in ids(self.nodes) {
            for to in ids(self.nodes) {
                self.links[from][to].is_cut = from != to && is_cut(from, to);
            }
        }
    }

    /// Links that are cut, for the trace.
    pub(crate) fn cuts(&self) -> impl Iterator<Item = (NodeId, NodeId)> {
        let pairs = ids(self.nodes).flat_map(|from| ids(self.nodes).map(move |to| (from, to)));
        pairs.filter(|&(from, to)| self.links[from][to].is_cut)
    }
}

/// How long one copy of a message travels.
pub(crate) fn travel(knobs: &NetworkKnobs, choices: &mut Choices) -> u64 {
    let ordinary = choices.between(knobs.delay_min, knobs.delay_max, Site::Delay);
    if choices.chance(knobs.tail_ppm, Site::HeldUp) {
        let longest = knobs.tail_max.max(knobs.delay_max);
        return choices.between(knobs.delay_max, longest, Site::HeldUpFor);
    }
    ordinary
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::knobs::Knobs;

    fn cuts_after(kind: CutKind) -> Vec<(u64, u64)> {
        let mut network = Network::new(5);
        network.cut(kind, &mut Choices::new(1));
        network
            .cuts()
            .map(|(from, to)| (from.get(), to.get()))
            .collect()
    }

    #[test]
    fn each_shape_cuts_the_number_of_links_it_names() {
        assert_eq!(
            cuts_after(CutKind::IsolateOne).len(),
            8,
            "4 peers, both directions"
        );
        assert_eq!(
            cuts_after(CutKind::Bridge).len(),
            8,
            "2 x 2 peers, both directions"
        );
        assert_eq!(
            cuts_after(CutKind::Ring).len(),
            10,
            "each node loses 2 of 4 peers"
        );
        assert_eq!(cuts_after(CutKind::OneWay).len(), 4);
        assert!(
            [8, 12].contains(&cuts_after(CutKind::Split).len()),
            "1:4 or 2:3"
        );
    }

    #[test]
    fn ordered_links_keep_their_order_and_cut_links_carry_nothing() {
        let mut choices = Choices::new(2);
        let mut knobs = Knobs::draw(&mut choices).calm().network;
        knobs.in_order = true;
        let mut network = Network::new(3);
        let mut ids = ids(3);
        let link = (ids.next().unwrap(), ids.next().unwrap());
        let mut newest = 0;
        for now in 0..200 {
            match network.send(link, now, &knobs, &mut choices) {
                Passage::Once(at) => {
                    assert!(at >= newest, "a later message arrived earlier");
                    newest = at;
                }
                Passage::Lost | Passage::Twice(..) => panic!("a calm network lost a message"),
            }
        }
        network.cut_where(|_, _| true);
        assert_eq!(network.send(link, 0, &knobs, &mut choices), Passage::Lost);
        network.heal();
        assert_ne!(network.send(link, 0, &knobs, &mut choices), Passage::Lost);
    }
}
