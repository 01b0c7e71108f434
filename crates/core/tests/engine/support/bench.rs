//! One engine on a bench: its peers are played by the test, its disk is a list of writes that
//! become durable when the test says so. For rules that speak of one node.

use bytes::Bytes;
use quorate_core::{
    Action, AppendOutcome, Body, Config, Engine, Entries, EntryId, Event, Floor, HardState,
    Incarnation, LogIndex, Membership, Message, NodeId, ProposalId, ReadId, Recovered, RoleName,
    Round, SnapshotMeta, Status, Time, WriteId,
};

use super::contract::Contract;
use super::{config, i, id, ms, n, r, t, voters};

/// What a node was before the test begins.
#[derive(Debug)]
pub(crate) struct Past {
    config: Config,
    members: Membership,
    recovered: Recovered,
}

/// Node 1 of a cluster of `count` voters, with nothing on disk.
pub(crate) fn node_of(count: u64) -> Past {
    Past {
        config: config(n(1), 5),
        members: voters(count),
        recovered: Recovered::default(),
    }
}

impl Past {
    /// Its log holds one entry for each of these terms. The saved term is the last of them.
    pub(crate) fn with_log(mut self, terms: &[u64]) -> Self {
        for (position, &term) in terms.iter().enumerate() {
            let starts = &mut self.recovered.term_starts;
            if starts.last().is_none_or(|start| start.term < t(term)) {
                starts.push(id(position as u64 + 1, term));
            }
        }
        self.recovered.last = i(terms.len() as u64);
        self.at_term(terms.last().copied().unwrap_or(0))
    }

    /// It holds this snapshot, and of the log what lies behind `purged`.
    pub(crate) fn with_snapshot(mut self, snapshot: SnapshotMeta, purged: u64) -> Self {
        let recovered = &mut self.recovered;
        let starts = recovered.term_starts.iter().rev();
        let term_at = |index| starts.clone().find(|start| start.index <= i(index));
        recovered.before =
            term_at(purged).map_or(snapshot.last, |start| id(purged, start.term.get()));
        let next = term_at(purged + 1).map(|start| id(purged + 1, start.term.get()));
        recovered
            .term_starts
            .retain(|start| start.index > i(purged + 1));
        if recovered.last > i(purged) {
            recovered.term_starts.splice(0..0, next);
        }
        recovered.last = recovered.last.max(i(purged));
        recovered.hard_state.term = recovered.hard_state.term.max(snapshot.last.term);
        recovered.snapshot = Some(snapshot);
        self
    }

    /// Its saved term.
    pub(crate) const fn at_term(mut self, term: u64) -> Self {
        self.recovered.hard_state.term = t(term);
        self
    }

    /// Its saved vote.
    pub(crate) fn voted_for(mut self, candidate: u64) -> Self {
        self.recovered.hard_state.vote = Some(n(candidate));
        self
    }

    /// It may have lost entries that it acknowledged.
    pub(crate) const fn with_floor(mut self, floor: Floor) -> Self {
        self.recovered.hard_state.floor = Some(floor);
        self
    }

    /// Its state machine holds what these entries did.
    pub(crate) const fn applied(mut self, index: u64) -> Self {
        self.recovered.applied = i(index);
        self
    }

    /// What else a host found on its disk.
    pub(crate) fn recovering(mut self, adjust: impl FnOnce(&mut Recovered)) -> Self {
        adjust(&mut self.recovered);
        self
    }

    pub(crate) fn configured(mut self, adjust: impl FnOnce(&mut Config)) -> Self {
        adjust(&mut self.config);
        self
    }

    pub(crate) fn among(mut self, members: Membership) -> Self {
        self.members = members;
        self
    }

    /// Starts it.
    pub(crate) fn start(self) -> Bench {
        let life = Incarnation::new(1001);
        let now = Time::ZERO.after(ms(1000));
        let config = self.config.validate().unwrap();
        let engine = Engine::recover(config, life, self.members.clone(), now, self.recovered);
        Bench {
            engine: engine.unwrap(),
            life,
            now,
            members: self.members,
            newest_write: WriteId::NONE,
            persisted: WriteId::NONE,
            contract: Contract::default(),
            names: 0,
        }
    }

    /// Starts it long enough ago that it is bound to no leader any more.
    pub(crate) fn unled(self) -> Bench {
        let mut bench = self
            .configured(|config| config.election_timeout_max = ms(60_000))
            .start();
        let _ = bench.sleep(251);
        bench
    }

