//! The keys of a workspace's companions as the workspace knows them: those that it synced last (requirements K-08, A-41).

use std::time::Duration;

use async_trait::async_trait;
use kernel::{Action, Caller, Class, Error, Kind, ResourceId, Result, Secret, Timestamp, WorkspaceId};
use serde::{Deserialize, Serialize};
use serde_json::json;
use uuid::Uuid;

use super::{
    AccountKey, Keyed, Registry, Resource, StorageAccount, Telemetry, Workspace, account_keys, companions::workspaces,
    find, workspace_identity, workspace_shelf,
};
use crate::gate::{Admission, Changes, Cx, Guard, Guarded, House, Op, Record, Row, Shelf};

const ATTEMPTS: usize = 8;
/// A regenerated key is picked up by the server itself after about so long.
const PICKED_UP: Duration = Duration::from_secs(3600);

/// What a workspace synced last; on its own shelf.
#[derive(Clone, Serialize, Deserialize)]
pub(super) struct SyncedKeys {
    storage: String,
    instrumentation: Uuid,
    /// Name and value of each password; none while there is no registry.
    registry: Vec<(String, String)>,
    synced_at: Timestamp,
}

impl Record for SyncedKeys {
    const TABLE: &'static str = "synced-keys";
}

impl Drop for SyncedKeys {
    fn drop(&mut self) {
        drop(Secret::new(std::mem::take(&mut self.storage)));
        for (_, password) in &mut self.registry {
            drop(Secret::new(std::mem::take(password)));
        }
    }
}

impl SyncedKeys {
    fn holds_the_same(&self, other: &Self) -> bool {
        (&self.storage, self.instrumentation, &self.registry)
            == (&other.storage, other.instrumentation, &other.registry)
    }
}

/// The keys of a workspace's companions.
#[derive(Clone, Debug)]
pub struct WorkspaceKeys {
    /// The workspace.
    pub workspace: Resource<Workspace>,
    /// A key of its storage account.
    pub storage: Secret<String>,
    /// Names its telemetry store.
    pub instrumentation: Uuid,
    /// Names and values of its registry's passwords.
    pub registry: Vec<(String, Secret<String>)>,
}

const ROW: &[u8] = b"1";

/// The keys as they are now. Those that a companion does not have yet are made with `changes`.
async fn present(cx: &Admission<'_>, workspace: &Workspace, changes: &mut Changes) -> Result<SyncedKeys> {
    let account = find::<StorageAccount>(cx, &workspace.storage_account).await?.1;
    let keys = account_keys::ensure::<StorageAccount>(cx, account.value.guid, changes).await?;
    let first = keys.value.shown().into_iter().next().ok_or_else(|| Error::internal("an account without keys"))?;
    let telemetry = find::<Telemetry>(cx, &workspace.application_insights).await?.1;
    let mut registry = Vec::new();
    if let Some(id) = &workspace.container_registry {
        let found = find::<Registry>(cx, id).await?.1;
        let keys = account_keys::ensure::<Registry>(cx, found.value.guid, changes).await?;
        let pair = |AccountKey { name, value, .. }: AccountKey| (name, value.expose().clone());
        registry.extend(keys.value.shown().into_iter().map(pair));
    }
    Ok(SyncedKeys {
        storage: first.value.expose().clone(),
        instrumentation: telemetry.value.properties.instrumentation_key,
        registry,
        synced_at: cx.now(),
    })
}

/// Syncs a workspace's keys with `changes`, which stay as they are when nothing is new.
async fn sync(cx: &Admission<'_>, shelf: &Shelf, workspace: &Workspace, changes: &mut Changes) -> Result<()> {
    let keys = present(cx, workspace, changes).await?;
    let row = match cx.get::<SyncedKeys>(shelf, ROW).await? {
        Some(row) if row.value.holds_the_same(&keys) => return Ok(()),
        Some(row) => Row { value: keys, ..row },
        None => Row::new(ROW, keys),
    };
    changes.put(shelf, &row)?;
    Ok(())
}

