//! That an engine allocates as seldom as `benches/allocations.rs` shows. How often it does is a
//! property of the code, not of the machine, so it can be asserted; how long it takes cannot.

#[cfg(test)]
#[expect(dead_code, reason = "each user of the pump needs a part of it")]
#[path = "../benches/pump/mod.rs"]
mod pump;

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use allocation_counter::measure;

    use crate::pump::Cluster;

    const ENTRIES: u64 = 6_400;

    /// Allocations per entry, with everything that grows to a limit at its limit.
    fn per_entry(batch: u64) -> f64 {
        let mut cluster = Cluster::elected(|config| config.window_bytes = 64 * 1024).unwrap();
        let mut commit = || (0..ENTRIES / batch).for_each(|_| cluster.commit(batch as usize));
        commit();
        measure(&mut commit).count_total as f64 / ENTRIES as f64
    }

    #[test]
    fn an_entry_on_its_own_costs_one_allocation_on_three_nodes() {
        // The vector in which it is proposed.
        let count = per_entry(1);
        assert!(count <= 1.0, "{count} allocations per entry");
    }

    #[test]
    fn an_entry_in_a_batch_costs_less_than_one_allocation_on_three_nodes() {
        let count = per_entry(64);
        assert!(count <= 0.2, "{count} allocations per entry");
    }

    #[test]
    fn a_tick_with_nothing_to_do_does_not_allocate() {
        let mut cluster = Cluster::elected(|_| {}).unwrap();
        cluster.commit(1);
        for is_leader in [true, false] {
            let mut actions = 0;
            let tick = || actions = cluster.tick(is_leader, Duration::from_millis(1));
            assert_eq!(measure(tick).count_total, 0, "leader: {is_leader}");
            assert_eq!(actions, 0, "there was nothing to do");
        }
    }
}
