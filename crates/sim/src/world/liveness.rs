//! Liveness: once every fault is gone and every node runs, the cluster elects one leader, serves
//! writes and reads at every node, ends with equal logs, and is quiet, all in bounded virtual
//! time. Safety is checked all along, by the same checkers as before.

use std::time::Duration;

use quorate_core::{Event, LogIndex, NodeId, RoleName, Term};

use super::{Happening, World};
use crate::check::{Check, Property, broken};
use crate::knobs::{MILLI, SECOND};

/// Election timeouts that a calm cluster may take to find a leader.
const PATIENCE_ELECTIONS: u64 = 20;

/// Time that a calm world may spend on each entry that somebody lacks, in nanoseconds: one
/// round trip, one load, one sync and one apply with nothing pipelined.
const PATIENCE_PER_ENTRY: u64 = 8 * MILLI;

/// Time in which a write is applied everywhere by a cluster that does nothing else: four messages,
/// two syncs, a load and an apply, twice over.
const PROMPT: u64 = 10 * MILLI;

impl World {
    /// Ends all faults and demands recovery.
    pub(super) fn settle(&mut self) -> Check {
        self.calm_down()?;
        let calm_at = self.now;
        self.wait("one leader whom everybody follows", Self::leader_is_settled)?;
        self.settle_time = self.now - calm_at;
        self.is_settled = true;
        let Some((leader, term)) = self.settled_leader() else {
            unreachable!("it was just seen")
        };
        let written = self.write_at(leader)?;
        self.wait("a fresh write applied everywhere", |world| {
            world.has_applied(written)
        })?;
        for node in self.members() {
            let before = self.counts.reads;
            self.read(node)?;
            self.wait("a fresh read", |world| world.counts.reads > before)?;
        }
        self.wait("equal logs and no work left", Self::is_at_rest)?;
        // Scenario B13: nobody waits for a heartbeat to learn of the last write.
        let prompt = self.write_at(leader)?;
        let what = "a prompt write applied everywhere";
        self.wait_for(PROMPT, what, |world| world.has_applied(prompt))?;
        self.wait("equal logs and no work left", Self::is_at_rest)?;
        self.check_storm()?;
        if self.settled_leader() != Some((leader, term)) {
            return broken(
                Property::Liveness,
                format_args!("{leader} led {term} and lost its leadership in a calm world"),
            );
        }
        self.check_full_disks()?;
        for node in self.members() {
            let disk = &self.stables[node];
            let log = disk.history(disk.shape().last()).to_vec();
            let entry_at = |index: LogIndex| log.get(index.prev().get() as usize);
            self.checks.acked.ends(node, entry_at)?;
        }
        Ok(())
    }

    /// Switches every fault off, wakes and starts everybody, and lets what is under way end:
    /// syncs that hang, messages that are held up, machines that are slow.
    fn calm_down(&mut self) -> Check {
        let knobs = &self.knobs;
        let residue = knobs.disk.stall_max.max(knobs.network.tail_max);
        let residue = residue
            .max(knobs.process.apply_max)
            .max(knobs.disk.load_max)
            .max(knobs.snapshot.take_max + knobs.habits.capture_max)
            .max(knobs.snapshot.part_max)
            .max(self.echoes_that_depose());
        self.knobs = self.knobs.calm();
        self.is_calm = true;
        self.network.heal();
        self.note(|| "the world calms down".to_owned());
        for node in self.nodes.ids() {
            self.start(node)?;
            if let Some(life) = self.nodes[node].life.as_deref() {
                self.resume(life.id)?;
            }
        }
        self.free_disks()?;
        let end = self.now + residue;
        while self.now < end {
            self.happen()?;
        }
        // A node whose disk failed just now crashed once more.
        self.nodes.ids().try_for_each(|node| self.start(node))
    }

    /// How long copies of messages may depose a leader without doing wrong. A node that was removed
    /// may have campaigned by itself, where not everybody asks for pre-votes. It is in a later
    /// term, and says so to the leader whose old append it is given once more (scenario A07).
    fn echoes_that_depose(&self) -> u64 {
        let knobs = &self.knobs;
        let asks = knobs.engine.pre_vote && !knobs.process.mixed_pre_vote;
        if asks { 0 } else { knobs.network.echo_max }
    }

