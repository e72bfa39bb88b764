//! The network room: from where a workspace may be reached, and the virtual networks that say so.
//!
//! The rules of all workspaces are compiled into one snapshot that the gate asks on every admission. What they bind and what they
//! never bind is a decision of its own (`docs/decisions`, network rules).

mod outbound;
mod rules;
mod snapshot;

pub use outbound::{Dependency, GetOutboundDependencies};
pub use rules::{NetworkRequest, NetworkRules};
pub(crate) use rules::{WorkspaceNetwork, change, forget};
pub use snapshot::{NetworkView, network_of};
pub(crate) use snapshot::{Networks, compiled, refusal};

use crate::gate::Record;

/// A commit that touches one of these tables recompiles the snapshot.
pub(crate) const TABLES: &[&str] = &[WorkspaceNetwork::TABLE];
