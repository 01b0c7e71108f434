//! Connections as the operating systems and the network between them carry them: two pipes of
//! bytes each, in order, with delays; pieces are split, held back while a link is cut, damaged,
//! or lost with the connection. What the bytes say is in `links.rs`.

use std::collections::{BTreeMap, VecDeque};

use bytes::Bytes;
use quorate_core::NodeId;

use super::ends::{AcceptEnd, DialEnd};
use super::{Happening, System};
use crate::check::LifeId;
use crate::site::Site;

/// Names a connection; never used again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct StreamId(u64);

/// One of the two directions of a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Way {
    /// From who dialled to who accepted.
    Out,
    /// From who accepted to who dialled.
    Back,
}

impl Way {
    /// The other direction.
    pub(super) const fn other(self) -> Self {
        match self {
            Self::Out => Self::Back,
            Self::Back => Self::Out,
        }
    }
}

/// What travels.
#[derive(Clone, Debug)]
pub(super) enum Piece {
    /// Some bytes.
    Bytes(Bytes),
    /// The sender has closed its end.
    End,
}

/// One direction.
#[derive(Debug, Default)]
struct Pipe {
    /// On the way, oldest first; each has its happening.
    in_flight: VecDeque<Piece>,
    /// Sent while the link was cut, and sent again when it works.
    held: VecDeque<Piece>,
    /// When the newest piece arrives.
    newest_arrival: u64,
    /// What arrived until then was held up, or comes after something that was.
    late_until: u64,
    /// Nothing is written any more.
    is_shut: bool,
    /// A bit was wrong in something that was written.
    is_damaged: bool,
}

/// A connection, or an attempt at one.
#[derive(Debug)]
pub(super) struct Stream {
    pub(super) dialler: LifeId,
    pub(super) to: NodeId,
    /// Who accepted it; `None` while nobody did.
    pub(super) acceptor: Option<LifeId>,
    pub(super) dialled: DialEnd,
    pub(super) accepted: AcceptEnd,
    out: Pipe,
    back: Pipe,
    /// The ends that were closed: who writes out, and who writes back.
    closed: (bool, bool),
}

impl Stream {
    pub(super) fn new(dialler: LifeId, to: NodeId, dialled: DialEnd, accepted: AcceptEnd) -> Self {
        Self {
            dialler,
            to,
            acceptor: None,
            dialled,
            accepted,
            out: Pipe::default(),
            back: Pipe::default(),
            closed: (false, false),
        }
    }

    /// Whether the end that writes this way was closed.
    pub(super) const fn is_closed(&self, way: Way) -> bool {
        match way {
            Way::Out => self.closed.0,
            Way::Back => self.closed.1,
        }
    }

    /// Closes the end that writes this way. Whether it was open.
    pub(super) const fn close(&mut self, way: Way) -> bool {
        let end = match way {
            Way::Out => &mut self.closed.0,
            Way::Back => &mut self.closed.1,
        };
        !std::mem::replace(end, true)
    }

    /// The life that reads what travels this way.
    pub(super) const fn reader(&self, way: Way) -> Option<LifeId> {
        match way {
            Way::Out => self.acceptor,
            Way::Back => Some(self.dialler),
        }
    }

    /// Whether something that was written this way arrives with a wrong bit, or has.
    pub(super) const fn is_damaged(&self, way: Way) -> bool {
        match way {
            Way::Out => self.out.is_damaged,
            Way::Back => self.back.is_damaged,
        }
    }

    /// Until when something was or is held up this way.
    pub(super) const fn late_until(&self, way: Way) -> u64 {
        match way {
            Way::Out => self.out.late_until,
            Way::Back => self.back.late_until,
        }
    }

    /// Whether bytes are on this way.
    pub(super) fn carries(&self, way: Way) -> bool {
        let pipe = match way {
            Way::Out => &self.out,
            Way::Back => &self.back,
        };
        let mut pieces = pipe.in_flight.iter().chain(&pipe.held);
        pieces.any(|piece| matches!(piece, Piece::Bytes(_)))
    }

    const fn pipe(&mut self, way: Way) -> &mut Pipe {
        match way {
            Way::Out => &mut self.out,
            Way::Back => &mut self.back,
        }
    }

    /// The link that a direction runs over.
    const fn link(&self, way: Way) -> (NodeId, NodeId) {
        match way {
            Way::Out => (self.dialler.node, self.to),
            Way::Back => (self.to, self.dialler.node),
        }
    }
}

/// All connections.
#[derive(Debug, Default)]
pub(super) struct Streams {
    streams: BTreeMap<StreamId, Stream>,
    last: u64,
}

impl Streams {
    /// Takes in a new one.
    pub(super) fn add(&mut self, stream: Stream) -> StreamId {
        self.last += 1;
        self.streams.insert(StreamId(self.last), stream);
        StreamId(self.last)
    }

    /// The connection of this name, if an end of it is left.
    pub(super) fn get(&mut self, id: StreamId) -> Option<&mut Stream> {
        self.streams.get_mut(&id)
    }

