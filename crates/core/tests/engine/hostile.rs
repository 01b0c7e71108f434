//! Peers, disks and users that say anything at all: whatever arrives, the engine answers, refuses
//! or stops, and never panics. Numbers are drawn from small and extreme ones, so that they meet.

use bytes::Bytes;
use fastrand::Rng;
use quorate_core::{
    AppendOutcome, Body, Entries, Entry, EntryId, Event, Floor, Incarnation, LoadId, LoadOutcome,
    Membership, Message, Payload, ProposalId, ReadId, RecoverError, SnapshotMeta, SnapshotOutcome,
    Term, Violation, WriteId,
};

use super::support::bench::{Bench, append, append_of_log, has, heartbeat, node_of, vote_request};
use super::support::{entries, i, id, ms, n, r, t};

const RUNS: u64 = 400;
const EVENTS: usize = 250;

/// Draws what the outside world says.
struct Chaos {
    rng: Rng,
    /// Out of a hundred numbers, how many are extreme.
    extremes: u64,
}

impl Chaos {
    fn number(&mut self) -> u64 {
        if self.rng.u64(0..100) < self.extremes {
            return *self
                .rng
                .choice(&[u64::MAX, u64::MAX - 1, u64::MAX / 2, 1 << 32])
                .unwrap();
        }
        self.rng.u64(0..9)
    }

    fn id(&mut self) -> EntryId {
        id(self.number(), self.number())
    }

    fn node(&mut self) -> u64 {
        *self.rng.choice(&[1, 2, 2, 3, 3, 4, 77, u64::MAX]).unwrap()
    }

    /// Entries as they should be, or with gaps, falling terms and wild indexes.
    fn entries(&mut self) -> Entries {
        let count = self.rng.u64(0..5);
        let (first, term) = (self.number(), self.number());
        let is_sound = self.rng.u8(0..4) > 0;
        let entry = |offset| {
            let wild = (self.number(), self.number());
            let (index, term) = if is_sound {
                (first.saturating_add(offset), term)
            } else {
                wild
            };
            Entry {
                index: i(index),
                term: t(term),
                payload: Payload::Command(Bytes::from_static(b"x")),
            }
        };
        (0..count).map(entry).collect()
    }

    fn outcome(&mut self) -> AppendOutcome {
        if self.rng.bool() {
            AppendOutcome::Matched(i(self.number()))
        } else {
            AppendOutcome::Conflict {
                refused: i(self.number()),
                hint: self.id(),
            }
        }
    }

    fn membership(&mut self) -> Membership {
        let voters: Vec<_> = (0..self.rng.u8(0..4)).map(|_| n(self.node())).collect();
        let learners: Vec<_> = (0..self.rng.u8(0..2)).map(|_| n(self.node())).collect();
        Membership::new(voters, learners)
    }

    fn snapshot(&mut self) -> SnapshotMeta {
        SnapshotMeta {
            last: self.id(),
            membership: self.membership(),
            membership_index: i(self.number()),
            length: self.number(),
            checksum: 0,
        }
    }

    fn snapshot_outcome(&mut self) -> SnapshotOutcome {
        match self.rng.u8(0..3) {
            0 => SnapshotOutcome::Receiving {
                bytes: self.number(),
            },
            1 => SnapshotOutcome::Installed,
            _ => SnapshotOutcome::Lost,
        }
    }

    /// Mostly of a log that reaches as far as what is sent.
    fn append(&mut self) -> Body {
        let (prev, entries) = (self.id(), self.entries());
        let sent = entries.last().map_or(prev.index, |last| last.index);
        let last = match self.rng.u8(0..8) {
            0 => i(self.number()),
            _ => sent.plus(self.rng.u64(0..3)),
        };
        Body::Append {
            prev,
            entries,
            commit: i(self.number()),
            round: r(self.number()),
            last,
        }
    }

    fn body(&mut self) -> Body {
        match self.rng.u8(0..14) {
            0 => Body::PreVote {
                campaign: t(self.number()),
                last: self.id(),
            },
            1 => Body::PreVoteReply {
                campaign: t(self.number()),
                granted: self.rng.bool(),
            },
            2 => Body::Vote {
                last: self.id(),
                transfer: self.rng.bool(),
            },
            3 => Body::VoteReply {
                campaign: t(self.number()),
                granted: self.rng.bool(),
            },
            4..=6 => self.append(),
            7 => Body::AppendReply {
                asked: t(self.number()),
                round: r(self.number()),
                outcome: self.outcome(),
                suspect: self.rng.bool(),
            },
            8 => Body::ReadIndex {
                read: ReadId::new(self.number()),
            },
            9 | 10 => Body::SnapshotOffer {
                snapshot: self.snapshot(),
                round: r(self.number()),
            },
            11 => Body::SnapshotReply {
                asked: t(self.number()),
                round: r(self.number()),
                last: self.id(),
                outcome: self.snapshot_outcome(),
                suspect: self.rng.bool(),
            },
            12 => Body::Removed {
                index: i(self.number()),
            },
            13 if self.rng.bool() => Body::TimeoutNow {
                round: r(self.number()),
            },
            _ => Body::ReadIndexReply {
                read: ReadId::new(self.number()),
                index: self.rng.bool().then(|| i(self.number())),
            },
        }
    }

