//! From frames to messages. Every number in a header is a peer's claim: it is checked before it
//! is used, and what does not fit is refused, never repaired (scenario H07).

use bytes::Bytes;
use prost::Message as _;
use quorate_core::{
    AppendOutcome, Body, Entries, Entry, EntryId, Incarnation, LogIndex, Membership, Message,
    NodeId, Payload, ReadId, Refusal, Round, SnapshotMeta, SnapshotOutcome, Term,
};
use quorate_log::{BirthStage, DirectoryId, Founding};

use super::WireError;
use super::frame::{MAX_COMMANDS, open};
use super::header::{
    self, Header, KIND_BITS, KIND_COMMAND, KIND_MEMBERSHIP, KIND_NOOP, Kind, RaftBody,
};
use super::packed::unpack;
use crate::{ForwardOutcome, PeerMessage};

/// A payload up to this size is copied out of the frame: what stays in memory must not keep alive
/// many times its size, which is the buffer into which it was read among other frames. A quarter
/// of what the [`Decoder`](super::Decoder) reads at once.
const COPIED_UP_TO_BYTES: usize = 16 * 1024;

/// An encoded membership is never longer: a version, and per member its number, its role and an
/// address with its length.
const MAX_MEMBERSHIP_BYTES: usize =
    1 + Membership::MAX_MEMBERS * (8 + 1 + 2 + Membership::MAX_ADDRESS_BYTES);

/// An encoded founding is never longer: per founder its number and its directory, with what later
/// versions may add.
const MAX_FOUNDING_BYTES: usize = Membership::MAX_MEMBERS * 64;

/// What only somebody else's bytes are.
pub(super) const NOT_PROTOBUF: WireError = malformed("not protobuf");

/// The message in a complete frame, as [`Decoder::next_frame`](super::Decoder::next_frame) cuts
/// it out. Large payloads are slices of the frame. `None` for a sign of life and for a kind of
/// message that only newer versions know.
///
/// # Errors
/// The frame is damaged, or says what no correct peer says. Close the connection.
pub fn decode(frame: Bytes) -> Result<Option<PeerMessage>, WireError> {
    let (header, payload) = open(frame)?;
    match message(parse(header)?, payload) {
        Ok(message) => Ok(Some(message)),
        Err(Problem::Unknown) => Ok(None),
        Err(Problem::Refused(error)) => Err(error),
    }
}

/// The header of a frame.
pub(super) fn parse(header: Bytes) -> Result<Header, WireError> {
    Header::decode(header).map_err(|_| NOT_PROTOBUF)
}

/// Why a header gives no message.
enum Problem {
    /// A newer version sent it; skip it.
    Unknown,
    Refused(WireError),
}

impl From<WireError> for Problem {
    fn from(error: WireError) -> Self {
        Self::Refused(error)
    }
}

fn message(header: Header, payload: Bytes) -> Result<PeerMessage, Problem> {
    let message = match header.kind.ok_or(Problem::Unknown)? {
        // Its place is before all messages, where the transport reads it with `Hello::decode`.
        Kind::Hello(_) => return Err(malformed("a handshake among the messages").into()),
        Kind::Raft(raft) => return Ok(PeerMessage::Raft(engine_message(raft, payload)?)),
        Kind::Forward(forward) => {
            return Ok(PeerMessage::Forward {
                request: forward.request,
                asker: Incarnation::new(forward.asker),
                leader: Incarnation::new(forward.leader),
                commands: commands(&unpack(&forward.lengths)?, payload)?,
            });
        }
        Kind::ForwardReply(reply) => PeerMessage::ForwardReply {
            request: reply.request,
            asker: Incarnation::new(reply.asker),
            outcome: forward_outcome(reply.outcome.ok_or(Problem::Unknown)?),
        },
        Kind::Birth(birth) => PeerMessage::Birth {
            directory: directory_id(birth.directory)?,
            stage: birth_stage(birth.stage.ok_or(Problem::Unknown)?)?,
        },
    };
    no_payload(&payload)?;
    Ok(message)
}

