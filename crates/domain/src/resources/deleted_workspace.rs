//! Workspaces that were deleted: for some days they rest, and can be recovered or purged, and nothing else.
//!
//! **Invariant:** while a workspace rests, its row and its key are where nobody looks for them, so that no door finds it, by
//! its address or by its GUID. **Invariant:** its name is nobody else's until it is purged.

use std::time::Duration;

use async_trait::async_trait;
use kernel::{Action, Caller, Error, Kind, PrincipalId, ResourceId, Result, Timestamp, WorkspaceId};
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::{
    KeyVault, Registry, Resource, ResourceGroup, ResourceType, StorageAccount, Target, TargetIdentities, Telemetry,
    Workspace, collection,
    erased_workspace::{forget, purge},
    find, row_id, workspace_identity,
    workspace_keys::require_right_to_keys,
};
use crate::{
    access::{remove_of_managed, remove_of_managed_but},
    compute::{end_all_launches, wake},
    customer_keys::{CRYPTO_GRANT, CustomerKey},
    erasure::Asked,
    gate::{Admission, Census, Changes, Cx, Guard, Guarded, House, Op, Record, RestingShelf, Row, Shelf},
    governance::amend,
    identity::{Member, end_managed_principals},
    scoring::remove_all_services,
};

/// How often a deletion that meets other changes tries again.
const ATTEMPTS: usize = 8;
const DAY: Duration = Duration::from_secs(24 * 3600);

/// A deleted workspace. On the system's shelf; its id is that of the subscription, then its own.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct DeletedWorkspace {
    /// The workspace as it was.
    pub workspace: Resource<Workspace>,
    /// When it was deleted.
    pub deleted_at: Timestamp,
    /// When it is purged by the server itself.
    pub purge_at: Timestamp,
    /// Whether its identity was disabled before.
    #[serde(default)]
    pub was_disabled: bool,
    /// Who wanted it gone: the certificate of its erasure says so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) asked: Option<Asked>,
}

impl Record for DeletedWorkspace {
    const TABLE: &'static str = "deleted-workspace";
}

/// All deleted workspaces of a subscription have ids that begin with this.
fn of_subscription(system: &Shelf, scope: &ResourceId) -> Vec<u8> {
    let subscription = scope.subscription_id().map(|id| id.to_string()).unwrap_or_default();
    system.name_id::<DeletedWorkspace>(&subscription)
}

fn deleted_id(system: &Shelf, id: &ResourceId) -> Vec<u8> {
    let mut row = of_subscription(system, id);
    row.extend(system.name_id::<DeletedWorkspace>(id.folded()));
    row
}

/// The deleted workspace that has this name, if one rests.
pub(super) async fn resting(cx: &Admission<'_>, id: &ResourceId) -> Result<Option<Row<DeletedWorkspace>>> {
    cx.get::<DeletedWorkspace>(cx.system(), &deleted_id(cx.system(), id)).await
}

/// What whoever asks anything else of a deleted workspace is told.
pub(super) fn rests(deleted: &DeletedWorkspace) -> Error {
    let name = deleted.workspace.id.name();
    let until = deleted.purge_at.rfc3339();
    let why = format!(
        "the workspace `{name}` is deleted and rests until {until}: recover it (`allowRecoverSoftDeletedWorkspace`) or purge it (`forceToPurge=true`)"
    );
    Error::new(Kind::Conflict, why)
}

/// Deletes a workspace. Its jobs, services and computes end at once; everything else rests until it is recovered or purged.
/// Companions stay.
#[derive(Debug)]
pub struct DeleteWorkspace {
    /// Its id.
    pub id: ResourceId,
    /// Destroy its key too, now, so that its data can never be read again. One that rests already is purged.
    pub purge: bool,
    /// Let it rest even if a customer's key holds it. Azure deletes such a one at once (requirement F-12), so whoever does not say
    /// this is refused rather than surprised.
    pub keep: bool,
}

#[async_trait]
impl Op for DeleteWorkspace {
    const ACTION: Action = Workspace::DELETE;
    const GUARDS: &'static [Guard] = &[Guard::Purge, Guard::Rule];
    type Output = ();

    fn scope(&self) -> ResourceId {
        self.id.clone()
    }

    fn guarded(&self, house: &House, _: &Caller) -> Result<Guarded> {
        // Its services and identities are gone at once, and the purge comes by itself: to delete it is to begin that.
        let mut guarded = Guarded::at(Guard::Purge, &self.id, json!({"purge": self.purge}));
        guarded.places.rules = house.access().rules_within(&self.id);
        Ok(guarded)
    }

