//! The smallest client that can write to the key-value server: enough of the Redis protocol for
//! `SET` and `INFO`, and nothing that costs processor time.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::thread;
use std::time::{Duration, Instant};

use super::PATIENCE;
use crate::failure::{Failure, Result};

/// Threads that many clients share: enough to keep the server busy, few enough to leave it the
/// processors.
const THREADS: usize = 4;

/// A connection with at most one request under way.
pub(super) struct Connection {
    stream: BufReader<TcpStream>,
    line: String,
}

impl Connection {
    pub(super) fn to(address: SocketAddr) -> Result<Self> {
        let connect = || {
            let stream = TcpStream::connect_timeout(&address, PATIENCE)?;
            stream.set_nodelay(true)?;
            stream.set_read_timeout(Some(PATIENCE))?;
            Ok(Self {
                stream: BufReader::new(stream),
                line: String::new(),
            })
        };
        connect().map_err(|error: std::io::Error| Failure::new(format!("{address}: {error}")))
    }

    fn send_set(&mut self, number: usize) -> std::io::Result<()> {
        let key = format!("bench:{:08}", number % 10_000);
        let value = "v".repeat(64);
        let request = format!(
            "*3\r\n$3\r\nSET\r\n${}\r\n{key}\r\n${}\r\n{value}\r\n",
            key.len(),
            value.len()
        );
        self.stream.get_mut().write_all(request.as_bytes())
    }

    fn expect_ok(&mut self) -> std::io::Result<()> {
        self.line.clear();
        self.stream.read_line(&mut self.line)?;
        if self.line == "+OK\r\n" {
            return Ok(());
        }
        Err(std::io::Error::other(format!(
            "SET was answered with {:?}",
            self.line
        )))
    }

    /// What `INFO raft` says.
    pub(super) fn info(&mut self) -> Result<String> {
        self.request_info()
            .map_err(|error| Failure::new(format!("INFO: {error}")))
    }

    fn request_info(&mut self) -> std::io::Result<String> {
        self.stream
            .get_mut()
            .write_all(b"*2\r\n$4\r\nINFO\r\n$4\r\nraft\r\n")?;
        self.line.clear();
        self.stream.read_line(&mut self.line)?;
        let length = self
            .line
            .trim_end()
            .strip_prefix('$')
            .and_then(|text| text.parse().ok());
        let Some(length) = length.filter(|length| *length < 1 << 20) else {
            return Err(std::io::Error::other(format!(
                "unexpected answer {:?}",
                self.line
            )));
        };
        let mut text = vec![0; length];
        self.stream.read_exact(&mut text)?;
        self.stream.read_exact(&mut [0; 2])?;
        Ok(String::from_utf8_lossy(&text).into_owned())
    }
}

/// How long each of `count` writes took, one after the other.
pub(super) fn write_latencies(connection: &mut Connection, count: usize) -> Result<Vec<Duration>> {
    (0..count)
        .map(|number| {
            let start = Instant::now();
            connection
                .send_set(number)
                .and_then(|()| connection.expect_ok())
                .map(|()| start.elapsed())
                .map_err(|error| Failure::new(format!("SET: {error}")))
        })
        .collect()
}

/// How long `writes` writes took, made by `clients` connections that each have one under way.
pub(super) fn write_from_many(
    address: SocketAddr,
    clients: usize,
    writes: usize,
) -> Result<Duration> {
    let mut groups = Vec::new();
    for _ in 0..THREADS {
        let group: Result<Vec<_>> = (0..clients / THREADS)
            .map(|_| Connection::to(address))
            .collect();
        groups.push(group?);
    }
    let start = Instant::now();
    thread::scope(|scope| {
        let workers: Vec<_> = groups
            .iter_mut()
            .map(|group| scope.spawn(|| write_in_turn(group, writes / THREADS)))
            .collect();
        for worker in workers {
            let ended = worker
                .join()
                .unwrap_or_else(|_| Err(std::io::Error::other("panic")));
            ended.map_err(|error| Failure::new(format!("SET: {error}")))?;
        }
        Ok(start.elapsed())
    })
}

/// Every connection has one write under way, until `writes` are answered.
fn write_in_turn(group: &mut [Connection], writes: usize) -> std::io::Result<()> {
    for (number, connection) in group.iter_mut().enumerate() {
        connection.send_set(number)?;
    }
    let mut left = writes.saturating_sub(group.len());
    let mut under_way = group.len();
    while under_way > 0 {
        for connection in group.iter_mut().take(under_way) {
            connection.expect_ok()?;
            if left > 0 {
                left -= 1;
                connection.send_set(left)?;
            } else {
                under_way -= 1;
            }
        }
    }
    Ok(())
}
