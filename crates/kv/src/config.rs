//! What can be set, in one table: [`Options`] is the command line, the environment, the
//! configuration file and the help at once. [`Settings`] is what came of it, checked.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::{fs, io};

use clap::Args;
use quorate_core::NodeId;
use serde::Deserialize;

/// What can be set. A flag goes before an environment variable, and both before the file.
#[derive(Args, Clone, Debug, Default, Deserialize, PartialEq, Eq)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub struct Options {
    /// Read the options that are not given here or in the environment from this TOML file
    #[arg(long, env = "QUORATE_KV_CONFIG", value_name = "FILE")]
    #[serde(skip)]
    pub config: Option<PathBuf>,
    /// Number of this node, above zero and unique in the cluster
    #[arg(long, env = "QUORATE_KV_ID", value_name = "N")]
    pub id: Option<u64>,
    /// Directory for the log and the node's identity; created if it does not exist
    #[arg(long, env = "QUORATE_KV_DATA", value_name = "DIR")]
    pub data: Option<PathBuf>,
    /// Address on which to serve clients [default: 127.0.0.1:6379]
    #[arg(long, env = "QUORATE_KV_LISTEN", value_name = "ADDRESS")]
    pub listen: Option<SocketAddr>,
    /// Name of the cluster; nodes of different clusters refuse each other [default: kv]
    #[arg(long, env = "QUORATE_KV_CLUSTER", value_name = "NAME")]
    pub cluster: Option<String>,
    /// A founder of the cluster and the address of its Raft listener, once for each founder, this
    /// node included; the same list on all of them
    #[arg(
        long = "peer",
        env = "QUORATE_KV_PEERS",
        value_name = "N=ADDRESS",
        value_delimiter = ','
    )]
    pub peers: Vec<String>,
    /// Client connections open at once, at most [default: 10000]
    #[arg(long, env = "QUORATE_KV_MAX_CLIENTS", value_name = "COUNT")]
    pub max_clients: Option<usize>,
    /// Stop when the standard input ends, that is, when the process holding its other end does
    #[arg(long, hide = true)]
    #[serde(skip)]
    pub until_stdin_ends: bool,
}

/// Checked settings of one server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// This node.
    pub id: NodeId,
    /// Its data directory.
    pub data: PathBuf,
    /// Where it serves clients.
    pub listen: SocketAddr,
    /// The name of the cluster.
    pub cluster: String,
    /// The founders and the addresses of their Raft listeners.
    pub founders: BTreeMap<NodeId, String>,
    /// The address of this node's own.
    pub raft_address: String,
    /// Client connections open at once, at most.
    pub clients_max: usize,
    /// Whether to stop when the standard input ends.
    pub until_stdin_ends: bool,
}

/// What is wrong with the options. All of it is for the operator to mend.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ConfigError {
    /// The file cannot be read.
    #[error("cannot read {}", path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The file is not TOML, or names an option that does not exist.
    #[error("{} is not a configuration", path.display())]
    Malformed {
        /// The file.
        path: PathBuf,
        /// Why.
        source: Box<toml::de::Error>,
    },
    /// An option without a default is missing.
    #[error("--{option} is missing")]
    Missing {
        /// The option.
        option: &'static str,
    },
    /// A node number is zero.
    #[error("node numbers start at 1")]
    ZeroId,
    /// No connection at all would be served.
    #[error("--max-clients must be above zero")]
    NoClients,
    /// A founder is not written as a number and an address.
    #[error("a peer is written N=HOST:PORT, not {text:?}")]
    Peer {
        /// What was written.
        text: String,
    },
    /// A founder is listed twice.
    #[error("peer {id} is listed twice")]
    DuplicatePeer {
        /// The founder.
        id: NodeId,
    },
    /// This node is not among the founders.
    #[error("node {id} itself is not among the peers")]
    NotAFounder {
        /// This node.
        id: NodeId,
    },
}

impl Options {
    /// Adds what the configuration file says, if there is one, and checks everything.
    ///
    /// # Errors
    /// Says which option is wrong or missing.
    pub fn resolve(self) -> Result<Settings, ConfigError> {
        match self.config.as_deref().map(read) {
            Some(file) => self.or(file?).check(),
            None => self.check(),
        }
    }

    /// These options, and those of `file` where these say nothing.
    fn or(self, file: Self) -> Self {
        Self {
            config: self.config,
            id: self.id.or(file.id),
            data: self.data.or(file.data),
            listen: self.listen.or(file.listen),
            cluster: self.cluster.or(file.cluster),
            peers: if self.peers.is_empty() {
                file.peers
            } else {
                self.peers
            },
            max_clients: self.max_clients.or(file.max_clients),
            until_stdin_ends: self.until_stdin_ends,
        }
    }

