//! What a request asks for. [`parse`] turns words into a [`Command`]; the store's operations are
//! in `op.rs`, and what a connection answers by itself is a [`Local`], carried out in
//! `session.rs`.

mod error;
mod keys;
mod local;
mod table;

pub use error::CommandError;
pub use table::{COMMANDS, Spec, find, parse};

use bytes::Bytes;

use crate::op::Op;
use crate::resp::Protocol;

/// A request that was understood.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Command {
    /// Goes through the replicated log, or is read from a state confirmed by the leader.
    Op(Op),
    /// Is answered by the connection it came on.
    Local(Local),
}

/// A command about the connection or the server. Needs no leader.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Local {
    /// Are you there? Answers the message, if there is one.
    Ping(Option<Bytes>),
    /// Answers the message.
    Echo(Bytes),
    /// Chooses a protocol and a name, and answers facts about the server.
    Hello {
        /// The protocol asked for; the present one stays without.
        protocol: Option<Protocol>,
        /// The client's name.
        name: Option<Bytes>,
    },
    /// Chooses the only database there is.
    Select,
    /// Asks the server to close the connection.
    Quit,
    /// What commands are there?
    Commands(CommandsQuery),
    /// About this connection.
    Client(ClientCommand),
    /// The settings whose names match one of these patterns.
    ConfigGet(Vec<Bytes>),
    /// The sections of these names, or all.
    Info(Vec<Bytes>),
}

/// A form of `COMMAND`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CommandsQuery {
    /// Everything about all of them.
    All,
    /// How many.
    Count,
    /// Their names.
    List,
    /// Everything about these.
    Info(Vec<Bytes>),
    /// Documentation, of which there is none.
    Docs,
}

/// A form of `CLIENT`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ClientCommand {
    /// The number of the connection.
    Id,
    /// The name it was given.
    GetName,
    /// Gives it a name; an empty one takes it away.
    SetName(Bytes),
    /// The client library tells its name or version.
    SetInfo {
        /// Which of the two.
        attribute: LibraryAttribute,
        /// What it says.
        value: Bytes,
    },
    /// One line about the connection.
    Info,
    /// A request about eviction, which does not exist here.
    NoEviction,
}

/// What a client library tells about itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LibraryAttribute {
    /// `LIB-NAME`
    Name,
    /// `LIB-VER`
    Version,
}
