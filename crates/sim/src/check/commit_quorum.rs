//! CommittedOnDurableQuorum: at the moment a leader moves its commit index, the entry there, and
//! with it everything before, is on the stable storage of a majority (scenarios B15, A02).

use quorate_core::{LogIndex, NodeId};

use super::{Check, Property, broken};
use crate::shape::{Mark, Shape};

/// `leader` commits the entry with `mark` at `index`; `disks` are the durable logs of all voters.
pub(crate) fn commits<'a>(
    leader: NodeId,
    index: LogIndex,
    mark: Mark,
    disks: impl Iterator<Item = &'a Shape>,
) -> Check {
    let (mut holders, mut voters) = (0usize, 0usize);
    for disk in disks {
        voters += 1;
        holders += usize::from(disk.mark(index) == Some(mark));
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

    #[test]
    fn fires_when_half_or_fewer_hold_the_entry() {
        let (with, without, other) = (Shape::of(&[1, 2]), Shape::of(&[1]), Shape::of(&[1, 3]));
        let mark = with.mark(i(2)).unwrap();
        assert!(commits(n(1), i(2), mark, [&with, &with, &without].into_iter()).is_ok());
        must_fire(
            Property::CommittedOnDurableQuorum,
            commits(n(1), i(2), mark, [&with, &without, &other].into_iter()),
        );
        must_fire(
            Property::CommittedOnDurableQuorum,
            commits(
                n(1),
                i(2),
                mark,
                [&with, &with, &without, &other].into_iter(),
            ),
        );
    }
}
