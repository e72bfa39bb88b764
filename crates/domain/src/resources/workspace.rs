//! Workspaces and what is made with them.

use std::collections::BTreeMap;

use async_trait::async_trait;
use kernel::{
    Action, Class, Error, Kind, PrincipalId, PrincipalKind, ResourceId, Result, SubscriptionId, TenantId, WorkspaceId,
};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::{
    Edition, KeyVault, Precondition, Registry, Resource, ResourceGroup, ResourceType, StorageAccount, SystemData,
    Telemetry, Written, collection,
    deleted_workspace::{hold_group, recover, resting, rests},
    find, name,
    registry::require_admin,
    row_id, support_app,
    throughput::{DEFAULT_THROUGHPUT, default_throughput, require_same_throughput},
    workspace_change::{Wanted, check_retention, rewrite},
    workspace_identity,
    workspace_keys::{self, NewKeys},
    workspace_parts::{Maker, companion_name},
};
use crate::{
    access::{CONTRIBUTOR, PutRoleAssignment, grant_managed},
    customer_keys::{CRYPTO_GRANT, CustomerKey, KeyRequest, choose},
    gate::{Admission, Changes, Cx, Op, Row},
    governance::amend,
    identity::{Member, require_room},
    impact,
    network::{self, NetworkRequest},
    secrets::{ContentScan, ModelScan, SecretDetection},
    vault::{Kind as VaultKind, Secret, SetSecret},
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
    /// Days for which it can be recovered after its deletion: 1 to 14.
    #[serde(default = "fourteen")]
    pub retention_days: u8,
    /// Its edition.
    #[serde(default)]
    pub edition: Edition,
    /// What becomes of jobs and deployments in which a secret is written out.
    #[serde(default)]
    pub secret_detection: SecretDetection,
    /// What becomes of code in whose files something looks like a secret, or like personal data.
    #[serde(default)]
    pub content_scan: ContentScan,
    /// What becomes of model versions whose files run code when they are loaded.
    #[serde(default)]
    pub model_scan: ModelScan,
    /// The customer's key that holds its data; the server's own keyring does when there is none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub encryption: Option<CustomerKey>,
    /// High business impact: chosen when it is made or raised later, and never taken back.
    #[serde(default)]
    pub hbi: bool,
    /// Whether its owners let diagnostics of it be collected, where the operator collects any.
    #[serde(default = "yes")]
    pub sends_diagnostics: bool,
    /// Request units a second of its metadata.
    #[serde(default = "default_throughput")]
    pub throughput: u32,
}

impl Workspace {
    /// Whether diagnostics of it may be collected.
    pub fn may_send_diagnostics(&self) -> bool {
        self.sends_diagnostics && !self.hbi
    }
}

/// As Azure has it when nobody says.
const fn fourteen() -> u8 {
    14
}

const fn yes() -> bool {
    true
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
    /// Days for which it can be recovered after its deletion; 14 when nobody says.
    pub retention_days: Option<u8>,
    /// The edition; basic when nobody says.
    pub edition: Option<Edition>,
    /// What becomes of secrets that are written out; a warning when nobody says.
    pub secret_detection: Option<SecretDetection>,
    /// What becomes of such code; a warning when nobody says.
    pub content_scan: Option<ContentScan>,
    /// What becomes of models that run code when they are loaded; a warning when nobody says.
    pub model_scan: Option<ModelScan>,
    /// The customer's key that shall hold its data.
    pub encryption: Option<KeyRequest>,
    /// High business impact; no when nobody says.
    pub hbi: Option<bool>,
    /// Whether diagnostics of it may be collected; yes when nobody says, where the operator collects any at all.
    pub sends_diagnostics: Option<bool>,
    /// Request units a second, which can be said again and not be changed so.
    pub throughput: Option<u32>,
    /// Recover the deleted workspace that has this name, if there is one.
    pub recover: bool,
}

