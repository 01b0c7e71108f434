//! Numbers as events: one function for each kind, listed in `EVENTS`; the kinds of message are in
//! `bodies.rs`. A new variant gets a function, a line in its list, and a name: the compiler asks
//! for the name, and the tests then ask for a run in which it happens.

use std::time::Duration;

use bytes::Bytes;
use quorate_core::{
    Body, Change, ChangeId, Engine, Entries, Entry, EntryId, Event, Incarnation, LoadId,
    LoadOutcome, LogIndex, Membership, Message, NodeId, Payload, ProposalId, ReadId, Round,
    SnapshotMeta, Term, Time, TransferId, WriteId,
};

use crate::bodies::BODIES;
use crate::draw::Draw;
use crate::host::Host;

/// What the next event is drawn from.
pub(crate) struct Scene<'a, 'b> {
    pub(crate) draw: &'a mut Draw<'b>,
    pub(crate) engine: &'a Engine,
    pub(crate) host: &'a Host,
}

type DrawEvent = fn(&mut Scene<'_, '_>) -> Event;

/// The kinds of event; more than once where more of them reach more.
const EVENTS: [DrawEvent; 24] = [
    tick,
    receive,
    receive,
    receive,
    receive,
    receive,
    receive,
    persisted,
    persisted,
    propose,
    read,
    applied,
    loaded,
    change,
    change,
    transfer,
    transfer,
    snapshot_taken,
    snapshot_failed,
    snapshot_progress,
    snapshot_received,
    snapshot_lost,
    room,
    storage_failed,
];

/// The next event for `engine`, whose host remembers `host`.
pub(crate) fn event(draw: &mut Draw<'_>, engine: &Engine, host: &Host) -> Event {
    let kind = draw.pick(&EVENTS);
    kind(&mut Scene { draw, engine, host })
}

fn tick(scene: &mut Scene<'_, '_>) -> Event {
    let now = match scene.draw.up_to(7) {
        0..=4 => scene.engine.next_timeout().at.min(hour_after(scene.host)),
        5 => scene
            .host
            .now
            .after(Duration::from_millis(scene.draw.up_to(255))),
        6 => scene
            .host
            .now
            .after(Duration::from_secs(scene.draw.up_to(20))),
        // Clocks do not run backwards, but hosts have bugs.
        _ => Time::from_nanos(scene.draw.near(scene.host.now.as_nanos())),
    };
    Event::Tick { now }
}

/// Nothing may be due for ever, and then there would be no time left.
fn hour_after(host: &Host) -> Time {
    host.now.after(Duration::from_secs(3600))
}

fn receive(scene: &mut Scene<'_, '_>) -> Event {
    let from = scene.node();
    let to = if scene.draw.up_to(15) == 15 {
        scene.node()
    } else {
        scene.engine.status().id
    };
    let term = scene.term();
    let (sender, receiver) = match scene.draw.up_to(7) {
        0..=5 => (2000 + from.get() % 8, 1001),
        6 => (2000 + from.get() % 8, 0),
        _ => (scene.draw.near(2000), scene.draw.near(1001)),
    };
    let body = scene.draw.pick(&BODIES)(scene, term);
    Event::Receive(Message {
        from,
        to,
        term,
        sender: Incarnation::new(sender),
        receiver: Incarnation::new(receiver),
        body,
    })
}

fn persisted(scene: &mut Scene<'_, '_>) -> Event {
    Event::Persisted(WriteId::new(scene.draw.near(scene.host.write.get())))
}

fn propose(scene: &mut Scene<'_, '_>) -> Event {
    let command = scene
        .draw
        .pick(&["", "a", "bc", "long enough to be refused"]);
    let count = scene.draw.pick(&[1, 1, 2, 3, 0]);
    Event::Propose {
        proposal: ProposalId::new(scene.draw.near(0)),
        commands: vec![Bytes::from_static(command.as_bytes()); count],
    }
}

fn read(scene: &mut Scene<'_, '_>) -> Event {
    Event::Read {
        read: scene.read_id(),
    }
}

fn applied(scene: &mut Scene<'_, '_>) -> Event {
    Event::Applied(LogIndex::new(scene.draw.near(scene.host.handed.get())))
}