    /// Lets things happen until `is_reached`, within the patience of a calm world.
    pub(super) fn wait(&mut self, what: &str, is_reached: impl Fn(&Self) -> bool) -> Check {
        self.wait_for(self.patience(), what, is_reached)
    }

    /// Lets things happen until `is_reached`, within `patience` nanoseconds.
    fn wait_for(&mut self, patience: u64, what: &str, is_reached: impl Fn(&Self) -> bool) -> Check {
        let deadline = self.now + patience;
        while !is_reached(self) {
            if self.now > deadline {
                return broken(
                    Property::Liveness,
                    format_args!(
                        "a calm cluster waits in vain for {what}: {}",
                        self.describe()
                    ),
                );
            }
            self.happen()?;
        }
        Ok(())
    }

    /// How long the cluster may take for anything: some elections, and catching up.
    fn patience(&self) -> u64 {
        let election = nanos(self.knobs.engine.election_timeout_max);
        let newest = self.lasts().max().unwrap_or(0);
        let applied = self.nodes.iter().map(|node| {
            node.life
                .as_deref()
                .map_or(0, |life| life.apply.machine.applied.get())
        });
        let behind = newest.saturating_sub(applied.min().unwrap_or(0));
        PATIENCE_ELECTIONS * election + behind * PATIENCE_PER_ENTRY
    }

    fn lasts(&self) -> impl Iterator<Item = u64> {
        self.nodes.iter().map(|node| {
            node.life
                .as_deref()
                .map_or(0, |life| life.glimpse.last.get())
        })
    }

    /// The members of the cluster, as the newest leader sees it.
    pub(super) fn members(&self) -> Vec<NodeId> {
        let alive = self.nodes.iter().filter_map(|node| node.life.as_deref());
        let leaders = alive.filter(|life| life.glimpse.role == RoleName::Leader);
        let newest = leaders.max_by_key(|life| life.glimpse.term);
        newest.map_or_else(Vec::new, |life| life.membership.1.members().collect())
    }

    /// The leader that every member follows in the newest term, having applied an entry of its
    /// own, and with a membership that is committed.
    pub(super) fn settled_leader(&self) -> Option<(NodeId, Term)> {
        let mut leader = None;
        for node in self.members() {
            let life = self.nodes[node].life.as_deref()?;
            let glimpse = &life.glimpse;
            if life.membership.0 > glimpse.commit {
                return None;
            }
            if *leader.get_or_insert((glimpse.leader?, glimpse.term))
                != (glimpse.leader?, glimpse.term)
            {
                return None;
            }
        }
        let (id, _) = leader?;
        let life = self.nodes[id].life.as_deref()?;
        let glimpse = &life.glimpse;
        let is_at_work = glimpse.ready && glimpse.transfer_target.is_none();
        let leads = glimpse.role == RoleName::Leader && life.membership.1.is_voter(id);
        (leads && is_at_work).then_some(leader?)
    }

    /// Whether there is such a leader and all requests of the past have their outcome.
    fn leader_is_settled(&self) -> bool {
        let is_request = |event: &Event| {
            matches!(
                event,
                Event::Propose { .. }
                    | Event::Read { .. }
                    | Event::ChangeMembership { .. }
                    | Event::TransferLeadership { .. }
            )
        };
        self.checks.outcomes.waiting() == 0
            && self.settled_leader().is_some()
            && !self.any_waits(is_request)
    }

    /// Proposes a command at the leader and says where it stands.
    pub(super) fn write_at(&mut self, leader: NodeId) -> Result<LogIndex, crate::check::Violation> {
        let before = self.counts.proposals;
        self.wait("room for a fresh write", |world| {
            world.nodes[leader].life.as_deref().is_some_and(|life| {
                life.engine.uncommitted_bytes() < world.knobs.engine.max_uncommitted_bytes
            })
        })?;
        self.propose(leader, 1, 16)?;
        self.wait("the acceptance of a fresh write", |world| {
            world.counts.proposals > before
        })?;
        Ok(self.nodes[leader]
            .life
            .as_deref()
            .map_or(LogIndex::NONE, |life| life.log.last()))
    }