    fn message(&mut self, life: Incarnation) -> Message {
        let is_ours = self.rng.u8(0..8) > 0;
        Message {
            from: n(self.node()),
            to: if is_ours { n(1) } else { n(self.node()) },
            term: t(self.number()),
            sender: Incarnation::new(self.number()),
            receiver: if is_ours {
                life
            } else {
                Incarnation::new(self.number())
            },
            body: self.body(),
        }
    }

    fn event(&mut self, bench: &mut Bench) -> Event {
        match self.rng.u8(0..20) {
            0..=10 => Event::Receive(self.message(bench.life)),
            11..=13 => {
                let at = bench.engine.next_timeout().at;
                bench.now = if self.rng.bool() {
                    at
                } else {
                    bench.now.after(ms(self.number()))
                };
                Event::Tick { now: bench.now }
            }
            14 | 15 => Event::Persisted(WriteId::new(self.number())),
            16 => Event::Propose {
                proposal: ProposalId::new(self.number()),
                commands: (0..self.rng.usize(0..3))
                    .map(|_| Bytes::from_static(b"y"))
                    .collect(),
            },
            17 => Event::Read {
                read: ReadId::new(self.number()),
            },
            18 => Event::Applied(i(self.number())),
            _ => Event::Loaded {
                load: LoadId::new(self.number()),
                outcome: match self.rng.u8(0..3) {
                    0 => LoadOutcome::Found(self.entries()),
                    1 => LoadOutcome::Gone,
                    _ => LoadOutcome::Failed,
                },
            },
        }
    }
}

/// Scenario H07, and "no panic is reachable from the wire, the disk or the API".
#[test]
fn nothing_that_arrives_makes_the_engine_panic() {
    let mut stopped = 0;
    for seed in 0..RUNS {
        let extremes = [0, 0, 5, 30][usize::try_from(seed % 4).unwrap()];
        let mut chaos = Chaos {
            rng: Rng::with_seed(seed),
            extremes,
        };
        let past = node_of(3).with_log(&[1, 1, 2, 3][..chaos.rng.usize(0..5)]);
        let past = past.configured(|config| {
            config.pre_vote = chaos.rng.bool();
            config.window_bytes = 200;
            config.max_append_bytes = 150;
            config.max_inflight_messages = 2;
            config.max_unapplied_bytes = 100;
        });
        let mut bench = past.start();
        for _ in 0..EVENTS {
            let event = chaos.event(&mut bench);
            let shown = format!("{event:?}");
            let step = std::panic::AssertUnwindSafe(|| bench.step(event));
            let result = std::panic::catch_unwind(step);
            assert!(result.is_ok(), "seed {seed}: {shown}");
            if bench.engine.is_stopped() {
                stopped += 1;
                break;
            }
        }
    }
    assert!(stopped < RUNS, "every run ended early: nothing was tested");
}

/// Nobody leads in term zero, and no entry has it: a log with such an entry could not be recovered.
/// A leader's log holds what it sends, and ends somewhere.
#[test]
fn appends_that_no_leader_can_have_sent_are_dropped() {
    const NOTHING: EntryId = EntryId::NONE;
    for (term, body) in [
        (0, heartbeat(NOTHING, 0)),
        (0, append(NOTHING, entries(1, &[0]), 0)),
        (5, append(NOTHING, entries(1, &[0]), 0)),
        (5, append(NOTHING, entries(1, &[6]), 0)),
        (5, heartbeat(id(0, 3), 0)),
        (5, heartbeat(id(3, 0), 0)),
        (5, append(NOTHING, entries(2, &[5]), 0)),
        (5, append(id(1, 3), entries(2, &[2]), 0)),
        (5, append_of_log(i(1), NOTHING, entries(1, &[5, 5]), 0)),
        (5, append_of_log(i(2), id(3, 3), Entries::empty(), 0)),
        (5, append_of_log(i(u64::MAX), NOTHING, entries(1, &[5]), 0)),
    ] {
        let mut bench = node_of(3).start();
        let actions = bench.receive(2, term, body.clone());
        let is_term = |action: &_| matches!(action, quorate_core::Action::SaveHardState { .. });
        assert!(
            !has(&actions, |action| !is_term(action) && is_effect(action)),
            "{body:?}: {actions:?}"
        );
        assert_eq!(bench.status().leader, None, "{body:?} made a leader");
        assert_eq!(bench.status().last, i(0), "{body:?} was appended");
        assert_eq!(bench.status().counters.dropped, 1, "{body:?} was answered");
    }
}