    /// Starts it and lets it win the next term with every vote; the no-op stands in its log, not
    /// yet durable. Nothing but the log's end is known of its peers.
    pub(crate) fn leader(self) -> Bench {
        let mut bench = self.configured(|config| config.pre_vote = false).start();
        let _ = bench.time_out();
        let _ = bench.persist();
        let term = bench.status().term.get();
        for voter in bench.others() {
            let _ = bench.receive(voter, term, vote_reply(term, true));
        }
        assert_eq!(bench.status().role, RoleName::Leader);
        bench
    }
}

/// The engine, its clock and what it asked its disk for.
#[derive(Debug)]
pub(crate) struct Bench {
    pub(crate) engine: Engine,
    pub(crate) life: Incarnation,
    pub(crate) now: Time,
    members: Membership,
    newest_write: WriteId,
    persisted: WriteId,
    contract: Contract,
    names: u64,
}

impl Bench {
    /// One step, checked for the order of its actions.
    pub(crate) fn step(&mut self, event: Event) -> Vec<Action> {
        if let Event::Persisted(write) = event
            && write <= self.newest_write
        {
            self.persisted = self.persisted.max(write);
        }
        let actions = self.engine.step(event);
        self.contract.check(&actions, self.persisted);
        for action in &actions {
            if let Action::SaveHardState { write, .. }
            | Action::AppendEntries { write, .. }
            | Action::InstallSnapshot { write, .. } = action
            {
                self.newest_write = *write;
            }
        }
        actions
    }

    pub(crate) fn status(&self) -> Status {
        self.engine.status()
    }

    /// The voters besides node 1.
    pub(crate) fn others(&self) -> Vec<u64> {
        let voters = self.members.voters().iter().map(|voter| voter.get());
        voters.filter(|&voter| voter != 1).collect()
    }

    /// Time passes in one tick, which must not count as a pause unless the test means it to.
    pub(crate) fn sleep(&mut self, millis: u64) -> Vec<Action> {
        self.now = self.now.after(ms(millis));
        self.step(Event::Tick { now: self.now })
    }

    /// The next timeout strikes.
    pub(crate) fn time_out(&mut self) -> Vec<Action> {
        self.now = self.engine.next_timeout().at;
        self.step(Event::Tick { now: self.now })
    }

    /// Everything written so far is durable.
    pub(crate) fn persist(&mut self) -> Vec<Action> {
        self.step(Event::Persisted(self.newest_write))
    }

    /// A message of a peer in its first life.
    pub(crate) fn receive(&mut self, from: u64, term: u64, body: Body) -> Vec<Action> {
        self.receive_from_life(from, life_of(from), term, body)
    }

    pub(crate) fn receive_from_life(
        &mut self,
        from: u64,
        sender: Incarnation,
        term: u64,
        body: Body,
    ) -> Vec<Action> {
        self.step(Event::Receive(Message {
            from: n(from),
            to: n(1),
            term: t(term),
            sender,
            receiver: self.life,
            body,
        }))
    }

    /// These peers say that they hold everything up to `index`, in the newest round asked.
    pub(crate) fn confirmed_by(
        &mut self,
        peers: impl IntoIterator<Item = u64>,
        index: u64,
    ) -> Vec<Action> {
        let term = self.status().term.get();
        let mut all = Vec::new();
        for peer in peers {
            all.extend(self.receive(peer, term, matched(term, index, Round::ZERO)));
        }
        all
    }