fn loaded(scene: &mut Scene<'_, '_>) -> Event {
    let asked = scene.host.load;
    let outcome = match scene.draw.up_to(7) {
        0..=3 => LoadOutcome::Found(scene.host.entries(asked.from, asked.to)),
        4 => {
            let to = LogIndex::new(scene.draw.near(asked.to.get()));
            LoadOutcome::Found(scene.host.entries(asked.from, to))
        }
        5 => {
            let before = scene.id();
            LoadOutcome::Found(scene.entries(before, before.term))
        }
        6 => LoadOutcome::Gone,
        _ => LoadOutcome::Failed,
    };
    Event::Loaded {
        load: LoadId::new(scene.draw.near(asked.id.get())),
        outcome,
    }
}

fn change(scene: &mut Scene<'_, '_>) -> Event {
    let node = scene.node();
    let address = scene.draw.pick(&["a:1", "", "b:2"]).to_owned();
    let what = match scene.draw.up_to(4) {
        0 => Change::AddLearner { node, address },
        1 => Change::Promote { node },
        2 => Change::AddVoter { node, address },
        3 => Change::Remove { node },
        _ => Change::UpdateAddress { node, address },
    };
    let change = ChangeId::new(scene.draw.near(0));
    Event::ChangeMembership { change, what }
}

fn transfer(scene: &mut Scene<'_, '_>) -> Event {
    let transfer = TransferId::new(scene.draw.near(0));
    let target = scene.draw.flag().then(|| scene.node());
    Event::TransferLeadership { transfer, target }
}

/// Mostly labelled as an honest host would.
fn snapshot_taken(scene: &mut Scene<'_, '_>) -> Event {
    let applied = scene.engine.status().applied;
    let index = LogIndex::new(scene.draw.near(applied.get()));
    let (membership_index, membership) = scene.engine.membership_at(index);
    let mut snapshot = SnapshotMeta {
        last: scene.host.id_at(index),
        membership: membership.clone(),
        membership_index,
        length: 1,
        checksum: 1,
    };
    if scene.draw.up_to(7) == 7 {
        snapshot = scene.snapshot();
    }
    Event::SnapshotTaken(snapshot)
}

fn snapshot_failed(_: &mut Scene<'_, '_>) -> Event {
    Event::SnapshotFailed
}

fn snapshot_progress(scene: &mut Scene<'_, '_>) -> Event {
    let bytes = scene.draw.near(10);
    let (last, checksum) = scene.wanted();
    Event::SnapshotProgress {
        last,
        checksum,
        bytes,
    }
}

fn snapshot_received(scene: &mut Scene<'_, '_>) -> Event {
    let (last, checksum) = scene.wanted();
    Event::SnapshotReceived { last, checksum }
}

fn snapshot_lost(scene: &mut Scene<'_, '_>) -> Event {
    let (last, checksum) = scene.wanted();
    Event::SnapshotLost { last, checksum }
}

fn room(scene: &mut Scene<'_, '_>) -> Event {
    let bytes = scene
        .draw
        .pick(&[u64::MAX, u64::MAX, 1 << 30, 70_000, 100, 0]);
    Event::Room { bytes }
}

/// Seldom, as nothing happens after it.
fn storage_failed(scene: &mut Scene<'_, '_>) -> Event {
    if scene.draw.up_to(31) == 31 {
        Event::StorageFailed
    } else {
        Event::Persisted(scene.host.write)
    }
}

impl Scene<'_, '_> {
    /// Mostly a peer; sometimes the node itself, or nobody it knows.
    pub(crate) fn node(&mut self) -> NodeId {
        let id = self
            .draw
            .pick(&[2, 2, 2, 3, 3, 3, 4, 5, 1, 7, 77, u64::MAX]);
        NodeId::new(id).unwrap_or(self.engine.status().id)
    }

    pub(crate) fn term(&mut self) -> Term {
        Term::new(self.draw.near(self.engine.hard_state().term.get()))
    }

    pub(crate) fn round(&mut self) -> Round {
        Round::new(self.draw.near(self.host.round.get()))
    }

    pub(crate) fn read_id(&mut self) -> ReadId {
        ReadId::new(self.draw.near(0))
    }

    /// Some voters and learners; sometimes nobody.
    pub(crate) fn membership(&mut self) -> Membership {
        let voters = (1..=self.draw.up_to(5)).filter_map(NodeId::new);
        let skipped = self.draw.pick(&[0, 0, 0, 1, 2]);
        Membership::new(
            voters.skip(skipped),
            NodeId::new(self.draw.pick(&[0, 0, 1, 4])),
        )
    }