/// Whether the action writes entries, answers, or stops the engine.
fn is_effect(action: &quorate_core::Action) -> bool {
    use quorate_core::Action;
    match action {
        Action::Send { .. }
        | Action::LoadEntries { .. }
        | Action::AppendEntries { .. }
        | Action::InstallSnapshot { .. }
        | Action::RestoreSnapshot { .. }
        | Action::PurgeLog { .. }
        | Action::ReceiveSnapshot { .. }
        | Action::Apply { .. }
        | Action::Fatal(_) => true,
        Action::SaveHardState { .. }
        | Action::SnapshotDue
        | Action::DropSnapshot { .. }
        | Action::MembershipAppended { .. }
        | Action::MembershipChanged { .. }
        | Action::Removed { .. }
        | Action::HandedOver { .. }
        | Action::Proposed { .. }
        | Action::ReadReady { .. }
        | Action::Refused { .. }
        | Action::RoleChanged { .. } => false,
    }
}

/// The largest term has no successor: a node in it could never campaign again.
#[test]
fn a_message_of_the_largest_term_is_dropped() {
    let mut bench = node_of(3).with_log(&[1]).unled();
    let actions = bench.receive(2, u64::MAX, vote_request(id(1, 1)));
    assert_eq!(
        actions,
        [],
        "term {:?} would be the last",
        Term::new(u64::MAX)
    );
    assert_eq!(bench.status().term, t(1));
    assert_eq!(bench.status().counters.dropped, 1);
}

/// A vote is one per term also where terms come to an end.
#[test]
fn a_node_does_not_vote_for_itself_in_a_term_it_has_voted_in() {
    let past = node_of(3).with_log(&[1]).at_term(u64::MAX).voted_for(2);
    let mut bench = past.configured(|config| config.pre_vote = false).start();
    for _ in 0..5 {
        let _ = bench.time_out();
    }
    assert_eq!(
        bench.engine.hard_state().vote,
        Some(n(2)),
        "there is no term after this one"
    );
}

/// Messages for others, or from a node that claims to be this one, are not for us.
#[test]
fn messages_for_others_are_dropped() {
    let mut bench = node_of(3).with_log(&[1]).unled();
    let message = |from, to| Message {
        from: n(from),
        to: n(to),
        term: t(9),
        sender: Incarnation::new(1),
        receiver: Incarnation::UNKNOWN,
        body: vote_request(id(1, 1)),
    };
    assert_eq!(bench.step(Event::Receive(message(2, 3))), []);
    assert_eq!(bench.step(Event::Receive(message(1, 1))), []);
    assert_eq!(bench.status().counters.dropped, 2);
    assert_eq!(bench.status().term, t(1));
}

/// Scenario A13
#[test]
fn a_vote_and_a_log_are_not_refused_for_where_they_come_from() {
    let mut bench = node_of(3).with_log(&[1]).unled();
    let actions = bench.receive(77, 2, vote_request(id(1, 1)));
    assert!(
        has(
            &actions,
            |action| matches!(action, quorate_core::Action::Send { message, .. }
        if message.body == super::support::bench::vote_reply(2, true))
        ),
        "its config may be newer"
    );
    let _ = bench.receive(77, 2, append(id(1, 1), entries(2, &[2]), 0));
    assert_eq!(bench.status().leader, Some(n(77)));
    assert_eq!(bench.status().last, i(2));
}

/// The floor and the errors say what they are about, for the operator who reads them.
#[test]
fn what_stops_a_node_is_said_in_full() {
    let leaders = Violation::TwoLeaders {
        term: t(5),
        known: n(1),
        claimed: n(3),
    };
    assert_eq!(leaders.to_string(), "both n1 and n3 lead t5");
    let behind = RecoverError::TermBehindLog {
        last: id(4, 7),
        saved: t(6),
    };
    assert_eq!(
        behind.to_string(),
        "the log ends in i4:t7, beyond the saved term t6"
    );
    assert_ne!(Floor::At(id(4, 7)), Floor::AnyIndexOf(t(7)));
}
