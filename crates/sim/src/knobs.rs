//! The settings of one world, drawn from its seed: cluster, engine, disks, network, processes and
//! clients. Every class of fault is off in half of the seeds and otherwise has a rate of any
//! order of magnitude, so that rare faults meet a world that is calm apart from them. What the
//! settings do is in `world/`.
//!
//! Every world makes the same draws, whatever comes of them, so that each setting is the same
//! draw in all of them. Where all are zero, the cluster is small and ordinary and has no faults.

use std::time::Duration;

use quorate_core::{Config, NodeId};

use crate::choice::Choices;
use crate::habits::Habits;
use crate::site::Site;

/// Nanoseconds in a microsecond.
pub(crate) const MICRO: u64 = 1_000;
/// Nanoseconds in a millisecond.
pub(crate) const MILLI: u64 = 1_000_000;
/// Nanoseconds in a second.
pub(crate) const SECOND: u64 = 1_000_000_000;

/// How a host performs the actions of a step.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum HostMode {
    /// One action after the other; each write is durable before the next action starts.
    Serial,
    /// Writes go to a queue, and each message leaves as soon as what it needs is durable.
    Overlapping,
}

/// A shape of partial connectivity.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum CutKind {
    /// One node hears and is heard by nobody.
    IsolateOne,
    /// Two groups that do not hear each other.
    Split,
    /// Two groups that meet only in one node (scenario A09).
    Bridge,
    /// Every node hears only its two neighbours.
    Ring,
    /// One node can send but hears nothing, or the reverse (scenario A10).
    OneWay,
    /// Single links go down and up again quickly.
    Flap,
}

/// All shapes of partial connectivity.
const CUTS: [CutKind; 6] = [
    CutKind::IsolateOne,
    CutKind::Split,
    CutKind::Bridge,
    CutKind::Ring,
    CutKind::OneWay,
    CutKind::Flap,
];

/// How messages travel. Times in nanoseconds, rates in parts per million.
#[derive(Clone, Debug)]
pub(crate) struct NetworkKnobs {
    /// Shortest travel time.
    pub(crate) delay_min: u64,
    /// Longest ordinary travel time.
    pub(crate) delay_max: u64,
    /// Messages that are held up far longer, up to [`Self::tail_max`].
    pub(crate) tail_ppm: u64,
    /// Longest travel time of a message that is held up.
    pub(crate) tail_max: u64,
    /// Messages that are lost.
    pub(crate) loss_ppm: u64,
    /// Messages that arrive twice.
    pub(crate) duplicate_ppm: u64,
    /// Longest travel time of a second copy: long enough to arrive in another age.
    pub(crate) echo_max: u64,
    /// Messages of one link arrive in the order in which they were sent.
    pub(crate) in_order: bool,
    /// Mean time from one cut to the next; `None`: never.
    pub(crate) cut_every: Option<u64>,
    /// How long a cut lasts on average.
    pub(crate) cut_for: u64,
    /// The shapes that occur. Never empty.
    pub(crate) cut_kinds: Vec<CutKind>,
}

/// How stable storage behaves.
#[derive(Clone, Debug)]
pub(crate) struct DiskKnobs {
    /// Fastest sync.
    pub(crate) sync_min: u64,
    /// Slowest ordinary sync.
    pub(crate) sync_max: u64,
    /// Syncs that hang, for up to [`Self::stall_max`] (scenario B17).
    pub(crate) stall_ppm: u64,
    /// Longest hang.
    pub(crate) stall_max: u64,
    /// Syncs that fail: the engine has to stop (scenario G03).
    pub(crate) failure_ppm: u64,
    /// Confirmations that are told together with the next one.
    pub(crate) lump_ppm: u64,
    /// Slowest read of old entries.
    pub(crate) load_max: u64,
    /// Reads of old entries that fail.
    pub(crate) load_failure_ppm: u64,
}