fn engine_message(raft: header::Raft, payload: Bytes) -> Result<Message, Problem> {
    let body = raft.body.ok_or(Problem::Unknown)?;
    if !matches!(body, RaftBody::Append(_)) {
        no_payload(&payload)?;
    }
    Ok(Message {
        from: node_id(raft.from)?,
        to: node_id(raft.to)?,
        term: Term::new(raft.term),
        sender: Incarnation::new(raft.sender),
        receiver: Incarnation::new(raft.receiver),
        body: engine_body(body, payload)?,
    })
}

fn engine_body(body: RaftBody, payload: Bytes) -> Result<Body, Problem> {
    Ok(match body {
        RaftBody::PreVote(ask) => Body::PreVote {
            campaign: Term::new(ask.campaign),
            last: entry_id(ask.last),
        },
        RaftBody::PreVoteReply(reply) => Body::PreVoteReply {
            campaign: Term::new(reply.campaign),
            granted: reply.granted,
        },
        RaftBody::Vote(ask) => Body::Vote {
            last: entry_id(ask.last),
            transfer: ask.transfer,
        },
        RaftBody::VoteReply(reply) => Body::VoteReply {
            campaign: Term::new(reply.campaign),
            granted: reply.granted,
        },
        RaftBody::Append(append) => append_body(&append, payload)?,
        RaftBody::AppendReply(reply) => Body::AppendReply {
            asked: Term::new(reply.asked),
            round: Round::new(reply.round),
            outcome: append_outcome(reply.outcome.ok_or(Problem::Unknown)?),
            suspect: reply.suspect,
        },
        RaftBody::SnapshotOffer(offer) => Body::SnapshotOffer {
            snapshot: snapshot(&offer.snapshot.unwrap_or_default())?,
            round: Round::new(offer.round),
        },
        RaftBody::SnapshotReply(reply) => Body::SnapshotReply {
            asked: Term::new(reply.asked),
            round: Round::new(reply.round),
            last: entry_id(reply.last),
            outcome: snapshot_outcome(reply.outcome.ok_or(Problem::Unknown)?),
            suspect: reply.suspect,
        },
        RaftBody::TimeoutNow(word) => Body::TimeoutNow {
            round: Round::new(word.round),
        },
        RaftBody::Removed(notice) => Body::Removed {
            index: LogIndex::new(notice.index),
        },
        RaftBody::ReadIndex(ask) => Body::ReadIndex {
            read: ReadId::new(ask.read),
        },
        RaftBody::ReadIndexReply(reply) => Body::ReadIndexReply {
            read: ReadId::new(reply.read),
            index: reply.index.map(LogIndex::new),
        },
    })
}

fn append_body(append: &header::Append, payload: Bytes) -> Result<Body, WireError> {
    let entries = entries(append, payload)?;
    let last = last_of_log(append, entries.len())?;
    Ok(Body::Append {
        prev: entry_id(append.prev),
        entries,
        commit: LogIndex::new(append.commit),
        round: Round::new(append.round),
        last,
    })
}

/// The entries behind `prev`, with consecutive indexes and terms that never fall.
fn entries(append: &header::Append, payload: Bytes) -> Result<Entries, WireError> {
    let shapes = unpack(&append.shapes)?;
    let (run_terms, run_lengths) = (unpack(&append.run_terms)?, unpack(&append.run_lengths)?);
    let count = shapes.len();
    check_runs(append, &run_terms, &run_lengths, count)?;
    if count == 0 {
        no_payload(&payload)?;
        return Ok(Entries::empty());
    }
    let prev = entry_id(append.prev).index;
    // The largest index stays free, so that one above the last always exists.
    if prev.distance_to(LogIndex::new(u64::MAX)) <= count as u64 {
        return Err(WireError::IndexOverflow);
    }

    let runs = run_terms.iter().zip(&run_lengths);
    let terms = runs.flat_map(|(&term, &length)| (0..length).map(move |_| Term::new(term)));
    let mut payloads = Payloads::new(payload);
    let mut entries = Vec::with_capacity(count);
    for ((&shape, term), index) in shapes.iter().zip(terms).zip(prev.next().get()..) {
        let payload = match (shape & ((1 << KIND_BITS) - 1), shape >> KIND_BITS) {
            (KIND_NOOP, 0) => Payload::Noop,
            (KIND_COMMAND, length) => Payload::Command(payloads.next(length)?),
            (KIND_MEMBERSHIP, length) => {
                let bytes = payloads.next(length)?;
                membership(&bytes)?;
                Payload::Membership(bytes)
            }
            // A version that knows further kinds of entry agrees on them in the handshake.
            _ => return Err(malformed("unknown kind of entry")),
        };
        entries.push(Entry {
            index: LogIndex::new(index),
            term,
            payload,
        });
    }
    payloads.finish()?;
    Ok(Entries::from(entries))
}

