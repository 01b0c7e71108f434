//! CommittedOnDurableQuorum: at the moment a leader moves its commit index, the entry there, and
//! with it everything before, is on the stable storage of a majority (scenarios B15, A02).

use quorate_core::{LogIndex, NodeId};

use super::{Check, Property, broken};
use crate::shape::Mark;

/// `leader` commits the entry with `mark` at `index`; `disks` tells of each voter whether its
/// disk holds that.
pub(crate) fn commits(
    leader: NodeId,
    index: LogIndex,
    mark: Mark,
    disks: impl Iterator<Item = bool>,
) -> Check {
    let (mut holders, mut voters) = (0usize, 0usize);
    for holds in disks {
        voters += 1;
        holders += usize::from(holds);
    }
    if holders > voters / 2 {
        return Ok(());
    }
    broken(
        Property::CommittedOnDurableQuorum,
        format_args!(
            "{leader} commits {index}:{}, which is durable on {holders} of {voters} nodes",
            mark.term
        ),
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::check::testing::{i, must_fire, n};
    use crate::shape::Shape;

    #[test]
    fn fires_when_half_or_fewer_hold_the_entry() {
        let mark = Shape::of(&[1, 2]).mark(i(2)).unwrap();
        let commits = |disks: &[bool]| commits(n(1), i(2), mark, disks.iter().copied());
        assert!(commits(&[true, true, false]).is_ok());
        must_fire(
            Property::CommittedOnDurableQuorum,
            commits(&[true, false, false]),
        );
        must_fire(
            Property::CommittedOnDurableQuorum,
            commits(&[true, true, false, false]),
        );
    }
}
