//! Private endpoint connections of a workspace: who asked to come in through one, and what was answered.

use async_trait::async_trait;
use kernel::{Action, Class, Error, Kind, ResourceId, Result, Timestamp};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::{WorkspaceNetwork, rules::stored};
use crate::{
    gate::{Admission, Changes, Cx, Op, Row},
    identity::Network,
    resources::{Resource, Workspace, workspace_shelf},
};

/// A request that nobody answered for this long has timed out.
const PATIENCE: std::time::Duration = std::time::Duration::from_secs(30 * 24 * 3600);

const READ: Action =
    Action::new("Microsoft.MachineLearningServices/workspaces/privateEndpointConnections/read", Class::Read)
        .beyond_network_rules();

/// Letting a private endpoint in, or refusing it.
pub(super) const APPROVE: Action = Action::new(
    "Microsoft.MachineLearningServices/workspaces/privateEndpointConnectionsApproval/action",
    Class::Control,
)
.beyond_network_rules();

/// A connection.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Connection {
    /// Its name: the endpoint's, and its GUID.
    pub name: String,
    /// The private endpoint.
    pub endpoint: ResourceId,
    /// Which one of that name.
    pub endpoint_guid: Uuid,
    /// The ranges of the subnet that the endpoint is in.
    pub prefixes: Vec<Network>,
    /// What was answered.
    pub answer: Answer,
    /// For people: why it was asked or answered so.
    pub description: String,
    /// When it was asked.
    pub asked_at: Timestamp,
}

/// What was answered to the request for a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Answer {
    /// Nothing yet.
    Pending,
    /// Let in.
    Approved,
    /// Refused.
    Rejected,
    /// Its endpoint is gone.
    Disconnected,
}

impl Connection {
    /// Azure's word for where it stands. Only `Approved` lets anybody in.
    pub fn status(&self, now: Timestamp) -> &'static str {
        match self.answer {
            Answer::Pending if now.since(self.asked_at) > PATIENCE => "Timeout",
            Answer::Pending => "Pending",
            Answer::Approved => "Approved",
            Answer::Rejected => "Rejected",
            Answer::Disconnected => "Disconnected",
        }
    }
}

/// The workspace of a connection's or collection's id, with its rules.
async fn found(cx: &Admission<'_>, id: &ResourceId) -> Result<(Row<Resource<Workspace>>, Row<WorkspaceNetwork>)> {
    let (_, workspace) = workspace_shelf(cx, id).await?;
    let rules = stored(cx, &workspace.value.id, workspace.value.guid.into()).await?;
    Ok((workspace, rules))
}

fn missing(id: &ResourceId) -> Error {
    Error::not_found(format_args!("the resource `{id}`"))
}

/// Lists the connections of a workspace.
#[derive(Debug)]
pub struct ListConnections {
    /// The workspace.
    pub workspace: ResourceId,
}

#[async_trait]
impl Op for ListConnections {
    const ACTION: Action = READ;
    type Output = Vec<Connection>;

    fn scope(&self) -> ResourceId {
        self.workspace.clone()
    }

    async fn run(self, cx: &Cx<'_, Self>) -> Result<Vec<Connection>> {
        Ok(found(cx, &self.workspace).await?.1.value.connections)
    }
}

/// Reads a connection.
#[derive(Debug)]
pub struct GetConnection {
    /// Its id.
    pub id: ResourceId,
}

#[async_trait]
impl Op for GetConnection {
    const ACTION: Action = READ;
    type Output = Connection;

    fn scope(&self) -> ResourceId {
        self.id.clone()
    }

    async fn run(self, cx: &Cx<'_, Self>) -> Result<Connection> {
        let (_, rules) = found(cx, &self.id).await?;
        let wanted = self.id.name();
        let connection = rules.value.connections.into_iter().find(|one| one.name.eq_ignore_ascii_case(wanted));
        connection.ok_or_else(|| missing(&self.id))
    }
}

