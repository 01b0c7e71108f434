//! How to work with the simulator, and how to add to it. A page of documentation; it holds no code.
//!
//! # Two worlds
//!
//! `engines` (`world/`) is a world of engines. The host around each is simulated as a whole, so it
//! is fast, and checkers see every step and every action; of a tick that does nothing they see it
//! together with the input behind it. Only here are snapshots, suspects, and
//! hosts that do one thing at a time. Clients propose to engines and read from them.
//!
//! `systems` (`system/`) is a world of nodes that are real but for their threads: the driver with
//! its engine, the log with its files, the ends of connections with their bytes. Clocks, disks,
//! streams and the state machine are simulated. Checkers see every turn, every message that leaves
//! or arrives, and every file at every start. Only here are torn and lost sectors and names,
//! damage, empty disks, broken and silent connections, the cluster's birth, and forwarding.
//! Clients work on keys; their answers are compared with the committed log and, on a share of the
//! seeds, with no log at all.
//!
//! Both draw from the same settings (`knobs.rs`) where they have the same, share networks
//! (`world/network.rs`), clocks, the agenda, the trace, and the checkers (`check/`).
//!
//! # To run it
//!
//! ```text
//! cargo run --release -p quorate-sim -- explore --world systems --seeds 0..2000 --events 20000
//! cargo run --release -p quorate-sim -- replay  --world systems --seed 7 --events 20000 --trace
//! cargo run --release -p quorate-sim -- shrink  --world systems --seed 7 --events 20000
//! cargo run --release -p quorate-sim -- crash-points --seeds 100
//! ```
//!
//! `explore` stops at the first seed that fails and prints what was violated, the end of the
//! trace, and the line that replays it. `shrink` takes choices away as long as the same property
//! is violated, and prints a tape: the few choices that matter, every other one being zero.
//!
//! # To read a trace
//!
//! ```text
//!      2550.429    1870 | F2 35/28/27     | L2 40/34/32     |                 | n2 does ...
//! ```
//!
//! At 2550.429 ms of virtual time, as the 1870th happening (what `--stop-at` takes), with a column
//! for each node, empty while it is down: role (F follower, P pre-candidate, C candidate, L leader)
//! and term, then the last index of its log, its commit index, and what it has applied. Then what
//! happened.
//!
//! # To add a fault
//!
//! Say, disks that lose a directory entry.
//!
//! 1. **A setting** in `knobs.rs`, or in `system/knobs.rs` where only the systems have it. Draw it
//!    with `rate` or `interval`, so that it is off in half of the seeds. Switch it off in the
//!    `calm` of its group: after the faults the cluster must recover.
//! 2. **A site** in `site.rs` for each of its draws. A draw that is made in some cases only has a
//!    site of its own; zero is the calmest answer. Every random number comes through
//!    [`Choices`](crate::Choices), or replay is a lie.
//! 3. **A happening** in `world/mod.rs` or `system/mod.rs` if it strikes at a time of its own;
//!    schedule it in `faults.rs`. One that strikes when something is done (a sync, a message)
//!    needs none.
//! 4. **A count** in `counts.rs`. A fault that never strikes proves nothing, so the tests at the
//!    end of `run.rs` and `system/tests.rs` demand that it does.
//!    What it is to bring about is a goal in `goals/mod.rs`: long campaigns fail if one is missed.
//! 5. **The end of it.** If it can make recovery impossible, it may strike only where a quorum
//!    stays intact, and what was taken is given back before the cluster has to recover. In the
//!    systems `system/atlas.rs` keeps the account of harmed disks.
//! 6. Run a few thousand seeds. A failing one is a bug in the product or in the world; find out
//!    which before anything is changed.
//!
//! # To add a checker
//!
//! 1. One file under `check/` and one variant of [`Property`](crate::Property). It is told facts,
//!    keeps what it needs of the past, and answers at once. Its cost may depend on the step, never
//!    on the length of the history. It never looks inside an engine or a driver.
//! 2. A test beside it that shows it firing on a made-up history.
//! 3. Feed it in `world/observe.rs` or `world/cause.rs`, and in `system/observe.rs` (turns and
//!    messages), `system/storage.rs` (writes), `system/recovered.rs` (starts) or
//!    `system/machine.rs` (applied entries).
//! 4. A mutant under `mutants/` that only this checker finds; `cargo xtask mutants --only NAME`.
//!
//! # To add a workload
//!
//! In the systems: an operation is a variant of [`Op`](crate::history::Op) with its bytes, what it
//! does in `history/cell.rs`, and its draw in `system/clients.rs`. That is all: the witness, the
//! black-box check and every node's state machine use the same model. A client of another kind
//! (one that pipelines, say) is a happening that reschedules itself, tells `History` and `Witness`
//! what it asks, and hears its answers in `System::tell_client`.
//!
//! In the world of engines `world/client.rs` holds what clients do and what they are told.
//!
//! # To check a log harder
//!
//! [`crash_points`](crate::crash_points) runs a trace of a host's calls once, forks the disk after
//! every operation, and recovers every image that a crash of the process or of the machine could
//! leave there. A trace is a list of calls, so one that was recorded elsewhere serves, too.
//!
//! # What the worlds do not show
//!
//! Threads, sockets and system calls: the shell around the driver (`quorate::node`) and the
//! transport's tasks are tested beside this crate. Whole systems have no snapshots yet, since hosts
//! decline them. A disk that loses what it said to be durable, and an old image of a disk put back
//! as if it were new, are outside of what Raft survives.