/// How processes and their clocks behave.
#[derive(Clone, Debug)]
pub(crate) struct ProcessKnobs {
    /// Mean time from one crash to the next; `None`: never.
    pub(crate) crash_every: Option<u64>,
    /// Steps in the middle of which the process dies.
    pub(crate) crash_in_step_ppm: u64,
    /// Leaders that die soon after their election (scenario B01).
    pub(crate) fresh_leader_ppm: u64,
    /// How long a crashed node stays down, at most.
    pub(crate) down_max: u64,
    /// Mean time from one pause of a process to the next; `None`: never.
    pub(crate) pause_every: Option<u64>,
    /// Longest pause.
    pub(crate) pause_max: u64,
    /// A wake-up comes at most this much late.
    pub(crate) jitter_max: u64,
    /// A clock runs at most this much fast or slow.
    pub(crate) skew_ppm: u64,
    /// Longest time that applying a batch takes.
    pub(crate) apply_max: u64,
    /// Each start of a node draws anew whether it asks for pre-votes, as while a cluster is
    /// reconfigured node by node (scenario A07).
    pub(crate) mixed_pre_vote: bool,
    /// The state machine keeps its own state on disk (scenario D20).
    pub(crate) durable_machine: bool,
}

/// What clients do.
#[derive(Clone, Debug)]
pub(crate) struct ClientKnobs {
    /// Mean time from one batch of proposals to the next.
    pub(crate) propose_every: u64,
    /// Commands in a batch, at most.
    pub(crate) batch_max: u64,
    /// Bytes of a command, at most. Some are above the limit of the engine.
    pub(crate) command_max: u64,
    /// Mean time from one read to the next.
    pub(crate) read_every: u64,
}

/// What happens to snapshots on their way.
#[derive(Clone, Debug)]
pub(crate) struct SnapshotKnobs {
    /// Longest time that writing one takes.
    pub(crate) take_max: u64,
    /// Snapshots that cannot be taken (scenario D14).
    pub(crate) failure_ppm: u64,
    /// Parts in which one is fetched, at most.
    pub(crate) parts_max: u64,
    /// Longest time that a part travels.
    pub(crate) part_max: u64,
    /// Parts that are lost, and the snapshot with them.
    pub(crate) loss_ppm: u64,
}

/// What operators do, and what they have to repair. Mean times between; `None`: never.
#[derive(Clone, Debug)]
pub(crate) struct OperatorKnobs {
    /// From one change of the membership to the next.
    pub(crate) change_every: Option<u64>,
    /// From one transfer of leadership to the next.
    pub(crate) transfer_every: Option<u64>,
    /// From one disk that fills up, or is freed, to the next (scenario G08).
    pub(crate) room_every: Option<u64>,
    /// From one damaged log to the next.
    pub(crate) damage_every: Option<u64>,
    /// Each start of a node draws its election priority anew.
    pub(crate) mixed_priority: bool,
}

/// The settings of one world.
#[derive(Clone, Debug)]
pub(crate) struct Knobs {
    /// Voters, the nodes with the lowest numbers.
    pub(crate) voters: u64,
    /// Learners, the nodes behind them.
    pub(crate) learners: u64,
    /// Nodes with an empty disk that may be added, behind those.
    pub(crate) spares: u64,
    /// How hosts perform actions.
    pub(crate) host: HostMode,
    /// Engine settings, of which each node takes a copy under its own name.
    pub(crate) engine: Config,
    /// The network.
    pub(crate) network: NetworkKnobs,
    /// The disks.
    pub(crate) disk: DiskKnobs,
    /// The processes.
    pub(crate) process: ProcessKnobs,
    /// The clients.
    pub(crate) client: ClientKnobs,
    /// The snapshots.
    pub(crate) snapshot: SnapshotKnobs,
    /// The operators.
    pub(crate) operator: OperatorKnobs,
    /// The habits of the hosts.
    pub(crate) habits: Habits,
}

