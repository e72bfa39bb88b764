//! Whether a secret could be read, set or deleted: for rooms that ask before they begin.

use kernel::{ResourceId, Result};

use super::{
    ObjectName, Secret, VersionId,
    opened::{open, require_alive, require_own},
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

/// Refuses a name that cannot be given a value now.
///
/// # Errors
/// `Conflict` when a deleted secret has it, which rests; `Denied` when it belongs to a certificate.
pub(crate) async fn require_settable<O: Op>(cx: &Cx<'_, O>, vault: &Addressed, name: &ObjectName) -> Result<()> {
    let opened = open(cx, vault).await?;
    match opened.named::<Secret, _>(cx, name).await? {
        Some(row) => require_own(&row.value).and_then(|()| require_alive(&row.value)),
        None => Ok(()),
    }
}

/// Refuses a name that no secret has which can be deleted.
///
/// # Errors
/// `NotFound` when there is none, `Denied` when it belongs to a certificate.
pub(crate) async fn require_deletable<O: Op>(cx: &Cx<'_, O>, vault: &Addressed, name: &ObjectName) -> Result<()> {
    let opened = open(cx, vault).await?;
    require_own(&opened.object::<Secret, _>(cx, name).await?.value)
}
