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

/// A read that waits for its state.
pub(super) type ReadTask<S> = Box<dyn Read<S>>;

/// A user's read. What it holds is the user's, and may take its time when it is dropped: that is
/// left to the thread of the state machine.
pub(super) trait Read<S>: Send {
    /// Reads, and answers whoever waits.
    fn serve(self: Box<Self>, state: &S);

    /// Answers whoever waits why there is nothing to read. What is left is to be given to
    /// [`Request::Drop`].
    fn fail(&mut self, error: ReadError);
}

/// Work for the apply thread.
pub(super) enum Request<S: StateMachine> {
    /// Apply entries and give the responses to those who wait.
    Apply {
        entries: Entries,
        waiters: Vec<(LogIndex, Waiter<S>)>,
    },
    /// Serve a read.
    Read(ReadTask<S>),
    /// Drop a read that has failed.
    Drop(ReadTask<S>),
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
                read.serve(&machine);
                waiting_reads.fetch_sub(1, Ordering::Relaxed);
            }
            Request::Drop(read) => {
                drop(read);
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
        Request::Drop(_) => false,
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

/// A closure and who waits for what it reads.
struct Closure<F, T> {
    read: Contained<F>,
    /// Gone once it was told why there is nothing to read.
    answer: Option<oneshot::Sender<Result<T, ReadError>>>,
}

/// A read that hands its value to `answer`.
pub(super) fn read_task<S: StateMachine, T: Send + 'static>(
    read: impl FnOnce(&S) -> T + Send + 'static,
    answer: oneshot::Sender<Result<T, ReadError>>,
) -> ReadTask<S> {
    Box::new(Closure {
        read: Contained(Some(read)),
        answer: Some(answer),
    })
}

impl<S: StateMachine, T: Send, F: FnOnce(&S) -> T + Send> Read<S> for Closure<F, T> {
    /// A closure that panics has only looked: the state is intact and the node goes on
    /// (scenario E18).
    fn serve(mut self: Box<Self>, state: &S) {
        // Nobody would hear the value of one that has stopped waiting.
        let answer = self.answer.take().filter(|answer| !answer.is_closed());
        let Some(answer) = answer else { return };
        let Some(read) = self.read.0.take() else {
            return;
        };
        let outcome = catch_unwind(AssertUnwindSafe(|| read(state)));
        let unheard = answer.send(outcome.map_err(|_| ReadError::Panicked));
        drop(Contained(unheard.err()));
    }

    fn fail(&mut self, error: ReadError) {
        if let Some(answer) = self.answer.take() {
            let _ = answer.send(Err(error));
        }
    }
}

/// Something of the user's that may panic where it is dropped, for what it holds.
struct Contained<T>(Option<T>);

impl<T> Drop for Contained<T> {
    fn drop(&mut self) {
        let _ = catch_unwind(AssertUnwindSafe(|| drop(self.0.take())));
    }
}

#[cfg(test)]
mod tests {
    use std::thread;

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

    /// Tells where it was dropped, which takes its time.
    struct Heavy(std::sync::mpsc::Sender<thread::ThreadId>);

    impl Drop for Heavy {
        fn drop(&mut self) {
            let _ = self.0.send(thread::current().id());
        }
    }

    /// Gives these requests to a thread that applies, until it has ended.
    fn applied(requests: Vec<Request<Echo>>) -> thread::ThreadId {
        let (sender, receiver) = std::sync::mpsc::channel();
        requests.into_iter().for_each(|it| sender.send(it).unwrap());
        drop(sender);
        let (completions, _told) = tokio::sync::mpsc::unbounded_channel();
        let thread = thread::spawn(move || {
            run(Echo, &receiver, &completions, &AtomicUsize::new(9));
        });
        let id = thread.thread().id();
        thread.join().expect("the state machine's thread is gone");
        id
    }

    /// Scenario H04: the thread that fails reads is the one that sends heartbeats.
    #[test]
    fn what_a_read_holds_is_dropped_by_the_state_machines_thread_when_it_fails() {
        let (dropped, dropped_by) = std::sync::mpsc::channel();
        let heavy = Heavy(dropped);
        let (answer, mut value) = oneshot::channel();
        let mut read: ReadTask<Echo> = read_task(move |_| drop(heavy), answer);
        read.fail(ReadError::TimedOut);
        assert_eq!(value.try_recv(), Ok(Err(ReadError::TimedOut)), "at once");
        let applies = applied(vec![Request::Drop(read)]);
        assert_eq!(dropped_by.try_recv(), Ok(applies));
    }

    /// Scenario E18
    #[test]
    fn a_read_that_panics_when_it_is_not_called_is_answered_and_harms_nobody() {
        let (answer, mut value) = oneshot::channel();
        let bomb = Bomb;
        let mut failed: ReadTask<Echo> = read_task(move |_| std::mem::forget(bomb), answer);
        failed.fail(ReadError::NotLeader { leader: None });
        let refused = Ok(Err(ReadError::NotLeader { leader: None }));
        assert_eq!(value.try_recv(), refused);
        let (answer, value) = oneshot::channel();
        let bomb = Bomb;
        let unheard: ReadTask<Echo> = read_task(move |_| std::mem::forget(bomb), answer);
        drop(value);
        let (answer, value) = oneshot::channel();
        let late: ReadTask<Echo> = read_task(
            move |_| {
                drop(value);
                Bomb
            },
            answer,
        );
        applied(vec![
            Request::Drop(failed),
            Request::Read(unheard),
            Request::Read(late),
        ]);
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