impl Knobs {
    /// Draws the settings of a world.
    pub(crate) fn draw(choices: &mut Choices) -> Self {
        let voters = choices.pick(&[3, 3, 3, 3, 1, 2, 4, 5, 5, 5, 6, 7], Site::Knob);
        let learners = choices.pick(&[0, 0, 0, 1, 2], Site::Knob);
        let host = choices.pick(&[HostMode::Serial, HostMode::Overlapping], Site::Knob);
        let mut engine = engine(choices);
        let operator = operator(choices);
        let spares = choices.between(0, 3, Site::Knob);
        let spares = operator.change_every.map_or(0, |_| spares);
        let mut process = process(choices);
        draw_lease(&mut engine, &mut process, choices);
        let client = ClientKnobs {
            propose_every: choices.log_between_down(2 * MILLI, 400 * MILLI, Site::Knob),
            batch_max: choices.log_between(1, 32, Site::Knob),
            command_max: choices.log_between(8, 2 * engine.max_entry_bytes, Site::Knob),
            read_every: choices.log_between_down(5 * MILLI, 400 * MILLI, Site::Knob),
        };
        Self {
            voters,
            learners,
            spares,
            host,
            engine,
            network: network(choices),
            disk: disk(choices),
            process,
            client,
            snapshot: snapshot(choices),
            operator,
            habits: Habits::draw(choices),
        }
    }

    /// Voters, learners and spares.
    pub(crate) const fn nodes(&self) -> u64 {
        self.voters + self.learners + self.spares
    }

    /// Whether a node is there from the cluster's birth on.
    pub(crate) const fn is_founder(&self, node: NodeId) -> bool {
        node.get() <= self.voters + self.learners
    }

    /// The same world with every fault switched off and ordinary latencies, in which the cluster
    /// has to recover from whatever happened before.
    #[must_use]
    pub(crate) fn calm(&self) -> Self {
        let mut calm = self.clone();
        calm.network = self.network.calm();
        calm.disk = self.disk.calm();
        calm.process = self.process.calm();
        calm.operator = self.operator.calm();
        calm.habits = self.habits.calm();
        calm.snapshot = SnapshotKnobs {
            take_max: MILLI,
            failure_ppm: 0,
            part_max: MILLI,
            loss_ppm: 0,
            ..calm.snapshot
        };
        calm
    }
}

/// Settings of the engines. Limits are small, so that each of them is reached.
pub(crate) fn engine(choices: &mut Choices) -> Config {
    let Some(nobody) = NodeId::new(1) else {
        unreachable!("one is not zero")
    };
    let mut config = Config::new(nobody, 0);
    let election = choices.between(100, 400, Site::Knob) * MILLI;
    // A wide spread is calm: few votes are split.
    let spread = 3000 - choices.choose(1701, Site::Knob);
    config.election_timeout_min = Duration::from_nanos(election);
    config.election_timeout_max = Duration::from_nanos(election / 1000 * spread);
    config.storage_patience = config.election_timeout_max;
    config.heartbeat_interval = Duration::from_nanos(election / choices.between(3, 8, Site::Knob));
    config.pre_vote = !choices.chance(250_000, Site::Knob);
    config.max_entry_bytes = choices.log_between_down(512, 8192, Site::Knob);
    config.max_append_bytes = choices.log_between_down(64, 64 << 10, Site::Knob);
    config.max_inflight_messages = choices.log_between_down(1, 256, Site::Knob) as usize;
    config.max_inflight_bytes = choices.log_between_down(64, 1 << 20, Site::Knob);
    config.max_uncommitted_bytes = choices.log_between_down(1 << 10, 128 << 10, Site::Knob);
    config.max_unapplied_bytes = choices.log_between_down(64, 1 << 20, Site::Knob);
    config.window_bytes = choices.log_between_down(64, 1 << 20, Site::Knob);
    config.snapshot_entries = maybe(choices, 600_000, 5, 200);
    config.snapshot_bytes = maybe(choices, 200_000, 512, 64 << 10);
    config.trailing_entries = choices.choose(51, Site::Knob);
    config.max_retained_bytes = choices.log_between_down(64, 16 << 20, Site::Knob);
    config.require_reachable_quorum = !choices.chance(250_000, Site::Knob);
    config
}

