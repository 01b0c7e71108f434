//! The durable log of Quorate.
mod identity;

pub use identity::{BirthStage, ClusterId, DirectoryId, Founding, Identity};
