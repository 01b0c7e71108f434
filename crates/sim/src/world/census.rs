//! What checkers are told after a step of the memberships, snapshots, disks and suspicions
//! of a node. Logs, terms and commits are in `observe.rs`, transfers in `transfers.rs`.

use quorate_core::{
    Action, ChangeId, Entry, EntryId, LogIndex, Membership, NodeId, Payload, PeerMode, PeerStatus,
    RoleName, SnapshotMeta, Status, Time,
};

use super::World;
use super::cause::Cause;
use super::node::Glimpse;
use crate::check::{
    Check, LifeId, Property, broken, config_change, config_in_force, promoted, removed_silent,
    retention, room, snapshot_due, snapshot_install, truthful_removal,
};

/// Election timeouts for which a peer may be silent before a leader keeps nothing for it any more.
const ABSENCE: u32 = 10;
/// The engine counts what it keeps in stretches of this many bytes, and may count one too many.
const STRETCH_BYTES: u64 = 2 << 20;

impl World {
    /// The membership in force and everything else that an engine shows of itself.
    pub(super) fn observe_state(
        &mut self,
        id: LifeId,
        cause: Cause,
        before: &Glimpse,
        after: &Glimpse,
        status: &Status,
        actions: &[Action],
    ) -> Check {
        self.observe_membership(id, after, status)?;
        self.observe_campaign(id, before, after)?;
        self.observe_removed_leader(id, before, after)?;
        self.observe_transfer(id, cause, before, after, actions)?;
        self.observe_retention(id, before, status)?;
        for action in actions {
            match action {
                Action::Removed { index } => {
                    self.counts.removals_told += 1;
                    self.observe_removal(id, *index)?;
                }
                Action::MembershipAppended { change, entry } => {
                    self.counts.changes += 1;
                    self.observe_changed(id, *change, *entry)?;
                }
                Action::HandedOver { .. } => self.counts.transfers += 1,
                Action::SnapshotDue => self.observe_due(id, after)?,
                Action::PurgeLog { through } => {
                    self.observe_purge(id, through.index, (before, status))?;
                }
                Action::Send { .. }
                | Action::LoadEntries { .. }
                | Action::SaveHardState { .. }
                | Action::AppendEntries { .. }
                | Action::InstallSnapshot { .. }
                | Action::RestoreSnapshot { .. }
                | Action::ReceiveSnapshot { .. }
                | Action::DropSnapshot { .. }
                | Action::Apply { .. }
                | Action::Proposed { .. }
                | Action::MembershipChanged { .. }
                | Action::ReadReady { .. }
                | Action::Refused { .. }
                | Action::RoleChanged { .. }
                | Action::Fatal(_) => {}
            }
        }
        let (old, new) = (&before.counters, &after.counters);
        self.counts.lease_reads += new.lease_reads - old.lease_reads;
        self.counts.snapshots_offered += new.snapshots_offered - old.snapshots_offered;
        self.counts.full_disks += new.full_disks - old.full_disks;
        Ok(())
    }

    /// The membership in force is the newest in the log.
    fn observe_membership(&mut self, id: LifeId, after: &Glimpse, status: &Status) -> Check {
        let is_founder = self.knobs.is_founder(id.node);
        let Some(life) = self.nodes[id.node].life.as_deref_mut() else {
            return Ok(());
        };
        let shown = (status.membership_index, &status.membership);
        let in_log = life.log.membership_at(life.log.last());
        config_in_force::shows(id, shown, in_log, &self.founders, is_founder)?;
        if life.membership.0 == shown.0 && life.membership.1 == *shown.1 {
            return Ok(());
        }
        self.counts.changes_rolled_back += u64::from(shown.0 < life.membership.0);
        if after.role == RoleName::Leader {
            // A new member is given time to be heard, and so is whoever now matters more.
            life.counts_from = life.ticked;
        }
        life.membership = (shown.0, shown.1.clone());
        Ok(())
    }

    /// A leader appends a membership, which takes force with that. Its log ends before it.
    pub(super) fn observe_change(&mut self, id: LifeId, after: &Glimpse, entry: &Entry) -> Check {
        let Payload::Membership(bytes) = &entry.payload else {
            return Ok(());
        };
        let Ok(wanted) = Membership::decode(bytes) else {
            return broken(
                Property::ConfigChange,
                format_args!("{id} appends {} without a membership in it", entry.id()),
            );
        };
        if after.role != RoleName::Leader || entry.term != after.term {
            return Ok(());
        }
        let Some(life) = self.nodes[id.node].life.as_deref() else {
            return Ok(());
        };
        let present = life.log.membership_at(life.log.last());
        let (since, present) = present.unwrap_or((LogIndex::NONE, &self.founders));
        config_change::differs_by_one(id, present, &wanted)?;
        config_change::may_change(id, since, after.commit, life.elected_at)?;
        let config = &self.knobs.engine;
        if config.require_reachable_quorum && present.voters() != wanted.voters() {
            let is_lately = |at: &Time| life.ticked.since(*at) <= config.election_timeout_max;
            let is_heard = |voter: &&NodeId| {
                **voter == id.node || life.answered.get(*voter).is_some_and(is_lately)
            };
            let heard = wanted.voters().iter().filter(is_heard).count();
            config_change::stays_reachable(id, wanted.voters().len(), heard)?;
        }
        let is_new = |voter: &&NodeId| !present.is_voter(**voter);
        let peers = life.engine.status().peers;
        for &node in wanted.voters().iter().filter(is_new) {
            let ago = self.knobs.engine.election_timeout_max * 2;
            let needed = life.ends.before(life.ticked, ago);
            let needed = needed.max(life.elected_at);
            let disk = &self.stables[node];
            let mark = life.log.mark(needed).unwrap_or_default();
            let holds = needed == LogIndex::NONE || disk.holds(needed, mark);
            let is_suspect = peers.iter().any(|peer| peer.id == node && peer.suspect);
            promoted::becomes_voter(id, node, needed, holds, is_suspect)?;
        }
        Ok(())
    }

