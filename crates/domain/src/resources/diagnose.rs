//! Looking at what a workspace depends on (requirement K-08): every finding comes from a check made now.

use async_trait::async_trait;
use kernel::{Action, Class, Kind, ResourceId, Result};

use super::{
    KeyVault, Registry, Resource, ResourceType, StorageAccount, Telemetry, Workspace, find,
    workspace_identity::{Grant, table},
    workspace_keys, workspace_shelf,
};
use crate::{
    access::RoleDefinition,
    gate::{Admission, Cx, Op, Shelf},
};

/// What a finding is about; the groups of Azure's answer. Routes, security groups and names are a virtual network's, which a workspace
/// here does not lie in; who may reach it is not something it depends on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Topic {
    /// Something forbids what the workspace's identity was granted.
    ResourceLock,
    /// Its storage account.
    StorageAccount,
    /// Its vault.
    KeyVault,
    /// Its registry.
    ContainerRegistry,
    /// Its telemetry store.
    ApplicationInsights,
    /// Anything else.
    Other,
}

/// Something that is not as it must be.
#[derive(Clone, Debug)]
pub struct Trouble {
    /// What it is about.
    pub topic: Topic,
    /// A stable word.
    pub code: &'static str,
    /// Whether something fails because of it, or will.
    pub is_error: bool,
    /// One sentence.
    pub message: String,
}

/// Diagnoses a workspace. A healthy one has no trouble.
#[derive(Debug)]
pub struct DiagnoseWorkspace {
    /// The workspace.
    pub workspace: ResourceId,
}

#[async_trait]
impl Op for DiagnoseWorkspace {
    const ACTION: Action = Action::new("Microsoft.MachineLearningServices/workspaces/diagnose/read", Class::Read);
    type Output = Vec<Trouble>;

    fn scope(&self) -> ResourceId {
        self.workspace.clone()
    }

    async fn run(self, cx: &Cx<'_, Self>) -> Result<Vec<Trouble>> {
        let (shelf, row) = workspace_shelf(cx, &self.workspace).await?;
        let workspace = &row.value;
        let mut found = companions(cx, workspace).await?;
        if found.is_empty() {
            found.extend(keys(cx, &shelf, workspace).await?);
        }
        found.extend(table(workspace).iter().filter_map(|grant| judge(cx, workspace, grant)));
        found.extend(identity(cx, workspace));
        Ok(found)
    }
}

async fn companions(cx: &Admission<'_>, workspace: &Resource<Workspace>) -> Result<Vec<Trouble>> {
    let named = &workspace.properties;
    let mut found = Vec::new();
    found.extend(missing::<StorageAccount>(cx, Topic::StorageAccount, &named.storage_account).await?);
    found.extend(missing::<KeyVault>(cx, Topic::KeyVault, &named.key_vault).await?);
    found.extend(missing::<Telemetry>(cx, Topic::ApplicationInsights, &named.application_insights).await?);
    if let Some(registry) = &named.container_registry {
        found.extend(missing::<Registry>(cx, Topic::ContainerRegistry, registry).await?);
    }
    Ok(found)
}

async fn missing<P: ResourceType>(cx: &Admission<'_>, topic: Topic, id: &ResourceId) -> Result<Option<Trouble>> {
    match find::<P>(cx, id).await {
        Err(fault) if fault.kind() == Kind::NotFound => {
            let message = format!("`{id}` is not there; create it again");
            Ok(Some(Trouble { topic, code: "ResourceNotFound", is_error: true, message }))
        }
        found => found.map(|_| None),
    }
}

async fn keys(cx: &Admission<'_>, shelf: &Shelf, workspace: &Resource<Workspace>) -> Result<Option<Trouble>> {
    if workspace_keys::are_present(cx, shelf, &workspace.properties).await? {
        return Ok(None);
    }
    let name = workspace.id.name();
    let message = format!(
        "the workspace holds keys of its storage account or registry that were regenerated since; `bartizan workspace sync-keys {name}` takes over the present ones"
    );
    Ok(Some(Trouble { topic: Topic::StorageAccount, code: "KeysOutOfSync", is_error: false, message }))
}

/// Whether the identity holds a grant, and nothing denies what it allows.
fn judge(cx: &Admission<'_>, workspace: &Resource<Workspace>, grant: &Grant) -> Option<Trouble> {
    let identity = workspace.properties.identity;
    let (name, scope) = (workspace.id.name(), &grant.scope);
    let role = RoleDefinition::built_in(grant.role).map_or("", |role| role.role_name.as_str());
    let access = cx.house().access();
    let denied = grant.probes.iter().find(|action| !access.allows(identity, action, scope));
    if !access.holds_just_at(identity, grant.role, scope) {
        let message = format!(
            "the identity of the workspace `{name}` does not hold `{role}` on `{scope}`; `bartizan workspace sync-keys {name}` gives it back"
        );
        return Some(Trouble {
            topic: grant.topic,
            code: "RoleAssignmentMissing",
            is_error: denied.is_some(),
            message,
        });
    }
    let denied = denied?;
    let message = format!(
        "`{}` on `{scope}` is denied to the identity of the workspace `{name}`; lift the deny assignment, or leave that identity out of it",
        denied.name()
    );
    Some(Trouble { topic: Topic::ResourceLock, code: "Denied", is_error: true, message })
}

fn identity(cx: &Admission<'_>, workspace: &Resource<Workspace>) -> Option<Trouble> {
    let identity = workspace.properties.identity;
    let is_there = cx.house().identity.kind_of(identity).is_some() && !cx.house().identity.is_disabled(identity);
    let message = format!("the identity `{identity}` of the workspace is disabled or gone");
    (!is_there).then_some(Trouble { topic: Topic::Other, code: "IdentityDisabled", is_error: true, message })
}
