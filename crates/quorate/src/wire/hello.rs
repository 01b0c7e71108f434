//! The first frame in each direction of a connection: who speaks, to whom, in which cluster and
//! in which versions of the protocol. Pure; the exchange itself is in `link/`.

use std::fmt;

use bytes::Bytes;
use quorate_core::{Incarnation, Membership, NodeId};
use quorate_log::{ClusterId, DirectoryId};

use super::decode::{directory_id, malformed, no_payload, node_id, parse};
use super::frame::open;
use super::header::{self, Header, Kind};
use super::{EncodedFrames, WireError};

/// Longer than any handshake, with the longest address. Before it is done, nobody is entitled to
/// more memory than this.
pub const MAX_HELLO_BYTES: u32 = 2048;

/// A version of the protocol: what headers may hold and what they mean.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Version(pub u32);

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "v{}", self.0)
    }
}

/// The versions that a node speaks, both ends included.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct VersionRange {
    /// The oldest.
    pub oldest: Version,
    /// The newest.
    pub newest: Version,
}

impl VersionRange {
    /// What this build speaks. Version 2 brought changes of the membership, transfers of
    /// leadership and snapshots: entries, messages and fields that version 1 cannot do without
    /// knowing. Version 3 gave the length of every frame a check, the handshake's too: older
    /// frames can no longer be read, and no release has ever written them. Version 4 names the life
    /// of the leader for which proposals are passed on: a node that does not look at it may say of
    /// what another life has appended that it was not. Version 4 also says in which round a node is
    /// told to campaign, so that a late word deposes nobody.
    pub const SUPPORTED: Self = Self {
        oldest: Version(4),
        newest: Version(4),
    };

    /// The newest version that both speak.
    #[must_use]
    pub fn common(self, other: Self) -> Option<Version> {
        let newest = self.newest.min(other.newest);
        (newest >= self.oldest.max(other.oldest)).then_some(newest)
    }
}

impl fmt::Display for VersionRange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} to {}", self.oldest, self.newest)
    }
}

/// What a node says of itself before anything else. The dialler speaks first.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hello {
    /// The versions it speaks.
    pub versions: VersionRange,
    /// The cluster it belongs to.
    pub cluster: ClusterId,
    /// Who it is.
    pub from: NodeId,
    /// Whom it believes to be talking to.
    pub to: NodeId,
    /// Its present life.
    pub incarnation: Incarnation,
    /// Its data directory.
    pub directory: DirectoryId,
    /// Where it can be reached; empty if it does not say.
    pub address: String,
}

impl Hello {
    /// Decides whether the node that sent this may go on: it belongs to `cluster`, means `node`,
    /// which is us, and is somebody whom `expected` accepts. Gives the version to speak.
    ///
    /// # Errors
    /// Says which of these does not hold. The connection is closed with one line in the log
    /// (scenario H06).
    pub fn check(
        &self,
        cluster: ClusterId,
        node: NodeId,
        expected: impl FnOnce(NodeId) -> bool,
    ) -> Result<Version, HandshakeError> {
        if self.cluster != cluster {
            return Err(HandshakeError::WrongCluster {
                ours: cluster,
                theirs: self.cluster,
            });
        }
        if self.from == node {
            return Err(HandshakeError::Itself { node });
        }
        if self.to != node {
            return Err(HandshakeError::WrongRecipient {
                node,
                intended: self.to,
            });
        }
        if !expected(self.from) {
            return Err(HandshakeError::UnexpectedSender { from: self.from });
        }
        let ours = VersionRange::SUPPORTED;
        ours.common(self.versions)
            .ok_or(HandshakeError::NoCommonVersion {
                ours,
                theirs: self.versions,
            })
    }

    /// The frame of this handshake.
    #[must_use]
    pub fn encode(&self) -> Bytes {
        let kind = Kind::Hello(header::Hello {
            oldest_version: self.versions.oldest.0,
            newest_version: self.versions.newest.0,
            cluster: Some(self.cluster.0.into()),
            from: self.from.get(),
            to: self.to.get(),
            incarnation: self.incarnation.get(),
            directory: Some(self.directory.0.into()),
            address: self.address.clone(),
        });
        let mut frames = EncodedFrames::new();
        frames.append(&Header { kind: Some(kind) }, std::iter::empty());
        frames.into_bytes()
    }

    /// The handshake in a complete frame.
    ///
    /// # Errors
    /// The frame is damaged or holds something else.
    pub fn decode(frame: Bytes) -> Result<Self, WireError> {
        let (header, payload) = open(frame)?;
        no_payload(&payload)?;
        let Some(Kind::Hello(hello)) = parse(header)?.kind else {
            return Err(malformed("not a handshake"));
        };
        if hello.address.len() > Membership::MAX_ADDRESS_BYTES {
            return Err(malformed("an address is too long"));
        }
        let cluster = hello.cluster.ok_or(malformed("a cluster id is missing"))?;
        Ok(Self {
            versions: VersionRange {
                oldest: Version(hello.oldest_version),
                newest: Version(hello.newest_version),
            },
            cluster: ClusterId(cluster.into()),
            from: node_id(hello.from)?,
            to: node_id(hello.to)?,
            incarnation: Incarnation::new(hello.incarnation),
            directory: directory_id(hello.directory)?,
            address: hello.address,
        })
    }
}

