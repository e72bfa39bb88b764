//! Private endpoints: the subnets from which a workspace is reached when public access is off (`Microsoft.Network`).

use std::collections::BTreeMap;

use async_trait::async_trait;
use kernel::{Action, Class, Error, Kind, ResourceId, Result};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::{
    VirtualNetwork, WorkspaceNetwork,
    connections::{APPROVE, Answer, Connection, WORKSPACE_GROUP},
    rules::{displace, stored},
    virtual_network::{check_name, require_unchanged_in_use},
};
use crate::{
    gate::{Admission, Changes, Cx, Op, Row, Shelf},
    resources::{
        Precondition, PutResource, Resource, ResourceGroup, ResourceType, Workspace, Written, collection, find, row_id,
    },
};

/// Connections of one workspace.
const MOST_CONNECTIONS: usize = 100;
/// Putting something into a subnet.
const JOIN: Action = Action::new("Microsoft.Network/virtualNetworks/subnets/join/action", Class::Control);

/// A private endpoint.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct PrivateEndpoint {
    /// The subnet whose addresses it stands for.
    pub subnet: ResourceId,
    /// The workspace that it leads to.
    pub workspace: ResourceId,
    /// Which workspace of that name.
    pub workspace_guid: Uuid,
    /// What its side calls the connection.
    pub link: String,
    /// What the workspace's side calls it.
    pub connection: String,
    /// Whether its maker left the answer to others.
    pub is_manual: bool,
}

impl ResourceType for PrivateEndpoint {
    const TYPE: &'static str = "Microsoft.Network/privateEndpoints";
    const READ: Action = Action::new("Microsoft.Network/privateEndpoints/read", Class::Read);
    const WRITE: Action = Action::new("Microsoft.Network/privateEndpoints/write", Class::Control);
    const DELETE: Action = Action::new("Microsoft.Network/privateEndpoints/delete", Class::Control);

    fn check(&self, id: &ResourceId) -> Result<()> {
        check_name("privateEndpointName", id.name())?;
        check_name("privateLinkServiceConnections.name", &self.link)
    }
}

/// Creates a private endpoint, and asks the workspace to let it in; or changes the tags of one that is there.
#[derive(Debug)]
pub struct PutPrivateEndpoint {
    /// Its id.
    pub id: ResourceId,
    /// Where.
    pub location: String,
    /// Free labels.
    pub tags: BTreeMap<String, String>,
    /// The subnet whose addresses it stands for.
    pub subnet: ResourceId,
    /// The workspace.
    pub workspace: ResourceId,
    /// What its side calls the connection.
    pub link: String,
    /// What of the workspace: `amlworkspace`, or nothing, which is the same.
    pub groups: Vec<String>,
    /// Whether the answer is left to whoever may give it, even if the maker may.
    pub is_manual: bool,
    /// For whoever answers.
    pub message: String,
}

#[async_trait]
impl Op for PutPrivateEndpoint {
    const ACTION: Action = PrivateEndpoint::WRITE;
    type Output = Written<Resource<PrivateEndpoint>>;

    fn scope(&self) -> ResourceId {
        self.id.clone()
    }

    async fn run(self, cx: &Cx<'_, Self>) -> Result<Self::Output> {
        find::<ResourceGroup>(cx, &self.id.parent()).await?;
        if self.groups.iter().any(|group| !group.eq_ignore_ascii_case(WORKSPACE_GROUP)) {
            let why = format_args!("must be `{WORKSPACE_GROUP}`");
            return Err(Error::invalid("privateLinkServiceConnections.groupIds", why));
        }
        if self.message.len() > 140 {
            return Err(Error::invalid("privateLinkServiceConnections.requestMessage", "at most 140 bytes"));
        }
        let system = cx.system();
        let present = row_id::<PrivateEndpoint>(system, &self.id);
        let present = cx.get::<Resource<PrivateEndpoint>>(system, &present).await?;
        let mut changes = Changes::new();
        let properties = match present {
            Some(row) => {
                let known = row.value.properties;
                if known.subnet != self.subnet || known.workspace != self.workspace {
                    let why = "a private endpoint keeps its subnet and what it leads to; make another one";
                    return Err(Error::new(Kind::Conflict, why));
                }
                known
            }
            None => self.connect(cx, &mut changes).await?,
        };
        let Self { id, location, tags, .. } = self;
        let put = PutResource { id, location, tags, properties, precondition: Precondition::default() };
        put.apply_with(cx, changes).await
    }
}