/// Whoever has a workspace take the keys of companions elsewhere must be allowed to see those keys: else the workspace would
/// fetch for them what was taken from them. Those of its own group come with it.
pub(super) async fn require_right_to_keys(cx: &Admission<'_>, workspace: &Resource<Workspace>) -> Result<()> {
    let (group, properties) = (workspace.id.parent(), &workspace.properties);
    if !properties.storage_account.is_within(&group) {
        cx.require(&StorageAccount::LIST, &properties.storage_account).await?;
    }
    match properties.container_registry.as_ref().filter(|id| !id.is_within(&group)) {
        Some(registry) => cx.require(&Registry::LIST, registry).await,
        None => Ok(()),
    }
}

/// The keys of a new workspace, whose storage account and telemetry store may be as new.
pub(super) fn of_new(cx: &Admission<'_>, shelf: &Shelf, changes: &mut Changes, keys: NewKeys) -> Result<()> {
    let NewKeys { storage, instrumentation, registry } = keys;
    let key = storage.first().ok_or_else(|| Error::internal("an account without keys"))?;
    let keys = SyncedKeys {
        storage: key.value.expose().clone(),
        instrumentation,
        registry: registry.iter().map(|key| (key.name.clone(), key.value.expose().clone())).collect(),
        synced_at: cx.now(),
    };
    changes.put(shelf, &Row::new(ROW, keys))?;
    Ok(())
}

/// What a new workspace's companions have.
pub(super) struct NewKeys {
    pub(super) storage: Vec<AccountKey>,
    pub(super) instrumentation: Uuid,
    pub(super) registry: Vec<AccountKey>,
}

/// What a workspace synced last. One from before there were keys, or whose registry was made since, syncs that with `changes`.
async fn known(cx: &Admission<'_>, shelf: &Shelf, workspace: &Workspace, changes: &mut Changes) -> Result<SyncedKeys> {
    let row = match cx.get::<SyncedKeys>(shelf, ROW).await? {
        Some(row) if workspace.container_registry.is_none() || !row.value.registry.is_empty() => {
            return Ok(row.value.clone());
        }
        Some(mut row) => {
            row.value.registry.clone_from(&present(cx, workspace, changes).await?.registry);
            row
        }
        None => Row::new(ROW, present(cx, workspace, changes).await?),
    };
    changes.put(shelf, &row)?;
    Ok(row.value.clone())
}

/// Shows the keys of a workspace's companions, as it synced them last.
#[derive(Debug)]
pub struct ListWorkspaceKeys {
    /// The workspace.
    pub workspace: ResourceId,
}

#[async_trait]
impl Op for ListWorkspaceKeys {
    const ACTION: Action = Action::new("Microsoft.MachineLearningServices/workspaces/listKeys/action", Class::Vault);
    type Output = WorkspaceKeys;

    fn scope(&self) -> ResourceId {
        self.workspace.clone()
    }

    async fn run(self, cx: &Cx<'_, Self>) -> Result<WorkspaceKeys> {
        for _ in 0..ATTEMPTS {
            let (shelf, workspace) = workspace_shelf(cx, &self.workspace).await?;
            let mut changes = Changes::new();
            let keys = known(cx, &shelf, &workspace.value.properties, &mut changes).await?;
            let done = if changes.is_empty() { Ok(()) } else { cx.commit(changes).await };
            match done {
                Err(fault) if fault.kind() == Kind::Stale => {}
                Err(fault) => return Err(fault),
                Ok(()) => {
                    let registry = keys.registry.iter();
                    return Ok(WorkspaceKeys {
                        workspace: workspace.value,
                        storage: Secret::new(keys.storage.clone()),
                        instrumentation: keys.instrumentation,
                        registry: registry.map(|(name, key)| (name.clone(), Secret::new(key.clone()))).collect(),
                    });
                }
            }
        }
        Err(Error::new(Kind::Throttled, "the keys change too fast; try again"))
    }
}

/// Whether a workspace has its keys and grants: one from before there were any gets them from the server's own work.
pub(super) async fn was_synced(cx: &Admission<'_>, shelf: &Shelf) -> Result<bool> {
    Ok(cx.get::<SyncedKeys>(shelf, ROW).await?.is_some())
}

/// Whether the keys that a workspace holds are those its companions have now.
pub(super) async fn are_present(cx: &Admission<'_>, shelf: &Shelf, workspace: &Workspace) -> Result<bool> {
    let Some(row) = cx.get::<SyncedKeys>(shelf, ROW).await? else { return Ok(true) };
    let keys = present(cx, workspace, &mut Changes::new()).await?;
    // A registry that was made since is not in there yet.
    let same_registry = row.value.registry.is_empty() || row.value.registry == keys.registry;
    Ok(same_registry && row.value.storage == keys.storage && row.value.instrumentation == keys.instrumentation)
}

