//! Tests of the log through its public face. Each file holds one concern; what they share is in
//! `common.rs`.
#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a test that meets the unexpected should stop where it does"
)]

mod common;
mod continued_reads;
mod crash_points;
mod damage;
mod directory;
mod disk_failures;
mod disk_faults;
mod forgetful_witness;
mod mem_disk;
mod mem_disk_faults;
mod memberships;
mod random_histories;
mod tail;
mod writes;
