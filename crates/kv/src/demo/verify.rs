//! The reckoning: every acknowledged write is looked for through every node.

use redis::aio::MultiplexedConnection;
use redis::{RedisResult, cmd};
use tokio::time::{Duration, Instant, sleep};

use super::DemoError;
use super::client::connect;
use super::cluster::{Cluster, Server};
use super::history::History;

/// Keys asked for at once.
const KEYS_AT_ONCE: usize = 500;
/// How long a node may take to answer one question.
const ANSWER_MAX: Duration = Duration::from_secs(30);

/// Counts the promises that at least one node does not keep.
pub(super) async fn every_node(cluster: &Cluster, history: &History) -> Result<u64, DemoError> {
    let promises = history.promises();
    let floors = history.floors();
    let mut lost = 0;
    for server in cluster.servers() {
        let exact = |answer: Option<u64>, number: u64| answer == Some(number);
        let at_least = |answer: Option<u64>, floor: u64| answer.unwrap_or(0) >= floor;
        let missing = count_broken(server, &promises, exact).await?
            + count_broken(server, &floors, at_least).await?;
        lost = lost.max(missing);
    }
    Ok(lost)
}

async fn count_broken(
    server: &Server,
    promises: &[(String, u64)],
    keeps: impl Fn(Option<u64>, u64) -> bool,
) -> Result<u64, DemoError> {
    let mut broken = 0;
    for promises in promises.chunks(KEYS_AT_ONCE) {
        let answers = ask(server, promises).await?;
        for (index, (_, number)) in promises.iter().enumerate() {
            let answer = answers.get(index).copied().flatten();
            broken += u64::from(!keeps(answer, *number));
        }
    }
    Ok(broken)
}

/// The values of the keys. A node that is between leaders is asked again.
async fn ask(server: &Server, promises: &[(String, u64)]) -> Result<Vec<Option<u64>>, DemoError> {
    let keys: Vec<&str> = promises.iter().map(|(key, _)| key.as_str()).collect();
    let deadline = Instant::now() + ANSWER_MAX;
    while Instant::now() < deadline {
        let answer: RedisResult<Vec<Option<u64>>> = async {
            let mut connection: MultiplexedConnection = connect(server.address()).await?;
            cmd("MGET").arg(&keys).query_async(&mut connection).await
        }
        .await;
        match answer {
            Ok(answers) => return Ok(answers),
            Err(_) => sleep(Duration::from_millis(100)).await,
        }
    }
    Err(server.trouble("does not answer"))
}
