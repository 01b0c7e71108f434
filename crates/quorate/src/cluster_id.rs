//! How a cluster gets its id: a hash of its name and its founders, so that nodes which were
//! configured for different clusters refuse each other before a byte of either log is mixed
//! (scenario H06). Where the id is kept is the business of the log's identity file.

use std::collections::BTreeSet;

use quorate_core::NodeId;
use quorate_log::ClusterId;
use sha2::{Digest, Sha256};

/// Keeps these hashes apart from any other use of the same function, and versions the rule.
const DOMAIN: &[u8] = b"quorate cluster id, version 1\0";

/// The id of the cluster with this name and these founders. The order of the founders and
/// repetitions among them do not matter; members that join later do not change it.
///
/// It is the first 128 bits of a SHA-256 over a domain separator, the length of the name and the
/// name, and the founders in ascending order, each as a little-endian `u64`.
#[must_use]
pub fn cluster_id(name: &str, founders: impl IntoIterator<Item = NodeId>) -> ClusterId {
    let founders: BTreeSet<NodeId> = founders.into_iter().collect();
    let mut hash = Sha256::new();
    hash.update(DOMAIN);
    // The length keeps the end of the name and the first founder apart.
    hash.update((name.len() as u64).to_le_bytes());
    hash.update(name.as_bytes());
    for founder in founders {
        hash.update(founder.get().to_le_bytes());
    }
    let digest = hash.finalize();
    let id = digest
        .iter()
        .take(16)
        .fold(0u128, |id, &byte| (id << 8) | u128::from(byte));
    ClusterId(id)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn nodes(ids: &[u64]) -> Vec<NodeId> {
        ids.iter().filter_map(|&id| NodeId::new(id)).collect()
    }

    #[test]
    fn id_is_the_same_whatever_the_order_of_the_founders() {
        let id = cluster_id("orders", nodes(&[1, 2, 3]));
        assert_eq!(id, cluster_id("orders", nodes(&[3, 1, 2, 3])));
    }

    /// Scenario H06
    #[test]
    fn id_differs_when_the_name_or_a_founder_differs() {
        let ids = [
            cluster_id("orders", nodes(&[1, 2, 3])),
            cluster_id("orders", nodes(&[1, 2])),
            cluster_id("orders", nodes(&[1, 2, 4])),
            cluster_id("order", nodes(&[1, 2, 3])),
            cluster_id("", nodes(&[])),
        ];
        let distinct: BTreeSet<ClusterId> = ids.into_iter().collect();
        assert_eq!(
            distinct.len(),
            ids.len(),
            "two clusters would accept each other's messages"
        );
    }

    /// Without the length, a name that ends in a founder's bytes would be the same cluster as
    /// the shorter name with that founder.
    #[test]
    fn name_cannot_pass_for_a_founder() {
        let long = cluster_id("a\u{1}\0\0\0\0\0\0\0", nodes(&[2]));
        assert_ne!(long, cluster_id("a", nodes(&[1, 2])));
    }

    /// The rule is part of what is on disk: a change of it would lock every cluster out.
    #[test]
    fn id_never_changes_for_a_known_cluster() {
        let id = cluster_id("orders", nodes(&[1, 2, 3]));
        assert_eq!(id.to_string(), "f601ec3749162bb8a9c871839310076d");
    }
}