    async fn run(self, cx: &Cx<'_, Self>) -> Result<()> {
        // Counting a large workspace takes its time, and nobody waits for that.
        let census = if self.purge { self.census(cx).await? } else { Census::new() };
        if self.keep
            && !self.purge
            && let Ok((_, row)) = find::<Workspace>(cx, &self.id).await
        {
            // Whoever holds its key is asked before the turn: nobody else waits for that. What is said is remembered, a no too.
            drop(cx.shelf(row.value.guid).await);
        }
        let _turn = cx.house().assigning.lock().await;
        for _ in 0..ATTEMPTS {
            match self.once(cx, &census).await {
                Err(fault) if fault.kind() == Kind::Stale => {}
                done => return done,
            }
        }
        Err(Error::new(Kind::Throttled, "the workspace changes too fast; try again"))
    }
}

impl DeleteWorkspace {
    /// What lies under the key that goes; nothing when there is no such workspace.
    async fn census(&self, cx: &Cx<'_, Self>) -> Result<Census> {
        let guid = match find::<Workspace>(cx, &self.id).await {
            Err(fault) if fault.kind() == Kind::NotFound => {
                resting(cx, &self.id).await?.map(|deleted| deleted.value.workspace.guid)
            }
            found => Some(found?.1.value.guid),
        };
        match guid {
            Some(guid) => cx.census(guid).await,
            None => Ok(Census::new()),
        }
    }

    async fn once(&self, cx: &Cx<'_, Self>, census: &Census) -> Result<()> {
        let (system, row) = match find::<Workspace>(cx, &self.id).await {
            Err(fault) if fault.kind() == Kind::NotFound => {
                return match resting(cx, &self.id).await? {
                    Some(deleted) if self.purge => purge(cx, &deleted, Asked::of(cx), census.clone()).await,
                    Some(deleted) => Err(rests(&deleted.value)),
                    None => Err(fault),
                };
            }
            found => found?,
        };
        if row.value.properties.encryption.is_some() && !self.purge && !self.keep {
            let why = "a workspace that a customer-managed key holds is deleted for good, unless you say otherwise: ask with `forceToPurge=true`, or with `keepForRecovery=true` to let it rest";
            return Err(Error::new(Kind::Conflict, why).coded("CustomerManagedKeyWorkspaceIsPurged"));
        }
        let mut changes = Changes::new();
        changes.delete(&system, &row);
        hold_group(cx, &self.id, &mut changes).await?;
        if self.purge {
            forget(cx, &row.value, Asked::of(cx), census.clone(), &mut changes).await?;
        } else {
            lay_to_rest(cx, row.value, &mut changes).await?;
        }
        cx.commit(changes).await?;
        wake(cx);
        Ok(())
    }
}

/// Writes the group unchanged. Whatever makes or ends a workspace of some name does, so that of two such changes that were
/// decided on one picture the second is refused as stale.
pub(super) async fn hold_group(cx: &Admission<'_>, workspace: &ResourceId, changes: &mut Changes) -> Result<()> {
    let (system, group) = find::<ResourceGroup>(cx, &workspace.parent()).await?;
    changes.put(&system, &group)?;
    Ok(())
}

async fn lay_to_rest(cx: &Admission<'_>, workspace: Resource<Workspace>, changes: &mut Changes) -> Result<()> {
    let guid = WorkspaceId::from(workspace.guid);
    let shelf = cx.shelf(guid).await?;
    end_all_launches(cx, &shelf, changes, "the workspace was deleted").await?;
    remove_all_services(cx, &shelf, &workspace, changes).await?;
    let mut principals = end_targets(cx, &shelf, &workspace.id, changes).await?;
    end_managed_principals(cx, changes, &principals).await?;
    principals.push(workspace.properties.identity);
    match workspace.properties.encryption.as_ref().map(CustomerKey::role_scope).transpose()?.flatten() {
        // What its holder takes from it while it rests stays taken, so it is kept, and not given anew with the recovery.
        Some(key) => remove_of_managed_but(cx, &principals, (CRYPTO_GRANT, &key), changes).await?,
        None => remove_of_managed(cx, &principals, changes).await?,
    }
    let was_disabled = set_disabled(cx, workspace.properties.identity, true, changes).await?;
    cx.rest_shelf(guid, changes).await?;
    let days = u32::from(workspace.properties.retention_days);
    let now = cx.now();
    let purge_at = now.plus(DAY.saturating_mul(days));
    let asked = Some(Asked::of(cx));
    let deleted = DeletedWorkspace { workspace, deleted_at: now, purge_at, was_disabled, asked };
    cx.note("workspace", guid.to_string());
    cx.note("purgeAt", deleted.purge_at.rfc3339());
    changes.put(cx.system(), &Row::new(deleted_id(cx.system(), &deleted.workspace.id), deleted))?;
    Ok(())
}

