//! What one life of a node has heard, turn by turn and on its own clock, as far as checkers hold
//! it against what the driver decides. Nothing is checked here: votes and campaigns are compared
//! in `decisions.rs`, memberships and transfers in `census.rs`.

use std::collections::BTreeMap;
use std::time::Duration;

use quorate::{Input, PeerMessage};
use quorate_core::{Body, Config, Incarnation, LogIndex, Message, NodeId, Term, Time};

use super::node::In;
use crate::check::pause;
use crate::check::promoted::LogEnds;

/// What a message says, as far as it matters here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Said {
    Append,
    Answer { asked: Term },
    Vote { transfer: bool },
    PreVote { campaign: Term },
    Promise { campaign: Term },
    TimeoutNow,
    Removed { index: LogIndex },
    Other,
}

/// A message that this turn was given.
#[derive(Clone, Copy, Debug)]
pub(super) struct Note {
    pub(super) from: NodeId,
    pub(super) term: Term,
    /// It answers another life of this node.
    pub(super) is_dead_letter: bool,
    pub(super) said: Said,
}

/// Somebody asked for a vote, or for the promise of one.
#[derive(Clone, Copy, Debug)]
pub(super) struct Asked {
    pub(super) campaign: Term,
    /// When a leader was heard last, and when it asked: each time it asked, too early.
    pub(super) too_early: Option<(Time, Time)>,
    /// A leader could reach the voter all the time, each time it asked.
    pub(super) is_led: bool,
}

/// What a life has heard.
#[derive(Debug)]
pub(super) struct Hearing {
    /// Whether this life asks for pre-votes.
    pub(super) pre_vote: bool,
    /// It took part before this turn.
    pub(super) has_engine: bool,
    /// The time of this turn, and of the one before.
    pub(super) now: Time,
    pub(super) before: Time,
    /// When a turn was late last.
    pub(super) late_at: Option<Time>,
    /// If this turn is late, that is forgiven for certain.
    pub(super) is_forgiven: bool,
    /// The messages of this turn, in order.
    pub(super) notes: Vec<Note>,
    /// The turn was given nothing but messages.
    pub(super) has_only_messages: bool,
    /// Requests that it was given: proposals and reads.
    pub(super) taken: (usize, usize),
    /// Proposals and reads that wait in the driver.
    pub(super) waiting: (usize, usize),
    /// When it heard the leader of its term, or started.
    pub(super) leader_at: Time,
    /// When each peer last answered this leader.
    pub(super) answered: BTreeMap<NodeId, Time>,
    /// A leader counts silence from here at the earliest.
    pub(super) counts_from: Time,
    /// Where the log ended, at the most, when it was last elected.
    pub(super) elected_at: LogIndex,
    /// Where the log ended lately.
    pub(super) ends: LogEnds,
    /// Who asked last for a vote.
    pub(super) votes: BTreeMap<NodeId, Asked>,
    /// Who asked last for the promise of one.
    pub(super) promises: BTreeMap<NodeId, Asked>,
    /// The terms in which somebody told it to campaign.
    pub(super) told: Vec<(Term, NodeId)>,
    /// Since when the present transfer goes on.
    pub(super) transfer_since: Time,
    /// How long it may go on.
    pub(super) transfer_limit: Duration,
    /// The index of the membership in force.
    pub(super) since: LogIndex,
    /// Nothing happened to this life since, by the world's time in nanoseconds: it started, was
    /// paused, was elected or changed a membership.
    pub(super) steady_since: u64,
    /// When it was last elected.
    pub(super) led_at: Time,
    /// The turn was told that a job is done.
    is_stored: bool,
    /// When the newest job was given out, and since when a write in it may have waited.
    pub(super) job_given_at: Time,
    pub(super) writes_wait_since: Time,
}

impl Hearing {
    /// A life that starts at `now`, which is `steady_since` for the world, and has heard nothing.
    pub(super) fn new(pre_vote: bool, now: Time, steady_since: u64) -> Self {
        Self {
            pre_vote,
            has_engine: false,
            now,
            before: now,
            late_at: None,
            is_forgiven: true,
            notes: Vec::new(),
            has_only_messages: false,
            taken: (0, 0),
            waiting: (0, 0),
            leader_at: now,
            answered: BTreeMap::new(),
            counts_from: now,
            elected_at: LogIndex::NONE,
            ends: LogEnds::default(),
            votes: BTreeMap::new(),
            promises: BTreeMap::new(),
            told: Vec::new(),
            transfer_since: now,
            transfer_limit: Duration::ZERO,
            since: LogIndex::NONE,
            steady_since,
            led_at: now,
            is_stored: false,
            job_given_at: now,
            writes_wait_since: now,
        }
    }