fn check_runs(
    append: &header::Append,
    terms: &[u64],
    lengths: &[u64],
    count: usize,
) -> Result<(), WireError> {
    let mut sum = Some(0u64);
    for &length in lengths {
        sum = sum.and_then(|sum| sum.checked_add(length));
    }
    if terms.len() != lengths.len() || sum != Some(count as u64) {
        return Err(malformed("the terms do not fit the entries"));
    }
    let prev_term = append.prev.unwrap_or_default().term;
    if !std::iter::once(&prev_term).chain(terms).is_sorted() {
        return Err(malformed("the terms of the entries fall"));
    }
    Ok(())
}

fn commands(lengths: &[u64], payload: Bytes) -> Result<Vec<Bytes>, WireError> {
    let mut commands = Vec::with_capacity(lengths.len());
    let mut payloads = Payloads::new(payload);
    for &length in lengths {
        commands.push(payloads.next(length)?);
    }
    payloads.finish()?;
    Ok(commands)
}

/// Deals out the payload, command by command.
struct Payloads {
    rest: Bytes,
    total: u64,
}

impl Payloads {
    fn new(payload: Bytes) -> Self {
        let total = payload.len() as u64;
        let copied = payload.len() <= COPIED_UP_TO_BYTES;
        Self {
            rest: if copied {
                Bytes::copy_from_slice(&payload)
            } else {
                payload
            },
            total,
        }
    }

    fn next(&mut self, length: u64) -> Result<Bytes, WireError> {
        match usize::try_from(length) {
            Ok(length) if length <= self.rest.len() => Ok(self.rest.split_to(length)),
            Ok(_) | Err(_) => Err(WireError::PayloadLength {
                payload: self.total,
            }),
        }
    }

    fn finish(self) -> Result<(), WireError> {
        if self.rest.is_empty() {
            Ok(())
        } else {
            Err(WireError::PayloadLength {
                payload: self.total,
            })
        }
    }
}

/// The leader's log reaches at least as far as what it sends. A follower that may have lost
/// entries believes this number, so none is made up for a missing one.
fn last_of_log(append: &header::Append, count: usize) -> Result<LogIndex, WireError> {
    let prev = entry_id(append.prev).index;
    if prev.plus(count as u64).get() > append.last {
        return Err(malformed("the entries reach beyond the log"));
    }
    Ok(LogIndex::new(append.last))
}

fn snapshot(meta: &header::SnapshotMeta) -> Result<SnapshotMeta, WireError> {
    let last = entry_id(meta.last);
    let membership_index = LogIndex::new(meta.membership_index);
    // The largest index stays free, as for entries.
    let is_entry =
        last.index != LogIndex::NONE && last.index.next() != last.index && last.term != Term::ZERO;
    if !is_entry || membership_index > last.index {
        return Err(malformed("a snapshot of no entry"));
    }
    Ok(SnapshotMeta {
        last,
        membership: membership(&meta.membership)?,
        membership_index,
        length: meta.length,
        checksum: meta.checksum,
    })
}

/// Only bytes that an encoder wrote: every node has to see the same membership in them, and
/// writes them on as they are.
fn membership(bytes: &[u8]) -> Result<Membership, WireError> {
    const NONSENSE: WireError = malformed("a membership that makes no sense");
    if bytes.len() > MAX_MEMBERSHIP_BYTES {
        return Err(NONSENSE);
    }
    let membership = Membership::decode(bytes).map_err(|_| NONSENSE)?;
    if membership.encode() != bytes {
        return Err(NONSENSE);
    }
    Ok(membership)
}