/// Takes the targets their identities, and removes those that did not come with the workspace. Returns the principals that end.
async fn end_targets(
    cx: &Admission<'_>,
    shelf: &Shelf,
    workspace: &ResourceId,
    changes: &mut Changes,
) -> Result<Vec<PrincipalId>> {
    let mut ended = Vec::new();
    for mut row in cx.all::<Resource<Target>>(shelf, &collection::<Target>(shelf, workspace)).await? {
        let had = std::mem::take(&mut row.value.properties.identities);
        ended.extend(had.system.as_ref().map(|own| own.principal));
        if !row.value.id.name().eq_ignore_ascii_case("local") {
            changes.delete(shelf, &row);
        } else if had != TargetIdentities::default() {
            changes.put(shelf, &row)?;
        }
    }
    Ok(ended)
}

/// The workspace's own identity does nothing while it rests. Says whether it was disabled before.
async fn set_disabled(
    cx: &Admission<'_>,
    identity: PrincipalId,
    is_disabled: bool,
    changes: &mut Changes,
) -> Result<bool> {
    let Some(mut member) = cx.get::<Member>(cx.system(), identity.as_bytes()).await? else { return Ok(false) };
    let was_disabled = std::mem::replace(&mut member.value.is_disabled, is_disabled);
    changes.put(cx.system(), &member)?;
    Ok(was_disabled)
}

/// Puts a resting workspace back where it was found, with `changes`. Its row is new there; whoever asks holds `assigning` and
/// commits. Its keyring is opened before that turn: whoever holds the key may be slow to answer.
///
/// # Errors
/// `Conflict` when a companion is gone; why its keyring could not be opened.
pub(super) async fn recover(
    cx: &Admission<'_>,
    deleted: Row<DeletedWorkspace>,
    opened: Result<RestingShelf>,
    changes: &mut Changes,
) -> Result<Row<Resource<Workspace>>> {
    let mut workspace = deleted.value.workspace.clone();
    let properties = &workspace.properties;
    require_companion::<StorageAccount>(cx, &properties.storage_account, changes).await?;
    require_companion::<KeyVault>(cx, &properties.key_vault, changes).await?;
    require_companion::<Telemetry>(cx, &properties.application_insights, changes).await?;
    if let Some(registry) = &properties.container_registry {
        require_companion::<Registry>(cx, registry, changes).await?;
    }
    require_right_to_keys(cx, &workspace).await?;
    changes.delete(cx.system(), &deleted);
    let guid = WorkspaceId::from(workspace.guid);
    let shelf = cx.reopen_shelf(opened?, changes)?;
    // What was written while it was being deleted ends now.
    end_all_launches(cx, &shelf, changes, "the workspace was deleted").await?;
    remove_all_services(cx, &shelf, &workspace, changes).await?;
    set_disabled(cx, properties.identity, deleted.value.was_disabled, changes).await?;
    workspace_identity::grant(cx, &workspace, changes).await?;
    workspace.system.touch(cx);
    amend(cx, &mut workspace, None)?;
    let row = Row::new(row_id::<Workspace>(cx.system(), &workspace.id), workspace);
    changes.put(cx.system(), &row)?;
    cx.note("workspace", guid.to_string());
    cx.note("recovered", deleted.value.deleted_at.rfc3339());
    Ok(row)
}

/// Writes the companion unchanged: one that is deleted meanwhile makes the recovery stale.
async fn require_companion<P: ResourceType>(cx: &Admission<'_>, id: &ResourceId, changes: &mut Changes) -> Result<()> {
    match find::<P>(cx, id).await {
        Err(fault) if fault.kind() == Kind::NotFound => {
            let why = format!("the workspace cannot be recovered without its `{id}`; create that first");
            Err(Error::new(Kind::Conflict, why))
        }
        found => {
            let (shelf, row) = found?;
            changes.put(&shelf, &row)?;
            Ok(())
        }
    }
}

/// Lists deleted workspaces of a subscription or a resource group that the caller may read.
#[derive(Debug)]
pub struct ListDeletedWorkspaces {
    /// The subscription or the group.
    pub parent: ResourceId,
}

#[async_trait]
impl Op for ListDeletedWorkspaces {
    const ACTION: Action = Workspace::READ;
    type Output = Vec<Row<DeletedWorkspace>>;

    fn scope(&self) -> ResourceId {
        self.parent.clone()
    }

    async fn run(self, cx: &Cx<'_, Self>) -> Result<Self::Output> {
        let mut rows = resting_within(cx, &self.parent).await?;
        rows.retain(|row| cx.may(&Workspace::READ, &row.value.workspace.id));
        rows.sort_by(|a, b| a.value.workspace.id.cmp(&b.value.workspace.id));
        Ok(rows)
    }
}

/// Those within a subscription or a resource group.
pub(super) async fn resting_within(cx: &Admission<'_>, scope: &ResourceId) -> Result<Vec<Row<DeletedWorkspace>>> {
    let system = cx.system();
    let mut rows = cx.all::<DeletedWorkspace>(system, &of_subscription(system, scope)).await?;
    rows.retain(|row| row.value.workspace.id.is_within(scope));
    Ok(rows)
}
