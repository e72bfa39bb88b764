//! What is in a resource group: what goes with it when it is deleted.

use std::collections::BTreeMap;

use kernel::{Error, ResourceId, Result};
use serde_json::{Value, json};

use super::{
    KeyVault, LogStore, Registry, Resource, ResourceType, StorageAccount, Telemetry, UserAssignedIdentity, collection,
};
use crate::{
    alerts::{ActionGroup, MetricAlert},
    gate::Admission,
    network::{PrivateEndpoint, VirtualNetwork},
};

/// Resources that are named; of more, people see the number, and the digest is of all.
const MOST_NAMED: usize = 500;

/// What is in a group, as approvers of its deletion read it: which resources, how many, and a digest that changes when one comes,
/// goes, or is replaced by another of its name.
pub(crate) async fn contents(cx: &Admission<'_>, group: &ResourceId) -> Result<Value> {
    let mut found = BTreeMap::new();
    add::<StorageAccount>(cx, group, &mut found).await?;
    add::<KeyVault>(cx, group, &mut found).await?;
    add::<Telemetry>(cx, group, &mut found).await?;
    add::<LogStore>(cx, group, &mut found).await?;
    add::<Registry>(cx, group, &mut found).await?;
    add::<MetricAlert>(cx, group, &mut found).await?;
    add::<ActionGroup>(cx, group, &mut found).await?;
    add::<VirtualNetwork>(cx, group, &mut found).await?;
    add::<PrivateEndpoint>(cx, group, &mut found).await?;
    add::<UserAssignedIdentity>(cx, group, &mut found).await?;
    let text = serde_json::to_vec(&found).map_err(Error::internal)?;
    let named: Vec<&String> = found.keys().take(MOST_NAMED).collect();
    Ok(json!({"count": found.len(), "resources": named, "sha256": seal::sha256_hex(&text)}))
}

/// Adds those of one type: each by its id, with what tells it from others that had or will have that id.
async fn add<P: ResourceType>(
    cx: &Admission<'_>,
    group: &ResourceId,
    found: &mut BTreeMap<String, String>,
) -> Result<()> {
    let shelf = cx.system();
    for row in cx.all::<Resource<P>>(shelf, &collection::<P>(shelf, group)).await? {
        found.insert(row.value.id.to_string(), row.value.guid.to_string());
    }
    Ok(())
}
