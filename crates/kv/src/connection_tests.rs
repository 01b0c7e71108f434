//! Tests through a whole connection: every command's meaning, order, failure in a pipeline.

use std::sync::atomic::AtomicUsize;
use std::time::Instant;

use bytes::Bytes;
use quorate::ProposeError;
use tokio::io::DuplexStream;

use super::*;
use crate::op::ReadOp;
use crate::testing::{FakeReplica, Fault};

const LIMITS: Limits = Limits {
    bulk_bytes: 1 << 20,
    request_bytes: 2 << 20,
};

struct Client {
    stream: DuplexStream,
    replica: FakeReplica,
    stop: watch::Sender<bool>,
}

fn connect() -> Client {
    let (stream, server) = tokio::io::duplex(64 * 1024);
    let replica = FakeReplica::default();
    let shared = Shared {
        executor: Executor::new(replica.clone(), Duration::from_secs(5)),
        facts: ServerFacts {
            port: 1,
            started: Instant::now(),
            connected: AtomicUsize::new(1),
            clients_max: 2,
            bulk_bytes_max: LIMITS.bulk_bytes,
        },
        limits: LIMITS,
    };
    let (stop, stopped) = watch::channel(false);
    tokio::spawn(serve(server, 7, Arc::new(shared), stopped));
    Client {
        stream,
        replica,
        stop,
    }
}

impl Client {
    /// Sends everything at once and reads exactly the expected answer.
    async fn exchange(&mut self, send: &str, expected: &str) {
        self.stream.write_all(send.as_bytes()).await.unwrap();
        let mut answer = vec![0; expected.len()];
        let read = tokio::time::timeout(Duration::from_secs(60), async {
            self.stream.read_exact(&mut answer).await
        });
        let outcome = read.await;
        let answer = String::from_utf8_lossy(&answer);
        assert!(
            matches!(outcome, Ok(Ok(_))),
            "{send:?}: only {answer:?} came"
        );
        assert_eq!(answer, expected, "{send:?}");
    }

    /// Reads to the end of the stream, which must come.
    async fn rest(&mut self) -> String {
        let mut rest = Vec::new();
        self.stream.read_to_end(&mut rest).await.unwrap();
        String::from_utf8(rest).unwrap()
    }
}

const ABORTED: &str =
    "-ABORTED not executed, because a command before it in the pipeline failed\r\n";
const UNKNOWN: &str = "-UNKNOWN the outcome is not known; the command may still take effect\r\n";

#[tokio::test(start_paused = true)]
async fn commands_on_keys_answer_as_redis_does() {
    let mut client = connect();
    let wrong = "-ERR value is not an integer or out of range\r\n";
    let overflow = "-ERR increment or decrement would overflow\r\n";
    for (send, expected) in [
        ("GET k\r\n", "$-1\r\n"),
        ("SET k 1\r\n", "+OK\r\n"),
        ("GET k\r\n", "$1\r\n1\r\n"),
        ("SET k 2 NX\r\n", "$-1\r\n"),
        ("SET k 2 XX\r\n", "+OK\r\n"),
        ("SET new 2 XX\r\n", "$-1\r\n"),
        ("SET k 3 GET\r\n", "$1\r\n2\r\n"),
        ("SET k 9 NX GET\r\n", "$1\r\n3\r\n"),
        ("SET fresh 1 NX GET\r\n", "$-1\r\n"),
        ("GET fresh\r\n", "$1\r\n1\r\n"),
        ("SETNX k 9\r\n", ":0\r\n"),
        ("SETNX other 9\r\n", ":1\r\n"),
        ("GETSET k 4\r\n", "$1\r\n3\r\n"),
        ("GETSET empty \"\"\r\n", "$-1\r\n"),
        ("GETDEL k\r\n", "$1\r\n4\r\n"),
        ("GETDEL k\r\n", "$-1\r\n"),
        ("INCR n\r\n", ":1\r\n"),
        ("INCRBY n 41\r\n", ":42\r\n"),
        ("DECR n\r\n", ":41\r\n"),
        ("DECRBY n 42\r\n", ":-1\r\n"),
        ("SET n 9223372036854775807\r\n", "+OK\r\n"),
        ("INCR n\r\n", overflow),
        ("SET n -9223372036854775808\r\n", "+OK\r\n"),
        ("DECR n\r\n", overflow),
        ("GET n\r\n", "$20\r\n-9223372036854775808\r\n"),
        ("SET n 18446744073709551616\r\n", "+OK\r\n"),
        ("INCR n\r\n", wrong),
        ("INCR empty\r\n", wrong),
        ("APPEND text ab\r\n", ":2\r\n"),
        ("APPEND text cd\r\n", ":4\r\n"),
        ("STRLEN text\r\n", ":4\r\n"),
        ("STRLEN none\r\n", ":0\r\n"),
        ("MSET a 1 b 2 a 3\r\n", "+OK\r\n"),
        ("MGET a none b\r\n", "*3\r\n$1\r\n3\r\n$-1\r\n$1\r\n2\r\n"),
        ("EXISTS a a none\r\n", ":2\r\n"),
        ("DEL a a none b\r\n", ":2\r\n"),
        ("DBSIZE\r\n", ":5\r\n"),
        ("FLUSHALL\r\n", "+OK\r\n"),
        ("DBSIZE\r\n", ":0\r\n"),
    ] {
        client.exchange(send, expected).await;
    }
}

