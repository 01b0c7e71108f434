//! The two ends of a connection in a simulated transport: the product's own state of each
//! (`quorate::link`), when it was last heard, and what is still to arrive. What is done with them
//! is in `links.rs`.

use std::collections::VecDeque;
use std::time::Duration;

use quorate::PeerMessage;
use quorate::link::{
    Dialling, HANDSHAKE_TIMEOUT, Incoming, LinkError, Local, Outgoing, SILENCE_LIMIT, Stranger,
};
use quorate_core::NodeId;

use super::streams::{Stream, Way};

/// The end that dialled.
#[derive(Debug)]
pub(super) struct DialEnd {
    pub(super) state: Dialled,
    /// When the attempt began, or the connection after it.
    pub(super) since: u64,
    pub(super) heard_at: u64,
    /// What was written and has not been read, in order.
    pub(super) sent: VecDeque<PeerMessage>,
}

/// How far it is.
#[derive(Debug)]
pub(super) enum Dialled {
    Greeting(Dialling),
    Open(Outgoing),
}

/// The end that accepted.
#[derive(Debug)]
pub(super) struct AcceptEnd {
    pub(super) state: Accepted,
    pub(super) heard_at: u64,
}

/// How far it is.
#[derive(Debug)]
pub(super) enum Accepted {
    Greeting(Stranger),
    Open(Box<Incoming>),
}

impl DialEnd {
    /// The end of an attempt to reach `to`.
    pub(super) fn new(local: &Local, to: NodeId, now: u64) -> Self {
        Self {
            state: Dialled::Greeting(Dialling::new(local, to)),
            since: now,
            heard_at: now,
            sent: VecDeque::new(),
        }
    }

    /// Adds a message to what is to be written; `false` if it was dropped.
    pub(super) fn push(&mut self, message: PeerMessage) -> bool {
        let Dialled::Open(outgoing) = &mut self.state else {
            return false;
        };
        let fits = outgoing.push(&message).is_ok();
        if fits {
            self.sent.push_back(message);
        }
        fits
    }

    /// Takes what the other end has written.
    pub(super) fn hears(&mut self, bytes: &[u8], now: u64) -> Result<(), LinkError> {
        if let Dialled::Greeting(dialling) = &mut self.state {
            dialling.feed(bytes);
            if let Some(outgoing) = dialling.introduced()? {
                self.state = Dialled::Open(outgoing);
                self.since = now;
            }
        }
        Ok(())
    }

    /// How long the connection was good for something, if it was.
    pub(super) fn lasted(&self, now: u64) -> Option<Duration> {
        match self.state {
            Dialled::Open(_) => Some(Duration::from_nanos(now.saturating_sub(self.since))),
            Dialled::Greeting(_) => None,
        }
    }

    /// Whether nothing was heard for too long.
    pub(super) fn is_late(&self, now: u64) -> bool {
        let limit = match self.state {
            Dialled::Open(_) => SILENCE_LIMIT,
            Dialled::Greeting(_) => HANDSHAKE_TIMEOUT,
        };
        now.saturating_sub(self.heard_at) > nanos(limit)
    }
}

impl AcceptEnd {
    /// The end of a connection from somebody who has not said yet who it is.
    pub(super) fn new(now: u64) -> Self {
        Self {
            state: Accepted::Greeting(Stranger::new()),
            heard_at: now,
        }
    }

    pub(super) fn is_late(&self, now: u64) -> bool {
        let limit = match self.state {
            Accepted::Open(_) => SILENCE_LIMIT,
            Accepted::Greeting(_) => HANDSHAKE_TIMEOUT,
        };
        now.saturating_sub(self.heard_at) > nanos(limit)
    }
}

impl Stream {
    /// Whether the end that writes this way has gone through its handshake.
    pub(super) const fn speaks(&self, way: Way) -> bool {
        match way {
            Way::Out => matches!(self.dialled.state, Dialled::Open(_)),
            Way::Back => matches!(self.accepted.state, Accepted::Open(_)),
        }
    }
}

/// A duration in nanoseconds.
pub(super) fn nanos(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}
