//! Changes of the membership, in short: how they are asked for and how they are answered.

use quorate_core::{
    Action, Change, ChangeId, ChangeRefusal, Entries, Entry, EntryId, Event, Membership, NodeId,
    Payload, Refusal, Request,
};

use super::bench::{Bench, Past, node_of};
use super::world::World;
use super::{i, n, t};

/// How a change of the membership ended.
pub(crate) type ChangeEnd = (NodeId, ChangeId, Result<EntryId, Refusal>);

/// The end of a change at a node, if this action is one.
pub(crate) const fn ended(node: NodeId, action: &Action) -> Option<ChangeEnd> {
    if let Action::MembershipAppended { change, entry } = action {
        return Some((node, *change, Ok(*entry)));
    }
    if let Action::Refused {
        request: Request::Change(change),
        reason,
    } = action
    {
        return Some((node, *change, Err(*reason)));
    }
    None
}

pub(crate) fn add_learner(node: u64) -> Change {
    let address = format!("host{node}:7000");
    Change::AddLearner {
        node: n(node),
        address,
    }
}

pub(crate) fn add_voter(node: u64) -> Change {
    let address = format!("host{node}:7000");
    Change::AddVoter {
        node: n(node),
        address,
    }
}

pub(crate) fn promote(node: u64) -> Change {
    Change::Promote { node: n(node) }
}

pub(crate) fn remove(node: u64) -> Change {
    Change::Remove { node: n(node) }
}

pub(crate) fn move_to(node: u64, address: &str) -> Change {
    let address = address.to_owned();
    Change::UpdateAddress {
        node: n(node),
        address,
    }
}

/// A membership of these voters and learners, without addresses.
pub(crate) fn members(voters: &[u64], learners: &[u64]) -> Membership {
    let nodes = |list: &[u64]| list.iter().map(|&id| n(id)).collect::<Vec<NodeId>>();
    Membership::new(nodes(voters), nodes(learners))
}

/// One entry that puts these members in force.
pub(crate) fn membership_entry(index: u64, term: u64, membership: &Membership) -> Entries {
    let entry = Entry {
        index: i(index),
        term: t(term),
        payload: Payload::Membership(membership.encode()),
    };
    [entry].into_iter().collect()
}

/// The numbers of voters and of learners.
pub(crate) fn numbers(membership: &Membership) -> (Vec<u64>, Vec<u64>) {
    let list = |nodes: &[NodeId]| nodes.iter().map(|node| node.get()).collect();
    (list(membership.voters()), list(membership.learners()))
}

/// How the changes among these actions are answered.
pub(crate) fn answers(actions: &[Action]) -> Vec<Result<EntryId, Refusal>> {
    let ends = actions.iter().filter_map(|action| ended(n(1), action));
    ends.map(|(_, _, end)| end).collect()
}

/// A refusal for a reason of the membership.
pub(crate) const fn refused(reason: ChangeRefusal) -> Result<EntryId, Refusal> {
    Err(Refusal::Change(reason))
}

/// Node 1, leading term 1 of this past; its first entry is durable, and every other voter holds
/// it.
pub(crate) fn settled_leader(past: Past) -> Bench {
    let mut bench = past.leader();
    let last = bench.status().last.get();
    let _ = bench.persist();
    let _ = bench.confirmed_by(bench.others(), last);
    assert_eq!(bench.status().commit, i(last), "it may make changes");
    bench
}

/// The same, of `count` voters with nothing before.
pub(crate) fn settled_leader_of(count: u64) -> Bench {
    settled_leader(node_of(count))
}

impl Bench {
    /// Asks for a change.
    pub(crate) fn change(&mut self, what: Change) -> Vec<Action> {
        let change = ChangeId::new(1);
        self.step(Event::ChangeMembership { change, what })
    }

    /// Asks for a change that is answered at once.
    pub(crate) fn answer_to(&mut self, what: Change) -> Result<EntryId, Refusal> {
        let answers = answers(&self.change(what));
        assert_eq!(answers.len(), 1, "one answer for one change");
        answers[0]
    }
}

impl World {
    /// How a change ended; `None` while it waits.
    pub(crate) fn change_end(&self, change: ChangeId) -> Option<Result<EntryId, Refusal>> {
        let of_change = self.changes.iter().filter(|(_, ended, _)| *ended == change);
        let ends: Vec<_> = of_change.map(|&(_, _, end)| end).collect();
        assert!(ends.len() <= 1, "{change} is answered twice: {ends:?}");
        ends.first().copied()
    }

    /// The numbers of the voters and learners that a node goes by.
    pub(crate) fn members_at(&self, id: u64) -> (Vec<u64>, Vec<u64>) {
        numbers(&self.status(id).membership)
    }

    /// Whether a node was told that it is no member.
    pub(crate) fn is_told_removed(&self, id: u64) -> bool {
        self.status(id).removed
    }
}
