//! Requests that cannot be understood, in the words of Redis, so that clients which look at them
//! find what they expect.

use crate::resp::Reply;

/// Why a request is not a command. The connection goes on.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CommandError {
    /// No command has this name.
    #[error("ERR unknown command '{name}', with args beginning with: {arguments}")]
    Unknown {
        /// The name, shortened.
        name: String,
        /// The first arguments, quoted and shortened.
        arguments: String,
    },
    /// The command has no such form.
    #[error("ERR unknown subcommand '{name}'. Try {container} HELP.")]
    UnknownSubcommand {
        /// The command.
        container: &'static str,
        /// The form, shortened.
        name: String,
    },
    /// Too many or too few arguments.
    #[error("ERR wrong number of arguments for '{command}' command")]
    Arity {
        /// The command, in lower case, with `|` before a subcommand.
        command: &'static str,
    },
    /// An option that does not exist, or two that exclude each other.
    #[error("ERR syntax error")]
    Syntax,
    /// A number was expected.
    #[error("ERR value is not an integer or out of range")]
    NotAnInteger,
    /// The negative of the number does not exist.
    #[error("ERR decrement would overflow")]
    DecrementOverflow,
    /// Another database than 0.
    #[error("ERR DB index is out of range")]
    DatabaseIndex,
    /// A life span was asked for; nodes have no common clock to end it by.
    #[error("ERR option '{option}' is not supported: keys do not expire")]
    Expiry {
        /// The option.
        option: &'static str,
    },
    /// `HELLO` with something that is no number.
    #[error("ERR Protocol version is not an integer or out of range")]
    ProtocolVersion,
    /// `HELLO` with a version that is not spoken here.
    #[error("NOPROTO unsupported protocol version")]
    UnsupportedProtocol,
    /// Credentials were sent; accepting them would pretend that they protect something.
    #[error("ERR AUTH called without any password configured")]
    NoPassword,
    /// A name that would make a list of clients unreadable.
    #[error("ERR Client names cannot contain spaces, newlines or special characters.")]
    ClientName,
    /// The same for what a library says about itself.
    #[error("ERR {attribute} cannot contain spaces, newlines or special characters.")]
    LibraryInfo {
        /// Which attribute.
        attribute: &'static str,
    },
    /// An attribute of a library that does not exist.
    #[error("ERR Unrecognized option '{name}'")]
    UnknownAttribute {
        /// The attribute, shortened.
        name: String,
    },
    /// The command does not fit into one entry of the log.
    #[error("ERR command exceeds {limit_bytes} bytes")]
    TooLarge {
        /// The limit, in bytes.
        limit_bytes: usize,
    },
}

impl From<CommandError> for Reply {
    fn from(error: CommandError) -> Self {
        Self::Error(error.to_string().into())
    }
}

/// How much of what a client sent is quoted back, in bytes, as in Redis.
pub(super) const QUOTED_BYTES_MAX: usize = 128;

/// The beginning of what a client sent, fit to be quoted.
pub(super) fn quotable(text: &[u8], bytes_max: usize) -> String {
    let end = text.len().min(bytes_max);
    String::from_utf8_lossy(text.get(..end).unwrap_or(text)).into_owned()
}