/// Leases are on in half of the seeds, and then no clock may drift more than the engines allow
/// for (scenario E08): half of it each way, within the longest time that a lease counts on.
pub(crate) fn draw_lease(engine: &mut Config, process: &mut ProcessKnobs, choices: &mut Choices) {
    let is_on = choices.chance(500_000, Site::Knob);
    let silence = u64::try_from(engine.election_timeout_min.as_nanos()).unwrap_or(u64::MAX);
    let drift = choices.log_between(MILLI, silence / 4, Site::Knob);
    let share = choices.pick(&[4, 4, 4, 3, 2, 1], Site::Knob);
    if !is_on {
        return;
    }
    engine.clock_drift = Duration::from_nanos(drift);
    let margin = engine.clock_drift + engine.heartbeat_interval;
    let longest = engine.election_timeout_min.saturating_sub(margin);
    engine.lease = Some(longest / 4 * share);
    process.skew_ppm = drift.saturating_mul(1_000_000) / silence / 2;
}

/// How many leaders die soon after their election: none in three quarters of the seeds. The draws
/// have a site of their own: no other setting is another one by them.
fn fresh_leader(choices: &mut Choices) -> u64 {
    let is_on = choices.chance(250_000, Site::FreshLeader);
    let rate = choices.log_between(50_000, 700_000, Site::FreshLeader);
    if is_on { rate } else { 0 }
}

/// Settings of snapshots on their way.
fn snapshot(choices: &mut Choices) -> SnapshotKnobs {
    SnapshotKnobs {
        take_max: choices.log_between(100 * MICRO, 500 * MILLI, Site::Knob),
        failure_ppm: rate(choices, 1_000, 500_000),
        parts_max: choices.between(1, 5, Site::Knob),
        part_max: choices.log_between(MILLI, 500 * MILLI, Site::Knob),
        loss_ppm: rate(choices, 1_000, 300_000),
    }
}

/// What operators do.
pub(crate) fn operator(choices: &mut Choices) -> OperatorKnobs {
    OperatorKnobs {
        change_every: interval(choices, 100 * MILLI, 3 * SECOND),
        transfer_every: interval(choices, 200 * MILLI, 5 * SECOND),
        room_every: interval(choices, 200 * MILLI, 5 * SECOND),
        damage_every: interval(choices, 300 * MILLI, 5 * SECOND),
        mixed_priority: choices.chance(500_000, Site::Knob),
    }
}

/// Settings of the network.
pub(crate) fn network(choices: &mut Choices) -> NetworkKnobs {
    let delay_min = choices.log_between(50 * MICRO, 5 * MILLI, Site::Knob);
    let mut cut_kinds = CUTS.to_vec();
    cut_kinds.retain(|_| choices.chance(500_000, Site::Knob));
    let only = choices.pick(&CUTS, Site::Knob);
    if cut_kinds.is_empty() {
        cut_kinds.push(only);
    }
    NetworkKnobs {
        delay_min,
        delay_max: delay_min * choices.between(1, 10, Site::Knob),
        tail_ppm: rate(choices, 100, 100_000),
        tail_max: choices.log_between(20 * MILLI, 3 * SECOND, Site::Knob),
        loss_ppm: rate(choices, 100, 200_000),
        duplicate_ppm: rate(choices, 100, 200_000),
        echo_max: choices.log_between(10 * MILLI, 20 * SECOND, Site::Knob),
        in_order: !choices.chance(500_000, Site::Knob),
        cut_every: interval(choices, 300 * MILLI, 10 * SECOND),
        cut_for: choices.log_between(100 * MILLI, 5 * SECOND, Site::Knob),
        cut_kinds,
    }
}

