//! Management scopes as access names them: subscriptions, resource groups and workspaces.

use kernel::{Error, Kind, ResourceId, Result};

use super::{ResourceGroup, Subscription, Workspace, find};
use crate::gate::{Cx, Op};

/// Refuses a scope that is none of these, or is not there.
///
/// # Errors
/// `Invalid`, naming `field`.
pub(crate) async fn require_scope<O: Op>(cx: &Cx<'_, O>, field: &str, scope: &ResourceId) -> Result<()> {
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
    if scope.workspace().as_ref() == Some(scope) {
        return find::<Workspace, _>(cx, scope).await.map(drop).map_err(is_missing);
    }
    if scope.resource_group().as_ref() == Some(scope) {
        return find::<ResourceGroup, _>(cx, scope).await.map(drop).map_err(is_missing);
    }
    match scope.segments().count() {
        2 => Ok(()),
        _ => Err(Error::invalid(field, format_args!("`{scope}` is no subscription, resource group or workspace"))),
    }
}
