//! The companions of a workspace: vault, storage account, registry, telemetry store.

use kernel::{Action, Class, TenantId};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::ResourceType;

/// A key vault.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct KeyVault {
    /// The tenant whose principals may use it.
    pub tenant: TenantId,
}

/// A storage account: containers of sealed blobs.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct StorageAccount {}

/// An image registry; made when the first image is built.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Registry {}

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
