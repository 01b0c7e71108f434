//! The end of a seed: all faults stop, and the cluster has to recover from whatever happened, in
//! bounded virtual time. Then everything that was promised is looked for.

use quorate_core::{NodeId, RoleName};
use quorate_log::{DirectoryId, FreshIds, Log, LogOptions, Owner};

use super::lifetime::End;
use super::{Happening, System};
use crate::check::{Check, Property, Violation, broken};
use crate::history::{Unknowns, Verdict};
use crate::knobs::{MILLI, SECOND};

/// Steps of the black-box check for each key, at most: enough for nearly every history. The others
/// need every order of many appends that nobody was answered, of which only a hash is seen.
const BLACK_BOX_STEPS: u64 = 4_000_000;

/// How often the world is asked whether it has recovered.
const LOOK_EVERY: u64 = 20 * MILLI;

impl System {
    /// Ends all faults, and demands that the cluster serves again.
    pub(super) fn settle(&mut self) -> Check {
        self.calm_down()?;
        let began = self.now;
        let limit = self.patience();
        self.wait_for(began + limit, "no leader", Self::has_leader)?;
        self.clients.served = 0;
        let wanted = 3 * self.clients.count().min(4);
        self.wait_for(began + 2 * limit, "no service", |world| {
            world.clients.served >= wanted && world.has_leader()
        })?;
        self.settle_time = self.now - began;
        self.are_clients_done = true;
        let trial = self.strain_leader()?;
        self.wait_for(began + 4 * limit, "not at rest", Self::is_at_rest)?;
        self.end_trial(trial)?;
        self.final_scan()
    }

    /// How long a cluster may take to have a leader: connections that a machine without power left
    /// behind are noticed after 5 s, dials wait for up to 2 s after an attempt of 2 s.
    fn patience(&self) -> u64 {
        let election = self.knobs.engine.election_timeout_max.as_nanos();
        12 * SECOND + 12 * u64::try_from(election).unwrap_or(SECOND)
    }

    fn calm_down(&mut self) -> Check {
        self.is_calm = true;
        self.note(|| "all faults end".to_owned());
        self.knobs = self.knobs.calm();
        self.calm_since = self.now;
        self.heal_links()?;
        for node in self.nodes.ids() {
            self.look_after(node);
            if self.atlas.is_wiped(node) {
                self.put_back(node)?;
            }
            let life = self.nodes[node].life.as_deref();
            match life.map(|life| (life.id, life.is_paused)) {
                Some((id, true)) => self.resume(id)?,
                Some((_, false)) => {}
                None => self.agenda.push(self.now, Happening::Start(node)),
            }
        }
        Ok(())
    }

    /// Lets the world go on until `done`, or complains.
    fn wait_for(
        &mut self,
        deadline: u64,
        what: &str,
        mut done: impl FnMut(&mut Self) -> bool,
    ) -> Check {
        let mut next_look = self.now;
        while self.now <= deadline {
            if self.now >= next_look {
                if done(self) {
                    return Ok(());
                }
                next_look = self.now + LOOK_EVERY;
            }
            self.happen()?;
        }
        let facts = self.describe();
        broken(
            Property::Liveness,
            format_args!("{what} in time after all faults ended; {facts}"),
        )
    }

    /// Somebody leads with everything it took over applied.
    fn has_leader(&mut self) -> bool {
        self.leader().is_some()
    }

    pub(super) fn leader(&self) -> Option<NodeId> {
        self.nodes.ids().find(|node| {
            let life = self.nodes[*node].life.as_deref();
            life.is_some_and(|life| life.glimpse.role == RoleName::Leader && life.glimpse.ready)
        })
    }

    /// Every member has applied everything, and nothing waits anywhere.
    fn is_at_rest(&mut self) -> bool {
        let Some(leader) = self.leader() else {
            return false;
        };
        let Some(life) = self.nodes[leader].life.as_deref() else {
            return false;
        };
        let (commit, last) = (life.glimpse.commit, life.glimpse.last);
        let is_even = |node: NodeId| {
            let host = &self.nodes[node];
            host.life.as_deref().is_some_and(|life| {
                life.machine.applied == commit
                    && host.stable.shape.last() == commit
                    && life.machine.queue.is_empty()
                    && life.storage.requests.is_empty()
            })
        };
        commit == last
            && commit == self.checks.ledger.last()
            && self.clients.owed() == 0
            && life.membership.members().all(is_even)
    }