    /// Mostly ahead of the log, as one that is offered.
    pub(crate) fn snapshot(&mut self) -> SnapshotMeta {
        let (index, term) = (self.engine.last().index, self.engine.hard_state().term);
        let ahead = EntryId::new(LogIndex::new(self.draw.near(index.plus(3).get())), term);
        let last = if self.draw.up_to(3) > 0 {
            ahead
        } else {
            self.id()
        };
        SnapshotMeta {
            last,
            membership: self.membership(),
            membership_index: LogIndex::new(self.draw.up_to(2)),
            length: 10,
            checksum: self.draw.up_to(1),
        }
    }

    /// Mostly the snapshot that was asked for last.
    pub(crate) fn wanted(&mut self) -> (EntryId, u64) {
        if self.draw.up_to(7) > 0 {
            self.host.wanted
        } else {
            (self.id(), self.draw.up_to(1))
        }
    }

    /// Mostly the last entry or another of the log, or none.
    pub(crate) fn id(&mut self) -> EntryId {
        let last = self.engine.last();
        match self.draw.up_to(7) {
            0..=3 => last,
            4 | 5 => {
                let index = LogIndex::new(self.draw.near(last.index.get()));
                self.host.id_at(index)
            }
            _ => EntryId::new(
                LogIndex::new(self.draw.near(last.index.get())),
                Term::new(self.draw.near(last.term.get())),
            ),
        }
    }

    /// Entries that may follow `prev` in `term`; sometimes with gaps, falling terms and any index.
    pub(crate) fn entries(&mut self, prev: EntryId, term: Term) -> Entries {
        let count = self.draw.pick(&[0, 1, 1, 2, 4]);
        let is_sound = self.draw.up_to(7) > 0;
        let mut entries = Vec::new();
        for offset in 1..=count {
            let (index, term) = if is_sound {
                (prev.index.plus(offset), term)
            } else {
                let index = self.draw.near(prev.index.get());
                (LogIndex::new(index), Term::new(self.draw.near(term.get())))
            };
            let payload = match self.draw.pick(&["", "x", "yz", "members", "broken"]) {
                "" => Payload::Noop,
                "members" => Payload::Membership(self.membership().encode()),
                "broken" if !is_sound => Payload::Membership(Bytes::from_static(b"\x01broken")),
                command => Payload::Command(Bytes::from_static(command.as_bytes())),
            };
            entries.push(Entry {
                index,
                term,
                payload,
            });
        }
        entries.into()
    }
}

/// What [`name`] can answer.
#[cfg(test)]
pub(crate) const KINDS: [&str; 27] = [
    "tick",
    "pre-vote",
    "pre-vote reply",
    "vote",
    "vote reply",
    "append",
    "append reply",
    "read index",
    "read index reply",
    "propose",
    "read",
    "persisted",
    "storage failed",
    "loaded",
    "applied",
    "snapshot offer",
    "snapshot reply",
    "timeout now",
    "removed",
    "change membership",
    "transfer leadership",
    "snapshot taken",
    "snapshot failed",
    "snapshot progress",
    "snapshot received",
    "snapshot lost",
    "room",
];

/// The kind of an event. No wildcard: a new one has to get its function above.
pub(crate) const fn name(event: &Event) -> &'static str {
    match event {
        Event::Tick { .. } => "tick",
        Event::Receive(message) => match message.body {
            Body::PreVote { .. } => "pre-vote",
            Body::PreVoteReply { .. } => "pre-vote reply",
            Body::Vote { .. } => "vote",
            Body::VoteReply { .. } => "vote reply",
            Body::Append { .. } => "append",
            Body::AppendReply { .. } => "append reply",
            Body::SnapshotOffer { .. } => "snapshot offer",
            Body::SnapshotReply { .. } => "snapshot reply",
            Body::TimeoutNow { .. } => "timeout now",
            Body::Removed { .. } => "removed",
            Body::ReadIndex { .. } => "read index",
            Body::ReadIndexReply { .. } => "read index reply",
        },
        Event::Propose { .. } => "propose",
        Event::Read { .. } => "read",
        Event::Persisted(_) => "persisted",
        Event::StorageFailed => "storage failed",
        Event::Loaded { .. } => "loaded",
        Event::Applied(_) => "applied",
        Event::ChangeMembership { .. } => "change membership",
        Event::TransferLeadership { .. } => "transfer leadership",
        Event::SnapshotTaken(_) => "snapshot taken",
        Event::SnapshotFailed => "snapshot failed",
        Event::SnapshotProgress { .. } => "snapshot progress",
        Event::SnapshotReceived { .. } => "snapshot received",
        Event::SnapshotLost { .. } => "snapshot lost",
        Event::Room { .. } => "room",
    }
}
