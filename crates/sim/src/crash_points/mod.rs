//! Crash points of the log (scenario G11): a trace of calls is run once, and after every single
//! operation on the disk the world is stopped, in every way that is worth trying: the process
//! ends, or the power is lost and of what was not synced some part survives. Each image that is
//! left is opened. What was acknowledged has to be there whole, what was under way up to some
//! point in it, and nothing else; and the log has to be of use again.
//!
//! The bytes are those of the real log, on a disk in memory. A trace is a sequence of calls of a
//! host: made up from a seed, or recorded from a node. What a call is, is in `call.rs`; how a
//! trace is made up, in `generate.rs`; which crashes are tried, in `survivors.rs`; what each image
//! has to keep, in `image.rs`.
//!
//! Some images are damaged too, by a bit that flips, or a sector or file that is lost: then the log
//! may refuse to open, but never open with less than what was acknowledged (scenario G01).

mod call;
mod generate;
mod held;
mod image;
mod run;
mod survivors;
mod told;
mod watched;

#[cfg(test)]
mod tests;

pub use call::{Call, Trace};
pub use generate::Generated;
pub use held::Held;
pub use run::{Failure, Options, Report, explore};
pub use survivors::{Point, Survivors};
