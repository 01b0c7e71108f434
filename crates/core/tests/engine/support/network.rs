//! The network between the nodes of a world: one queue, links that can be cut or delayed in one
//! direction. What arrives is chosen by the world.

use std::collections::{BTreeSet, VecDeque};

use quorate_core::{Message, NodeId};

/// Where a message goes from and to.
pub(crate) type Link = (NodeId, NodeId);

/// Messages on their way, oldest first.
#[derive(Debug, Default)]
pub(crate) struct Network {
    queue: VecDeque<Message>,
    cut: BTreeSet<Link>,
    delayed: BTreeSet<Link>,
    /// Duplicates that will arrive late.
    copies: Vec<Message>,
}

impl Network {
    /// Whether what is sent over this link is lost.
    pub(crate) fn is_cut(&self, link: Link) -> bool {
        self.cut.contains(&link)
    }

    pub(crate) fn send(&mut self, message: Message) {
        self.queue.push_back(message);
    }

    /// From now on this link loses everything.
    pub(crate) fn cut(&mut self, link: Link) {
        self.cut.insert(link);
    }

    /// From now on messages over this link stay on their way, until they are let go.
    pub(crate) fn delay(&mut self, link: Link) {
        self.delayed.insert(link);
    }

    /// No longer delays this link.
    pub(crate) fn let_go(&mut self, link: Link) {
        self.delayed.remove(&link);
    }

    /// Every link works again. What was delayed is on its way.
    pub(crate) fn heal(&mut self) {
        self.cut.clear();
        self.delayed.clear();
    }

    /// Loses what is on its way over this link; how many messages that were.
    pub(crate) fn drop_all(&mut self, link: Link) -> usize {
        let before = self.queue.len();
        self.queue.retain(|message| link_of(message) != link);
        before - self.queue.len()
    }

    /// The network duplicates the oldest message over this link; the copy stays behind.
    pub(crate) fn copy(&mut self, link: Link) -> Option<()> {
        let message = self.queue.iter().find(|message| link_of(message) == link)?;
        self.copies.push(message.clone());
        Some(())
    }

    /// The oldest copy made on this link.
    pub(crate) fn take_copy(&mut self, link: Link) -> Option<Message> {
        let position = self
            .copies
            .iter()
            .position(|message| link_of(message) == link)?;
        Some(self.copies.remove(position))
    }

    /// How many messages are on their way.
    pub(crate) fn len(&self) -> usize {
        self.queue.len()
    }

    /// The oldest message that is not delayed.
    pub(crate) fn pop(&mut self) -> Option<Message> {
        let arrives = |message: &Message| !self.delayed.contains(&link_of(message));
        let position = self.queue.iter().position(arrives)?;
        self.queue.remove(position)
    }

    /// The oldest message over this link, delayed or not.
    pub(crate) fn pop_on(&mut self, link: Link) -> Option<Message> {
        let position = self
            .queue
            .iter()
            .position(|message| link_of(message) == link)?;
        self.queue.remove(position)
    }

    /// The message at this place of the queue.
    pub(crate) fn pop_at(&mut self, position: usize) -> Option<Message> {
        self.queue.remove(position)
    }
}

pub(crate) const fn link_of(message: &Message) -> Link {
    (message.from, message.to)
}