const fn snapshot_outcome(outcome: header::SnapshotOutcome) -> SnapshotOutcome {
    match outcome {
        header::SnapshotOutcome::Receiving(bytes) => SnapshotOutcome::Receiving { bytes },
        header::SnapshotOutcome::Installed(()) => SnapshotOutcome::Installed,
        header::SnapshotOutcome::Lost(()) => SnapshotOutcome::Lost,
    }
}

fn append_outcome(outcome: header::AppendOutcome) -> AppendOutcome {
    match outcome {
        header::AppendOutcome::Matched(index) => AppendOutcome::Matched(LogIndex::new(index)),
        header::AppendOutcome::Conflict(conflict) => AppendOutcome::Conflict {
            refused: LogIndex::new(conflict.refused),
            hint: entry_id(conflict.hint),
        },
    }
}

fn forward_outcome(outcome: header::ForwardOutcome) -> ForwardOutcome {
    use header::ForwardOutcome as Wire;
    ForwardOutcome::Refused(match outcome {
        Wire::Appended(first) => return ForwardOutcome::Appended(first.into()),
        Wire::OtherLife(()) => return ForwardOutcome::OtherLife,
        Wire::NotLeader(leader) => Refusal::NotLeader {
            leader: NodeId::new(leader),
        },
        Wire::Overloaded(()) => Refusal::Overloaded,
        Wire::TooLarge(limit_bytes) => Refusal::TooLarge { limit_bytes },
        Wire::TimedOut(()) => Refusal::TimedOut,
        Wire::HandingOver(()) => Refusal::HandingOver,
        Wire::NoRoom(()) => Refusal::NoRoom,
    })
}

fn birth_stage(stage: header::BirthStage) -> Result<BirthStage, WireError> {
    Ok(match stage {
        header::BirthStage::New(()) => BirthStage::New,
        header::BirthStage::Prepared(founding) => BirthStage::Prepared(founders(founding)?),
        header::BirthStage::Born(founding) => BirthStage::Born(founders(founding)?),
    })
}

/// The founders are the first members: no more than a membership has.
fn founders(founding: Bytes) -> Result<Founding, WireError> {
    if founding.len() > MAX_FOUNDING_BYTES {
        return Err(malformed("too many founders"));
    }
    let founding = header::Founding::decode(founding).map_err(|_| NOT_PROTOBUF)?;
    let mut founders = Founding::new();
    for founder in &founding.founders {
        let node = node_id(founder.node)?;
        if founders
            .insert(node, directory_id(founder.directory)?)
            .is_some()
        {
            return Err(malformed("a founder is named twice"));
        }
    }
    if founders.len() > Membership::MAX_MEMBERS {
        return Err(malformed("too many founders"));
    }
    Ok(founders)
}

/// A missing id is the one whose numbers are all zero, which protobuf does not send.
fn entry_id(id: Option<header::EntryId>) -> EntryId {
    id.unwrap_or_default().into()
}

pub(super) fn node_id(id: u64) -> Result<NodeId, WireError> {
    NodeId::new(id).ok_or(WireError::ZeroNode)
}

pub(super) fn directory_id(id: Option<header::Id128>) -> Result<DirectoryId, WireError> {
    id.map(|id| DirectoryId(id.into()))
        .ok_or(malformed("a directory id is missing"))
}

pub(super) fn no_payload(payload: &Bytes) -> Result<(), WireError> {
    if payload.is_empty() {
        Ok(())
    } else {
        Err(WireError::PayloadLength {
            payload: payload.len() as u64,
        })
    }
}

pub(super) fn check_count(count: usize) -> Result<usize, WireError> {
    if count <= MAX_COMMANDS {
        Ok(count)
    } else {
        let limit = MAX_COMMANDS as u64;
        Err(WireError::TooManyCommands {
            count: count as u64,
            limit,
        })
    }
}

pub(super) const fn malformed(what: &'static str) -> WireError {
    WireError::Malformed { what }
}
