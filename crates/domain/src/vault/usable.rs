//! Whether a secret could be read, set or deleted: for rooms that ask before they begin.

use kernel::{ResourceId, Result};

use super::{
    ObjectName, Secret, VersionId,
    opened::{open, require_alive, require_own},
    read::{find_version, require_enabled},
};
use crate::{
    gate::Admission,
    resources::{Addressed, KeyVault, find},
};

/// Refuses a name that no secret has which can be read. Nothing is read out.
///
/// # Errors
/// `NotFound` when there is none, `Denied` when it is disabled.
pub(crate) async fn require_usable(
    cx: &Admission<'_>,
    vault: &ResourceId,
    name: &ObjectName,
    version: Option<VersionId>,
) -> Result<()> {
    let (_, row) = find::<KeyVault>(cx, vault).await?;
    let opened = open(cx, &Addressed { id: row.value.id, guid: row.value.guid }).await?;
    let object = opened.object::<Secret>(cx, name).await?;
    let shown = find_version(cx, &opened, object, version).await?;
    require_enabled(&shown.version, "get")
}

/// Refuses a name that cannot be given a value now.
///
/// # Errors
/// `Conflict` when a deleted secret has it, which rests; `Denied` when it belongs to a certificate.
pub(crate) async fn require_settable(cx: &Admission<'_>, vault: &Addressed, name: &ObjectName) -> Result<()> {
    let opened = open(cx, vault).await?;
    match opened.named::<Secret>(cx, name).await? {
        Some(row) => require_own(&row.value).and_then(|()| require_alive(&row.value)),
        None => Ok(()),
    }
}

/// Refuses a name that no secret has which can be deleted.
///
/// # Errors
/// `NotFound` when there is none, `Denied` when it belongs to a certificate.
pub(crate) async fn require_deletable(cx: &Admission<'_>, vault: &Addressed, name: &ObjectName) -> Result<()> {
    let opened = open(cx, vault).await?;
    require_own(&opened.object::<Secret>(cx, name).await?.value)
}
