//! Tests of the engine through its public interface: the rules of the paper in section order,
//! properties over random histories, and the interaction scripts of `tests/interaction`.
//! Tests of single parts (window, ledger, progress) stand beside the parts.

#[cfg(test)]
mod answers;
#[cfg(test)]
mod crash_points;
#[cfg(test)]
mod hostile;
#[cfg(test)]
mod install_overlap;
#[cfg(test)]
mod interaction;
#[cfg(test)]
mod late_answers;
#[cfg(test)]
mod lease_clocks;
#[cfg(test)]
mod lost_learner;
#[cfg(test)]
mod membership_clusters;
#[cfg(test)]
mod order;
#[cfg(test)]
mod paper_catch_up;
#[cfg(test)]
mod paper_commit;
#[cfg(test)]
mod paper_election;
#[cfg(test)]
mod paper_install;
#[cfg(test)]
mod paper_lease;
#[cfg(test)]
mod paper_membership;
#[cfg(test)]
mod paper_pacing;
#[cfg(test)]
mod paper_pre_vote;
#[cfg(test)]
mod paper_reads;
#[cfg(test)]
mod paper_removal;
#[cfg(test)]
mod paper_replication;
#[cfg(test)]
mod paper_snapshots;
#[cfg(test)]
mod paper_transfer;
#[cfg(test)]
mod pauses;
#[cfg(test)]
mod random_histories;
#[cfg(test)]
mod random_memberships;
#[cfg(test)]
mod recovery;
#[cfg(test)]
mod room;
#[cfg(test)]
mod script;
#[cfg(test)]
mod small_clusters;
#[cfg(test)]
mod snapshot_due;
#[cfg(test)]
mod snapshot_histories;
#[cfg(test)]
mod storage;
#[cfg(test)]
mod support;
#[cfg(test)]
mod suspects;
#[cfg(test)]
mod timeout_now;
#[cfg(test)]
mod timeouts;
#[cfg(test)]
mod timing;
#[cfg(test)]
mod told_removed;
#[cfg(test)]
mod unsteady_peers;
