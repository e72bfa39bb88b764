//! Management scopes as access names them: subscriptions, resource groups and workspaces.

use kernel::{Error, Kind, ResourceId, Result};

use super::{ResourceGroup, Subscription, Workspace, find};
use crate::gate::Admission;

/// Refuses a scope that is no subscription, resource group or workspace, or is not there.
///
/// # Errors
/// `Invalid`, naming `field`.
pub(crate) async fn require_scope(cx: &Admission<'_>, field: &str, scope: &ResourceId) -> Result<()> {
    let is = |around: Option<ResourceId>| around.as_ref() == Some(scope);
    if !is(scope.workspace()) && !is(scope.resource_group()) && scope.segments().count() != 2 {
        let why = format!("`{scope}` is no subscription, resource group or workspace");
        return Err(Error::invalid(field, why));
    }
    require_scope_around(cx, field, scope).await
}

/// Refuses a scope whose workspace, resource group or subscription is not there. The root is.
///
/// # Errors
/// `Invalid`, naming `field`.
pub(crate) async fn require_scope_around(cx: &Admission<'_>, field: &str, scope: &ResourceId) -> Result<()> {
    if scope.is_root() {
        return Ok(());
    }
    let is_missing = |fault: Error| match fault.kind() {
        Kind::NotFound => Error::invalid(field, format_args!("there is no `{scope}`")),
        _ => fault,
    };
    let subscription = match scope.subscription_id() {
        Some(id) => cx.get::<Subscription>(cx.system(), id.as_bytes()).await?,
        None => None,
    };
    if subscription.is_none() {
        return Err(Error::invalid(field, format_args!("there is no subscription of `{scope}`")));
    }
    if let Some(group) = scope.resource_group() {
        find::<ResourceGroup>(cx, &group).await.map_err(is_missing)?;
    }
    match scope.workspace() {
        Some(workspace) => find::<Workspace>(cx, &workspace).await.map(drop).map_err(is_missing),
        None => Ok(()),
    }
}