    /// The turn gives a job out: it holds what was to be written since the one before, if that
    /// is done only now.
    pub(super) const fn gives_a_job(&mut self) {
        self.writes_wait_since = if self.is_stored {
            self.job_given_at
        } else {
            self.now
        };
        self.job_given_at = self.now;
    }

    /// A turn at `now`, which was due at `due` or later, is about to take `inputs`.
    pub(super) fn turn_begins(
        &mut self,
        (now, due): (Time, Time),
        inputs: &[In],
        own: Incarnation,
        config: &Config,
    ) {
        self.before = self.now;
        self.now = self.now.max(now);
        self.is_forgiven = pause::is_forgiven(self.late_at, self.before, config);
        let is_late = pause::is_late(due, now, config.election_timeout_min);
        self.late_at = is_late.then_some(self.now).or(self.late_at);
        self.notes.clear();
        self.taken = (0, 0);
        self.is_stored = false;
        self.has_only_messages = !inputs.is_empty();
        for input in inputs {
            let is_message = self.take(input, own);
            self.has_only_messages &= is_message;
        }
        // Only what comes late is taken for a pause.
        if is_late && self.now.since(self.before) > config.election_timeout_min / 4 {
            self.counts_from = self.now;
        }
    }

    /// Notes an input; whether it was a message of an engine.
    fn take(&mut self, input: &In, own: Incarnation) -> bool {
        match input {
            Input::Peer {
                from,
                message: PeerMessage::Raft(message),
            } => {
                if message.from == *from {
                    self.notes.push(Note::of(message, own));
                }
                return true;
            }
            Input::Propose { .. } => self.taken.0 += 1,
            Input::Read(_) => self.taken.1 += 1,
            Input::Stored => self.is_stored = true,
            Input::Peer { .. }
            | Input::StorageFailed
            | Input::Loaded { .. }
            | Input::Applied(_)
            | Input::ChangeMembership { .. }
            | Input::TransferLeadership { .. }
            | Input::Shutdown
            | Input::ApplyFailed => {}
        }
        false
    }

    /// Whether a leader of the term before `campaign` told it to campaign.
    pub(super) fn was_told(&self, campaign: Term) -> bool {
        self.told.iter().any(|(term, _)| term.next() == campaign)
    }
}

impl Asked {
    /// A request in `campaign`; `too_early` unless it may be granted.
    pub(super) const fn new(campaign: Term, too_early: Option<(Time, Time)>, is_led: bool) -> Self {
        Self {
            campaign,
            too_early,
            is_led,
        }
    }

    /// Adds a request; of one campaign, whatever excuses one grant excuses all.
    pub(super) fn again(known: &mut BTreeMap<NodeId, Self>, from: NodeId, request: Self) {
        let asked = known.entry(from).or_insert(request);
        if request.campaign > asked.campaign {
            *asked = request;
        } else if request.campaign == asked.campaign {
            asked.too_early = asked.too_early.and(request.too_early);
            asked.is_led &= request.is_led;
        }
    }
}

impl Note {
    fn of(message: &Message, own: Incarnation) -> Self {
        let mut is_answer = false;
        let said = match &message.body {
            Body::Append { .. } | Body::SnapshotOffer { .. } => Said::Append,
            Body::AppendReply { asked, .. } | Body::SnapshotReply { asked, .. } => {
                is_answer = true;
                Said::Answer { asked: *asked }
            }
            Body::Vote { transfer, .. } => Said::Vote {
                transfer: *transfer,
            },
            Body::PreVote { campaign, .. } => Said::PreVote {
                campaign: *campaign,
            },
            Body::PreVoteReply { campaign, granted } => {
                is_answer = true;
                let campaign = *campaign;
                match granted {
                    true => Said::Promise { campaign },
                    false => Said::Other,
                }
            }
            Body::VoteReply { .. } | Body::ReadIndexReply { .. } => {
                is_answer = true;
                Said::Other
            }
            Body::TimeoutNow { .. } => Said::TimeoutNow,
            Body::Removed { index } => Said::Removed { index: *index },
            Body::ReadIndex { .. } => Said::Other,
        };
        Self {
            from: message.from,
            term: message.term,
            is_dead_letter: is_answer && message.receiver != own,
            said,
        }
    }
}
