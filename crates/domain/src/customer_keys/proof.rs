//! Under which key each kind of what a workspace has lies (requirement X-05): by what the stored rows say of themselves, so that it is a
//! finding and no promise.

use std::collections::BTreeMap;

use async_trait::async_trait;
use kernel::{Action, ResourceId, Result};
use uuid::Uuid;

use super::{CustomerKey, GetEncryption};
use crate::{
    gate::{Admission, Cx, NamedVersions, Op},
    resources::{KeyVault, Registry, Resource, ResourceType, StorageAccount, Workspace, find},
};

/// Rows of a table that are looked at.
const MOST_ROWS: usize = 10_000;

/// One kind of what is stored.
#[derive(Clone, Debug)]
pub struct Stored {
    /// Which: `metadata`, `files`, `images`, `logs`, `telemetry`; of a companion its type.
    pub class: String,
    /// Whose keyring: the GUID of the workspace or the companion.
    pub keyring: Uuid,
    /// The version that seals now; none when the keyring does not say without being opened.
    pub version: Option<u32>,
    /// The customer's key that closes the keyring; none when the server's own keyring does, under the root key.
    pub held_by: Option<CustomerKey>,
    /// Rows that were looked at, by the version they name.
    pub rows: BTreeMap<u32, u64>,
    /// Whether those were all.
    pub is_whole: bool,
    /// Whether its rows hold the keys of blobs: each of these has a key of its own.
    pub has_blobs: bool,
}

/// What was found.
#[derive(Clone, Debug)]
pub struct EncryptionProof {
    /// By class.
    pub stores: Vec<Stored>,
    /// The version of the root key, where its holder has any.
    pub root_version: Option<String>,
}

/// The tables of a workspace whose rows hold keys of blobs. What has a `BlobRef` stands here; of launches, those whose image lies on the
/// workspace's shelf.
const NAME_BLOBS: [&str; 6] = ["artifact", "artifact-part", "image", "launch", "snapshot-file", "trace-spans"];

/// Which kind a table is of. What nobody named is metadata, so that nothing is left out.
fn class_of(table: &str) -> &'static str {
    match table {
        "image" => "images",
        "request-chunk" | "trace" => "telemetry",
        _ if table.starts_with("trace-") => "telemetry",
        _ if table.starts_with("run-log") => "logs",
        _ if table.starts_with("artifact") || table.starts_with("snapshot") => "files",
        _ => "metadata",
    }
}

/// Whether rows of this kind hold keys of blobs.
fn has_blobs(class: &str) -> bool {
    NAME_BLOBS.iter().any(|table| class_of(table) == class)
}

/// Looks.
#[derive(Debug)]
pub struct ProveEncryption {
    /// The workspace.
    pub workspace: ResourceId,
}

#[async_trait]
impl Op for ProveEncryption {
    const ACTION: Action = GetEncryption::ACTION;
    type Output = EncryptionProof;

    fn scope(&self) -> ResourceId {
        self.workspace.clone()
    }

    async fn run(self, cx: &Cx<'_, Self>) -> Result<EncryptionProof> {
        let workspace = find::<Workspace>(cx, &self.workspace).await?.1.value;
        let parts = &workspace.properties;
        let mut stores = classes(cx, workspace.guid).await?;
        stores.extend(companion::<StorageAccount>(cx, &parts.storage_account).await?);
        stores.extend(companion::<KeyVault>(cx, &parts.key_vault).await?);
        if let Some(registry) = &parts.container_registry {
            stores.extend(companion::<Registry>(cx, registry).await?);
        }
        Ok(EncryptionProof { stores, root_version: cx.root_key().await?.version })
    }
}

async fn classes(cx: &Admission<'_>, of: Uuid) -> Result<Vec<Stored>> {
    let keyring = cx.keyring_of(of).await?;
    let NamedVersions { tables, unfinished } = cx.named_versions(of, MOST_ROWS).await?;
    // Those that have no rows yet are said too: what comes will lie under this key.
    let blank = |class: &str| Stored {
        class: class.to_owned(),
        keyring: of,
        version: keyring.versions.last().copied(),
        held_by: keyring.customer_key.clone(),
        rows: BTreeMap::new(),
        is_whole: true,
        has_blobs: has_blobs(class),
    };
    let known = ["artifact", "image", "run-log", "request-chunk", "run"].map(class_of);
    let mut found: BTreeMap<&str, Stored> = known.into_iter().map(|class| (class, blank(class))).collect();
    for (table, versions) in tables {
        let class = class_of(&table);
        let stored = found.entry(class).or_insert_with(|| blank(class));
        stored.is_whole &= !unfinished.contains(&table);
        for (version, rows) in versions {
            let count = stored.rows.entry(version).or_default();
            *count = count.saturating_add(rows);
        }
    }
    Ok(found.into_values().collect())
}

/// A companion's own keyring, for whoever may see the companion.
async fn companion<P: ResourceType>(cx: &Cx<'_, ProveEncryption>, id: &ResourceId) -> Result<Option<Stored>> {
    if !cx.may(&P::READ, id) {
        return Ok(None);
    }
    let row = match find::<P>(cx, id).await {
        Err(fault) if fault.kind() == kernel::Kind::NotFound => return Ok(None),
        row => row?.1.value,
    };
    let Resource { guid, .. } = row;
    let keyring = cx.keyring_of(guid).await?;
    let NamedVersions { tables, unfinished } = cx.named_versions(guid, MOST_ROWS).await?;
    let mut rows: BTreeMap<u32, u64> = BTreeMap::new();
    for (version, count) in tables.into_values().flatten() {
        let sum = rows.entry(version).or_default();
        *sum = sum.saturating_add(count);
    }
    Ok(Some(Stored {
        class: P::TYPE.to_owned(),
        keyring: guid,
        version: keyring.versions.last().copied(),
        held_by: keyring.customer_key,
        rows,
        is_whole: unfinished.is_empty(),
        has_blobs: true,
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_holds_keys_of_blobs_is_of_a_kind_that_says_so() {
        for (table, class, blobs) in [
            ("artifact", "files", true),
            ("artifact-part", "files", true),
            ("artifact-upload", "files", true),
            ("snapshot-file", "files", true),
            ("image", "images", true),
            ("launch", "metadata", true),
            ("run", "metadata", true),
            ("trace-spans", "telemetry", true),
            ("request-chunk", "telemetry", true),
            ("run-log-chunk", "logs", false),
        ] {
            assert_eq!((class_of(table), has_blobs(class)), (class, blobs), "{table}");
        }
    }
}