    /// The same, to look at.
    pub(super) fn find(&self, id: StreamId) -> Option<&Stream> {
        self.streams.get(&id)
    }

    /// Both ends are gone.
    pub(super) fn remove(&mut self, id: StreamId) {
        self.streams.remove(&id);
    }

    /// Those with an end in this life, and the way to the other end.
    pub(super) fn of(&self, life: LifeId) -> Vec<(StreamId, Way)> {
        let ends = |(id, stream): (&StreamId, &Stream)| {
            let dialled = (stream.dialler == life).then_some((*id, Way::Out));
            let accepted = (stream.acceptor == Some(life)).then_some((*id, Way::Back));
            dialled.or(accepted)
        };
        self.streams.iter().filter_map(ends).collect()
    }

    /// The names of all.
    pub(super) fn ids(&self) -> Vec<StreamId> {
        self.streams.keys().copied().collect()
    }
}

impl System {
    /// An end writes bytes. They may arrive in pieces, and one bit of them may be wrong.
    pub(super) fn write(&mut self, id: StreamId, way: Way, mut bytes: Bytes) {
        let (corrupt_ppm, split_ppm) = (self.knobs.stream.corrupt_ppm, self.knobs.stream.split_ppm);
        if self.choices.chance(corrupt_ppm, Site::Corrupt) {
            self.counts.corrupted += 1;
            let bit = self.choices.choose(bytes.len() as u64 * 8, Site::Corrupt);
            let mut damaged = bytes.to_vec();
            if let Some(byte) = damaged.get_mut(bit as usize / 8) {
                *byte ^= 1 << (bit % 8);
            }
            bytes = damaged.into();
            if let Some(stream) = self.streams.get(id) {
                stream.pipe(way).is_damaged = true;
            }
        }
        while bytes.len() > 1 && self.choices.chance(split_ppm, Site::Split) {
            let at = 1 + self.choices.choose(bytes.len() as u64 - 1, Site::Split);
            let first = bytes.split_to(at as usize);
            self.carry(id, way, Piece::Bytes(first));
        }
        self.carry(id, way, Piece::Bytes(bytes));
    }

    /// An end is closed: what it wrote arrives before that does.
    pub(super) fn shut(&mut self, id: StreamId, way: Way) {
        self.carry(id, way, Piece::End);
        if let Some(stream) = self.streams.get(id) {
            stream.pipe(way).is_shut = true;
        }
    }

    /// Sends a piece on its way.
    fn carry(&mut self, id: StreamId, way: Way, piece: Piece) {
        let Some(stream) = self.streams.get(id) else {
            return;
        };
        let (from, to) = stream.link(way);
        let pipe = stream.pipe(way);
        if pipe.is_shut {
            return;
        }
        if self.network.is_cut(from, to) || !pipe.held.is_empty() {
            pipe.held.push_back(piece);
            return;
        }
        let travels = crate::world::network::travel(&self.knobs.network, &mut self.choices);
        let at = (self.now + travels).max(pipe.newest_arrival);
        pipe.newest_arrival = at;
        if at > self.now + self.knobs.network.delay_max {
            pipe.late_until = at;
        }
        pipe.in_flight.push_back(piece);
        self.agenda.push(at, Happening::Arrive(id, way));
    }

    /// The oldest piece on the way has arrived.
    pub(super) fn arrive(&mut self, id: StreamId, way: Way) -> crate::check::Check {
        let Some(stream) = self.streams.get(id) else {
            return Ok(());
        };
        let Some(piece) = stream.pipe(way).in_flight.pop_front() else {
            return Ok(());
        };
        let Some(reader) = stream.reader(way) else {
            return Ok(());
        };
        match self.life(reader) {
            Some(life) if life.is_paused => {
                life.links.backlog.push_back((id, way, piece));
                Ok(())
            }
            Some(_) => self.take_piece(id, way, piece),
            None => {
                // Whoever writes to an end that is gone hears so, if the machine runs again.
                if self.nodes[reader.node].life.is_some() {
                    self.shut(id, way.other());
                }
                Ok(())
            }
        }
    }

    /// A link works again: what was held back is sent again.
    pub(super) fn send_held(&mut self) {
        for id in self.streams.ids() {
            for way in [Way::Out, Way::Back] {
                let Some(stream) = self.streams.get(id) else {
                    continue;
                };
                let (from, to) = stream.link(way);
                if self.network.is_cut(from, to) {
                    continue;
                }
                let pipe = stream.pipe(way);
                let held = std::mem::take(&mut pipe.held);
                if !held.is_empty() {
                    pipe.late_until = pipe.late_until.max(self.now);
                }
                let was_shut = std::mem::replace(&mut pipe.is_shut, false);
                held.into_iter()
                    .for_each(|piece| self.carry(id, way, piece));
                if let Some(stream) = self.streams.get(id) {
                    stream.pipe(way).is_shut = was_shut;
                }
            }
        }
    }
}
