//! The settings of a world without faults and with ordinary latencies, in which a cluster has to
//! recover from whatever happened before. The settings themselves are in `knobs.rs`.

use crate::knobs::{DiskKnobs, MICRO, MILLI, NetworkKnobs, OperatorKnobs, ProcessKnobs};

impl NetworkKnobs {
    /// A network without faults.
    pub(crate) fn calm(&self) -> Self {
        Self {
            delay_min: 200 * MICRO,
            delay_max: MILLI,
            tail_ppm: 0,
            loss_ppm: 0,
            duplicate_ppm: 0,
            cut_every: None,
            ..self.clone()
        }
    }
}

impl DiskKnobs {
    /// A disk that works.
    pub(crate) fn calm(&self) -> Self {
        Self {
            sync_min: 100 * MICRO,
            sync_max: 400 * MICRO,
            stall_ppm: 0,
            failure_ppm: 0,
            lump_ppm: 0,
            load_max: 200 * MICRO,
            load_failure_ppm: 0,
            ..self.clone()
        }
    }
}

impl ProcessKnobs {
    /// A process that is left alone.
    pub(crate) fn calm(&self) -> Self {
        Self {
            crash_every: None,
            crash_in_step_ppm: 0,
            fresh_leader_ppm: 0,
            pause_every: None,
            jitter_max: 0,
            apply_max: 50 * MICRO,
            ..self.clone()
        }
    }
}

impl OperatorKnobs {
    /// Operators who do nothing.
    pub(crate) fn calm(&self) -> Self {
        Self {
            change_every: None,
            transfer_every: None,
            room_every: None,
            damage_every: None,
            ..self.clone()
        }
    }
}
