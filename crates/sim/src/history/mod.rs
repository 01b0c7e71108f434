//! What clients asked of a cluster and what they were told, and two checkers of it. The operations
//! are in `op.rs`, what they do in `cell.rs` and `model.rs`, the record in `record.rs`.
//!
//! The two checkers look for the same mistakes by different evidence. [`Witness`] takes the log's
//! word for the order, so it is exact, incremental and cheap: every seed can afford it.
//! [`linearizability::check`] knows no index and searches for an order that explains the answers,
//! so an index that lies cannot hide a mistake from it.
//!
//! Nothing here knows nodes, disks or messages.

mod cell;
pub mod linearizability;
mod model;
mod op;
mod record;
mod search;
mod timeline;
mod witness;

#[cfg(test)]
mod tests;

pub use cell::{Cell, Reply};
pub use linearizability::{Unknowns, Verdict};
pub use model::Model;
pub use op::{Op, OpId};
pub use record::{History, Outcome, Record};
pub use witness::Witness;
