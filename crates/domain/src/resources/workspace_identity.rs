//! What a workspace's own identity may do: six grants, made with the workspace (requirement A-39), and what fails without them.
//! Nobody obtains a token of that identity; the server asks the evaluator before it does something in its name.

use kernel::{Action, Class, Error, Kind, PrincipalId, ResourceId, Result};
use uuid::Uuid;

use super::{Registry, Resource, ResourceGroup, ResourceType, Workspace, diagnose::Topic, workspace_keys};
use crate::{
    access::{BLOB_DATA_CONTRIBUTOR, CONTRIBUTOR, KEY_VAULT_ADMINISTRATOR, grant_managed},
    gate::{Admission, Changes, Shelf},
};

const READ_BLOBS: Action =
    Action::data("Microsoft.Storage/storageAccounts/blobServices/containers/blobs/read", Class::DataWrite);
const WRITE_BLOBS: Action =
    Action::data("Microsoft.Storage/storageAccounts/blobServices/containers/blobs/write", Class::DataWrite);

const READ_SECRETS: Action = Action::data("Microsoft.KeyVault/vaults/secrets/getSecret/action", Class::Vault);

/// One line of the table of A-39.
pub(super) struct Grant {
    /// Which role.
    pub(super) role: Uuid,
    /// Where.
    pub(super) scope: ResourceId,
    /// What suffers without it.
    pub(super) topic: Topic,
    /// What it must allow.
    pub(super) probes: &'static [Action],
}

/// The table of A-39. The registry's line comes with the registry.
pub(super) fn table(workspace: &Resource<Workspace>) -> Vec<Grant> {
    let Workspace { storage_account, key_vault, container_registry, .. } = &workspace.properties;
    let line = |role, scope: &ResourceId, topic, probes| Grant { role, scope: scope.clone(), topic, probes };
    let (group, vault_group) = (workspace.id.parent(), key_vault.parent());
    let mut grants = vec![
        line(CONTRIBUTOR, &workspace.id, Topic::Other, &[Workspace::WRITE, Workspace::DELETE]),
        line(BLOB_DATA_CONTRIBUTOR, storage_account, Topic::StorageAccount, &[READ_BLOBS, WRITE_BLOBS]),
        line(KEY_VAULT_ADMINISTRATOR, key_vault, Topic::KeyVault, &[READ_SECRETS]),
        line(CONTRIBUTOR, &group, Topic::Other, &[ResourceGroup::WRITE]),
    ];
    if let Some(registry) = container_registry {
        grants.push(line(CONTRIBUTOR, registry, Topic::ContainerRegistry, &[Registry::WRITE]));
    }
    if vault_group != group {
        grants.push(line(CONTRIBUTOR, &vault_group, Topic::KeyVault, &[ResourceGroup::WRITE]));
    }
    grants
}

/// The table as grants of the workspace's identity.
pub(super) fn grants(workspace: &Resource<Workspace>) -> Vec<(PrincipalId, Uuid, ResourceId)> {
    let identity = workspace.properties.identity;
    table(workspace).into_iter().map(|grant| (identity, grant.role, grant.scope)).collect()
}

/// Gives the identity what it lacks of the table, with `changes`. The caller holds `assigning`.
pub(super) async fn grant(cx: &Admission<'_>, workspace: &Resource<Workspace>, changes: &mut Changes) -> Result<()> {
    grant_managed(cx, &grants(workspace), changes).await
}

/// Gives the identity its role on a registry that was just made.
pub(crate) async fn grant_registry(
    cx: &Admission<'_>,
    workspace: &Resource<Workspace>,
    registry: &ResourceId,
    changes: &mut Changes,
) -> Result<()> {
    grant_managed(cx, &[(workspace.properties.identity, CONTRIBUTOR, registry.clone())], changes).await
}

/// Refuses when the identity lacks what runs and services need of it.
///
/// # Errors
/// `Conflict`, naming what is missing and what restores it.
pub(crate) async fn require_for_runs(cx: &Admission<'_>, shelf: &Shelf, workspace: &Resource<Workspace>) -> Result<()> {
    let account = &workspace.properties.storage_account;
    require(cx, shelf, workspace, &Workspace::WRITE, &workspace.id, "Contributor").await?;
    require(cx, shelf, workspace, &READ_BLOBS, account, "Storage Blob Data Contributor").await?;
    require(cx, shelf, workspace, &WRITE_BLOBS, account, "Storage Blob Data Contributor").await
}

/// Refuses when the identity may not write to the workspace's registry, or make it.
///
/// # Errors
/// As [`require_for_runs`].
pub(crate) async fn require_for_images(
    cx: &Admission<'_>,
    shelf: &Shelf,
    workspace: &Resource<Workspace>,
) -> Result<()> {
    let place = workspace.properties.container_registry.clone().unwrap_or_else(|| workspace.id.parent());
    require(cx, shelf, workspace, &Registry::WRITE, &place, "Contributor").await
}

/// Refuses when the identity may not read the secrets of the workspace's vault.
///
/// # Errors
/// As [`require_for_runs`].
pub(crate) async fn require_for_secrets(
    cx: &Admission<'_>,
    shelf: &Shelf,
    workspace: &Resource<Workspace>,
) -> Result<()> {
    let vault = &workspace.properties.key_vault;
    require(cx, shelf, workspace, &READ_SECRETS, vault, "Key Vault Administrator").await
}

async fn require(
    cx: &Admission<'_>,
    shelf: &Shelf,
    workspace: &Resource<Workspace>,
    action: &Action,
    scope: &ResourceId,
    role: &str,
) -> Result<()> {
    if cx.house().access().allows(workspace.properties.identity, action, scope) {
        return Ok(());
    }
    // One from before there were grants gets them at the first look of the server's own work.
    if !workspace_keys::was_synced(cx, shelf).await? {
        return Ok(());
    }
    let name = workspace.id.name();
    let why = format!(
        "the identity of the workspace `{name}` does not hold `{role}` on `{scope}`; `bartizan workspace sync-keys {name}` gives it back"
    );
    Err(Error::new(Kind::Conflict, why))
}
