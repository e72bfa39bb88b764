//! The compiled snapshot: whether a caller may reach a workspace from where it is, decided without reading anything.

use std::{collections::HashMap, net::IpAddr, sync::Arc};

use kernel::{Caller, Error, Kind, ResourceId, Result, Who, WorkspaceId};

use super::{Answer, Connection, NetworkRules, WorkspaceNetwork};
use crate::{gate::House, identity::Network};

/// The rules of all workspaces that have any.
#[derive(Default)]
pub(crate) struct Networks {
    /// By scope in lower case.
    guards: HashMap<Arc<str>, Guard>,
    /// The rules could not be read: nobody reaches any workspace.
    is_closed: bool,
}

/// What stands before one workspace.
struct Guard {
    workspace: WorkspaceId,
    rules: NetworkRules,
    connections: Vec<Connection>,
    /// The ranges of approved private endpoints.
    private: Vec<Network>,
}

/// What is shown of a workspace's rules.
#[derive(Clone, Debug, Default)]
pub struct NetworkView {
    /// The rules.
    pub rules: NetworkRules,
    /// The private endpoint connections.
    pub connections: Vec<Connection>,
}

/// Compiles the snapshot from the store.
pub(crate) async fn compiled(house: &House) -> Result<Networks> {
    let rows = house.all::<WorkspaceNetwork>(house.system(), b"").await?;
    let mut guards = HashMap::with_capacity(rows.len());
    for row in rows {
        let Ok(id) = uuid::Uuid::from_slice(&row.id) else {
            return Err(Error::internal("a network rule under a key that is no GUID"));
        };
        let WorkspaceNetwork { scope, rules, connections } = row.value;
        let approved = connections.iter().filter(|connection| connection.answer == Answer::Approved);
        let private = approved.flat_map(|connection| connection.prefixes.iter().copied()).collect();
        guards.insert(Arc::from(scope.folded()), Guard { workspace: id.into(), rules, connections, private });
    }
    Ok(Networks { guards, is_closed: false })
}

/// The rules of a workspace, for whoever was admitted to read it.
pub fn network_of(house: &House, workspace: &ResourceId) -> NetworkView {
    let networks = house.networks();
    networks.guards.get(workspace.folded()).map(Guard::view).unwrap_or_default()
}

/// Why the caller may not reach this scope from where it is; none when it may.
pub(crate) fn refusal(house: &House, caller: &Caller, scope: &ResourceId) -> Option<Error> {
    if matches!(caller.who, Who::House) {
        return None;
    }
    let networks = house.networks();
    if networks.guards.is_empty() && !networks.is_closed {
        return None;
    }
    if let Some(vault) = scope.vault() {
        return refusal_of_data(&networks, caller, vault.folded(), ("vault", "ForbiddenByFirewall"));
    }
    let Some(workspace) = scope.workspace() else {
        let held = scope.enclosing().find(|scope| scope.ends_with("/blobservices"))?.strip_suffix("/blobservices")?;
        return refusal_of_data(&networks, caller, held, ("storage account", "AuthorizationFailure"));
    };
    if networks.is_closed {
        let why = "network rules cannot be read just now, so no workspace can be reached; try again";
        return Some(Error::new(Kind::Unavailable, why));
    }
    let guard = networks.guards.get(workspace.folded())?;
    if guard.is_job_here(caller) {
        return None;
    }
    guard.refusal(caller.source.address, &workspace)
}

/// The same for what a vault or a storage account holds. Its management is not bound: whoever may change the rules is not locked out
/// by them.
fn refusal_of_data(
    networks: &Networks,
    caller: &Caller,
    held: &str,
    (kind, code): (&str, &'static str),
) -> Option<Error> {
    if networks.is_closed {
        let why = format!("network rules cannot be read just now, so no {kind} can be reached; try again");
        return Some(Error::new(Kind::Unavailable, why));
    }
    let guard = networks.guards.get(held)?;
    // The server itself, in the name of a workspace's identity: the trusted services that every vault lets in (`bypass`).
    let address = Some(caller.source.address?);
    let is_in = |networks: &[Network]| address.is_some_and(|peer| networks.iter().any(|net| net.contains(peer)));
    if is_in(&guard.private) || guard.rules.lets_in(is_in) {
        return None;
    }
    let peer = address.map_or_else(|| String::from("unknown"), |address| address.to_canonical().to_string());
    let name = held.rsplit('/').next().unwrap_or_default();
    let why = format!("the client address `{peer}` is not authorized to reach the {kind} `{name}`");
    Some(Error::new(Kind::Denied, why).coded(code))
}

impl Networks {
    /// A snapshot through which nobody comes.
    pub(crate) fn closed() -> Self {
        Self { guards: HashMap::new(), is_closed: true }
    }
}

impl Guard {
    fn view(&self) -> NetworkView {
        NetworkView { rules: self.rules.clone(), connections: self.connections.clone() }
    }

    /// Whether this is the code of one of the workspace's own runs, which comes through the agent on this machine.
    fn is_job_here(&self, caller: &Caller) -> bool {
        let of = match &caller.who {
            Who::Run(run) => Some(run.workspace),
            Who::Principal(principal) => principal.proof.run.as_ref().map(|(workspace, _)| *workspace),
            Who::Keyed(_) | Who::House | Who::Nobody => None,
        };
        caller.source.is_here && of == Some(self.workspace)
    }

    fn refusal(&self, address: Option<IpAddr>, workspace: &ResourceId) -> Option<Error> {
        let NetworkRules { public_access, .. } = &self.rules;
        let is_in = |networks: &[Network]| address.is_some_and(|peer| networks.iter().any(|net| net.contains(peer)));
        if is_in(&self.private) || self.rules.lets_in(is_in) {
            return None;
        }
        let name = workspace.name();
        let peer = address.map_or_else(|| String::from("unknown"), |address| address.to_canonical().to_string());
        let why = if *public_access {
            format!(
                "the client address `{peer}` is not authorized to reach the workspace `{name}`; whoever may change the \
                 workspace can add it to `ipAllowlist`"
            )
        } else {
            format!(
                "public network access is disabled for the workspace `{name}`: the client address `{peer}` is let in \
                 through an approved private endpoint only"
            )
        };
        Some(Error::new(Kind::Denied, why).coded("Forbidden"))
    }
}
