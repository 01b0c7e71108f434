//! The one table of commands: name, number of arguments, what `COMMAND` tells about it, and the
//! function that understands its arguments. Those functions are in `keys.rs` and `local.rs`.

use bytes::Bytes;

use super::error::{QUOTED_BYTES_MAX, quotable};
use super::{Command, CommandError, keys, local};

/// One command.
#[derive(Debug)]
pub struct Spec {
    /// Its name, in lower case.
    pub name: &'static str,
    /// The number of words, the name included; negative if there may be more, as in Redis.
    pub arity: i32,
    /// Its flags, as `COMMAND` tells them.
    pub flags: &'static [&'static str],
    /// Which words are keys.
    pub keys: Keys,
    /// Understands the arguments; their number was checked against `arity`.
    pub(super) build: Build,
}

type Build = fn(&[Bytes]) -> Result<Command, CommandError>;

/// Which words of a command are keys, as `COMMAND` tells it: positions count from the name at 0,
/// negative ones from the end.
#[derive(Clone, Copy, Debug)]
pub struct Keys {
    /// The first; 0 if there are none.
    pub first: i64,
    /// The last.
    pub last: i64,
    /// From one to the next.
    pub step: i64,
}

const NONE: Keys = Keys {
    first: 0,
    last: 0,
    step: 0,
};
const ONE: Keys = Keys {
    first: 1,
    last: 1,
    step: 1,
};
const ALL: Keys = Keys {
    first: 1,
    last: -1,
    step: 1,
};
const PAIRS: Keys = Keys {
    first: 1,
    last: -1,
    step: 2,
};

const READ: &[&str] = &["readonly", "fast"];
const WRITE: &[&str] = &["write", "denyoom", "fast"];
const REMOVE: &[&str] = &["write", "fast"];
const LOCAL: &[&str] = &["noscript", "loading", "stale", "fast"];

const fn spec(
    name: &'static str,
    arity: i32,
    flags: &'static [&'static str],
    keys: Keys,
    build: Build,
) -> Spec {
    Spec {
        name,
        arity,
        flags,
        keys,
        build,
    }
}

/// Every command there is.
pub static COMMANDS: &[Spec] = &[
    spec("get", 2, READ, ONE, keys::get),
    spec("set", -3, WRITE, ONE, keys::set),
    spec("incr", 2, WRITE, ONE, keys::incr),
    spec("mget", -2, READ, ALL, keys::mget),
    spec("mset", -3, WRITE, PAIRS, keys::mset),
    spec("del", -2, REMOVE, ALL, keys::del),
    spec("exists", -2, READ, ALL, keys::exists),
    spec("setnx", 3, WRITE, ONE, keys::setnx),
    spec("getset", 3, WRITE, ONE, keys::getset),
    spec("getdel", 2, REMOVE, ONE, keys::getdel),
    spec("decr", 2, WRITE, ONE, keys::decr),
    spec("incrby", 3, WRITE, ONE, keys::incrby),
    spec("decrby", 3, WRITE, ONE, keys::decrby),
    spec("append", 3, WRITE, ONE, keys::append),
    spec("strlen", 2, READ, ONE, keys::strlen),
    spec("dbsize", 1, READ, NONE, keys::dbsize),
    spec("flushall", -1, REMOVE, NONE, keys::flushall),
    spec("ping", -1, LOCAL, NONE, local::ping),
    spec("echo", 2, LOCAL, NONE, local::echo),
    spec("hello", -1, LOCAL, NONE, local::hello),
    spec("select", 2, LOCAL, NONE, local::select),
    spec("quit", -1, LOCAL, NONE, local::quit),
    spec("command", -1, LOCAL, NONE, local::command),
    spec("client", -2, LOCAL, NONE, local::client),
    spec("config", -2, LOCAL, NONE, local::config),
    spec("info", -1, LOCAL, NONE, local::info),
];

/// The command of this name, in whatever case.
#[must_use]
pub fn find(name: &[u8]) -> Option<&'static Spec> {
    COMMANDS
        .iter()
        .find(|spec| name.eq_ignore_ascii_case(spec.name.as_bytes()))
}

/// Understands a request. The name and the arguments are its words.
///
/// # Errors
/// It is no command; the reply says why, and the connection goes on.
pub fn parse(request: &[Bytes]) -> Result<Command, CommandError> {
    let Some((name, arguments)) = request.split_first() else {
        return Err(unknown(b"", &[]));
    };
    let spec = find(name).ok_or_else(|| unknown(name, arguments))?;
    let words = i32::try_from(request.len()).unwrap_or(i32::MAX);
    let fits = if spec.arity < 0 {
        words >= -spec.arity
    } else {
        words == spec.arity
    };
    if !fits {
        return Err(CommandError::Arity { command: spec.name });
    }
    (spec.build)(arguments)
}

fn unknown(name: &[u8], arguments: &[Bytes]) -> CommandError {
    let mut quoted = String::new();
    for argument in arguments {
        let Some(room) = QUOTED_BYTES_MAX
            .checked_sub(quoted.len())
            .filter(|room| *room > 0)
        else {
            break;
        };
        quoted.push('\'');
        quoted.push_str(&quotable(argument, room));
        quoted.push_str("' ");
    }
    CommandError::Unknown {
        name: quotable(name, QUOTED_BYTES_MAX),
        arguments: quoted,
    }
}

#[cfg(test)]
#[path = "tests.rs"]
mod tests;
