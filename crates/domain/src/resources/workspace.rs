//! Workspaces and what is made with them.

use std::collections::BTreeMap;

use kernel::{
    Action, Class, Error, Kind, PrincipalId, PrincipalKind, ResourceId, Result, SubscriptionId, TenantId, WorkspaceId,
};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::{
    Datastore, DatastoreKind, KeyVault, Precondition, Registry, Resource, ResourceGroup, ResourceType, StorageAccount,
    SystemData, Target, TargetIdentities, Telemetry, Written, collection, find, managed_identity::end_managed, name,
    row_id,
};
use crate::{
    delivery::end_settings,
    gate::{Changes, Cx, Op, Row, Shelf},
    identity::{Member, require_room},
    network::{self, NetworkRequest},
};

/// A workspace.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Workspace {
    /// For people.
    pub friendly_name: String,
    /// For people.
    pub description: String,
    /// Its storage account.
    pub storage_account: ResourceId,
    /// Its vault.
    pub key_vault: ResourceId,
    /// Its telemetry store.
    pub application_insights: ResourceId,
    /// Its registry, once the first image was built.
    pub container_registry: Option<ResourceId>,
    /// Its own identity: for the service itself only, nobody obtains its token.
    pub identity: PrincipalId,
    /// The tenant.
    pub tenant: TenantId,
}

impl ResourceType for Workspace {
    const TYPE: &'static str = "Microsoft.MachineLearningServices/workspaces";
    const READ: Action =
        Action::new("Microsoft.MachineLearningServices/workspaces/read", Class::Read).beyond_network_rules();
    const WRITE: Action =
        Action::new("Microsoft.MachineLearningServices/workspaces/write", Class::Control).beyond_network_rules();
    const DELETE: Action =
        Action::new("Microsoft.MachineLearningServices/workspaces/delete", Class::Control).beyond_network_rules();

    fn check(&self, id: &ResourceId) -> Result<()> {
        name::check("workspaceName", id.name(), 3..=32)
    }
}

/// What a caller says of a workspace. Companions that are not named are made.
#[derive(Clone, Debug, Default)]
pub struct WorkspaceRequest {
    /// For people; the name when empty.
    pub friendly_name: Option<String>,
    /// For people.
    pub description: Option<String>,
    /// An existing storage account.
    pub storage_account: Option<ResourceId>,
    /// An existing vault.
    pub key_vault: Option<ResourceId>,
    /// An existing telemetry store.
    pub application_insights: Option<ResourceId>,
    /// An existing registry.
    pub container_registry: Option<ResourceId>,
    /// From where it may be reached.
    pub network: NetworkRequest,
}

/// Creates a workspace with its companions, key, identity, default datastores and local target, all in one commit; or
/// updates an existing one's words and tags.
#[derive(Debug)]
pub struct PutWorkspace {
    /// Its id.
    pub id: ResourceId,
    /// Where.
    pub location: String,
    /// Free labels.
    pub tags: BTreeMap<String, String>,
    /// The rest.
    pub request: WorkspaceRequest,
    /// What must hold.
    pub precondition: Precondition,
}

impl Op for PutWorkspace {
    const ACTION: Action = Workspace::WRITE;
    type Output = Written<Resource<Workspace>>;

    fn scope(&self) -> ResourceId {
        self.id.clone()
    }

    async fn run(self, cx: &Cx<'_, Self>) -> Result<Self::Output> {
        name::check_tags(&self.tags)?;
        name::check_words("location", &self.location)?;
        name::check("workspaceName", self.id.name(), 3..=32)?;
        let system = cx.system();
        let (_, group) = find::<ResourceGroup, _>(cx, &self.id.parent()).await?;
        let present = cx.get::<Resource<Workspace>>(system, &row_id::<Workspace>(system, &self.id)).await?;
        self.precondition.hold(present.as_ref())?;
        match present {
            Some(row) => {
                let request = self.request;
                let row =
                    rewrite(cx, row, Some(self.tags), request.friendly_name, request.description, &request.network)
                        .await?;
                Ok(Written { row, is_new: false })
            }
            None => self.create(cx, group).await,
        }
    }
}

