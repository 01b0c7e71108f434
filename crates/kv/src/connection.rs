//! One client: bytes from the socket to requests, requests to a burst, the burst to the executor,
//! replies back, always in order. A client that does not read its replies is not read from.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use bytes::BytesMut;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::sync::watch;
use tokio::time::timeout;

use crate::burst::{Burst, BurstEnd, Slot};
use crate::executor::{Executor, Failure, Replica};
use crate::info::ServerFacts;
use crate::resp::{Decoder, Limits, Output, Reply};
use crate::session::Session;

/// What the connections of a server share.
#[derive(Debug)]
pub(crate) struct Shared<R> {
    /// Where operations go.
    pub(crate) executor: Executor<R>,
    /// Facts about the server.
    pub(crate) facts: ServerFacts,
    /// What a client may send.
    pub(crate) limits: Limits,
}

/// How much is read at once; more while a larger argument arrives.
const READ_BYTES: usize = 64 * 1024;
const READ_BYTES_MAX: usize = 1024 * 1024;
/// Replies are sent when there is nothing left to execute, or when this much waits.
const FLUSH_BYTES: usize = 256 * 1024;

/// A client that broke the protocol is still sending, most likely, and would lose the reply that
/// says so if the connection were closed on it at once. It is listened to for this long ...
const LINGER: Duration = Duration::from_secs(1);
/// ... and for this many bytes.
const LINGER_BYTES_MAX: usize = 64 * 1024 * 1024;

/// What a command is answered that stood behind one that failed.
const NOT_EXECUTED: Reply = Reply::Error(std::borrow::Cow::Borrowed(
    "ABORTED not executed, because a command before it in the pipeline failed",
));

/// Serves one client until it leaves, breaks the protocol, or `stop` becomes true. A command
/// under way at that moment is finished and answered.
///
/// # Errors
/// The socket failed.
pub(crate) async fn serve<S, R>(
    stream: S,
    id: u64,
    shared: Arc<Shared<R>>,
    mut stop: watch::Receiver<bool>,
) -> io::Result<()>
where
    S: AsyncRead + AsyncWrite + Unpin + Send,
    R: Replica,
{
    let mut connection = Connection {
        stream,
        decoder: Decoder::new(shared.limits),
        input: Input::default(),
        output: Output::default(),
        session: Session::new(id),
        shared,
    };
    loop {
        let more = tokio::select! {
            more = connection.read() => more?,
            _ = stop.wait_for(|stop| *stop) => false,
        };
        if !more {
            return connection.stream.shutdown().await;
        }
        match connection.answer().await? {
            After::GoOn => {}
            After::Close => return connection.stream.shutdown().await,
            After::Linger => return connection.linger().await,
        }
    }
}

/// How a connection goes on after what was read from it is answered.
enum After {
    GoOn,
    Close,
    /// Close, but let the client read why.
    Linger,
}

/// What was read and not understood yet.
#[derive(Default)]
struct Input {
    bytes: BytesMut,
    /// It has taken more memory than usual. Its capacity does not show that: the memory of what
    /// was taken out of it is behind it, and comes back when more room is made.
    has_grown: bool,
}

impl Input {
    /// Room at its end for so many bytes, or for what is usually read at once.
    fn room(&mut self, wanted: usize) -> &mut BytesMut {
        if self.bytes.is_empty() && self.has_grown {
            // An idle connection must not keep the memory of its largest command.
            *self = Self::default();
        }
        self.has_grown |= wanted > READ_BYTES;
        self.bytes.reserve(wanted.clamp(READ_BYTES, READ_BYTES_MAX));
        &mut self.bytes
    }
}

struct Connection<S, R> {
    stream: S,
    decoder: Decoder,
    input: Input,
    output: Output,
    session: Session,
    shared: Arc<Shared<R>>,
}

