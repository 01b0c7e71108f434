//! The calm cluster once more, with every disk full but one (scenario G08): leadership has to find
//! the node that has room, which nobody else knows, without a further word of any host.

use quorate_core::{LogIndex, NodeId};

use super::World;
use super::operator::RESERVE;
use crate::check::Check;
use crate::site::Site;

impl World {
    /// In half of the worlds fills every disk but one, and demands that the cluster still takes a
    /// write in the end.
    pub(super) fn check_full_disks(&mut self) -> Check {
        let Some((leader, _)) = self.settled_leader() else {
            return Ok(());
        };
        let could_lead = self.untried_voters(leader);
        if could_lead.is_empty() || !self.choices.chance(500_000, Site::Spared) {
            return Ok(());
        }
        let spared = self.choices.pick(&could_lead, Site::Spared);
        self.note(|| format!("only {spared} has room"));
        // Enough for what a new leader appends, and too little to lead.
        let others = self.members().into_iter().filter(|node| *node != spared);
        let (mut last, others): (Vec<_>, Vec<_>) = others.partition(|node| *node == leader);
        last.splice(0..0, others);
        last.into_iter()
            .try_for_each(|node| self.tell_room(node, RESERVE / 2))?;
        self.wait("a leader that has room", |world| {
            world
                .settled_leader()
                .is_some_and(|(leader, _)| leader == spared)
        })?;
        let written: LogIndex = self.write_at(spared)?;
        self.wait("a write where only the leader has room", |world| {
            world.has_applied(written)
        })?;
        self.free_disks()
    }

    /// The voters beside `leader` that it has not asked in vain to take over: whom it did, it asks
    /// again only if its host speaks once more.
    fn untried_voters(&self, leader: NodeId) -> Vec<NodeId> {
        let Some(life) = self.nodes[leader].life.as_deref() else {
            return Vec::new();
        };
        let mut voters = life.membership.1.voters().to_vec();
        voters.retain(|node| *node != leader && !life.asked_in_vain.contains(node));
        voters
    }
}
