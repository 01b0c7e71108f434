//! What a node's transport does with connections: one dialled to every peer, and dialled again
//! when it is lost; one accepted from each. What an end decides is the product's (`quorate::link`);
//! this file has the part of the tasks around it. How bytes travel is in `streams.rs`.

use std::collections::{BTreeMap, VecDeque};

use bytes::Buf;
use quorate::PeerMessage;
use quorate::link::{Backoff, CONNECT_TIMEOUT, Guests, Local, SIGN_OF_LIFE_EVERY};
use quorate::wire::EncodedFrames;
use quorate_core::NodeId;

use super::ends::{AcceptEnd, Accepted, DialEnd, Dialled, nanos};
use super::streams::{Piece, Stream, StreamId, Way};
use super::{Happening, System};
use crate::check::{Check, LifeId, Property, broken};
use crate::goals::Goal;
use crate::world::network::travel;

/// The longest frame.
pub(super) const MAX_FRAME_BYTES: u32 = 1 << 20;

/// The connections of one life.
#[derive(Debug)]
pub(super) struct Links {
    pub(super) local: Local,
    peers: BTreeMap<NodeId, Peer>,
    guests: Guests,
    /// The newest connection accepted from each.
    accepted: BTreeMap<NodeId, StreamId>,
    /// Connections to which this turn has something to write.
    dirty: Vec<StreamId>,
    /// What arrived while the process was paused.
    pub(super) backlog: VecDeque<(StreamId, Way, Piece)>,
}

/// A peer, or a guest that was to be told something.
#[derive(Debug)]
struct Peer {
    stream: Option<StreamId>,
    backoff: Backoff,
    is_guest: bool,
}

impl Links {
    /// A transport that has no connections yet.
    pub(super) fn new(local: Local) -> Self {
        Self {
            local,
            peers: BTreeMap::new(),
            guests: Guests::default(),
            accepted: BTreeMap::new(),
            dirty: Vec::new(),
            backlog: VecDeque::new(),
        }
    }

    fn peer(&self, to: NodeId, is_guest: bool) -> Peer {
        let seed = self.local.incarnation.get() ^ to.get();
        Peer {
            stream: None,
            backoff: Backoff::new(seed),
            is_guest,
        }
    }
}

impl System {
    /// The connections of a life, for a violation.
    pub(super) fn links_of(&self, life: &super::node::Life) -> String {
        let state = |peer: &Peer| {
            let stream = peer.stream.map(|id| (id, self.streams.find(id)));
            match stream {
                None => "-".to_owned(),
                Some((id, None)) => format!("{id:?} gone"),
                Some((id, Some(stream))) => format!(
                    "{id:?} open {} there {} closed {}/{}",
                    stream.speaks(Way::Out),
                    stream.speaks(Way::Back),
                    stream.is_closed(Way::Out),
                    stream.is_closed(Way::Back),
                ),
            }
        };
        let peers = life.links.peers.iter();
        let peers = peers.map(|(node, peer)| format!("{node}: {}", state(peer)));
        peers.collect::<Vec<_>>().join(", ")
    }

    /// Sets whom a life reaches from now on.
    pub(super) fn set_peers(&mut self, id: LifeId, wanted: &[NodeId]) {
        let Some(life) = self.life(id) else { return };
        life.links.guests.forget();
        let links = &mut life.links;
        let is_gone = |node: &NodeId| !wanted.contains(node);
        let gone = links.peers.extract_if(.., |node, _| is_gone(node));
        let gone: Vec<StreamId> = gone.filter_map(|(_, peer)| peer.stream).collect();
        let strangers = links.accepted.extract_if(.., |node, _| is_gone(node));
        let strangers: Vec<StreamId> = strangers.map(|(_, stream)| stream).collect();
        let mut fresh = Vec::new();
        for &node in wanted.iter().filter(|node| **node != id.node) {
            let known = links.peers.contains_key(&node);
            let peer = links.peer(node, false);
            links.peers.entry(node).or_insert(peer).is_guest = false;
            fresh.extend((!known).then_some(node));
        }
        for stream in gone {
            // What was said to it before still leaves.
            self.flush(stream);
            self.close(stream, Way::Out);
        }
        for stream in strangers {
            self.close(stream, Way::Back);
        }
        for node in fresh {
            self.agenda.push(self.now, Happening::Dial(id, node));
        }
    }

