//! One connection of the demo to one node, through an unmodified Redis client library, and what
//! its errors say about the fate of a write.

use std::net::SocketAddr;
use std::time::Duration;

use redis::aio::MultiplexedConnection;
use redis::{AsyncConnectionConfig, RedisError, RedisResult, cmd};

/// Longer than a server tries a command: its own answer says more than a timeout.
const RESPONSE_TIMEOUT: Duration = Duration::from_secs(10);
const CONNECT_TIMEOUT: Duration = Duration::from_secs(1);

/// What became of a command that failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fate {
    /// It was not executed: the server said so.
    NotExecuted,
    /// It may have been.
    Unknown,
}

/// What an error says about the command.
pub(super) fn fate(error: &RedisError) -> Fate {
    match error.code() {
        Some("CLUSTERDOWN" | "TRYAGAIN" | "ABORTED") => Fate::NotExecuted,
        _ => Fate::Unknown,
    }
}

/// Connects to a node. The library chooses the newest protocol.
pub(super) async fn connect(address: SocketAddr) -> RedisResult<MultiplexedConnection> {
    let config = AsyncConnectionConfig::new()
        .set_connection_timeout(Some(CONNECT_TIMEOUT))
        .set_response_timeout(Some(RESPONSE_TIMEOUT));
    let client = redis::Client::open(format!("redis://{address}/?protocol=resp3"))?;
    client
        .get_multiplexed_async_connection_with_config(&config)
        .await
}

/// What a node says of itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct NodeInfo {
    pub(super) leads: bool,
    pub(super) term: u64,
    pub(super) commit: u64,
    pub(super) applied: u64,
}

/// Asks a node what it says of itself; no leader is needed for that.
pub(super) async fn node_info(connection: &mut MultiplexedConnection) -> RedisResult<NodeInfo> {
    let text: String = cmd("INFO").arg("raft").query_async(connection).await?;
    Ok(parse(&text))
}

fn parse(text: &str) -> NodeInfo {
    let field = |name: &str| {
        text.lines()
            .filter_map(|line| line.split_once(':'))
            .find_map(|(found, value)| (found == name).then(|| value.trim()))
    };
    let number = |name| {
        field(name)
            .and_then(|value| value.parse().ok())
            .unwrap_or(0)
    };
    NodeInfo {
        leads: field("raft_role") == Some("leader"),
        term: number("raft_term"),
        commit: number("raft_commit"),
        applied: number("raft_applied"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn node_info_is_found_in_the_text_of_info() {
        let text = "# Raft\r\nraft_role:leader\r\nraft_term:7\r\nraft_commit:9\r\nraft_applied:8";
        let expected = NodeInfo {
            leads: true,
            term: 7,
            commit: 9,
            applied: 8,
        };
        assert_eq!(parse(text), expected);
        assert!(!parse("raft_role:follower\r\n").leads);
    }

    #[test]
    fn write_counts_as_not_executed_only_when_the_server_said_so() {
        let error = |code: &str| redis::make_extension_error(code.to_owned(), None);
        assert_eq!(fate(&error("ABORTED")), Fate::NotExecuted);
        assert_eq!(
            fate(&error("UNKNOWN")),
            Fate::Unknown,
            "it could be done twice"
        );
        let broken = RedisError::from(std::io::Error::from(std::io::ErrorKind::ConnectionReset));
        assert_eq!(
            fate(&broken),
            Fate::Unknown,
            "the server may have taken it before it died"
        );
    }
}
