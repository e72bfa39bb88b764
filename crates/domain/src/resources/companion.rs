//! The companions of a workspace: vault, storage account, registry, telemetry store.

use kernel::{Action, Class, PrincipalId, TenantId};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::ResourceType;
use crate::customer_keys::CustomerKey;

/// A key vault.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct KeyVault {
    /// The tenant whose principals may use it.
    pub tenant: TenantId,
    /// `standard` or `premium`: a name for clients.
    #[serde(default = "standard")]
    pub sku: String,
    /// Days that what is deleted rests: itself, and what it holds.
    #[serde(default = "most_days")]
    pub retention_days: u16,
    /// Whether nothing is purged before its time. Once set, it stays.
    #[serde(default)]
    pub purge_protection: bool,
}

impl KeyVault {
    /// As Azure makes one of which nothing is said.
    pub fn of_tenant(tenant: TenantId) -> Self {
        Self { tenant, sku: standard(), retention_days: most_days(), purge_protection: false }
    }
}

fn standard() -> String {
    String::from("standard")
}

/// Days that a vault rests of which nothing is said; Azure's default.
fn most_days() -> u16 {
    90
}

/// A storage account: containers of sealed blobs.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct StorageAccount {
    /// `Standard_LRS` and the like: a name for clients, and no other disk.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sku: Option<String>,
    /// `StorageV2` and the like; the same.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kind: Option<String>,
    /// Whether the two keys, and what is signed with them, are refused.
    #[serde(default)]
    pub refuses_keys: bool,
    /// Its own identity, once it was given one: in its name a customer's key is used. Nobody obtains its token.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub identity: Option<PrincipalId>,
    /// The customer's key that holds its blobs; the server's own keyring does when there is none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub encryption: Option<CustomerKey>,
}

impl StorageAccount {
    /// Whether the two keys, and what is signed with them, are taken.
    pub fn takes_keys(&self) -> bool {
        !self.refuses_keys
    }
}

/// A container registry: repositories of sealed images. A workspace's own is made when its first image is built.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Registry {
    /// Whether its admin account, with two passwords, is taken. Those of before there was a protocol had one.
    #[serde(default = "yes")]
    pub admin_enabled: bool,
    /// `Basic` and the like: a name for clients.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sku: Option<String>,
    /// Its own identity, once it was given one: in its name a customer's key is used. Nobody obtains its token.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub identity: Option<PrincipalId>,
    /// The customer's key that holds its images; the server's own keyring does when there is none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub encryption: Option<CustomerKey>,
}

impl Registry {
    /// One of which nothing is said but whether its admin account is on.
    pub fn with_admin(admin_enabled: bool) -> Self {
        Self { admin_enabled, sku: None, identity: None, encryption: None }
    }
}

fn yes() -> bool {
    true
}

/// A telemetry store: where scoring requests are kept.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Telemetry {
    /// Names the store in Azure's ingestion protocol.
    pub instrumentation_key: Uuid,
}

impl ResourceType for KeyVault {
    const TYPE: &'static str = "Microsoft.KeyVault/vaults";
    const READ: Action = Action::new("Microsoft.KeyVault/vaults/read", Class::Read);
    const WRITE: Action = Action::new("Microsoft.KeyVault/vaults/write", Class::Control);
    const DELETE: Action = Action::new("Microsoft.KeyVault/vaults/delete", Class::Control);
}

impl ResourceType for StorageAccount {
    const TYPE: &'static str = "Microsoft.Storage/storageAccounts";
    const READ: Action = Action::new("Microsoft.Storage/storageAccounts/read", Class::Read);
    const WRITE: Action = Action::new("Microsoft.Storage/storageAccounts/write", Class::Control);
    const DELETE: Action = Action::new("Microsoft.Storage/storageAccounts/delete", Class::Control);
}

impl ResourceType for Registry {
    const TYPE: &'static str = "Microsoft.ContainerRegistry/registries";
    const READ: Action = Action::new("Microsoft.ContainerRegistry/registries/read", Class::Read);
    const WRITE: Action = Action::new("Microsoft.ContainerRegistry/registries/write", Class::Control);
    const DELETE: Action = Action::new("Microsoft.ContainerRegistry/registries/delete", Class::Control);
}

impl ResourceType for Telemetry {
    const TYPE: &'static str = "Microsoft.Insights/components";
    const READ: Action = Action::new("Microsoft.Insights/components/read", Class::Read);
    const WRITE: Action = Action::new("Microsoft.Insights/components/write", Class::Control);
    const DELETE: Action = Action::new("Microsoft.Insights/components/delete", Class::Control);
}
