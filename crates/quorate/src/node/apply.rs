//! The apply thread: the state machine lives here and nowhere else. Commands and reads come
//! through one queue, so that a read sees the state between two commands, never inside one. A
//! slow or panicking machine harms nobody but itself.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::Receiver;
use std::time::Instant;

use bytes::Bytes;
use quorate_core::{Entries, Entry, LogIndex, Payload};
use tokio::sync::mpsc::UnboundedSender;
use tokio::sync::oneshot;

use super::StopReason;
use super::shell::Completion;
use super::spin::Spin;
use crate::{ApplyContext, ProposeError, ReadError, StateMachine};

/// Who waits for the response to a proposal.
pub(super) type Waiter<S> = oneshot::Sender<Result<<S as StateMachine>::Response, ProposeError>>;

/// A read: called once, with the state or with the reason why there is none.
pub(super) type ReadTask<S> = Box<dyn FnOnce(Result<&S, ReadError>) + Send>;

/// Work for the apply thread.
pub(super) enum Request<S: StateMachine> {
    /// Apply entries and give the responses to those who wait.
    Apply {
        entries: Entries,
        waiters: Vec<(LogIndex, Waiter<S>)>,
    },
    /// Serve a read.
    Read(ReadTask<S>),
}

/// Runs until every sender of `requests` is gone, or until the machine fails.
pub(super) fn run<S: StateMachine>(
    mut machine: S,
    requests: &Receiver<Request<S>>,
    completions: &UnboundedSender<Completion>,
    waiting_reads: &AtomicUsize,
) {
    let mut spin = Spin::new();
    while let Ok(request) = spin.next(requests).map_or_else(|| requests.recv(), Ok) {
        if has_asker(&request) {
            spin.worked(Instant::now());
        }
        match request {
            Request::Apply { entries, waiters } => {
                if let Err(reason) = apply(&mut machine, &entries, waiters, completions) {
                    let _ = completions.send(Completion::ApplyFailed(reason));
                    return;
                }
            }
            Request::Read(read) => {
                read(Ok(&machine));
                waiting_reads.fetch_sub(1, Ordering::Relaxed);
            }
        }
    }
}

/// Whether somebody waits for this. Nobody does where entries were proposed elsewhere.
const fn has_asker<S: StateMachine>(request: &Request<S>) -> bool {
    match request {
        Request::Apply { waiters, .. } => !waiters.is_empty(),
        Request::Read(_) => true,
    }
}

fn apply<S: StateMachine>(
    machine: &mut S,
    entries: &Entries,
    waiters: Vec<(LogIndex, Waiter<S>)>,
    completions: &UnboundedSender<Completion>,
) -> Result<(), StopReason> {
    let mut waiters = waiters.into_iter().peekable();
    for entry in entries.iter() {
        let waiter = waiters.next_if(|(index, _)| *index == entry.index);
        match &entry.payload {
            // Neither is the state machine's: the engine and the transport follow memberships.
            Payload::Noop | Payload::Membership(_) => {}
            Payload::Command(command) => {
                let response = apply_one(machine, entry, command.clone())?;
                if let Some((_, waiter)) = waiter {
                    // The user may have stopped waiting.
                    let _ = waiter.send(Ok(response));
                }
            }
        }
    }
    if let Some(last) = entries.last() {
        let _ = completions.send(Completion::Applied(last.index));
    }
    Ok(())
}

/// A machine that panicked may be halfway through a command: its state is worth nothing, and
/// the node stops (scenario H04).
fn apply_one<S: StateMachine>(
    machine: &mut S,
    entry: &Entry,
    command: Bytes,
) -> Result<S::Response, StopReason> {
    let index = entry.index;
    let context = ApplyContext {
        index,
        term: entry.term,
    };
    let outcome = catch_unwind(AssertUnwindSafe(|| {
        S::decode(command).map(|command| machine.apply(context, command))
    }));
    match outcome {
        Ok(Ok(response)) => Ok(response),
        Ok(Err(error)) => Err(StopReason::Undecodable {
            index,
            reason: error.to_string(),
        }),
        Err(_) => Err(StopReason::ApplyPanicked { index }),
    }
}

/// A read that hands its value to `answer`. A closure that panics has only looked: the state is
/// intact and the node goes on (scenario E18). It may also panic where it is dropped uncalled,
/// for what it holds.
pub(super) fn read_task<S: StateMachine, T: Send + 'static>(
    read: impl FnOnce(&S) -> T + Send + 'static,
    answer: oneshot::Sender<Result<T, ReadError>>,
) -> ReadTask<S> {
    Box::new(move |state| {
        let state = if answer.is_closed() {
            // Nobody would hear the value.
            Err(ReadError::Stopped)
        } else {
            state
        };
        let outcome = catch_unwind(AssertUnwindSafe(|| state.map(read)));
        let _ = answer.send(outcome.unwrap_or(Err(ReadError::Panicked)));
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::DecodeError;
    use quorate_core::Term;

    /// Remembers nothing and answers with the index.
    struct Echo;

    impl StateMachine for Echo {
        type Command = ();
        type Response = LogIndex;

        fn encode((): &()) -> Bytes {
            Bytes::new()
        }

        fn decode(_: Bytes) -> Result<(), DecodeError> {
            Ok(())
        }

        fn apply(&mut self, context: ApplyContext, (): ()) -> LogIndex {
            context.index
        }
    }

    /// Panics unless it was called for.
    struct Bomb;

    impl Drop for Bomb {
        fn drop(&mut self) {
            panic!("on purpose");
        }
    }

    /// Scenario E18: the thread that fails reads is the one that sends heartbeats.
    #[test]
    fn a_read_that_panics_when_it_is_not_called_is_answered_and_harms_nobody() {
        let bomb = Bomb;
        let (answer, mut value) = oneshot::channel();
        let read: ReadTask<Echo> = read_task(move |_| std::mem::forget(bomb), answer);
        read(Err(ReadError::NotLeader { leader: None }));
        assert_eq!(value.try_recv(), Ok(Err(ReadError::Panicked)));
        let bomb = Bomb;
        let (answer, value) = oneshot::channel();
        let read: ReadTask<Echo> = read_task(move |_| std::mem::forget(bomb), answer);
        drop(value);
        read(Ok(&Echo));
    }

    #[test]
    fn a_waiter_is_answered_by_the_entry_it_waits_for_and_by_no_other() {
        let entry = |index, payload| Entry {
            index: LogIndex::new(index),
            term: Term::new(1),
            payload,
        };
        let command = || Payload::Command(Bytes::new());
        let entries: Entries = [
            entry(5, Payload::Noop),
            entry(6, command()),
            entry(7, command()),
        ]
        .into_iter()
        .collect();
        let (waiter, mut answer) = oneshot::channel();
        let (completions, mut told) = tokio::sync::mpsc::unbounded_channel();
        let waiters = vec![(LogIndex::new(7), waiter)];
        assert!(apply(&mut Echo, &entries, waiters, &completions).is_ok());
        assert_eq!(answer.try_recv(), Ok(Ok(LogIndex::new(7))));
        let applied = told.try_recv();
        assert!(matches!(applied, Ok(Completion::Applied(last)) if last == LogIndex::new(7)));
    }
}