    /// A life dials a peer.
    pub(super) fn dial(&mut self, id: LifeId, to: NodeId) -> Check {
        let now = self.now;
        let Some(life) = self.life(id) else {
            return Ok(());
        };
        let links = &mut life.links;
        let Some(peer) = links.peers.get_mut(&to) else {
            return Ok(());
        };
        if peer.stream.is_some() {
            return Ok(());
        }
        let dialled = DialEnd::new(&links.local, to, now);
        let accepted = AcceptEnd::new(now);
        let stream = Stream::new(id, to, dialled, accepted);
        let stream = self.streams.add(stream);
        self.note(|| format!("{id} dials {to}: {stream:?}"));
        if let Some(peer) = self.peer(id, to) {
            peer.stream = Some(stream);
        }
        let travels = travel(&self.knobs.network, &mut self.choices);
        self.agenda.push(now + travels, Happening::Connect(stream));
        Ok(())
    }

    /// An attempt reaches the machine that was dialled, or nobody.
    pub(super) fn connect(&mut self, id: StreamId) -> Check {
        let now = self.now;
        let Some((dialler, to)) = self.streams.get(id).map(|it| (it.dialler, it.to)) else {
            return Ok(());
        };
        let (there, back) = ((dialler.node, to), (to, dialler.node));
        let is_cut = self.network.is_cut(there.0, there.1) || self.network.is_cut(back.0, back.1);
        let acceptor = self.nodes[to].life.as_deref().map(|life| life.id);
        let is_wanted = self.life(dialler).is_some();
        let stream = self.streams.get(id);
        match (acceptor, stream) {
            (Some(acceptor), Some(stream)) if !is_cut && is_wanted => {
                stream.acceptor = Some(acceptor);
                stream.accepted.heard_at = now;
                let hello = match &stream.dialled.state {
                    Dialled::Greeting(dialling) => dialling.hello(),
                    Dialled::Open(_) => return Ok(()),
                };
                self.agenda
                    .push(now + nanos(SIGN_OF_LIFE_EVERY), Happening::Beat(id));
                self.write(id, Way::Out, hello);
            }
            _ => {
                self.note(|| format!("{dialler} cannot reach {to}: {id:?}"));
                self.streams.remove(id);
                let patience = if is_cut { nanos(CONNECT_TIMEOUT) } else { 0 };
                self.redial(dialler, to, patience);
            }
        }
        Ok(())
    }

    /// The connection to a peer is lost or did not come about: dials again after a while.
    fn redial(&mut self, id: LifeId, to: NodeId, patience: u64) {
        let Some(peer) = self.peer(id, to) else {
            return;
        };
        peer.stream = None;
        if peer.is_guest {
            if let Some(life) = self.life(id) {
                life.links.peers.remove(&to);
            }
            return;
        }
        let pause = nanos(peer.backoff.next_delay());
        self.agenda
            .push(self.now + patience + pause, Happening::Dial(id, to));
    }

    /// The connection that a life dialled to a node, as long as there is one.
    pub(super) fn stream_to(&self, life: &super::node::Life, to: NodeId) -> Option<&Stream> {
        self.streams.find(life.links.peers.get(&to)?.stream?)
    }

    fn peer(&mut self, id: LifeId, to: NodeId) -> Option<&mut Peer> {
        self.life(id)?.links.peers.get_mut(&to)
    }