#[tokio::test(start_paused = true)]
async fn commands_of_the_connection_answer_without_a_leader() {
    let mut client = connect();
    let dead = (0..100_000).map(|_| Fault::Error(ProposeError::NotLeader { leader: None }));
    client.replica.fail_proposals(dead);
    for (send, expected) in [
        ("PING\r\n", "+PONG\r\n"),
        ("PING hi\r\n", "$2\r\nhi\r\n"),
        ("ECHO hi\r\n", "$2\r\nhi\r\n"),
        ("SELECT 0\r\n", "+OK\r\n"),
        ("CLIENT ID\r\n", ":7\r\n"),
        ("CLIENT GETNAME\r\n", "$-1\r\n"),
        ("CLIENT SETNAME me\r\n", "+OK\r\n"),
        ("CLIENT GETNAME\r\n", "$2\r\nme\r\n"),
        ("CLIENT SETINFO LIB-NAME lib\r\n", "+OK\r\n"),
        (
            "CLIENT INFO\r\n",
            "$47\r\nid=7 name=me db=0 resp=2 lib-name=lib lib",
        ),
    ] {
        client.exchange(send, expected).await;
    }
    client.exchange("", "-ver=\n\r\n").await;
    client
        .exchange("CONFIG GET save\r\n", "*2\r\n$4\r\nsave\r\n$0\r\n\r\n")
        .await;
    client.exchange("COMMAND COUNT\r\n", ":26\r\n").await;
    client.exchange("COMMAND DOCS\r\n", "*0\r\n").await;
    client
        .exchange("COMMAND INFO get x\r\n", "*2\r\n*10\r\n$3\r\nget\r\n:2\r\n")
        .await;
}

#[tokio::test(start_paused = true)]
async fn hello_changes_the_protocol_of_the_replies_behind_it() {
    let mut client = connect();
    let hello = "%7\r\n$6\r\nserver\r\n$10\r\nquorate-kv\r\n$7\r\nversion\r\n$5\r\n7.2.0\r\n\
        $5\r\nproto\r\n:3\r\n$2\r\nid\r\n:7\r\n$4\r\nmode\r\n$10\r\nstandalone\r\n\
        $4\r\nrole\r\n$6\r\nmaster\r\n$7\r\nmodules\r\n*0\r\n";
    let expected = format!("$-1\r\n{hello}_\r\n%0\r\n");
    client
        .exchange(
            "GET k\r\nHELLO 3 SETNAME x\r\nGET k\r\nCOMMAND DOCS\r\n",
            &expected,
        )
        .await;
    client
        .exchange(
            "HELLO 9\r\nGET k\r\n",
            "-NOPROTO unsupported protocol version\r\n_\r\n",
        )
        .await;
    client.exchange("CLIENT GETNAME\r\n", "$1\r\nx\r\n").await;
}

