//! Understands the arguments of the commands that a connection answers by itself.

use bytes::Bytes;

use super::error::{QUOTED_BYTES_MAX, quotable};
use super::{ClientCommand, Command, CommandError, CommandsQuery, LibraryAttribute, Local};
use crate::integer;
use crate::resp::Protocol;

type Result = std::result::Result<Command, CommandError>;

#[expect(
    clippy::unnecessary_wraps,
    reason = "the form of every entry in the table"
)]
const fn local(command: Local) -> Result {
    Ok(Command::Local(command))
}

pub(super) fn ping(arguments: &[Bytes]) -> Result {
    match arguments {
        [] => local(Local::Ping(None)),
        [message] => local(Local::Ping(Some(message.clone()))),
        _ => Err(CommandError::Arity { command: "ping" }),
    }
}

pub(super) fn echo(arguments: &[Bytes]) -> Result {
    match arguments {
        [message] => local(Local::Echo(message.clone())),
        _ => Err(CommandError::Arity { command: "echo" }),
    }
}

pub(super) fn hello(arguments: &[Bytes]) -> Result {
    let Some((version, mut options)) = arguments.split_first() else {
        return local(Local::Hello {
            protocol: None,
            name: None,
        });
    };
    let protocol = match integer::parse(version).ok_or(CommandError::ProtocolVersion)? {
        2 => Protocol::Resp2,
        3 => Protocol::Resp3,
        _ => return Err(CommandError::UnsupportedProtocol),
    };
    let mut name = None;
    loop {
        options = match options {
            [] => break,
            [option, new_name, rest @ ..] if option.eq_ignore_ascii_case(b"setname") => {
                name = Some(plain(new_name).ok_or(CommandError::ClientName)?);
                rest
            }
            [option, _user, _password, ..] if option.eq_ignore_ascii_case(b"auth") => {
                return Err(CommandError::NoPassword);
            }
            _ => return Err(CommandError::Syntax),
        };
    }
    local(Local::Hello {
        protocol: Some(protocol),
        name,
    })
}

pub(super) fn select(arguments: &[Bytes]) -> Result {
    let index = arguments.first().and_then(|index| integer::parse(index));
    match index.ok_or(CommandError::NotAnInteger)? {
        0 => local(Local::Select),
        _ => Err(CommandError::DatabaseIndex),
    }
}

pub(super) const fn quit(_: &[Bytes]) -> Result {
    local(Local::Quit)
}

pub(super) fn command(arguments: &[Bytes]) -> Result {
    let Some((form, arguments)) = arguments.split_first() else {
        return local(Local::Commands(CommandsQuery::All));
    };
    local(Local::Commands(
        match form.to_ascii_lowercase().as_slice() {
            b"count" => CommandsQuery::Count,
            b"list" => CommandsQuery::List,
            b"info" if arguments.is_empty() => CommandsQuery::All,
            b"info" => CommandsQuery::Info(arguments.to_vec()),
            b"docs" => CommandsQuery::Docs,
            _ => return Err(unknown_form("COMMAND", form)),
        },
    ))
}

pub(super) fn client(arguments: &[Bytes]) -> Result {
    let Some((form, arguments)) = arguments.split_first() else {
        return Err(CommandError::Arity { command: "client" });
    };
    local(Local::Client(
        match (form.to_ascii_lowercase().as_slice(), arguments) {
            (b"id", []) => ClientCommand::Id,
            (b"id", _) => {
                return Err(CommandError::Arity {
                    command: "client|id",
                });
            }
            (b"getname", []) => ClientCommand::GetName,
            (b"getname", _) => {
                return Err(CommandError::Arity {
                    command: "client|getname",
                });
            }
            (b"info", []) => ClientCommand::Info,
            (b"info", _) => {
                return Err(CommandError::Arity {
                    command: "client|info",
                });
            }
            (b"setname", [name]) => {
                ClientCommand::SetName(plain(name).ok_or(CommandError::ClientName)?)
            }
            (b"setname", _) => {
                return Err(CommandError::Arity {
                    command: "client|setname",
                });
            }
            (b"setinfo", [attribute, value]) => library(attribute, value)?,
            (b"setinfo", _) => {
                return Err(CommandError::Arity {
                    command: "client|setinfo",
                });
            }
            (b"no-evict" | b"no-touch", [mode])
                if mode.eq_ignore_ascii_case(b"on") || mode.eq_ignore_ascii_case(b"off") =>
            {
                ClientCommand::NoEviction
            }
            (b"no-evict" | b"no-touch", _) => return Err(CommandError::Syntax),
            _ => return Err(unknown_form("CLIENT", form)),
        },
    ))
}

fn library(attribute: &[u8], value: &Bytes) -> std::result::Result<ClientCommand, CommandError> {
    let (attribute, name) = if attribute.eq_ignore_ascii_case(b"lib-name") {
        (LibraryAttribute::Name, "lib-name")
    } else if attribute.eq_ignore_ascii_case(b"lib-ver") {
        (LibraryAttribute::Version, "lib-ver")
    } else {
        let name = quotable(attribute, QUOTED_BYTES_MAX);
        return Err(CommandError::UnknownAttribute { name });
    };
    let value = plain(value).ok_or(CommandError::LibraryInfo { attribute: name })?;
    Ok(ClientCommand::SetInfo { attribute, value })
}

pub(super) fn config(arguments: &[Bytes]) -> Result {
    let Some((form, patterns)) = arguments.split_first() else {
        return Err(CommandError::Arity { command: "config" });
    };
    if !form.eq_ignore_ascii_case(b"get") {
        return Err(unknown_form("CONFIG", form));
    }
    if patterns.is_empty() {
        return Err(CommandError::Arity {
            command: "config|get",
        });
    }
    local(Local::ConfigGet(patterns.to_vec()))
}

pub(super) fn info(arguments: &[Bytes]) -> Result {
    local(Local::Info(arguments.to_vec()))
}

fn unknown_form(container: &'static str, form: &[u8]) -> CommandError {
    CommandError::UnknownSubcommand {
        container,
        name: quotable(form, QUOTED_BYTES_MAX),
    }
}

/// A word of printable ASCII without spaces: fit for a line in a list of clients. A copy, for it
/// outlives the read buffer it is a slice of.
fn plain(word: &[u8]) -> Option<Bytes> {
    word.iter()
        .all(u8::is_ascii_graphic)
        .then(|| Bytes::copy_from_slice(word))
}