    /// A change that was made is the newest in force.
    fn observe_changed(&self, id: LifeId, change: ChangeId, entry: EntryId) -> Check {
        let log = self.nodes[id.node].life.as_deref().map(|life| &life.log);
        let in_force = log.and_then(|log| log.membership_at(log.last()));
        let is_true = in_force.is_some_and(|(since, _)| since == entry.index);
        if is_true && log.is_some_and(|log| log.contains(entry)) {
            return Ok(());
        }
        broken(
            Property::OneOutcome,
            format_args!("{id} tells that {change} stands at {entry}, which is not so"),
        )
    }

    /// Whoever campaigns is prepared to lead, as far as it knows.
    fn observe_campaign(&self, id: LifeId, before: &Glimpse, after: &Glimpse) -> Check {
        let stands = |role| matches!(role, RoleName::PreCandidate | RoleName::Candidate);
        let is_same = before.role == after.role && before.term == after.term;
        let stands_now = stands(after.role) || after.role == RoleName::Leader;
        if is_same || !stands_now {
            return Ok(());
        }
        let Some(life) = self.nodes[id.node].life.as_deref() else {
            return Ok(());
        };
        let (since, membership) = &life.membership;
        let is_committed = *since <= before.commit;
        removed_silent::campaigns(
            id,
            membership,
            is_committed,
            before.removed && after.removed,
            before.suspect,
        )
    }

    /// Whoever leads and is removed leaves when that is committed, and says so.
    fn observe_removed_leader(&self, id: LifeId, before: &Glimpse, after: &Glimpse) -> Check {
        let Some(life) = self.nodes[id.node].life.as_deref() else {
            return Ok(());
        };
        let (since, membership) = &life.membership;
        let is_committed = *since <= after.commit;
        if after.role == RoleName::Leader {
            return removed_silent::leads_on(id, membership, is_committed);
        }
        if before.role == RoleName::Leader && before.term == after.term {
            return removed_silent::leaves(id, membership, is_committed, after.removed);
        }
        Ok(())
    }

    /// A node was told that it is no member.
    fn observe_removal(&self, id: LifeId, index: LogIndex) -> Check {
        let Some(life) = self.nodes[id.node].life.as_deref() else {
            return Ok(());
        };
        let committed = self.checks.ledger.get(index).map(|entry| entry.mark);
        let holds = |node: &NodeId| {
            committed.is_some() && committed == self.stables[*node].shape().mark(index)
        };
        let Some(witness) = self.nodes.ids().find(holds) else {
            return Ok(());
        };
        let committed = self.stables[witness].shape().membership_at(index);
        let committed = committed.map_or(&self.founders, |(_, membership)| membership);
        let own = life.log.membership_at(life.log.last());
        // A later one that came to nothing is no better knowledge.
        let own = own.filter(|(since, _)| {
            let here = life.log.mark(*since);
            here.is_some() && here == self.checks.ledger.get(*since).map(|entry| entry.mark)
        });
        truthful_removal::told(id, index, committed, own)
    }

    /// What a leader believes of a peer that has just answered, and of whom it has asked in vain.
    pub(super) fn observe_answer(
        &mut self,
        id: LifeId,
        cause: Cause,
        before: &Glimpse,
        status: &Status,
    ) -> Check {
        let peers = &status.peers;
        let mut said = None;
        if let Cause::Answer {
            from,
            sender,
            asked,
        } = cause
            && asked == status.term
        {
            let is_taken = before.counters.dropped == status.counters.dropped;
            let mut names = self.nodes[from].names.iter();
            let number = names.position(|name| *name == sender);
            said = number.map(|number| (from, (number as u64, is_taken)));
        }
        let Some(life) = self.nodes[id.node].life.as_deref_mut() else {
            return Ok(());
        };
        // Who was removed and is added again is asked, and heard, like anybody else.
        let is_peer = |node: &NodeId| peers.iter().any(|peer| peer.id == *node);
        life.asked_in_vain.retain(is_peer);
        life.hearsay.retain(|node, _| is_peer(node));
        let Some((from, answer)) = said else {
            return Ok(());
        };
        let Some(peer) = peers.iter().find(|peer| peer.id == from) else {
            return Ok(());
        };
        let heard = life.hearsay.entry(from).or_default();
        heard.hears(id, from, answer, peer.suspect)
    }