    /// A message leaves a life for another node, if there is a connection.
    pub(super) fn send(&mut self, id: LifeId, to: NodeId, message: PeerMessage) {
        let Some(life) = self.nodes[id.node].life.as_deref_mut() else {
            return;
        };
        let links = &mut life.links;
        let Some(peer) = links.peers.get(&to) else {
            if links.guests.address(to).is_some() {
                let guest = links.peer(to, true);
                links.peers.insert(to, guest);
                self.agenda.push(self.now, Happening::Dial(id, to));
            }
            return;
        };
        let name = peer.stream;
        let stream = name.and_then(|stream| self.streams.get(stream));
        let end = stream.map(|stream| &mut stream.dialled);
        match (end, name) {
            (Some(end), Some(name)) => {
                let is_taken = end.push(message);
                self.goals
                    .reach_if(is_taken && peer.is_guest, Goal::GuestAnswered);
                self.counts.sent += u64::from(is_taken);
                self.counts.lost += u64::from(!is_taken);
                if is_taken && !links.dirty.contains(&name) {
                    links.dirty.push(name);
                }
            }
            (None, _) | (_, None) => self.counts.lost += 1,
        }
    }

    /// Writes what a turn had to say.
    pub(super) fn flush_all(&mut self, id: LifeId) {
        let Some(life) = self.life(id) else { return };
        let mut dirty = std::mem::take(&mut life.links.dirty);
        for stream in dirty.drain(..) {
            self.flush(stream);
        }
        if let Some(life) = self.life(id) {
            life.links.dirty = dirty;
        }
    }

    fn flush(&mut self, id: StreamId) {
        let Some(stream) = self.streams.get(id) else {
            return;
        };
        if let Dialled::Open(outgoing) = &mut stream.dialled.state {
            let frames = outgoing.unwritten();
            if frames.has_remaining() {
                let bytes = frames.copy_to_bytes(frames.remaining());
                self.write(id, Way::Out, bytes);
            }
        }
    }

    /// Now and then: signs of life, and silence noticed.
    pub(super) fn beat(&mut self, id: StreamId) -> Check {
        let now = self.now;
        let Some(stream) = self.streams.get(id) else {
            return Ok(());
        };
        let ends = [
            (Some(stream.dialler), Way::Out, stream.dialled.is_late(now)),
            (stream.acceptor, Way::Back, stream.accepted.is_late(now)),
        ];
        let mut is_used = false;
        for (life, way, is_late) in ends {
            let is_open = self.streams.get(id).is_some_and(|it| !it.is_closed(way));
            let Some(life) = life.and_then(|life| self.life(life)).filter(|_| is_open) else {
                continue;
            };
            is_used = true;
            if life.is_paused {
                continue;
            }
            if is_late {
                self.counts.silences += 1;
                self.goals.reach(Goal::SilenceNoticed);
                self.close(id, way);
            } else if self.streams.get(id).is_some_and(|it| it.speaks(way)) {
                let mut frames = EncodedFrames::new();
                frames.push_sign_of_life();
                self.write(id, way, frames.into_bytes());
            }
        }
        if is_used {
            self.agenda
                .push(now + nanos(SIGN_OF_LIFE_EVERY), Happening::Beat(id));
        } else {
            self.streams.remove(id);
        }
        Ok(())
    }

    /// An end closes its connection; the other end hears of it.
    pub(super) fn close(&mut self, id: StreamId, way: Way) {
        let now = self.now;
        let Some(stream) = self.streams.get(id) else {
            return;
        };
        let (dialler, to, acceptor) = (stream.dialler, stream.to, stream.acceptor);
        let lasted = stream.dialled.lasted(now);
        if !stream.close(way) {
            return;
        }
        self.note(|| format!("{id:?} from {dialler} to {to} is closed {way:?}"));
        self.shut(id, way);
        match way {
            Way::Out => {
                let current = self.peer(dialler, to);
                if let Some(peer) = current.filter(|peer| peer.stream == Some(id)) {
                    if let Some(lasted) = lasted {
                        peer.backoff.reset_after(lasted);
                    }
                    self.redial(dialler, to, 0);
                }
            }
            Way::Back => {
                if let Some(life) = acceptor.and_then(|acceptor| self.life(acceptor)) {
                    life.links.accepted.retain(|_, newest| *newest != id);
                }
            }
        }
    }

