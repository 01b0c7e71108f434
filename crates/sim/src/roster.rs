//! One value per node of a world. The only place that turns a node id into a position.

use std::ops::{Index, IndexMut};

use quorate_core::NodeId;

/// A value for each of the nodes `1..=n`.
#[derive(Debug)]
pub(crate) struct Roster<T>(Vec<T>);

impl<T> Roster<T> {
    /// A value for each of `count` nodes.
    pub(crate) fn new(count: u64, mut value: impl FnMut(NodeId) -> T) -> Self {
        Self(ids(count).map(&mut value).collect())
    }

    /// How many nodes there are.
    pub(crate) fn count(&self) -> u64 {
        self.0.len() as u64
    }

    /// The nodes, in ascending order.
    pub(crate) fn ids(&self) -> impl Iterator<Item = NodeId> + use<T> {
        ids(self.count())
    }

    /// The values, in the order of the nodes.
    pub(crate) fn iter(&self) -> impl Iterator<Item = &T> {
        self.0.iter()
    }
}

/// The ids of the nodes of a world of `count`.
pub(crate) fn ids(count: u64) -> impl Iterator<Item = NodeId> {
    (1..=count).filter_map(NodeId::new)
}

impl<T> Index<NodeId> for Roster<T> {
    type Output = T;

    fn index(&self, node: NodeId) -> &T {
        let Some(value) = self.0.get(node.get() as usize - 1) else {
            unreachable!("{node} is not of this world")
        };
        value
    }
}

impl<T> IndexMut<NodeId> for Roster<T> {
    fn index_mut(&mut self, node: NodeId) -> &mut T {
        let Some(value) = self.0.get_mut(node.get() as usize - 1) else {
            unreachable!("{node} is not of this world")
        };
        value
    }
}