impl WorkspaceRequest {
    /// Refuses other companions than the workspace has: it keeps those it was made with.
    fn require_same_companions(&self, present: &Workspace) -> Result<()> {
        let pairs = [
            ("properties.storageAccount", &self.storage_account, Some(&present.storage_account)),
            ("properties.keyVault", &self.key_vault, Some(&present.key_vault)),
            ("properties.applicationInsights", &self.application_insights, Some(&present.application_insights)),
            ("properties.containerRegistry", &self.container_registry, present.container_registry.as_ref()),
        ];
        match pairs.into_iter().find(|(_, named, held)| named.is_some() && named.as_ref() != *held) {
            Some((field, ..)) => Err(Error::invalid(field, "cannot be changed once the workspace is made")),
            None => Ok(()),
        }
    }
}

/// Creates a workspace with its companions, key, identity and its grants, default datastores and local target, all in one commit; or
/// updates an existing one's words and tags; or recovers a deleted one.
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

#[async_trait]
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
        find::<ResourceGroup>(cx, &self.id.parent()).await?;
        let present = cx.get::<Resource<Workspace>>(system, &row_id::<Workspace>(system, &self.id)).await?;
        self.precondition.hold(present.as_ref())?;
        match present {
            Some(row) => {
                self.request.require_same_companions(&row.value.properties)?;
                let row = rewrite(cx, row, self.wanted()).await?;
                Ok(Written { row, is_new: false })
            }
            None => match resting(cx, &self.id).await? {
                Some(deleted) if self.request.recover => {
                    impact::require_same(self.request.hbi, deleted.value.workspace.properties.hbi)?;
                    let opened = cx.open_resting(deleted.value.workspace.guid).await;
                    let _turn = cx.house().assigning.lock().await;
                    let mut changes = Changes::new();
                    hold_group(cx, &self.id, &mut changes).await?;
                    let mut row = recover(cx, deleted, opened, &mut changes).await?;
                    let guid = WorkspaceId::from(row.value.guid);
                    network::change(cx, &mut changes, &self.id, guid, &self.request.network).await?;
                    cx.commit(changes).await?;
                    row.version = 1;
                    Ok(Written { row, is_new: false })
                }
                Some(deleted) => Err(rests(&deleted.value)),
                None => self.create(cx).await,
            },
        }
    }
}

impl PutWorkspace {
    /// What an update shall change.
    fn wanted(self) -> Wanted {
        let WorkspaceRequest {
            friendly_name,
            description,
            network,
            retention_days,
            edition,
            secret_detection,
            content_scan,
            model_scan,
            encryption,
            hbi,
            sends_diagnostics,
            throughput,
            ..
        } = self.request;
        let tags = Some(self.tags);
        Wanted {
            tags,
            friendly_name,
            description,
            network,
            retention_days,
            edition,
            secret_detection,
            content_scan,
            model_scan,
            encryption,
            hbi,
            sends_diagnostics,
            throughput,
        }
    }

