//! How many bytes may still be appended to the log, as the host told ahead: a disk must never be
//! found full by a write (scenario G08).

/// The room on the log's disk.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Room {
    bytes: u64,
}

impl Room {
    /// Bytes kept back for what a leader must be able to append: the first entry of its term and
    /// a change of the membership.
    const RESERVE: u64 = 64 * 1024;

    /// No limit.
    pub(crate) const UNLIMITED: Self = Self { bytes: u64::MAX };

    /// The host says that there are `bytes` left.
    pub(crate) const fn set(&mut self, bytes: u64) {
        self.bytes = bytes;
    }

    pub(crate) const fn bytes(self) -> u64 {
        self.bytes
    }

    /// Whether `bytes` can be appended.
    pub(crate) const fn holds(self, bytes: u64) -> bool {
        bytes <= self.bytes
    }

    /// Whether `bytes` of proposals can be appended without touching the reserve.
    pub(crate) const fn holds_proposals(self, bytes: u64) -> bool {
        self.holds(bytes.saturating_add(Self::RESERVE))
    }

    /// Whether there is too little to lead.
    pub(crate) const fn is_low(self) -> bool {
        !self.holds(Self::RESERVE)
    }

    /// `bytes` are appended.
    pub(crate) const fn spend(&mut self, bytes: u64) {
        if self.bytes != u64::MAX {
            self.bytes = self.bytes.saturating_sub(bytes);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn proposals_leave_the_reserve_to_the_protocol() {
        let mut room = Room::UNLIMITED;
        room.spend(u64::MAX);
        assert!(!room.is_low(), "nothing was said of the disk");
        room.set(Room::RESERVE + 100);
        assert!(room.holds_proposals(100) && !room.holds_proposals(101));
        room.spend(200);
        assert!(room.is_low());
        assert!(room.holds(Room::RESERVE - 100) && !room.holds(Room::RESERVE));
    }
}
