//! One client's conversation: the protocol it chose, its name, and the commands that concern only
//! it. Not the commands on keys: those go to the executor.

use bytes::Bytes;

use crate::command::{COMMANDS, ClientCommand, CommandsQuery, LibraryAttribute, Local, Spec, find};
use crate::executor::ReplicaStatus;
use crate::info::{self, ServerFacts};
use crate::resp::{Protocol, Reply};

/// The state of one connection.
#[derive(Debug, Default)]
pub(crate) struct Session {
    id: u64,
    protocol: Protocol,
    name: Bytes,
    library_name: Bytes,
    library_version: Bytes,
    quit: bool,
}

impl Session {
    /// A new connection with this number.
    #[must_use]
    pub(crate) fn new(id: u64) -> Self {
        Self {
            id,
            ..Self::default()
        }
    }

    /// The protocol of the next reply.
    #[must_use]
    pub(crate) const fn protocol(&self) -> Protocol {
        self.protocol
    }

    /// Whether the client asked to be disconnected.
    #[must_use]
    pub(crate) const fn has_quit(&self) -> bool {
        self.quit
    }

    /// Carries out a command. `status` is asked for only by `INFO`.
    pub(crate) fn answer(
        &mut self,
        command: Local,
        facts: &ServerFacts,
        status: impl FnOnce() -> ReplicaStatus,
    ) -> Reply {
        match command {
            Local::Ping(None) => Reply::Status("PONG"),
            Local::Ping(Some(message)) | Local::Echo(message) => Reply::Bulk(message),
            Local::Hello { protocol, name } => self.hello(protocol, name),
            Local::Select => Reply::OK,
            Local::Quit => {
                self.quit = true;
                Reply::OK
            }
            Local::Commands(query) => commands(&query),
            Local::Client(command) => self.client(command),
            Local::ConfigGet(patterns) => info::config(facts, &patterns),
            Local::Info(sections) => Reply::Text(info::text(facts, &status(), &sections)),
        }
    }

    fn hello(&mut self, protocol: Option<Protocol>, name: Option<Bytes>) -> Reply {
        self.protocol = protocol.unwrap_or(self.protocol);
        if let Some(name) = name {
            self.name = name;
        }
        let version = match self.protocol {
            Protocol::Resp2 => 2,
            Protocol::Resp3 => 3,
        };
        Reply::Map(vec![
            (Reply::text("server"), Reply::text("quorate-kv")),
            (Reply::text("version"), Reply::text(info::REDIS_VERSION)),
            (Reply::text("proto"), Reply::Integer(version)),
            (Reply::text("id"), self.number()),
            (Reply::text("mode"), Reply::text("standalone")),
            (Reply::text("role"), Reply::text("master")),
            (Reply::text("modules"), Reply::Array(Vec::new())),
        ])
    }

    fn number(&self) -> Reply {
        Reply::Integer(i64::try_from(self.id).unwrap_or(i64::MAX))
    }

    fn client(&mut self, command: ClientCommand) -> Reply {
        match command {
            ClientCommand::Id => self.number(),
            ClientCommand::GetName if self.name.is_empty() => Reply::Null,
            ClientCommand::GetName => Reply::Bulk(self.name.clone()),
            ClientCommand::Info => Reply::Text(self.line()),
            ClientCommand::NoEviction => Reply::OK,
            ClientCommand::SetName(name) => {
                self.name = name;
                Reply::OK
            }
            ClientCommand::SetInfo { attribute, value } => {
                match attribute {
                    LibraryAttribute::Name => self.library_name = value,
                    LibraryAttribute::Version => self.library_version = value,
                }
                Reply::OK
            }
        }
    }

    fn line(&self) -> String {
        let version = match self.protocol {
            Protocol::Resp2 => 2,
            Protocol::Resp3 => 3,
        };
        format!(
            "id={} name={} db=0 resp={version} lib-name={} lib-ver={}\n",
            self.id,
            String::from_utf8_lossy(&self.name),
            String::from_utf8_lossy(&self.library_name),
            String::from_utf8_lossy(&self.library_version),
        )
    }
}

fn commands(query: &CommandsQuery) -> Reply {
    match query {
        CommandsQuery::All => Reply::Array(COMMANDS.iter().map(describe).collect()),
        CommandsQuery::Count => Reply::count(COMMANDS.len()),
        CommandsQuery::List => {
            Reply::Array(COMMANDS.iter().map(|spec| Reply::text(spec.name)).collect())
        }
        CommandsQuery::Info(names) => Reply::Array(
            names
                .iter()
                .map(|name| find(name).map_or(Reply::Null, describe))
                .collect(),
        ),
        CommandsQuery::Docs => Reply::Map(Vec::new()),
    }
}

/// The ten fields of `COMMAND`; the last four (categories, tips, key specifications and
/// subcommands) are empty.
fn describe(spec: &Spec) -> Reply {
    let nothing = || Reply::Array(Vec::new());
    Reply::Array(vec![
        Reply::text(spec.name),
        Reply::Integer(i64::from(spec.arity)),
        Reply::Array(spec.flags.iter().map(|flag| Reply::Status(flag)).collect()),
        Reply::Integer(spec.keys.first),
        Reply::Integer(spec.keys.last),
        Reply::Integer(spec.keys.step),
        nothing(),
        nothing(),
        nothing(),
        nothing(),
    ])
}