/// Answers a request for a connection. Takes the right to approve, beside that to write.
#[derive(Debug)]
pub struct PutConnection {
    /// Its id.
    pub id: ResourceId,
    /// `Approved` or `Rejected`.
    pub status: String,
    /// For people; kept when none is said.
    pub description: Option<String>,
}

#[async_trait]
impl Op for PutConnection {
    const ACTION: Action =
        Action::new("Microsoft.MachineLearningServices/workspaces/privateEndpointConnections/write", Class::Control)
            .beyond_network_rules();
    type Output = Connection;

    fn scope(&self) -> ResourceId {
        self.id.clone()
    }

    async fn run(self, cx: &Cx<'_, Self>) -> Result<Connection> {
        let (workspace, mut rules) = found(cx, &self.id).await?;
        cx.require(&APPROVE, &workspace.value.id).await?;
        let field = "properties.privateLinkServiceConnectionState";
        let answer = match self.status.to_ascii_lowercase().as_str() {
            "approved" => Answer::Approved,
            "rejected" => Answer::Rejected,
            _ => return Err(Error::invalid(format!("{field}.status"), "must be `Approved` or `Rejected`")),
        };
        if self.description.as_ref().is_some_and(|words| words.len() > 140) {
            return Err(Error::invalid(format!("{field}.description"), "at most 140 bytes"));
        }
        let wanted = self.id.name();
        let known = rules.value.connections.iter_mut().find(|one| one.name.eq_ignore_ascii_case(wanted));
        let connection = known.ok_or_else(|| missing(&self.id))?;
        let status = connection.status(cx.now());
        if matches!(status, "Disconnected" | "Timeout") {
            let why = format!("the connection is `{status}`; make the private endpoint again, and answer its request");
            return Err(Error::new(Kind::Conflict, why));
        }
        connection.answer = answer;
        connection.description = self.description.unwrap_or_else(|| connection.description.clone());
        cx.note("connection", connection.name.as_str());
        cx.note("status", connection.status(cx.now()));
        let connection = connection.clone();
        let mut changes = Changes::new();
        changes.put(cx.system(), &rules)?;
        cx.commit(changes).await?;
        Ok(connection)
    }
}

/// Removes a connection. Its endpoint lets nobody in any more.
#[derive(Debug)]
pub struct DeleteConnection {
    /// Its id.
    pub id: ResourceId,
}

#[async_trait]
impl Op for DeleteConnection {
    const ACTION: Action =
        Action::new("Microsoft.MachineLearningServices/workspaces/privateEndpointConnections/delete", Class::Control)
            .beyond_network_rules();
    type Output = ();

    fn scope(&self) -> ResourceId {
        self.id.clone()
    }

    async fn run(self, cx: &Cx<'_, Self>) -> Result<()> {
        let (_, mut rules) = found(cx, &self.id).await?;
        let before = rules.value.connections.len();
        rules.value.connections.retain(|one| !one.name.eq_ignore_ascii_case(self.id.name()));
        if rules.value.connections.len() == before {
            return Err(missing(&self.id));
        }
        cx.note("connection", self.id.name());
        let mut changes = Changes::new();
        changes.put(cx.system(), &rules)?;
        cx.commit(changes).await
    }
}

/// What a private endpoint can be connected to within a workspace: all of it, under one name.
#[derive(Debug)]
pub struct ListPrivateLinkResources {
    /// The workspace.
    pub workspace: ResourceId,
}

/// The one thing that private endpoints are connected to.
pub const WORKSPACE_GROUP: &str = "amlworkspace";

#[async_trait]
impl Op for ListPrivateLinkResources {
    const ACTION: Action =
        Action::new("Microsoft.MachineLearningServices/workspaces/privateLinkResources/read", Class::Read)
            .beyond_network_rules();
    type Output = Row<Resource<Workspace>>;

    fn scope(&self) -> ResourceId {
        self.workspace.clone()
    }

    async fn run(self, cx: &Cx<'_, Self>) -> Result<Self::Output> {
        Ok(workspace_shelf(cx, &self.workspace).await?.1)
    }
}