    pub(super) fn has_applied(&self, index: LogIndex) -> bool {
        let has_applied = |node: NodeId| {
            let life = self.nodes[node].life.as_deref();
            life.is_some_and(|life| life.apply.machine.applied >= index)
        };
        self.members().into_iter().all(has_applied)
    }

    /// Whether all logs are equal, durable, committed and applied, and nobody waits for anything.
    fn is_at_rest(&self) -> bool {
        let committed = self.checks.ledger.last();
        let Some(mark) = self.checks.ledger.get(committed).map(|entry| entry.mark) else {
            return false;
        };
        let is_whole = |node: NodeId| {
            let shape = self.stables[node].shape();
            shape.last() == committed && shape.mark(committed) == Some(mark)
        };
        let is_idle = |node: NodeId| {
            self.nodes[node].life.as_deref().is_some_and(|life| {
                life.glimpse.commit == committed
                    && life.apply.told == committed
                    && life.writes.pending() == 0
                    && life.held.is_empty()
                    && life.open_loads == 0
                    // Commands behind the end were cut off; their clients will never hear.
                    && life.clients.commands.keys().all(|&index| index > committed)
                    && life.clients.reads.is_empty()
                    && life.receiving.is_none()
                    && life.received.is_empty()
                    && !life.is_taking
                    && !life.glimpse.suspect
            })
        };
        self.checks.outcomes.waiting() == 0
            && self
                .members()
                .into_iter()
                .all(|node| is_whole(node) && is_idle(node))
    }

    /// A cluster at rest sends heartbeats and their answers, and little else.
    fn check_storm(&mut self) -> Check {
        let sent = self.counts.sent;
        let end = self.now + SECOND;
        // Keeps the clock moving where no messages do.
        self.agenda.push(end, Happening::Heal);
        while self.now < end {
            self.happen()?;
        }
        let sent = self.counts.sent - sent;
        let peers = self.nodes.count() - 1;
        let heartbeats = SECOND / nanos(self.knobs.engine.heartbeat_interval).max(1) + 2;
        // Twice what is needed leaves room for clocks that run fast; and what was sent twice long
        // ago is answered once more.
        let is_late = |at: &&u64| **at + SECOND >= end;
        let echoes = self.echoes.iter().filter(is_late).count() as u64;
        let limit = 4 * peers * heartbeats + echoes;
        if sent > limit {
            return broken(
                Property::Liveness,
                format_args!("a cluster at rest sent {sent} messages in a second, over {limit}"),
            );
        }
        Ok(())
    }

    /// The state of every node, for a liveness violation.
    fn describe(&self) -> String {
        let node = |node: NodeId| match self.nodes[node].life.as_deref() {
            None => format!("{node} is down"),
            Some(life) => {
                let glimpse = &life.glimpse;
                let leader = glimpse
                    .leader
                    .map_or("nobody".to_owned(), |id| id.to_string());
                format!(
                    "{node} {:?} {} of {leader} since {} with {:?} ({:?}) last {} disk {} \
                     commit {} applied {} (unsynced {}, loads {}, suspect {}, removed {}, \
                     receives {:?})",
                    glimpse.role,
                    glimpse.term,
                    life.membership.0,
                    life.membership.1.voters(),
                    life.membership.1.learners(),
                    glimpse.last,
                    self.stables[node].shape().last(),
                    glimpse.commit,
                    life.apply.machine.applied,
                    life.writes.pending(),
                    life.open_loads,
                    glimpse.suspect,
                    glimpse.removed,
                    life.receiving.as_ref().map(|it| it.meta.last)
                )
            }
        };
        let nodes = self.nodes.ids().map(node).collect::<Vec<_>>().join("; ");
        format!("waiting: {}; {nodes}", self.checks.outcomes.describe())
    }
}

/// A duration of the engine's settings in nanoseconds.
fn nanos(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}