/// Settings of the disks.
pub(crate) fn disk(choices: &mut Choices) -> DiskKnobs {
    let sync_min = choices.log_between(20 * MICRO, 10 * MILLI, Site::Knob);
    DiskKnobs {
        sync_min,
        sync_max: sync_min * choices.between(1, 8, Site::Knob),
        stall_ppm: rate(choices, 100, 20_000),
        stall_max: choices.log_between(20 * MILLI, 2 * SECOND, Site::Knob),
        failure_ppm: rate(choices, 20, 5_000),
        lump_ppm: rate(choices, 1_000, 900_000),
        load_max: choices.log_between(20 * MICRO, 50 * MILLI, Site::Knob),
        load_failure_ppm: rate(choices, 1_000, 500_000),
    }
}

/// Settings of processes and clocks.
pub(crate) fn process(choices: &mut Choices) -> ProcessKnobs {
    ProcessKnobs {
        crash_every: interval(choices, 200 * MILLI, 10 * SECOND),
        crash_in_step_ppm: rate(choices, 10, 5_000),
        fresh_leader_ppm: fresh_leader(choices),
        down_max: choices.log_between(10 * MILLI, 3 * SECOND, Site::Knob),
        pause_every: interval(choices, 300 * MILLI, 10 * SECOND),
        pause_max: choices.log_between(10 * MILLI, 3 * SECOND, Site::Knob),
        jitter_max: rate(choices, 10, 20_000) * MICRO,
        skew_ppm: rate(choices, 10, 50_000),
        apply_max: choices.log_between(10 * MICRO, 100 * MILLI, Site::Knob),
        mixed_pre_vote: choices.chance(200_000, Site::Knob),
        durable_machine: choices.chance(300_000, Site::Knob),
    }
}

/// A rate that is zero in half of the seeds.
pub(crate) fn rate(choices: &mut Choices, low: u64, high: u64) -> u64 {
    let is_on = choices.chance(500_000, Site::Knob);
    let rate = choices.log_between(low, high, Site::Knob);
    if is_on { rate } else { 0 }
}

/// A mean interval of a class of faults that is off in half of the seeds.
pub(crate) fn interval(choices: &mut Choices, low: u64, high: u64) -> Option<u64> {
    maybe(choices, 500_000, low, high)
}

/// Something in `low..=high`, the calmest being `high`, that only `ppm` of a million worlds have.
fn maybe(choices: &mut Choices, ppm: u64, low: u64, high: u64) -> Option<u64> {
    let is_on = choices.chance(ppm, Site::Knob);
    let value = choices.log_between_down(low, high, Site::Knob);
    is_on.then_some(value)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn drawn_engine_settings_are_valid_and_every_fault_class_is_on_and_off() {
        let (mut cuts, mut losses) = (0, 0);
        for seed in 0..500 {
            let knobs = Knobs::draw(&mut Choices::new(seed));
            assert!(
                knobs.engine.clone().validate().is_ok(),
                "seed {seed} has a bad engine"
            );
            assert!(!knobs.network.cut_kinds.is_empty());
            cuts += u64::from(knobs.network.cut_every.is_some());
            losses += u64::from(knobs.network.loss_ppm > 0);
        }
        assert!(
            (150..350).contains(&cuts),
            "cuts are on in {cuts} of 500 seeds"
        );
        assert!(
            (150..350).contains(&losses),
            "losses are on in {losses} of 500 seeds"
        );
    }

    #[test]
    fn a_calm_world_has_no_faults() {
        for seed in 0..50 {
            let calm = Knobs::draw(&mut Choices::new(seed)).calm();
            let rates = [
                calm.network.loss_ppm,
                calm.network.duplicate_ppm,
                calm.network.tail_ppm,
                calm.disk.stall_ppm,
                calm.disk.failure_ppm,
                calm.disk.load_failure_ppm,
                calm.process.crash_in_step_ppm,
                calm.process.fresh_leader_ppm,
            ];
            assert_eq!(rates, [0; 8], "a fault is left in seed {seed}");
            assert!(calm.process.crash_every.is_none() && calm.network.cut_every.is_none());
        }
    }
}