    /// What was acknowledged is on every member's disk, once, and the answers make sense.
    fn final_scan(&mut self) -> Check {
        let Some(leader) = self.leader() else {
            return Ok(());
        };
        let members: Vec<NodeId> = self.nodes[leader]
            .life
            .as_deref()
            .map(|life| life.membership.members().collect())
            .unwrap_or_default();
        for node in members {
            self.compare_log(node)?;
        }
        self.compare_answers()
    }

    /// The log of `node`, read from its disk once more, is the committed one.
    fn compare_log(&mut self, node: NodeId) -> Check {
        self.end_life(node, End::Power)?;
        let owner = Owner {
            cluster: self.cluster,
            node,
        };
        let fresh = FreshIds {
            directory: DirectoryId(0),
            log: 0,
        };
        let mut options = LogOptions::default();
        options.segment_bytes = self.knobs.disk_bytes.segment;
        let opened = Log::open(self.nodes[node].disk.clone(), owner, fresh, options);
        let mut opened = opened.map_err(|error| Violation {
            property: Property::TornIsCut,
            facts: format!("{node} cannot be opened in the end: {error}"),
        })?;
        let Some(log) = self.check_recovered(node, &mut opened)? else {
            return broken(
                Property::NoSilentLoss,
                format_args!("{node} ends with its newest batch torn"),
            );
        };
        let ledger = &self.checks.ledger;
        let committed = self.nodes[node].stable.shape.mark(ledger.last());
        let last = ledger.get(ledger.last()).map(|entry| entry.mark);
        if last.is_some() && committed != last {
            return broken(
                Property::AckedNeverLost,
                format_args!("{node} ends with another log than the committed one"),
            );
        }
        let entries = log.iter().flat_map(|entries| entries.iter());
        let commands = entries.filter_map(|entry| match &entry.payload {
            quorate_core::Payload::Command(bytes) => Some((entry.id(), bytes.as_ref())),
            quorate_core::Payload::Noop | quorate_core::Payload::Membership(_) => None,
        });
        self.clients.witness.finish(commands)
    }

    /// The black-box check, on a share of the seeds.
    fn compare_answers(&mut self) -> Check {
        if !self.knobs.client.black_box {
            return Ok(());
        }
        let witness = &self.clients.witness;
        let unknowns = Unknowns::Resolved(&|id| witness.took_effect(id));
        let verdict = crate::history::linearizability::check(
            &self.clients.history,
            unknowns,
            BLACK_BOX_STEPS,
        );
        self.counts.black_box += 1;
        match verdict {
            Verdict::Linearizable => Ok(()),
            Verdict::GaveUp { .. } => {
                self.counts.black_box_given_up += 1;
                Ok(())
            }
            Verdict::Violated { key, timeline } => broken(
                Property::ClientLinearizable,
                format_args!("no order explains the answers at key {key}:\n{timeline}"),
            ),
        }
    }

    /// Every node in one line, for a violation.
    fn describe(&self) -> String {
        let node = |node: NodeId| match self.nodes[node].life.as_deref() {
            None => format!("{node} is down"),
            Some(life) => {
                let seen = &life.glimpse;
                format!(
                    "{node} {:?} {} of {:?} with {:?} ({:?}) last {} disk {} commit {} applied {} \
                     requests {} work {} removed {} paused {} until {} links {}",
                    seen.role,
                    seen.term,
                    seen.leader.map(NodeId::get),
                    life.membership.voters(),
                    life.membership.learners(),
                    seen.last,
                    self.nodes[node].stable.shape.last(),
                    seen.commit,
                    life.machine.applied,
                    life.storage.requests.len(),
                    life.machine.queue.len(),
                    seen.removed,
                    life.is_paused,
                    life.wake_at,
                    self.links_of(life),
                )
            }
        };
        let nodes = self.nodes.ids().map(node).collect::<Vec<_>>().join("; ");
        format!(
            "at {} ms, owed {}, served {}; {nodes}",
            self.now / MILLI,
            self.clients.owed(),
            self.clients.served
        )
    }
}
