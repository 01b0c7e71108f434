//! The properties that every world must keep, one file each. This file holds their names, the
//! form of a violation and the set of all checkers; when they are asked is said in
//! `world/observe.rs`.
//!
//! A checker keeps what it needs of the past, is told one fact at a time, and answers at once. It
//! never looks inside an engine: a fact is what the host could see, or what is on a disk.

use std::fmt;

use quorate_core::NodeId;

pub(crate) mod acked_never_lost;
pub(crate) mod bounded_memory;
pub(crate) mod check_quorum;
pub(crate) mod commit_current_term;
pub(crate) mod commit_ledger;
pub(crate) mod commit_monotonic;
pub(crate) mod commit_quorum;
pub(crate) mod committed_truncation;
pub(crate) mod config_change;
pub(crate) mod config_in_force;
pub(crate) mod election_quorum;
pub(crate) mod election_safety;
pub(crate) mod leader_append_only;
pub(crate) mod leader_completeness;
pub(crate) mod log_matching;
pub(crate) mod log_terms;
pub(crate) mod match_truth;
pub(crate) mod no_churn;
pub(crate) mod no_spin;
pub(crate) mod one_outcome;
pub(crate) mod pause;
pub(crate) mod persist_before_send;
pub(crate) mod pointer_order;
pub(crate) mod pre_vote;
pub(crate) mod promoted;
pub(crate) mod read_fresh;
pub(crate) mod real_time_order;
pub(crate) mod removed_silent;
pub(crate) mod retention;
pub(crate) mod room;
pub(crate) mod snapshot_due;
pub(crate) mod snapshot_install;
pub(crate) mod snapshot_label;
pub(crate) mod snapshot_restore;
pub(crate) mod state_machine_safety;
pub(crate) mod stickiness;
pub(crate) mod stuck_disk;
pub(crate) mod suspect;
pub(crate) mod term_monotonic;
pub(crate) mod transfer;
pub(crate) mod truthful_removal;
pub(crate) mod vote_once;
pub(crate) mod vote_up_to_date;

/// A property of every correct world. The name is what a failing seed prints.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Property {
    /// At most one leader per term, over the whole history [Raft 5.2].
    ElectionSafety,
    /// A leader has the votes of a majority of the voters, and is one of them.
    ElectedByMajority,
    /// At most one vote per node and term, over the whole history (scenario A01).
    VoteOnce,
    /// A vote goes only to a log at least as recent as the voter's [Raft 5.4.1].
    VoteUpToDate,
    /// A saved term never falls, and a saved vote never changes within its term.
    TermMonotonic,
    /// A campaign follows pre-votes of a majority; a pre-vote changes nothing (scenario A04).
    PreVote,
    /// A leader that hears no majority leads no more (scenario A09).
    CheckQuorum,
    /// A leader whose own disk does not answer leads no more (scenario B17).
    StuckDisk,
    /// A late tick never makes a follower campaign, nor a leader give up.
    PauseForgiven,
    /// Whoever heard a leader lately gives no vote (scenarios A11, E10).
    LeaderStickiness,
    /// No election while a leader and a majority of its voters are undisturbed (scenario B17).
    NoChurn,
    /// A node that did what was due does not want to be woken at once again.
    NoSpin,
    /// A leader never removes or rewrites entries [Raft 5.3].
    LeaderAppendOnly,
    /// Equal index and term mean equal logs up to there [Raft 5.3].
    LogMatching,
    /// Terms never fall along a log, nor exceed the term of the node.
    LogTermsMonotonic,
    /// Nothing committed is removed (scenario B05).
    NoCommittedTruncation,
    /// A new leader holds everything committed in earlier terms [Raft 5.4].
    LeaderCompleteness,
    /// The committed log never changes, and no follower commits what no leader did.
    CommittedImmutable,
    /// What is committed is durable on a majority at that moment (scenario B15).
    CommittedOnDurableQuorum,
    /// A leader commits by counting only entries of its own term (scenario B01).
    CommitOnlyCurrentTerm,
    /// A commit index never falls within a life, nor exceeds the log.
    CommitMonotonic,
    /// All nodes apply the same entries, in order, each once per life [Raft 5.4.3].
    StateMachineSafety,
    /// A message reveals only what is durable when it leaves (scenario A01).
    PersistBeforeSend,
    /// What a leader believes of a peer's log is true of the peer's disk.
    MatchTruth,
    /// What was acknowledged to a client stays (scenario H01).
    AckedNeverLost,
    /// A command stands behind everything acknowledged before it was proposed.
    RealTimeOrder,
    /// A read sees everything that was committed when it was asked (scenario E01).
    ReadFresh,
    /// Some order of all operations, each between its question and its answer, explains every
    /// answer that clients had (scenario H02).
    ClientLinearizable,
    /// What a client asked for once is done at most once (scenario H03).
    ExactlyOnce,
    /// What a client was told to have failed for good is never done (scenario H02).
    RejectedNeverApplied,
    /// Every request has exactly one outcome (scenario E14).
    OneOutcome,
    /// Every queue stays within its limit (scenario B21).
    BoundedMemory,
    /// The membership in force is the newest in the log (scenario C03).
    ConfigInForce,
    /// Memberships change by one server, one at a time (scenarios C01, C02).
    ConfigChange,
    /// A new voter holds nearly everything (scenario C11).
    PromotedCaughtUp,
    /// Whoever may not lead neither campaigns nor leads on (scenarios A12, C07).
    RemovedSilent,
    /// Whoever believes that it was removed was (scenario A12).
    TruthfulRemoval,
    /// Leadership is handed to a voter that holds everything, in bounded time (scenario F03).
    TransferSafety,
    /// Whoever lost entries votes for nobody who may lack them, until it holds them again.
    SuspectRule,
    /// Nothing is appended beyond the room on the disk (scenario G08).
    RoomKept,
    /// Old entries and snapshots do not pile up (scenario D12).
    BoundedRetention,
    /// What is purged is within a durable snapshot that the log continues (scenario D07).
    PointerOrder,
    /// A snapshot is asked for only when enough was applied since the last (scenario D14).
    SnapshotDue,
    /// The label of a snapshot is true (scenario C05).
    SnapshotCommitted,
    /// Only a whole and newer snapshot is installed, and the log kept that continues it
    /// (scenario D04).
    SnapshotInstall,
    /// A state machine holds what the committed log makes, also after a restore (scenario D01).
    SnapshotRestore,
    /// The engine's own numbers agree with what it asked its host to do.
    StatusTruth,
    /// What arrives on a connection is what was written to it, in order.
    WireTruth,
    /// A start finds everything that was acknowledged, or refuses (scenario G01).
    NoSilentLoss,
    /// What a crash alone leaves on a disk can be opened (scenario G01).
    TornIsCut,
    /// Whoever came back with an empty directory takes no part (scenario A20).
    WipedSilent,
    /// No engine reports a violation.
    NoFatal,
    /// No panic.
    NoPanic,
    /// Once all faults are gone, the cluster serves again in bounded time, and stays calm.
    Liveness,
}

