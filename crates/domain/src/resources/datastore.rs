//! Datastores: named places for data in a storage account.

use kernel::{Action, Class, Error, ResourceId, Result};
use serde::{Deserialize, Serialize};

use super::ResourceType;

/// A datastore.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Datastore {
    /// Blob or file.
    pub kind: DatastoreKind,
    /// The storage account's name.
    pub account: String,
    /// Container or share.
    pub container: String,
    /// Whether it is the workspace's default.
    pub is_default: bool,
    /// Whether it has a key of its own.
    #[serde(default)]
    pub has_key: bool,
}

/// The kinds of datastores (Azure's `datastoreType`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum DatastoreKind {
    /// A blob container.
    AzureBlob,
    /// A file share.
    AzureFile,
}

impl ResourceType for Datastore {
    const TYPE: &'static str = "Microsoft.MachineLearningServices/workspaces/datastores";
    const READ: Action = Action::new("Microsoft.MachineLearningServices/workspaces/datastores/read", Class::Read);
    const WRITE: Action = Action::new("Microsoft.MachineLearningServices/workspaces/datastores/write", Class::Control);
    const DELETE: Action =
        Action::new("Microsoft.MachineLearningServices/workspaces/datastores/delete", Class::Control);

    fn check(&self, id: &ResourceId) -> Result<()> {
        let name = id.name();
        if (1..=255).contains(&name.len()) && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_') {
            return Ok(());
        }
        Err(Error::invalid("name", "a datastore's name is 1 to 255 letters, digits or `_`"))
    }
}
