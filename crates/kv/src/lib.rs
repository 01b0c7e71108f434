//! A replicated key-value server that speaks the Redis protocol: what Quorate is good for, in one
//! program. Every write is on the disks of a majority before its reply, every read is
//! linearizable, and any node serves any client.
//!
//! The way of a command, one file for each step:
//!
//! ```text
//! server      accepts the connection
//! connection  reads bytes, writes replies, keeps the order
//! resp        bytes -> request                    reply -> bytes
//! command     request -> operation, or a command the session answers by itself
//! burst       the operations read in one go -> one batch
//! executor    one batch -> one log entry, or one linearizable read; waits for a leader
//! codec       the batch as replicated bytes
//! store       the batch applied to the map, on every node
//! ```
//!
//! `node` joins the executor to Quorate, `config` is what can be set, and `demo` runs a cluster
//! of three processes, kills its leader under load and checks that nothing was lost.

mod burst;
pub mod codec;
pub mod command;
pub mod config;
mod connection;
pub mod demo;
pub mod executor;
mod info;
mod integer;
mod node;
pub mod op;
pub mod resp;
pub mod server;
mod session;
pub mod store;
#[cfg(test)]
mod testing;