impl<S, R> Connection<S, R>
where
    S: AsyncRead + AsyncWrite + Unpin + Send,
    R: Replica,
{
    /// Reads what the client sent; false at the end of the stream.
    async fn read(&mut self) -> io::Result<bool> {
        let wanted = self.decoder.wanted_bytes(self.input.bytes.len());
        Ok(self.stream.read_buf(self.input.room(wanted)).await? > 0)
    }

    /// Executes and answers every request that was read. After a failure, those behind it are
    /// answered but not executed: the client sent them in the belief that all would happen.
    async fn answer(&mut self) -> io::Result<After> {
        let mut failed = false;
        loop {
            let burst = Burst::take(&mut self.decoder, &mut self.input.bytes);
            let end = burst.end;
            if failed {
                self.refuse(burst.slots.len()).await?;
            } else {
                failed = self.execute(burst).await?.is_some();
            }
            if self.session.has_quit() {
                self.flush().await?;
                return Ok(After::Close);
            }
            match end {
                BurstEnd::Full => {}
                BurstEnd::Starved => {
                    self.flush().await?;
                    return Ok(After::GoOn);
                }
                BurstEnd::Broken(error) => {
                    let text = format!("ERR Protocol error: {error}");
                    self.write(Reply::Error(text.into())).await?;
                    self.flush().await?;
                    return Ok(After::Linger);
                }
            }
        }
    }

    /// Reads and forgets until the client has heard that it is over, within limits.
    async fn linger(&mut self) -> io::Result<()> {
        self.stream.shutdown().await?;
        let (stream, input) = (&mut self.stream, &mut self.input.bytes);
        let forget = async {
            let mut forgotten = 0;
            while forgotten < LINGER_BYTES_MAX {
                input.clear();
                match stream.read_buf(input).await {
                    Ok(count) if count > 0 => forgotten += count,
                    // It has left, one way or the other.
                    Ok(_) | Err(_) => break,
                }
            }
        };
        let _ = timeout(LINGER, forget).await;
        Ok(())
    }

    async fn execute(&mut self, burst: Burst) -> io::Result<Option<Failure>> {
        let (replies, failure) = match self.shared.executor.execute(burst.ops).await {
            Ok(replies) => (replies, None),
            Err(failure) => (Vec::new(), Some(failure)),
        };
        let mut replies = replies.into_iter();
        let mut reached_failure = false;
        for slot in burst.slots {
            let reply = match slot {
                Slot::Op => replies.next().unwrap_or_else(|| {
                    reached_failure = true;
                    let text = failure.map_or_else(String::new, |failure| failure.to_string());
                    Reply::Error(text.into())
                }),
                Slot::Local(_) | Slot::Refused(_) if reached_failure => NOT_EXECUTED,
                Slot::Refused(reply) => reply,
                Slot::Local(command) => {
                    let executor = &self.shared.executor;
                    self.session
                        .answer(command, &self.shared.facts, || executor.status())
                }
            };
            self.write(reply).await?;
            if self.session.has_quit() {
                break;
            }
        }
        Ok(failure)
    }

    async fn refuse(&mut self, count: usize) -> io::Result<()> {
        for _ in 0..count {
            self.write(NOT_EXECUTED).await?;
        }
        Ok(())
    }

    /// Writes one reply. The items of an array go out as they are encoded: a client may ask for
    /// more values at once than should ever be copied into one buffer.
    async fn write(&mut self, reply: Reply) -> io::Result<()> {
        let protocol = self.session.protocol();
        if let Reply::Array(items) = reply {
            self.output.push_array_header(items.len());
            for item in items {
                self.output.push(&item, protocol);
                self.flush_if_full().await?;
            }
            return Ok(());
        }
        self.output.push(&reply, protocol);
        self.flush_if_full().await
    }

    async fn flush_if_full(&mut self) -> io::Result<()> {
        if self.output.len() < FLUSH_BYTES {
            Ok(())
        } else {
            self.flush().await
        }
    }

    async fn flush(&mut self) -> io::Result<()> {
        for mut chunk in self.output.take() {
            self.stream.write_all_buf(&mut chunk).await?;
        }
        self.stream.flush().await
    }
}

#[cfg(test)]
#[path = "connection_tests.rs"]
mod tests;