/// Why a handshake was refused. Each is for the operator to repair: an address or a
/// configuration is wrong at one of the two ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum HandshakeError {
    /// The peer belongs to another cluster.
    #[error("the peer belongs to cluster {theirs}, this node to {ours}")]
    WrongCluster {
        /// The cluster of this node.
        ours: ClusterId,
        /// The cluster of the peer.
        theirs: ClusterId,
    },
    /// The peer means another node: an address leads to the wrong place.
    #[error("the peer wants to talk to {intended}, but this is {node}")]
    WrongRecipient {
        /// This node.
        node: NodeId,
        /// Whom the peer means.
        intended: NodeId,
    },
    /// The peer has the id of this node: a node that dials itself, or two nodes with one id.
    #[error("the peer says that it is {node} too")]
    Itself {
        /// This node.
        node: NodeId,
    },
    /// The peer is not a member, or not the one that was dialled.
    #[error("{from} is not expected here")]
    UnexpectedSender {
        /// Who the peer says it is.
        from: NodeId,
    },
    /// The two builds are too far apart.
    #[error("the peer speaks {theirs}, this node {ours}")]
    NoCommonVersion {
        /// What this node speaks.
        ours: VersionRange,
        /// What the peer speaks.
        theirs: VersionRange,
    },
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::decode;

    fn node(id: u64) -> NodeId {
        NodeId::new(id).unwrap()
    }

    fn hello() -> Hello {
        Hello {
            versions: VersionRange::SUPPORTED,
            cluster: ClusterId(0xc1),
            from: node(1),
            to: node(2),
            incarnation: Incarnation::new(99),
            directory: DirectoryId(u128::MAX),
            address: "x".repeat(Membership::MAX_ADDRESS_BYTES),
        }
    }

    #[test]
    fn handshake_arrives_as_it_was_sent_and_is_no_message() {
        let bytes = hello().encode();
        assert!(bytes.len() <= MAX_HELLO_BYTES as usize);
        assert_eq!(Hello::decode(bytes.clone()), Ok(hello()));
        assert!(matches!(decode(bytes), Err(WireError::Malformed { .. })));
        let mut life = EncodedFrames::new();
        life.push_sign_of_life();
        let message = life.into_bytes();
        assert!(matches!(
            Hello::decode(message),
            Err(WireError::Malformed { .. })
        ));
        let talkative = Hello {
            address: "x".repeat(Membership::MAX_ADDRESS_BYTES + 1),
            ..hello()
        };
        assert!(matches!(
            Hello::decode(talkative.encode()),
            Err(WireError::Malformed { .. })
        ));
    }

    /// Scenario H06
    #[test]
    fn handshake_is_refused_by_name_when_one_thing_does_not_fit() {
        let check = |hello: Hello| hello.check(ClusterId(0xc1), node(2), |from| from == node(1));
        assert_eq!(check(hello()), Ok(Version(4)), "the twin is fine");
        assert_eq!(
            check(Hello {
                cluster: ClusterId(0xc2),
                ..hello()
            }),
            Err(HandshakeError::WrongCluster {
                ours: ClusterId(0xc1),
                theirs: ClusterId(0xc2)
            })
        );
        assert_eq!(
            check(Hello {
                to: node(3),
                ..hello()
            }),
            Err(HandshakeError::WrongRecipient {
                node: node(2),
                intended: node(3)
            })
        );
        assert_eq!(
            check(Hello {
                from: node(2),
                ..hello()
            }),
            Err(HandshakeError::Itself { node: node(2) })
        );
        assert_eq!(
            check(Hello {
                from: node(4),
                ..hello()
            }),
            Err(HandshakeError::UnexpectedSender { from: node(4) })
        );
        let theirs = VersionRange {
            oldest: Version(5),
            newest: Version(9),
        };
        assert_eq!(
            check(Hello {
                versions: theirs,
                ..hello()
            }),
            Err(HandshakeError::NoCommonVersion {
                ours: VersionRange::SUPPORTED,
                theirs
            })
        );
    }

    #[test]
    fn peers_speak_the_newest_version_that_both_know() {
        let range = |oldest, newest| VersionRange {
            oldest: Version(oldest),
            newest: Version(newest),
        };
        assert_eq!(range(1, 3).common(range(2, 5)), Some(Version(3)));
        assert_eq!(range(4, 6).common(range(1, 4)), Some(Version(4)));
        assert_eq!(range(1, 2).common(range(3, 4)), None);
        assert_eq!(
            range(1, 5).common(range(4, 2)),
            None,
            "a range that is none contains nothing"
        );
    }
}