/// Takes over the present keys of the companions, and gives the workspace's identity the grants that it lacks. Datastores with
/// a key of their own keep it.
#[derive(Debug)]
pub struct ResyncKeys {
    /// The workspace.
    pub workspace: ResourceId,
    /// Whether grants that somebody took back are restored too. The server by itself does not undo that.
    with_grants: bool,
}

impl ResyncKeys {
    /// Asks for the keys and grants of this workspace.
    pub fn new(workspace: ResourceId) -> Self {
        Self { workspace, with_grants: true }
    }
}

#[async_trait]
impl Op for ResyncKeys {
    const ACTION: Action =
        Action::new("Microsoft.MachineLearningServices/workspaces/resynckeys/action", Class::Control);
    const GUARDS: &'static [Guard] = &[Guard::KeyChange];
    type Output = ();

    fn scope(&self) -> ResourceId {
        self.workspace.clone()
    }

    fn guarded(&self, _: &House, _: &Caller) -> Result<Guarded> {
        Ok(Guarded::at(Guard::KeyChange, &self.workspace, json!({})))
    }

    async fn run(self, cx: &Cx<'_, Self>) -> Result<()> {
        let _turn = cx.house().assigning.lock().await;
        for _ in 0..ATTEMPTS {
            let (shelf, workspace) = workspace_shelf(cx, &self.workspace).await?;
            require_right_to_keys(cx, &workspace.value).await?;
            let mut changes = Changes::new();
            if self.with_grants {
                workspace_identity::grant(cx, &workspace.value, &mut changes).await?;
            }
            sync(cx, &shelf, &workspace.value.properties, &mut changes).await?;
            let done = if changes.is_empty() { Ok(()) } else { cx.commit(changes).await };
            match done {
                Err(fault) if fault.kind() == Kind::Stale => {}
                done => return done,
            }
        }
        Err(Error::new(Kind::Throttled, "the keys change too fast; try again"))
    }
}

/// The workspaces whose keys were synced an hour ago or never, and are other ones now. It changes nothing, and so leaves no
/// record.
pub(crate) struct ListDueSyncs;

#[async_trait]
impl Op for ListDueSyncs {
    const ACTION: Action = Action::new("Microsoft.MachineLearningServices/workspaces/syncKeys/action", Class::Open);
    type Output = Vec<ResyncKeys>;

    fn scope(&self) -> ResourceId {
        ResourceId::root()
    }

    async fn run(self, cx: &Cx<'_, Self>) -> Result<Self::Output> {
        let mut due = Vec::new();
        for row in workspaces(cx).await? {
            match is_due(cx, &row.value).await {
                Ok(Some(due_now)) => due.push(due_now),
                Ok(None) => {}
                Err(fault) => {
                    tracing::warn!(workspace = %row.value.id, ?fault, "a workspace's keys cannot be looked at")
                }
            }
        }
        Ok(due)
    }
}

async fn is_due(cx: &Admission<'_>, workspace: &Resource<Workspace>) -> Result<Option<ResyncKeys>> {
    let shelf = cx.shelf(WorkspaceId::from(workspace.guid)).await?;
    let resync = ResyncKeys::new(workspace.id.clone());
    let Some(row) = cx.get::<SyncedKeys>(&shelf, ROW).await? else { return Ok(Some(resync)) };
    let mut unused = Changes::new();
    let keys = present(cx, &workspace.properties, &mut unused).await?;
    let is_other = !unused.is_empty() || !row.value.holds_the_same(&keys);
    let is_due = is_other && is_old(cx, &workspace.properties).await?;
    Ok(is_due.then_some(ResyncKeys { with_grants: false, ..resync }))
}

/// Whether the present storage key has been there for so long that a workspace is to have noticed.
async fn is_old(cx: &Admission<'_>, workspace: &Workspace) -> Result<bool> {
    let account = find::<StorageAccount>(cx, &workspace.storage_account).await?.1;
    let keys = account_keys::ensure::<StorageAccount>(cx, account.value.guid, &mut Changes::new()).await?;
    let newest = keys.value.shown().into_iter().map(|key| key.made_at).max();
    Ok(newest.is_none_or(|made| cx.now().since(made) >= PICKED_UP))
}
