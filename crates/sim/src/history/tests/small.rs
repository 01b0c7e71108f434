//! Small histories of any answers at all, true or not, against the plainest search: every order
//! of every choice of the operations.

use super::super::search::{Call, Found, search};
use super::*;
use crate::choice::Choices;
use crate::site::Site;

/// Whether some order of `left`, or of enough of them, explains the answers from `cell` on.
fn has_order(left: &[Call], cell: Cell) -> bool {
    if left.iter().all(|call| !call.required) {
        return true;
    }
    (0..left.len()).any(|at| {
        let call = left[at];
        let is_late = left
            .iter()
            .any(|other| other.returned.is_some_and(|end| end < call.invoked));
        let mut after = cell;
        let reply = after.apply(call.id, call.op);
        let mut rest = left.to_vec();
        rest.remove(at);
        !is_late && call.reply.is_none_or(|told| told == reply) && has_order(&rest, after)
    })
}

/// Up to five operations on one number, with answers by chance.
fn any_calls(choices: &mut Choices) -> Vec<Call> {
    let mut choose = |n| choices.choose(n, Site::Propose);
    let count = 2 + choose(4);
    (0..count)
        .map(|at| {
            let op = match choose(4) {
                0 => Op::Put {
                    key: 0,
                    value: choose(2),
                },
                1 => Op::Add { key: 0, by: 1 },
                2 => Op::Cas {
                    key: 0,
                    expect: choose(2),
                    new: choose(3),
                },
                _ => Op::Read { key: 0 },
            };
            let number = choose(3);
            let reply = if op.is_read() {
                Reply::Cell(Cell {
                    number,
                    ..Cell::default()
                })
            } else {
                Reply::Before(number)
            };
            let invoked = 2 * choose(8);
            let end = invoked + 1 + 2 * choose(8);
            let is_told = op.is_read() || choose(3) > 0;
            Call {
                id: OpId(at + 1),
                client: 0,
                op,
                reply: is_told.then_some(reply),
                invoked,
                returned: is_told.then_some(end),
                required: is_told || choose(2) == 0,
            }
        })
        .collect()
}

#[test]
fn search_agrees_with_trying_every_order() {
    let mut choices = Choices::new(9);
    let mut with_order = 0;
    for round in 0..4000 {
        let calls = any_calls(&mut choices);
        let expected = has_order(&calls, Cell::default());
        let found = search(&calls, &mut { DEFAULT_STEPS });
        assert_eq!(
            matches!(found, Found::Order),
            expected,
            "round {round}: {calls:?}: {found:?}"
        );
        with_order += u64::from(expected);
    }
    assert!(
        (400..3600).contains(&with_order),
        "{with_order} of 4000 have an order: too few or too many to prove anything"
    );
}
