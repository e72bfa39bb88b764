//! The network room: from where a workspace may be reached, and the virtual networks that say so.
//!
//! The rules of all workspaces are compiled into one snapshot that the gate asks on every admission. What they bind and what they
//! never bind is a decision of its own (`docs/decisions`, network rules).

mod connections;
mod outbound;
mod private_endpoint;
mod rules;
mod snapshot;
mod virtual_network;

pub use connections::{
    Answer, Connection, DeleteConnection, GetConnection, ListConnections, ListPrivateLinkResources, PutConnection,
    WORKSPACE_GROUP,
};
pub use outbound::{Dependency, GetOutboundDependencies};
pub(crate) use private_endpoint::remove_networks;
pub use private_endpoint::{DeletePrivateEndpoint, PrivateEndpoint, PutPrivateEndpoint};
pub use rules::{AccountNetworkRequest, NetworkRequest, NetworkRules};
pub(crate) use rules::{WorkspaceNetwork, change, change_account, forget};
pub use snapshot::{NetworkView, network_of};
pub(crate) use snapshot::{Networks, compiled, refusal};
pub use virtual_network::{
    DeleteSubnet, DeleteVirtualNetwork, GetSubnet, InNetwork, ListSubnets, PutSubnet, PutVirtualNetwork, Subnet,
    SubnetRequest, VirtualNetwork,
};

use crate::gate::Record;

/// A commit that touches one of these tables recompiles the snapshot.
pub(crate) const TABLES: &[&str] = &[WorkspaceNetwork::TABLE];