    fn check(self) -> Result<Settings, ConfigError> {
        let id = self.id.ok_or(ConfigError::Missing { option: "id" })?;
        let id = NodeId::new(id).ok_or(ConfigError::ZeroId)?;
        let clients_max = self.max_clients.unwrap_or(10_000);
        if clients_max == 0 {
            return Err(ConfigError::NoClients);
        }
        if self.peers.is_empty() {
            return Err(ConfigError::Missing { option: "peer" });
        }
        let mut founders = BTreeMap::new();
        for text in &self.peers {
            let (id, address) = peer(text)?;
            if founders.insert(id, address).is_some() {
                return Err(ConfigError::DuplicatePeer { id });
            }
        }
        let raft_address = founders
            .get(&id)
            .cloned()
            .ok_or(ConfigError::NotAFounder { id })?;
        Ok(Settings {
            id,
            data: self.data.ok_or(ConfigError::Missing { option: "data" })?,
            listen: self
                .listen
                .unwrap_or_else(|| SocketAddr::from(([127, 0, 0, 1], 6379))),
            cluster: self.cluster.unwrap_or_else(|| "kv".to_owned()),
            founders,
            raft_address,
            clients_max,
            until_stdin_ends: self.until_stdin_ends,
        })
    }
}

fn read(path: &Path) -> Result<Options, ConfigError> {
    let text = fs::read_to_string(path).map_err(|source| ConfigError::Unreadable {
        path: path.to_owned(),
        source,
    })?;
    toml::from_str(&text).map_err(|source| ConfigError::Malformed {
        path: path.to_owned(),
        source: Box::new(source),
    })
}

fn peer(text: &str) -> Result<(NodeId, String), ConfigError> {
    let malformed = || ConfigError::Peer {
        text: text.to_owned(),
    };
    let (id, address) = text.split_once('=').ok_or_else(malformed)?;
    let id = id.trim().parse().map_err(|_| malformed())?;
    let address = address.trim();
    let (host, port) = address.rsplit_once(':').ok_or_else(malformed)?;
    if host.is_empty() || port.parse::<u16>().is_err() {
        return Err(malformed());
    }
    Ok((
        NodeId::new(id).ok_or(ConfigError::ZeroId)?,
        address.to_owned(),
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn options() -> Options {
        Options {
            id: Some(2),
            data: Some("data".into()),
            peers: vec!["1=a:1".into(), "2=b:2".into(), "3=[::1]:3".into()],
            ..Options::default()
        }
    }

    #[test]
    fn own_address_is_taken_from_the_list_of_peers() {
        let settings = options().resolve().unwrap();
        assert_eq!(settings.raft_address, "b:2");
        assert_eq!(settings.founders.len(), 3);
        assert_eq!(settings.listen.port(), 6379);
    }

    #[test]
    fn option_that_is_wrong_is_named() {
        let text = |change: fn(&mut Options)| {
            let mut options = options();
            change(&mut options);
            options.resolve().unwrap_err().to_string()
        };
        assert_eq!(text(|options| options.id = None), "--id is missing");
        assert_eq!(text(|options| options.data = None), "--data is missing");
        assert_eq!(text(|options| options.peers.clear()), "--peer is missing");
        assert_eq!(
            text(|options| options.id = Some(0)),
            "node numbers start at 1"
        );
        assert_eq!(
            text(|options| options.id = Some(9)),
            "node n9 itself is not among the peers"
        );
        assert_eq!(
            text(|options| options.max_clients = Some(0)),
            "--max-clients must be above zero"
        );
        assert_eq!(
            text(|options| options.peers.push("1=c:3".into())),
            "peer n1 is listed twice"
        );
        for wrong in ["x", "1", "1=", "1=host", "1=:7", "1=host:70000", "a=host:1"] {
            let mut options = options();
            options.peers = vec![wrong.into()];
            assert!(
                matches!(options.resolve(), Err(ConfigError::Peer { .. })),
                "{wrong:?} was accepted"
            );
        }
    }

    #[test]
    fn file_fills_in_what_the_command_line_leaves_out() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let text = "id = 1\ncluster = \"from-file\"\nmax-clients = 7\npeers = [\"2=x:9\"]\n";
        fs::write(file.path(), text).unwrap();
        let mut options = options();
        options.config = Some(file.path().to_owned());
        let settings = options.resolve().unwrap();
        assert_eq!(settings.id.get(), 2, "a flag goes before the file");
        assert_eq!(settings.raft_address, "b:2", "lists are not mixed");
        assert_eq!(
            (settings.cluster.as_str(), settings.clients_max),
            ("from-file", 7)
        );
    }

    #[test]
    fn file_with_an_unknown_option_is_refused() {
        let file = tempfile::NamedTempFile::new().unwrap();
        fs::write(file.path(), "idd = 1\n").unwrap();
        let options = Options {
            config: Some(file.path().to_owned()),
            ..options()
        };
        assert!(matches!(
            options.resolve(),
            Err(ConfigError::Malformed { .. })
        ));
    }
}