    async fn create(self, cx: &Cx<'_, Self>) -> Result<Written<Resource<Workspace>>> {
        let words = [
            ("properties.friendlyName", &self.request.friendly_name),
            ("properties.description", &self.request.description),
        ];
        for (field, words) in words {
            name::check_words(field, words.as_deref().unwrap_or_default())?;
        }
        require_same_throughput(self.request.throughput, DEFAULT_THROUGHPUT)?;
        let retention_days = self.request.retention_days.map_or(Ok(fourteen()), check_retention)?;
        let tenant =
            cx.house().tenant().ok_or_else(|| Error::new(Kind::Unavailable, "the server has no tenant yet"))?;
        let workspace = WorkspaceId::random();
        let location = if self.location.is_empty() { String::from("local") } else { self.location };
        let identity = PrincipalId::random();
        let mut changes = Changes::new();
        // A group that is deleted meanwhile makes this commit stale, and the reverse.
        hold_group(cx, &self.id, &mut changes).await?;
        let encryption = match &self.request.encryption {
            Some(request) => Some(choose(cx, request, &self.id, &location, identity).await?),
            None => None,
        };
        let shelf = match &encryption {
            Some(key) => cx.found_closed_shelf(workspace, key.clone(), &mut changes).await?,
            None => cx.found_shelf(workspace, &mut changes)?,
        };
        if let Some(vault) = &self.request.key_vault {
            require_right_to_secrets(cx, vault).await?;
        }
        let group = self.id.parent();
        let mut maker = Maker { cx, changes: &mut changes, location: &location };
        let named = companion_name(self.id.name(), workspace);
        let is_new = self.request.storage_account.is_none();
        let (storage_account, _, guid) =
            maker.companion(&group, self.request.storage_account, &named, StorageAccount::default()).await?;
        let storage = maker.keys::<StorageAccount>(&storage_account, guid, is_new).await?;
        let (key_vault, _, _) =
            maker.companion(&group, self.request.key_vault, &named, KeyVault::of_tenant(tenant)).await?;
        let telemetry = Telemetry { instrumentation_key: Uuid::new_v4() };
        let (application_insights, telemetry, _) =
            maker.companion(&group, self.request.application_insights, &named, telemetry).await?;
        let (container_registry, registry) = match self.request.container_registry {
            Some(id) => {
                let (id, brought, guid) = maker.brought::<Registry>(id).await?;
                require_admin(&id, &brought)?;
                let keys = maker.keys::<Registry>(&id, guid, false).await?;
                (Some(id), keys)
            }
            None => (None, Vec::new()),
        };
        maker.children(&shelf, &self.id, storage_account.name(), workspace)?;

        let instrumentation = telemetry.instrumentation_key;
        workspace_keys::of_new(cx, &shelf, &mut changes, NewKeys { storage, instrumentation, registry })?;
        require_room(cx)?;
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
            retention_days,
            edition: self.request.edition.unwrap_or_default(),
            secret_detection: self.request.secret_detection.unwrap_or_default(),
            content_scan: self.request.content_scan.unwrap_or_default(),
            model_scan: self.request.model_scan.unwrap_or_default(),
            encryption,
            hbi: self.request.hbi.unwrap_or_default(),
            sends_diagnostics: self.request.sends_diagnostics.unwrap_or(yes()),
            throughput: DEFAULT_THROUGHPUT,
        };
        let system = cx.system();
        let _turn = cx.house().assigning.lock().await;
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
        let mut network = self.request.network;
        amend(cx, &mut row.value, Some(&mut network))?;
        if row.value.properties.hbi {
            cx.note("hbiWorkspace", "true");
            impact::begin_proof(cx, &row.value, &mut changes).await?;
        }
        changes.put(system, &row)?;
        network::change(cx, &mut changes, &row.value.id, workspace, &network).await?;
        let mut grants = workspace_identity::grants(&row.value);
        // Once, and not among those that are given back: whoever takes it away locks the workspace.
        let held = row.value.properties.encryption.as_ref();
        if let Some(scope) = held.map(CustomerKey::role_scope).transpose()?.flatten() {
            grants.push((identity, CRYPTO_GRANT, scope));
        }
        let subscription = row.value.id.subscription_id().map(ResourceId::subscription);
        if let Some(subscription) = subscription
            && let Some(app) = support_app::ensure(cx, &subscription, &row.value.location, &mut changes).await?
        {
            grants.push((app, CONTRIBUTOR, subscription));
        }
        grant_managed(cx, &grants, &mut changes).await?;
        cx.note("workspace", workspace.to_string());
        cx.commit(changes).await?;
        row.version = 1;
        Ok(Written { row, is_new: true })
    }
}

/// Whoever brings a vault must be allowed to read its secrets, since jobs of the workspace are given them, and to set and delete
/// them, since the workspace's doors do that as its identity; or to give themselves that role.
async fn require_right_to_secrets(cx: &Admission<'_>, vault: &ResourceId) -> Result<()> {
    if cx.may(&<PutRoleAssignment as Op>::ACTION, vault) {
        return Ok(());
    }
    let needed: [Action; 3] = [Secret::READ, <SetSecret as Op>::ACTION, Secret::DELETE];
    for action in &needed {
        cx.require(action, vault).await?;
    }
    Ok(())
}

/// Lists the workspaces of a subscription that the caller may read.
#[derive(Debug)]
pub struct ListWorkspacesInSubscription {
    /// The subscription.
    pub subscription: SubscriptionId,
}

#[async_trait]
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
