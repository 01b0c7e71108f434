//! The start and the end of a node's life, and what of its writes survives. What a life holds is
//! in `node.rs`.

use quorate_core::{
    Engine, Event, HardState, Incarnation, Membership, NodeId, Priority, Time, ValidConfig,
};

use super::node::{Birth, Clock, Life};
use super::storage::Write;
use super::{Happening, World};
use crate::check::{Check, LifeId, Property, Violation, suspect};
use crate::choice::Choices;
use crate::digest::mix;
use crate::goals::Goal;
use crate::knobs::{DiskKnobs, NetworkKnobs};
use crate::site::Site;

impl World {
    /// Starts a node with what is on its disk, unless it runs already.
    pub(super) fn start(&mut self, node: NodeId) -> Check {
        if self.nodes[node].life.is_some() {
            return Ok(());
        }
        self.nodes[node].starts += 1;
        let host = &self.nodes[node];
        let (number, machine) = (host.starts, host.machine);
        let id = LifeId { node, number };
        let clock = draw_clock(self.knobs.process.skew_ppm, &mut self.choices);
        let started = clock.read(self.now);
        let incarnation = self.draw_incarnation(node);
        self.nodes[node].names.push(incarnation);
        let config = self.draw_config(node);
        let pre_vote = config.pre_vote;
        let engine = self.start_engine(id, config, incarnation, started)?;
        let birth = Birth {
            id,
            incarnation,
            pre_vote,
            clock,
            started,
            machine,
        };
        let log = self.stables[node].shape().clone();
        self.nodes[node].life = Some(Box::new(Life::new(birth, engine, log)));
        self.checks.terms.starts(node);
        if let Some(bytes) = self.nodes[node].room {
            return self.input(node, Event::Room { bytes });
        }
        self.pump(node)
    }

    /// A name that no other life of this world has. Which of two is greater means nothing.
    fn draw_incarnation(&mut self, node: NodeId) -> Incarnation {
        let draw = self.choices.choose(1 << 16, Site::Incarnation);
        let life = self.nodes[node].starts << 8 | node.get();
        // Distinct words give distinct names, and only zero gives zero.
        Incarnation::new(mix(draw << 48 | life))
    }

    /// Settings for the next life of `node`.
    fn draw_config(&mut self, node: NodeId) -> ValidConfig {
        let mut config = self.knobs.engine.clone();
        config.id = node;
        // Nodes that draw the same are not to campaign at the same moments for ever.
        let own = mix(self.nodes[node].starts << 8 | node.get());
        config.seed = own ^ self.choices.choose(1 << 16, Site::EngineSeed);
        if self.knobs.process.mixed_pre_vote {
            config.pre_vote = !self.choices.chance(500_000, Site::PreVote);
        }
        if self.knobs.operator.mixed_priority {
            let priorities = [Priority::Normal, Priority::Low, Priority::High];
            config.priority = self.choices.pick(&priorities, Site::Priority);
        }
        let Ok(config) = config.validate() else {
            unreachable!("drawn settings are valid")
        };
        config
    }

    fn start_engine(
        &mut self,
        id: LifeId,
        config: ValidConfig,
        incarnation: Incarnation,
        now: Time,
    ) -> Result<Engine, Violation> {
        let founders = if self.knobs.is_founder(id.node) {
            let habits = &self.knobs.habits;
            habits.founders(&self.founders, &mut self.choices)
        } else {
            Membership::default()
        };
        if id.number == 1 {
            return Ok(Engine::new(config, incarnation, founders, now));
        }
        self.counts.restarts += 1;
        let applied = self.nodes[id.node].machine.applied;
        let recovered = self.stables[id.node].recovered(applied);
        Engine::recover(config, incarnation, founders, now, recovered).map_err(|error| Violation {
            property: Property::NoFatal,
            facts: format!("{id} cannot start: {error}"),
        })
    }

    /// Ends the life of a node. A prefix of its unsynced writes reaches the disk: the disk
    /// performs them in order, and nobody knows how far it came.
    pub(super) fn crash(&mut self, node: NodeId) -> Check {
        let Some(life) = self.nodes[node].life.take() else {
            return Ok(());
        };
        self.counts.crashes += 1;
        let is_behind = life.apply.machine.applied < life.glimpse.commit;
        self.goals.reach_if(is_behind, Goal::UnappliedAtCrash);
        let pending = life.writes.pending() as u64;
        let lost = self.choices.between(0, pending, Site::Survivors);
        let kept = pending - lost;
        self.counts.lost_writes += lost;
        if self.knobs.process.durable_machine {
            self.nodes[node].machine = life.apply.machine;
        }
        let id = life.id;
        self.note(|| format!("{id} crashes; {kept} of {pending} unsynced writes survive"));
        for write in life.writes.survivors(kept as usize) {
            self.persist(node, &write)?;
        }
        self.checks.outcomes.life_ends(id);
        self.checks.reads.life_ends(id);
        let down = self
            .choices
            .between(0, self.knobs.process.down_max, Site::Down);
        self.agenda.push(self.now + down, Happening::Start(node));
        Ok(())
    }

    /// A write is on stable storage now.
    pub(super) fn persist(&mut self, node: NodeId, write: &Write) -> Check {
        if let Write::Hard(HardState { floor: None, .. }) = write
            && let Some(lost) = self.stables[node].lost()
        {
            suspect::ends(node, self.stables[node].shape().last_id(), lost.last_id())?;
            self.counts.repairs += 1;
            self.goals.reach(Goal::SuspectRepaired);
        }
        self.stables[node].perform(write);
        if matches!(write, Write::Append(_)) {
            let stables = &self.stables;
            self.goals
                .wrote(|node, index| stables[node].shape().mark(index));
        }
        self.observe_disk(node)?;
        match write {
            Write::Hard(HardState {
                term,
                vote: Some(candidate),
                ..
            }) => {
                self.checks.votes.voted(node, *term, *candidate)?;
            }
            Write::Hard(_) | Write::Append(_) | Write::Install(..) => {}
        }
        if let Write::Hard(state) = write {
            self.checks.terms.saved(node, state)?;
        }
        Ok(())
    }
}

/// After how long a leader that was just elected dies, if it does: when some of its first
/// messages have arrived, and some have not (scenario B01).
pub(crate) fn draw_fall(
    ppm: u64,
    network: &NetworkKnobs,
    disk: &DiskKnobs,
    choices: &mut Choices,
) -> Option<u64> {
    if ppm == 0 || !choices.chance(ppm, Site::FreshLeader) {
        return None;
    }
    let round = 2 * network.delay_max + disk.sync_max;
    Some(choices.between(0, 3 * round, Site::FreshLeader))
}

/// A clock that started at any time and is off by at most `skew_ppm`.
pub(crate) fn draw_clock(skew_ppm: u64, choices: &mut Choices) -> Clock {
    let offset = choices.choose(1 << 50, Site::Clock);
    // Right first, then a little fast or slow.
    let error = choices.choose(2 * skew_ppm + 1, Site::Clock);
    let rate = match error % 2 {
        0 => 1_000_000 - error / 2,
        _ => 1_000_000 + error.div_ceil(2),
    };
    Clock { offset, rate }
}
