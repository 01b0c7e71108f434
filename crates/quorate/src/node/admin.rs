//! What operators do with a node: change the membership and choose the leader. Only the leader
//! can; [`Node::watch`] and the errors say which node that is.

use quorate_core::{Change, EntryId, NodeId};
use tokio::sync::oneshot;

use super::Node;
use super::desk::AdminAsk;
use crate::{ChangeError, StateMachine, TransferError};

impl<S: StateMachine> Node<S> {
    /// Adds a node to the cluster as a voter. It is sent the log first, without counting, and
    /// becomes a voter when it has caught up [Thesis 4.2.1].
    ///
    /// The new node is started with the same cluster name and founders as all others, an empty
    /// disk, and a number that was never another's. The address travels with the membership: no
    /// other node has to be told.
    ///
    /// # Errors
    /// See [`ChangeError`]. After [`NotCaughtUp`](crate::ChangeRefusal::NotCaughtUp) the node
    /// stays a learner.
    pub async fn add_peer(
        &self,
        node: NodeId,
        address: impl Into<String>,
    ) -> Result<EntryId, ChangeError> {
        let address = address.into();
        self.change_membership(Change::AddVoter { node, address })
            .await
    }

    /// Adds a node that receives the log without counting.
    ///
    /// # Errors
    /// See [`ChangeError`].
    pub async fn add_learner(
        &self,
        node: NodeId,
        address: impl Into<String>,
    ) -> Result<EntryId, ChangeError> {
        let address = address.into();
        self.change_membership(Change::AddLearner { node, address })
            .await
    }

    /// Makes a learner that has caught up a voter.
    ///
    /// # Errors
    /// See [`ChangeError`].
    pub async fn promote(&self, node: NodeId) -> Result<EntryId, ChangeError> {
        self.change_membership(Change::Promote { node }).await
    }

    /// Takes a voter or learner out of the cluster. A leader may remove itself: it leads until
    /// that is committed, and then lets another take over.
    ///
    /// # Errors
    /// See [`ChangeError`].
    pub async fn remove_peer(&self, node: NodeId) -> Result<EntryId, ChangeError> {
        self.change_membership(Change::Remove { node }).await
    }

    /// A member can now be reached elsewhere.
    ///
    /// # Errors
    /// See [`ChangeError`].
    pub async fn update_address(
        &self,
        node: NodeId,
        address: impl Into<String>,
    ) -> Result<EntryId, ChangeError> {
        let address = address.into();
        self.change_membership(Change::UpdateAddress { node, address })
            .await
    }

    /// Makes one change of the membership. Returns where it stands in the log once it is
    /// committed; only one is made at a time. Dropping the future does not take it back.
    ///
    /// # Errors
    /// [`ChangeError::is_ambiguous`] says whether the change may take effect all the same.
    pub async fn change_membership(&self, what: Change) -> Result<EntryId, ChangeError> {
        let (answer, outcome) = oneshot::channel();
        let ask = AdminAsk::Change { what, answer };
        self.admin
            .send(ask)
            .await
            .map_err(|_| ChangeError::Stopped)?;
        self.unless_stopped(outcome)
            .await
            .unwrap_or(Err(ChangeError::Stopped))
    }

    /// Lets another node lead: `target`, or whoever is best prepared. Returns which node has
    /// begun to campaign with this leader's word that it may; nearly always it wins. Proposals
    /// are refused meanwhile, for one election timeout at most.
    ///
    /// # Errors
    /// See [`TransferError`].
    pub async fn transfer_leadership(
        &self,
        target: Option<NodeId>,
    ) -> Result<NodeId, TransferError> {
        let (answer, outcome) = oneshot::channel();
        let ask = AdminAsk::Transfer { target, answer };
        self.admin
            .send(ask)
            .await
            .map_err(|_| TransferError::Stopped)?;
        self.unless_stopped(outcome)
            .await
            .unwrap_or(Err(TransferError::Stopped))
    }
}
