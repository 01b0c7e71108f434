//! RealTimeOrder: a command that was proposed after another one was acknowledged stands behind
//! it in the log. With one log for all, that is what makes writes linearizable.

use quorate_core::{LogIndex, NodeId};

use super::{Check, Property, broken};

/// The newest acknowledged index.
#[derive(Debug, Default)]
pub(crate) struct RealTimeOrder {
    newest: LogIndex,
}

impl RealTimeOrder {
    /// What a command that is proposed now has to stand behind.
    pub(crate) const fn newest(&self) -> LogIndex {
        self.newest
    }

    /// `node` acknowledges a command at `index` that was proposed when everything up to `before`
    /// was acknowledged.
    pub(crate) fn acks(&mut self, node: NodeId, index: LogIndex, before: LogIndex) -> Check {
        self.newest = self.newest.max(index);
        if index > before {
            return Ok(());
        }
        broken(
            Property::RealTimeOrder,
            format_args!("{node} acknowledges {index}, proposed after {before} was acknowledged"),
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::check::testing::{i, must_fire, n};

    #[test]
    fn fires_when_a_later_command_stands_before_an_acknowledged_one() {
        let mut checker = RealTimeOrder::default();
        assert!(checker.acks(n(1), i(5), i(0)).is_ok());
        assert!(
            checker.acks(n(2), i(3), i(0)).is_ok(),
            "they were under way at the same time"
        );
        assert_eq!(checker.newest(), i(5));
        must_fire(Property::RealTimeOrder, checker.acks(n(1), i(4), i(5)));
    }
}
