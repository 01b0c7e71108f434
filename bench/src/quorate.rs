//! Quorate's engine, with the pump of its own benches.

use crate::{Cluster, Failure};

#[expect(dead_code, reason = "each user of the pump needs a part of it")]
#[path = "../../crates/core/benches/pump/mod.rs"]
mod pump;

impl Cluster for pump::Cluster {
    fn commit(&mut self, batch: usize) {
        pump::Cluster::commit(self, batch);
    }
}

pub(crate) fn cluster() -> Result<Box<dyn Cluster>, Failure> {
    Ok(Box::new(pump::Cluster::elected(|_| {})?))
}
