//! The resources room: subscriptions, resource groups, workspaces and what belongs to them, as Azure Resource Manager
//! models them.

mod account_keys;
mod address;
mod cloud;
mod companion;
mod companions;
mod contents;
mod datastore;
mod datastores;
mod deleted_vault;
mod deleted_workspace;
mod diagnose;
mod edition;
mod erased_workspace;
mod group;
mod inventory;
mod log_store;
mod managed_group;
mod managed_identity;
mod name;
mod quota;
mod registry;
mod resource;
mod scope;
mod storage_account;
mod subscription;
mod support_app;
mod target;
mod throughput;
mod vaults;
mod workspace;
mod workspace_change;
mod workspace_identity;
mod workspace_keys;
mod workspace_parts;

pub use account_keys::{AccountKey, Keyed, ListAccountKeys, RegenerateAccountKey};
pub(crate) use account_keys::{KEYS_TABLE, keys_of};
pub(crate) use address::found as found_address;
pub use address::{Addressed, FindAddress, FoundAddresses};
pub use cloud::{Cloud, GetCloud};
pub use companion::{KeyVault, Registry, StorageAccount, Telemetry};
pub(crate) use companions::everywhere;
pub use companions::{CheckCompanionName, Companion, DeleteCompanion, NameAnswer, PutCompanion};
pub(crate) use contents::contents;
pub use datastore::{Datastore, DatastoreKind};
pub use datastores::{DeleteDatastore, ListDatastoreSecrets, PutDatastore};
pub use deleted_vault::{DeleteVault, DeletedVault, FindDeletedVault, GetDeletedVault, ListDeletedVaults, PurgeVault};
pub(crate) use deleted_vault::{ListDueVaults, PurgeDueVault};
pub use deleted_workspace::{DeleteWorkspace, DeletedWorkspace, ListDeletedWorkspaces};
pub use diagnose::{DiagnoseWorkspace, Topic, Trouble};
pub use edition::Edition;
pub(crate) use erased_workspace::{ListDuePurges, PurgeDue, erase_again};
pub use group::{DeleteResourceGroup, PutResourceGroup, ResourceGroup};
pub use inventory::{Item, ListGroupInventory, ListInSubscription, ListProviders, ListSubscriptionInventory};
pub use log_store::{LogStore, PutLogStore};
pub use managed_group::{
    DeleteManaged, GetGroup, GetManaged, Group, ListGroups, Managed, ManagedPart, is_managed_name, managed_group_of,
};
pub(crate) use managed_identity::assignable;
pub use managed_identity::{
    DeleteUserAssignedIdentity, HandedIdentity, PutUserAssignedIdentity, SystemIdentity, TargetIdentities,
    UpdateTarget, UserAssignedIdentity,
};
pub(crate) use name::{check_tags, check_words};
pub(crate) use quota::local_quotas;
pub use quota::{ListQuotas, ListUsages, Quota, QuotaOutcome, QuotaWanted, UpdateQuotas};
pub use registry::{PutRegistry, RegistryWanted};
pub use resource::{
    DeleteResource, GetResource, ListResources, Precondition, PutResource, Resource, ResourceType, SystemData, Written,
    workspace_shelf,
};
pub(crate) use resource::{collection, find, row_id};
pub(crate) use scope::{require_scope, require_scope_around};
pub use storage_account::{AccountEncryption, AccountWanted, PutStorageAccount};
pub(crate) use subscription::signed_in;
pub use subscription::{GetSubscription, ListSubscriptions, ListTenants, Subscription};
pub use target::Target;
pub use throughput::{DEFAULT_THROUGHPUT, GetThroughput, LEAST_THROUGHPUT, MOST_THROUGHPUT, SetThroughput};
pub(crate) use vaults::every_vault;
pub use vaults::{PutVault, VaultWanted};
pub use workspace::{ListWorkspacesInSubscription, PutWorkspace, Workspace, WorkspaceRequest};
pub use workspace_change::{PatchWorkspace, Wanted};
pub(crate) use workspace_identity::{grant_registry, require_for_images, require_for_runs, require_for_secrets};
pub(crate) use workspace_keys::ListDueSyncs;
pub use workspace_keys::{ListWorkspaceKeys, ResyncKeys, WorkspaceKeys};
pub(crate) use workspace_parts::companion_name;
