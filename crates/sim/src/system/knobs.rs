//! The settings of a full system. What engines, networks, processes and operators have in common
//! with the world of engines is drawn in `crate::knobs`; here is what only bytes, streams, disks
//! and clients have.

use quorate_core::Config;

use crate::choice::Choices;
use crate::knobs::{
    DiskKnobs, MICRO, MILLI, NetworkKnobs, OperatorKnobs, ProcessKnobs, SECOND, interval, rate,
};
use crate::site::Site;

/// What happens to streams and to the thread that serves them. Rates in parts per million.
#[derive(Clone, Debug)]
pub(super) struct StreamKnobs {
    /// Writes that arrive in more than one piece.
    pub(super) split_ppm: u64,
    /// Writes of which one bit is wrong when they arrive.
    pub(super) corrupt_ppm: u64,
    /// Mean time from one broken connection to the next; `None`: never.
    pub(super) reset_every: Option<u64>,
    /// Crashes that take the power, and not just the process.
    pub(super) power_ppm: u64,
    /// The longest time that a turn takes: what arrives meanwhile is taken together.
    pub(super) turn_max: u64,
}

/// The layout of a disk, and the faults of it that take bytes and files. Rates in parts per
/// million.
#[derive(Clone, Debug)]
pub(super) struct DiskBytesKnobs {
    /// Bytes of a segment.
    pub(super) segment: u64,
    /// A loss of power tears writes by pages of 4096 bytes, and not by sectors.
    pub(super) tears_pages: bool,
    /// Reads of old entries before which a sector of the log goes bad for a while.
    pub(super) bad_sector_ppm: u64,
    /// Jobs before which the next call of some sort to the directory is made to fail.
    pub(super) directory_failure_ppm: u64,
    /// Jobs of which a write goes astray.
    pub(super) astray_ppm: u64,
}

/// What clients and operators do.
#[derive(Clone, Debug)]
pub(super) struct ClientKnobs {
    /// How many clients there are.
    pub(super) count: u64,
    /// Mean time from one answer to the next question.
    pub(super) think: u64,
    /// How long a client waits.
    pub(super) patience: u64,
    /// Keys they use.
    pub(super) keys: u64,
    /// The largest command, in bytes. Some are above the limit of the engine.
    pub(super) command_max: u64,
    /// Requests that may wait in one node.
    pub(super) waiting_max: usize,
    /// A leader that is told to stop hands over first.
    pub(super) hand_over: bool,
    /// Mean time from one orderly restart to the next.
    pub(super) shutdown_every: Option<u64>,
    /// Whether the answers are checked without the log's word, too.
    pub(super) black_box: bool,
}

/// The settings of one world.
#[derive(Clone, Debug)]
pub(super) struct SystemKnobs {
    /// Founders, the nodes with the lowest numbers.
    pub(super) founders: u64,
    /// Nodes with an empty disk that may be added.
    pub(super) spares: u64,
    pub(super) engine: Config,
    pub(super) network: NetworkKnobs,
    pub(super) stream: StreamKnobs,
    pub(super) disk: DiskKnobs,
    pub(super) disk_bytes: DiskBytesKnobs,
    pub(super) process: ProcessKnobs,
    pub(super) client: ClientKnobs,
    pub(super) operator: OperatorKnobs,
}

impl SystemKnobs {
    /// Draws the settings of a world.
    pub(super) fn draw(choices: &mut Choices) -> Self {
        let founders = choices.pick(&[3, 3, 3, 1, 2, 3, 4, 5, 5, 5, 6, 7], Site::Knob);
        let mut engine = crate::knobs::engine(choices);
        // State machines cannot be captured yet.
        engine.snapshot_entries = None;
        engine.snapshot_bytes = None;
        let operator = crate::knobs::operator(choices);
        let spares = match operator.change_every {
            Some(_) => choices.between(0, 3, Site::Knob),
            None => 0,
        };
        let mut process = crate::knobs::process(choices);
        crate::knobs::draw_lease(&mut engine, &mut process, choices);
        let client = client(choices, engine.max_entry_bytes);
        Self {
            founders,
            spares,
            network: crate::knobs::network(choices),
            stream: stream(choices),
            disk: crate::knobs::disk(choices),
            disk_bytes: disk_bytes(choices),
            engine,
            process,
            client,
            operator,
        }
    }

    /// Founders and spares.
    pub(super) const fn nodes(&self) -> u64 {
        self.founders + self.spares
    }

    /// The same world with every fault switched off and ordinary latencies.
    pub(super) fn calm(&self) -> Self {
        let mut calm = self.clone();
        calm.network = self.network.calm();
        calm.disk = self.disk.calm();
        calm.process = self.process.calm();
        calm.operator = self.operator.calm();
        calm.stream = StreamKnobs {
            corrupt_ppm: 0,
            reset_every: None,
            turn_max: 0,
            ..calm.stream
        };
        calm.disk_bytes.bad_sector_ppm = 0;
        calm.disk_bytes.directory_failure_ppm = 0;
        calm.disk_bytes.astray_ppm = 0;
        calm.client = ClientKnobs {
            shutdown_every: None,
            think: calm.client.think.min(50 * MILLI),
            patience: 10 * SECOND,
            ..calm.client
        };
        calm
    }
}

fn disk_bytes(choices: &mut Choices) -> DiskBytesKnobs {
    DiskBytesKnobs {
        segment: 512 * choices.log_between(8, 128, Site::Knob),
        tears_pages: choices.chance(500_000, Site::TornPage),
        bad_sector_ppm: own_rate(choices, 1_000, 300_000, Site::BadSector),
        directory_failure_ppm: own_rate(choices, 300, 30_000, Site::DirectoryFailure),
        astray_ppm: own_rate(choices, 300, 30_000, Site::Astray),
    }
}

/// A rate that is zero in half of the seeds, drawn at a site of its own: no other setting is
/// another one by it.
fn own_rate(choices: &mut Choices, low: u64, high: u64, site: Site) -> u64 {
    let is_on = choices.chance(500_000, site);
    let rate = choices.log_between(low, high, site);
    if is_on { rate } else { 0 }
}

fn stream(choices: &mut Choices) -> StreamKnobs {
    StreamKnobs {
        split_ppm: rate(choices, 1_000, 300_000),
        corrupt_ppm: rate(choices, 50, 10_000),
        reset_every: interval(choices, 200 * MILLI, 5 * SECOND),
        power_ppm: choices.pick(&[500_000, 0, 1_000_000], Site::Knob),
        turn_max: if choices.chance(500_000, Site::Knob) {
            choices.log_between(10 * MICRO, 10 * MILLI, Site::Knob)
        } else {
            0
        },
    }
}

fn client(choices: &mut Choices, max_entry_bytes: u64) -> ClientKnobs {
    let largest = max_entry_bytes + max_entry_bytes / 8;
    ClientKnobs {
        count: choices.log_between(1, 24, Site::Knob),
        think: choices.log_between(MILLI, 100 * MILLI, Site::Knob),
        patience: choices.log_between(100 * MILLI, 10 * SECOND, Site::Knob),
        keys: choices.between(1, 5, Site::Knob),
        command_max: choices.log_between(32, largest, Site::Knob),
        waiting_max: choices.log_between(1, 1 << 12, Site::Knob) as usize,
        hand_over: choices.chance(500_000, Site::Knob),
        shutdown_every: interval(choices, 500 * MILLI, 10 * SECOND),
        black_box: choices.chance(100_000, Site::Knob),
    }
}