impl PutWorkspace {
    async fn create(
        self,
        cx: &Cx<'_, Self>,
        group: Row<Resource<ResourceGroup>>,
    ) -> Result<Written<Resource<Workspace>>> {
        let words = [
            ("properties.friendlyName", &self.request.friendly_name),
            ("properties.description", &self.request.description),
        ];
        for (field, words) in words {
            name::check_words(field, words.as_deref().unwrap_or_default())?;
        }
        let tenant =
            cx.house().tenant().ok_or_else(|| Error::new(Kind::Unavailable, "the server has no tenant yet"))?;
        let workspace = WorkspaceId::random();
        let location = if self.location.is_empty() { String::from("local") } else { self.location };
        let mut changes = Changes::new();
        // Written unchanged: a group that is deleted meanwhile makes this commit stale, and the reverse.
        changes.put(cx.system(), &group)?;
        let shelf = cx.found_shelf(workspace, &mut changes)?;
        let group = self.id.parent();
        let mut maker = Maker { cx, changes: &mut changes, location: &location };
        let named = companion_name(self.id.name(), workspace);
        let storage_account = maker.companion(&group, self.request.storage_account, &named, StorageAccount {}).await?;
        let key_vault = maker.companion(&group, self.request.key_vault, &named, KeyVault { tenant }).await?;
        let telemetry = Telemetry { instrumentation_key: Uuid::new_v4() };
        let application_insights =
            maker.companion(&group, self.request.application_insights, &named, telemetry).await?;
        let container_registry = match self.request.container_registry {
            Some(id) => {
                cx.require(&Registry::READ, &id).await?;
                Some(find::<Registry, _>(cx, &id).await?.1.value.id)
            }
            None => None,
        };
        maker.children(&shelf, &self.id, storage_account.name(), workspace)?;

        require_room(cx)?;
        let identity = PrincipalId::random();
        let member = Member {
            id: identity,
            kind: PrincipalKind::ServicePrincipal,
            name: self.id.name().to_owned(),
            app: None,
            is_disabled: false,
            created_at: cx.now(),
            valid_from: kernel::Timestamp(0),
            managed_by: Some(self.id.clone()),
        };
        changes.put(cx.system(), &Row::new(identity.as_bytes().as_slice(), member))?;
        let properties = Workspace {
            friendly_name: self.request.friendly_name.unwrap_or_else(|| self.id.name().to_owned()),
            description: self.request.description.unwrap_or_default(),
            storage_account,
            key_vault,
            application_insights,
            container_registry,
            identity,
            tenant,
        };
        let system = cx.system();
        let mut row = Row::new(
            row_id::<Workspace>(system, &self.id),
            Resource {
                id: self.id,
                guid: workspace.0,
                location,
                tags: self.tags,
                system: SystemData::new(cx),
                properties,
            },
        );
        changes.put(system, &row)?;
        network::change(cx, &mut changes, &row.value.id, workspace, &self.request.network).await?;
        cx.note("workspace", workspace.to_string());
        cx.commit(changes).await?;
        row.version = 1;
        Ok(Written { row, is_new: true })
    }
}

/// Companion names: the workspace's letters and digits, and eight characters that make it unique.
pub(crate) fn companion_name(workspace: &str, id: WorkspaceId) -> String {
    let letters = workspace.chars().filter(char::is_ascii_alphanumeric).take(14);
    let unique = id.0.simple().to_string();
    letters.chain(unique.chars().take(8)).collect::<String>().to_ascii_lowercase()
}

/// Makes the resources that come with a workspace.
struct Maker<'a, 'c, O> {
    cx: &'a Cx<'c, O>,
    changes: &'a mut Changes,
    location: &'a str,
}

impl<O: Op> Maker<'_, '_, O> {
    /// The companion that was named, which must exist, or a new one beside the workspace.
    async fn companion<P: ResourceType>(
        &mut self,
        group: &ResourceId,
        named: Option<ResourceId>,
        fresh: &str,
        properties: P,
    ) -> Result<ResourceId> {
        if let Some(id) = named {
            self.cx.require(&P::READ, &id).await?;
            return Ok(find::<P, _>(self.cx, &id).await?.1.value.id);
        }
        let (namespace, kind) = P::TYPE.split_once('/').unwrap_or((P::TYPE, ""));
        let id = group.child(["providers", namespace, kind, fresh]).map_err(|why| Error::invalid("name", why))?;
        self.add(&self.cx.system().clone(), id.clone(), properties)?;
        Ok(id)
    }

    fn add<P: ResourceType>(&mut self, shelf: &Shelf, id: ResourceId, properties: P) -> Result<()> {
        let resource = Resource {
            id: id.clone(),
            guid: Uuid::new_v4(),
            location: self.location.to_owned(),
            tags: BTreeMap::new(),
            system: SystemData::new(self.cx),
            properties,
        };
        self.changes.put(shelf, &Row::new(row_id::<P>(shelf, &id), resource))?;
        Ok(())
    }

    /// Default datastores and the local target.
    fn children(&mut self, shelf: &Shelf, id: &ResourceId, account: &str, workspace: WorkspaceId) -> Result<()> {
        let containers = [
            ("workspaceblobstore", DatastoreKind::AzureBlob, format!("azureml-blobstore-{workspace}"), true),
            ("workspaceartifactstore", DatastoreKind::AzureBlob, String::from("azureml"), false),
            ("workspacefilestore", DatastoreKind::AzureFile, format!("azureml-filestore-{workspace}"), false),
            ("workspaceworkingdirectory", DatastoreKind::AzureFile, format!("code-{workspace}"), false),
        ];
        let child = |kind: &str, name: &str| id.child([kind, name]).map_err(|why| Error::invalid("name", why));
        for (name, kind, container, is_default) in containers {
            let datastore = Datastore { kind, account: account.to_owned(), container, is_default };
            self.add(shelf, child("datastores", name)?, datastore)?;
        }
        let capabilities = self.cx.compute().capabilities().as_ref().clone();
        self.add(shelf, child("computes", "local")?, Target { capabilities, identities: TargetIdentities::default() })
    }
}