    pub(crate) fn propose(&mut self, commands: &[&'static str]) -> Vec<Action> {
        self.names += 1;
        let commands = commands
            .iter()
            .map(|command| Bytes::from_static(command.as_bytes()));
        self.step(Event::Propose {
            proposal: ProposalId::new(self.names),
            commands: commands.collect(),
        })
    }

    pub(crate) fn read(&mut self, read: u64) -> Vec<Action> {
        self.step(Event::Read {
            read: ReadId::new(read),
        })
    }
}

/// The first life of a peer.
pub(crate) const fn life_of(peer: u64) -> Incarnation {
    Incarnation::new(peer * 1000 + 1)
}

/// An append behind `prev`, of a leader whose log ends with it.
pub(crate) fn append(prev: EntryId, entries: Entries, commit: u64) -> Body {
    let last = prev.index.plus(entries.len() as u64);
    append_of_log(last, prev, entries, commit)
}

/// An append behind `prev`, of a leader that says that its log ends at `last`.
pub(crate) const fn append_of_log(
    last: LogIndex,
    prev: EntryId,
    entries: Entries,
    commit: u64,
) -> Body {
    Body::Append {
        prev,
        entries,
        commit: i(commit),
        round: r(0),
        last,
    }
}

/// An append without entries.
pub(crate) fn heartbeat(prev: EntryId, commit: u64) -> Body {
    append(prev, Entries::empty(), commit)
}

pub(crate) const fn vote_request(last: EntryId) -> Body {
    Body::Vote {
        last,
        transfer: false,
    }
}

pub(crate) const fn vote_reply(campaign: u64, granted: bool) -> Body {
    Body::VoteReply {
        campaign: t(campaign),
        granted,
    }
}

pub(crate) const fn pre_vote_request(campaign: u64, last: EntryId) -> Body {
    Body::PreVote {
        campaign: t(campaign),
        last,
    }
}

pub(crate) const fn pre_vote_reply(campaign: u64, granted: bool) -> Body {
    Body::PreVoteReply {
        campaign: t(campaign),
        granted,
    }
}

/// The answer of a peer that holds everything up to `index`.
pub(crate) const fn matched(asked: u64, index: u64, round: Round) -> Body {
    Body::AppendReply {
        asked: t(asked),
        round,
        outcome: AppendOutcome::Matched(i(index)),
        suspect: false,
    }
}

/// The answer of a peer whose log does not hold the entry at `refused`.
pub(crate) const fn conflict(asked: u64, refused: u64, hint: EntryId, round: Round) -> Body {
    Body::AppendReply {
        asked: t(asked),
        round,
        outcome: AppendOutcome::Conflict {
            refused: i(refused),
            hint,
        },
        suspect: false,
    }
}

/// The messages among these actions, with what they wait for.
pub(crate) fn sends(actions: &[Action]) -> Vec<(WriteId, &Message)> {
    let mut sends = Vec::new();
    for action in actions {
        if let Action::Send { needs, message } = action {
            sends.push((*needs, message));
        }
    }
    sends
}

/// The only message among these actions.
pub(crate) fn only_send(actions: &[Action]) -> (WriteId, &Message) {
    let sends = sends(actions);
    assert_eq!(sends.len(), 1, "one message was expected: {actions:#?}");
    sends[0]
}

/// Whether the peer is told to campaign.
pub(crate) fn is_told(actions: &[Action], peer: u64) -> bool {
    let is_word = |body: &&Body| matches!(body, Body::TimeoutNow { .. });
    said_to(actions, peer).iter().any(is_word)
}

/// What is said to `peer`.
pub(crate) fn said_to(actions: &[Action], peer: u64) -> Vec<&Body> {
    let to_peer = |(_, message): &(WriteId, &Message)| message.to == n(peer);
    sends(actions)
        .into_iter()
        .filter(to_peer)
        .map(|(_, message)| &message.body)
        .collect()
}

/// The appends with entries said to `peer`: index before the first, and how many.
pub(crate) fn appends_to(actions: &[Action], peer: u64) -> Vec<(u64, usize)> {
    let mut appends = Vec::new();
    for body in said_to(actions, peer) {
        if let Body::Append { prev, entries, .. } = body
            && !entries.is_empty()
        {
            appends.push((prev.index.get(), entries.len()));
        }
    }
    appends
}

/// The hard state that is saved, if one is.
pub(crate) fn saved(actions: &[Action]) -> Option<(WriteId, HardState)> {
    actions.iter().find_map(|action| {
        let Action::SaveHardState { write, state } = action else {
            return None;
        };
        Some((*write, *state))
    })
}

/// The entries that are written, if any are.
pub(crate) fn written(actions: &[Action]) -> Option<(WriteId, &Entries)> {
    actions.iter().find_map(|action| {
        let Action::AppendEntries { write, entries } = action else {
            return None;
        };
        Some((*write, entries))
    })
}

/// Whom a node votes for, as saved.
pub(crate) fn vote_of(actions: &[Action]) -> Option<NodeId> {
    saved(actions).and_then(|(_, state)| state.vote)
}

/// Whether an action is among these.
pub(crate) fn has(actions: &[Action], is_wanted: impl Fn(&Action) -> bool) -> bool {
    actions.iter().any(is_wanted)
}