    /// A piece has arrived at an end whose process runs.
    pub(super) fn take_piece(&mut self, id: StreamId, way: Way, piece: Piece) -> Check {
        let now = self.now;
        let Some(stream) = self.streams.get(id) else {
            return Ok(());
        };
        if stream.is_closed(way.other()) {
            return Ok(());
        }
        match (way, piece) {
            (Way::Out | Way::Back, Piece::End) => {
                self.close(id, way.other());
                Ok(())
            }
            (Way::Back, Piece::Bytes(bytes)) => {
                stream.dialled.heard_at = now;
                if stream.dialled.hears(&bytes, now).is_err() {
                    let is_wrong = stream.is_damaged(Way::Back);
                    self.goals.reach_if(is_wrong, Goal::HandshakeCorrupted);
                    self.close(id, Way::Out);
                }
                Ok(())
            }
            (Way::Out, Piece::Bytes(bytes)) => {
                stream.accepted.heard_at = now;
                match &mut stream.accepted.state {
                    Accepted::Greeting(stranger) => stranger.feed(&bytes),
                    Accepted::Open(incoming) => incoming.feed(&bytes),
                }
                self.introduce(id);
                self.hear_all(id)
            }
        }
    }

    /// Who dialled says so, if it has not yet.
    fn introduce(&mut self, id: StreamId) {
        let Some(stream) = self.streams.get(id) else {
            return;
        };
        let Some(acceptor) = stream.acceptor else {
            return;
        };
        let Accepted::Greeting(stranger) = &mut stream.accepted.state else {
            return;
        };
        let Some(life) = self.nodes[acceptor.node].life.as_deref_mut() else {
            return;
        };
        let Links {
            local,
            peers,
            guests,
            accepted,
            ..
        } = &mut life.links;
        let introduced = stranger.introduced(local, |hello| {
            let is_peer = peers.get(&hello.from).is_some_and(|peer| !peer.is_guest);
            is_peer || guests.welcome(hello.from, &hello.address)
        });
        let answer = stranger.answer();
        let mut older = None;
        let is_refused = introduced.is_err();
        let is_wrong = is_refused && stream.is_damaged(Way::Out);
        self.goals.reach_if(is_wrong, Goal::HandshakeCorrupted);
        if let Ok(Some(incoming)) = introduced {
            older = accepted.insert(incoming.hello().from, id);
            stream.accepted.state = Accepted::Open(Box::new(incoming));
        }
        if let Some(answer) = answer {
            self.write(id, Way::Back, answer);
        }
        if is_refused {
            self.close(id, Way::Back);
        }
        if let Some(older) = older {
            // What is still on its way on the older one is read by nobody.
            self.counts.reconnects += 1;
            let is_used = self
                .streams
                .find(older)
                .is_some_and(|it| it.carries(Way::Out));
            self.goals.reach_if(is_used, Goal::ReconnectInFlight);
            if self
                .streams
                .get(older)
                .is_some_and(|it| it.close(Way::Back))
            {
                self.shut(older, Way::Back);
            }
        }
    }

    /// Every message that has arrived whole.
    fn hear_all(&mut self, id: StreamId) -> Check {
        let mut heard = false;
        while let Some((acceptor, from, message, said)) = self.next_message(id) {
            if said.as_ref() != Some(&message) {
                return broken(
                    Property::WireTruth,
                    format_args!("{acceptor} hears {message:?} from {from}, which said {said:?}"),
                );
            }
            heard = true;
            self.hear(acceptor, from, message)?;
        }
        if heard { self.turn_of(id) } else { Ok(()) }
    }

    /// The next message of a stream, with who hears it, who speaks, and what was said next there.
    fn next_message(
        &mut self,
        id: StreamId,
    ) -> Option<(LifeId, NodeId, PeerMessage, Option<PeerMessage>)> {
        let stream = self.streams.get(id)?;
        let acceptor = stream.acceptor?;
        let Accepted::Open(incoming) = &mut stream.accepted.state else {
            return None;
        };
        let from = incoming.hello().from;
        if let Ok(message) = incoming.next_message() {
            let message = message?;
            let said = stream.dialled.sent.pop_front();
            return Some((acceptor, from, message, said));
        }
        let is_wrong = stream.is_damaged(Way::Out);
        self.goals.reach_if(is_wrong, Goal::CorruptionNoticed);
        self.close(id, Way::Back);
        None
    }
}
