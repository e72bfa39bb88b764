//! Whether a secret could be read: for rooms that take its name for later.

use kernel::{ResourceId, Result};

use super::{
    ObjectName, Secret, VersionId,
    opened::open,
    read::{find_version, require_enabled},
};
use crate::{
    gate::{Cx, Op},
    resources::{Addressed, KeyVault, find},
};

/// Refuses a name that no secret has which can be read. Nothing is read out.
///
/// # Errors
/// `NotFound` when there is none, `Denied` when it is disabled.
pub(crate) async fn require_usable<O: Op>(
    cx: &Cx<'_, O>,
    vault: &ResourceId,
    name: &ObjectName,
    version: Option<VersionId>,
) -> Result<()> {
    let (_, row) = find::<KeyVault, _>(cx, vault).await?;
    let opened = open(cx, &Addressed { id: row.value.id, guid: row.value.guid }).await?;
    let object = opened.object::<Secret, _>(cx, name).await?;
    let shown = find_version(cx, &opened, object, version).await?;
    require_enabled(&shown.version, "get")
}