#[tokio::test(start_paused = true)]
async fn pipeline_is_one_entry_and_keeps_its_order() {
    let mut client = connect();
    let send = "SET k a\r\nGET k\r\nPING\r\nAPPEND k b\r\nWHAT\r\nGET k\r\nINCR k\r\nECHO e\r\n";
    let expected = "+OK\r\n$1\r\na\r\n+PONG\r\n:2\r\n\
        -ERR unknown command 'WHAT', with args beginning with: \r\n$2\r\nab\r\n\
        -ERR value is not an integer or out of range\r\n$1\r\ne\r\n";
    client.exchange(send, expected).await;
    assert_eq!(
        client.replica.entries(),
        1,
        "each write paid for a disk write of its own"
    );
    client
        .exchange("GET k\r\nSTRLEN k\r\n", "$2\r\nab\r\n:2\r\n")
        .await;
    assert_eq!(client.replica.reads(), 1, "reads alone were not batched");
    assert_eq!(client.replica.entries(), 1, "a read was written to the log");
}

#[tokio::test(start_paused = true)]
async fn nothing_behind_a_failed_command_is_executed() {
    let mut client = connect();
    client
        .replica
        .fail_proposals([Fault::None, Fault::AppliedThen(ProposeError::Unknown)]);
    // Longer than a burst: the first part succeeds, the second fails, a third is left over.
    let pipeline = "INCR n\r\n".repeat(2500) + "PING\r\nNOPE\r\nHELLO 3\r\n";
    let succeeded: String = (1..=1024).map(|n| format!(":{n}\r\n")).collect();
    let expected = succeeded + &UNKNOWN.repeat(1024) + &ABORTED.repeat(2500 - 2048 + 3);
    client.exchange(&pipeline, &expected).await;
    assert_eq!(
        client.replica.entries(),
        2,
        "the rest of the pipeline was executed"
    );
    client.exchange("GET n\r\n", "$4\r\n2048\r\n").await;
}

#[tokio::test(start_paused = true)]
async fn local_commands_share_the_fate_of_a_failed_command_before_them() {
    let mut client = connect();
    client
        .replica
        .fail_proposals([Fault::AppliedThen(ProposeError::Unknown)]);
    let expected = format!("+PONG\r\n{UNKNOWN}{ABORTED}{ABORTED}{ABORTED}");
    client
        .exchange("PING\r\nSET k v\r\nQUIT\r\nGET k\r\nWHAT\r\n", &expected)
        .await;
    client.exchange("PING\r\n", "+PONG\r\n").await;
}

#[tokio::test(start_paused = true)]
async fn client_without_a_leader_is_told_so() {
    let mut client = connect();
    let dead = (0..1000).map(|_| Fault::Error(ProposeError::NotLeader { leader: None }));
    client.replica.fail_proposals(dead);
    let expected = "-CLUSTERDOWN no leader was found in time; nothing was executed\r\n";
    client.exchange("SET k v\r\n", expected).await;
    assert_eq!(client.replica.peek(&[ReadOp::Size]), [Reply::Integer(0)]);
}

#[tokio::test(start_paused = true)]
async fn quit_is_answered_and_ends_the_connection() {
    let mut client = connect();
    client
        .exchange("SET k v\r\nQUIT\r\nSET l w\r\n", "+OK\r\n+OK\r\n")
        .await;
    assert_eq!(
        client.rest().await,
        "",
        "a command behind QUIT was answered"
    );
    assert_eq!(
        client.replica.peek(&[ReadOp::Size]),
        [Reply::Integer(1)],
        "a command behind QUIT was executed"
    );
}

#[tokio::test(start_paused = true)]
async fn broken_protocol_ends_the_connection_after_what_came_before_it() {
    let mut client = connect();
    let expected = "+OK\r\n-ERR Protocol error: invalid bulk length\r\n";
    client
        .exchange("SET k v\r\n*2\r\n$3\r\nGET\r\n$1048577\r\n", expected)
        .await;
    assert_eq!(client.rest().await, "");
    assert_eq!(client.replica.entries(), 1);
}