/// A property that did not hold.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("violation: {property:?}: {facts}")]
pub struct Violation {
    /// Which property.
    pub property: Property,
    /// The facts that contradict it.
    pub facts: String,
}

/// What a checker answers.
pub(crate) type Check = Result<(), Violation>;

/// The answer of a checker that found a contradiction.
#[cold]
pub(crate) fn broken(property: Property, facts: fmt::Arguments<'_>) -> Check {
    Err(Violation {
        property,
        facts: facts.to_string(),
    })
}

/// One start of one node, as the history names it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct LifeId {
    pub(crate) node: NodeId,
    pub(crate) number: u64,
}

impl fmt::Display for LifeId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} (life {})", self.node, self.number)
    }
}

/// All checkers that remember something. The others are functions of their facts.
#[derive(Debug)]
pub(crate) struct Checks {
    pub(crate) elections: election_safety::ElectionSafety,
    pub(crate) votes: vote_once::VoteOnce,
    pub(crate) terms: term_monotonic::TermMonotonic,
    pub(crate) pre_votes: pre_vote::PreVotes,
    pub(crate) matching: log_matching::LogMatching,
    pub(crate) ledger: commit_ledger::CommitLedger,
    pub(crate) machine: state_machine_safety::StateMachineSafety,
    pub(crate) acked: acked_never_lost::AckedNeverLost,
    pub(crate) order: real_time_order::RealTimeOrder,
    pub(crate) reads: read_fresh::ReadFresh,
    pub(crate) outcomes: one_outcome::Outcomes,
}

impl Checks {
    /// Checkers of a world of `nodes` in which nothing happened yet.
    pub(crate) fn new(nodes: u64) -> Self {
        Self {
            elections: election_safety::ElectionSafety::default(),
            votes: vote_once::VoteOnce::default(),
            terms: term_monotonic::TermMonotonic::new(nodes),
            pre_votes: pre_vote::PreVotes::default(),
            matching: log_matching::LogMatching::default(),
            ledger: commit_ledger::CommitLedger::default(),
            machine: state_machine_safety::StateMachineSafety::default(),
            acked: acked_never_lost::AckedNeverLost::default(),
            order: real_time_order::RealTimeOrder::default(),
            reads: read_fresh::ReadFresh::default(),
            outcomes: one_outcome::Outcomes::default(),
        }
    }
}

/// Shared vocabulary of the checkers' tests.
#[cfg(test)]
pub(crate) mod testing {
    use super::{Check, LifeId, Property};
    use quorate_core::{LogIndex, NodeId, Term};

    pub(crate) fn n(id: u64) -> NodeId {
        NodeId::new(id).unwrap()
    }

    pub(crate) fn life(node: u64) -> LifeId {
        LifeId {
            node: n(node),
            number: 1,
        }
    }

    pub(crate) fn t(term: u64) -> Term {
        Term::new(term)
    }

    pub(crate) fn i(index: u64) -> LogIndex {
        LogIndex::new(index)
    }

    /// The checker must find this, and must name it.
    pub(crate) fn must_fire(property: Property, check: Check) {
        let violation = check.expect_err("a bad history passed");
        assert_eq!(violation.property, property, "{violation}");
        assert!(
            !violation.facts.is_empty(),
            "a violation without facts explains nothing"
        );
    }
}
