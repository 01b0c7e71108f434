//! Tests of patience: what is tried again, what is not, and what the client is told.

use bytes::Bytes;

use super::*;
use crate::op::WriteOp;
use crate::testing::{FakeReplica, Fault};

const PATIENCE: Duration = Duration::from_secs(5);
const NOBODY: ProposeError = ProposeError::NotLeader { leader: None };

fn increment() -> Op {
    Op::Write(WriteOp::Add {
        key: Bytes::from_static(b"n"),
        delta: 1,
    })
}

fn get() -> ReadOp {
    ReadOp::Get(Bytes::from_static(b"n"))
}

fn executor() -> (Executor<FakeReplica>, FakeReplica) {
    let replica = FakeReplica::default();
    (Executor::new(replica.clone(), PATIENCE), replica)
}

#[tokio::test(start_paused = true)]
async fn batch_is_proposed_again_only_while_it_was_certainly_not_appended() {
    let (executor, replica) = executor();
    replica.fail_proposals([
        Fault::Error(NOBODY),
        Fault::Error(ProposeError::Overloaded),
        Fault::Error(ProposeError::Replaced),
    ]);
    assert_eq!(
        executor.execute(vec![increment()]).await,
        Ok(vec![Reply::Integer(1)])
    );
    assert_eq!(replica.entries(), 1);
}

#[tokio::test(start_paused = true)]
async fn batch_is_not_proposed_again_when_its_outcome_is_unknown() {
    for error in [ProposeError::Unknown, ProposeError::Stopped] {
        let (executor, replica) = executor();
        replica.fail_proposals([Fault::AppliedThen(error)]);
        assert_eq!(
            executor.execute(vec![increment()]).await,
            Err(Failure::Unknown)
        );
        assert_eq!(replica.entries(), 1, "the increment would be done twice");
    }
}

#[tokio::test(start_paused = true)]
async fn client_is_told_within_its_patience_when_there_is_no_leader() {
    let (executor, replica) = executor();
    replica.fail_proposals((0..10_000).map(|_| Fault::Error(NOBODY)));
    replica.fail_reads((0..10_000).map(|_| ReadError::NotLeader { leader: None }));
    for ops in [vec![increment()], vec![Op::Read(get())]] {
        let asked = Instant::now();
        assert_eq!(executor.execute(ops).await, Err(Failure::NoLeader));
        assert!(asked.elapsed() <= PATIENCE, "the client waits without end");
        assert!(
            asked.elapsed() > PATIENCE / 2,
            "given up long before an election can end"
        );
    }
    assert_eq!(replica.entries(), 0);
}

#[tokio::test(start_paused = true)]
async fn outcome_is_unknown_when_no_answer_comes_in_time() {
    let (executor, replica) = executor();
    replica.fail_proposals([Fault::Silence]);
    assert_eq!(
        executor.execute(vec![increment()]).await,
        Err(Failure::Unknown)
    );
}

#[tokio::test(start_paused = true)]
async fn read_that_takes_too_long_is_not_blamed_on_a_missing_leader() {
    let (executor, replica) = executor();
    replica.fail_reads((0..10_000).map(|_| ReadError::TimedOut));
    let outcome = executor.execute(vec![Op::Read(get())]).await;
    assert_eq!(
        outcome,
        Err(Failure::ReadTimedOut),
        "an operator would look for an election"
    );
    replica.hang_reads();
    let outcome = executor.execute(vec![Op::Read(get())]).await;
    assert_eq!(outcome, Err(Failure::ReadTimedOut));
}

#[tokio::test(start_paused = true)]
async fn overload_and_size_are_told_apart_from_a_missing_leader() {
    let (executor, replica) = executor();
    replica.fail_proposals((0..10_000).map(|_| Fault::Error(ProposeError::Overloaded)));
    assert_eq!(
        executor.execute(vec![increment()]).await,
        Err(Failure::Overloaded)
    );

    let (executor, replica) = self::executor();
    replica.fail_proposals([Fault::Error(ProposeError::TooLarge { limit_bytes: 9 })]);
    let failure = Failure::TooLarge { limit_bytes: 9 };
    assert_eq!(
        executor.execute(vec![increment()]).await,
        Err(failure),
        "it never will fit"
    );
}

#[tokio::test(start_paused = true)]
async fn read_is_tried_again_until_a_leader_confirms_it() {
    let (executor, replica) = executor();
    replica.fail_reads([ReadError::NotLeader { leader: None }, ReadError::TimedOut]);
    assert_eq!(
        executor.execute(vec![Op::Read(get())]).await,
        Ok(vec![Reply::Null])
    );
    replica.fail_reads([ReadError::Stopped, ReadError::Panicked]);
    assert_eq!(
        executor.execute(vec![Op::Read(get())]).await,
        Err(Failure::Stopped)
    );
    assert_eq!(
        executor.execute(vec![Op::Read(get())]).await,
        Err(Failure::ReadFailed)
    );
}

#[tokio::test(start_paused = true)]
async fn reads_join_the_entry_when_a_write_is_among_them() {
    let (executor, replica) = executor();
    let ops = vec![Op::Read(get()), increment(), Op::Read(get())];
    let expected = vec![Reply::Null, Reply::Integer(1), Reply::text("1")];
    assert_eq!(
        executor.execute(ops).await,
        Ok(expected),
        "each read sees what is before it"
    );
    assert_eq!((replica.entries(), replica.reads()), (1, 0));
    executor
        .execute(vec![Op::Read(get()), Op::Read(ReadOp::Size)])
        .await
        .unwrap();
    assert_eq!(
        (replica.entries(), replica.reads()),
        (1, 1),
        "reads alone write no entry"
    );
    assert_eq!(executor.execute(Vec::new()).await, Ok(Vec::new()));
    assert_eq!(
        (replica.entries(), replica.reads()),
        (1, 1),
        "nothing to do, nothing done"
    );
}