#[tokio::test(start_paused = true)]
async fn client_that_breaks_the_protocol_can_finish_sending_and_read_why() {
    let mut client = connect();
    // More than the socket holds: a client that writes first and reads later would be cut off.
    let too_long = [
        b"*2\r\n$3\r\nGET\r\n$1048577\r\n".as_slice(),
        &vec![b'x'; 1 << 20],
    ]
    .concat();
    client
        .stream
        .write_all(&too_long)
        .await
        .expect("the connection was closed too early");
    assert_eq!(
        client.rest().await,
        "-ERR Protocol error: invalid bulk length\r\n"
    );
}

#[tokio::test(start_paused = true)]
async fn values_are_kept_byte_for_byte_whatever_their_size() {
    let mut client = connect();
    for size in [0, 1, 16 * 1024, LIMITS.bulk_bytes] {
        let value: Vec<u8> = (0..size).map(|n| (n % 251) as u8).collect();
        let bulk = [format!("${size}\r\n").as_bytes(), &value, b"\r\n"].concat();
        let set = [b"*3\r\n$3\r\nSET\r\n$2\r\n\0\n\r\n".as_slice(), &bulk].concat();
        let get = b"*2\r\n$3\r\nGET\r\n$2\r\n\0\n\r\n";
        let mut answer = vec![0; 5 + bulk.len()];
        let (mut reader, mut writer) = tokio::io::split(&mut client.stream);
        let send = async {
            writer.write_all(&set).await.unwrap();
            writer.write_all(get).await.unwrap();
        };
        let ((), read) = tokio::join!(send, reader.read_exact(&mut answer));
        read.unwrap();
        assert!(
            answer[..5] == *b"+OK\r\n" && answer[5..] == bulk,
            "a value of {size} bytes"
        );
    }
}

#[tokio::test(start_paused = true)]
async fn array_larger_than_the_buffer_arrives_whole() {
    let mut client = connect();
    let value = "v".repeat(10_000);
    client
        .exchange(&format!("SET k {value}\r\n"), "+OK\r\n")
        .await;
    let expected = format!("*100\r\n{}", format!("$10000\r\n{value}\r\n").repeat(100));
    client
        .exchange(&format!("MGET{}\r\n", " k".repeat(100)), &expected)
        .await;
}

#[tokio::test(start_paused = true)]
async fn idle_connection_ends_when_the_server_stops() {
    let mut client = connect();
    client.exchange("PING\r\n", "+PONG\r\n").await;
    client.stop.send(true).unwrap();
    assert_eq!(client.rest().await, "");
}

#[tokio::test(start_paused = true)]
async fn command_under_way_is_answered_when_the_server_stops() {
    let mut client = connect();
    client
        .replica
        .fail_proposals([Fault::Error(ProposeError::Overloaded)]);
    client.stream.write_all(b"SET k v\r\n").await.unwrap();
    tokio::task::yield_now().await;
    tokio::task::yield_now().await;
    client.stop.send(true).unwrap();
    let rest = client.rest().await;
    let stored = client.replica.peek(&[ReadOp::Get(Bytes::from("k"))]) == [Reply::text("v")];
    assert_eq!(
        rest == "+OK\r\n",
        stored,
        "a write took effect and its client was not told"
    );
    assert!(
        stored,
        "the command was taken from the socket and then dropped"
    );
}

/// A connection waits with the room that it made for its next command.
#[test]
fn idle_connection_does_not_keep_the_memory_of_its_largest_command() {
    let mut input = Input::default();
    let large = vec![b'v'; READ_BYTES_MAX];
    for part in large.chunks(READ_BYTES) {
        let wanted = large.len() - input.bytes.len();
        input.room(wanted).extend_from_slice(part);
    }
    let command = input.bytes.split_to(large.len()).freeze();
    drop(command);
    let idle = input.room(0);
    assert!(
        idle.capacity() <= READ_BYTES,
        "{} bytes for nothing",
        idle.capacity()
    );
}
