//! Operators, and what befalls the disks that they look after: changes of the membership,
//! transfers of leadership, disks that fill up and are freed, and logs that lose acknowledged
//! entries. What the engines make of it is checked in `census.rs`.

use quorate_core::{Change, EntryId, Event, Floor, LogIndex, NodeId};

use super::node::Machine;
use super::{Happening, World};
use crate::check::Check;
use crate::site::Site;

/// What an engine keeps back of its disk, as it says in its documentation.
pub(super) const RESERVE: u64 = 64 << 10;
/// Much more than any world writes.
const PLENTY: u64 = 1 << 30;

impl World {
    /// An operator changes the membership, mostly where the leader is believed to be, and mostly
    /// in a way that makes sense there.
    pub(super) fn change_somewhere(&mut self) -> Check {
        if self.is_calm {
            return Ok(());
        }
        let every = self.knobs.operator.change_every;
        self.next_fault(every, Happening::Change, Site::Change);
        let at = self.pick_node(Site::Change);
        let node = self.any_node(Site::Change);
        let draw = self.choices.choose(100, Site::Change);
        let address = format!("{node}:{}", self.choices.choose(4, Site::Change));
        let is_safe = self.may_remove();
        let Some(life) = self.nodes[at].life.as_deref_mut() else {
            return Ok(());
        };
        let membership = &life.membership.1;
        let wanted = match (membership.is_voter(node), membership.is_learner(node)) {
            _ if draw >= 95 => Change::Promote { node },
            (true, _) if draw >= 40 && is_safe => Change::Remove { node },
            (true, _) => Change::UpdateAddress { node, address },
            (false, true) if draw < 35 => Change::Promote { node },
            (false, true) if draw < 65 => Change::AddVoter { node, address },
            (false, true) => Change::Remove { node },
            (false, false) if draw < 35 => Change::AddLearner { node, address },
            (false, false) => Change::AddVoter { node, address },
        };
        let change = life.clients.last_change.next();
        life.clients.last_change = change;
        let what = wanted;
        self.input(at, Event::ChangeMembership { change, what })
    }

    /// Whether a voter may be removed without asking for trouble: the vote of a node that may
    /// have lost entries cannot be counted on, so the others have to be a majority without it.
    fn may_remove(&self) -> bool {
        !self.any_suspect() || self.fewest_voters() > 3
    }

    /// Whether an operator has asked for the removal of a node and is not heard yet: what was safe
    /// then must be safe when the leader comes to it.
    fn any_removal_waits(&self) -> bool {
        self.any_waits(|event| {
            matches!(
                event,
                Event::ChangeMembership {
                    what: Change::Remove { .. },
                    ..
                }
            )
        })
    }

    fn any_suspect(&self) -> bool {
        self.stables.iter().any(|disk| disk.hard().floor.is_some())
    }

    /// The voters of the smallest membership in force anywhere.
    fn fewest_voters(&self) -> usize {
        let on_disk = self.stables.iter().map(|disk| {
            let latest = disk.shape().membership_at(disk.shape().last());
            latest.map_or(&self.founders, |(_, membership)| membership)
        });
        let alive = self.nodes.iter().filter_map(|node| node.life.as_deref());
        let in_force = alive.map(|life| {
            let latest = life.log.membership_at(life.log.last());
            latest.map_or(&self.founders, |(_, membership)| membership)
        });
        let counts = on_disk.chain(in_force).map(|it| it.voters().len());
        counts.min().unwrap_or(0)
    }

    /// An operator hands leadership over, to somebody or to whoever is best prepared.
    pub(super) fn transfer_somewhere(&mut self) -> Check {
        if self.is_calm {
            return Ok(());
        }
        let every = self.knobs.operator.transfer_every;
        self.next_fault(every, Happening::Transfer, Site::Transfer);
        let at = self.pick_node(Site::Transfer);
        let target = self.any_node(Site::Transfer);
        let target = self
            .choices
            .chance(700_000, Site::Transfer)
            .then_some(target);
        let Some(life) = self.nodes[at].life.as_deref_mut() else {
            return Ok(());
        };
        let transfer = life.clients.last_transfer.next();
        life.clients.last_transfer = transfer;
        self.input(at, Event::TransferLeadership { transfer, target })
    }

    /// A disk fills up, nearly fills up, or is freed.
    pub(super) fn room_somewhere(&mut self) -> Check {
        if self.is_calm {
            return Ok(());
        }
        let every = self.knobs.operator.room_every;
        self.next_fault(every, Happening::Room, Site::Room);
        let node = self.any_node(Site::Room);
        let bytes = match self.choices.choose(4, Site::Room) {
            0 => PLENTY,
            1 => RESERVE + self.choices.log_between_down(64, RESERVE, Site::RoomLeft),
            2 => self.choices.log_between_down(1, 4096, Site::RoomLeft),
            _ => self.choices.choose(RESERVE, Site::RoomLeft),
        };
        self.tell_room(node, bytes)
    }

    pub(super) fn tell_room(&mut self, node: NodeId, bytes: u64) -> Check {
        self.nodes[node].room = Some(bytes);
        self.input(node, Event::Room { bytes })
    }

    /// Every disk has room again.
    pub(super) fn free_disks(&mut self) -> Check {
        let full = |node: &NodeId| self.nodes[*node].room.is_some();
        let limited: Vec<_> = self.nodes.ids().filter(full).collect();
        limited
            .into_iter()
            .try_for_each(|node| self.tell_room(node, PLENTY))
    }

    /// A node crashes and finds the end of its log damaged, which it may have acknowledged. One
    /// at a time, and only where the others are a majority without it, and will be: more cannot be
    /// survived.
    pub(super) fn damage_somewhere(&mut self) -> Check {
        if self.is_calm {
            return Ok(());
        }
        let every = self.knobs.operator.damage_every;
        self.next_fault(every, Happening::Damage, Site::Damage);
        let node = self.any_node(Site::Damage);
        let is_survived = self.fewest_voters() >= 3 && !self.any_removal_waits();
        if self.any_suspect() || !is_survived || self.nodes[node].life.is_none() {
            return Ok(());
        }
        self.crash(node)?;
        let disk = &self.stables[node];
        let (last, snapshot) = (disk.shape().last_id(), disk.snapshot_last().index.get());
        // What a snapshot holds is on disk a second time.
        let intact = snapshot.max(disk.before().index.get());
        let Some(behind) = last
            .index
            .get()
            .checked_sub(intact)
            .filter(|&behind| behind > 0)
        else {
            return Ok(());
        };
        let count = self.choices.log_between(1, behind, Site::DamageExtent);
        let first = LogIndex::new(last.index.get() + 1 - count);
        let is_unknown = self.choices.chance(400_000, Site::DamageExtent);
        let floor = if is_unknown {
            Floor::AnyIndexOf(disk.hard().term)
        } else {
            Floor::At(last)
        };
        self.counts.damages += 1;
        self.note(|| format!("{node} loses everything from {first} on; floor {floor:?}"));
        self.stables[node].damage_from(first, floor);
        // A state that holds what the log does not is of no use: it is built anew.
        if self.nodes[node].machine.applied >= first {
            self.nodes[node].machine = Machine::default();
        }
        Ok(())
    }
}

/// Whether a log that ends in `this` is at least as recent as one that ends in `other`. Spelled
/// out here rather than asked of the engine's own comparison, which is under test.
pub(crate) fn is_as_recent(this: EntryId, other: EntryId) -> bool {
    this.term > other.term || (this.term == other.term && this.index >= other.index)
}