/// Changes a workspace's words and tags (RFC 7396 semantics for what is given).
#[derive(Debug)]
pub struct PatchWorkspace {
    /// Its id.
    pub id: ResourceId,
    /// New tags.
    pub tags: Option<BTreeMap<String, String>>,
    /// New name for people.
    pub friendly_name: Option<String>,
    /// New description.
    pub description: Option<String>,
    /// From where it may be reached.
    pub network: NetworkRequest,
    /// What must hold.
    pub precondition: Precondition,
}

impl Op for PatchWorkspace {
    const ACTION: Action = Workspace::WRITE;
    type Output = Row<Resource<Workspace>>;

    fn scope(&self) -> ResourceId {
        self.id.clone()
    }

    async fn run(self, cx: &Cx<'_, Self>) -> Result<Self::Output> {
        let (_, row) = find::<Workspace, _>(cx, &self.id).await?;
        self.precondition.hold(Some(&row))?;
        rewrite(cx, row, self.tags, self.friendly_name, self.description, &self.network).await
    }
}

async fn rewrite<O: Op>(
    cx: &Cx<'_, O>,
    mut row: Row<Resource<Workspace>>,
    tags: Option<BTreeMap<String, String>>,
    friendly_name: Option<String>,
    description: Option<String>,
    network: &NetworkRequest,
) -> Result<Row<Resource<Workspace>>> {
    let workspace = &mut row.value;
    if let Some(tags) = tags {
        name::check_tags(&tags)?;
        workspace.tags = tags;
    }
    if let Some(words) = friendly_name {
        name::check_words("properties.friendlyName", &words)?;
        workspace.properties.friendly_name = words;
    }
    if let Some(words) = description {
        name::check_words("properties.description", &words)?;
        workspace.properties.description = words;
    }
    workspace.system.touch(cx);
    let mut changes = Changes::new();
    changes.put(cx.system(), &row)?;
    let guid = WorkspaceId::from(row.value.guid);
    network::change(cx, &mut changes, &row.value.id, guid, network).await?;
    cx.commit(changes).await?;
    row.version = row.version.saturating_add(1);
    Ok(row)
}

/// Removes a workspace and its key: what lies under that key can never be read again. Companions stay.
#[derive(Debug)]
pub struct DeleteWorkspace {
    /// Its id.
    pub id: ResourceId,
}

impl Op for DeleteWorkspace {
    const ACTION: Action = Workspace::DELETE;
    type Output = ();

    fn scope(&self) -> ResourceId {
        self.id.clone()
    }

    async fn run(self, cx: &Cx<'_, Self>) -> Result<()> {
        let (system, row) = find::<Workspace, _>(cx, &self.id).await?;
        let workspace = WorkspaceId::from(row.value.guid);
        let mut changes = Changes::new();
        changes.delete(&system, &row);
        cx.forget_shelf(workspace, &mut changes).await?;
        end_managed(cx, &mut changes, &self.id).await?;
        end_settings(cx, &mut changes, &self.id).await?;
        network::forget(cx, &mut changes, workspace).await?;
        cx.note("workspace", workspace.to_string());
        cx.commit(changes).await
    }
}

/// Lists the workspaces of a subscription that the caller may read.
#[derive(Debug)]
pub struct ListWorkspacesInSubscription {
    /// The subscription.
    pub subscription: SubscriptionId,
}

impl Op for ListWorkspacesInSubscription {
    const ACTION: Action = Workspace::READ;
    type Output = Vec<Row<Resource<Workspace>>>;

    fn scope(&self) -> ResourceId {
        ResourceId::subscription(self.subscription)
    }

    async fn run(self, cx: &Cx<'_, Self>) -> Result<Self::Output> {
        let system = cx.system();
        let subscription = self.scope();
        let groups = collection::<ResourceGroup>(system, &subscription);
        let mut found = Vec::new();
        for group in cx.all::<Resource<ResourceGroup>>(system, &groups).await? {
            let prefix = collection::<Workspace>(system, &group.value.id);
            found.extend(cx.all::<Resource<Workspace>>(system, &prefix).await?);
        }
        found.retain(|row| cx.may(&Workspace::READ, &row.value.id));
        found.sort_by(|a, b| a.value.id.cmp(&b.value.id));
        Ok(found)
    }
}