impl PutPrivateEndpoint {
    /// Takes its place in the subnet and asks the workspace, with `changes`.
    async fn connect(&self, cx: &Cx<'_, Self>, changes: &mut Changes) -> Result<PrivateEndpoint> {
        cx.require(&JOIN, &self.subnet).await?;
        let (_, mut network) = find::<VirtualNetwork>(cx, &self.subnet.parent()).await?;
        let missing = || Error::not_found(format_args!("the resource `{}`", self.subnet));
        let subnet = network.value.properties.subnet_mut(self.subnet.name()).ok_or_else(missing)?;
        subnet.endpoints.push(self.id.clone());
        let prefixes = subnet.prefixes.clone();
        cx.require(&Workspace::READ, &self.workspace).await?;
        let (_, workspace) = find::<Workspace>(cx, &self.workspace).await?;
        let mut rules = stored(cx, &workspace.value.id, workspace.value.guid.into()).await?;
        if rules.value.connections.len() >= MOST_CONNECTIONS {
            let why =
                format!("a workspace has at most {MOST_CONNECTIONS} private endpoint connections; delete old ones");
            return Err(Error::new(Kind::Conflict, why));
        }
        let may_approve = !self.is_manual && cx.may(&APPROVE, &self.workspace);
        if may_approve {
            cx.require(&APPROVE, &self.workspace).await?;
        }
        let guid = Uuid::new_v4();
        let name = format!("{}.{guid}", self.id.name());
        let connection = Connection {
            name: name.clone(),
            endpoint: self.id.clone(),
            endpoint_guid: guid,
            prefixes,
            answer: if may_approve { Answer::Approved } else { Answer::Pending },
            description: if may_approve { String::from("Auto-Approved") } else { self.message.clone() },
            asked_at: cx.now(),
        };
        cx.note("connection", connection.name.as_str());
        cx.note("status", connection.status(cx.now()));
        cx.note("workspace", workspace.value.id.as_str());
        displace(cx, changes, &rules).await?;
        rules.value.connections.push(connection);
        let system = cx.system();
        // Written unchanged: a workspace that is deleted meanwhile makes this commit stale, and the reverse.
        changes.put(system, &network)?.put(system, &rules)?.put(system, &workspace)?;
        Ok(PrivateEndpoint {
            subnet: self.subnet.clone(),
            workspace: workspace.value.id,
            workspace_guid: workspace.value.guid,
            link: self.link.clone(),
            connection: name,
            is_manual: self.is_manual,
        })
    }
}

/// Removes a private endpoint. Its connection is disconnected.
#[derive(Debug)]
pub struct DeletePrivateEndpoint {
    /// Its id.
    pub id: ResourceId,
}

#[async_trait]
impl Op for DeletePrivateEndpoint {
    const ACTION: Action = PrivateEndpoint::DELETE;
    type Output = ();

    fn scope(&self) -> ResourceId {
        self.id.clone()
    }

    async fn run(self, cx: &Cx<'_, Self>) -> Result<()> {
        let (system, row) = find::<PrivateEndpoint>(cx, &self.id).await?;
        let endpoint = &row.value.properties;
        let mut changes = Changes::new();
        changes.delete(&system, &row);
        let network = row_id::<VirtualNetwork>(&system, &endpoint.subnet.parent());
        if let Some(mut network) = cx.get::<Resource<VirtualNetwork>>(&system, &network).await?
            && let Some(subnet) = network.value.properties.subnet_mut(endpoint.subnet.name())
        {
            subnet.endpoints.retain(|other| *other != self.id);
            changes.put(&system, &network)?;
        }
        if let Some(mut rules) = cx.get::<WorkspaceNetwork>(&system, endpoint.workspace_guid.as_bytes()).await? {
            let mut connections = rules.value.connections.iter_mut();
            if let Some(connection) = connections.find(|one| one.name == endpoint.connection) {
                connection.answer = Answer::Disconnected;
                cx.note("connection", connection.name.as_str());
                changes.put(&system, &rules)?;
            }
        }
        cx.commit(changes).await
    }
}

/// Removes the networks of a group that ends. Refused while private endpoints depend on them, or are in the group: they let
/// somebody in somewhere.
pub(crate) async fn remove_networks(
    cx: &Admission<'_>,
    shelf: &Shelf,
    group: &ResourceId,
    changes: &mut Changes,
) -> Result<()> {
    let endpoints: Vec<Row<Resource<PrivateEndpoint>>> =
        cx.all(shelf, &collection::<PrivateEndpoint>(shelf, group)).await?;
    if let Some(first) = endpoints.first() {
        let why = format!("the resource group holds the private endpoint `{}`; delete it first", first.value.id.name());
        return Err(Error::new(Kind::Conflict, why));
    }
    for row in cx.all::<Resource<VirtualNetwork>>(shelf, &collection::<VirtualNetwork>(shelf, group)).await? {
        require_unchanged_in_use(&row.value.properties.subnets, &[])?;
        changes.delete(shelf, &row);
    }
    Ok(())
}