    /// A snapshot is due. The engine counts bytes when it hands them over, which is no more than is
    /// committed, and entries when they are applied.
    fn observe_due(&self, id: LifeId, after: &Glimpse) -> Check {
        let Some(life) = self.nodes[id.node].life.as_deref() else {
            return Ok(());
        };
        let bytes_at = |index| life.log.mark(index).map_or(0, |it| it.bytes);
        let bytes = bytes_at(after.commit).saturating_sub(bytes_at(life.counts_behind));
        let entries = after.snapshot.index.distance_to(after.applied);
        let engine = &self.knobs.engine;
        let limits = (engine.snapshot_bytes, engine.snapshot_entries);
        snapshot_due::asks(id, (bytes, entries), limits)
    }

    /// How much of the log is kept.
    fn observe_retention(&self, id: LifeId, before: &Glimpse, status: &Status) -> Check {
        if status.snapshot == before.snapshot {
            return Ok(());
        }
        let needs = |peer: &&PeerStatus| {
            let lags = peer.matched < status.snapshot.index;
            lags || matches!(peer.mode, PeerMode::Snapshot { .. })
        };
        if self.peers_within_reach(id, status).any(|peer| needs(&peer)) {
            return Ok(());
        }
        // After a pause, everybody has the time to answer.
        let patience = self.knobs.engine.election_timeout_max * ABSENCE;
        let life = self.nodes[id.node].life.as_deref();
        let is_awake_lately = life.is_some_and(|it| it.ticked.since(it.counts_from) <= patience);
        if is_awake_lately && status.peers.iter().any(|peer| needs(&peer)) {
            return Ok(());
        }
        let trailing = self.knobs.engine.trailing_entries;
        retention::keeps_log(id, status.first, status.snapshot.index, trailing)
    }

    /// The peers that the leader heard of within the last few election timeouts.
    fn peers_within_reach<'a>(
        &'a self,
        id: LifeId,
        status: &'a Status,
    ) -> impl Iterator<Item = &'a PeerStatus> + 'a {
        let patience = self.knobs.engine.election_timeout_max * ABSENCE;
        let life = self.nodes[id.node].life.as_deref();
        let now = life.map_or(Time::ZERO, |life| life.ticked);
        let peers = status.peers.iter();
        peers.filter(move |peer| now.since(peer.heard_at) <= patience)
    }

    /// A leader lets go of its log up to `through`.
    fn observe_purge(
        &self,
        id: LifeId,
        through: LogIndex,
        (before, status): (&Glimpse, &Status),
    ) -> Check {
        let Some(life) = self.nodes[id.node].life.as_deref() else {
            return Ok(());
        };
        let bytes_at = |index| life.log.mark(index).map_or(0, |mark| mark.bytes);
        let limit = self.knobs.engine.max_retained_bytes;
        let limit = limit.saturating_sub(STRETCH_BYTES);
        for peer in self.peers_within_reach(id, status) {
            let needed = match peer.mode {
                PeerMode::Snapshot { last, .. } => last.index,
                PeerMode::Probe | PeerMode::Replicate => peer.matched,
            };
            // What was gone before cannot be kept; who needs it gets a snapshot.
            if needed.next() >= before.first {
                let bytes = bytes_at(life.log.last()) - bytes_at(needed);
                retention::purges(id, through, needed, (bytes, limit))?;
            }
        }
        Ok(())
    }

    /// A step wants a snapshot installed. The log of the engine changes with that.
    pub(super) fn observe_install(
        &mut self,
        id: LifeId,
        before: &Glimpse,
        meta: &SnapshotMeta,
        discards_log: bool,
    ) -> Check {
        let Some(life) = self.nodes[id.node].life.as_deref_mut() else {
            return Ok(());
        };
        let arrived = life.received.iter().find(|it| it.meta == *meta);
        let is_in_log = life.log.contains(meta.last);
        snapshot_install::installs(
            id,
            (before.commit, meta.last),
            (discards_log, is_in_log),
            arrived.is_some(),
        )?;
        self.counts.snapshots_installed += 1;
        if let Some(snapshot) = arrived.filter(|_| discards_log) {
            self.counts.logs_discarded += 1;
            life.log = snapshot.history.shape();
        }
        Ok(())
    }

    /// A step appends `bytes` to the log.
    pub(super) fn observe_room(&mut self, id: LifeId, bytes: u64) -> Check {
        let host = &mut self.nodes[id.node];
        host.room = host.room.map(|room| room.saturating_sub(bytes));
        let Some(life) = host.life.as_deref_mut() else {
            return Ok(());
        };
        room::appends(id, bytes, life.room)?;
        if life.room != u64::MAX {
            life.room -= bytes;
        }
        Ok(())
    }
}
